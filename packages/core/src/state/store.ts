// The contract of state: keyed rows owned by one task, with the old image of every row that the open tick has changed.
//
// Laws (cited by tests):
//  ST-1 rollback() restores exactly the rows at the last seal that was committed (mark), whatever happened since.
//  ST-2 restore(snapshot, tail of changelog) equals the store at the last commit, for a dump taken at any moment between batches.
//  ST-3 drainChanges() names each changed key once with its newest image (null = deleted), and nothing that did not change.
//  ST-4 A reader at the last committed tick never sees a row image of a later one.
import type { Field } from '../codec/column.ts'

/** Names the layout of binary rows: column names, kinds, aggregates. The id is a hash of the content; readers decode by the writer's layout and map by name. */
export interface Layout {
  readonly id: string
  readonly store: string
  readonly key: readonly Field[]
  readonly value: readonly Field[]
}

/**
 * Keyed rows. Keys are bytes (the binary encoding of the key columns); rows are addressed by dense slot numbers, stable until the row
 * is deleted. Values are typed columns indexed by slot (struct of arrays), so that operators update them without allocation.
 *
 * A tick: first change of a row saves its old image; `seal()` ends the tick; `committed()` forgets the images of sealed ticks;
 * `rollback()` puts back everything since the last committed seal. One sealed tick may be in flight while the next one runs.
 */
export interface TableStore {
  readonly layout: Layout
  /** Rows alive. */
  readonly rowCount: number
  /** Slot of the key or -1. */
  find(key: Uint8Array, start: number, end: number): number
  /** Slot of the key, made with null/zero values when it is missing (then `wasNew` of the last call is true). */
  findOrInsert(key: Uint8Array, start: number, end: number): number
  readonly wasNew: boolean
  delete(slot: number): void
  /** Must be called before the first write to a slot's values in a tick: keeps the old image and marks the row as changed. Cheap when already marked. */
  touch(slot: number): void
  /** Bytes held, for the budget and the metrics. */
  bytes(): number

  seal(): void
  committed(): void
  rollback(): void
  /** Calls back for every row changed since the last drain: key bytes and row image as binary row, null when deleted. */
  drainChanges(each: (key: Uint8Array, row: Uint8Array | null) => void): void
  /** Applies one changelog record during restore. */
  apply(key: Uint8Array, row: Uint8Array | null): void
  /** Yields slices of the dump; the store may change between slices (fuzzy: the changelog tail repairs it). */
  snapshot(sliceBytes: number): Iterable<Uint8Array>
  restore(slices: Iterable<Uint8Array>): void
}
