// Columns to JSON records, byte by byte and without an object per row. One object per row with every field, null where the row has none.
// Law: JSON.parse(record) equals the row, and the bytes are those of JSON.stringify(row) where that is defined: not for bigint (written as its
// digits), bytes (base64) and json (the carried text without white space) (json/encoder.property.test.ts).
import { unreachable } from '../../base/assert.ts'
import { columnValue, withBytes } from '../column-value.ts'
import type { Column, Field } from '../column.ts'
import { encodeBase64 } from '../base64.ts'
import { generate } from '../generate.ts'
import { GrowingBytes } from '../growing-bytes.ts'
import { writeUtf8 } from '../utf8.ts'
import { type EncodedShape, encoderSource, memberEnd, memberStart, RUNTIME } from './encoder-source.ts'
import { jsonText } from './exact.ts'
import { NUMBER_BYTES_MAX, writeBool, writeInteger, writeNull, writeNumber } from './write-number.ts'
import { stringBytesMax, writeCompact, writeString } from './write-string.ts'

/** Appends `count` rows to `into`; row i starts at offsets[i] and ends where the next one starts, the last at `into.at`. */
export type RowEncoder = (
  into: GrowingBytes,
  columns: readonly (Column | null)[],
  rows: Int32Array | null,
  count: number,
  offsets: Int32Array,
) => void

export interface JsonEncoderOptions {
  /** False where `new Function` is forbidden, and for the oracle. Default true. */
  readonly codegen?: boolean
  /** True: a line feed behind every record, which then ends one byte before the next one starts. Default false. */
  readonly lines?: boolean
  /** True: a record is the array of the values, in the order of the fields, at least one. Default false. */
  readonly arrays?: boolean
}

/** Fields in the order in which a JavaScript object lists them: names that are array indexes come first. */
export function objectOrder(fields: readonly Field[]): number[] {
  const byName = new Map(fields.map((field, index) => [field.name, index]))
  return Object.keys(Object.fromEntries(fields.map((field) => [field.name, 0]))).map((name) => byName.get(name) ?? 0)
}

export class JsonEncoder {
  offsets: Int32Array = new Int32Array(1025)
  readonly #into = new GrowingBytes(64 * 1024)
  readonly #encode: RowEncoder

  constructor(fields: readonly Field[], options: JsonEncoderOptions = {}) {
    this.#encode = rowEncoder(fields, options)
  }

  /** Record i of the last call is bytes[offsets[i] .. offsets[i + 1]); valid until the next call. */
  get bytes(): Uint8Array {
    return this.#into.bytes
  }

  /** Encodes `count` rows: those numbered in `rows`, or 0..count-1. columns[i] belongs to field i; a column that is null counts as nulls. */
  encode(columns: readonly (Column | null)[], rows: Int32Array | null, count: number): void {
    this.#start(count)
    this.#encode(this.#into, columns, rows, count, this.offsets)
    this.offsets[count] = this.#into.at
  }

  /** The same for rows that are JavaScript values. One that cannot be written (a cycle, a getter that throws) has no bytes and goes to `refuse`. */
  encodeValues(values: readonly unknown[], rows: Int32Array | null, count: number, refuse: (index: number, error: unknown) => void): void {
    this.#start(count)
    const into = this.#into
    for (let i = 0; i < count; i++) {
      this.offsets[i] = into.at
      try {
        const text = jsonText(values[rows === null ? i : (rows[i] as number)])
        into.reserve(text.length * 3)
        into.at = writeUtf8(into.bytes, into.at, text)
      } catch (error) {
        refuse(i, error)
      }
    }
    this.offsets[count] = into.at
  }

  #start(count: number): void {
    this.#into.reset()
    if (this.offsets.length <= count) this.offsets = new Int32Array(count * 2 + 1)
  }
}

/** A function that appends a record to a buffer of the caller's. */
export function rowEncoder(fields: readonly Field[], options: JsonEncoderOptions = {}): RowEncoder {
  const shape = { lines: options.lines ?? false, arrays: options.arrays ?? false }
  return (options.codegen ?? true) ? generatedEncoder(fields, shape) : interpretedEncoder(fields, shape)
}

function orderOf(fields: readonly Field[], { arrays }: EncodedShape): number[] {
  return arrays ? fields.map((_, index) => index) : objectOrder(fields)
}

function generatedEncoder(fields: readonly Field[], shape: EncodedShape): RowEncoder {
  return generate('runtime', { ...RUNTIME, writeValue }, encoderSource(fields, orderOf(fields, shape), shape)) as RowEncoder
}

function interpretedEncoder(fields: readonly Field[], shape: EncodedShape): RowEncoder {
  const encoder = new TextEncoder()
  const members = orderOf(fields, shape).map((index, place) => {
    const field = fields[index] as Field
    return { index, field, literal: encoder.encode(memberStart(field, place, shape.arrays)) }
  })
  return (into, columns, rows, count, offsets) => {
    for (let i = 0; i < count; i++) {
      offsets[i] = into.at
      const row = rows === null ? i : (rows[i] as number)
      for (const { index, field, literal } of members) {
        into.copy(literal, 0, literal.length)
        writeValue(into, columns[index] ?? null, field, row)
      }
      into.u8(memberEnd(shape.arrays))
      if (shape.lines) into.u8(10)
    }
  }
}

/** Writes the value of any column and kind. */
export function writeValue(into: GrowingBytes, column: Column | null, field: Pick<Field, 'type'>, row: number): void {
  into.reserve(NUMBER_BYTES_MAX)
  const { type } = field
  if (column === null || (column.validity !== null && column.validity[row] !== 1)) {
    into.at = writeNull(into.bytes, into.at)
    return
  }
  switch (column.layout) {
    case 'bool':
      into.at = writeBool(into.bytes, into.at, column.values[row] as number)
      return
    case 'i32':
      into.at = writeInteger(into.bytes, into.at, column.values[row] as number)
      return
    case 'f64':
    case 'i64': {
      const value = column.values[row] as number | bigint
      if (type.kind === 'decimal') writeAscii(into, `"${String(columnValue(column, type, row))}"`)
      else if (typeof value === 'bigint') writeAscii(into, value.toString())
      else into.at = writeNumber(into.bytes, into.at, value)
      return
    }
    case 'bytes':
    case 'slice':
    case 'dictionary':
      withBytes(column, row, (data, start, end) => {
        into.reserve(stringBytesMax(end - start))
        if (type.kind === 'bytes') writeAscii(into, `"${encodeBase64(data, start, end)}"`)
        else if (type.kind === 'json') into.at = writeCompact(into.bytes, into.at, data, start, end)
        else into.at = writeString(into.bytes, into.at, data, start, end)
      })
      return
    case 'list': {
      if (type.kind !== 'list') throw new TypeError('a list column belongs to a list field')
      into.u8(91)
      const first = column.offsets[row] as number
      for (let item = first; item < (column.offsets[row + 1] as number); item++) {
        if (item > first) into.u8(44)
        writeValue(into, column.items, { type: type.item }, item)
      }
      into.u8(93)
      return
    }
    case 'struct':
      if (type.kind !== 'struct') throw new TypeError('a struct column belongs to a struct field')
      into.u8(123)
      objectOrder(type.fields).forEach((index, place) => {
        const child = type.fields[index] as Field
        writeAscii(into, `${place === 0 ? '' : ','}${JSON.stringify(child.name)}:`)
        writeValue(into, column.children[index] ?? null, child, row)
      })
      into.u8(125)
      return
    case 'variant':
      writeAscii(into, jsonText(column.values[row]))
      return
    default:
      unreachable(column, 'column layout')
  }
}

function writeAscii(into: GrowingBytes, text: string): void {
  into.reserve(text.length * 3)
  into.at = writeUtf8(into.bytes, into.at, text)
}
