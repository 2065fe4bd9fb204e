// For the tests: rows of plain JavaScript values -> columns -> our file -> rows again, by two readers that share no code with the encoder.
// Plain values: boolean, number (i32, f64, time in ms), bigint (i64, decimal scaled), string, Uint8Array (bytes), JSON text, array, object, null.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
} from '@duckdb/node-api'
import type { Batch, Column, Field, FieldType } from '@millrace/core/connect'
import { parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { parquetEncoder, type ParquetOptions, type ParquetOutput } from './encoder.ts'

export type Plain = boolean | number | bigint | string | Uint8Array | null | Plain[] | { readonly [name: string]: Plain }
export type PlainRow = { readonly [name: string]: Plain }
export type BytesLayout = 'bytes' | 'slice' | 'dictionary'

const text = new TextEncoder()
const NOTHING = new Uint8Array(0)

function asBytes(value: Plain): Uint8Array {
  return value instanceof Uint8Array ? value : typeof value === 'string' ? text.encode(value) : NOTHING
}

function endToEnd(values: readonly Uint8Array[]): { readonly offsets: Int32Array; readonly data: Uint8Array } {
  const offsets = new Int32Array(values.length + 1)
  values.forEach((value, index) => (offsets[index + 1] = (offsets[index] as number) + value.length))
  const data = new Uint8Array(offsets[values.length] as number)
  values.forEach((value, index) => data.set(value, offsets[index]))
  return { offsets, data }
}

function bytesColumn(values: readonly Plain[], validity: Uint8Array | null, layout: BytesLayout): Column {
  const bytes = values.map(asBytes)
  if (layout === 'bytes') return { layout, ...endToEnd(bytes), validity }
  if (layout === 'slice') {
    // Backwards and with gaps, as slices of fetched records may lie.
    const gaps = [...bytes].reverse().flatMap((value) => [text.encode('gap'), value])
    const { offsets, data } = endToEnd(gaps)
    const place = (index: number): number => offsets[(bytes.length - 1 - index) * 2 + 1] as number
    return {
      layout,
      data,
      starts: Int32Array.from(bytes, (_, index) => place(index)),
      ends: Int32Array.from(bytes, (value, index) => place(index) + value.length),
      validity,
    }
  }
  const keys = bytes.map((value) => Buffer.from(value).toString('hex'))
  const distinct = [...new Set(keys)]
  const entries = endToEnd(distinct.map((key) => Buffer.from(key, 'hex')))
  return {
    layout,
    ids: Int32Array.from(keys, (key) => distinct.indexOf(key)),
    dictionary: { layout: 'bytes', ...entries, validity: null },
    dictionaryCount: distinct.length,
    validity,
  }
}

/** Builds the column of a field; null values get rubbish in the arrays, as the contract allows. */
export function columnOf(type: FieldType, values: readonly Plain[], layout: BytesLayout): Column {
  const validity = values.includes(null) ? Uint8Array.from(values, (value) => (value === null ? 0 : 1)) : null
  switch (type.kind) {
    case 'bool':
      return { layout: 'bool', values: Uint8Array.from(values, (value) => (value === null ? 77 : Number(value))), validity }
    case 'i32':
      return { layout: 'i32', values: Int32Array.from(values, (value) => Number(value ?? 12345)), validity }
    case 'f64':
    case 'time':
      return { layout: 'f64', values: Float64Array.from(values, (value) => Number(value ?? Number.NaN)), validity }
    case 'i64':
    case 'decimal': {
      const safe = values.every(
        (value) => value === null || (BigInt(value as bigint) >= -(2n ** 53n) && BigInt(value as bigint) <= 2n ** 53n),
      )
      if (safe) return { layout: 'f64', values: Float64Array.from(values, (value) => Number(value ?? 0.5)), validity }
      return { layout: 'i64', values: BigInt64Array.from(values, (value) => BigInt((value ?? 7n) as bigint)), validity }
    }
    case 'list': {
      const lists = values.map((value) => (Array.isArray(value) ? value : []))
      const offsets = new Int32Array(lists.length + 1)
      lists.forEach((list, index) => (offsets[index + 1] = (offsets[index] as number) + list.length))
      return { layout: 'list', offsets, items: columnOf(type.item, lists.flat(1), layout), validity }
    }
    case 'struct': {
      const children = type.fields.map((field) => {
        const inner = values.map((value) => (value === null ? null : ((value as PlainRow)[field.name] ?? null)))
        return columnOf(field.type, field.nullable ? inner : inner.map((value) => value ?? someValue(field.type)), layout)
      })
      return { layout: 'struct', children, validity }
    }
    default:
      return bytesColumn(values, validity, layout)
  }
}

/** What lies in a child that is not nullable under a parent that is null. */
function someValue(type: FieldType): Plain {
  if (type.kind === 'list') return []
  if (type.kind === 'struct')
    return Object.fromEntries(type.fields.map((field) => [field.name, field.nullable ? null : someValue(field.type)]))
  return type.kind === 'string' || type.kind === 'bytes' || type.kind === 'json'
    ? ''
    : type.kind === 'i64' || type.kind === 'decimal'
      ? 0n
      : 0
}

/** A batch over these rows. `selected` narrows it to some of them. */
export function batchOf(
  fields: readonly Field[],
  rows: readonly PlainRow[],
  layout: BytesLayout = 'bytes',
  selected: Int32Array | null = null,
): Batch {
  return {
    rowCount: rows.length,
    columns: fields.map((field) =>
      columnOf(
        field.type,
        rows.map((row) => row[field.name] ?? null),
        layout,
      ),
    ),
    values: null,
    times: new Float64Array(rows.length),
    weights: null,
    selected,
    selectedCount: selected?.length ?? 0,
    origin: null,
    originRows: null,
  }
}

/** An output in memory. */
export function memoryOutput(): ParquetOutput & { readonly bytes: () => Uint8Array<ArrayBuffer> } {
  const pieces: Uint8Array[] = []
  let position = 0
  return {
    write(bytes) {
      pieces.push(bytes.slice())
      position += bytes.length
    },
    get position() {
      return position
    },
    bytes: () => {
      const all = new Uint8Array(position)
      let at = 0
      for (const piece of pieces) {
        all.set(piece, at)
        at += piece.length
      }
      return all
    },
  }
}

export function encode(
  fields: readonly Field[],
  batches: readonly Batch[],
  options: Omit<ParquetOptions, 'output'> = {},
): Uint8Array<ArrayBuffer> {
  const output = memoryOutput()
  const encoder = parquetEncoder(fields, { ...options, output })
  for (const batch of batches) encoder.write(batch)
  encoder.finish()
  return output.bytes()
}

function timeText(type: FieldType): boolean {
  return type.kind === 'string' || type.kind === 'json'
}

/** Comparable form of an expected value: bytes as hex, -0 and NaN by name, JSON as its text. */
export function canonical(type: FieldType, value: Plain): unknown {
  if (value === null) return null
  switch (type.kind) {
    case 'f64':
      return Object.is(value, -0) ? '-0' : String(Number(value))
    case 'bytes':
      return Buffer.from(asBytes(value)).toString('hex')
    case 'list':
      return (value as Plain[]).map((item) => canonical(type.item, item))
    case 'struct':
      return type.fields.map((field) => canonical(field.type, (value as PlainRow)[field.name] ?? null))
    default:
      return timeText(type) ? value : typeof value === 'boolean' ? value : BigInt(value as number | bigint)
  }
}

export function canonicalRows(fields: readonly Field[], rows: readonly PlainRow[]): unknown[][] {
  return rows.map((row) => fields.map((field) => canonical(field.type, row[field.name] ?? null)))
}

function fromHyparquet(type: FieldType, value: unknown): unknown {
  if (value === null || value === undefined) return null
  switch (type.kind) {
    case 'list':
      return (value as unknown[]).map((item) => fromHyparquet(type.item, item))
    case 'struct':
      return type.fields.map((field) => fromHyparquet(field.type, (value as Record<string, unknown>)[field.name]))
    case 'decimal':
      // This reader multiplies by 10^-scale in doubles; the other one reads decimals exactly.
      return BigInt(Math.round((value as number) * 10 ** type.scale))
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('hex')
    case 'f64':
      return canonical(type, value as number)
    default:
      return timeText(type) || typeof value === 'boolean' ? value : BigInt(value as number | bigint)
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Reads a file with hyparquet, in canonical form. */
export async function readByHyparquet(fields: readonly Field[], bytes: Uint8Array<ArrayBuffer>): Promise<unknown[][]> {
  const rows = await parquetReadObjects({
    file: bytes.buffer,
    compressors,
    utf8: false,
    parsers: {
      timestampFromMilliseconds: (millis: bigint) => millis as unknown as Date,
      stringFromBytes: (value: Uint8Array) => (value === undefined ? value : decoder.decode(value)) as string,
      jsonFromBytes: (value: Uint8Array) => (value === undefined ? value : decoder.decode(value)) as string,
    },
  } as Parameters<typeof parquetReadObjects>[0])
  return rows.map((row) => fields.map((field) => fromHyparquet(field.type, row[field.name])))
}

function fromDuckdb(type: FieldType, value: unknown): unknown {
  if (value === null) return null
  if (type.kind === 'list' && value instanceof DuckDBListValue) return value.items.map((item) => fromDuckdb(type.item, item))
  if (type.kind === 'struct' && value instanceof DuckDBStructValue)
    return type.fields.map((field) => fromDuckdb(field.type, value.entries[field.name]))
  if (value instanceof DuckDBTimestampTZValue) return value.micros / 1000n
  if (value instanceof DuckDBDecimalValue) return value.value
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex')
  if (type.kind === 'f64') return canonical(type, value as number)
  return timeText(type) || typeof value === 'boolean' ? value : BigInt(value as number | bigint)
}

/** DuckDB in this process, with a folder for the files it reads. */
export class DuckdbReader {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'millrace-parquet-'))
  readonly #connection: DuckDBConnection
  #fileCount = 0

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  static async open(): Promise<DuckdbReader> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    return new DuckdbReader(await instance.connect())
  }

  /** Puts a file where DuckDB finds it; returns its path. */
  keep(bytes: Uint8Array): string {
    const path = join(this.folder, `${this.#fileCount++}.parquet`)
    writeFileSync(path, bytes)
    return path
  }

  async query(sql: string): Promise<unknown[][]> {
    const result = await this.#connection.runAndReadAll(sql)
    return result.getRows()
  }

  /** Reads a file, in canonical form. */
  async read(fields: readonly Field[], path: string): Promise<unknown[][]> {
    const rows = await this.query(`SELECT * FROM read_parquet('${path}')`)
    return rows.map((row) => fields.map((field, index) => fromDuckdb(field.type, row[index])))
  }

  close(): void {
    this.#connection.closeSync()
    rmSync(this.folder, { recursive: true })
  }
}
