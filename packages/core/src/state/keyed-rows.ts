// Rows by their keys: which key has which slot, which rows are alive, and who follows their coming and going.
//
// A deleted row stays in the index, dead, until its deletion is committed: a key has one slot at any time, and the slot its images. Look-ups
// hide the dead, and an insert brings back the row of its key. A region that is dropped keeps its rows as they are until the drop is committed.
import { must } from '../base/assert.ts'
import type { Column } from '../codec/column.ts'
import { ColumnKeys } from './keys/column-keys.ts'
import { HashIndex, type HashIndexParts, type RowOwner } from './keys/hash-index.ts'
import type { KeyIndex } from './keys/key-index.ts'
import { RegionIndex, type StoredRegion } from './keys/region-index.ts'
import { isAliveAt } from './rows/row-compare.ts'
import { META_WORD, NULL_WORD, TICK_WORD } from './rows/row-format.ts'
import type { RowMemory } from './rows/row-memory.ts'
import type { RowVersions } from './row-versions.ts'
import type { Layout } from './rows/layout.ts'
import type { RowListener } from './store.ts'

export interface KeyedRowsOptions {
  readonly hashSeed: number
  readonly hasRegions: boolean
}

export class KeyedRows implements RowOwner {
  /** Rows alive. */
  count = 0
  /** Dead rows that still have their key. */
  deadCount = 0
  wasNew = false
  newSlots: Int32Array = new Int32Array(16)
  newCount = 0
  readonly index: KeyIndex
  readonly regions: RegionIndex | null
  readonly listeners: RowListener[] = []
  readonly #memory: RowMemory
  readonly #versions: RowVersions
  readonly #main: HashIndex | null
  readonly #columnKeys: ColumnKeys
  readonly #words: readonly Int32Array[]
  readonly #stride: number
  readonly #pageBits: number
  readonly #pageMask: number
  readonly #nullWords: number

  constructor(layout: Layout, memory: RowMemory, versions: RowVersions, { hashSeed, hasRegions }: KeyedRowsOptions) {
    const { rows, arena, keys, format } = memory
    const parts: HashIndexParts = { rows, arena, keys, format, owner: this, seed: hashSeed }
    this.regions = hasRegions ? new RegionIndex(parts) : null
    this.#main = hasRegions ? null : new HashIndex(parts, null)
    this.index = this.regions ?? (this.#main as HashIndex)
    this.#columnKeys = new ColumnKeys(this.index, layout.key)
    this.#memory = memory
    this.#versions = versions
    this.#words = rows.words
    this.#stride = rows.stride
    this.#pageBits = rows.pageBits
    this.#pageMask = rows.pageMask
    this.#nullWords = format.nullWords
  }

  // Look-ups.

  find(key: Uint8Array, start: number, end: number): number {
    const slot = this.index.find(key, start, end)
    return slot >= 0 && this.isAlive(slot) ? slot : -1
  }

  findCommitted(key: Uint8Array, start: number, end: number): number {
    return this.regions === null ? this.index.find(key, start, end) : this.regions.findCommitted(key, start, end)
  }

  findOrInsert(key: Uint8Array, start: number, end: number): number {
    this.newCount = 0
    const slot = this.index.findOrInsert(key, start, end)
    if (this.newCount === 0 && this.deadCount > 0 && !this.isAlive(slot)) this.#revive(slot)
    this.wasNew = this.newCount > 0
    return slot
  }

  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.index.findAll(data, starts, ends, rows, count, slotsOut)
    if (this.deadCount > 0) this.#hideDead(slotsOut, count)
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
    if (this.deadCount > 0) this.#reviveDead(slotsOut, count)
  }

  findColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#columnKeys.slots(columns, rows, count, slotsOut, false)
    if (this.deadCount > 0) this.#hideDead(slotsOut, count)
  }

  findOrInsertColumns(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.newCount = 0
    this.#columnKeys.slots(columns, rows, count, slotsOut, true)
    if (this.deadCount > 0) this.#reviveDead(slotsOut, count)
  }

  findOrInsertPairs(first: number, second: number, pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    this.newCount = 0
    must(this.regions, 'regions').make(first, second).index.findOrInsertPairs(pairs, count, slotsOut)
    if (this.deadCount > 0) this.#reviveDead(slotsOut, count)
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
    return this.regions === null || this.regions.dropped.length === 0 || this.regions.of(slot)?.droppedTick === 0
  }

  // Coming.

  /** Called by the index: the row has its key and is dead. */
  inserted(slot: number): void {
    for (const listener of this.listeners) listener.added(slot)
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    this.#versions.made(slot, words, at)
    this.#enliven(slot, words, at)
  }

  #revive(slot: number): void {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if (words[at + TICK_WORD] !== this.#versions.openTick) this.#versions.keep(slot, words, at)
    this.countDead(slot, -1)
    this.#enliven(slot, words, at)
  }

  #enliven(slot: number, words: Int32Array, at: number): void {
    words[at + META_WORD] = (words[at + META_WORD] as number) | 1
    for (let word = 0; word < this.#nullWords; word++) words[at + NULL_WORD + word] = -1
    this.count++
    if (this.newCount === this.newSlots.length) {
      const grown = new Int32Array(this.newCount * 2)
      grown.set(this.newSlots)
      this.newSlots = grown
    }
    this.newSlots[this.newCount++] = slot
  }

  /** Rows were loaded whole, keys included. Those whose key is there already (a fuzzy dump may hold a key twice) are listed in `twins`. */
  adoptRun(first: number, count: number, twins: number[]): void {
    const before = twins.length
    this.index.adoptRun(first, count, twins)
    this.count += count - (twins.length - before)
    if (this.listeners.length === 0) return
    const left = new Set(twins.slice(before))
    for (let slot = first; slot < first + count; slot++) {
      if (left.has(slot)) continue
      for (const listener of this.listeners) listener.added(slot)
      this.loaded(slot)
    }
  }

  /** Values were put into a row, not by its owner's writes. */
  loaded(slot: number): void {
    for (const listener of this.listeners) listener.loaded(slot)
  }

  // Going.

  /** The row is dead now, with its key; or no longer, with -1. */
  countDead(slot: number, change: number): void {
    this.deadCount += change
    const region = this.regions?.of(slot)
    if (region !== undefined && region !== null) region.deadCount += change
  }

  /** Takes a dead row out of everything. */
  free(slot: number): void {
    for (const listener of this.listeners) listener.removed(slot)
    const region = this.regions?.of(slot) ?? null
    this.index.remove(slot)
    // The dead rows of a dropped region are not counted any more.
    if (region === null || region.droppedTick === 0) this.deadCount--
    this.#freeKey(slot)
    this.#memory.rows.release(slot)
    if (region !== null && region.index.count === 0 && region.droppedTick === 0) this.regions?.free(region)
  }

  #freeKey(slot: number): void {
    const { format, keys, arena } = this.#memory
    const length = keys.length(slot)
    if (length <= format.keyBytesInline) return
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    arena.free(words[(slot & this.#pageMask) * this.#stride + format.keyWord] as number, length)
  }

  clear(): void {
    for (const listener of this.listeners) listener.cleared()
    this.index.clear()
    this.#memory.arena.clear()
    if (this.#main !== null) this.#memory.rows.releaseChain(this.#main.chain)
    this.count = this.deadCount = 0
  }

  // Regions.

  /** The rows of the region that have a key. */
  eachRow(region: StoredRegion, visit: (slot: number, words: Int32Array, at: number) => void): void {
    for (const page of region.index.chain.pages) {
      const words = this.#words[page] as Int32Array
      const used = this.#memory.rows.usedIn(page)
      for (let index = 0, at = 0; index < used; index++, at += this.#stride)
        if (words[at + META_WORD] !== 0) visit((page << this.#pageBits) | index, words, at)
    }
  }

  /** Puts the slots of the region's rows that are alive into `into`; returns how many. */
  liveSlots(region: StoredRegion, into: Int32Array): number {
    let count = 0
    for (const page of region.index.chain.pages) count = this.#liveSlotsOf(page, into, count)
    return count
  }

  /** A function of its own: V8 throws the code of a loop inside a loop away each time the inner one ends before the outer one ever has. */
  #liveSlotsOf(page: number, into: Int32Array, from: number): number {
    const words = this.#words[page] as Int32Array
    const used = this.#memory.rows.usedIn(page)
    let count = from
    for (let index = 0, at = 0; index < used; index++, at += this.#stride)
      if (isAliveAt(words, at)) into[count++] = (page << this.#pageBits) | index
    return count
  }

  /** Hides the region with all its rows: until `freeDropped` or `restoreDropped`, or at once and for ever while rows are loaded. */
  drop(region: StoredRegion): void {
    if (this.#versions.isLoading) return this.#discard(region)
    this.#countOut(region)
    must(this.regions, 'regions').drop(region, this.#versions.openTick)
  }

  /** The drops of a tick are durable. */
  freeDropped(tick: number): void {
    const dropped = this.regions?.dropped ?? []
    while (dropped[0]?.droppedTick === tick) this.#freeRegion(dropped[0])
  }

  /** Takes all drops back. A region that took the place of one holds new rows only, and leaves without a trace. */
  restoreDropped(): void {
    if (this.regions === null) return
    for (const region of [...this.regions.dropped].reverse()) {
      const other = this.regions.at(region.first, region.second)
      if (other !== null) this.#discard(other)
      this.regions.restore(region)
      this.count += region.rowCount
      this.deadCount += region.deadCount
    }
  }

  #discard(region: StoredRegion): void {
    this.#countOut(region)
    this.#freeRegion(region)
  }

  #countOut(region: StoredRegion): void {
    this.count -= region.rowCount
    this.deadCount -= region.deadCount
  }

  #freeRegion(region: StoredRegion): void {
    for (const listener of this.listeners) listener.dropped(region)
    const { format, arena } = this.#memory
    // Only what lies in the arena must be given back row by row. Keys of other lengths than the layout's may be long ones.
    if (format.bytesLanes.length > 0 || format.hasLongKeys) {
      this.eachRow(region, (slot, words, at) => {
        for (const lane of format.bytesLanes) arena.free(words[at + lane.word] as number, words[at + lane.word + 1] as number)
        this.#freeKey(slot)
      })
    }
    must(this.regions, 'regions').free(region)
  }
}
