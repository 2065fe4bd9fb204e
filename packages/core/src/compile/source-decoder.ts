// From the records of a source partition to a batch: decodes the columns that the topology reads, and the event time of every row.
// Three ways: our own schemas decode JSON bytes straight into columns; a foreign Standard Schema parses and validates each value, and the
// columns are then made from the results; CSV lines go through the CSV decoder into the same columns.
import type { Batch, Column, Field, RowOrigin } from '../codec/column.ts'
import type { RecordRows } from '../codec/record-rows.ts'
import type { StandardSchemaV1 } from '../codec/standard-schema.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { type ErrorCode, ERRORS, MillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'
import { thrownText } from '../base/thrown-text.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { ROW_NULL } from '../codec/decoded-columns.ts'
import type { DecodedColumns } from '../codec/decoded-columns.ts'
import { jsonDecoder } from '../codec/json/decoder.ts'
import type { RecordDecoder } from '../codec/json/decoder.ts'
import { JSON_DEPTH_MAX, failure, isDocument } from '../codec/json/scan.ts'
import { readHeaders } from '../codec/record-rows.ts'
import { utf8Text } from '../codec/utf8.ts'
import { ERROR_HEADER } from '../connect/source.ts'
import { atOnceWithin, disarm, isPromise } from '../operators/synchronous.ts'

export interface RejectedRow {
  readonly row: number
  readonly error: MillraceError
}

export interface SourceRows {
  /** All records, in order. `selected` leaves out the bad ones. Valid until the next decode. */
  readonly batch: Batch
  /** Bad rows, ascending, each with its error (MR_CODEC_*, MR_SCHEMA_REFUSED, MR_TIME_NEGATIVE). Their `times` are NaN. */
  readonly rejected: readonly RejectedRow[]
}

export interface SourceDecoder {
  /** Rows of `rows` (record bytes stay where they are: the batch's origin refers to them). */
  decode(rows: RecordRows, partition: number): SourceRows
}

export interface SourceDecoderOptions {
  /** Indexes of the fields that somebody reads as columns. */
  readonly needed: readonly number[]
  /** Indexes of text fields that are worth a dictionary: group keys and texts compared with constants. */
  readonly dictionary: readonly number[]
  /** The topic is read as a table: a record without value deletes its key. */
  readonly table: boolean
  readonly codegen: boolean
}

export function sourceDecoder(topic: AnyTopic, options: SourceDecoderOptions): SourceDecoder {
  if (topic.foreignSchema !== null && topic.foreignSchema !== undefined)
    return new ForeignDecoder(topic, topic.foreignSchema as StandardSchemaV1, options)
  return new ColumnDecoder(topic, options)
}

function originOf(topic: AnyTopic, rows: RecordRows, partition: number): RowOrigin {
  return {
    topic: topic.name,
    partition,
    bytes: rows.bytes,
    valueStarts: rows.valueStarts,
    valueEnds: rows.valueEnds,
    keyStarts: rows.keyStarts,
    keyEnds: rows.keyEnds,
    offsets: rows.offsets,
  }
}

function refusal(
  topic: AnyTopic,
  rows: RecordRows,
  partition: number,
  row: number,
  code: MillraceError['code'],
  message: string,
  more: Readonly<Record<string, string | number>> = {},
): RejectedRow {
  return {
    row,
    error: new MillraceError(code, { message, details: { topic: topic.name, partition, offset: rows.offsets[row] as number, ...more } }),
  }
}

/** Rows that their source has marked as bad, with the code it gave; null when there are none, which costs a comparison per row. */
function markedRows(rows: RecordRows): ReadonlyMap<number, ErrorCode> | null {
  let marked: Map<number, ErrorCode> | null = null
  for (let row = 0; row < rows.count; row++) {
    if ((rows.headerStarts[row] as number) < 0) continue
    const value = readHeaders(rows, row).find((header) => header.key === ERROR_HEADER)?.value
    const code = value === undefined || value === null ? '' : utf8Text(value, 0, value.length)
    if (Object.hasOwn(ERRORS, code)) (marked ??= new Map<number, ErrorCode>()).set(row, code as ErrorCode)
  }
  return marked
}

class ColumnDecoder implements SourceDecoder {
  readonly #topic: AnyTopic
  readonly #decoder: RecordDecoder
  readonly #into: DecodedColumns
  readonly #eventTime: number
  readonly #keyField: number
  readonly #table: boolean
  #times = new Float64Array(0)
  #selected = new Int32Array(0)

  constructor(topic: AnyTopic, options: SourceDecoderOptions) {
    const fields = topic.fields ?? []
    this.#topic = topic
    this.#table = options.table
    this.#eventTime = topic.eventTime === null ? -1 : fields.findIndex((field) => field.name === topic.eventTime)
    this.#keyField = topic.keyField === null ? -1 : fields.findIndex((field) => field.name === topic.keyField)
    const wanted = new Set(options.needed)
    if (this.#eventTime >= 0) wanted.add(this.#eventTime)
    if (this.#table && this.#keyField >= 0) wanted.add(this.#keyField)
    if (topic.format !== 'json')
      throw new MillraceError('MR_CODEC_UNSUPPORTED', {
        message: `a pipeline reads topics of format json, not ${topic.format}.`,
        details: { topic: topic.name },
      })
    this.#decoder = jsonDecoder(
      fields,
      [...wanted].sort((a, b) => a - b),
      { dictionary: this.#table ? [] : options.dictionary, codegen: options.codegen, checked: true },
    )
    this.#into = this.#decoder.columns()
  }

  decode(rows: RecordRows, partition: number): SourceRows {
    const { count } = rows
    const into = this.#into
    this.#decoder.decode(rows.bytes, rows.valueStarts, rows.valueEnds, count, into)
    const rejected: RejectedRow[] = into.errors.map((error) =>
      refusal(this.#topic, rows, partition, error.row, error.code, error.message, {
        byte: error.at,
        ...(error.field === '' ? {} : { field: error.field }),
      }),
    )
    const marked = markedRows(rows)
    if (marked !== null) this.#rejectMarked(rows, partition, marked, rejected)
    const deletions = into.nullCount > 0 ? this.#withoutValue(rows, partition, rejected) : null
    const before = rejected.length
    const times = this.#eventTimes(rows, partition, deletions !== null, rejected)
    const live = rejected.length === 0 ? null : this.#live(count, times)
    if (rejected.length !== before || deletions !== null) rejected.sort((a, b) => a.row - b.row)
    const batch: Batch = {
      rowCount: count,
      columns: into.columns,
      times,
      weights: deletions,
      selected: live === null ? null : this.#selected,
      selectedCount: live ?? count,
      origin: originOf(this.#topic, rows, partition),
      originRows: null,
      values: null,
    }
    return { batch, rejected }
  }

  /** What the source could not take is refused with its code, whatever the bytes look like. */
  #rejectMarked(rows: RecordRows, partition: number, marked: ReadonlyMap<number, ErrorCode>, rejected: RejectedRow[]): void {
    const others = rejected.splice(0, rejected.length).filter(({ row }) => !marked.has(row))
    for (const [row, code] of marked) others.push(refusal(this.#topic, rows, partition, row, code, ERRORS[code].summary))
    rejected.push(...others.sort((a, b) => a.row - b.row))
  }

  /** Records without value: deletions of a table (weight -1, the key from the record's key), refused in a stream. */
  #withoutValue(rows: RecordRows, partition: number, rejected: RejectedRow[]): Int32Array | null {
    const { status } = this.#into
    const weights = this.#table && this.#keyField >= 0 ? new Int32Array(rows.count).fill(1) : null
    for (let row = 0; row < rows.count; row++) {
      if (status[row] !== ROW_NULL) continue
      if (weights === null) rejected.push(refusal(this.#topic, rows, partition, row, 'MR_CODEC_JSON_INVALID', 'the record has no value.'))
      else if ((rows.keyStarts[row] as number) < 0 || !this.#putKey(rows, row))
        rejected.push(refusal(this.#topic, rows, partition, row, 'MR_CODEC_FIELD_MISSING', 'a deletion has no usable key.'))
      else weights[row] = -1
    }
    return weights
  }

  #putKey(rows: RecordRows, row: number): boolean {
    const column = this.#into.columns[this.#keyField] as Column
    const start = rows.keyStarts[row] as number
    const end = rows.keyEnds[row] as number
    if (column.validity !== null) column.validity[row] = 1
    if (column.layout === 'slice' && column.data === rows.bytes) {
      column.starts[row] = start
      column.ends[row] = end
      return true
    }
    const number = Number(utf8Text(rows.bytes, start, end))
    if ((column.layout !== 'f64' && column.layout !== 'i32') || Number.isNaN(number)) return false
    column.values[row] = number
    return true
  }

  #eventTimes(rows: RecordRows, partition: number, hasDeletions: boolean, rejected: RejectedRow[]): Float64Array {
    const { count } = rows
    if (this.#times.length < count) this.#times = new Float64Array(count * 2)
    const times = this.#times
    const column = this.#eventTime < 0 ? null : this.#into.columns[this.#eventTime]
    if (column === null || column === undefined || (column.layout !== 'f64' && column.layout !== 'i64' && column.layout !== 'i32'))
      times.set(rows.times.subarray(0, count))
    else if (column.layout === 'i64') for (let row = 0; row < count; row++) times[row] = Number(column.values[row])
    else times.set(column.values.subarray(0, count))
    if (hasDeletions) for (let row = 0; row < count; row++) if (this.#into.status[row] === ROW_NULL) times[row] = rows.times[row] as number
    const known = rejected.length
    for (let index = 0; index < known; index++) times[(rejected[index] as RejectedRow).row] = Number.NaN
    for (let row = 0; row < count; row++) {
      if ((times[row] as number) >= 0 || (times[row] as number) !== (times[row] as number)) continue
      rejected.push(refusal(this.#topic, rows, partition, row, 'MR_TIME_NEGATIVE', `the event time ${String(times[row])} is below zero.`))
      times[row] = Number.NaN
    }
    return times
  }

  /** Rows with a time are live: NaN marks the bad ones. */
  #live(count: number, times: Float64Array): number {
    if (this.#selected.length < count) this.#selected = new Int32Array(count * 2)
    let live = 0
    for (let row = 0; row < count; row++) if ((times[row] as number) === (times[row] as number)) this.#selected[live++] = row
    return live
  }
}

/** Values by JSON.parse over strict UTF-8 and the user's validator: the documented slower path. */
class ForeignDecoder implements SourceDecoder {
  readonly #topic: AnyTopic
  readonly #schema: StandardSchemaV1
  readonly #needed: readonly number[]
  readonly #table: boolean
  readonly #text = new TextDecoder('utf-8', { fatal: true })

  constructor(topic: AnyTopic, schema: StandardSchemaV1, options: SourceDecoderOptions) {
    this.#topic = topic
    this.#schema = schema
    const { fields, keyField } = topic
    const key = options.table && fields !== null ? fields.findIndex((field) => field.name === keyField) : -1
    this.#needed = key < 0 ? options.needed : [...new Set([...options.needed, key])]
    this.#table = options.table
  }

  decode(rows: RecordRows, partition: number): SourceRows {
    const { count } = rows
    let deletions: Int32Array | null = null
    const values: unknown[] = Array.from({ length: count }, () => null)
    const times = new Float64Array(count)
    const selected = new Int32Array(count)
    const rejected: RejectedRow[] = []
    const marked = markedRows(rows)
    let live = 0
    for (let row = 0; row < count; row++) {
      try {
        const code = marked?.get(row)
        if (code !== undefined) throw new MillraceError(code)
        if (this.#table && this.#topic.keyField !== null && (rows.valueStarts[row] as number) < 0) {
          values[row] = this.#deleted(rows, row, this.#topic.keyField)
          times[row] = rows.times[row] as number
          ;(deletions ??= new Int32Array(count).fill(1))[row] = -1
        } else {
          values[row] = this.#value(rows, row)
          times[row] = this.#timeOf(values[row], rows.times[row] as number)
        }
        selected[live++] = row
      } catch (error) {
        times[row] = Number.NaN
        const known = isOwn(error)
          ? error
          : new MillraceError('MR_SCHEMA_REFUSED', { message: `the schema threw: ${thrownText(error)}`, cause: error })
        rejected.push(refusal(this.#topic, rows, partition, row, known.code, known.message))
      }
    }
    const fields = this.#topic.fields
    const columns =
      fields === null ? [] : fields.map((field, index) => (this.#needed.includes(index) ? columnOfValues(field, values) : null))
    const batch: Batch = {
      rowCount: count,
      columns,
      times,
      weights: deletions,
      selected: live === count ? null : selected,
      selectedCount: live,
      origin: originOf(this.#topic, rows, partition),
      originRows: null,
      values,
    }
    return { batch, rejected }
  }

  /** A record without value deletes its key: the row has that and nothing else. */
  #deleted(rows: RecordRows, row: number, keyField: string): unknown {
    const start = rows.keyStarts[row] as number
    const text = start < 0 ? null : utf8Text(rows.bytes, start, rows.keyEnds[row] as number)
    const kind = this.#topic.fields?.find((field) => field.name === keyField)?.type.kind ?? 'string'
    const isNumber = kind === 'i32' || kind === 'i64' || kind === 'f64' || kind === 'time'
    if (text === null || (isNumber && (text === '' || Number.isNaN(Number(text)))))
      throw new MillraceError('MR_CODEC_FIELD_MISSING', { message: 'a deletion has no usable key.' })
    return { [keyField]: isNumber ? Number(text) : text }
  }

  #value(rows: RecordRows, row: number): unknown {
    const start = rows.valueStarts[row] as number
    if (start < 0) throw new MillraceError('MR_CODEC_JSON_INVALID', { message: 'the record has no value.' })
    let text: string
    try {
      text = this.#text.decode(rows.bytes.subarray(start, rows.valueEnds[row]))
    } catch (error) {
      throw new MillraceError('MR_CODEC_UTF8_INVALID', { cause: error })
    }
    const end = rows.valueEnds[row] as number
    // What is parsed is written again some day, and that takes stack.
    if (end - start > JSON_DEPTH_MAX && !isDocument(rows.bytes, viewOf(rows.bytes), start, end) && failure.reason === 'depth')
      throw new MillraceError('MR_CODEC_JSON_INVALID', { message: `the record is nested deeper than ${JSON_DEPTH_MAX}.` })
    let parsed: unknown
    try {
      parsed = JSON.parse(text) as unknown
    } catch (error) {
      throw new MillraceError('MR_CODEC_JSON_INVALID', { message: error instanceof Error ? error.message : 'not JSON.', cause: error })
    }
    const result = this.#schema['~standard'].validate(parsed)
    if (isPromise(result)) {
      disarm(result)
      throw new MillraceError('MR_SCHEMA_REFUSED', { message: 'the schema validates asynchronously, which a pipeline cannot wait for.' })
    }
    if (result.issues === undefined) return atOnceWithin(result.value)
    const issues = result.issues.slice(0, 3).map((issue) => {
      const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
      return path === '' ? issue.message : `${path}: ${issue.message}`
    })
    throw new MillraceError('MR_SCHEMA_REFUSED', { message: issues.join('; ') })
  }

  #timeOf(value: unknown, recordTimeMs: number): number {
    const name = this.#topic.eventTime
    if (name === null) return recordTimeMs
    const given = typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
    const time =
      given instanceof Date
        ? given.getTime()
        : typeof given === 'string'
          ? Date.parse(given)
          : typeof given === 'number' || typeof given === 'bigint'
            ? Number(given)
            : Number.NaN
    if (!(time >= 0))
      throw new MillraceError('MR_TIME_NEGATIVE', {
        message: `the event time \`${name}\` is ${textOf(given)}.`,
      })
    return time
  }
}

/** A schema may throw what cannot even be looked at. */
function isOwn(error: unknown): error is MillraceError {
  try {
    return error instanceof MillraceError
  } catch {
    return false
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A column of one field of JavaScript values; what does not fit the kind is null. */
function columnOfValues(field: Field, values: readonly unknown[]): Column {
  const builder = columnBuilder(field.type)
  for (const value of values) {
    const own = typeof value === 'object' && value !== null ? ((value as Readonly<Record<string, unknown>>)[field.name] ?? null) : null
    builder.append(own instanceof Date ? own.getTime() : own)
  }
  return builder.finish()
}
