// Keys as bytes: canonical (equal values <=> equal bytes) and, except for json, variant, list and struct, ordered like the values when
// compared as unsigned bytes, nulls first.
//   nullable field   0 = null, 1 = a value follows
//   bool             1 byte
//   i32, i64, time, decimal   big endian with the sign bit flipped, 4 or 8 bytes
//   f64              big endian; sign bit flipped when positive, all bits flipped when negative; -0 is 0, every NaN is one NaN
//   string, bytes    as they are when last, so that a single string is its own bytes; else 00 becomes 00 FF, and 00 00 ends the field
//   json, variant, list, struct   tagged, canonical (tagged.ts)
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { columnBuilder } from './column-builder.ts'
import { columnValue, withBytes } from './column-value.ts'
import { decimalText } from './coerce.ts'
import type { Column, Field } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { TaggedReader, writeTagged } from './tagged.ts'
import { utf8Text } from './utf8.ts'

/** Encodes keys; key i of the last call is bytes[offsets[i] .. offsets[i + 1]), valid until the next call. */
export class KeyWriter {
  readonly #fields: readonly Field[]
  readonly #into = new GrowingBytes(4096)
  offsets: Int32Array = new Int32Array(1025)

  constructor(fields: readonly Field[]) {
    this.#fields = fields
  }

  get bytes(): Uint8Array {
    return this.#into.bytes
  }

  /** Encodes `count` keys: rows numbered in `rows`, or 0..count-1 when it is null. columns[i] belongs to fields[i]. */
  encode(columns: readonly Column[], rows: Int32Array | null, count: number): void {
    if (this.offsets.length <= count) this.offsets = new Int32Array(count * 2 + 1)
    const into = this.#into
    into.reset()
    if (this.#byColumn(columns, rows, count)) return
    for (let i = 0; i < count; i++) {
      this.offsets[i] = into.at
      const row = rows === null ? i : (rows[i] as number)
      for (let index = 0; index < this.#fields.length; index++) this.#field(must(columns[index], 'column'), index, row)
    }
    this.offsets[count] = into.at
  }

  /**
   * The usual keys, column by column: fields of fixed width without nulls, and at most one text, which is last. False when this batch is
   * not like that; then it goes row by row. Both write the same bytes.
   */
  #byColumn(columns: readonly Column[], rows: Int32Array | null, count: number): boolean {
    let fixed = 0
    for (let index = 0; index < this.#fields.length; index++) {
      const width = this.#width(must(this.#fields[index], 'field'), must(columns[index], 'column'))
      if (width < 0 || (width === 0 && index < this.#fields.length - 1)) return false
      fixed += width + (this.#fields[index]?.nullable === true ? 1 : 0)
    }
    this.#place(must(columns.at(-1), 'column'), rows, count, fixed)
    let within = 0
    for (let index = 0; index < this.#fields.length; index++) {
      const field = must(this.#fields[index], 'field')
      const column = must(columns[index], 'column')
      if (field.nullable) {
        const { bytes } = this.#into
        for (let i = 0; i < count; i++) bytes[(this.offsets[i] as number) + within] = 1
        within++
      }
      this.#writeColumn(field, column, rows, count, within)
      within += this.#width(field, column)
    }
    return true
  }

  /** Bytes of a fixed field, 0 for a text, -1 for what goes row by row. */
  #width(field: Field, column: Column): number {
    if (column.validity !== null) return -1
    switch (field.type.kind) {
      case 'i32':
        return column.layout === 'i32' ? 4 : -1
      case 'i64':
      case 'time':
      case 'decimal':
      case 'f64':
        return column.layout === 'f64' ? 8 : -1
      case 'string':
      case 'bytes':
        return column.layout === 'slice' || column.layout === 'bytes' || column.layout === 'dictionary' ? 0 : -1
      default:
        return -1
    }
  }

  /** Offsets of all keys: `fixed` bytes each, and the length of the text at the end. */
  #place(last: Column, rows: Int32Array | null, count: number, fixed: number): void {
    const offsets = this.offsets
    let at = 0
    for (let i = 0; i < count; i++) {
      offsets[i] = at
      at += fixed
      const row = rows === null ? i : (rows[i] as number)
      if (last.layout === 'slice') at += (last.ends[row] as number) - (last.starts[row] as number)
      else if (last.layout === 'bytes') at += (last.offsets[row + 1] as number) - (last.offsets[row] as number)
      else if (last.layout === 'dictionary') {
        const id = last.ids[row] as number
        at += (last.dictionary.offsets[id + 1] as number) - (last.dictionary.offsets[id] as number)
      }
    }
    offsets[count] = at
    this.#into.reserve(at)
    this.#into.at = at
  }

  #writeColumn(field: Field, column: Column, rows: Int32Array | null, count: number, within: number): void {
    const { bytes, view } = this.#into
    const offsets = this.offsets
    if (column.layout === 'i32') {
      for (let i = 0; i < count; i++)
        view.setInt32((offsets[i] as number) + within, (column.values[rows === null ? i : (rows[i] as number)] as number) ^ 0x80000000)
    } else if (column.layout === 'f64' && field.type.kind === 'f64') {
      for (let i = 0; i < count; i++)
        putFloat(view, (offsets[i] as number) + within, column.values[rows === null ? i : (rows[i] as number)] as number)
    } else if (column.layout === 'f64') {
      for (let i = 0; i < count; i++) {
        const value = column.values[rows === null ? i : (rows[i] as number)] as number
        const high = Math.floor(value / 4294967296)
        const at = (offsets[i] as number) + within
        view.setInt32(at, high ^ 0x80000000)
        view.setInt32(at + 4, value - high * 4294967296)
      }
    } else if (column.layout === 'slice') {
      for (let i = 0; i < count; i++) {
        const row = rows === null ? i : (rows[i] as number)
        putBytes(bytes, (offsets[i] as number) + within, column.data, column.starts[row] as number, column.ends[row] as number)
      }
    } else if (column.layout === 'bytes' || column.layout === 'dictionary') {
      const texts = column.layout === 'bytes' ? column : column.dictionary
      for (let i = 0; i < count; i++) {
        const row = rows === null ? i : (rows[i] as number)
        const id = column.layout === 'bytes' ? row : (column.ids[row] as number)
        putBytes(bytes, (offsets[i] as number) + within, texts.data, texts.offsets[id] as number, texts.offsets[id + 1] as number)
      }
    }
  }

  #field(column: Column, index: number, row: number): void {
    const field = must(this.#fields[index], 'field')
    const into = this.#into
    if (field.nullable) {
      const present = column.validity === null || column.validity[row] === 1
      into.u8(present ? 1 : 0)
      if (!present) return
    }
    switch (field.type.kind) {
      case 'bool':
        return into.u8(columnValue(column, field.type, row) === true ? 1 : 0)
      case 'i32':
        into.reserve(4)
        into.view.setInt32(into.at, Number(columnValue(column, field.type, row)) ^ 0x80000000)
        into.at += 4
        return
      case 'i64':
      case 'time':
      case 'decimal': {
        if (column.layout !== 'f64' && column.layout !== 'i64') throw new TypeError('an integer column has the layout f64 or i64')
        const value = column.values[row] as number | bigint
        into.reserve(8)
        into.view.setBigInt64(into.at, BigInt.asIntN(64, BigInt(value) ^ SIGN))
        into.at += 8
        return
      }
      case 'f64':
        return writeFloat(into, Number(columnValue(column, field.type, row)))
      case 'string':
      case 'bytes':
        return index === this.#fields.length - 1 ? withBytes(column, row, this.#raw) : withBytes(column, row, this.#escaped)
      default:
        return writeTagged(into, columnValue(column, field.type, row), true)
    }
  }

  readonly #raw = (data: Uint8Array, start: number, end: number): void => this.#into.copy(data, start, end)

  readonly #escaped = (data: Uint8Array, start: number, end: number): void => {
    const into = this.#into
    into.reserve((end - start) * 2 + 2)
    const bytes = into.bytes
    let at = into.at
    for (let from = start; from < end; from++) {
      const byte = data[from] as number
      bytes[at++] = byte
      if (byte === 0) bytes[at++] = 0xff
    }
    bytes[at++] = 0
    bytes[at++] = 0
    into.at = at
  }
}

const SIGN = 1n << 63n

function writeFloat(into: GrowingBytes, value: number): void {
  into.reserve(8)
  putFloat(into.view, into.at, value)
  into.at += 8
}

function putFloat(view: DataView, at: number, value: number): void {
  view.setFloat64(at, Number.isNaN(value) ? NaN : value + 0)
  const high = view.getInt32(at)
  view.setInt32(at, high ^ (high < 0 ? -1 : 0x80000000))
  if (high < 0) view.setInt32(at + 4, ~view.getInt32(at + 4))
}

/** Short texts are copied by hand: a call to set() costs more than 24 byte stores. */
function putBytes(into: Uint8Array, at: number, data: Uint8Array, start: number, end: number): void {
  if (end - start > 24) into.set(data.subarray(start, end), at)
  else for (let from = start; from < end; from++) into[at++] = data[from] as number
}

/** The values of a key, as lambdas see them. Throws `MR_CODEC_BATCH_CORRUPT` when the bytes are no key of these fields. */
export function readKey(fields: readonly Field[], bytes: Uint8Array, start: number, end: number): unknown[] {
  const { values, at } = readFields(fields, bytes, start, end, 0, fields.length)
  if (at !== end) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a key has bytes behind its last field.' })
  return values
}

/** One value of a key, at `index`; what stands before it is passed over. Throws as `readKey` does. */
export function readKeyField(fields: readonly Field[], bytes: Uint8Array, index: number): unknown {
  let at = 0
  for (let before = 0; before < index; before++) {
    at = behindField(must(fields[before], 'field of the key'), bytes, at)
    // A kind whose end only its value tells: the long way.
    if (at < 0) return readFields(fields, bytes, 0, bytes.length, index, index + 1).values[0]
  }
  const field = must(fields[index], 'field of the key')
  if (field.type.kind === 'time' && !field.nullable && at + 8 <= bytes.length) return timeAt(bytes, at)
  return readFields(fields.slice(index), bytes, at, bytes.length, 0, 1).values[0]
}

/** A time is a whole number within ±2^53: no bigint on the way. */
function timeAt(bytes: Uint8Array, at: number): number {
  const word = (from: number): number =>
    ((bytes[from] as number) << 24) | ((bytes[from + 1] as number) << 16) | ((bytes[from + 2] as number) << 8) | (bytes[from + 3] as number)
  return (word(at) ^ 0x80000000) * 2 ** 32 + (word(at + 4) >>> 0)
}

/** Where the field behind this one begins, when its bytes say it without a value being made; else -1. */
function behindField({ type, nullable }: Field, bytes: Uint8Array, start: number): number {
  if (nullable) return -1
  switch (type.kind) {
    case 'bool':
      return start + 1
    case 'i32':
      return start + 4
    case 'i64':
    case 'time':
    case 'decimal':
    case 'f64':
      return start + 8
    case 'string':
    case 'bytes':
      for (let at = start; at < bytes.length; at++) {
        if (bytes[at] !== 0) continue
        if (bytes[at + 1] === 0) return at + 2
        at++
      }
      return -1
    default:
      return -1
  }
}

/** The values of the fields from `first` up to `until`, and where the one behind them begins. */
function readFields(
  fields: readonly Field[],
  bytes: Uint8Array,
  start: number,
  end: number,
  first: number,
  until: number,
): { readonly values: unknown[]; readonly at: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = start
  const take = (length: number): number => {
    if (at + length > end) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a key ends early.' })
    at += length
    return at - length
  }
  const one = (field: Field, last: boolean): unknown => {
    if (field.nullable && bytes[take(1)] === 0) return null
    const { type } = field
    switch (type.kind) {
      case 'bool':
        return bytes[take(1)] === 1
      case 'i32':
        return view.getInt32(take(4)) ^ 0x80000000
      case 'i64':
      case 'time':
      case 'decimal': {
        const value = BigInt.asIntN(64, view.getBigInt64(take(8)) ^ SIGN)
        if (type.kind === 'decimal') return decimalText(value, type.scale)
        return type.kind === 'i64' && type.big === true ? value : Number(value)
      }
      case 'f64':
        return readFloat(view, take(8))
      case 'string':
      case 'bytes': {
        const plain = last ? bytes.slice(at, end) : unescaped()
        if (last) at = end
        return type.kind === 'bytes' ? plain : utf8Text(plain, 0, plain.length)
      }
      default: {
        const reader = new TaggedReader(bytes, at, end)
        const value = reader.read()
        at = reader.at
        return value
      }
    }
  }
  const unescaped = (): Uint8Array => {
    const plain: number[] = []
    for (;;) {
      const byte = bytes[take(1)] as number
      if (byte === 0 && bytes[take(1)] === 0) return Uint8Array.from(plain)
      plain.push(byte)
    }
  }
  const values: unknown[] = []
  for (let index = 0; index < until; index++) {
    const field = must(fields[index], 'field of the key')
    const value = one(field, index === fields.length - 1)
    if (index >= first) values.push(value)
  }
  return { values, at }
}

function readFloat(view: DataView, at: number): number {
  const high = view.getInt32(at)
  const low = view.getInt32(at + 4)
  const wide = new DataView(new ArrayBuffer(8))
  wide.setInt32(0, high < 0 ? high ^ 0x80000000 : ~high)
  wide.setInt32(4, high < 0 ? low : ~low)
  return wide.getFloat64(0)
}

/** Decodes keys into columns; key i is bytes[starts[i] .. ends[i]). */
export function readKeys(fields: readonly Field[], bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number): Column[] {
  const builders = fields.map((field) => columnBuilder(field.type))
  for (let i = 0; i < count; i++) {
    const values = readKey(fields, bytes, starts[i] as number, ends[i] as number)
    for (let index = 0; index < builders.length; index++) must(builders[index], 'builder').append(values[index])
  }
  return builders.map((builder) => builder.finish())
}
