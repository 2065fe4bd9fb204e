// The records that a replay takes of what it reads: those with an event time of its range. Counts them, and the others.
import type { Batch } from '../../codec/column.ts'
import type { ReplayedRows } from '../task-loop.ts'

export interface EventTimes {
  readonly fromMs: number
  readonly toMs: number
}

export class ReplayRange {
  readonly counts: { -readonly [Name in keyof ReplayedRows]: ReplayedRows[Name] } = { rows: 0, outside: 0, timeless: 0, unread: 0 }
  readonly #eventTimes: EventTimes | null

  /** @param eventTimes Null takes all. */
  constructor(eventTimes: EventTimes | null) {
    this.#eventTimes = eventTimes
  }

  /** Counts a record, and says whether it is of the range. */
  takes(timeMs: number): boolean {
    const isIn = this.#eventTimes === null || (timeMs >= this.#eventTimes.fromMs && timeMs < this.#eventTimes.toMs)
    if (isIn) this.counts.rows++
    else this.counts.outside++
    return isIn
  }

  /** The same for a record whose event time cannot be known. */
  takesTimeless(): boolean {
    if (this.#eventTimes === null) return this.takes(Number.NaN)
    this.counts.timeless++
    return false
  }

  /** The rows of a batch that are of the range. */
  select(batch: Batch): Batch {
    const selected = new Int32Array(batch.selectedCount)
    let count = 0
    for (let index = 0; index < batch.selectedCount; index++) {
      const row = batch.selected === null ? index : (batch.selected[index] as number)
      if (this.takes(batch.times[row] as number)) selected[count++] = row
    }
    return count === batch.selectedCount ? batch : { ...batch, selected, selectedCount: count }
  }
}
