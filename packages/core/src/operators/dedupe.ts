// Drops rows whose key was accepted before, within a horizon of event time. State: codec keys with the times at which they were accepted
// (state/seen-keys.ts states the law), forgotten by the watermark before each tick. Rows keep time, weight and order.
import type { Batch } from '../codec/column.ts'
import { SeenKeys } from '../state/seen-keys.ts'
import type { TableStore } from '../state/store.ts'
import { liveRows, RowList, withRows } from './live-rows.ts'
import type { Operator, OperatorContext, TickStart } from './operator.ts'
import type { KeySource } from './row-functions.ts'

export interface DedupeOptions {
  readonly store: TableStore
  readonly keys: KeySource
  readonly withinMs: number
}

export class DedupeOperator implements Operator {
  readonly #context: OperatorContext
  readonly #keys: KeySource
  readonly #seen: SeenKeys
  readonly #accepted = new RowList()

  constructor(context: OperatorContext, options: DedupeOptions) {
    this.#context = context
    this.#keys = options.keys
    this.#seen = new SeenKeys(options.store, options.withinMs)
  }

  startTick(start: TickStart): void {
    this.#seen.expire(start.watermark)
  }

  process(_input: number, batch: Batch): void {
    const { columns, rows, count } = this.#keys.read(batch, liveRows(batch), batch.selectedCount)
    const accepted = this.#accepted.reset(count)
    const acceptedCount = this.#seen.accept(columns, batch.times, rows, count, accepted)
    this.#context.counters.rowsDropped += count - acceptedCount
    if (acceptedCount > 0)
      this.#context.output.push(acceptedCount === batch.selectedCount ? batch : withRows(batch, accepted, acceptedCount))
  }

  endTick(): void {
    // Keys are forgotten when the next tick starts: nobody sees them go.
  }

  nextDue(): number {
    return Infinity
  }
}
