// Pieces of generated scanners: how one member of a record is recognised, read or validated. Used for records in a fixed order
// (speculate.ts) and in any order (unordered.ts). Every piece may leave by `break hit`; the general scanner then reads the record anew.
//
// Generated code reads a few bytes past a record, which is why records near the end of the buffer (beyond `limit`) are not its business.
// Every literal is compared at or before the record's end, so that at most its length and 12 bytes behind it are read; loops are bounded by
// the end, and the last test is that the record ends exactly where the literal tail does.
import type { DecodedColumns, FieldSlot } from '../decoded-columns.ts'
import { generate } from '../generate.ts'
import { parseTimeBytes } from '../time-text.ts'
import type { GeneralScanner } from './general.ts'
import type { LayoutMember } from './layout.ts'
import { floatInto, integerInto } from './number.ts'
import { numberRest, skipValue, stringRest } from './scan.ts'

/**
 * Decodes rows[from .. count) and returns where it stopped: `count`, or earlier when too many records did not have the layout.
 */
export type SpeculativeScanner = (
  general: GeneralScanner,
  into: DecodedColumns,
  bytes: Uint8Array,
  view: DataView,
  starts: Int32Array,
  ends: Int32Array,
  rows: Int32Array | null,
  from: number,
  count: number,
) => number

const RUNTIME = { skipValue, stringRest, numberRest, floatInto, integerInto, parseTimeBytes }

export function compileScanner(source: string): SpeculativeScanner {
  return generate('runtime', RUNTIME, source) as SpeculativeScanner
}

/** The function around the code of one record. `literalBytesMax`: length of the longest literal that `body` compares. */
export function scannerSource(slots: readonly FieldSlot[], literalBytesMax: number, constants: string, body: string): string {
  return `'use strict'
const { skipValue, stringRest, numberRest, floatInto, integerInto, parseTimeBytes } = runtime
${constants}return function speculate(general, into, bytes, view, starts, ends, rows, from, count) {
  const limit = bytes.length - ${literalBytesMax + 16}
  const status = into.status
${slots.map(declare).join('\n')}
  let misses = 0
  let word = 0, special = 0, digit = 0, value = 0, first = 0, quote = 0, byte = 0
  for (let i = from; i < count; i++) {
    const row = rows === null ? i : rows[i]
    const start = starts[row]
    const end = ends[row]
    let at = start
    hit: {
      if (start < 0 || end > limit) break hit
${body}
      status[row] = 0
      continue
    }
    general.row(row, start, end)
    misses++
    if (misses > 16 && misses * 4 > i - from) return i + 1
  }
  return count
}
`
}

function declare(slot: FieldSlot, index: number): string {
  const lines = [`  const slot${index} = into.slots[${index}]`]
  if (slot.field.nullable) lines.push(`  const validity${index} = slot${index}.validity`)
  if (slot.kind === 'string') lines.push(`  const starts${index} = slot${index}.starts, ends${index} = slot${index}.ends`)
  if (slot.kind === 'f64' || slot.kind === 'i64' || slot.kind === 'time' || slot.kind === 'i32')
    lines.push(`  const values${index} = slot${index}.f64`)
  if (slot.kind === 'i32') lines.push(`  const ints${index} = slot${index}.i32`)
  if (slot.interner !== null) lines.push(`  const ids${index} = slot${index}.ids, interner${index} = slot${index}.interner`)
  return lines.join('\n')
}

function wordOf(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
}

/** An expression that is true when the literal stands at `at`. Words may overlap at the end. */
export function matches(literal: Uint8Array): string {
  const tests: string[] = []
  const length = literal.length
  if (length < 4) for (let at = 0; at < length; at++) tests.push(`bytes[at + ${at}] === ${literal[at] as number}`)
  else {
    for (let at = 0; at < length; at += 4) {
      const from = Math.min(at, length - 4)
      tests.push(`view.getInt32(at + ${from}, true) === ${wordOf(literal, from)}`)
    }
  }
  return tests.join(' && ')
}

/** The literal as a comment. */
export function shown(literal: Uint8Array): string {
  return `// ${[...literal].map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')}`
}

/** Code that goes on behind the literal only when it stands at `at`. */
export function expect(literal: Uint8Array): string {
  return `      ${shown(literal)}\n      if (at > end || !(${matches(literal)})) break hit\n      at += ${literal.length}`
}

/** Code that reads the value of a member, for the slot that wants it, or validates it. */
export function readValue(member: LayoutMember, slots: readonly FieldSlot[]): string {
  const index = slots.findIndex((slot) => slot.field.name === member.key)
  return index < 0 ? skip(member) : store(member, index, slots[index] as FieldSlot)
}

/** Code for a wanted field that the record does not have. */
export function setMissing(index: number): string {
  return `      validity${index}[row] = 0\n      slot${index}.hasNull = true`
}

/** Code that moves `at` from behind an opening quote to the closing quote of a string; `escaped`: what to do with a string with escapes. */
function scanString(escaped: string): string {
  return `        for (;;) {
          word = view.getInt32(at, true)
          special = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101)) & 0x80808080
          if (special !== 0) break
          at += 4
          if (at >= end) break hit
        }
        at += (31 - Math.clz32(special & -special)) >> 3
        if (bytes[at] !== 34) {
          quote = stringRest(bytes, at, end)
          if (quote === -1) break hit
          ${escaped}
        }`
}

const SKIP_DIGITS = `        digit = bytes[at] - 48
        if (digit === -3) digit = bytes[++at] - 48
        if (digit >>> 0 > 9) break hit
        at++
        if (digit !== 0) while (at < end && (bytes[at] - 48) >>> 0 <= 9) at++
        byte = bytes[at]
        if (byte === 46 || (byte | 32) === 101) {
          at = numberRest(bytes, at, end)
          if (at < 0) break hit
        }`

const SKIP_ANY = `        at = skipValue(bytes, view, at, end, 1)
        if (at < 0) break hit`

/** Code that validates a value nobody wants. */
function skip(member: LayoutMember): string {
  if (member.look === 'string') {
    return `      if (bytes[at] === 34) {\n        at++\n${scanString('at = quote < -1 ? -quote - 2 : quote')}\n        at++\n      } else {\n${SKIP_ANY}\n      }`
  }
  if (member.look === 'number') return `      {\n${SKIP_DIGITS}\n      }`
  return SKIP_ANY
}

/** Code that stores a wanted value. Kinds and looks without code of their own are stored by the general scanner. */
function store(member: LayoutMember, index: number, slot: FieldSlot): string {
  const general = `        at = general.store(slot${index}, row, at, end)\n        if (at < 0) break hit`
  const fast = fastStore(member, index, slot)
  if (fast === null) return `      {\n${general}\n      }`
  const valid = slot.field.nullable ? `\n        validity${index}[row] = 1` : ''
  // A null (or a string where numbers are usual) is not a reason to give the record up.
  const expected = member.look === 'string' ? 'bytes[at] === 34' : 'bytes[at] < 58 && bytes[at] !== 34'
  return `      if (${expected}) {${valid}\n${fast}\n      } else {\n${general}\n      }`
}

function fastStore(member: LayoutMember, index: number, slot: FieldSlot): string | null {
  const { kind } = slot
  if (member.look === 'number') {
    if (kind === 'i64' || kind === 'time') return `${readDigits('integerInto', index)}`
    if (kind === 'i32')
      return `${readDigits('integerInto', index)}\n        value = values${index}[row]\n        if (value !== (value | 0)) break hit\n        ints${index}[row] = value`
    if (kind === 'f64') return readFloat(index)
  }
  if (member.look === 'string') {
    if (kind === 'string') {
      const escaped = `if (quote < -1) {\n            at = general.escaped(slot${index}, row, first, quote)\n            if (at < 0) break hit\n            break text\n          }\n          at = quote`
      const intern = slot.interner === null ? '' : `\n        ids${index}[row] = interner${index}.intern(bytes, view, first, at)`
      return `        text: {\n        first = ++at\n${scanString(escaped)}\n        if (at > end) break hit\n        starts${index}[row] = first\n        ends${index}[row] = at${intern}\n        at++\n        }`
    }
    if (kind === 'time')
      return `        first = ++at\n${scanString('break hit')}\n        if (at > end) break hit\n        value = parseTimeBytes(bytes, first, at)\n        if (value !== value) break hit\n        values${index}[row] = value\n        at++`
  }
  return null
}

/** Up to 9 digits in 32-bit arithmetic, which is nearly every number; anything else by the function that general scanning uses. */
function readDigits(slow: string, index: number): string {
  return `        first = at
        digit = bytes[at] - 48
        if (digit >>> 0 > 9 || digit === 0) {
          at = ${slow}(bytes, at, end, values${index}, row)
          if (at < 0) break hit
        } else {
          word = digit
          at++
          while ((digit = bytes[at] - 48) >>> 0 <= 9 && at - first < 9) {
            word = word * 10 + digit
            at++
          }
          byte = bytes[at]
          if (digit >>> 0 <= 9 || byte === 46 || (byte | 32) === 101) {
            at = ${slow}(bytes, first, end, values${index}, row)
            if (at < 0) break hit
          } else values${index}[row] = word
        }`
}

function readFloat(index: number): string {
  return `        at = floatInto(bytes, at, end, values${index}, row)\n        if (at < 0) break hit`
}
