// Picks, renames and computes columns. A picked column is handed on as it is; rows keep their numbers, times, weights and origin.
import type { Batch, Column } from '../codec/column.ts'
import { liveRows } from './live-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { ColumnExpression } from './row-functions.ts'
import { StatelessOperator } from './stateless.ts'

/** A column of the input by index, or an expression over it. */
export type ProjectedColumn = { readonly from: number } | ColumnExpression

export class ProjectOperator extends StatelessOperator {
  readonly #columns: readonly ProjectedColumn[]

  constructor(context: OperatorContext, columns: readonly ProjectedColumn[]) {
    super(context)
    this.#columns = columns
  }

  process(_input: number, batch: Batch): void {
    const rows = liveRows(batch)
    const columns = this.#columns.map((column): Column | null =>
      'from' in column ? (batch.columns[column.from] ?? null) : column.evaluate(batch, rows, batch.selectedCount),
    )
    this.context.output.push({ ...batch, columns, values: null })
  }
}
