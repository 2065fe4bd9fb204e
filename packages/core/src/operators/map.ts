// One row to one row by a lambda. Time, weight and place of origin stay; a row on which the lambda throws, or whose result does not fit
// the `value` schema, goes to the dead letters.
import type { Batch, Field } from '../codec/column.ts'
import { liveRows } from './live-rows.ts'
import { MadeRows } from './made-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { LambdaRows, UserFunction } from './row-functions.ts'
import { StatelessOperator } from './stateless.ts'
import { disarm } from './synchronous.ts'

export interface MapOptions {
  readonly lambda: UserFunction
  /** Rows of the input as the lambda sees them. */
  readonly rows: LambdaRows
  /** Columns of the result; null leaves JavaScript values. */
  readonly fields: readonly Field[] | null
}

export class MapOperator extends StatelessOperator {
  readonly #lambda: UserFunction
  readonly #rows: LambdaRows
  readonly #made: MadeRows

  constructor(context: OperatorContext, options: MapOptions) {
    super(context)
    this.#lambda = options.lambda
    this.#rows = options.rows
    this.#made = new MadeRows(options.fields)
  }

  process(_input: number, batch: Batch): void {
    const { output, deadLetters, name } = this.context
    const rows = liveRows(batch)
    this.#made.begin(batch)
    this.#rows.bind(batch)
    for (let i = 0; i < batch.selectedCount; i++) {
      const row = rows[i] as number
      const given = this.#rows.at(row)
      let result: unknown = null
      try {
        result = this.#lambda(given)
        // The row itself is used again for the next one: what is kept is a copy.
        this.#made.add(row, result === given && batch.values === null ? { ...(given as object) } : result)
      } catch (error) {
        disarm(result)
        deadLetters.reject(name, 0, batch, row, error)
      }
    }
    this.#rows.release()
    if (this.#made.count > 0) output.push(this.#made.finish())
  }
}
