// The base of operators that keep nothing between batches: ticks do not concern them.
import type { Batch } from '../codec/column.ts'
import type { Operator, OperatorContext } from './operator.ts'

export abstract class StatelessOperator implements Operator {
  readonly context: OperatorContext

  constructor(context: OperatorContext) {
    this.context = context
  }

  abstract process(input: number, batch: Batch): void

  startTick(): void {
    // Nothing depends on the tick.
  }

  endTick(): void {
    // Nothing waits for the end of the tick.
  }

  nextDue(): number {
    return Infinity
  }
}
