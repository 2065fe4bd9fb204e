// The general scanner: any key order, white space, extra and missing fields, nesting. Validates the whole document while it stores the
// wanted fields; whatever it does not understand exactly (escapes in keys, duplicate keys, a value of another type, a broken document) it
// leaves to decodeExactly. Table-driven, so it is also the decoder where code generation is forbidden.
import { TRUE_WORD, FAIL, NULL_WORD, escapedEnd, skipLiteral, skipSpace, skipValue, stringEnd } from './scan.ts'
import { ROW_NULL, ROW_OK, type DecodedColumns, type FieldSlot } from '../decoded-columns.ts'
import { decimalInto, floatInto, integerInto } from './number.ts'
import { decodeExactly, storeFromArena } from './exact-row.ts'
import { parseTimeBytes } from '../time-text.ts'
import { coerce, type Problem } from '../coerce.ts'
import { parseExact } from './exact.ts'
import { latin1Text, utf8Text } from '../utf8.ts'
import { unescape } from './unescape.ts'

const NAME_SLOTS = 256

/** Finds a wanted field by the bytes of its key: length, first and last byte pick a bucket, which almost always settles it. */
class NameTable {
  readonly #buckets: Int16Array = new Int16Array(NAME_SLOTS).fill(-1)
  readonly #next: Int16Array
  readonly #names: readonly Uint8Array[]

  constructor(names: readonly Uint8Array[]) {
    this.#names = names
    this.#next = new Int16Array(names.length).fill(-1)
    names.forEach((name, index) => {
      const bucket = bucketOf(name, 0, name.length)
      this.#next[index] = this.#buckets[bucket] as number
      this.#buckets[bucket] = index
    })
  }

  find(bytes: Uint8Array, start: number, end: number): number {
    for (let index = this.#buckets[bucketOf(bytes, start, end)] as number; index >= 0; index = this.#next[index] as number) {
      const name = this.#names[index] as Uint8Array
      if (name.length !== end - start) continue
      let at = 0
      while (at < name.length && name[at] === bytes[start + at]) at++
      if (at === name.length) return index
    }
    return -1
  }
}

function bucketOf(bytes: Uint8Array, start: number, end: number): number {
  return start === end ? 0 : ((end - start) * 37 + (bytes[start] as number) * 5 + (bytes[end - 1] as number)) & (NAME_SLOTS - 1)
}

export class GeneralScanner {
  readonly #names: NameTable
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #into: DecodedColumns

  constructor(into: DecodedColumns) {
    const encoder = new TextEncoder()
    this.#into = into
    this.#names = new NameTable(into.slots.map((slot) => encoder.encode(slot.field.name)))
  }

  bind(bytes: Uint8Array, view: DataView, into: DecodedColumns): void {
    this.#bytes = bytes
    this.#view = view
    this.#into = into
  }

  /** Decodes the record bytes[start .. end) as row `row`, or rejects it. A negative start is a record without a value. */
  row(row: number, start: number, end: number): void {
    const into = this.#into
    if (start < 0) {
      into.status[row] = ROW_NULL
      return
    }
    into.status[row] = ROW_OK
    if (!this.#scan(row, start, end)) decodeExactly(this.#bytes, this.#view, start, end, row, into)
  }

  #scan(row: number, start: number, end: number): boolean {
    const bytes = this.#bytes
    const view = this.#view
    const slots = this.#into.slots
    const stamp = row + 1
    let found = 0
    let at = skipSpace(bytes, start, end)
    if (at >= end || bytes[at] !== 123) return false
    at = skipSpace(bytes, at + 1, end)
    if (at < end && bytes[at] === 125) at++
    else {
      for (;;) {
        if (at >= end || bytes[at] !== 34) return false
        const quote = stringEnd(bytes, view, at + 1, end)
        if (quote < 0) return false
        const index = this.#names.find(bytes, at + 1, quote)
        at = quote + 1
        if (bytes[at] !== 58) at = skipSpace(bytes, at, end)
        if (at >= end || bytes[at] !== 58) return false
        at++
        if ((bytes[at] as number) <= 32) at = skipSpace(bytes, at, end)
        if (index < 0) at = skipValue(bytes, view, at, end, 1)
        else {
          const slot = slots[index] as FieldSlot
          if (slot.seen === stamp) return false
          slot.seen = stamp
          found++
          at = this.store(slot, row, at, end)
        }
        if (at === FAIL || at >= end) return false
        if ((bytes[at] as number) <= 32) at = skipSpace(bytes, at, end)
        const byte = at < end ? bytes[at] : 0
        at++
        if (byte === 125) break
        if (byte !== 44) return false
        if ((bytes[at] as number) <= 32) at = skipSpace(bytes, at, end)
      }
    }
    if (at !== end && skipSpace(bytes, at, end) !== end) return false
    return found === slots.length || this.#missing(row, stamp)
  }

  #missing(row: number, stamp: number): boolean {
    for (const slot of this.#into.slots) {
      if (slot.seen === stamp) continue
      if (!slot.field.nullable) return false
      slot.setNull(row)
    }
    return true
  }

  /** Stores the value at `at` and returns the position behind it, or FAIL where decodeExactly has to decide. */
  store(slot: FieldSlot, row: number, at: number, end: number): number {
    const bytes = this.#bytes
    if (at >= end) return FAIL
    if (slot.field.nullable) {
      if (bytes[at] === 110) {
        if (at + 4 > end || this.#view.getInt32(at, true) !== NULL_WORD) return FAIL
        slot.setNull(row)
        return at + 4
      }
      slot.validity[row] = 1
    }
    switch (slot.kind) {
      case 'f64':
        return floatInto(bytes, at, end, slot.f64, row)
      case 'i64':
        return integerInto(bytes, at, end, slot.f64, row)
      case 'string':
        return this.#string(slot, row, at, end)
      case 'time':
        return bytes[at] === 34 ? this.#time(slot, row, at, end) : integerInto(bytes, at, end, slot.f64, row)
      case 'bool': {
        const next = skipLiteral(bytes, this.#view, at, end)
        if (next === FAIL || bytes[at] === 110) return FAIL
        slot.u8[row] = this.#view.getInt32(at, true) === TRUE_WORD ? 1 : 0
        return next
      }
      case 'i32': {
        const next = integerInto(bytes, at, end, slot.f64, row)
        const value = slot.f64[row] as number
        if (next === FAIL || value !== (value | 0)) return FAIL
        slot.i32[row] = value
        return next
      }
      case 'bigint':
        return this.#bigint(slot, row, at, end)
      case 'decimal': {
        const { type } = slot.field
        return type.kind === 'decimal' ? decimalInto(bytes, at, end, slot.f64, row, type.precision, type.scale) : FAIL
      }
      case 'json': {
        const next = bytes[at] === 110 ? FAIL : skipValue(bytes, this.#view, at, end, 1)
        slot.starts[row] = at
        slot.ends[row] = next
        return next
      }
      default:
        return this.#nested(slot, row, at, end)
    }
  }

  #string(slot: FieldSlot, row: number, at: number, end: number): number {
    const bytes = this.#bytes
    if (bytes[at] !== 34) return FAIL
    const start = at + 1
    const quote = stringEnd(bytes, this.#view, start, end)
    if (quote < 0) return this.escaped(slot, row, start, quote)
    slot.starts[row] = start
    slot.ends[row] = quote
    if (slot.interner !== null) slot.ids[row] = slot.interner.intern(bytes, this.#view, start, quote)
    return quote + 1
  }

  /** Stores a string with escapes whose content starts at `start`; `quote` as `stringEnd` returned it. */
  escaped(slot: FieldSlot, row: number, start: number, quote: number): number {
    if (quote === FAIL) return FAIL
    const end = escapedEnd(quote)
    const { arena } = slot
    const from = arena.at
    if (!unescape(this.#bytes, start, end, arena)) return FAIL
    storeFromArena(slot, row, from, arena.at)
    return end + 1
  }

  #time(slot: FieldSlot, row: number, at: number, end: number): number {
    const quote = stringEnd(this.#bytes, this.#view, at + 1, end)
    if (quote < 0) return FAIL
    const time = parseTimeBytes(this.#bytes, at + 1, quote)
    slot.f64[row] = time
    return Number.isNaN(time) ? FAIL : quote + 1
  }

  #bigint(slot: FieldSlot, row: number, at: number, end: number): number {
    const bytes = this.#bytes
    let next = at + (bytes[at] === 45 ? 1 : 0)
    const first = next
    while (next < end && ((bytes[next] as number) - 48) >>> 0 <= 9) next++
    if (next - first <= 15 || (bytes[first] === 48 && next - first > 1)) return integerInto(bytes, at, end, slot.f64, row)
    const after = next < end ? (bytes[next] as number) : 0
    if (next - first > 19 || after === 46 || (after | 32) === 101) return FAIL
    const value = BigInt(latin1Text(bytes, at, next))
    if (BigInt.asIntN(64, value) !== value) return FAIL
    slot.f64[row] = Number(value)
    if (!Number.isSafeInteger(slot.f64[row])) slot.big.set(row, value)
    return next
  }

  /** Lists, structs, base64: the value's text goes through JSON.parse. */
  #nested(slot: FieldSlot, row: number, at: number, end: number): number {
    const next = skipValue(this.#bytes, this.#view, at, end, 1)
    if (next === FAIL) return FAIL
    const problems: Problem[] = []
    const value = coerce(slot.field.type, false, parseExact(utf8Text(this.#bytes, at, next)), [], problems)
    if (problems.length > 0) return FAIL
    if (slot.isRead) slot.nested.set(row, value)
    return next
  }
}
