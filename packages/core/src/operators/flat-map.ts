// One row to any number of rows by a lambda that returns them. A row whose lambda throws, also in the middle of its results, gives none.
import type { Batch } from '../codec/column.ts'
import { MillraceError } from '../base/errors.ts'
import { liveRows } from './live-rows.ts'
import { MadeRows } from './made-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { LambdaRows, UserFunction } from './row-functions.ts'
import type { MapOptions } from './map.ts'
import { StatelessOperator } from './stateless.ts'
import { atOnce, disarm } from './synchronous.ts'
import { valueBytes } from './value-size.ts'

/** A batch is handed on at this size; one row's results may exceed it. */
const BATCH_ROWS = 4096
/** One row's results wait in memory until all are there: a function that never ends must not take the process with it. */
export const FLAT_MAP_ROWS_MAX = 1_000_000
/** And so many bytes, about: as much as the largest row that one task hands to another (runtime/task/row-blocks.ts). */
export const FLAT_MAP_BYTES_MAX = 67_108_864
/** Large rows are handed on before there are many of them. */
const BATCH_BYTES = 16 * 1024 * 1024

export class FlatMapOperator extends StatelessOperator {
  readonly #lambda: UserFunction
  readonly #rows: LambdaRows
  readonly #made: MadeRows
  /** Of the rows that wait, without the first of each list: the usual list of one costs nothing to measure. */
  #bytes = 0

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
      const bytesBefore = this.#bytes
      try {
        this.#addAll(row, batch)
      } catch (error) {
        this.#made.truncate(before)
        this.#bytes = bytesBefore
        deadLetters.reject(name, 0, batch, row, error)
      }
      if (this.#made.count >= BATCH_ROWS || this.#bytes >= BATCH_BYTES) {
        this.#flush()
        this.#made.begin(batch)
      }
    }
    this.#rows.release()
    this.#flush()
  }

  #addAll(row: number, batch: Batch): void {
    const given = this.#rows.at(row)
    const results = atOnce(this.#lambda(given))
    try {
      this.#addEach(row, given, results, batch)
    } catch (error) {
      disarm(results)
      throw error
    }
  }

  #addEach(row: number, given: unknown, results: unknown, batch: Batch): void {
    if (!isIterable(results))
      throw new MillraceError('MR_CODEC_FIELD_TYPE', {
        message: `the function returned ${results === null ? 'null' : `a ${typeof results}`} where a list of rows is expected.`,
      })
    const { name } = this.context
    const first = this.#made.count
    let bytes = 0
    // Leaving the loop by a throw closes the iterator.
    for (const result of results) {
      if (this.#made.count - first >= FLAT_MAP_ROWS_MAX)
        throw new MillraceError('MR_RUNTIME_ROWS_ENDLESS', { details: { operator: name, rowsMax: FLAT_MAP_ROWS_MAX } })
      if (this.#made.count > first) bytes += valueBytes(result, FLAT_MAP_BYTES_MAX)
      if (bytes > FLAT_MAP_BYTES_MAX)
        throw new MillraceError('MR_RUNTIME_ROWS_ENDLESS', { details: { operator: name, bytesMax: FLAT_MAP_BYTES_MAX } })
      this.#made.add(row, result === given && batch.values === null ? { ...(given as object) } : result)
    }
    this.#bytes += bytes
  }

  #flush(): void {
    this.#bytes = 0
    if (this.#made.count > 0) this.context.output.push(this.#made.finish())
  }
}

/** Anything that can be walked, but not a text. */
export function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}
