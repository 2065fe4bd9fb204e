// From key bytes to slot: open addressing with linear probing, in tables that split one at a time (extendible hashing), so that growth
// never pauses for more than one table of 64 Ki entries. The keys themselves lie in the rows (or in the arena when long), so a look-up
// ends on the cache line that the caller is about to update.
//
// A table is one Int32Array: pairs (slot + 1, hash), then its count and its depth. Directory element i serves the hashes whose upper 16
// bits end in i; the lower 16 bits choose the place inside a table. Deletion shifts back, so there are no tombstones; tables merge and
// shrink when they empty. Keys that share one 32-bit hash cannot be split: their table grows on its own.
//
// Slots depend only on the order of calls, never on the hash: no result depends on the seed.
import { assert } from '../base/assert.ts'
import type { ByteArena } from './byte-arena.ts'
import type { KeyIndex } from './key-index.ts'
import { META_WORD, type RowFormat } from './row-format.ts'
import type { RowKeys } from './row-keys.ts'
import { newChain, type PageChain, type RowPages } from './row-pages.ts'

const FIRST_ENTRIES = 16
const TABLE_ENTRIES_MAX = 1 << 16
const DEPTH_MAX = 16
/** At most 5/8 full: a miss then looks at about four entries, on one or two cache lines. */
const FULL_SHARE = 5 / 8
/** Keys that are hashed, fetched and looked up together: their cache lines fit the first two caches. */
const GROUP = 256
/** From this many keys on fetching ahead pays. */
const FETCH_KEYS_MIN = 1 << 15
/** Trailing words of a table. */
const COUNT = 0
const DEPTH = 1
const TRAILER_WORDS = 2
const TOGETHER_KEYS_MAX = 1 << 18
/** A little below two, so that the tables double. */
const GROWTH = 1.9
/** Most keys made room for per key that is there: a small index wastes no more when many were expected. */
const EXPECTED_FACTOR_MAX = 16
/** What keys of one region share. */
export const PREFIX_BYTES = 8
const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)

/** What the owner does when a key gets a slot: `slot` has its key and is not alive yet. Called for missing keys only, so not hot. */
export interface RowOwner {
  inserted(slot: number): void
}

function newTable(entries: number, depth: number): Int32Array {
  const table = new Int32Array(entries * 2 + TRAILER_WORDS)
  table[entries * 2 + DEPTH] = depth
  return table
}

/** Mixes one word of the key into the hash. */
function mixWord(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1)
}

/** Spreads the bits: the lower half chooses the place in a table, the upper half the table. */
function finish(hash: number, length: number): number {
  const h = Math.imul(hash ^ (hash >>> 15) ^ length, 0x85ebca6b)
  return h ^ (h >>> 16)
}

/** The last 1 to 3 bytes before `end` as a zero-padded word; `at` is where they start and `start` where the key does. */
function tailWord(view: DataView, start: number, at: number, end: number): number {
  const rest = end - at
  if (end - start >= 4) return view.getInt32(end - 4, true) >>> ((4 - rest) << 3)
  let word = view.getUint8(at)
  if (rest > 1) word |= view.getUint8(at + 1) << 8
  if (rest > 2) word |= view.getUint8(at + 2) << 16
  return word
}

/** 32-bit hash of bytes start..end. */
export function hashKey(view: DataView, start: number, end: number, seed: number): number {
  let hash = seed
  let at = start
  for (; at + 4 <= end; at += 4) hash = mixWord(hash, view.getInt32(at, true))
  if (at < end) hash = mixWord(hash, tailWord(view, start, at, end))
  return finish(hash, end - start)
}

/** What a row of a region begins with: the first eight bytes of its key, as two words. */
export interface KeyPrefix {
  readonly first: number
  readonly second: number
}

/** Buffers that indexes share: each call is done with them when it returns. */
class Scratch {
  readonly hashes = new Int32Array(GROUP)
  readonly fetched = new Int32Array(GROUP)
}
const scratch = new Scratch()

export interface HashIndexParts {
  readonly rows: RowPages
  readonly arena: ByteArena
  readonly keys: RowKeys
  readonly format: RowFormat
  readonly owner: RowOwner
  readonly seed: number
}

export class HashIndex implements KeyIndex {
  readonly chain: PageChain = newChain()
  readonly #rows: RowPages
  readonly #arena: ByteArena
  readonly #keys: RowKeys
  readonly #owner: RowOwner
  readonly #seed: number
  readonly #words: Int32Array[]
  readonly #stride: number
  readonly #pageBits: number
  readonly #pageMask: number
  readonly #keyWord: number
  readonly #keyBytesInline: number
  readonly #prefix: KeyPrefix | null
  /** Bytes in front of each key that all of them share: they are not hashed, and are written into new rows. */
  readonly #skip: number
  readonly #geometry: {
    readonly stride: number
    readonly pageBits: number
    readonly pageMask: number
    readonly pairWord: number
    readonly pairBytes: number
  }
  /** Power of two; a table of smaller depth stands in it several times. */
  #directory: Int32Array[] = []
  #directoryMask = 0
  #depth = 0
  #bytes = 0
  #viewed: Uint8Array = NO_BYTES
  #view: DataView = NO_VIEW

  /** Keys in the index, dead rows of unfinished ticks included. */
  count = 0
  /** Keys that may come: what grows goes there in few steps instead of many. 0: not known. */
  expected = 0

  /** @param prefix Set where all keys begin with it. */
  constructor({ rows, arena, keys, format, owner, seed }: HashIndexParts, prefix: KeyPrefix | null) {
    this.#rows = rows
    this.#arena = arena
    this.#keys = keys
    this.#owner = owner
    this.#seed = seed | 0
    this.#words = rows.words
    this.#stride = rows.stride
    this.#pageBits = rows.pageBits
    this.#pageMask = rows.pageMask
    this.#keyWord = format.keyWord
    this.#keyBytesInline = format.keyBytesInline
    this.#prefix = prefix
    this.#skip = prefix === null ? 0 : PREFIX_BYTES
    const { stride, pageBits, pageMask } = rows
    this.#geometry = { stride, pageBits, pageMask, pairWord: format.keyWord + this.#skip / 4, pairBytes: this.#skip + 8 }
    this.clear()
  }

  /** Slot of the key or -1; the row may be dead. */
  find(key: Uint8Array, start: number, end: number): number {
    const view = this.viewOf(key)
    return this.#find(view, start, end, hashKey(view, start + this.#skip, end, this.#seed))
  }

  /** Slot of the key, made when it is missing: the owner is told. */
  findOrInsert(key: Uint8Array, start: number, end: number): number {
    const view = this.viewOf(key)
    const hash = hashKey(view, start + this.#skip, end, this.#seed)
    const slot = this.#find(view, start, end, hash)
    return slot >= 0 ? slot : this.#insert(key, start, end, hash)
  }

  /** `find` for `count` keys: key i is data[starts[r] .. ends[r]) with r = rows[i] (or i); slotsOut[i] is its slot or -1. */
  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    const view = this.viewOf(data)
    for (let from = 0; from < count; from += GROUP) {
      const until = Math.min(count, from + GROUP)
      this.#hashGroup(view, starts, ends, rows, from, until)
      this.#fetchGroup(until - from)
      for (let i = from; i < until; i++) {
        const row = rows === null ? i : (rows[i] as number)
        slotsOut[i] = this.#find(view, starts[row] as number, ends[row] as number, scratch.hashes[i - from] as number)
      }
    }
  }

  /** `findOrInsert` for `count` keys, addressed as in `findAll`. */
  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void {
    const view = this.viewOf(data)
    for (let from = 0; from < count; from += GROUP) {
      const until = Math.min(count, from + GROUP)
      this.#hashGroup(view, starts, ends, rows, from, until)
      this.#fetchGroup(until - from)
      for (let i = from; i < until; i++) {
        const row = rows === null ? i : (rows[i] as number)
        const start = starts[row] as number
        const end = ends[row] as number
        const hash = scratch.hashes[i - from] as number
        const slot = this.#find(view, start, end, hash)
        slotsOut[i] = slot >= 0 ? slot : this.#insert(data, start, end, hash)
      }
    }
  }

  /** `findOrInsert` for keys of 8 bytes (behind the prefix) handed over as pairs of little-endian words: pairs[2 i], pairs[2 i + 1]. */
  findOrInsertPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    for (let from = 0; from < count; from += GROUP) {
      const until = Math.min(count, from + GROUP)
      this.#hashPairs(pairs, from, until)
      this.#fetchGroup(until - from)
      this.#findOrInsertGroup(pairs, from, until, slotsOut)
    }
  }

  /** `find` for keys handed over as in `findOrInsertPairs`. */
  findPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    for (let from = 0; from < count; from += GROUP) {
      const until = Math.min(count, from + GROUP)
      this.#hashPairs(pairs, from, until)
      this.#fetchGroup(until - from)
      this.#findGroup(pairs, from, until, slotsOut)
    }
  }

  /** Adds `count` rows from slot `first` on, which have their keys already. Slots whose key another row has are not added but listed in `twins`. */
  adoptRun(first: number, count: number, twins: number[]): void {
    for (let from = 0; from < count; from += GROUP) {
      const until = Math.min(count, from + GROUP)
      for (let i = from; i < until; i++) scratch.hashes[i - from] = this.hashOf(first + i)
      this.#fetchGroup(until - from)
      for (let i = from; i < until; i++) {
        const hash = scratch.hashes[i - from] as number
        if (this.#hasTwin(first + i, hash)) twins.push(first + i)
        else this.#add(first + i, hash)
      }
    }
  }

  #hasTwin(slot: number, hash: number): boolean {
    const table = this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array
    const mask = ((table.length - TRAILER_WORDS) >> 1) - 1
    for (let entry = hash & mask; table[entry * 2] !== 0; entry = (entry + 1) & mask) {
      if (table[entry * 2 + 1] !== hash) continue
      const other = (table[entry * 2] as number) - 1
      const start = this.#keys.offset(slot)
      if (this.#hasKey(other, this.viewOf(this.#keys.bytes(slot)), start, start + this.#keys.length(slot))) return true
    }
    return false
  }

  /** Takes the slot out of the index; its row must still have its key. */
  remove(slot: number): void {
    const hash = this.hashOf(slot)
    const table = this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array
    const entries = (table.length - TRAILER_WORDS) >> 1
    const mask = entries - 1
    let hole = hash & mask
    while (table[hole * 2] !== slot + 1) hole = (hole + 1) & mask
    // Backward shift: pull up every later entry of the run whose home does not lie behind the hole.
    for (let next = (hole + 1) & mask; table[next * 2] !== 0; next = (next + 1) & mask) {
      const home = (table[next * 2 + 1] as number) & mask
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      table[hole * 2] = table[next * 2] as number
      table[hole * 2 + 1] = table[next * 2 + 1] as number
      hole = next
    }
    table[hole * 2] = 0
    table[hole * 2 + 1] = 0
    const count = (table[entries * 2 + COUNT] as number) - 1
    table[entries * 2 + COUNT] = count
    this.count--
    if (count * 8 < entries && entries > FIRST_ENTRIES) this.#shrink(table, hash)
  }

  /** Hash of the row's key. */
  hashOf(slot: number): number {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    const length = (words[at + META_WORD] as number) >>> 1
    if (length > this.#keyBytesInline) {
      const reference = words[at + this.#keyWord] as number
      const offset = this.#arena.offset(reference)
      return hashKey(this.viewOf(this.#arena.chunk(reference)), offset + this.#skip, offset + length, this.#seed)
    }
    let hash = this.#seed
    const end = at + this.#keyWord + ((length + 3) >> 2)
    for (let word = at + this.#keyWord + this.#skip / 4; word < end; word++) hash = mixWord(hash, words[word] as number)
    return finish(hash, length - this.#skip)
  }

  /** Makes the tables for `count` keys at once, so that a restore does not split its way up. The index must be empty. */
  reserve(count: number): void {
    assert(this.count === 0, 'tables are reserved in an empty index')
    this.#setTables(count)
  }

  /** Empty tables for `count` keys. */
  #setTables(count: number): void {
    const entries = Math.max(FIRST_ENTRIES, 1 << Math.ceil(Math.log2(count / FULL_SHARE + 1)))
    const depth = Math.min(DEPTH_MAX, Math.max(0, Math.ceil(Math.log2(entries / TABLE_ENTRIES_MAX))))
    this.#directory = Array.from({ length: 1 << depth }, () => newTable(Math.min(entries, TABLE_ENTRIES_MAX), depth))
    this.#directoryMask = this.#directory.length - 1
    this.#depth = depth
    this.#bytes = this.#directory.length * (this.#directory[0] as Int32Array).byteLength
  }

  chainFor(): PageChain {
    return this.chain
  }

  clear(): void {
    this.#directory = [newTable(FIRST_ENTRIES, 0)]
    this.#directoryMask = 0
    this.#depth = 0
    this.#bytes = (this.#directory[0] as Int32Array).byteLength
    this.count = 0
  }

  /** Bytes of all tables. */
  bytes(): number {
    return this.#bytes
  }

  /** A view over the same bytes; the one of the last call is kept, so a batch makes one. */
  viewOf(bytes: Uint8Array): DataView {
    if (this.#viewed !== bytes) {
      this.#viewed = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.#view
  }

  #hashGroup(view: DataView, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, from: number, until: number): void {
    const hashes = scratch.hashes
    const seed = this.#seed
    const skip = this.#skip
    for (let i = from; i < until; i++) {
      const row = rows === null ? i : (rows[i] as number)
      hashes[i - from] = hashKey(view, (starts[row] as number) + skip, ends[row] as number, seed)
    }
  }

  #hashPairs(pairs: Int32Array, from: number, until: number): void {
    const hashes = scratch.hashes
    const seed = this.#seed
    for (let i = from; i < until; i++)
      hashes[i - from] = finish(mixWord(mixWord(seed, pairs[i * 2] as number), pairs[i * 2 + 1] as number), 8)
  }

  /**
   * Reads the entry and the row that each key of the group most likely needs ahead of the look-ups (see RowPages.fetch). Skipped while
   * everything fits the caches anyway.
   */
  #fetchGroup(count: number): void {
    if (this.count < FETCH_KEYS_MIN) return
    const hashes = scratch.hashes
    const slots = scratch.fetched
    const directory = this.#directory
    const directoryMask = this.#directoryMask
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] as number
      const table = directory[(hash >>> 16) & directoryMask] as Int32Array
      slots[i] = (table[(hash & (((table.length - TRAILER_WORDS) >> 1) - 1)) * 2] as number) - 1
    }
    this.#rows.fetch(slots, count)
  }

  #findGroup(pairs: Int32Array, from: number, until: number, slotsOut: Int32Array): void {
    const hashes = scratch.hashes
    const pages = this.#words
    const directory = this.#directory
    const directoryMask = this.#directoryMask
    const { stride, pageBits, pageMask, pairWord, pairBytes } = this.#geometry
    for (let i = from; i < until; i++) {
      const low = pairs[i * 2] as number
      const high = pairs[i * 2 + 1] as number
      const hash = hashes[i - from] as number
      const table = directory[(hash >>> 16) & directoryMask] as Int32Array
      const mask = ((table.length - TRAILER_WORDS) >> 1) - 1
      let found = -1
      for (let entry = hash & mask; ; entry = (entry + 1) & mask) {
        const slot = (table[entry * 2] as number) - 1
        if (slot < 0) break
        if (table[entry * 2 + 1] !== hash) continue
        const words = pages[slot >>> pageBits] as Int32Array
        const at = (slot & pageMask) * stride
        if (words[at + pairWord] === low && words[at + pairWord + 1] === high && (words[at + META_WORD] as number) >>> 1 === pairBytes) {
          found = slot
          break
        }
      }
      slotsOut[i] = found
    }
  }

  /** As `#findGroup`; a missing key goes where its search ended. */
  #findOrInsertGroup(pairs: Int32Array, from: number, until: number, slotsOut: Int32Array): void {
    const hashes = scratch.hashes
    const pages = this.#words
    const { stride, pageBits, pageMask, pairWord, pairBytes } = this.#geometry
    for (let i = from; i < until; i++) {
      const low = pairs[i * 2] as number
      const high = pairs[i * 2 + 1] as number
      const hash = hashes[i - from] as number
      // A table may have grown for the key before.
      const table = this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array
      const mask = ((table.length - TRAILER_WORDS) >> 1) - 1
      let entry = hash & mask
      let found = -1
      for (; ; entry = (entry + 1) & mask) {
        const slot = (table[entry * 2] as number) - 1
        if (slot < 0) break
        if (table[entry * 2 + 1] !== hash) continue
        const words = pages[slot >>> pageBits] as Int32Array
        const at = (slot & pageMask) * stride
        if (words[at + pairWord] === low && words[at + pairWord + 1] === high && (words[at + META_WORD] as number) >>> 1 === pairBytes) {
          found = slot
          break
        }
      }
      slotsOut[i] = found >= 0 ? found : this.#insertPair(low, high, hash, table, entry)
    }
  }

  #find(view: DataView, start: number, end: number, hash: number): number {
    const table = this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array
    const mask = ((table.length - TRAILER_WORDS) >> 1) - 1
    for (let entry = hash & mask; ; entry = (entry + 1) & mask) {
      const slot = (table[entry * 2] as number) - 1
      if (slot < 0) return -1
      if (table[entry * 2 + 1] === hash && this.#hasKey(slot, view, start, end)) return slot
    }
  }

  #hasKey(slot: number, view: DataView, start: number, end: number): boolean {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    const length = end - start
    if ((words[at + META_WORD] as number) >>> 1 !== length) return false
    let word = at + this.#keyWord
    if (length > this.#keyBytesInline) return this.#hasLongKey(words[word] as number, view, start, end)
    let from = start
    for (; from + 4 <= end; from += 4, word++) if (words[word] !== view.getInt32(from, true)) return false
    return from === end || words[word] === tailWord(view, start, from, end)
  }

  #hasLongKey(reference: number, view: DataView, start: number, end: number): boolean {
    const chunk = this.#arena.chunk(reference)
    let at = this.#arena.offset(reference)
    for (let from = start; from < end; from++, at++) if (chunk[at] !== view.getUint8(from)) return false
    return true
  }

  /** `entry` of the table is free. */
  #insertPair(low: number, high: number, hash: number, table: Int32Array, entry: number): number {
    const { stride, pageBits, pageMask, pairWord, pairBytes } = this.#geometry
    const slot = this.#rows.allocate(this.chain)
    const words = this.#words[slot >>> pageBits] as Int32Array
    const row = (slot & pageMask) * stride
    words[row + META_WORD] = pairBytes << 1
    if (this.#prefix !== null) {
      words[row + this.#keyWord] = this.#prefix.first
      words[row + this.#keyWord + 1] = this.#prefix.second
    }
    words[row + pairWord] = low
    words[row + pairWord + 1] = high
    const counter = table.length - TRAILER_WORDS + COUNT
    const count = table[counter] as number
    if (count < ((table.length - TRAILER_WORDS) >> 1) * FULL_SHARE) {
      table[entry * 2] = slot + 1
      table[entry * 2 + 1] = hash
      table[counter] = count + 1
      this.count++
    } else this.#add(slot, hash)
    this.#owner.inserted(slot)
    return slot
  }

  #insert(key: Uint8Array, start: number, end: number, hash: number): number {
    const length = end - start
    const reference = length > this.#keyBytesInline ? this.#arena.put(key, start, end) : 0
    const slot = this.#rows.allocate(this.chain)
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const row = (slot & this.#pageMask) * this.#stride
    words[row + META_WORD] = length << 1
    if (reference !== 0) words[row + this.#keyWord] = reference
    else {
      const view = this.viewOf(key)
      let word = row + this.#keyWord
      let from = start
      for (; from + 4 <= end; from += 4, word++) words[word] = view.getInt32(from, true)
      if (from < end) words[word] = tailWord(view, start, from, end)
    }
    this.#add(slot, hash)
    this.#owner.inserted(slot)
    return slot
  }

  #add(slot: number, hash: number): void {
    for (;;) {
      const table = this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array
      const entries = (table.length - TRAILER_WORDS) >> 1
      const count = table[entries * 2 + COUNT] as number
      if (count >= entries * FULL_SHARE) {
        this.#grow(table, hash)
        continue
      }
      place(table, slot + 1, hash)
      this.count++
      return
    }
  }

  #grow(table: Int32Array, hash: number): void {
    if (this.expected > this.count * 2) return this.#makeRoomFor(Math.min(this.expected, this.count * EXPECTED_FACTOR_MAX))
    // Up to here one step for all keys takes milliseconds, and table by table costs more in sum.
    if (this.count < TOGETHER_KEYS_MAX) return this.#makeRoomFor(this.count * GROWTH)
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (entries < TABLE_ENTRIES_MAX) this.#replace(table, hash, resized(table, Math.min(TABLE_ENTRIES_MAX, entries * 4)))
    else if (depth < DEPTH_MAX && splits(table, depth)) this.#split(table)
    else this.#replace(table, hash, resized(table, entries * 2))
  }

  /** Goes to the size for `keys` in one step. */
  #makeRoomFor(keys: number): void {
    const tables = new Set(this.#directory)
    this.#setTables(keys)
    for (const table of tables) {
      const words = table.length - TRAILER_WORDS
      for (let at = 0; at < words; at += 2) {
        const hash = table[at + 1] as number
        if (table[at] !== 0) place(this.#directory[(hash >>> 16) & this.#directoryMask] as Int32Array, table[at] as number, hash)
      }
    }
  }

  /** Puts `next` wherever `table` stands; `hash` is one that it serves. */
  #replace(table: Int32Array, hash: number, next: Int32Array): void {
    const depth = table[table.length - TRAILER_WORDS + DEPTH] as number
    const step = 1 << depth
    for (let index = (hash >>> 16) & (step - 1); index < this.#directory.length; index += step) this.#directory[index] = next
    this.#bytes += next.byteLength - table.byteLength
  }

  #split(table: Int32Array): void {
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (depth === this.#depth) {
      this.#directory = this.#directory.concat(this.#directory)
      this.#depth++
      this.#directoryMask = this.#directory.length - 1
    }
    const bit = 1 << depth
    const count = table[entries * 2 + COUNT] as number
    const upper = countWithBit(table, bit)
    const low = newTable(entriesFor(count - upper), depth + 1)
    const high = newTable(entriesFor(upper), depth + 1)
    for (let entry = 0; entry < entries; entry++) {
      const slot = table[entry * 2] as number
      if (slot === 0) continue
      const hash = table[entry * 2 + 1] as number
      place((hash >>> 16) & bit ? high : low, slot, hash)
    }
    for (let index = 0; index < this.#directory.length; index++) {
      if (this.#directory[index] === table) this.#directory[index] = index & bit ? high : low
    }
    this.#bytes += low.byteLength + high.byteLength - table.byteLength
  }

  /** Merges the table with its other half, or halves it when it is the only one. */
  #shrink(table: Int32Array, hash: number): void {
    const entries = (table.length - TRAILER_WORDS) >> 1
    const depth = table[entries * 2 + DEPTH] as number
    if (entries > TABLE_ENTRIES_MAX || depth === 0) {
      this.#replace(table, hash, resized(table, entries >> 1))
      return
    }
    const index = (hash >>> 16) & ((1 << depth) - 1)
    const buddy = this.#directory[index ^ (1 << (depth - 1))] as Int32Array
    const buddyEntries = (buddy.length - TRAILER_WORDS) >> 1
    const buddyCount = buddy[buddyEntries * 2 + COUNT] as number
    if (buddy[buddyEntries * 2 + DEPTH] !== depth || buddyEntries !== entries || buddyCount * 4 > entries) return
    const merged = newTable(entries, depth - 1)
    moveAll(table, merged)
    moveAll(buddy, merged)
    for (let at = 0; at < this.#directory.length; at++) {
      if (this.#directory[at] === table || this.#directory[at] === buddy) this.#directory[at] = merged
    }
    this.#bytes += merged.byteLength - table.byteLength - buddy.byteLength
  }
}

function place(table: Int32Array, value: number, hash: number): void {
  const entries = (table.length - TRAILER_WORDS) >> 1
  const mask = entries - 1
  let entry = hash & mask
  while (table[entry * 2] !== 0) entry = (entry + 1) & mask
  table[entry * 2] = value
  table[entry * 2 + 1] = hash
  table[entries * 2 + COUNT] = (table[entries * 2 + COUNT] as number) + 1
}

function moveAll(from: Int32Array, to: Int32Array): void {
  const words = from.length - TRAILER_WORDS
  for (let at = 0; at < words; at += 2) if (from[at] !== 0) place(to, from[at] as number, from[at + 1] as number)
}

function resized(table: Int32Array, entries: number): Int32Array {
  const next = newTable(entries, table[table.length - TRAILER_WORDS + DEPTH] as number)
  moveAll(table, next)
  return next
}

/** Entries of a half that gets `count` keys: a whole table, more only where keys of one hash overflow it. */
function entriesFor(count: number): number {
  let entries = TABLE_ENTRIES_MAX
  while (count >= entries * FULL_SHARE) entries *= 2
  return entries
}

function countWithBit(table: Int32Array, bit: number): number {
  const words = table.length - TRAILER_WORDS
  let count = 0
  for (let at = 0; at < words; at += 2) if (table[at] !== 0 && ((table[at + 1] as number) >>> 16) & bit) count++
  return count
}

/** Whether splitting by the next bit leaves each half room; keys of one hash would all go to one side. */
function splits(table: Int32Array, depth: number): boolean {
  const share = countWithBit(table, 1 << depth) / (table[table.length - TRAILER_WORDS + COUNT] as number)
  return share > 0.1 && share < 0.9
}
