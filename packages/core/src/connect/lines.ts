// What the records of a file become: lines of JSON are appended as they are; records of CSV become JSON objects.
//
// A record that cannot be one is appended too, with ERROR_HEADER: CSV that does not fit its header as the bytes of its line; a record
// beyond the limit as its first bytes and a sentence, so that it is not JSON whatever those bytes are.
import { csvDecoder, csvSplitter } from '../codec/csv.ts'
import { columnValue, withBytes } from '../codec/column-value.ts'
import type { Column, Field } from '../codec/column.ts'
import { type DecodedColumns, ROW_OK } from '../codec/decoded-columns.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { jsonDecoder, type RecordDecoder } from '../codec/json/decoder.ts'
import { JsonEncoder } from '../codec/json/encoder.ts'
import { ndjsonSplitter } from '../codec/ndjson.ts'
import type { RecordSplitter, RecordSplitterOptions, RefusedRecord, SplitBatch } from '../codec/record-splitter.ts'
import { writeUtf8 } from '../codec/utf8.ts'
import { ERROR_HEADER, type RecordAppender } from './source.ts'

/** Bytes of a record beyond the limit that are kept: enough to know it again. */
const CUT_BYTES = 4096

/** Reads bytes of the file again, for records that the splitter has thrown away. */
export type ReadAgain = (position: number, bytes: number) => Uint8Array

export interface LineFormat {
  splitter(options: RecordSplitterOptions): RecordSplitter
  /** Appends the records of a batch, in order. */
  append(batch: SplitBatch, into: RecordAppender, timeMs: number, again: ReadAgain): void
}

const encoder = new TextEncoder()

function errorHeader(code: string): readonly { readonly key: string; readonly value: Uint8Array }[] {
  return [{ key: ERROR_HEADER, value: encoder.encode(code) }]
}

/** Appends the beginning of a record that is too large. `start`: its first bytes, at least CUT_BYTES of them if it has so many. */
function appendCut(start: Uint8Array, bytes: number, line: number, into: RecordAppender, timeMs: number): void {
  let end = Math.min(start.length, CUT_BYTES)
  if (end < bytes) {
    // The cut may lie inside a character of UTF-8: the last one that is not ASCII goes.
    while (end > 0 && ((start[end - 1] as number) & 0xc0) === 0x80) end--
    if (end > 0 && (start[end - 1] as number) >= 0xc0) end--
  }
  const note = encoder.encode(` … cut off: line ${line} has ${bytes} bytes`)
  const value = new Uint8Array(end + note.length)
  value.set(start.subarray(0, end))
  value.set(note, end)
  into.append(null, value, timeMs, errorHeader('MR_CODEC_TOO_LARGE'))
}

/** The records that the splitter has thrown away, each at its place among the others. */
class RefusedRecords {
  readonly #batch: SplitBatch
  readonly #into: RecordAppender
  readonly #timeMs: number
  readonly #again: ReadAgain
  #next = 0

  constructor(batch: SplitBatch, into: RecordAppender, timeMs: number, again: ReadAgain) {
    this.#batch = batch
    this.#into = into
    this.#timeMs = timeMs
    this.#again = again
  }

  /** Appends those before `line`. */
  before(line: number): void {
    const { refused } = this.#batch
    for (; this.#next < refused.length; this.#next++) {
      const record = refused[this.#next] as RefusedRecord
      if (record.line >= line) return
      appendCut(this.#again(record.position, Math.min(CUT_BYTES, record.bytes)), record.bytes, record.line, this.#into, this.#timeMs)
    }
  }
}

/** Key bytes of decoded rows: a text is its own bytes, anything else its JSON text. */
class KeyColumn {
  readonly #field: Field
  readonly #index: number
  readonly #text = new GrowingBytes(64)
  start = 0
  end = 0
  data: Uint8Array | null = null

  constructor(fields: readonly Field[], name: string) {
    this.#index = fields.findIndex((field) => field.name === name)
    this.#field = fields[this.#index] as Field
  }

  /** Length of the key. */
  get bytes(): number {
    return this.data === null ? 0 : this.end - this.start
  }

  /** Puts the key of a row into `data`, `start` and `end`; `data` is null when there is none. */
  read(columns: readonly (Column | null)[], row: number): void {
    this.data = null
    const column = columns[this.#index]
    if (column === null || column === undefined || (column.validity !== null && column.validity[row] !== 1)) return
    if (this.#field.type.kind === 'string') {
      withBytes(column, row, (data, start, end) => {
        this.data = data
        this.start = start
        this.end = end
      })
      return
    }
    const value = columnValue(column, this.#field.type, row)
    const text = typeof value === 'bigint' ? value.toString() : (JSON.stringify(value) ?? 'null')
    this.#text.reset()
    this.#text.reserve(text.length * 3)
    this.start = 0
    this.end = writeUtf8(this.#text.bytes, 0, text)
    this.data = this.#text.bytes
  }
}

/** Lines of JSON. Without a key nothing is decoded; with one, a line whose key cannot be read has none. */
export class NdjsonLines implements LineFormat {
  readonly #decoder: RecordDecoder | null
  readonly #decoded: DecodedColumns | null
  readonly #key: KeyColumn | null
  readonly #recordBytesMax: number

  /** @param recordBytesMax Bytes of the largest record that the topic takes, key and value together. */
  constructor(fields: readonly Field[] | null, keyField: string | null, recordBytesMax: number) {
    this.#recordBytesMax = recordBytesMax
    if (keyField === null) {
      this.#decoder = this.#decoded = this.#key = null
      return
    }
    const known = fields?.filter((field) => field.name === keyField) ?? []
    // Only the key is looked at: what else is wrong with a record, the decoder of the topic will say.
    const wanted: readonly Field[] = known.length > 0 ? known : [{ name: keyField, type: { kind: 'string' }, nullable: true }]
    this.#key = new KeyColumn(wanted, keyField)
    this.#decoder = jsonDecoder(wanted, [0])
    this.#decoded = this.#decoder.columns()
  }

  splitter(options: RecordSplitterOptions): RecordSplitter {
    return ndjsonSplitter(options)
  }

  append(batch: SplitBatch, into: RecordAppender, timeMs: number, again: ReadAgain): void {
    const { bytes, starts, ends, lines, count } = batch
    const refused = new RefusedRecords(batch, into, timeMs, again)
    const hasRefused = batch.refused.length > 0
    const key = this.#key
    if (this.#decoded !== null) this.#decoder?.decode(bytes, starts, ends, count, this.#decoded)
    for (let row = 0; row < count; row++) {
      if (hasRefused) refused.before(lines[row] as number)
      const start = starts[row] as number
      const end = ends[row] as number
      if (key === null) into.appendRange(null, 0, 0, bytes, start, end, timeMs)
      else this.#appendKeyed(key, row, bytes, start, end, lines[row] as number, into, timeMs)
    }
    refused.before(Number.POSITIVE_INFINITY)
  }

  #appendKeyed(
    key: KeyColumn,
    row: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    line: number,
    into: RecordAppender,
    timeMs: number,
  ): void {
    const decoded = this.#decoded as DecodedColumns
    key.read(decoded.status[row] === ROW_OK ? decoded.columns : [], row)
    if (end - start + key.bytes > this.#recordBytesMax) appendCut(bytes.subarray(start, end), end - start, line, into, timeMs)
    else into.appendRange(key.data, key.start, key.end, bytes, start, end, timeMs)
  }
}

/** Records of CSV as JSON objects with the fields of the topic, or, without fields, with every column of the header as a text. */
export class CsvLines implements LineFormat {
  readonly #decoder: RecordDecoder
  readonly #decoded: DecodedColumns
  readonly #encoder: JsonEncoder
  readonly #key: KeyColumn | null
  readonly #separator: string
  readonly #recordBytesMax: number

  /** @throws {MillraceError} `MR_CODEC_CSV_INVALID` when the header lacks a required field, or names a field twice. */
  constructor(
    fields: readonly Field[] | null,
    header: readonly string[],
    keyField: string | null,
    separator: string,
    recordBytesMax: number,
  ) {
    const own = fields ?? header.map((name): Field => ({ name, type: { kind: 'string' }, nullable: true }))
    const all = own.map((_, index) => index)
    this.#separator = separator
    this.#recordBytesMax = recordBytesMax
    this.#decoder = csvDecoder(own, all, { header, separator })
    this.#decoded = this.#decoder.columns()
    this.#encoder = new JsonEncoder(own)
    this.#key = keyField === null || !own.some((field) => field.name === keyField) ? null : new KeyColumn(own, keyField)
  }

  splitter(options: RecordSplitterOptions): RecordSplitter {
    return csvSplitter({ separator: this.#separator, ...options })
  }

  append(batch: SplitBatch, into: RecordAppender, timeMs: number, again: ReadAgain): void {
    const { bytes, starts, ends, lines, count } = batch
    const refused = new RefusedRecords(batch, into, timeMs, again)
    const decoded = this.#decoded
    this.#decoder.decode(bytes, starts, ends, count, decoded)
    this.#encoder.encode(decoded.columns, decoded.selected, decoded.selectedCount)
    let good = 0
    let bad = 0
    for (let row = 0; row < count; row++) {
      const line = lines[row] as number
      refused.before(line)
      const record = bytes.subarray(starts[row], ends[row])
      if (decoded.status[row] === ROW_OK) this.#appendRow(row, good++, record, line, into, timeMs)
      else into.append(null, record, timeMs, errorHeader(decoded.errors[bad++]?.code ?? 'MR_CODEC_CSV_INVALID'))
    }
    refused.before(Number.POSITIVE_INFINITY)
  }

  #appendRow(row: number, good: number, record: Uint8Array, line: number, into: RecordAppender, timeMs: number): void {
    const { bytes, offsets } = this.#encoder
    const start = offsets[good] as number
    const end = offsets[good + 1] as number
    const key = this.#key
    key?.read(this.#decoded.columns, row)
    // JSON is longer than the line it comes from.
    if (end - start + (key?.bytes ?? 0) > this.#recordBytesMax) appendCut(record, record.length, line, into, timeMs)
    else into.appendRange(key?.data ?? null, key?.start ?? 0, key?.end ?? 0, bytes, start, end, timeMs)
  }
}
