// From keys to slots: what a store asks of its index. HashIndex is one index over all rows; RegionIndex has one per region.
import type { PageChain } from '../rows/row-pages.ts'

export interface KeyIndex {
  /** Slot of the key or -1; the row may be dead. */
  find(key: Uint8Array, start: number, end: number): number
  /** Slot of the key, made when it is missing: the owner is told. */
  findOrInsert(key: Uint8Array, start: number, end: number): number
  /** `find` for `count` keys: key i is data[starts[r] .. ends[r]) with r = rows[i] (or i); slotsOut[i] is its slot or -1. */
  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void
  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void
  /** The same for whole keys of 8 bytes as pairs of little-endian words. */
  findPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void
  findOrInsertPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void
  /** Takes the slot out of the index; its row must still have its key. */
  remove(slot: number): void
  /** Adds `count` rows from slot `first` on, which have their keys already. Slots whose key another row has are not added but listed in `twins`. */
  adoptRun(first: number, count: number, twins: number[]): void
  /** Where rows go whose keys begin with these words. */
  chainFor(first: number, second: number): PageChain
  /** Makes room for `count` keys at once. The index must be empty. */
  reserve(count: number): void
  clear(): void
  bytes(): number
}
