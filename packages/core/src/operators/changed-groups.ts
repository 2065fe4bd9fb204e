// The groups that a tick has changed, in the order in which rows first reached them. The store numbers its changes, but makes all new rows
// of a batch before it touches the known ones, so its order depends on how rows were cut into batches; this one does not. That keeps a
// replay bit-identical, whatever it fetches at once.
import { IMAGE_WORD } from '../state/rows/row-format.ts'
import type { TableStore } from '../state/store.ts'
import { RowList } from './live-rows.ts'

export class ChangedGroups {
  readonly #store: TableStore
  readonly #order = new RowList()
  /** 1 for a change that is in the order already. */
  #isNoted = new Uint8Array(1024)
  /** Changes of the store that are in the order. */
  #noted = 0

  constructor(store: TableStore) {
    this.#store = store
  }

  get count(): number {
    return this.#order.count
  }

  /** Number of the store's change, for `changedSlot` and `readBefore`. */
  at(index: number): number {
    return this.#order.rows[index] as number
  }

  startTick(): void {
    this.#order.reset(0)
    this.#noted = 0
    this.#isNoted.fill(0)
  }

  /** After a batch: slots[0 .. count) are the groups of its rows, in order; `madeNew`: some of them were new. */
  note(slots: Int32Array, count: number, madeNew: boolean): void {
    const changed = this.#store.changedCount
    if (changed === this.#noted) return
    if (this.#isNoted.length < changed) {
      const grown = new Uint8Array(changed * 2)
      grown.set(this.#isNoted)
      this.#isNoted = grown
    }
    if (madeNew) this.#walk(slots, count)
    else
      for (let change = this.#noted; change < changed; change++) {
        this.#order.add(change)
        this.#isNoted[change] = 1
      }
    this.#noted = changed
  }

  #walk(slots: Int32Array, count: number): void {
    const isNoted = this.#isNoted
    const { words, pageBits, pageMask, stride } = this.#store.rows
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const change = (words[slot >>> pageBits] as Int32Array)[(slot & pageMask) * stride + IMAGE_WORD] as number
      if (isNoted[change] === 1) continue
      isNoted[change] = 1
      this.#order.add(change)
    }
  }
}
