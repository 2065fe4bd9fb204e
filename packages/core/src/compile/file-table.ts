// The rows of a table that is read from a file: NDJSON or CSV with a header line, checked as a whole. A table with a bad line refuses to
// start, because a join against half a table would be wrong without a word.
import type { Batch, Field } from '../codec/column.ts'
import type { FileTable } from '../connect/file-table.ts'
import { MillraceError } from '../base/errors.ts'
import { jsonDecoder } from '../codec/json/decoder.ts'

const ROWS_PER_BATCH = 4096

interface Lines {
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly count: number
}

/** @throws {MillraceError} `MR_CODEC_*` with the file and the line. */
export function fileTableBatches(table: FileTable, bytes: Uint8Array): readonly Batch[] {
  return table.format === 'json' ? ndjsonBatches(table, bytes) : csvBatches(table, bytes)
}

/** Lines of a file: separated by \n or \r\n, the last one with or without; blank lines are skipped but counted. */
function linesOf(bytes: Uint8Array): Lines & { readonly numbers: Int32Array } {
  const starts: number[] = []
  const ends: number[] = []
  const numbers: number[] = []
  let number = 0
  for (let at = 0; at < bytes.length;) {
    number++
    const newline = bytes.indexOf(10, at)
    const stop = newline < 0 ? bytes.length : newline
    const end = stop > at && bytes[stop - 1] === 13 ? stop - 1 : stop
    if (end > at) {
      starts.push(at)
      ends.push(end)
      numbers.push(number)
    }
    at = stop + 1
  }
  return { starts: Int32Array.from(starts), ends: Int32Array.from(ends), count: starts.length, numbers: Int32Array.from(numbers) }
}

function ndjsonBatches(table: FileTable, bytes: Uint8Array): readonly Batch[] {
  const lines = linesOf(bytes)
  return decode(table, table.fields, bytes, lines, lines.numbers)
}

function decode(table: FileTable, fields: readonly Field[], bytes: Uint8Array, lines: Lines, numbers: Int32Array): readonly Batch[] {
  const decoder = jsonDecoder(
    fields,
    fields.map((_, index) => index),
  )
  const batches: Batch[] = []
  for (let from = 0; from < lines.count; from += ROWS_PER_BATCH) {
    const count = Math.min(ROWS_PER_BATCH, lines.count - from)
    const into = decoder.columns()
    decoder.decode(bytes, lines.starts.subarray(from, from + count), lines.ends.subarray(from, from + count), count, into)
    const [error] = into.errors
    if (error !== undefined)
      throw new MillraceError(error.code, {
        message: error.message,
        details: {
          table: table.name,
          file: table.path,
          line: numbers[from + error.row] as number,
          ...(error.field === '' ? {} : { field: error.field }),
        },
      })
    batches.push({
      rowCount: count,
      columns: [...into.columns],
      times: new Float64Array(count),
      weights: null,
      selected: null,
      selectedCount: count,
      origin: null,
      originRows: null,
      values: null,
    })
  }
  return batches
}

// CSV becomes one JSON line per record and then takes the same way, so that there is one coercion of text to kinds. Tables are small.
function csvBatches(table: FileTable, bytes: Uint8Array): readonly Batch[] {
  const text = new TextDecoder('utf-8', { fatal: true })
  let decoded: string
  try {
    decoded = text.decode(bytes)
  } catch (error) {
    throw new MillraceError('MR_CODEC_UTF8_INVALID', { details: { table: table.name, file: table.path }, cause: error })
  }
  const [header, ...records] = csvRecords(table, decoded)
  const names = header?.cells ?? []
  const places = table.fields.map((field) => {
    const place = names.indexOf(field.name)
    if (place < 0 && !field.nullable)
      throw new MillraceError('MR_CODEC_FIELD_MISSING', {
        message: `the file has no column \`${field.name}\`; it has ${names.join(', ')}.`,
        details: { table: table.name, file: table.path, line: 1 },
      })
    return { field, place }
  })
  const numbers: number[] = []
  const json: string[] = []
  for (const { cells, line } of records) {
    if (cells.length !== names.length)
      throw new MillraceError('MR_CODEC_CSV_INVALID', {
        message: `the line has ${cells.length} columns, the header ${names.length}.`,
        details: { table: table.name, file: table.path, line },
      })
    numbers.push(line)
    json.push(
      JSON.stringify(
        Object.fromEntries(places.map(({ field, place }) => [field.name, cellValue(field, place < 0 ? '' : (cells[place] as string))])),
      ),
    )
  }
  const lines = new TextEncoder().encode(json.join('\n'))
  const found = linesOf(lines)
  return decode(table, table.fields, lines, found, Int32Array.from(numbers))
}

function cellValue(field: Field, cell: string): unknown {
  if (cell === '' && field.type.kind !== 'string') return null
  if (cell === '' && field.nullable) return null
  switch (field.type.kind) {
    case 'i32':
    case 'i64':
    case 'f64': {
      const number = Number(cell)
      // Text that is no number goes on as text, so that the decoder refuses it with the field's name.
      return Number.isNaN(number) ? cell : number
    }
    case 'bool':
      return cell === 'true' || cell === '1' ? true : cell === 'false' || cell === '0' ? false : cell
    default:
      return cell
  }
}

interface CsvRecord {
  readonly cells: readonly string[]
  /** Line on which the record starts, from 1. */
  readonly line: number
}

/** RFC 4180: quoted cells may hold separators, newlines and doubled quotes. */
function csvRecords(table: FileTable, text: string): readonly CsvRecord[] {
  const records: CsvRecord[] = []
  let cells: string[] = []
  let at = text.startsWith('\uFEFF') ? 1 : 0
  let line = 1
  let startLine = 1
  while (at < text.length) {
    let cell = ''
    if (text[at] === '"') {
      const open = line
      at++
      for (;;) {
        const quote = text.indexOf('"', at)
        if (quote < 0)
          throw new MillraceError('MR_CODEC_CSV_INVALID', {
            message: 'a quoted cell is not closed.',
            details: { table: table.name, file: table.path, line: open },
          })
        cell += text.slice(at, quote)
        at = quote + 1
        if (text[at] !== '"') break
        cell += '"'
        at++
      }
      line += cell.split('\n').length - 1
    } else {
      const start = at
      while (at < text.length && text[at] !== ',' && text[at] !== '\n' && text[at] !== '\r') at++
      cell = text.slice(start, at)
    }
    cells.push(cell)
    if (text[at] === ',') {
      at++
      // A separator at the very end opens one more, empty cell.
      if (at < text.length) continue
      cells.push('')
    }
    if (text[at] === '\r') at++
    if (at < text.length && text[at] !== '\n')
      throw new MillraceError('MR_CODEC_CSV_INVALID', {
        message: 'text behind a closing quote.',
        details: { table: table.name, file: table.path, line },
      })
    at++
    line++
    if (cells.length > 1 || cells[0] !== '') records.push({ cells, line: startLine })
    cells = []
    startLine = line
  }
  return records
}
