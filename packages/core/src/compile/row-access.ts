// Columns by name, for typed rows and for open ones, and keys made of them or by lambdas.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { DeadLetters } from '../operators/operator.ts'
import type { KeyRows, KeySource, LambdaRows, RowPredicate, UserFunction } from '../operators/row-functions.ts'
import type { Lambda, RowShape } from '../plan/node.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { RowList } from '../operators/live-rows.ts'
import { GROUP_KEY } from '../plan/derive.ts'
import { fieldIn, fieldsOfShape } from '../plan/shape.ts'
import { atOnce, disarm } from '../operators/synchronous.ts'

/** Name of the extra column that carries a lambda's key over an exchange. */
export const LAMBDA_KEY = '$key'

/** Where refused rows go. */
export interface Refusals {
  readonly operator: string
  readonly input: number
  readonly deadLetters: DeadLetters
}

/** Fields of a key: named ones as the shape has them, a lambda's as one variant. */
export function keyFieldsOf(shape: RowShape, by: readonly string[] | Lambda): readonly Field[] {
  if (typeof by === 'function') return [{ name: GROUP_KEY, type: { kind: 'variant' }, nullable: true }]
  return by.map((name) => fieldIn(shape, name, { operator: 'key', place: null }))
}

/** The property of an open row; null where the row is no object or has none. */
export function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? ((value as Readonly<Record<string, unknown>>)[name] ?? null) : null
}

/** A variant column over physical rows; reused. */
class VariantRows {
  readonly values: unknown[] = []
  #validity = new Uint8Array(0)
  #nulls = 0

  begin(size: number): void {
    if (this.#validity.length < size) this.#validity = new Uint8Array(size * 2)
    this.#nulls = 0
  }

  set(row: number, value: unknown): void {
    const own = value ?? null
    this.values[row] = own
    this.#validity[row] = own === null ? 0 : 1
    if (own === null) this.#nulls++
  }

  column(): Column {
    return { layout: 'variant', values: this.values, validity: this.#nulls === 0 ? null : this.#validity }
  }
}

/** Fields of typed rows, picked by index. */
class PickedKeys implements KeySource {
  readonly fields: readonly Field[]
  readonly #indexes: readonly number[]

  constructor(fields: readonly Field[], indexes: readonly number[]) {
    this.fields = fields
    this.#indexes = indexes
  }

  read(batch: Batch, rows: Int32Array, count: number): KeyRows {
    const columns = this.#indexes.map((index, at) => batch.columns[index] ?? nullColumn(must(this.fields[at], 'key field'), batch.rowCount))
    return { columns, rows, count }
  }
}

/** Properties of open rows. */
class PropertyKeys implements KeySource {
  readonly fields: readonly Field[]
  readonly #columns: readonly VariantRows[]
  readonly #refusals: Refusals
  readonly #kept = new RowList()

  constructor(fields: readonly Field[], refusals: Refusals) {
    this.fields = fields
    this.#columns = fields.map(() => new VariantRows())
    this.#refusals = refusals
  }

  read(batch: Batch, rows: Int32Array, count: number): KeyRows {
    const kept = this.#kept.reset(count)
    let keptCount = 0
    for (const column of this.#columns) column.begin(batch.rowCount)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      try {
        for (let at = 0; at < this.fields.length; at++)
          this.#columns[at]?.set(row, checkedKey(propertyOf(batch.values?.[row], must(this.fields[at], 'key field').name)))
      } catch (error) {
        this.#refusals.deadLetters.reject(this.#refusals.operator, this.#refusals.input, batch, row, error)
        continue
      }
      kept[keptCount++] = row
    }
    return { columns: this.#columns.map((column) => column.column()), rows: kept, count: keptCount }
  }
}

/** What a lambda gives; behind an exchange the column that came along. */
class LambdaKeys implements KeySource {
  readonly fields: readonly Field[]
  readonly #lambda: UserFunction
  readonly #rows: LambdaRows
  readonly #refusals: Refusals
  /** Index of the column that came over an exchange. */
  readonly #carried: number
  readonly #values = new VariantRows()
  readonly #kept = new RowList()

  constructor(fields: readonly Field[], lambda: UserFunction, rows: LambdaRows, refusals: Refusals, carried: number) {
    this.fields = fields
    this.#lambda = lambda
    this.#rows = rows
    this.#refusals = refusals
    this.#carried = carried
  }

  read(batch: Batch, rows: Int32Array, count: number): KeyRows {
    const carried = batch.columns[this.#carried]
    if (carried !== null && carried !== undefined) return { columns: [carried], rows, count }
    const kept = this.#kept.reset(count)
    let keptCount = 0
    this.#values.begin(batch.rowCount)
    this.#rows.bind(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      let key: unknown = null
      try {
        key = this.#lambda(this.#rows.at(row))
        this.#values.set(row, checkedKey(key))
      } catch (error) {
        disarm(key)
        this.#refusals.deadLetters.reject(this.#refusals.operator, this.#refusals.input, batch, row, error)
        continue
      }
      kept[keptCount++] = row
    }
    this.#rows.release()
    return { columns: [this.#values.column()], rows: kept, count: keptCount }
  }
}

/** A key must be a value that can be stored: not a function, not a symbol, not the row itself. */
function checkedKey(value: unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new MillraceError('MR_CODEC_FIELD_TYPE', { message: `a ${typeof value} cannot be a key.` })
  return typeof value === 'object' && value !== null ? structuredKey(value) : value
}

/** Objects are read now: a lambda may return the row, which is reused. */
function structuredKey(value: object): unknown {
  if (value instanceof Date || value instanceof Uint8Array) return value
  atOnce(value)
  return Array.isArray(value)
    ? value.map(checkedKey)
    : Object.fromEntries(Object.entries(value).map(([name, part]) => [name, checkedKey(part)]))
}

/** The key of rows of `shape`. */
export function keySource(shape: RowShape, by: readonly string[] | Lambda, rows: LambdaRows, refusals: Refusals): KeySource {
  const keyFields = keyFieldsOf(shape, by)
  const fields = fieldsOfShape(shape)
  if (typeof by === 'function') return new LambdaKeys(keyFields, by as UserFunction, rows, refusals, fields?.length ?? 1)
  if (fields === null) return new PropertyKeys(keyFields, refusals)
  return new PickedKeys(
    keyFields,
    by.map((name) => fields.findIndex((field) => field.name === name)),
  )
}

/** A lambda as a predicate: rows on which it throws are refused. */
export class LambdaPredicate implements RowPredicate {
  readonly refused: RowList = new RowList()
  readonly #lambda: UserFunction
  readonly #rows: LambdaRows
  readonly #refusals: Refusals

  constructor(lambda: UserFunction, rows: LambdaRows, refusals: Refusals) {
    this.#lambda = lambda
    this.#rows = rows
    this.#refusals = refusals
  }

  select(batch: Batch, rows: Int32Array, count: number, out: Int32Array): number {
    const lambda = this.#lambda
    const source = this.#rows
    let selected = 0
    this.refused.reset(0)
    source.bind(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      try {
        const answer = lambda(source.at(row))
        if (answer === true || (answer !== false && Boolean(atOnce(answer)))) out[selected++] = row
      } catch (error) {
        this.#refusals.deadLetters.reject(this.#refusals.operator, this.#refusals.input, batch, row, error)
        this.refused.add(row)
      }
    }
    source.release()
    return selected
  }
}

/** A column without values. */
export function nullColumn(field: Field, size: number): Column {
  const builder = columnBuilder(field.type)
  for (let row = 0; row < size; row++) builder.append(null)
  return builder.finish()
}
