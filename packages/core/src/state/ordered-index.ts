// The keys of a store in order: sorted blocks of slots, for range queries, smallest and largest key under deletes, and expiry by a key that
// starts with a time. Follows its store as a listener; dead rows stay in until their deletion is committed, so that a reader at the last
// commit finds them: readers skip the rows that are not there for them.
//
// Two levels: blocks of up to 512 slots in one list. Insert and remove cost two binary searches and a short move; no re-balancing.
import { assert } from '../base/assert.ts'
import type { Region, RowListener, TableStore } from './store.ts'

const BLOCK_SLOTS = 512

interface Block {
  readonly slots: Int32Array
  count: number
}

export class OrderedIndex implements RowListener {
  readonly #store: TableStore
  readonly #blocks: Block[] = [{ slots: new Int32Array(BLOCK_SLOTS), count: 0 }]

  /** Follows `store`. */
  constructor(store: TableStore) {
    this.#store = store
    store.follow(this)
  }

  added(slot: number): void {
    const at = this.#blockOf((other) => this.#store.compareKeys(other, slot))
    const block = this.#blocks[at] as Block
    const index = lowerBound(block, (other) => this.#store.compareKeys(other, slot))
    if (block.count === BLOCK_SLOTS) {
      this.#split(at)
      this.added(slot)
      return
    }
    block.slots.copyWithin(index + 1, index, block.count)
    block.slots[index] = slot
    block.count++
  }

  removed(slot: number): void {
    const at = this.#blockOf((other) => this.#store.compareKeys(other, slot))
    const block = this.#blocks[at] as Block
    const index = lowerBound(block, (other) => this.#store.compareKeys(other, slot))
    assert(index < block.count && block.slots[index] === slot, 'a removed key is in the index')
    block.slots.copyWithin(index, index + 1, block.count)
    block.count--
    if (block.count === 0 && this.#blocks.length > 1) this.#blocks.splice(at, 1)
  }

  dropped(region: Region): void {
    for (const slot of this.#store.slotsOf(region)) this.removed(slot)
  }

  loaded(): void {
    // Values play no part in the order.
  }

  cleared(): void {
    this.#blocks.length = 0
    this.#blocks.push({ slots: new Int32Array(BLOCK_SLOTS), count: 0 })
  }

  /** Rows in order, dead ones included. */
  get count(): number {
    return this.#blocks.reduce((sum, block) => sum + block.count, 0)
  }

  /**
   * Visits slots in key order from `from` (inclusive, null: the first) to `to` (exclusive, null: the last), dead rows included, until
   * `visit` returns false. The store must not change meanwhile.
   */
  range(from: Uint8Array | null, to: Uint8Array | null, visit: (slot: number) => boolean): void {
    const below = (slot: number): number => (from === null ? 1 : this.#store.compareKey(slot, from, 0, from.length))
    let at = from === null ? 0 : this.#blockOf(below)
    let index = from === null ? 0 : lowerBound(this.#blocks[at] as Block, below)
    for (; at < this.#blocks.length; at++, index = 0) {
      const block = this.#blocks[at] as Block
      for (; index < block.count; index++) {
        const slot = block.slots[index] as number
        if (to !== null && this.#store.compareKey(slot, to, 0, to.length) >= 0) return
        if (!visit(slot)) return
      }
    }
  }

  /** The same from the last key below `to` (exclusive) down to `from` (inclusive). */
  rangeDown(from: Uint8Array | null, to: Uint8Array | null, visit: (slot: number) => boolean): void {
    const below = (slot: number): number => (to === null ? -1 : this.#store.compareKey(slot, to, 0, to.length))
    let at = to === null ? this.#blocks.length - 1 : this.#blockOf(below)
    let index = to === null ? (this.#blocks[at] as Block).count - 1 : lowerBound(this.#blocks[at] as Block, below) - 1
    for (;;) {
      const block = this.#blocks[at] as Block
      for (; index >= 0; index--) {
        const slot = block.slots[index] as number
        if (from !== null && this.#store.compareKey(slot, from, 0, from.length) < 0) return
        if (!visit(slot)) return
      }
      if (--at < 0) return
      index = (this.#blocks[at] as Block).count - 1
    }
  }

  /** Visits the keys that start with `prefix`, in order. */
  prefix(prefix: Uint8Array, visit: (slot: number) => boolean): void {
    this.range(prefix, prefixEnd(prefix), visit)
  }

  /** Bytes of the blocks. */
  bytes(): number {
    return this.#blocks.length * BLOCK_SLOTS * 4
  }

  /** The last block whose first key is not above the one sought: `compare` says where a slot lies (below 0: before it). */
  #blockOf(compare: (slot: number) => number): number {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (compare((this.#blocks[middle] as Block).slots[0] as number) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  #split(at: number): void {
    const block = this.#blocks[at] as Block
    // Keys that come in ascending order fill their blocks: only the newest key moves on.
    const keep = at === this.#blocks.length - 1 ? BLOCK_SLOTS - 1 : BLOCK_SLOTS >>> 1
    const right: Block = { slots: new Int32Array(BLOCK_SLOTS), count: block.count - keep }
    right.slots.set(block.slots.subarray(keep, block.count))
    block.count = keep
    this.#blocks.splice(at + 1, 0, right)
  }
}

/** First index whose slot is not below what is sought. */
function lowerBound(block: Block, compare: (slot: number) => number): number {
  let low = 0
  let high = block.count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(block.slots[middle] as number) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The first key behind all keys that start with `prefix`; null when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return null
  const end = prefix.slice(0, length)
  end[length - 1] = (end[length - 1] as number) + 1
  return end
}
