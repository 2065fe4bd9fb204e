// What dedupe remembers: for each key the event time at which it was accepted last, forgotten when the watermark has passed its horizon.
//
// Law: a row is a repeat if its key was accepted at a time less than the horizon away from its own. Exact as long as rows are out of order
// by less than the horizon: of the times at which one key was accepted only the newest is kept. Repeats do not extend the horizon.
import type { Column, Field } from '../codec/column.ts'
import { layoutOf } from './layout.ts'
import type { Layout, TableStore } from './store.ts'
import { TimeIndex, timeColumn } from './time-index.ts'

const SEEN = 0
/** Rows to forget lie in about this many lists. */
const LISTS = 64

/** The layout that a store for seen keys needs. */
export function seenKeysLayout(store: string, key: readonly Field[]): Layout {
  return layoutOf(store, key, [{ name: 'seen', type: { kind: 'time' }, nullable: true }])
}

export class SeenKeys {
  readonly #store: TableStore
  readonly #withinMs: number
  readonly #index: TimeIndex
  readonly #seenMs: (slot: number) => number
  #slots = new Int32Array(1024)

  /** `store` is empty and has the layout of `seenKeysLayout`. @param withinMs The horizon, milliseconds above 0. */
  constructor(store: TableStore, withinMs: number) {
    this.#store = store
    this.#withinMs = withinMs
    this.#seenMs = timeColumn(store, SEEN)
    this.#index = new TimeIndex(store, this.#seenMs, Math.max(1, Math.ceil(withinMs / LISTS)))
  }

  /** Writes those of `rows` (null: 0..count-1) that are no repeats to `accepted`, in order; returns how many. times[r] is the time of row r. */
  accept(columns: readonly Column[], times: Float64Array, rows: Int32Array | null, count: number, accepted: Int32Array): number {
    if (this.#slots.length < count) this.#slots = new Int32Array(count * 2)
    const slots = this.#slots
    const store = this.#store
    store.findOrInsertColumns(columns, rows, count, slots)
    let acceptedCount = 0
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      const slot = slots[i] as number
      const time = times[row] as number
      const seen = this.#seenMs(slot)
      // Infinity: the row was made a moment ago.
      if (seen !== Infinity && Math.abs(time - seen) < this.#withinMs) continue
      accepted[acceptedCount++] = row
      if (seen !== Infinity && time < seen) continue
      store.setNumber(slot, SEEN, time)
      this.#index.note(slot, time)
    }
    return acceptedCount
  }

  /** Forgets the keys whose horizon the watermark has reached; returns how many. Called at the start of a tick. */
  expire(watermarkMs: number): number {
    const due = this.#index.takeDue(watermarkMs - this.#withinMs)
    for (const slot of due) this.#store.delete(slot)
    return due.length
  }

  bytes(): number {
    return this.#store.bytes() + this.#index.bytes()
  }
}
