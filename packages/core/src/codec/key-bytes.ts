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
    const single = this.#fields.length === 1 && !must(this.#fields[0], 'field').nullable ? must(columns[0], 'column') : null
    if (single !== null && single.layout === 'f64' && this.#fields[0]?.type.kind !== 'f64') return this.#integers(single.values, rows, count)
    for (let i = 0; i < count; i++) {
      this.offsets[i] = into.at
      const row = rows === null ? i : (rows[i] as number)
      for (let index = 0; index < this.#fields.length; index++) this.#field(must(columns[index], 'column'), index, row)
    }
    this.offsets[count] = into.at
  }

  #integers(values: Float64Array, rows: Int32Array | null, count: number): void {
    const into = this.#into
    into.reserve(count * 8)
    const view = into.view
    for (let i = 0; i < count; i++) {
      this.offsets[i] = i * 8
      const value = values[rows === null ? i : (rows[i] as number)] as number
      const high = Math.floor(value / 4294967296)
      view.setInt32(i * 8, high ^ 0x80000000)
      view.setInt32(i * 8 + 4, value - high * 4294967296)
    }
    this.offsets[count] = count * 8
    into.at = count * 8
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
  const view = into.view
  view.setFloat64(into.at, Number.isNaN(value) ? NaN : value + 0)
  const high = view.getInt32(into.at)
  const flip = high < 0 ? -1 : 0x80000000
  view.setInt32(into.at, high ^ flip)
  if (high < 0) view.setInt32(into.at + 4, ~view.getInt32(into.at + 4))
  into.at += 8
}

/** The values of a key, as lambdas see them. Throws `MR_CODEC_BATCH_CORRUPT` when the bytes are no key of these fields. */
export function readKey(fields: readonly Field[], bytes: Uint8Array, start: number, end: number): unknown[] {
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
  const values = fields.map((field, index) => one(field, index === fields.length - 1))
  if (at !== end) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a key has bytes behind its last field.' })
  return values
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
