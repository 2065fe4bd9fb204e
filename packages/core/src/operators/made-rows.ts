// Rows that user code returned, gathered into a batch: as JavaScript values, or as typed columns where the user gave a schema. Each row
// takes time, weight and origin of the row it was made from. A row that does not fit the schema is refused whole, before a column changes.
import { columnBuilder, type ColumnBuilder } from '../codec/column-builder.ts'
import type { Problem } from '../codec/coerce.ts'
import { coerce } from '../codec/coerce.ts'
import type { Batch, Column, Field, FieldType } from '../codec/column.ts'
import { MillraceError } from '../base/errors.ts'
import { writeUtf8 } from '../codec/utf8.ts'
import { atOnce, atOnceWithin } from './synchronous.ts'

const FIRST_ROWS = 1024

export class MadeRows {
  readonly #fields: readonly Field[] | null
  readonly #writers: readonly FieldWriter[]
  readonly #scratch: unknown[]
  #values: unknown[] = []
  #times = new Float64Array(FIRST_ROWS)
  #weights = new Int32Array(FIRST_ROWS)
  #originRows = new Int32Array(FIRST_ROWS)
  #batch: Batch | null = null
  #count = 0

  /** `fields` null: rows stay JavaScript values. */
  constructor(fields: readonly Field[] | null) {
    this.#fields = fields
    this.#writers = (fields ?? []).map((field) => writerOf(field.type))
    this.#scratch = (fields ?? []).map(() => null)
  }

  get count(): number {
    return this.#count
  }

  /** Starts a batch of rows made from rows of `batch`. */
  begin(batch: Batch): void {
    this.#batch = batch
    this.#count = 0
    this.#values = []
    for (const writer of this.#writers) writer.reset()
  }

  /** Adds what user code returned for `row`. Throws `MR_CODEC_FIELD_*` when it does not fit; nothing is added then. */
  add(row: number, value: unknown): void {
    if (this.#fields !== null) this.#addFields(this.#fields, value)
    else if (value === undefined || value === null)
      throw new MillraceError('MR_CODEC_FIELD_TYPE', {
        message: `the function returned ${value === null ? 'null' : 'nothing'} where a row is expected.`,
        fix: 'Return a row; leave rows out with `filter`, or with `flatMap` and an empty list. Then `npx millrace dlq retry`.',
      })
    else this.#values.push(atOnceWithin(value))
    const at = this.#count++
    if (at === this.#times.length) this.#grow()
    const { times, weights, originRows } = this.#batch as Batch
    this.#times[at] = times[row] as number
    this.#weights[at] = weights === null ? 1 : (weights[row] as number)
    this.#originRows[at] = originRows === null ? row : (originRows[row] as number)
  }

  #addFields(fields: readonly Field[], value: unknown): void {
    if (typeof value !== 'object' || value === null)
      throw new MillraceError('MR_CODEC_FIELD_TYPE', {
        message: `the function returned ${value === null ? 'null' : `a ${typeof value}`} where its \`value\` schema says an object.`,
      })
    const scratch = this.#scratch
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index] as Field
      const own = (value as Readonly<Record<string, unknown>>)[field.name]
      if (own === undefined) atOnce(value)
      scratch[index] = fits(field.type, own) ? own : coerced(field, own)
    }
    for (let index = 0; index < fields.length; index++) (this.#writers[index] as FieldWriter).append(scratch[index])
  }

  #grow(): void {
    const grow = <A extends Float64Array | Int32Array>(from: A, to: A): A => {
      to.set(from)
      return to
    }
    const size = this.#times.length * 2
    this.#times = grow(this.#times, new Float64Array(size))
    this.#weights = grow(this.#weights, new Int32Array(size))
    this.#originRows = grow(this.#originRows, new Int32Array(size))
  }

  /** Forgets the rows added since there were `count`: user code failed between them. */
  truncate(count: number): void {
    this.#count = count
    this.#values.length = Math.min(this.#values.length, count)
    for (const writer of this.#writers) writer.truncate(count)
  }

  /** The batch; its arrays are used again by the next one. Open rows have no origin: the record's bytes are not what they hold. */
  finish(): Batch {
    const { weights, origin } = this.#batch as Batch
    const count = this.#count
    const columns = this.#writers.map((writer) => writer.column())
    const isOpen = this.#fields === null
    return {
      rowCount: count,
      columns,
      times: this.#times,
      weights: weights === null ? null : this.#weights,
      selected: null,
      selectedCount: count,
      origin: isOpen ? null : origin,
      originRows: isOpen || origin === null ? null : this.#originRows,
      values: isOpen ? this.#values : null,
    }
  }
}

/** Values that need no coercion. */
function fits(type: FieldType, value: unknown): boolean {
  switch (type.kind) {
    case 'f64':
      return typeof value === 'number' && Number.isFinite(value)
    case 'i64':
      return type.big !== true && typeof value === 'number' && Number.isSafeInteger(value)
    case 'time':
      return typeof value === 'number' && Number.isSafeInteger(value)
    case 'bool':
      return typeof value === 'boolean'
    case 'string':
      return typeof value === 'string' && value.isWellFormed()
    default:
      return false
  }
}

function coerced(field: Field, value: unknown): unknown {
  const problems: Problem[] = []
  const result = coerce(field.type, field.nullable, value instanceof Date ? value.getTime() : value, [field.name], problems)
  const [problem] = problems
  if (problem !== undefined) {
    atOnceWithin(value)
    throw new MillraceError(problem.code, {
      message: `the function's result does not fit its \`value\` schema: ${problem.message}.`,
      details: { field: problem.path.join('.') },
    })
  }
  return result
}

/** Appends coerced values of one field. */
interface FieldWriter {
  append(value: unknown): void
  truncate(count: number): void
  reset(): void
  column(): Column
}

function writerOf(type: FieldType): FieldWriter {
  if (type.kind === 'f64' || type.kind === 'time' || (type.kind === 'i64' && type.big !== true)) return new NumberWriter()
  return type.kind === 'string' ? new TextWriter() : new GeneralWriter(type)
}

class NumberWriter implements FieldWriter {
  #values = new Float64Array(FIRST_ROWS)
  #validity = new Uint8Array(FIRST_ROWS)
  #count = 0

  append(value: unknown): void {
    const at = this.#count++
    if (at === this.#values.length) {
      const [values, validity] = [new Float64Array(at * 2), new Uint8Array(at * 2)]
      values.set(this.#values)
      validity.set(this.#validity)
      this.#values = values
      this.#validity = validity
    }
    this.#values[at] = value === null ? 0 : (value as number) + 0
    this.#validity[at] = value === null ? 0 : 1
  }

  truncate(count: number): void {
    this.#count = count
  }

  reset(): void {
    this.#count = 0
  }

  column(): Column {
    return { layout: 'f64', values: this.#values, validity: withNulls(this.#validity, this.#count) }
  }
}

class TextWriter implements FieldWriter {
  #data = new Uint8Array(FIRST_ROWS * 16)
  #offsets = new Int32Array(FIRST_ROWS + 1)
  #validity = new Uint8Array(FIRST_ROWS)
  #count = 0

  append(value: unknown): void {
    const at = this.#count++
    if (at === this.#validity.length) {
      const [offsets, validity] = [new Int32Array(at * 2 + 1), new Uint8Array(at * 2)]
      offsets.set(this.#offsets)
      validity.set(this.#validity)
      this.#offsets = offsets
      this.#validity = validity
    }
    const start = this.#offsets[at] as number
    this.#validity[at] = value === null ? 0 : 1
    this.#offsets[at + 1] = value === null ? start : this.#write(value as string, start)
  }

  #write(text: string, start: number): number {
    const most = start + text.length * 3
    if (most > this.#data.length) {
      const grown = new Uint8Array(most * 2)
      grown.set(this.#data.subarray(0, start))
      this.#data = grown
    }
    return writeUtf8(this.#data, start, text)
  }

  truncate(count: number): void {
    this.#count = count
  }

  reset(): void {
    this.#count = 0
  }

  column(): Column {
    return { layout: 'bytes', offsets: this.#offsets, data: this.#data, validity: withNulls(this.#validity, this.#count) }
  }
}

class GeneralWriter implements FieldWriter {
  readonly #builder: ColumnBuilder
  #values: unknown[] = []

  constructor(type: FieldType) {
    this.#builder = columnBuilder(type)
  }

  append(value: unknown): void {
    this.#values.push(value)
  }

  truncate(count: number): void {
    this.#values.length = count
  }

  reset(): void {
    this.#values = []
  }

  column(): Column {
    this.#builder.reset()
    for (const value of this.#values) this.#builder.append(value)
    return this.#builder.finish()
  }
}

function withNulls(validity: Uint8Array, count: number): Uint8Array | null {
  for (let i = 0; i < count; i++) if (validity[i] !== 1) return validity
  return null
}
