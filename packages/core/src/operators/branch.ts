// Sends each row to the first branch whose predicate is true, the rest to the branch behind the last predicate. The branches of one call
// are one operator, so that a predicate runs once per row and a row on which it throws becomes one dead letter.
import type { Batch } from '../codec/column.ts'
import { liveRows, RowList, withRows } from './live-rows.ts'
import type { OperatorContext } from './operator.ts'
import type { RowPredicate } from './row-functions.ts'
import { StatelessOperator } from './stateless.ts'

const TAKEN = 1

export class BranchOperator extends StatelessOperator {
  readonly #predicates: readonly RowPredicate[]
  readonly #branches: readonly (OperatorContext | null)[]
  readonly #matched = new RowList()
  readonly #left = new RowList()
  #marks = new Uint8Array(0)

  /** @param branches One for each predicate and one for the rest; null where nobody reads. */
  constructor(context: OperatorContext, predicates: readonly RowPredicate[], branches: readonly (OperatorContext | null)[]) {
    super(context)
    this.#predicates = predicates
    this.#branches = branches
  }

  process(_input: number, batch: Batch): void {
    let count = batch.selectedCount
    const left = this.#left.reset(count)
    left.set(liveRows(batch).subarray(0, count))
    for (const branch of this.#branches) if (branch !== null) branch.counters.rowsIn += count
    for (let index = 0; index < this.#predicates.length && count > 0; index++) {
      const predicate = this.#predicates[index] as RowPredicate
      const matched = this.#matched.reset(count)
      const matchedCount = predicate.select(batch, left, count, matched)
      const refused = predicate.refused ?? null
      const leftCount = this.#remove(left, count, batch.rowCount, matched, matchedCount, refused)
      // The list is filled again for the next branch: what is pushed must be read before.
      if (matchedCount > 0) this.#branches[index]?.output.push(withRows(batch, matched, matchedCount))
      count = leftCount
    }
    if (count > 0) this.#branches[this.#predicates.length]?.output.push(withRows(batch, left, count))
  }

  /** Takes the matched and the refused rows out of `left`; returns how many stay. */
  #remove(left: Int32Array, count: number, rowCount: number, matched: Int32Array, matchedCount: number, refused: RowList | null): number {
    if (this.#marks.length < rowCount) this.#marks = new Uint8Array(rowCount * 2)
    const marks = this.#marks
    for (let i = 0; i < matchedCount; i++) marks[matched[i] as number] = TAKEN
    const refusedCount = refused?.count ?? 0
    for (let i = 0; i < refusedCount; i++) marks[refused?.rows[i] as number] = TAKEN
    let kept = 0
    for (let i = 0; i < count; i++) {
      const row = left[i] as number
      if (marks[row] !== TAKEN) left[kept++] = row
      else marks[row] = 0
    }
    return kept
  }
}
