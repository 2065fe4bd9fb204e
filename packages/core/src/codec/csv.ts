// CSV as RFC 4180 has it: fields between separators, optionally quoted, "" for a quote inside quotes, line ends inside quotes belong to the
// field. Records stay the bytes of their line; the decoder fills the same columns as the JSON decoder does.
//
// Values: an empty field is null where the field is optional, an empty string for a required string, otherwise missing; a quoted empty
// field is an empty string. Numbers as in JSON; bool: true, false, 1, 0; time: ISO-8601 or ms; bytes: base64; json, list, struct: JSON text.
import { MillraceError } from '../base/errors.ts'
import { coerce, type Problem } from './coerce.ts'
import type { Field } from './column.ts'
import { DecodedColumns, ROW_NULL, ROW_OK, type FieldSlot } from './decoded-columns.ts'
import type { RecordDecoder } from './json/decoder.ts'
import { storeFromArena, storeCoerced } from './json/exact-row.ts'
import { ExactNumber, parseExact } from './json/exact.ts'
import { floatInto, integerInto } from './json/number.ts'
import { isDocument } from './json/scan.ts'
import { nearestWord } from '../base/nearest-word.ts'
import { RecordSplitter, type RecordBoundary, type RecordSplitterOptions } from './record-splitter.ts'
import { parseTimeBytes } from './time-text.ts'
import { isUtf8, utf8Text } from './utf8.ts'

const QUOTE = 34

export interface CsvOptions {
  /** One ASCII character. Default comma. */
  readonly separator?: string
}

function separatorOf(options: CsvOptions): number {
  const separator = options.separator ?? ','
  const code = separator.charCodeAt(0)
  if (separator.length !== 1 || code > 127 || code === QUOTE || code === 10 || code === 13)
    throw new MillraceError('MR_CODEC_UNSUPPORTED', {
      message: 'the CSV separator must be one ASCII character, not a quote or a line end.',
      details: { separator },
    })
  return code
}

/** Splits a stream of CSV into records; a header is the first record. */
export function csvSplitter(options: CsvOptions & RecordSplitterOptions = {}): RecordSplitter {
  const separator = separatorOf(options)
  const boundary: RecordBoundary = {
    multiline: true,
    isBlank: (_bytes, start, end) => start === end,
    find(bytes, start, _searched, end) {
      // A quote opens a quoted field only at the field's start; inside it, separators and line feeds are text.
      let at = start
      for (;;) {
        if (at < end && bytes[at] === QUOTE) {
          at++
          for (;;) {
            at = bytes.indexOf(QUOTE, at)
            if (at < 0 || at >= end) return -1
            at++
            if (bytes[at] !== QUOTE || at >= end) break
            at++
          }
        }
        while (at < end && bytes[at] !== separator && bytes[at] !== 10) at++
        if (at >= end) return -1
        if (bytes[at] === 10) return at
        at++
      }
    },
  }
  return new RecordSplitter(boundary, options)
}

/** Field positions of the record that was read last, in its bytes or unquoted in `text`. */
class CsvRecord {
  readonly starts: number[] = []
  readonly ends: number[] = []
  /** Whether the field was quoted: then empty is a value. */
  readonly quoted: boolean[] = []
  /** Texts of the fields with doubled quotes, else null. */
  readonly texts: (Uint8Array | null)[] = []
  count = 0
  /** Where the record is broken, when `read` returned false. */
  brokenAt = 0

  read(bytes: Uint8Array, start: number, end: number, separator: number): boolean {
    this.count = 0
    let at = start
    for (;;) {
      const field = this.count++
      this.texts[field] = null
      this.quoted[field] = at < end && bytes[at] === QUOTE
      if (this.quoted[field] === true) {
        at = this.#quoted(field, bytes, at + 1, end)
        if (at < 0) return false
      } else {
        this.starts[field] = at
        while (at < end && bytes[at] !== separator) {
          if (bytes[at] === QUOTE) return this.#broken(at)
          at++
        }
        this.ends[field] = at
      }
      if (at === end) return true
      if (bytes[at] !== separator) return this.#broken(at)
      at++
    }
  }

  #broken(at: number): false {
    this.brokenAt = at
    return false
  }

  #quoted(field: number, bytes: Uint8Array, start: number, end: number): number {
    let doubled = false
    let at = start
    for (;;) {
      while (at < end && bytes[at] !== QUOTE) at++
      if (at >= end) {
        this.brokenAt = end
        return -1
      }
      if (at + 1 < end && bytes[at + 1] === QUOTE) {
        doubled = true
        at += 2
        continue
      }
      break
    }
    this.starts[field] = start
    this.ends[field] = at
    if (doubled) this.texts[field] = Buffer.from(utf8Text(bytes, start, at).replaceAll('""', '"'))
    return at + 1
  }
}

/** The names in a header record. Throws `MR_CODEC_CSV_INVALID`. */
export function csvHeader(bytes: Uint8Array, start: number, end: number, options: CsvOptions = {}): string[] {
  const record = new CsvRecord()
  if (!isUtf8(bytes, start, end) || !record.read(bytes, start, end, separatorOf(options)))
    throw new MillraceError('MR_CODEC_CSV_INVALID', { message: 'the header is not valid CSV.' })
  const names: string[] = []
  for (let field = 0; field < record.count; field++) {
    const text = record.texts[field] ?? null
    names.push(
      text === null ? utf8Text(bytes, record.starts[field] as number, record.ends[field] as number) : utf8Text(text, 0, text.length),
    )
  }
  return names
}

/**
 * A sentence when the header names a wanted column more than once: nobody can say which of them is meant. Columns that nobody wants may have
 * any names.
 */
export function columnNamedTwice(fields: readonly Field[], header: readonly string[]): string | null {
  const twice = fields.find(({ name }) => header.indexOf(name) !== header.lastIndexOf(name))
  if (twice === undefined) return null
  const count = header.filter((name) => name === twice.name).length
  return `${count === 2 ? 'two' : count} columns of the header ${twice.name === '' ? 'have no name' : `are named \`${twice.name}\``}`
}

/** What to do about `columnNamedTwice`. */
export const NAME_COLUMNS = 'Give each column of the header a name of its own.'

export interface CsvDecoderOptions extends CsvOptions {
  /** Names of the columns in the file, in their order; null or absent: the fields in theirs. */
  readonly header?: readonly string[] | null
  /** Indexes of string fields that the reader wants as dictionary ids. */
  readonly dictionary?: readonly number[]
}

/**
 * A decoder of CSV records with the fields of the schema, filling those in `projection`.
 * @throws {MillraceError} `MR_CODEC_CSV_INVALID` when the header lacks a required field, or names a field twice.
 */
export function csvDecoder(fields: readonly Field[], projection: readonly number[], options: CsvDecoderOptions = {}): RecordDecoder {
  return new CsvDecoder(fields, projection, options)
}

class CsvDecoder implements RecordDecoder {
  readonly #fields: readonly Field[]
  readonly #projection: readonly number[]
  readonly #dictionary: readonly number[]
  readonly #separator: number
  readonly #width: number
  /** Place in the record of each slot, -1 when the file has no such column. */
  readonly #places: readonly number[]
  readonly #record = new CsvRecord()

  constructor(fields: readonly Field[], projection: readonly number[], options: CsvDecoderOptions) {
    this.#fields = fields
    this.#projection = projection
    this.#dictionary = options.dictionary ?? []
    this.#separator = separatorOf(options)
    const header = options.header ?? fields.map((field) => field.name)
    this.#width = header.length
    const twice = columnNamedTwice(fields, header)
    if (twice !== null)
      throw new MillraceError('MR_CODEC_CSV_INVALID', { message: twice, fix: NAME_COLUMNS, details: { header: header.join(',') } })
    for (const field of fields) {
      if (field.nullable || header.includes(field.name)) continue
      const near = nearestWord(field.name, header)
      throw new MillraceError('MR_CODEC_CSV_INVALID', {
        message: `the header has no column \`${field.name}\`${near === null ? '' : `; did you mean \`${near}\`?`}`,
        details: { header: header.join(',') },
      })
    }
    this.#places = projection.map((index) => header.indexOf(fields[index]?.name ?? ''))
  }

  columns(): DecodedColumns {
    return new DecodedColumns(this.#fields, this.#projection, this.#dictionary)
  }

  decode(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    count: number,
    into: DecodedColumns,
    rows: Int32Array | null = null,
  ): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    into.prepare(rows === null ? count : count === 0 ? 0 : (rows[count - 1] as number) + 1, rows !== null)
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      const start = starts[row] as number
      if (start < 0) into.status[row] = ROW_NULL
      else this.#row(bytes, view, start, ends[row] as number, row, into)
    }
    return into.finish(bytes, rows, count)
  }

  #row(bytes: Uint8Array, view: DataView, start: number, end: number, row: number, into: DecodedColumns): void {
    const record = this.#record
    if (!isUtf8(bytes, start, end)) return into.reject(row, 'MR_CODEC_UTF8_INVALID', 0, '', 'not valid UTF-8')
    if (!record.read(bytes, start, end, this.#separator))
      return into.reject(
        row,
        'MR_CODEC_CSV_INVALID',
        record.brokenAt - start,
        '',
        'a quote stands where none may be, or the closing one is missing',
      )
    if (record.count !== this.#width)
      return into.reject(row, 'MR_CODEC_CSV_INVALID', 0, '', `${record.count} fields where the header has ${this.#width}`)
    into.status[row] = ROW_OK
    for (let index = 0; index < into.slots.length; index++) {
      const slot = into.slots[index] as FieldSlot
      const place = this.#places[index] as number
      const problem = this.#store(slot, row, place, bytes, view)
      if (problem !== null)
        return into.reject(row, problem.code, place < 0 ? 0 : (record.starts[place] as number) - start, slot.field.name, problem.message)
    }
  }

  #store(slot: FieldSlot, row: number, place: number, bytes: Uint8Array, view: DataView): Problem | null {
    const record = this.#record
    const from = place < 0 ? 0 : (record.starts[place] as number)
    const to = place < 0 ? 0 : (record.ends[place] as number)
    const isString = slot.kind === 'string'
    if (place < 0 || (from === to && record.quoted[place] !== true)) {
      if (slot.field.nullable) {
        slot.setNull(row)
        return null
      }
      if (!isString) return { code: 'MR_CODEC_FIELD_MISSING', message: 'required', path: [] }
    }
    if (slot.field.nullable) slot.validity[row] = 1
    const text = record.texts[place] ?? null
    if (text === null) {
      if (isString) {
        slot.starts[row] = from
        slot.ends[row] = to
        if (slot.interner !== null) slot.ids[row] = slot.interner.intern(bytes, view, from, to)
        return null
      }
      if (this.#number(slot, row, bytes, from, to)) return null
    } else if (isString) {
      const at = slot.arena.at
      slot.arena.copy(text, 0, text.length)
      storeFromArena(slot, row, at, slot.arena.at)
      return null
    }
    return storeOther(slot, row, text ?? bytes.slice(from, to))
  }

  /** Numbers and times in their usual forms; false leaves the value to coercion. */
  #number(slot: FieldSlot, row: number, bytes: Uint8Array, from: number, to: number): boolean {
    switch (slot.kind) {
      case 'f64':
        return floatInto(bytes, from, to, slot.f64, row) === to
      case 'i64':
        return integerInto(bytes, from, to, slot.f64, row) === to
      case 'i32': {
        if (integerInto(bytes, from, to, slot.f64, row) !== to) return false
        const value = slot.f64[row] as number
        slot.i32[row] = value
        return slot.i32[row] === value
      }
      case 'time': {
        if (integerInto(bytes, from, to, slot.f64, row) === to) return true
        const time = parseTimeBytes(bytes, from, to)
        slot.f64[row] = time
        return !Number.isNaN(time)
      }
      default:
        return false
    }
  }
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** Every kind, through coercion; how a text becomes the value to coerce depends on the kind. */
function storeOther(slot: FieldSlot, row: number, text: Uint8Array): Problem | null {
  const word = utf8Text(text, 0, text.length)
  let value: unknown = word
  switch (slot.field.type.kind) {
    case 'bool':
      value = /^(?:true|1)$/i.test(word) ? true : /^(?:false|0)$/i.test(word) ? false : word
      break
    case 'i32':
    case 'i64':
    case 'f64':
      if (NUMBER.test(word)) value = new ExactNumber(word)
      break
    case 'json':
    case 'list':
    case 'struct':
      if (!isDocument(text, new DataView(text.buffer, text.byteOffset, text.byteLength), 0, text.length))
        return { code: 'MR_CODEC_FIELD_TYPE', message: 'expected JSON text', path: [] }
      value = parseExact(word)
      break
    default:
  }
  const problems: Problem[] = []
  const coerced = coerce(slot.field.type, slot.field.nullable, value, [], problems)
  const problem = problems[0]
  if (problem !== undefined) return problem
  storeCoerced(slot, row, slot.kind === 'json' ? value : coerced)
  return null
}
