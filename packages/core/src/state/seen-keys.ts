// What dedupe remembers: for each key the event times at which it was accepted, until the watermark has left them behind.
//
// Law: a row is a repeat if its key was accepted at a time that is at most the horizon away from the row's own, before or after it, and that
// the watermark has not passed by more than the horizon. So rows that are not late are judged exactly, however far out of order they
// come. Repeats extend nothing: a key that comes every second is accepted again once per horizon.
// Almost every key has one such time: it stands in a column of numbers. Earlier ones that still count stand in a column of bytes, as
// doubles: only a key that was accepted twice within the disorder that the watermark allows has any.
import type { Column, Field } from '../codec/column.ts'
import { type Layout, layoutOf } from './rows/layout.ts'
import type { TableStore } from './store.ts'
import { TimeIndex, timeColumn } from './time-index.ts'

const SEEN = 0
const EARLIER = 1
/** Rows to forget lie in about this many lists. */
const LISTS = 64
const NOTHING = new Float64Array(0)

/** Value columns of a store for seen keys. */
export const SEEN_FIELDS: readonly Field[] = [
  { name: 'seen', type: { kind: 'time' }, nullable: true },
  { name: 'earlier', type: { kind: 'bytes' }, nullable: true },
]

/** The layout that a store for seen keys needs. */
export function seenKeysLayout(store: string, key: readonly Field[]): Layout {
  return layoutOf(store, key, SEEN_FIELDS)
}

export class SeenKeys {
  readonly #store: TableStore
  readonly #withinMs: number
  readonly #index: TimeIndex
  readonly #seenMs: (slot: number) => number
  #slots = new Int32Array(1024)
  #watermark = -Infinity

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
    this.#store.findOrInsertColumns(columns, rows, count, slots)
    let acceptedCount = 0
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      if (this.#accepts(slots[i] as number, times[row] as number)) accepted[acceptedCount++] = row
    }
    return acceptedCount
  }

  #accepts(slot: number, time: number): boolean {
    const seen = this.#seenMs(slot)
    // Infinity: the row was made a moment ago. The earlier times are forgotten before the newest is.
    if (seen !== Infinity && !this.#isForgotten(seen)) {
      if (Math.abs(time - seen) <= this.#withinMs) return false
      if (time < seen) return this.#acceptsEarlier(slot, time)
      this.#remember(slot, seen)
    }
    this.#store.setNumber(slot, SEEN, time)
    this.#index.note(slot, time)
    return true
  }

  #acceptsEarlier(slot: number, time: number): boolean {
    for (const other of this.#earlier(slot)) if (Math.abs(time - other) <= this.#withinMs && !this.#isForgotten(other)) return false
    if (!this.#isForgotten(time)) this.#remember(slot, time)
    return true
  }

  #isForgotten(time: number): boolean {
    return this.#watermark > time + this.#withinMs
  }

  #earlier(slot: number): Float64Array {
    const row = this.#store.read(slot)
    return row.isNull(EARLIER) ? NOTHING : new Float64Array(row.bytes(EARLIER).buffer)
  }

  #remember(slot: number, time: number): void {
    const kept = Float64Array.from([...this.#earlier(slot), time].filter((other) => !this.#isForgotten(other)))
    this.#store.setBytes(slot, EARLIER, new Uint8Array(kept.buffer), 0, kept.byteLength)
  }

  /** Forgets what the watermark has passed by more than the horizon; returns how many keys are gone. Called at the start of a tick. */
  expire(watermarkMs: number): number {
    this.#watermark = watermarkMs
    let gone = 0
    for (const slot of this.#index.takeDue(watermarkMs - this.#withinMs)) {
      const seen = this.#seenMs(slot)
      if (this.#isForgotten(seen)) {
        this.#store.delete(slot)
        gone++
      } else this.#index.note(slot, seen)
    }
    return gone
  }

  bytes(): number {
    return this.#store.bytes() + this.#index.bytes()
  }
}
