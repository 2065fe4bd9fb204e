// Keeps the rows for which a predicate is true: narrows the selection and copies nothing. Weights stay as they are.
import type { Batch } from '../codec/column.ts'
import { liveRows, RowList, withRows } from './live-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { RowPredicate } from './row-functions.ts'
import { StatelessOperator } from './stateless.ts'

export class FilterOperator extends StatelessOperator {
  readonly #predicate: RowPredicate
  readonly #kept = new RowList()

  constructor(context: OperatorContext, predicate: RowPredicate) {
    super(context)
    this.#predicate = predicate
  }

  process(_input: number, batch: Batch): void {
    const count = batch.selectedCount
    const kept = this.#kept.reset(count)
    const keptCount = this.#predicate.select(batch, liveRows(batch), count, kept)
    this.context.counters.rowsDropped += count - keptCount
    if (keptCount > 0) this.context.output.push(keptCount === count ? batch : withRows(batch, kept, keptCount))
  }
}
