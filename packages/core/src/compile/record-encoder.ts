// From batches to records of a user's topic: value bytes (JSON, or the source's own bytes where nothing changed them) and key bytes.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { OutputSpec } from './topology.ts'
import { MillraceError, isMillraceError } from '../base/errors.ts'
import { columnValue, withBytes } from '../codec/column-value.ts'
import type { DecodedColumns } from '../codec/decoded-columns.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { type RecordDecoder, jsonDecoder } from '../codec/json/decoder.ts'
import { JsonEncoder, type RowEncoder, rowEncoder, writeValue } from '../codec/json/encoder.ts'
import { jsonText } from '../codec/json/exact.ts'
import { JSON_DEPTH_MAX, NULL_WORD, isDocument } from '../codec/json/scan.ts'
import { NUMBER_BYTES_MAX, writeInteger } from '../codec/json/write-number.ts'
import { writeUtf8 } from '../codec/utf8.ts'

/** Index i is rows[i], of the rows that could be written. The buffers are valid until the next encode; values may lie in the batch's own bytes. */
export interface EncodedRecords {
  readonly rows: Int32Array
  readonly count: number
  readonly keys: Uint8Array
  /** A key start of -1 is a null key. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  readonly values: Uint8Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
}

export interface RecordEncoder {
  /**
   * Key: a single text field as its text, otherwise the JSON text of the key fields in order; null where the stream has no key and the source
   * record had none. A single field that is null: no key, but `[null]` on a compacted topic, which takes no record without.
   *
   * A row that cannot be written (a cycle, code of the row that throws), or that a reader of the topic would refuse (MR_CODEC_*), goes to
   * `refuse` and harms no other.
   */
  encode(batch: Batch, rows: Int32Array, count: number, refuse: (row: number, error: unknown) => void): EncodedRecords
}

type Refuse = Parameters<RecordEncoder['encode']>[3]

type TopicOutputSpec = Extract<OutputSpec, { kind: 'topic' }>

interface KeyField {
  readonly name: string
  /** Index among the row's fields; -1 in an open shape. */
  readonly index: number
  readonly field: Field | null
}

export function recordEncoder(spec: TopicOutputSpec, codegen: boolean): RecordEncoder {
  return new JsonRecordEncoder(spec, codegen)
}

class JsonRecordEncoder implements RecordEncoder {
  readonly #passThrough: boolean
  readonly #needsKey: boolean
  readonly #values: JsonEncoder
  readonly #keyFields: readonly KeyField[] | null
  /** Of keys that are arrays. */
  readonly #arrays: RowEncoder | null
  readonly #keys = new GrowingBytes(4096)
  readonly #spec: TopicOutputSpec
  readonly #codegen: boolean
  #open: OpenRows | null = null
  #kept = new Int32Array(0)
  #keyStarts = new Int32Array(0)
  #keyEnds = new Int32Array(0)
  #valueStarts = new Int32Array(0)
  #valueEnds = new Int32Array(0)

  constructor(spec: TopicOutputSpec, codegen: boolean) {
    this.#spec = spec
    this.#codegen = codegen
    this.#passThrough = spec.passThrough
    this.#needsKey = spec.topic.compacted
    this.#values = new JsonEncoder(spec.fields ?? [], { codegen })
    const names = spec.topic.keyField === null ? spec.key : [spec.topic.keyField]
    this.#keyFields = names === null ? null : names.map((name) => keyField(name, spec.fields))
    const fields = this.#keyFields?.flatMap(({ field }) => field ?? []) ?? []
    this.#arrays = fields.length > 1 && fields.length === names?.length ? rowEncoder(fields, { codegen, arrays: true }) : null
  }

  encode(batch: Batch, given: Int32Array, givenCount: number, refuse: Refuse): EncodedRecords {
    if (batch.values !== null && !(this.#passThrough && batch.origin !== null)) {
      this.#open ??= new OpenRows(this.#spec, this.#codegen)
      return this.#encodeOpen(this.#open, batch, batch.values, given, givenCount, refuse)
    }
    try {
      return this.#encode(batch, given, givenCount)
    } catch (error) {
      if (isMillraceError(error) && error.kind === 'internal') throw error
    }
    // Rare, and columns are data: what can be written alone can be written again.
    const kept = given.slice(0, givenCount).filter((row) => {
      try {
        this.#encode(batch, Int32Array.of(row), 1)
        return true
      } catch (error) {
        refuse(row, error)
        return false
      }
    })
    return this.#encode(batch, kept, kept.length)
  }

  #encodeOpen(
    open: OpenRows,
    batch: Batch,
    values: readonly unknown[],
    given: Int32Array,
    givenCount: number,
    refuse: Refuse,
  ): EncodedRecords {
    const count = open.encode(values, batch.weights, given, givenCount, refuse)
    this.#reserve(count)
    if (this.#kept.length < count) this.#kept = new Int32Array(count * 2)
    const into = this.#keys
    into.reset()
    let kept = 0
    for (let i = 0; i < count; i++) {
      const row = open.rows[i] as number
      const start = into.at
      try {
        if (this.#keyFields !== null) this.#keyStarts[kept] = this.#encodeKey(into, batch, row, this.#keyFields) ? start : -1
      } catch (error) {
        into.at = start
        refuse(row, error)
        continue
      }
      this.#keyEnds[kept] = into.at
      this.#valueStarts[kept] = open.starts[i] as number
      this.#valueEnds[kept] = open.ends[i] as number
      this.#kept[kept++] = row
    }
    return {
      rows: this.#kept,
      count: kept,
      keys: this.#keyFields === null ? this.#carriedKeys(batch, this.#kept, kept) : into.bytes,
      keyStarts: this.#keyStarts,
      keyEnds: this.#keyEnds,
      values: open.bytes,
      valueStarts: this.#valueStarts,
      valueEnds: this.#valueEnds,
    }
  }

  #reserve(count: number): void {
    if (this.#keyStarts.length < count) {
      this.#keyStarts = new Int32Array(count * 2)
      this.#keyEnds = new Int32Array(count * 2)
      this.#valueStarts = new Int32Array(count * 2)
      this.#valueEnds = new Int32Array(count * 2)
    }
  }

  #encode(batch: Batch, rows: Int32Array, count: number): EncodedRecords {
    this.#reserve(count)
    const keys = this.#encodeKeys(batch, rows, count)
    const rest = { rows, count, keys, keyStarts: this.#keyStarts, keyEnds: this.#keyEnds }
    const { origin } = batch
    if (this.#passThrough && origin !== null) {
      for (let i = 0; i < count; i++) {
        const row = originRow(batch, rows[i] as number)
        this.#valueStarts[i] = origin.valueStarts[row] as number
        this.#valueEnds[i] = origin.valueEnds[row] as number
      }
      return { ...rest, values: origin.bytes, valueStarts: this.#valueStarts, valueEnds: this.#valueEnds }
    }
    this.#values.encode(batch.columns, rows, count)
    return { ...rest, values: this.#values.bytes, valueStarts: this.#values.offsets, valueEnds: this.#values.offsets.subarray(1) }
  }

  #encodeKeys(batch: Batch, rows: Int32Array, count: number): Uint8Array {
    const fields = this.#keyFields
    if (fields === null) return this.#carriedKeys(batch, rows, count)
    const into = this.#keys
    into.reset()
    if (this.#arrays !== null && batch.values === null) {
      const columns = fields.map((field) => columnOf(batch, field))
      this.#arrays(into, columns, rows, count, this.#keyStarts)
      this.#keyEnds.set(this.#keyStarts.subarray(1, count))
      this.#keyEnds[count - 1] = into.at
      return into.bytes
    }
    const [single] = fields
    if (fields.length === 1 && single !== undefined && this.#encodeWhole(batch, rows, count, single)) return into.bytes
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      this.#keyStarts[i] = into.at
      if (!this.#encodeKey(into, batch, row, fields)) this.#keyStarts[i] = -1
      this.#keyEnds[i] = into.at
    }
    return into.bytes
  }

  /** False for a null key. */
  #encodeKey(into: GrowingBytes, batch: Batch, row: number, fields: readonly KeyField[]): boolean {
    const [single] = fields
    if (fields.length > 1 || single === undefined) writeSeveral(into, batch, row, fields)
    else if (!writeSingle(into, batch, row, single)) {
      if (!this.#needsKey) return false
      writeText(into, '[null]')
    }
    return true
  }

  /** Keys of one whole number, never null, which is what most groups have: without a call per record that asks for the kind. */
  #encodeWhole(batch: Batch, rows: Int32Array, count: number, key: KeyField): boolean {
    const column = columnOf(batch, key)
    if (column === null || key.field?.type.kind !== 'i64' || column.layout !== 'f64' || column.validity !== null) return false
    const into = this.#keys
    into.reserve(count * NUMBER_BYTES_MAX)
    const { bytes } = into
    let { at } = into
    for (let i = 0; i < count; i++) {
      this.#keyStarts[i] = at
      at = writeInteger(bytes, at, column.values[rows[i] as number] as number)
      this.#keyEnds[i] = at
    }
    into.at = at
    return true
  }

  /** The stream has no key of its own: records keep the ones they came with. */
  #carriedKeys(batch: Batch, rows: Int32Array, count: number): Uint8Array {
    const { origin } = batch
    if (origin === null) {
      this.#keyStarts.fill(-1, 0, count)
      this.#keyEnds.fill(-1, 0, count)
      return this.#keys.bytes
    }
    for (let i = 0; i < count; i++) {
      const row = originRow(batch, rows[i] as number)
      this.#keyStarts[i] = origin.keyStarts[row] as number
      this.#keyEnds[i] = origin.keyEnds[row] as number
    }
    return origin.bytes
  }
}

/**
 * Rows that are JavaScript values, as JSON text. What is written is read back by the topic's own decoder: what its readers would refuse
 * never gets there. A topic with a foreign schema takes any JSON of a bounded depth but null: what its validator makes of it is its own affair.
 */
class OpenRows {
  readonly #encoder = new JsonEncoder([])
  readonly #decoder: RecordDecoder
  readonly #into: DecodedColumns
  readonly #needsObject: boolean
  rows = new Int32Array(0)
  starts = new Int32Array(0)
  ends = new Int32Array(0)

  constructor({ topic }: TopicOutputSpec, codegen: boolean) {
    const isForeign = topic.foreignSchema !== null && topic.foreignSchema !== undefined
    this.#needsObject = topic.fields !== null && !isForeign
    this.#decoder = jsonDecoder((this.#needsObject ? topic.fields : null) ?? [], [], { checked: true, codegen })
    this.#into = this.#decoder.columns()
  }

  get bytes(): Uint8Array {
    return this.#encoder.bytes
  }

  /** Returns how many rows could be written: `rows`, with their texts bytes[starts[i] .. ends[i]). */
  encode(values: readonly unknown[], weights: Int32Array | null, given: Int32Array, count: number, refuse: Refuse): number {
    if (this.rows.length < count) {
      this.rows = new Int32Array(count * 2)
      this.starts = new Int32Array(count * 2)
      this.ends = new Int32Array(count * 2)
    }
    const refused = new Map<number, unknown>()
    this.#encoder.encodeValues(values, given, count, (index, error) => refused.set(index, error))
    const { offsets } = this.#encoder
    let written = 0
    for (let i = 0; i < count; i++) {
      const row = given[i] as number
      if (refused.has(i)) {
        refuse(row, refused.get(i))
        continue
      }
      this.rows[written] = row
      this.starts[written] = offsets[i] as number
      this.ends[written++] = offsets[i + 1] as number
    }
    return this.#withoutBad(weights, written, refuse)
  }

  #withoutBad(weights: Int32Array | null, count: number, refuse: Refuse): number {
    const errors = new Map<number, MillraceError>()
    if (this.#needsObject) {
      if (this.#decoder.decode(this.bytes, this.starts, this.ends, count, this.#into) === count) return count
      for (const { row, code, field, message } of this.#into.errors)
        errors.set(
          row,
          new MillraceError(code, { message: `the row does not fit its topic: ${message}.`, details: field === '' ? {} : { field } }),
        )
    } else {
      const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength)
      for (let i = 0; i < count; i++) {
        const [start, end] = [this.starts[i] as number, this.ends[i] as number]
        if (end - start === 4 && view.getUint32(start, true) === NULL_WORD) errors.set(i, refusedRow('the row is null'))
        else if (!isDocument(this.bytes, view, start, end)) errors.set(i, refusedRow(`the row is nested deeper than ${JSON_DEPTH_MAX}`))
      }
    }
    if (errors.size === 0) return count
    let kept = 0
    for (let i = 0; i < count; i++) {
      // A row that goes leaves no value behind: only its key counts.
      const error = weights !== null && (weights[this.rows[i] as number] as number) < 0 ? undefined : errors.get(i)
      if (error !== undefined) {
        refuse(this.rows[i] as number, error)
        continue
      }
      this.rows[kept] = this.rows[i] as number
      this.starts[kept] = this.starts[i] as number
      this.ends[kept++] = this.ends[i] as number
    }
    return kept
  }
}

function refusedRow(reason: string): MillraceError {
  return new MillraceError('MR_CODEC_JSON_INVALID', { message: `the row cannot be written: ${reason}.` })
}

function keyField(name: string, fields: readonly Field[] | null): KeyField {
  const index = fields?.findIndex((field) => field.name === name) ?? -1
  return { name, index, field: fields?.[index] ?? null }
}

function originRow(batch: Batch, row: number): number {
  return batch.originRows === null ? row : (batch.originRows[row] as number)
}

function writeText(into: GrowingBytes, text: string): void {
  into.reserve(text.length * 3)
  into.at = writeUtf8(into.bytes, into.at, text)
}

/** The key fields as a JSON array. */
function writeSeveral(into: GrowingBytes, batch: Batch, row: number, keys: readonly KeyField[]): void {
  into.u8(91)
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] as KeyField
    if (index > 0) into.u8(44)
    const column = columnOf(batch, key)
    if (column !== null && key.field !== null) writeValue(into, column, key.field, row)
    else writeText(into, jsonText(openValue(batch, row, key)))
  }
  into.u8(93)
}

/** False for a null key. */
function writeSingle(into: GrowingBytes, batch: Batch, row: number, key: KeyField): boolean {
  const column = columnOf(batch, key)
  if (column !== null && key.field !== null) {
    if (column.validity !== null && column.validity[row] !== 1) return false
    if (isText(column, key.field)) {
      withBytes(column, row, (data, start, end) => into.copy(data, start, end))
      return true
    }
    if (isNumber(column, key.field)) {
      writeValue(into, column, key.field, row)
      return true
    }
  }
  const value = column !== null && key.field !== null ? columnValue(column, key.field.type, row) : openValue(batch, row, key)
  if (value === null || value === undefined) return false
  writeText(into, typeof value === 'string' ? value : jsonText(value))
  return true
}

function columnOf(batch: Batch, key: KeyField): Column | null {
  return key.index < 0 ? null : (batch.columns[key.index] ?? null)
}

/** A key field of rows that are JavaScript values. */
function openValue(batch: Batch, row: number, key: KeyField): unknown {
  const own = batch.values?.[row]
  return typeof own === 'object' && own !== null ? ((own as Readonly<Record<string, unknown>>)[key.name] ?? null) : null
}

function isText(column: Column, field: Field | null): boolean {
  return field?.type.kind === 'string' && (column.layout === 'bytes' || column.layout === 'slice' || column.layout === 'dictionary')
}

/** Kinds whose JSON text is the text itself: a decimal is a string in JSON. */
function isNumber(column: Column, field: Field): boolean {
  return (column.layout === 'i32' || column.layout === 'f64' || column.layout === 'i64') && field.type.kind !== 'decimal'
}
