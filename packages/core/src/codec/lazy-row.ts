// The row that a user's lambda sees: one object, reused for every row of every batch, whose getters decode on demand. Its properties are own
// and enumerable, so `{ ...row }`, `Object.keys(row)`, `JSON.stringify(row)` and destructuring work as on a plain object.
//
// A field that has a column is read from it. A field without one (nobody asked the source for it) is decoded from the records' bytes at its
// first use, for all live rows of the batch at once, together with every other field that lambdas have used before: after the first batch a
// lambda costs one projecting pass, whatever it reads. Law: a lazy row equals the coerced row (lazy-row.property.test.ts).
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { columnValue } from './column-value.ts'
import type { Batch, BytesColumn, Column, Field } from './column.ts'
import { ROW_OK, type DecodedColumns } from './decoded-columns.ts'
import { generate } from './generate.ts'
import { jsonDecoder, type RecordDecoder } from './json/decoder.ts'
import { utf8Text } from './utf8.ts'

export type LazyRow = Readonly<Record<string, unknown>>

export interface LazyRowsOptions {
  /** False where `new Function` is forbidden, and for the oracle. Default true. */
  readonly codegen?: boolean
  /** True in the test driver: a row that is used after its call throws `MR_ROW_KEPT`. Default false. */
  readonly guard?: boolean
  /** Decodes fields of the records by index, for batches that come from a topic. Default: JSON. */
  readonly decoder?: (projection: readonly number[]) => RecordDecoder
}

/** What the accessors read; made by generated or interpreted code. */
interface Cursor {
  readonly row: LazyRow
  move(row: number): void
  /** Gives field `index` its column; null: not decoded yet. */
  set(index: number, column: Column | null): void
}

export class LazyRows {
  /** Fields that lambdas have used without finding a column. The reader of the source may decode them in its own pass. */
  readonly wanted: Set<number> = new Set()
  readonly #fields: readonly Field[]
  readonly #makeDecoder: (projection: readonly number[]) => RecordDecoder
  readonly #cursor: Cursor
  readonly #guard: boolean
  readonly #columns: (Column | null)[]
  /** Strings of dictionary entries, by field and id. */
  readonly #texts: (string | undefined)[][]
  readonly #dictionaries: (BytesColumn | null)[]
  #batch: Batch | null = null
  #decoder: RecordDecoder | null = null
  #decoded: DecodedColumns | null = null
  #projection: readonly number[] = []
  /** Whether `#decoded` belongs to the current batch. */
  #isDecoded = false
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  #generation = 0

  constructor(fields: readonly Field[], options: LazyRowsOptions = {}) {
    this.#fields = fields
    const codegen = options.codegen ?? true
    this.#makeDecoder = options.decoder ?? ((projection) => jsonDecoder(fields, projection, { codegen }))
    this.#guard = options.guard ?? false
    this.#columns = fields.map(() => null)
    this.#texts = fields.map(() => [])
    this.#dictionaries = fields.map(() => null)
    const slow = (index: number, row: number): unknown => this.#value(index, row)
    this.#cursor = codegen ? generatedCursor(fields, slow) : interpretedCursor(fields, slow)
  }

  /** Starts a batch. Rows of the batch before are no longer valid. */
  bind(batch: Batch): void {
    this.#batch = batch
    this.#isDecoded = false
    this.#generation++
    for (let index = 0; index < this.#columns.length; index++) this.#setColumn(index, batch.columns[index] ?? null)
  }

  #setColumn(index: number, column: Column | null): void {
    this.#columns[index] = column
    this.#dictionaries[index] = null
    this.#cursor.set(index, column)
  }

  /** The row at physical row `row` of the batch: the same object each time, valid until the next call. Rows that are JavaScript values come as they are. */
  at(row: number): LazyRow {
    const batch = this.#batch
    if (batch !== null && batch.values !== null) return batch.values[row] as LazyRow
    if (this.#guard) return this.#guarded(row)
    this.#cursor.move(row)
    return this.#cursor.row
  }

  /** Ends the last row's life; in guard mode it throws from now on. */
  release(): void {
    this.#generation++
  }

  /** The value of a field whose accessor has no fast way. */
  #value(index: number, row: number): unknown {
    const column = this.#columns[index] ?? this.#load(index, row)
    const field = must(this.#fields[index], 'field')
    if (column.layout === 'dictionary' && field.type.kind === 'string')
      return this.#text(index, column.dictionary, column.ids[row] as number, column.validity === null || column.validity[row] === 1)
    return columnValue(column, field.type, row)
  }

  #text(index: number, dictionary: BytesColumn, id: number, present: boolean): string | null {
    if (!present) return null
    if (this.#dictionaries[index] !== dictionary) {
      this.#dictionaries[index] = dictionary
      this.#texts[index] = []
    }
    const texts = this.#texts[index] as (string | undefined)[]
    return (texts[id] ??= utf8Text(dictionary.data, dictionary.offsets[id] as number, dictionary.offsets[id + 1] as number))
  }

  /** Decodes a field that has no column, or says why this row has none. */
  #load(index: number, row: number): Column {
    if (!this.#isDecoded || !this.#projection.includes(index)) this.#decode(index)
    const decoded = must(this.#decoded, 'decoded columns')
    if (decoded.status[row] !== ROW_OK) {
      const error = must(
        decoded.errors.find((candidate) => candidate.row === row),
        'the reason of a refused row',
      )
      throw new MillraceError(error.code, { details: { field: error.field, at: error.at } })
    }
    const column = must(decoded.columns[index], 'a decoded column')
    // With refused rows the accessor goes on asking here, so that it throws for them.
    if (decoded.errors.length === 0)
      for (const each of this.#projection)
        if (this.#columns[each] === null) this.#setColumn(each, must(decoded.columns[each], 'a decoded column'))
    return column
  }

  #decode(index: number): void {
    const { origin, originRows, selected, selectedCount, rowCount } = must(this.#batch, 'a bound batch')
    if (origin === null)
      throw new MillraceError('MR_CODEC_FIELD_MISSING', {
        message: 'the batch has no column and no bytes for the field.',
        details: { field: must(this.#fields[index], 'field').name },
      })
    if (!this.wanted.has(index) || this.#decoder === null) {
      this.wanted.add(index)
      this.#projection = [...this.wanted].sort((a, b) => a - b)
      this.#decoder = this.#makeDecoder(this.#projection)
      this.#decoded = this.#decoder.columns()
    }
    let starts = origin.valueStarts
    let ends = origin.valueEnds
    if (originRows !== null) {
      if (this.#starts.length < rowCount) {
        this.#starts = new Int32Array(rowCount * 2)
        this.#ends = new Int32Array(rowCount * 2)
      }
      starts = this.#starts
      ends = this.#ends
      for (let row = 0; row < rowCount; row++) {
        starts[row] = origin.valueStarts[originRows[row] as number] as number
        ends[row] = origin.valueEnds[originRows[row] as number] as number
      }
    }
    this.#decoder.decode(
      origin.bytes,
      starts,
      ends,
      selected === null ? rowCount : selectedCount,
      must(this.#decoded, 'decoded columns'),
      selected,
    )
    this.#isDecoded = true
  }

  #guarded(row: number): LazyRow {
    const generation = ++this.#generation
    const guarded: Record<string, unknown> = {}
    this.#fields.forEach((field, index) => {
      const get = (): unknown => {
        if (generation !== this.#generation) throw new MillraceError('MR_ROW_KEPT', { details: { field: field.name } })
        return this.#value(index, row)
      }
      Object.defineProperty(guarded, field.name, { get, enumerable: true, configurable: true })
    })
    return Object.seal(guarded)
  }
}

type Slow = (index: number, row: number) => unknown

function interpretedCursor(fields: readonly Field[], slow: Slow): Cursor {
  let current = 0
  const row = {}
  fields.forEach((field, index) =>
    Object.defineProperty(row, field.name, { get: () => slow(index, current), enumerable: true, configurable: true }),
  )
  const move = (to: number): void => {
    current = to
  }
  return { row: Object.seal(row), move, set: () => {} }
}

/** Numbers are read straight from their arrays; everything else, and any unusual layout, goes through `slow`. */
function accessor(field: Field, index: number): string {
  const name = JSON.stringify(field.name)
  const { type } = field
  const isNumber = type.kind === 'f64' || type.kind === 'i32' || type.kind === 'time' || (type.kind === 'i64' && type.big !== true)
  if (!isNumber && type.kind !== 'bool') return `    get ${name}() { return slow(${index}, row) },`
  return `    get ${name}() {
      if (values${index} === null) return slow(${index}, row)
      if (validity${index} !== null && validity${index}[row] !== 1) return null
      return values${index}[row]${isNumber ? '' : ' === 1'}
    },`
}

export function cursorSource(fields: readonly Field[]): string {
  return `'use strict'
let row = 0
${fields.map((_, index) => `let values${index} = null, validity${index} = null`).join('\n')}
return {
  row: {
${fields.map(accessor).join('\n')}
  },
  move(to) { row = to },
  set(index, column) {
    const plain = column !== null && (column.layout === 'f64' || column.layout === 'i32' || column.layout === 'bool')
    switch (index) {
${fields.map((_, index) => `      case ${index}: values${index} = plain ? column.values : null; validity${index} = plain ? column.validity : null; return`).join('\n')}
    }
  },
}
`
}

function generatedCursor(fields: readonly Field[], slow: Slow): Cursor {
  const cursor = generate('slow', slow, cursorSource(fields)) as Cursor
  // What a lambda removed or redefined would be so for every later row.
  Object.seal(cursor.row)
  return cursor
}
