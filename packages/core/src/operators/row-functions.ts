// What operators ask of rows without knowing where the answers come from: generated code, an interpreter or the user's lambdas. The
// compiler hands in the implementations (compile/), so that operators depend on no plan.
import type { Batch, Column, Field, FieldType } from '../codec/column.ts'
import type { RowList } from './live-rows.ts'

/** Picks rows of a batch. Rows on which user code threw are in the dead letters and in no selection. */
export interface RowPredicate {
  /** Writes the rows for which it is true to `out`, in order; returns their number. `out` may be `rows`. */
  select(batch: Batch, rows: Int32Array, count: number, out: Int32Array): number
  /** Rows of the last call on which user code threw; absent where nothing can throw. */
  readonly refused?: RowList
}

/** A computed column. */
export interface ColumnExpression {
  readonly type: FieldType
  readonly nullable: boolean
  /** Indexed by the batch's physical row numbers; only the given rows are defined. Valid until the next call. */
  evaluate(batch: Batch, rows: Int32Array, count: number): Column
}

/** Keys of the rows of a batch, valid until the next read. */
export interface KeyRows {
  /** One column for each field of the key, indexed by physical rows. */
  readonly columns: readonly Column[]
  /** The rows that have a key, in order. */
  readonly rows: Int32Array
  readonly count: number
}

/** Where the key of a row comes from: fields by name, or a lambda. */
export interface KeySource {
  readonly fields: readonly Field[]
  /** Rows whose key could not be made are in the dead letters and are left out. */
  read(batch: Batch, rows: Int32Array, count: number): KeyRows
}

/** Rows as user code sees them; codec/lazy-row.ts is one. */
export interface LambdaRows {
  bind(batch: Batch): void
  at(row: number): unknown
  release(): void
}

/** A function of the user. */
export type UserFunction = (...args: readonly unknown[]) => unknown
