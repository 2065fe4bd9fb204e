// The last resort for one record, and the definition of what the scanners do: the whole document is checked, parsed by JSON.parse, coerced
// by the schema and stored; or the record is refused with the reason, the byte position and the field. Slow (about 1 us per 100 bytes).
import { must, unreachable } from '../../base/assert.ts'
import { coerceRow, scaledDecimal, type Problem } from '../coerce.ts'
import type { Field } from '../column.ts'
import { ROW_OK, type DecodedColumns, type FieldSlot } from '../decoded-columns.ts'
import { utf8Text, writeUtf8 } from '../utf8.ts'
import { ExactNumber, jsonText, parseExact } from './exact.ts'
import { JSON_DEPTH_MAX, failure, isDocument, skipSpace, skipValue } from './scan.ts'

const REASONS = { syntax: 'not valid JSON', utf8: 'not valid UTF-8', depth: `nested deeper than ${JSON_DEPTH_MAX}` } as const

/** Decodes bytes[start .. end) into `into`, or rejects the row. */
export function decodeExactly(bytes: Uint8Array, view: DataView, start: number, end: number, row: number, into: DecodedColumns): void {
  if (!isDocument(bytes, view, start, end)) {
    const { at, reason } = failure
    into.reject(row, reason === 'utf8' ? 'MR_CODEC_UTF8_INVALID' : 'MR_CODEC_JSON_INVALID', at - start, '', REASONS[reason])
    return
  }
  const value = parseExact(utf8Text(bytes, start, end))
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber) {
    into.reject(row, 'MR_CODEC_FIELD_TYPE', 0, '', 'expected an object')
    return
  }
  const problem = storeRow(into, row, value as Readonly<Record<string, unknown>>)
  if (problem === null) return
  const at = valuePosition(bytes, view, start, end, String(problem.path[0]))
  into.reject(row, problem.code, at - start, problem.path.join('.'), problem.message)
}

/** Position of the last value of the member `name` in a valid object, `start` when there is none. */
function valuePosition(bytes: Uint8Array, view: DataView, start: number, end: number, name: string): number {
  let found = start
  let at = skipSpace(bytes, skipSpace(bytes, start, end) + 1, end)
  while (at < end && bytes[at] === 34) {
    const keyEnd = skipValue(bytes, view, at, end, 1)
    const key = JSON.parse(utf8Text(bytes, at, keyEnd)) as string
    at = skipSpace(bytes, skipSpace(bytes, keyEnd, end) + 1, end)
    if (key === name) found = at
    at = skipSpace(bytes, skipValue(bytes, view, at, end, 1), end)
    at = bytes[at] === 44 ? skipSpace(bytes, at + 1, end) : end
  }
  return found
}

/** Coerces a parsed value and stores its wanted fields; returns why it cannot. */
function storeRow(into: DecodedColumns, row: number, value: Readonly<Record<string, unknown>>): Problem | null {
  const fields: readonly Field[] = into.slots.map((slot) => slot.field)
  const problems: Problem[] = []
  const coerced = coerceRow(fields, value, [], problems)
  const problem = problems[0]
  if (problem !== undefined) return problem
  into.status[row] = ROW_OK
  for (const slot of into.slots) {
    // Raw JSON keeps the digits of its numbers, which coercion does not.
    const own = slot.kind === 'json' && Object.hasOwn(value, slot.field.name) ? value[slot.field.name] : coerced[slot.field.name]
    storeCoerced(slot, row, own ?? null)
  }
  return null
}

/** Stores a coerced value (null: none; json: the parsed value with exact numbers). */
export function storeCoerced(slot: FieldSlot, row: number, value: unknown): void {
  if (value === null) {
    slot.setNull(row)
    return
  }
  if (slot.field.nullable) slot.validity[row] = 1
  switch (slot.kind) {
    case 'bool':
      slot.u8[row] = value === true ? 1 : 0
      return
    case 'i32':
      slot.i32[row] = Number(value)
      return
    case 'i64':
    case 'f64':
    case 'time':
      slot.f64[row] = Number(value)
      return
    case 'bigint':
      return storeBig(slot, row, value as bigint)
    case 'decimal': {
      const { type } = slot.field
      return storeBig(
        slot,
        row,
        must(type.kind === 'decimal' ? scaledDecimal(value, type.precision, type.scale, () => null) : null, 'a decimal'),
      )
    }
    case 'string':
      return storeText(slot, row, value as string)
    case 'json':
      return storeText(slot, row, jsonText(value))
    case 'deferred':
      slot.nested.set(row, value)
      return
    default:
      unreachable(slot.kind, 'slot kind')
  }
}

export function storeBig(slot: FieldSlot, row: number, value: bigint): void {
  slot.f64[row] = Number(value)
  if (Number.isSafeInteger(slot.f64[row])) slot.big.delete(row)
  else slot.big.set(row, value)
}

function storeText(slot: FieldSlot, row: number, text: string): void {
  const { arena } = slot
  arena.reserve(text.length * 3 + 1)
  const start = arena.at
  const end = writeUtf8(arena.bytes, start, text)
  arena.at = end + 1 // never empty, so that a column with such a row knows that it has an arena
  storeFromArena(slot, row, start, end)
}

/** The row's value is arena[start .. end). */
export function storeFromArena(slot: FieldSlot, row: number, start: number, end: number): void {
  slot.starts[row] = -start - 1
  slot.ends[row] = end
  if (slot.interner !== null) slot.ids[row] = slot.interner.intern(slot.arena.bytes, slot.arena.view, start, end)
}
