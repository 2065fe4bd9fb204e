// From rows to the slots of their groups. A group is (window start, key); rows of one batch mostly share a few windows.
import type { Column } from '../codec/column.ts'
import type { TableStore } from '../state/store.ts'

export class GroupSlots {
  readonly #store: TableStore
  readonly #isWindowed: boolean

  constructor(store: TableStore, isWindowed: boolean) {
    this.#store = store
    this.#isWindowed = isWindowed
  }

  /** slotsOut[i] is the group of row rows[i]; `starts` by row, empty without a window. New groups are the store's `newSlots`. */
  find(starts: Float64Array, keys: readonly Column[], rows: Int32Array, count: number, slotsOut: Int32Array): void {
    const columns: readonly Column[] = this.#isWindowed ? [{ layout: 'f64', values: starts, validity: null }, ...keys] : keys
    this.#store.findOrInsertColumns(columns, rows, count, slotsOut)
  }
}
