// The contract of state: keyed rows owned by one task, with the old image of every row that an unfinished tick has changed.
//
// A tick of a store is what lies between two seals: the runtime seals once per commit, whatever number of ticks of the plant it covers.
//
//   open --seal()--> sealed, in flight --committed()--> forgotten        at most one tick is sealed; the next one is open meanwhile
//     \________________\____________________rollback()--> undone         both are undone together
//
// Laws (cited by tests):
//  ST-1 rollback() restores exactly the rows at the last seal that was committed, whatever happened since.
//  ST-2 restore(snapshot, tail of changelog) equals the store at the last commit, for a dump taken at any moment between batches. The tail
//       starts at the commit that was the last one when the dump began.
//  ST-3 drainChanges() names each key that the sealed tick changed once, with its image at the seal (null = deleted), and no key whose row
//       is the same as before the tick; also when the next tick has changed the row again.
//  ST-4 A reader at the last committed tick never sees a row image of a later one.
import type { Column } from '../codec/column.ts'
import type { GrowingBytes } from '../codec/growing-bytes.ts'
import type { Layout } from './rows/layout.ts'
import type { RowFormat } from './rows/row-format.ts'

/**
 * Where the rows are, for the hot loops. Row of slot s: page s >>> pageBits, index s & pageMask, from word index * stride on. A lane of
 * column c: floats[page][index * (stride / 2) + format.lanes[c].unit]. Read the pages after an insert, never across one; call `touch`
 * before the first write. See row-format.ts for null bits and lanes of bytes.
 */
export interface RowAccess {
  readonly pageBits: number
  readonly pageMask: number
  /** Words per row, even. */
  readonly stride: number
  readonly words: readonly Int32Array[]
  readonly floats: readonly Float64Array[]
  readonly bigs: readonly BigInt64Array[]
}

/** Takes the changes of a tick. What it gets is only valid during the call. */
export interface ChangeWriter {
  /** The region is gone, with all rows that it had. Comes before the rows. */
  dropped(region: Region): void
  /** A block of changed rows, bytes[0 .. end): see row-block.ts. */
  rows(bytes: Uint8Array, end: number): void
}

/** The rows whose keys begin with the same eight bytes, two little-endian words: the groups of one window. */
export interface Region {
  readonly first: number
  readonly second: number
  /** Rows alive. */
  readonly rowCount: number
}

/** One row, as it is or as it was at the last commit. A cursor is reused: read it before the next row is asked for. Columns count from 0. */
export interface RowReader {
  readonly slot: number
  isNull(column: number): boolean
  /** bool as 0 or 1; integers beyond 2^53 lose digits. */
  number(column: number): number
  /** Exact value of an integer column. */
  integer(column: number): bigint
  /** A copy. */
  bytes(column: number): Uint8Array
  /** Appends the bytes to `into`, for readers of many rows. */
  copyBytes(column: number, into: GrowingBytes): void
  /** A copy. */
  key(): Uint8Array
}

/** Keys side by side: key i is bytes[starts[i] .. ends[i]). */
export interface KeyRanges {
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** Hears when keys come and go; time indexes follow a store this way. Dead rows stay until their deletion is committed. */
export interface RowListener {
  /** The slot has its key, its values are not set yet. */
  added(slot: number): void
  /** The slot is about to lose its key. */
  removed(slot: number): void
  /** Values were put by rollback, restore or apply, not by the owner's writes. */
  loaded(slot: number): void
  /** All rows of the region are about to lose their keys: no `removed` comes for them. */
  dropped(region: Region): void
  /** All rows are gone at once (before a restore). */
  cleared(): void
}

/**
 * Keyed rows. Keys are bytes (the canonical encoding of the key columns, codec/key-bytes.ts); rows are addressed by dense slot numbers, stable until the row's
 * deletion is committed: a key deleted and inserted again meanwhile gets its slot back. A row is a fixed number of words (row-format.ts),
 * so that an update touches one or two cache lines and allocates nothing.
 */
export interface TableStore {
  readonly layout: Layout
  readonly format: RowFormat
  readonly rows: RowAccess
  /** Rows alive. */
  readonly rowCount: number
  /** Rows that were alive at the last commit: those of `scanCommitted`. */
  readonly committedCount: number

  /** Slot of the key or -1. */
  find(key: Uint8Array, start: number, end: number): number
  /** Slot of the key, made with null/zero values when it is missing (then `wasNew` of the last call is true). */
  findOrInsert(key: Uint8Array, start: number, end: number): number
  readonly wasNew: boolean
  /** `find` over a batch: key i is data[starts[r] .. ends[r]) with r = rows[i], or i when `rows` is null. slotsOut[i] is its slot or -1. */
  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void
  /** `findOrInsert` over a batch. The slots made are newSlots[0 .. newCount) afterwards, in order. */
  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void
  /** The same from the key's columns, columns[i] for layout.key[i]: the fastest way, above all for one number or a dictionary column. */
  findColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void
  findOrInsertColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void
  /** Slots made by the last call that inserts. Valid until the next one. */
  readonly newSlots: Int32Array
  readonly newCount: number

  delete(slot: number): void

  // Of stores with regions.

  /** Regions that have rows, in the order of their prefixes. */
  readonly regions: readonly Region[]
  /** Slots of the region's rows in the order of their keys. */
  slotsOf(region: Region): Int32Array
  /** Deletes all rows of the region at once, at a cost that does not grow with them. */
  dropRegion(region: Region): void
  /** `findOrInsertAll` in one region for keys of the prefix and 8 bytes: pairs[2 i], pairs[2 i + 1] are little-endian words. */
  findOrInsertPairs(first: number, second: number, pairs: Int32Array, count: number, slotsOut: Int32Array): void

  /** Must be called before the first write to a slot's values in a tick: keeps the old image and marks the row as changed. Cheap when already marked. */
  touch(slot: number): void
  touchAll(slots: Int32Array, count: number): void
  isAlive(slot: number): boolean

  /** Single values, for code that is not hot; the setters touch. Setting a value clears the null bit. */
  setNull(slot: number, column: number): void
  setNumber(slot: number, column: number, value: number): void
  setInteger(slot: number, column: number, value: bigint): void
  setBytes(slot: number, column: number, data: Uint8Array, start: number, end: number): void
  /** True once an integer column holds 64-bit integers (`bigs`) instead of f64: it met a value beyond 2^53, and never goes back. */
  isPromoted(column: number): boolean
  /** The row as it is now. */
  read(slot: number): RowReader
  /** The row at the last commit, null when it was not there. */
  readCommitted(slot: number): RowReader | null
  /** Slot whose row at the last commit may have the key (also when it is deleted since), or -1: then it had none. */
  findCommitted(key: Uint8Array, start: number, end: number): number
  /** Appends the bytes of a column of slots[0 .. count) to `into`, value i at starts[i] .. ends[i]; nothing for a null and for a slot of -1. */
  copyBytesOf(column: number, slots: Int32Array, count: number, into: GrowingBytes, starts: Int32Array, ends: Int32Array): void
  /** Visits at most `slotsMax` slots from `from` on, in slot order; returns where to go on, -1 at the end. */
  scan(from: number, slotsMax: number, visit: (slot: number) => void): number
  /** The same over the rows at the last commit. */
  scanCommitted(from: number, slotsMax: number, visit: (row: RowReader) => void): number
  /** The keys of slots[0 .. count), for `readKeys` and for sorting. Valid until the next call. */
  keysOf(slots: Int32Array, count: number): KeyRanges
  /** From now on the listener hears of every row; of those that are there it hears at once, as `added` and `loaded`. */
  follow(listener: RowListener): void

  /** Bytes held, for the budget and the metrics. */
  bytes(): number

  /** Rows that the open tick has changed so far, in order of their first change (a row inserted and deleted again counts). */
  readonly changedCount: number
  changedSlot(index: number): number
  /** The row as it was before the open tick, null when it was not there: −old of an update. */
  readBefore(index: number): RowReader | null

  /** Ends the open tick and opens the next. The tick sealed before must be committed or rolled back. */
  seal(): void
  /** The sealed tick is durable: its images are forgotten and its deleted rows are gone. */
  committed(): void
  rollback(): void
  /** Hands about `rowsMax` more changes of the sealed tick to `writer`; true when all are handed over. */
  drainChanges(writer: ChangeWriter, rowsMax: number): boolean
  /** Applies a block of changed rows during restore; returns how many. No tick may have changes. @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT` */
  applyRows(bytes: Uint8Array, start: number, end: number): number
  /** Applies the drop of a region: its prefix starts at prefix[start]. */
  applyDrop(prefix: Uint8Array, start: number): void
  /** Yields slices of the dump, each with a buffer of its own; the store may change between slices (fuzzy: the changelog tail repairs it). */
  snapshot(sliceBytes: number): Iterable<Uint8Array>
  /** Replaces all rows by those of a dump. Throws `MR_STATE_SNAPSHOT_CORRUPT`, `MR_STATE_LAYOUT_CHANGED`. */
  restore(slices: Iterable<Uint8Array>): void
}
