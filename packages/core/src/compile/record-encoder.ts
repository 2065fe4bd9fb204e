// From batches to records of a user's topic: value bytes (JSON, or the source's own bytes where nothing changed them) and key bytes.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { OutputSpec } from './topology.ts'
import { columnValue, rowValue, withBytes } from '../codec/column-value.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { writeUtf8 } from '../codec/utf8.ts'

export interface EncodedRecords {
  /** One buffer for keys and values; valid until the next encode. */
  readonly bytes: Uint8Array
  /** Index i is rows[i]. A key start of -1 is a null key. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
}

export interface RecordEncoder {
  /** Key: a single string field as its text, otherwise the JSON text of the key fields in order; null where the stream has no key and the source record had none. */
  encode(batch: Batch, rows: Int32Array, count: number): EncodedRecords
}

export type TopicOutputSpec = Extract<OutputSpec, { kind: 'topic' }>

/** Writes the value of one row. */
export interface ValueWriter {
  begin(batch: Batch): void
  write(into: GrowingBytes, row: number): void
}

export function recordEncoder(spec: TopicOutputSpec, values: ValueWriter): RecordEncoder {
  return new JsonRecordEncoder(spec, values)
}

function json(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner)) ?? 'null'
}

/** The row as an object through JSON.stringify: open shapes, and the oracle of the generated encoder. */
export class ObjectValueWriter implements ValueWriter {
  readonly #fields: readonly Field[] | null
  #batch: Batch | null = null

  constructor(fields: readonly Field[] | null) {
    this.#fields = fields
  }

  begin(batch: Batch): void {
    this.#batch = batch
  }

  write(into: GrowingBytes, row: number): void {
    const batch = this.#batch
    if (batch === null) return
    const value = batch.values !== null ? batch.values[row] : rowValue(batch.columns, this.#fields ?? [], row)
    writeText(into, json(value))
  }
}

export function writeText(into: GrowingBytes, text: string): void {
  into.reserve(text.length * 3)
  into.at = writeUtf8(into.bytes, into.at, text)
}

class JsonRecordEncoder implements RecordEncoder {
  readonly #spec: TopicOutputSpec
  readonly #values: ValueWriter
  readonly #keyFields: readonly { readonly name: string; readonly index: number; readonly field: Field | null }[] | null
  readonly #into = new GrowingBytes(65_536)
  #keyStarts = new Int32Array(0)
  #keyEnds = new Int32Array(0)
  #valueStarts = new Int32Array(0)
  #valueEnds = new Int32Array(0)

  constructor(spec: TopicOutputSpec, values: ValueWriter) {
    this.#spec = spec
    this.#values = values
    const names = spec.topic.keyField === null ? spec.key : [spec.topic.keyField]
    this.#keyFields =
      names === null
        ? null
        : names.map((name) => {
            const index = spec.fields?.findIndex((field) => field.name === name) ?? -1
            return { name, index, field: spec.fields?.[index] ?? null }
          })
  }

  encode(batch: Batch, rows: Int32Array, count: number): EncodedRecords {
    if (this.#keyStarts.length < count) {
      this.#keyStarts = new Int32Array(count * 2)
      this.#keyEnds = new Int32Array(count * 2)
      this.#valueStarts = new Int32Array(count * 2)
      this.#valueEnds = new Int32Array(count * 2)
    }
    const into = this.#into
    into.reset()
    const raw = this.#spec.passThrough ? batch.origin : null
    if (raw === null) this.#values.begin(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      this.#key(batch, row, i)
      this.#valueStarts[i] = into.at
      if (raw === null) this.#values.write(into, row)
      else {
        const originRow = batch.originRows === null ? row : (batch.originRows[row] as number)
        appendBytes(into, raw.bytes, raw.valueStarts[originRow] as number, raw.valueEnds[originRow] as number)
      }
      this.#valueEnds[i] = into.at
    }
    return {
      bytes: into.bytes,
      keyStarts: this.#keyStarts,
      keyEnds: this.#keyEnds,
      valueStarts: this.#valueStarts,
      valueEnds: this.#valueEnds,
    }
  }

  #key(batch: Batch, row: number, i: number): void {
    const into = this.#into
    this.#keyStarts[i] = into.at
    if (this.#keyFields === null) this.#carriedKey(batch, row, i)
    else if (this.#keyFields.length === 1) this.#singleKey(batch, row, i)
    else writeText(into, json(this.#keyFields.map(({ name, index, field }) => this.#value(batch, row, name, index, field))))
    this.#keyEnds[i] = into.at
  }

  /** The stream has no key of its own: the record keeps the one it came with. */
  #carriedKey(batch: Batch, row: number, i: number): void {
    const { origin } = batch
    const originRow = batch.originRows === null ? row : (batch.originRows[row] as number)
    const start = origin === null ? -1 : (origin.keyStarts[originRow] as number)
    if (origin === null || start < 0) {
      this.#keyStarts[i] = -1
      return
    }
    appendBytes(this.#into, origin.bytes, start, origin.keyEnds[originRow] as number)
  }

  #singleKey(batch: Batch, row: number, i: number): void {
    const [key] = this.#keyFields ?? []
    if (key === undefined) return
    const column = key.index < 0 ? null : batch.columns[key.index]
    if (column !== null && column !== undefined && isText(column, key.field) && (column.validity === null || column.validity[row] === 1)) {
      withBytes(column, row, (data, start, end) => appendBytes(this.#into, data, start, end))
      return
    }
    const value = this.#value(batch, row, key.name, key.index, key.field)
    if (value === null || value === undefined) this.#keyStarts[i] = -1
    else writeText(this.#into, typeof value === 'string' ? value : json(value))
  }

  #value(batch: Batch, row: number, name: string, index: number, field: Field | null): unknown {
    const column = index < 0 ? undefined : batch.columns[index]
    if (column !== null && column !== undefined && field !== null) return columnValue(column, field.type, row)
    const own = batch.values?.[row]
    return typeof own === 'object' && own !== null ? ((own as Readonly<Record<string, unknown>>)[name] ?? null) : null
  }
}

function isText(column: Column, field: Field | null): boolean {
  return field?.type.kind === 'string' && (column.layout === 'bytes' || column.layout === 'slice' || column.layout === 'dictionary')
}

function appendBytes(into: GrowingBytes, data: Uint8Array, start: number, end: number): void {
  const length = end - start
  if (length <= 0) return
  into.reserve(length)
  if (length <= 24) {
    const { bytes } = into
    let at = into.at
    for (let from = start; from < end; from++) bytes[at++] = data[from] as number
    into.at = at
  } else {
    into.bytes.set(data.subarray(start, end), into.at)
    into.at += length
  }
}
