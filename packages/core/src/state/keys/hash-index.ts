// From key bytes to slot: open addressing with linear probing in the tables of a directory that grow in small steps (hash-directory.ts).
// Deletion shifts back, so there are no tombstones. The keys themselves lie in the rows (or in the arena when long), so a look-up
// ends on the cache line that the caller is about to update.
//
// Slots depend only on the order of calls, never on the hash: no result depends on the seed.
import { assert } from '../../base/assert.ts'
import type { ByteArena } from '../rows/byte-arena.ts'
import { COUNT, FULL_SHARE, HashDirectory, TRAILER_WORDS } from './hash-directory.ts'
import { finish, hashKey, mixWord, tailWord } from './key-hash.ts'
import type { KeyIndex } from './key-index.ts'
import { META_WORD, type RowFormat } from '../rows/row-format.ts'
import type { RowKeys } from '../rows/row-keys.ts'
import { newChain, type PageChain, type RowPages } from '../rows/row-pages.ts'

/** Keys that are hashed, fetched and looked up together: their cache lines fit the first two caches. */
const GROUP = 256
/** From this many keys on fetching ahead pays. */
const FETCH_KEYS_MIN = 1 << 15
/** What keys of one region share. */
export const PREFIX_BYTES = 8
const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)

/** What the owner does when a key gets a slot: `slot` has its key and is not alive yet. Called for missing keys only, so not hot. */
export interface RowOwner {
  inserted(slot: number): void
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
  readonly #directory = new HashDirectory()
  #viewed: Uint8Array = NO_BYTES
  #view: DataView = NO_VIEW

  /** Keys in the index, dead rows of unfinished ticks included. */
  get count(): number {
    return this.#directory.count
  }

  /** So many keys may come. Tables for them are taken from `spare` first, which may be shared. */
  expect(count: number, spare: Int32Array[]): void {
    this.#directory.expected = count
    this.#directory.spare = spare
  }

  /** Nobody looks here any more: the large tables go to another index. */
  giveUp(): Int32Array[] {
    return this.#directory.giveUp()
  }

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
        else this.#directory.add(first + i, hash)
      }
    }
  }

  #hasTwin(slot: number, hash: number): boolean {
    const table = this.#directory.tables[(hash >>> 16) & this.#directory.mask] as Int32Array
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
    this.#directory.remove(slot, hash)
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
    this.#directory.setTables(count)
  }

  chainFor(): PageChain {
    return this.chain
  }

  clear(): void {
    this.#directory.clear()
  }

  bytes(): number {
    return this.#directory.bytes()
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
    const { tables, mask: directoryMask } = this.#directory
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] as number
      const table = tables[(hash >>> 16) & directoryMask] as Int32Array
      const entry = (hash & (((table.length - TRAILER_WORDS) >> 1) - 1)) * 2
      // The row of another key would be fetched for nothing.
      slots[i] = table[entry + 1] === hash ? (table[entry] as number) - 1 : -1
    }
    this.#rows.fetch(slots, count)
  }

  #findGroup(pairs: Int32Array, from: number, until: number, slotsOut: Int32Array): void {
    const hashes = scratch.hashes
    const pages = this.#words
    const { tables, mask: directoryMask } = this.#directory
    const { stride, pageBits, pageMask, pairWord, pairBytes } = this.#geometry
    for (let i = from; i < until; i++) {
      const low = pairs[i * 2] as number
      const high = pairs[i * 2 + 1] as number
      const hash = hashes[i - from] as number
      const table = tables[(hash >>> 16) & directoryMask] as Int32Array
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
      const table = this.#directory.tables[(hash >>> 16) & this.#directory.mask] as Int32Array
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
    const table = this.#directory.tables[(hash >>> 16) & this.#directory.mask] as Int32Array
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
      this.#directory.count++
    } else this.#directory.add(slot, hash)
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
    this.#directory.add(slot, hash)
    this.#owner.inserted(slot)
    return slot
  }
}
