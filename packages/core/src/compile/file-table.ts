// The rows of a table that is read from a file: NDJSON, or CSV with a header line. What is wrong with the file as a whole (it is missing, its
// header lacks a column) refuses the start; a bad line harms itself alone, as a bad record of a topic does.
import type { Disk } from '../base/disk.ts'
import type { Batch } from '../codec/column.ts'
import type { RecordDecoder } from '../codec/json/decoder.ts'
import type { RecordSplitter, SplitBatch } from '../codec/record-splitter.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { RejectedRow } from './source-decoder.ts'
import { resolve } from 'node:path'
import { readFully } from '../base/disk.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import { columnNamedTwice, csvDecoder, csvHeader, csvSplitter, NAME_COLUMNS } from '../codec/csv.ts'
import { jsonDecoder } from '../codec/json/decoder.ts'
import { ndjsonSplitter } from '../codec/ndjson.ts'

const ROWS_PER_BATCH = 4096
/** A header lies in these first bytes of the file. */
const HEADER_BYTES_MAX = 64 * 1024

/** Some rows of a file: valid until the next ones are asked for. */
export interface FileTableRows {
  /** The good rows are selected. */
  readonly batch: Batch
  /** The same rows with the bytes of their lines, for the dead letters. */
  readonly lines: Batch
  /** Bad lines, each with its error, which names the file and the line. */
  readonly rejected: readonly RejectedRow[]
}

/** All bytes of a table's file. Throws MR_TABLE_FILE. */
export function readFileTable(table: FileTable, disk: Disk): Uint8Array {
  return readStart(table, disk, Number.POSITIVE_INFINITY)
}

/**
 * Opens the file and looks whether it can be the table: what a start and `plan` ask before anything runs.
 * @throws {MillraceError} `MR_TABLE_FILE`.
 */
export function checkFileTable(table: FileTable, disk: Disk): void {
  const bytes = readStart(table, disk, HEADER_BYTES_MAX)
  if (table.format === 'json') return refuseArray(table, bytes)
  const splitter = csvSplitter(separatorOf(table))
  const first = splitter.push(bytes)
  const header = first.count > 0 ? first : splitter.end()
  if (header.count === 0) throw broken(table, 'the file is empty: its first line must name the columns.')
  requireColumns(table, headerOf(table, header))
}

/** The rows of a file. Throws MR_TABLE_FILE when the file as a whole cannot be the table. */
export function* fileTableRows(table: FileTable, bytes: Uint8Array): Generator<FileTableRows> {
  const recordBytesMax = bytes.length + 1
  if (table.format === 'json') {
    refuseArray(table, bytes)
    const decoder = jsonDecoder(table.fields, everyField(table))
    for (const lines of allOf(ndjsonSplitter({ recordBytesMax }), bytes)) yield* rowsOf(table, decoder, lines, 0)
    return
  }
  let decoder: RecordDecoder | null = null
  for (const lines of allOf(csvSplitter({ ...separatorOf(table), recordBytesMax }), bytes)) {
    if (lines.count === 0) continue
    const isFirst: boolean = decoder === null
    if (decoder === null) {
      const header = headerOf(table, lines)
      requireColumns(table, header)
      decoder = csvDecoder(table.fields, everyField(table), { ...separatorOf(table), header })
    }
    yield* rowsOf(table, decoder, lines, isFirst ? 1 : 0)
  }
  if (decoder === null) throw broken(table, 'the file is empty: its first line must name the columns.')
}

function everyField({ fields }: FileTable): readonly number[] {
  return fields.map((_, index) => index)
}

function separatorOf({ separator }: FileTable): { readonly separator?: string } {
  return separator === undefined ? {} : { separator }
}

function* allOf(splitter: RecordSplitter, bytes: Uint8Array): Generator<SplitBatch> {
  yield splitter.push(bytes)
  // The last line, when it has no end.
  yield splitter.end()
}

function* rowsOf(table: FileTable, decoder: RecordDecoder, lines: SplitBatch, first: number): Generator<FileTableRows> {
  const into = decoder.columns()
  for (let from = first; from < lines.count; from += ROWS_PER_BATCH) {
    const count = Math.min(ROWS_PER_BATCH, lines.count - from)
    const [starts, ends] = [lines.starts.subarray(from, from + count), lines.ends.subarray(from, from + count)]
    decoder.decode(lines.bytes, starts, ends, count, into)
    const rejected = into.errors.map(({ row, code, field, message }) => {
      const line = lines.lines[from + row] as number
      const details = { table: table.name, file: resolve(table.path), line, ...(field === '' ? {} : { field }) }
      return { row, error: new MillraceError(code, { message, details }) }
    })
    const selected = rejected.length === 0 ? null : without(count, rejected)
    const batch: Batch = {
      rowCount: count,
      columns: into.columns,
      times: new Float64Array(count),
      weights: null,
      selected,
      selectedCount: selected?.length ?? count,
      origin: null,
      originRows: null,
      values: null,
    }
    yield {
      batch,
      lines: { ...batch, times: new Float64Array(count).fill(Number.NaN), origin: originOf(lines.bytes, starts, ends) },
      rejected,
    }
  }
}

function without(count: number, rejected: readonly RejectedRow[]): Int32Array {
  const bad = new Set(rejected.map(({ row }) => row))
  return Int32Array.from(Array.from({ length: count }, (_, row) => row).filter((row) => !bad.has(row)))
}

/** The bytes of lines, as those of records that have no topic. */
function originOf(bytes: Uint8Array, valueStarts: Int32Array, valueEnds: Int32Array): NonNullable<Batch['origin']> {
  const none = new Int32Array(valueStarts.length).fill(-1)
  const offsets = new Float64Array(valueStarts.length).fill(-1)
  return { topic: '', partition: 0, bytes, valueStarts, valueEnds, keyStarts: none, keyEnds: none, offsets }
}

/** The first bytes of the file. */
function readStart(table: FileTable, disk: Disk, bytesMax: number): Uint8Array {
  try {
    const file = disk.open(table.path, 'read')
    try {
      const bytes = new Uint8Array(Math.min(file.size(), bytesMax))
      readFully(file, bytes, 0)
      return bytes
    } finally {
      file.close()
    }
  } catch (error) {
    const code = isMillraceError(error) ? error.details['code'] : undefined
    throw broken(
      table,
      code === 'ENOENT' ? 'there is no such file.' : `the file cannot be read${code === undefined ? '.' : ` (${code}).`}`,
      error,
    )
  }
}

function headerOf(table: FileTable, { bytes, starts, ends }: SplitBatch): readonly string[] {
  try {
    return csvHeader(bytes, starts[0] as number, ends[0] as number, separatorOf(table))
  } catch (error) {
    throw broken(table, 'the first line, which must name the columns, is not valid CSV.', error)
  }
}

function requireColumns(table: FileTable, header: readonly string[]): void {
  const twice = columnNamedTwice(table.fields, header)
  if (twice !== null) throw broken(table, `${twice}.`, undefined, NAME_COLUMNS)
  const missing = table.fields.filter((field) => !field.nullable && !header.includes(field.name)).map((field) => field.name)
  if (missing.length === 0) return
  const found = `the header has ${header.map((name) => `\`${name}\``).join(', ')}`
  const other = otherSeparator(table, header)
  const near = nearestWord(missing[0] ?? '', header)
  const hint =
    other !== null
      ? `; the columns seem to be separated by ${other === '\t' ? 'tabs' : `\`${other}\``}: set \`separator: ${JSON.stringify(other)}\`.`
      : near === null
        ? '.'
        : `; did you mean \`${near}\`?`
  throw broken(table, `no column \`${missing.join('`, `')}\`: ${found}${hint}`)
}

/** The separator with which the header would have every column. */
function otherSeparator({ fields }: FileTable, header: readonly string[]): string | null {
  const [line] = header
  if (header.length !== 1 || line === undefined) return null
  const isAll = (separator: string): boolean => fields.every((field) => field.nullable || line.split(separator).includes(field.name))
  return [',', ';', '\t', '|'].find((separator) => line.includes(separator) && isAll(separator)) ?? null
}

function refuseArray(table: FileTable, bytes: Uint8Array): void {
  const first = bytes.find((byte) => byte > 32)
  if (first === 91) throw broken(table, 'the file is one JSON array: write one object per line (`jq -c ".[]"`).')
}

function broken(table: FileTable, message: string, cause?: unknown, fix?: string): MillraceError {
  return new MillraceError('MR_TABLE_FILE', {
    message: `the table \`${table.name}\`: ${message}`,
    details: { file: resolve(table.path) },
    ...(cause === undefined ? {} : { cause }),
    ...(fix === undefined ? {} : { fix }),
  })
}
