// Keyed rows in memory: which rows there are (keyed-rows.ts), what lies in them (rows/), and how they were before the ticks that are not
// committed (row-versions.ts). Here these come together: changes of rows, the end of ticks, changelog and snapshot.
//
// It never reads a clock, never waits, and never depends on hash order. Laws: store.ts.
import { assert, must } from '../base/assert.ts'
import type { Column } from '../codec/column.ts'
import type { GrowingBytes } from '../codec/growing-bytes.ts'
import { BlockApplier } from './block-applier.ts'
import { ChangeDrain } from './change-drain.ts'
import { KeyedRows, type KeyedRowsOptions } from './keyed-rows.ts'
import type { KeyIndex } from './keys/key-index.ts'
import { RowSorter } from './keys/key-order.ts'
import type { StoredRegion } from './keys/region-index.ts'
import { RowVersions } from './row-versions.ts'
import type { ByteArena } from './rows/byte-arena.ts'
import type { Layout } from './rows/layout.ts'
import { isAliveAt } from './rows/row-compare.ts'
import { RowCopies } from './rows/row-copies.ts'
import { RowCursor } from './rows/row-cursor.ts'
import { META_WORD, NULL_WORD, TICK_WORD, type Lane, type RowFormat } from './rows/row-format.ts'
import type { RowKeys } from './rows/row-keys.ts'
import { RowLanes } from './rows/row-lanes.ts'
import { newRowMemory } from './rows/row-memory.ts'
import type { RowPages } from './rows/row-pages.ts'
import { dumpRows, loadRows, type DumpSource } from './snapshot.ts'
import type { ChangeWriter, KeyRanges, Region, RowListener, RowReader, TableStore } from './store.ts'
import type { TickImages } from './tick-images.ts'

const TWO_53 = 9007199254740992n
const DEFAULT_SEED = 0x6d696c6c

export interface TableStoreOptions {
  /** Seed of the hash. Results never depend on it; a random one makes it hard to send keys that collide. */
  readonly hashSeed?: number
  /** Number of the first tick: tests start it near the end of the numbers. Default 1. */
  readonly firstTick?: number
  /** Rows whose keys share their first eight bytes lie together and can be dropped together. Every key is at least that long. Default false. */
  readonly regions?: boolean
}

/** A store in memory for rows of `layout`. */
export function createTableStore(layout: Layout, options: TableStoreOptions = {}): TableStore {
  return new MemoryTableStore(layout, options.firstTick ?? 1, {
    hashSeed: options.hashSeed ?? DEFAULT_SEED,
    hasRegions: options.regions ?? false,
  })
}

class MemoryTableStore implements TableStore, DumpSource {
  readonly layout: Layout
  readonly format: RowFormat
  readonly rows: RowPages
  readonly index: KeyIndex
  readonly keys: RowKeys
  readonly arena: ByteArena
  readonly promoted: boolean[]
  readonly #keyed: KeyedRows
  readonly #versions: RowVersions
  readonly #words: Int32Array[]
  readonly #stride: number
  readonly #pageBits: number
  readonly #pageMask: number
  readonly #drain: ChangeDrain
  readonly #applier: BlockApplier
  readonly #now: RowCursor
  readonly #lanes: RowLanes
  readonly #copies: RowCopies
  readonly #sorter = new RowSorter()
  #sealedCount = 0
  #committedCount = 0

  constructor(layout: Layout, firstTick: number, options: KeyedRowsOptions) {
    const memory = newRowMemory(layout, options.hasRegions)
    const { format, rows, arena, keys, promoted } = memory
    this.layout = layout
    this.format = format
    this.rows = rows
    this.arena = arena
    this.keys = keys
    this.promoted = promoted
    this.#versions = new RowVersions(memory, firstTick)
    this.#keyed = new KeyedRows(layout, memory, this.#versions, options)
    this.index = this.#keyed.index
    this.#lanes = new RowLanes(rows, format, promoted)
    this.#copies = new RowCopies(rows, arena, keys)
    this.#words = rows.words
    this.#stride = rows.stride
    this.#pageBits = rows.pageBits
    this.#pageMask = rows.pageMask
    this.#now = new RowCursor(format, arena, keys, promoted)
    this.#drain = new ChangeDrain(this)
    this.#applier = new BlockApplier(this)
  }

  // Keys.

  get rowCount(): number {
    return this.#keyed.count
  }

  get committedCount(): number {
    return this.#committedCount
  }

  get wasNew(): boolean {
    return this.#keyed.wasNew
  }

  get newSlots(): Int32Array {
    return this.#keyed.newSlots
  }

  get newCount(): number {
    return this.#keyed.newCount
  }

  find(key: Uint8Array, start: number, end: number): number {
    return this.#keyed.find(key, start, end)
  }

  findCommitted(key: Uint8Array, start: number, end: number): number {
    return this.#keyed.findCommitted(key, start, end)
  }

  findOrInsert(key: Uint8Array, start: number, end: number): number {
    return this.#keyed.findOrInsert(key, start, end)
  }

  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#keyed.findAll(data, starts, ends, rows, count, slotsOut)
  }

  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void {
    this.#keyed.findOrInsertAll(data, starts, ends, rows, count, slotsOut)
  }

  findColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#keyed.findColumns(columns, rows, count, slotsOut)
  }

  findOrInsertColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#keyed.findOrInsertColumns(columns, rows, count, slotsOut)
  }

  findOrInsertPairs(first: number, second: number, pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    this.#keyed.findOrInsertPairs(first, second, pairs, count, slotsOut)
  }

  isAlive(slot: number): boolean {
    return this.#keyed.isAlive(slot)
  }

  // Changes.

  touch(slot: number): void {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if (words[at + TICK_WORD] !== this.#versions.openTick) this.#versions.keep(slot, words, at)
  }

  touchAll(slots: Int32Array, count: number): void {
    const pages = this.#words
    const versions = this.#versions
    const tick = versions.openTick
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const words = pages[slot >>> this.#pageBits] as Int32Array
      const at = (slot & this.#pageMask) * this.#stride
      if (words[at + TICK_WORD] !== tick) versions.keep(slot, words, at)
    }
  }

  delete(slot: number): void {
    assert(this.isAlive(slot), 'only a row that is alive is deleted')
    this.touch(slot)
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    for (const lane of this.format.bytesLanes) this.#dropBytes(words, at, lane)
    for (let word = NULL_WORD; word < NULL_WORD + this.format.nullWords; word++) words[at + word] = 0
    for (let word = this.format.laneWord; word < this.#stride; word++) words[at + word] = 0
    words[at + META_WORD] = (words[at + META_WORD] as number) & ~1
    this.#keyed.count--
    this.#keyed.countDead(slot, 1)
    if (this.#versions.isLoading) this.#keyed.free(slot)
    else this.#versions.open.deleted.push(slot)
  }

  /** Gives up the lane's block: now when no image holds it, else with the commit of the open tick. */
  #dropBytes(words: Int32Array, at: number, lane: Lane): void {
    const reference = words[at + lane.word] as number
    if (reference === 0) return
    const size = words[at + lane.word + 1] as number
    words[at + lane.word] = 0
    words[at + lane.word + 1] = 0
    if (!this.#versions.keepsBlock(words, at, lane.word, reference, size)) this.arena.free(reference, size)
  }

  setNull(slot: number, column: number): void {
    this.touch(slot)
    const lane = this.format.lanes[column] as Lane
    if (lane.kind === 'bytes')
      this.#dropBytes(this.#words[slot >>> this.#pageBits] as Int32Array, (slot & this.#pageMask) * this.#stride, lane)
    this.#lanes.setNull(slot, lane)
  }

  setNumber(slot: number, column: number, value: number): void {
    this.touch(slot)
    this.#lanes.set(slot, column, value)
  }

  setInteger(slot: number, column: number, value: bigint): void {
    this.touch(slot)
    if (this.promoted[column] !== true && value <= TWO_53 && value >= -TWO_53) return this.#lanes.set(slot, column, Number(value))
    this.promoteTo(column)
    this.#lanes.set(slot, column, value)
  }

  setBytes(slot: number, column: number, data: Uint8Array, start: number, end: number): void {
    this.touch(slot)
    const lane = this.format.lanes[column] as Lane
    const reference = this.arena.put(data, start, end)
    this.#dropBytes(this.#words[slot >>> this.#pageBits] as Int32Array, (slot & this.#pageMask) * this.#stride, lane)
    this.#lanes.setBlock(slot, lane, reference, end - start)
  }

  isPromoted(column: number): boolean {
    return this.promoted[column] as boolean
  }

  promoteTo(column: number): void {
    if (this.promoted[column] !== true) this.#lanes.promote(column, [this.#versions.open, this.#versions.sealed])
  }

  // Reading.

  read(slot: number): RowReader {
    return this.#now.set(slot, this.rows, slot >>> this.#pageBits, (slot & this.#pageMask) * this.#stride)
  }

  readCommitted(slot: number): RowReader | null {
    return this.#versions.readAt(slot, this.#versions.committedTick)
  }

  scan(from: number, slotsMax: number, visit: (slot: number) => void): number {
    return this.rows.scan(from, slotsMax, (slot) => {
      if (this.isAlive(slot)) visit(slot)
    })
  }

  scanCommitted(from: number, slotsMax: number, visit: (row: RowReader) => void): number {
    return this.rows.scan(from, slotsMax, (slot) => {
      const row = this.readCommitted(slot)
      if (row !== null) visit(row)
    })
  }

  copyBytesOf(column: number, slots: Int32Array, count: number, into: GrowingBytes, starts: Int32Array, ends: Int32Array): void {
    this.#copies.bytesOf(this.format.lanes[column] as Lane, slots, count, into, starts, ends)
  }

  keysOf(slots: Int32Array, count: number): KeyRanges {
    return this.#copies.keysOf(slots, count)
  }

  follow(listener: RowListener): void {
    assert(this.#keyed.deadCount === 0, 'a listener begins to follow a store between its ticks')
    this.scan(0, Infinity, (slot) => {
      listener.added(slot)
      listener.loaded(slot)
    })
    this.#keyed.listeners.push(listener)
  }

  get changedCount(): number {
    return this.#versions.open.count
  }

  changedSlot(index: number): number {
    return this.#versions.open.slot(index)
  }

  readBefore(index: number): RowReader | null {
    const { open, openTick } = this.#versions
    if (!open.isMade(index)) return this.#versions.readBefore(index)
    // A row that the open tick made may have had a row of its key before it, in a region that the tick has dropped.
    const before = this.#keyed.regions?.findDropped(open.slot(index), openTick) ?? -1
    return before < 0 ? null : this.#versions.readAt(before, openTick - 1)
  }

  bytes(): number {
    return this.rows.bytes() + this.index.bytes() + this.arena.bytes() + this.#versions.bytes()
  }

  // Ticks.

  seal(): void {
    this.#versions.seal()
    this.#keyed.regions?.seal()
    this.#drain.begin()
    this.#sealedCount = this.rowCount
  }

  committed(): void {
    const { sealed, sealedTick } = this.#versions
    assert(sealedTick !== 0, 'a tick is sealed before it is committed')
    for (const slot of sealed.deleted) {
      const words = this.#words[slot >>> this.#pageBits]
      const at = (slot & this.#pageMask) * this.#stride
      // A row freed a moment ago, because it was deleted twice in the tick, has lost its tick; one that the open tick changed is its own.
      if (words !== undefined && words[at + TICK_WORD] === sealedTick && !isAliveAt(words, at)) this.#keyed.free(slot)
    }
    const { replaced } = sealed
    for (let i = 0; i < replaced.length; i += 2) this.arena.free(replaced[i] as number, replaced[i + 1] as number)
    this.#keyed.freeDropped(sealedTick)
    this.#versions.committed()
    this.#committedCount = this.#sealedCount
    this.#renumberIfSpent()
  }

  rollback(): void {
    const { open, sealed, sealedTick } = this.#versions
    // Dropped regions come back first: their rows are put right with all others.
    this.#keyed.restoreDropped()
    this.#undo(open, sealedTick)
    this.#undo(sealed, 0)
    this.#versions.undone()
    this.#renumberIfSpent()
  }

  #renumberIfSpent(): void {
    if (!this.#versions.isSpent) return
    this.#versions.renumber()
    for (const region of this.#keyed.regions?.dropped ?? []) region.droppedTick = 1
  }

  /** Puts the images of a tick back. A row that also has an image of `pendingTick` is judged when that one is undone. */
  #undo(images: TickImages, pendingTick: number): void {
    const { lanes, bytesLanes } = this.format
    assert(bytesLanes.length <= lanes.length, 'bytes lanes are lanes')
    for (let image = 0; image < images.count; image++) {
      const slot = images.slot(image)
      // The row may be gone with a region that the undone ticks had made.
      if (this.#keyed.regions?.of(slot) === null) continue
      const words = this.#words[slot >>> this.#pageBits] as Int32Array
      const at = (slot & this.#pageMask) * this.#stride
      if (images.isMade(image)) {
        this.#unmake(slot, words, at)
        continue
      }
      const copy = images.words[images.page(image)] as Int32Array
      const from = images.at(image)
      for (const lane of bytesLanes) {
        const reference = words[at + lane.word] as number
        if (reference !== copy[from + lane.word]) this.arena.free(reference, words[at + lane.word + 1] as number)
      }
      const change = Number(isAliveAt(copy, from)) - Number(isAliveAt(words, at))
      this.#keyed.count += change
      if (change !== 0) this.#keyed.countDead(slot, -change)
      for (let word = 0; word < this.#stride; word++) words[at + word] = copy[from + word] as number
      if (pendingTick !== 0 && words[at + TICK_WORD] === pendingTick) continue
      if (!isAliveAt(words, at)) this.#keyed.free(slot)
      else this.#keyed.loaded(slot)
    }
  }

  /** Takes back a row that an undone tick made. */
  #unmake(slot: number, words: Int32Array, at: number): void {
    for (const lane of this.format.bytesLanes) this.arena.free(words[at + lane.word] as number, words[at + lane.word + 1] as number)
    if (isAliveAt(words, at)) {
      this.#keyed.count--
      this.#keyed.countDead(slot, 1)
    }
    this.#keyed.free(slot)
  }

  // Regions.

  get regions(): readonly Region[] {
    return this.#keyed.regions?.open ?? []
  }

  slotsOf(region: Region): Int32Array {
    const count = this.#keyed.liveSlots(region as StoredRegion, this.#sorter.room(region.rowCount))
    return this.#sorter.sort(this, count)
  }

  dropRegion(region: Region): void {
    this.#keyed.drop(region as StoredRegion)
  }

  // Changelog and snapshot.

  drainChanges(writer: ChangeWriter, rowsMax: number): boolean {
    const { sealed, sealedTick } = this.#versions
    assert(sealedTick !== 0, 'changes are drained between seal and committed')
    for (const region of this.#drain.isBegun ? (this.#keyed.regions?.dropped ?? []) : [])
      if (region.droppedTick === sealedTick && !region.isFresh) writer.dropped(region)
    return this.#drain.run(writer, sealed, rowsMax)
  }

  get openImages(): TickImages {
    return this.#versions.open
  }

  /** Whether the row went with its region in the sealed tick or an earlier one. */
  isDroppedBySeal(slot: number): boolean {
    const { regions } = this.#keyed
    if (regions === null || regions.dropped.length === 0) return false
    const dropped = regions.of(slot)?.droppedTick ?? 0
    return dropped !== 0 && dropped <= this.#versions.sealedTick
  }

  isOpenTick(tick: number): boolean {
    return tick === this.#versions.openTick
  }

  applyRows(bytes: Uint8Array, start: number, end: number): number {
    this.#load(() => this.#applier.apply(bytes, start, end))
    return this.#applier.count
  }

  applyDrop(prefix: Uint8Array, start: number): void {
    const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
    const region = must(this.#keyed.regions, 'regions').at(view.getInt32(start, true), view.getInt32(start + 4, true))
    if (region !== null) this.#load(() => this.dropRegion(region))
  }

  #load(work: () => void): void {
    assert(this.#versions.open.count === 0 && this.#versions.sealedTick === 0, 'records are applied while no tick has changes')
    this.#versions.isLoading = true
    try {
      work()
    } finally {
      this.#versions.isLoading = false
      this.#committedCount = this.rowCount
    }
  }

  /** Values were put into a row by `apply`. */
  loaded(slot: number): void {
    this.#keyed.loaded(slot)
  }

  snapshot(sliceBytes: number): Iterable<Uint8Array> {
    return dumpRows(this, sliceBytes)
  }

  committedTick(): number {
    return this.#versions.committedTick
  }

  restore(slices: Iterable<Uint8Array>): void {
    this.#keyed.clear()
    this.#versions.clear()
    this.promoted.fill(false)
    loadRows(this, slices)
    this.#committedCount = this.rowCount
  }

  adoptRun(first: number, count: number, twins: number[]): void {
    this.#keyed.adoptRun(first, count, twins)
  }

  imagesOf(tick: number): TickImages {
    return this.#versions.imagesOf(tick)
  }
}
