// One row to any number of rows by a lambda that returns them. A row whose lambda throws, also in the middle of its results, gives none.
import type { Batch } from '../codec/column.ts'
import { MillraceError } from '../base/errors.ts'
import { liveRows } from './live-rows.ts'
import { MadeRows } from './made-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { LambdaRows, UserFunction } from './row-functions.ts'
import type { MapOptions } from './map.ts'
import { StatelessOperator } from './stateless.ts'

/** A batch is handed on at this size; one row's results may exceed it. */
const BATCH_ROWS = 4096
/** One row's results wait in memory until all are there: a function that never ends must not take the process with it. */
export const FLAT_MAP_ROWS_MAX = 1_000_000

export class FlatMapOperator extends StatelessOperator {
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
    const { deadLetters, name } = this.context
    const rows = liveRows(batch)
    this.#made.begin(batch)
    this.#rows.bind(batch)
    for (let i = 0; i < batch.selectedCount; i++) {
      const row = rows[i] as number
      const before = this.#made.count
      try {
        this.#addAll(row, batch)
      } catch (error) {
        this.#made.truncate(before)
        deadLetters.reject(name, 0, batch, row, error)
      }
      if (this.#made.count >= BATCH_ROWS) {
        this.#flush()
        this.#made.begin(batch)
      }
    }
    this.#rows.release()
    this.#flush()
  }

  #addAll(row: number, batch: Batch): void {
    const given = this.#rows.at(row)
    const results = this.#lambda(given)
    if (!isIterable(results))
      throw new MillraceError('MR_CODEC_FIELD_TYPE', {
        message: `the function returned ${results === null ? 'null' : `a ${typeof results}`} where a list of rows is expected.`,
      })
    const first = this.#made.count
    // Leaving the loop by a throw closes the iterator.
    for (const result of results) {
      if (this.#made.count - first >= FLAT_MAP_ROWS_MAX)
        throw new MillraceError('MR_RUNTIME_ROWS_ENDLESS', { details: { operator: this.context.name, rowsMax: FLAT_MAP_ROWS_MAX } })
      this.#made.add(row, result === given && batch.values === null ? { ...(given as object) } : result)
    }
  }

  #flush(): void {
    if (this.#made.count > 0) this.context.output.push(this.#made.finish())
  }
}

/** Anything that can be walked, but not a text. */
export function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
