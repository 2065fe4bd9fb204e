// What every aggregate does for its operator: fold rows into the lanes of the groups' rows, and read results back as columns.
import type { Batch, Column } from '../codec/column.ts'
import type { RowReader } from '../state/store.ts'

export interface AggregateFunction {
  /** Folds row rows[i] into the group slots[i]. The groups' rows are touched already. */
  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void
  /** Results of slots[0 .. count), dense. Valid until the next call. */
  results(slots: Int32Array, count: number): Column
  /** The result that a row image stood for: a JavaScript value as column builders take it. */
  resultOf(row: RowReader): unknown
}
