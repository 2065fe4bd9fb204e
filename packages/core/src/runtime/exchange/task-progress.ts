// What one task has stated: its newest record, and the clocks that readers behind it still need (ADR 0002, rules 2, 3, 21).
import type { ClockStatus, ProgressEntry, ProgressRecord } from './progress.ts'

/** Entries that nobody needs are dropped so many at a time. */
const FORGET_MIN = 64

export class TaskProgress {
  through = 0
  wants = 0
  waitsFor = Number.POSITIVE_INFINITY
  reached: readonly (readonly number[])[] = []
  /** Offset of the newest record; -1 when there is none. */
  newestOffset = -1
  /** Ticks ascend. `#offsets[i]` is the record that brought `#entries[i]`. */
  #entries: ProgressEntry[] = []
  #offsets: number[] = []

  apply(record: ProgressRecord, offset: number): void {
    this.through = Math.max(this.through, record.through)
    this.wants = record.wants
    this.waitsFor = record.waitsFor
    this.newestOffset = offset
    if (record.reached.length > 0) this.reached = record.reached
    for (const entry of record.entries) {
      this.#entries.push(entry)
      this.#offsets.push(offset)
    }
  }

  /** Takes in the clocks of records that are older than all others. */
  prepend(older: TaskProgress): void {
    this.#entries = [...older.#entries, ...this.#entries]
    this.#offsets = [...older.#offsets, ...this.#offsets]
    if (this.newestOffset >= 0) return
    this.through = older.through
    this.wants = older.wants
    this.waitsFor = older.waitsFor
    this.newestOffset = older.newestOffset
    this.reached = older.reached
  }

  /** The entry that holds at `tick` (rule 21); no entry yet: (-Infinity, active). */
  at(tick: number): { readonly watermark: number; readonly wallMs: number; readonly status: ClockStatus } {
    return this.#entries[this.#after(tick) - 1] ?? { watermark: Number.NEGATIVE_INFINITY, wallMs: 0, status: 'active' }
  }

  /** Whether it is known what held at `tick`. */
  knows(tick: number): boolean {
    return this.#after(tick) > 0
  }

  /** Adds the ticks in (after, upTo] at which the clock changed. */
  collectTicks(after: number, upTo: number, into: Set<number>): void {
    for (let index = this.#after(after); index < this.#entries.length; index++) {
      const { tick } = this.#entries[index] as ProgressEntry
      if (tick > upTo) return
      into.add(tick)
    }
  }

  /** The oldest record that somebody needs who has passed `tick`: the one whose clock holds there, or the newest. */
  neededFrom(tick: number): number {
    return this.#offsets[this.#after(tick) - 1] ?? this.#offsets[0] ?? this.newestOffset
  }

  /** Entries older than the one that holds at `tick` are needed by nobody. */
  forget(tick: number): void {
    const keep = this.#after(tick) - 1
    if (keep <= FORGET_MIN) return
    this.#entries.splice(0, keep)
    this.#offsets.splice(0, keep)
  }

  /** Index of the first entry behind `tick`. */
  #after(tick: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as ProgressEntry).tick <= tick) low = middle + 1
      else high = middle
    }
    return low
  }
}
