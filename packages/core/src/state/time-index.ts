// Which rows of a store are due, by a time that each of them carries: window ends, expiry of what dedupe remembers.
//
// Rows lie in lists by time, or by a stretch of time where exact moments would make too many lists. Lists are a hint and may be stale: a
// row is due only if it is alive and its own time, asked for again, is due. So nothing has to be undone: rollback and restore note the rows
// that they put back once more, and a row noted twice comes out once. What comes out depends on the rows alone, never on the lists.
// The order is time, then key, so that a restored store expires in the same order as the one it was dumped from.
import { must } from '../base/assert.ts'
import { keyOrder } from './keys/key-order.ts'
import type { RowListener, TableStore } from './store.ts'

const FIRST_SLOTS = 16

interface List {
  slots: Int32Array
  count: number
}

export class TimeIndex implements RowListener {
  readonly #store: TableStore
  readonly #stretchMs: number
  readonly #timeOf: (slot: number) => number
  readonly #lists = new Map<number, List>()
  /** Keys of the lists, ascending. */
  readonly #starts: number[] = []
  readonly #due: List = { slots: new Int32Array(FIRST_SLOTS), count: 0 }
  readonly #kept: List = { slots: new Int32Array(FIRST_SLOTS), count: 0 }

  /**
   * @param timeOf The row's time, milliseconds; +Infinity for a row that is never due.
   * @param stretchMs Width of a list, milliseconds; 0 makes a list per distinct time, as windows want it.
   */
  constructor(store: TableStore, timeOf: (slot: number) => number, stretchMs: number) {
    this.#store = store
    this.#timeOf = timeOf
    this.#stretchMs = stretchMs
    store.follow(this)
  }

  /** The row has this time from now on. Called by the owner after every insert and every change of the time. */
  note(slot: number, timeMs: number): void {
    if (timeMs === Infinity) return
    const start = this.#stretchMs === 0 ? timeMs : Math.floor(timeMs / this.#stretchMs) * this.#stretchMs
    let list = this.#lists.get(start)
    if (list === undefined) {
      list = { slots: new Int32Array(FIRST_SLOTS), count: 0 }
      this.#lists.set(start, list)
      insertSorted(this.#starts, start)
    }
    append(list, slot)
  }

  /** Earliest time at which something may be due; +Infinity when nothing waits. Never later than the truth. */
  next(): number {
    for (;;) {
      const start = this.#starts[0]
      if (start === undefined) return Infinity
      const list = this.#lists.get(start) as List
      const earliest = this.#earliest(list, start)
      if (earliest !== Infinity) return earliest
      this.#drop(0)
    }
  }

  /**
   * Slots of the rows whose time is at or below `untilMs`, in order of time, then key, each once. They leave the index: the owner deletes
   * them, or notes those that it keeps. The array is valid until the next call.
   */
  takeDue(untilMs: number): Int32Array {
    this.#due.count = 0
    this.#kept.count = 0
    while (this.#starts.length > 0 && (this.#starts[0] as number) <= untilMs) {
      const from = this.#due.count
      this.#takeFirst(untilMs)
      this.#sortDue(from)
    }
    for (let i = 0; i < this.#kept.count; i++) this.note(this.#kept.slots[i] as number, this.#timeOf(this.#kept.slots[i] as number))
    return this.#due.slots.subarray(0, this.#due.count)
  }

  /** Moves the rows of the first list to those that are due or those that stay. */
  #takeFirst(untilMs: number): void {
    const start = this.#starts[0] as number
    const list = this.#lists.get(start) as List
    this.#drop(0)
    for (let i = 0; i < list.count; i++) {
      const slot = list.slots[i] as number
      if (this.#isCurrent(slot, start)) append(this.#timeOf(slot) <= untilMs ? this.#due : this.#kept, slot)
    }
  }

  /** Sorts the due rows from `from` on, which come from one list, and drops repeats. */
  #sortDue(from: number): void {
    const { slots, count } = this.#due
    const found = slots.slice(from, count)
    const order = keyOrder(this.#store.keysOf(found, found.length), found.length)
    if (this.#stretchMs > 0) order.sort((a, b) => this.#timeOf(found[a] as number) - this.#timeOf(found[b] as number))
    let to = from
    for (const index of order) {
      const slot = found[index] as number
      if (to === from || slots[to - 1] !== slot) slots[to++] = slot
    }
    this.#due.count = to
  }

  added(): void {
    // The owner notes the row once its time is set.
  }

  removed(): void {
    // Stale entries are found when they come up.
  }

  dropped(): void {
    // The same.
  }

  loaded(slot: number): void {
    this.note(slot, this.#timeOf(slot))
  }

  cleared(): void {
    this.#lists.clear()
    this.#starts.length = 0
  }

  bytes(): number {
    let bytes = 0
    for (const list of this.#lists.values()) bytes += list.slots.byteLength
    return bytes
  }

  /** Whether the list that starts at `start` is still the row's own. */
  #isCurrent(slot: number, start: number): boolean {
    if (!this.#store.isAlive(slot)) return false
    const time = this.#timeOf(slot)
    return (this.#stretchMs === 0 ? time : Math.floor(time / this.#stretchMs) * this.#stretchMs) === start
  }

  #earliest(list: List, start: number): number {
    let earliest = Infinity
    for (let i = 0; i < list.count; i++) {
      const slot = list.slots[i] as number
      if (!this.#isCurrent(slot, start)) continue
      // Exact lists hold one time; in a stretch the first row found is enough to say when to look again.
      if (this.#stretchMs === 0) return start
      earliest = Math.min(earliest, this.#timeOf(slot))
    }
    return earliest
  }

  #drop(index: number): void {
    this.#lists.delete(this.#starts[index] as number)
    this.#starts.splice(index, 1)
  }
}

function append(list: List, slot: number): void {
  if (list.count === list.slots.length) {
    const grown = new Int32Array(list.count * 2)
    grown.set(list.slots)
    list.slots = grown
  }
  list.slots[list.count++] = slot
}

function insertSorted(values: number[], value: number): void {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] as number) < value) low = middle + 1
    else high = middle
  }
  values.splice(low, 0, value)
}

/** Reads a row's time from a value column (time or f64, never promoted); a null is never due. */
export function timeColumn(store: TableStore, column: number): (slot: number) => number {
  const lane = must(store.format.lanes[column], 'time column')
  const { floats, words, pageBits, pageMask, stride } = store.rows
  return (slot) => {
    const page = slot >>> pageBits
    const at = (slot & pageMask) * stride
    if (((words[page] as Int32Array)[at + lane.nullWord] as number) & lane.nullMask) return Infinity
    return (floats[page] as Float64Array)[(at >> 1) + lane.unit] as number
  }
}
