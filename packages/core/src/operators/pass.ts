// Operators that hand rows on unchanged: merge, key-by and late. They exist so that they have counters and can be entered by name.
import type { Batch } from '../codec/column.ts'
import { StatelessOperator } from './stateless.ts'

export class PassOperator extends StatelessOperator {
  process(_input: number, batch: Batch): void {
    this.context.output.push(batch)
  }
}
