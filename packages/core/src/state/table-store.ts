// Keyed rows in memory: pages of rows, an index over their keys, an arena for long bytes, and the images of at most two unfinished ticks.
//
// How old images work. The first change of a row in a tick copies the row to the tick's images and leaves (tick, index) in the row. A copy
// holds the row's former (tick, index), so images form a chain: row -> image of the open tick -> image of the sealed tick. Ticks count up
// and `#committedTick` follows, so what is committed needs no clearing: a row whose tick is at or below it is as it was committed.
// A deleted row stays in the index, dead, until its deletion is committed: a key has one slot at any time, and the slot its images.
// A row that the open tick made has no image: before it there was nothing.
// A block of the arena is freed when the last tick that could need it is over: at once when only the open tick has seen it, with the
// commit of the tick that replaced it otherwise. A region that is dropped keeps its rows as they are until the drop is committed.
//
// It never reads a clock, never waits, and never depends on hash order. Laws: store.ts.
import { assert, must } from '../base/assert.ts'
import type { Column } from '../codec/column.ts'
import type { GrowingBytes } from '../codec/growing-bytes.ts'
import { BlockApplier } from './block-applier.ts'
import { ByteArena } from './rows/byte-arena.ts'
import { ChangeDrain } from './change-drain.ts'
import { ColumnKeys } from './keys/column-keys.ts'
import { HashIndex, type HashIndexParts, type RowOwner } from './keys/hash-index.ts'
import type { KeyIndex } from './keys/key-index.ts'
import { compareKeyBytes, compareRowKeys, rowOrder } from './keys/key-order.ts'
import { RegionIndex, type StoredRegion } from './keys/region-index.ts'
import { isAliveAt } from './rows/row-compare.ts'
import { RowCursor } from './rows/row-cursor.ts'
import { IMAGE_WORD, META_WORD, NULL_WORD, rowFormat, TICK_WORD, type Lane, type RowFormat } from './rows/row-format.ts'
import { RowCopies } from './rows/row-copies.ts'
import { RowKeys } from './rows/row-keys.ts'
import { RowLanes } from './rows/row-lanes.ts'
import { RowPages } from './rows/row-pages.ts'
import { dumpRows, loadRows, type DumpSource } from './snapshot.ts'
import type { Layout, RowMapping } from './rows/layout.ts'
import type { ChangeWriter, KeyRanges, Region, RowListener, RowReader, TableStore } from './store.ts'
import { TickImages } from './tick-images.ts'

const TWO_53 = 9007199254740992n
const TICK_MAX = 0x7fff_fff0
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
  return new MemoryTableStore(layout, options.hashSeed ?? DEFAULT_SEED, options.firstTick ?? 1, options.regions ?? false)
}

class MemoryTableStore implements TableStore, RowOwner, DumpSource {
  readonly layout: Layout
  readonly format: RowFormat
  readonly rows: RowPages
  readonly index: KeyIndex
  readonly keys: RowKeys
  readonly arena: ByteArena
  readonly promoted: boolean[]
  rowCount = 0
  wasNew = false
  newSlots: Int32Array = new Int32Array(16)
  newCount = 0
  readonly #words: Int32Array[]
  readonly #stride: number
  readonly #pageBits: number
  readonly #pageMask: number
  readonly #main: HashIndex | null
  readonly #regions: RegionIndex | null
  #open: TickImages
  #sealed: TickImages
  #openTick = 1
  /** 0 when no tick is sealed. */
  #sealedTick = 0
  #committedTick = 0
  /** Dead rows that still have their key. */
  #deadCount = 0
  readonly #drain: ChangeDrain
  /** By the writer's layout. */
  readonly #appliers = new Map<string, BlockApplier>()
  #loading = false
  readonly #listeners: RowListener[] = []
  readonly #now: RowCursor
  readonly #then: RowCursor
  readonly #before: RowCursor
  readonly #columnKeys: ColumnKeys
  readonly #lanes: RowLanes
  readonly #copies: RowCopies

  constructor(layout: Layout, seed: number, firstTick: number, hasRegions: boolean) {
    this.#openTick = firstTick
    this.#committedTick = firstTick - 1
    this.layout = layout
    this.format = rowFormat(layout)
    this.rows = new RowPages(this.format, hasRegions)
    this.arena = new ByteArena()
    this.keys = new RowKeys(this.rows, this.arena, this.format)
    const parts: HashIndexParts = { rows: this.rows, arena: this.arena, keys: this.keys, format: this.format, owner: this, seed }
    this.#regions = hasRegions ? new RegionIndex(parts) : null
    this.#main = hasRegions ? null : new HashIndex(parts, null)
    this.index = this.#regions ?? (this.#main as HashIndex)
    this.#columnKeys = new ColumnKeys(this.index, layout.key)
    this.promoted = layout.value.map(() => false)
    this.#lanes = new RowLanes(this.rows, this.format, this.promoted)
    this.#copies = new RowCopies(this.rows, this.arena, this.keys)
    this.#words = this.rows.words
    this.#stride = this.rows.stride
    this.#pageBits = this.rows.pageBits
    this.#pageMask = this.rows.pageMask
    this.#open = new TickImages(this.format)
    this.#sealed = new TickImages(this.format)
    this.#now = new RowCursor(this.format, this.arena, this.keys, this.promoted)
    this.#then = new RowCursor(this.format, this.arena, this.keys, this.promoted)
    this.#before = new RowCursor(this.format, this.arena, this.keys, this.promoted)
    this.#drain = new ChangeDrain(this)
  }

  // Keys.

  find(key: Uint8Array, start: number, end: number): number {
    const slot = this.index.find(key, start, end)
    return slot >= 0 && this.isAlive(slot) ? slot : -1
  }

  findCommitted(key: Uint8Array, start: number, end: number): number {
    return this.#regions === null ? this.index.find(key, start, end) : this.#regions.findCommitted(key, start, end)
  }

  findOrInsert(key: Uint8Array, start: number, end: number): number {
    this.newCount = 0
    const slot = this.index.findOrInsert(key, start, end)
    if (this.newCount === 0 && this.#deadCount > 0 && !this.isAlive(slot)) this.#revive(slot)
    this.wasNew = this.newCount > 0
    return slot
  }

  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.index.findAll(data, starts, ends, rows, count, slotsOut)
    if (this.#deadCount > 0) this.#hideDead(slotsOut, count)
  }

  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void {
    this.newCount = 0
    this.index.findOrInsertAll(data, starts, ends, rows, count, slotsOut)
    if (this.#deadCount > 0) this.#reviveDead(slotsOut, count)
  }

  findColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#columnKeys.slots(columns, rows, count, slotsOut, false)
    if (this.#deadCount > 0) this.#hideDead(slotsOut, count)
  }

  findOrInsertColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.newCount = 0
    this.#columnKeys.slots(columns, rows, count, slotsOut, true)
    if (this.#deadCount > 0) this.#reviveDead(slotsOut, count)
  }

  findOrInsertPairs(first: number, second: number, pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    this.newCount = 0
    must(this.#regions, 'regions').make(first, second).index.findOrInsertPairs(pairs, count, slotsOut)
    if (this.#deadCount > 0) this.#reviveDead(slotsOut, count)
  }

  /** Called by the index: the row has its key and is dead. */
  inserted(slot: number): void {
    for (const listener of this.#listeners) listener.added(slot)
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if (!this.#loading) {
      words[at + TICK_WORD] = this.#openTick
      words[at + IMAGE_WORD] = this.#open.addMade(slot)
    }
    this.#enliven(slot, words, at)
  }

  #revive(slot: number): void {
    this.touch(slot)
    this.#countDead(slot, -1)
    this.#enliven(slot, this.#words[slot >>> this.#pageBits] as Int32Array, (slot & this.#pageMask) * this.#stride)
  }

  #enliven(slot: number, words: Int32Array, at: number): void {
    words[at + META_WORD] = (words[at + META_WORD] as number) | 1
    for (let word = 0; word < this.format.nullWords; word++) words[at + NULL_WORD + word] = -1
    this.rowCount++
    if (this.newCount === this.newSlots.length) {
      const grown = new Int32Array(this.newCount * 2)
      grown.set(this.newSlots)
      this.newSlots = grown
    }
    this.newSlots[this.newCount++] = slot
  }

  #countDead(slot: number, change: number): void {
    this.#deadCount += change
    const region = this.#regions?.of(slot)
    if (region !== undefined && region !== null) region.deadCount += change
  }

  #hideDead(slots: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) if ((slots[i] as number) >= 0 && !this.isAlive(slots[i] as number)) slots[i] = -1
  }

  #reviveDead(slots: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) if (!this.isAlive(slots[i] as number)) this.#revive(slots[i] as number)
  }

  isAlive(slot: number): boolean {
    // The page of a slot that somebody remembers may be gone.
    const words = this.#words[slot >>> this.#pageBits]
    if (words === undefined || words.length === 0 || !isAliveAt(words, (slot & this.#pageMask) * this.#stride)) return false
    return this.#regions === null || this.#regions.dropped.length === 0 || this.#regions.of(slot)?.droppedTick === 0
  }

  // Changes.

  touch(slot: number): void {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if (words[at + TICK_WORD] !== this.#openTick) this.#keepImage(slot, words, at)
  }

  touchAll(slots: Int32Array, count: number): void {
    const pages = this.#words
    const tick = this.#openTick
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const words = pages[slot >>> this.#pageBits] as Int32Array
      const at = (slot & this.#pageMask) * this.#stride
      if (words[at + TICK_WORD] !== tick) this.#keepImage(slot, words, at)
    }
  }

  #keepImage(slot: number, words: Int32Array, at: number): void {
    if (this.#loading) return
    const image = this.#open.add(slot, words, at)
    words[at + TICK_WORD] = this.#openTick
    words[at + IMAGE_WORD] = image
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
    this.rowCount--
    this.#countDead(slot, 1)
    if (this.#loading) this.#free(slot)
    else this.#open.deleted.push(slot)
  }

  /** Gives up the lane's block: now when no image holds it, else with the commit of the open tick. */
  #dropBytes(words: Int32Array, at: number, lane: Lane): void {
    const reference = words[at + lane.word] as number
    if (reference === 0) return
    const size = words[at + lane.word + 1] as number
    words[at + lane.word] = 0
    words[at + lane.word + 1] = 0
    if (!this.#loading) {
      const image = words[at + IMAGE_WORD] as number
      const isHeld =
        !this.#open.isMade(image) &&
        (this.#open.words[this.#open.page(image)] as Int32Array)[this.#open.at(image) + lane.word] === reference
      if (isHeld) {
        this.#open.replaced.push(reference, size)
        return
      }
    }
    this.arena.free(reference, size)
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
    if (this.promoted[column] !== true) this.#lanes.promote(column, [this.#open, this.#sealed])
  }

  // Reading.

  read(slot: number): RowReader {
    return this.#now.set(slot, this.rows, slot >>> this.#pageBits, (slot & this.#pageMask) * this.#stride)
  }

  readCommitted(slot: number): RowReader | null {
    return this.readAt(slot, this.#committedTick)
  }

  /** The row as it was when `tick` ended (the committed or the sealed one), null when it was not there. */
  readAt(slot: number, tick: number): RowCursor | null {
    const page = slot >>> this.#pageBits
    const at = (slot & this.#pageMask) * this.#stride
    const words = this.#words[page] as Int32Array
    if ((words[at + TICK_WORD] as number) <= tick) return isAliveAt(words, at) ? this.#then.set(slot, this.rows, page, at) : null
    let images = this.imagesOf(words[at + TICK_WORD] as number)
    let image = words[at + IMAGE_WORD] as number
    for (;;) {
      if (images.isMade(image)) return null
      const copy = images.words[images.page(image)] as Int32Array
      const copyAt = images.at(image)
      const before = copy[copyAt + TICK_WORD] as number
      if (before <= tick) return isAliveAt(copy, copyAt) ? this.#then.set(slot, images, images.page(image), copyAt) : null
      image = copy[copyAt + IMAGE_WORD] as number
      images = this.imagesOf(before)
    }
  }

  imagesOf(tick: number): TickImages {
    assert(tick === this.#openTick || tick === this.#sealedTick, 'a changed row names an unfinished tick')
    return tick === this.#openTick ? this.#open : this.#sealed
  }

  scan(from: number, slotsMax: number, visit: (slot: number) => void): number {
    return this.#scan(from, slotsMax, (slot) => {
      if (this.isAlive(slot)) visit(slot)
    })
  }

  scanCommitted(from: number, slotsMax: number, visit: (row: RowReader) => void): number {
    return this.#scan(from, slotsMax, (slot) => {
      const row = this.readAt(slot, this.#committedTick)
      if (row !== null) visit(row)
    })
  }

  #scan(from: number, slotsMax: number, visit: (slot: number) => void): number {
    let visited = 0
    for (let page = from >>> this.#pageBits; page < this.rows.pageCount; page++) {
      let index = page === from >>> this.#pageBits ? from & this.#pageMask : 0
      for (; index < this.rows.usedIn(page); index++, visited++) {
        if (visited === slotsMax) return (page << this.#pageBits) | index
        visit((page << this.#pageBits) | index)
      }
    }
    return -1
  }

  copyBytesOf(column: number, slots: Int32Array, count: number, into: GrowingBytes, starts: Int32Array, ends: Int32Array): void {
    this.#copies.bytesOf(this.format.lanes[column] as Lane, slots, count, into, starts, ends)
  }

  keysOf(slots: Int32Array, count: number): KeyRanges {
    return this.#copies.keysOf(slots, count)
  }

  compareKeys(a: number, b: number): number {
    return compareRowKeys(this.keys, a, b)
  }

  compareKey(slot: number, key: Uint8Array, start: number, end: number): number {
    const from = this.keys.offset(slot)
    return compareKeyBytes(this.keys.bytes(slot), from, from + this.keys.length(slot), key, start, end)
  }

  follow(listener: RowListener): void {
    assert(this.#deadCount === 0, 'a listener begins to follow a store between its ticks')
    this.scan(0, Infinity, (slot) => {
      listener.added(slot)
      listener.loaded(slot)
    })
    this.#listeners.push(listener)
  }

  get changedCount(): number {
    return this.#open.count
  }

  changedSlot(index: number): number {
    return this.#open.slot(index)
  }

  readBefore(index: number): RowReader | null {
    const images = this.#open
    if (images.isMade(index)) return this.#readDropped(images.slot(index))
    const page = images.page(index)
    const at = images.at(index)
    return isAliveAt(images.words[page] as Int32Array, at) ? this.#before.set(images.slot(index), images, page, at) : null
  }

  /** A row that the open tick made may have had a row of its key before it, in a region that the tick has dropped. */
  #readDropped(slot: number): RowReader | null {
    const before = this.#regions?.findDropped(slot, this.#openTick) ?? -1
    return before < 0 ? null : this.readAt(before, this.#openTick - 1)
  }

  bytes(): number {
    return this.rows.bytes() + this.index.bytes() + this.arena.bytes() + this.#open.bytes() + this.#sealed.bytes()
  }

  // Ticks.

  seal(): void {
    assert(this.#sealedTick === 0, 'one sealed tick is in flight at most')
    const free = this.#sealed
    this.#sealed = this.#open
    this.#open = free
    this.#sealedTick = this.#openTick
    this.#openTick++
    this.#regions?.seal()
    this.#drain.begin()
  }

  committed(): void {
    assert(this.#sealedTick !== 0, 'a tick is sealed before it is committed')
    const { deleted, replaced } = this.#sealed
    for (let i = 0; i < deleted.length; i++) {
      const slot = deleted[i] as number
      const words = this.#words[slot >>> this.#pageBits]
      const at = (slot & this.#pageMask) * this.#stride
      // A row freed a moment ago, because it was deleted twice in the tick, has lost its tick; one that the open tick changed is its own.
      if (words !== undefined && words[at + TICK_WORD] === this.#sealedTick && !isAliveAt(words, at)) this.#free(slot)
    }
    for (let i = 0; i < replaced.length; i += 2) this.arena.free(replaced[i] as number, replaced[i + 1] as number)
    this.#sealed.reset()
    const dropped = this.#regions?.dropped ?? []
    while (dropped[0]?.droppedTick === this.#sealedTick) this.#freeRegion(dropped[0])
    this.#committedTick = this.#sealedTick
    this.#sealedTick = 0
    if (this.#openTick > TICK_MAX) this.#renumber()
  }

  rollback(): void {
    this.#undoDrops()
    this.#undo(this.#open, this.#sealedTick)
    this.#undo(this.#sealed, 0)
    this.#open.reset()
    this.#sealed.reset()
    this.#committedTick = this.#openTick
    this.#openTick++
    this.#sealedTick = 0
    if (this.#openTick > TICK_MAX) this.#renumber()
  }

  /** Dropped regions come back first: their rows are put right with all others. A region that took the place of one holds new rows only. */
  #undoDrops(): void {
    if (this.#regions === null) return
    for (const region of [...this.#regions.dropped].reverse()) {
      const other = this.#regions.at(region.first, region.second)
      if (other !== null) this.#discard(other)
      this.#regions.restore(region)
      this.rowCount += region.rowCount
      this.#deadCount += region.deadCount
    }
  }

  /** Puts the images of a tick back. A row that also has an image of `pendingTick` is judged when that one is undone. */
  #undo(images: TickImages, pendingTick: number): void {
    const { lanes, bytesLanes } = this.format
    assert(bytesLanes.length <= lanes.length, 'bytes lanes are lanes')
    for (let image = 0; image < images.count; image++) {
      const slot = images.slot(image)
      // The row may be gone with a region that the undone ticks had made.
      if (this.#regions?.of(slot) === null) continue
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
      this.rowCount += change
      if (change !== 0) this.#countDead(slot, -change)
      for (let word = 0; word < this.#stride; word++) words[at + word] = copy[from + word] as number
      if (pendingTick !== 0 && words[at + TICK_WORD] === pendingTick) continue
      if (!isAliveAt(words, at)) this.#free(slot)
      else for (const listener of this.#listeners) listener.loaded(slot)
    }
  }

  /** Takes back a row that an undone tick made. */
  #unmake(slot: number, words: Int32Array, at: number): void {
    for (const lane of this.format.bytesLanes) this.arena.free(words[at + lane.word] as number, words[at + lane.word + 1] as number)
    if (isAliveAt(words, at)) {
      this.rowCount--
      this.#countDead(slot, 1)
    }
    this.#free(slot)
  }

  /** Takes a dead row out of everything. */
  #free(slot: number): void {
    for (const listener of this.#listeners) listener.removed(slot)
    const region = this.#regions?.of(slot) ?? null
    this.index.remove(slot)
    // The dead rows of a dropped region are not counted any more.
    if (region === null || region.droppedTick === 0) this.#deadCount--
    this.#freeKey(slot)
    this.rows.release(slot)
    if (region !== null && region.index.count === 0 && region.droppedTick === 0) this.#regions?.free(region)
  }

  #freeKey(slot: number): void {
    const length = this.keys.length(slot)
    if (length <= this.format.keyBytesInline) return
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    this.arena.free(words[(slot & this.#pageMask) * this.#stride + this.format.keyWord] as number, length)
  }

  // Regions.

  get regions(): readonly Region[] {
    return this.#regions?.open ?? []
  }

  slotsOf(region: Region): Int32Array {
    const slots = new Int32Array(region.rowCount)
    let count = 0
    this.#eachRow(region as StoredRegion, (slot, words, at) => {
      if (isAliveAt(words, at)) slots[count++] = slot
    })
    return rowOrder(this, slots)
  }

  dropRegion(region: Region): void {
    const stored = region as StoredRegion
    const regions = must(this.#regions, 'regions')
    this.rowCount -= stored.rowCount
    this.#deadCount -= stored.deadCount
    if (this.#loading) this.#freeRegion(stored)
    else regions.drop(stored, this.#openTick)
  }

  /** The rows of the region that have a key. */
  #eachRow(region: StoredRegion, visit: (slot: number, words: Int32Array, at: number) => void): void {
    for (const page of region.index.chain.pages) {
      const words = this.#words[page] as Int32Array
      const used = this.rows.usedIn(page)
      for (let index = 0, at = 0; index < used; index++, at += this.#stride)
        if (words[at + META_WORD] !== 0) visit((page << this.#pageBits) | index, words, at)
    }
  }

  /** An open region leaves without a trace. */
  #discard(region: StoredRegion): void {
    this.rowCount -= region.rowCount
    this.#deadCount -= region.deadCount
    this.#freeRegion(region)
  }

  #freeRegion(region: StoredRegion): void {
    for (const listener of this.#listeners) listener.dropped(region)
    const { bytesLanes } = this.format
    // Only what lies in the arena must be given back row by row. Keys of other lengths than the layout's may be long ones.
    if (bytesLanes.length > 0 || this.format.hasLongKeys) {
      this.#eachRow(region, (slot, words, at) => {
        for (const lane of bytesLanes) this.arena.free(words[at + lane.word] as number, words[at + lane.word + 1] as number)
        this.#freeKey(slot)
      })
    }
    must(this.#regions, 'regions').free(region)
  }

  /** Starts the count of ticks anew, long before it overflows: at 200 commits a second, once in four months. */
  #renumber(): void {
    for (let copy = 0; copy < this.#open.copyCount; copy++)
      (this.#open.words[this.#open.pageOfCopy(copy)] as Int32Array)[this.#open.atOfCopy(copy) + TICK_WORD] = 0
    for (const region of this.#regions?.dropped ?? []) region.droppedTick = 1
    this.#scan(0, Infinity, (slot) => {
      const words = this.#words[slot >>> this.#pageBits] as Int32Array
      const at = (slot & this.#pageMask) * this.#stride
      words[at + TICK_WORD] = words[at + TICK_WORD] === this.#openTick ? 1 : 0
    })
    this.#openTick = 1
    this.#committedTick = 0
  }

  // Changelog and snapshot.

  drainChanges(writer: ChangeWriter, rowsMax: number): boolean {
    assert(this.#sealedTick !== 0, 'changes are drained between seal and committed')
    for (const region of this.#drain.isBegun ? (this.#regions?.dropped ?? []) : [])
      if (region.droppedTick === this.#sealedTick && !region.isFresh) writer.dropped(region)
    return this.#drain.run(writer, this.#sealed, rowsMax)
  }

  get openImages(): TickImages {
    return this.#open
  }

  /** Whether the row went with its region in the sealed tick or an earlier one. */
  isDroppedBySeal(slot: number): boolean {
    if (this.#regions === null || this.#regions.dropped.length === 0) return false
    const dropped = this.#regions.of(slot)?.droppedTick ?? 0
    return dropped !== 0 && dropped <= this.#sealedTick
  }

  isOpenTick(tick: number): boolean {
    return tick === this.#openTick
  }

  applyRows(bytes: Uint8Array, start: number, end: number, mapping?: RowMapping): number {
    const applier = this.#applierFor(mapping)
    this.#load(() => applier.apply(bytes, start, end))
    return applier.count
  }

  #applierFor(mapping: RowMapping | undefined): BlockApplier {
    const writer = mapping?.writer.id ?? this.layout.id
    let applier = this.#appliers.get(writer)
    if (applier === undefined) this.#appliers.set(writer, (applier = new BlockApplier(this, mapping ?? null)))
    return applier
  }

  applyDrop(prefix: Uint8Array, start: number): void {
    const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
    const region = must(this.#regions, 'regions').at(view.getInt32(start, true), view.getInt32(start + 4, true))
    if (region !== null) this.#load(() => this.dropRegion(region))
  }

  #load(work: () => void): void {
    assert(this.#open.count === 0 && this.#sealedTick === 0, 'records are applied while no tick has changes')
    this.#loading = true
    try {
      work()
    } finally {
      this.#loading = false
    }
  }

  /** Values were put into a row by `apply`. */
  loaded(slot: number): void {
    for (const listener of this.#listeners) listener.loaded(slot)
  }

  snapshot(sliceBytes: number): Iterable<Uint8Array> {
    return dumpRows(this, sliceBytes)
  }

  committedTick(): number {
    return this.#committedTick
  }

  restore(slices: Iterable<Uint8Array>): void {
    this.#clear()
    loadRows(this, slices)
  }

  #clear(): void {
    for (const listener of this.#listeners) listener.cleared()
    this.index.clear()
    this.arena.clear()
    if (this.#main !== null) this.rows.releaseChain(this.#main.chain)
    this.#open.reset()
    this.#sealed.reset()
    this.#sealedTick = this.#committedTick = this.rowCount = this.#deadCount = 0
    this.#openTick = 1
    this.promoted.fill(false)
  }

  /** Rows were loaded whole, keys included. Those whose key is there already (a fuzzy dump may hold a key twice) are listed in `twins`. */
  adoptRun(first: number, count: number, twins: number[]): void {
    const before = twins.length
    this.index.adoptRun(first, count, twins)
    this.rowCount += count - (twins.length - before)
    if (this.#listeners.length === 0) return
    const left = new Set(twins.slice(before))
    for (let slot = first; slot < first + count; slot++) {
      if (left.has(slot)) continue
      for (const listener of this.#listeners) {
        listener.added(slot)
        listener.loaded(slot)
      }
    }
  }
}
