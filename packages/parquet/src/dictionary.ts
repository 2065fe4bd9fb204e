// The dictionary of one column chunk: distinct values in the order in which they were first seen, with a hash table over them.
// Ids of a batch's dictionary are mapped to ids of this one once per batch and id. The mapping serves the next batch too when that has
// the same dictionary, which is found by comparing all its bytes at once: dictionaries are reused memory, identity proves nothing.
import type { BytesColumn } from '@millrace/core/connect'
import { compareBytes, copyBytes, equalBytes, viewOf } from './byte-order.ts'
import type { Bounds } from './leaf.ts'

/** A chain of probes this long means a bad hash or an attack: the chunk goes on without a dictionary. */
const PROBES_MAX = 256
const COUNT_MAX = 65_536
const COMPARED_VALUES_PER_ROW = 32

function sameWords(a: Int32Array, b: Int32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false
  return true
}

/** FNV-1a with a final mix, because the table takes the low bits. */
function hashBytes(data: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (data[i] as number), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}

export class ChunkDictionary {
  readonly #bytesMax: number
  count = 0
  offsets = new Int32Array(65)
  data = new Uint8Array(1024)
  #view: DataView = viewOf(this.data)
  /** The bytes that were looked at last, and a view of them: a view per value would cost more than the comparison. */
  #source: Uint8Array = this.data
  #sourceView: DataView = this.#view
  #hashes = new Int32Array(64)
  /** id + 1 per slot, 0 = empty; the size is a power of two and at least twice the count. */
  #table = new Int32Array(128)
  /** Batch id -> id, -1 where it is not known yet. */
  #mapped = new Int32Array(0)
  #batchNumber = 0
  /** The dictionary of the last batch: `#seenCount` values, 0 when it was not worth remembering. */
  #seenCount = 0
  #seenOffsets = new Int32Array(0)
  #seenData = new Uint8Array(0)
  #seenDataLength = 0
  #marks = new Uint8Array(0)
  #keys = new Float64Array(0)
  /** Number of values that `#keys` was made for. */
  #keyCount = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get byteCount(): number {
    return this.offsets[this.count] as number
  }

  /** The id of the value, added when new; -1 when the dictionary is full. */
  intern(data: Uint8Array, start: number, end: number): number {
    const hash = hashBytes(data, start, end)
    const mask = this.#table.length - 1
    const size = end - start
    const view = this.#viewOf(data)
    let slot = hash & mask
    for (let probes = 0; ; probes++) {
      const id = (this.#table[slot] as number) - 1
      if (id < 0) break
      if (this.#hashes[id] === hash) {
        const at = this.offsets[id] as number
        if ((this.offsets[id + 1] as number) - at === size && equalBytes(this.#view, at, view, start, size)) return id
      }
      if (probes === PROBES_MAX) return -1
      slot = (slot + 1) & mask
    }
    return this.#add(data, start, size, hash, slot)
  }

  #viewOf(data: Uint8Array): DataView {
    if (data !== this.#source) {
      this.#source = data
      this.#sourceView = viewOf(data)
    }
    return this.#sourceView
  }

  /** Lets go of the bytes that were looked at last: they belong to a batch, and a dictionary may live long. */
  forgetSource(): void {
    this.#source = this.data
    this.#sourceView = this.#view
  }

  #add(data: Uint8Array, start: number, size: number, hash: number, slot: number): number {
    const at = this.byteCount
    if (this.count === COUNT_MAX || at + size > this.#bytesMax) return -1
    const id = this.count++
    if (id === this.#hashes.length) this.#growEntries()
    if (at + size > this.data.length) {
      const grown = new Uint8Array(Math.max(at + size, this.data.length * 2))
      grown.set(this.data)
      this.data = grown
      this.#view = viewOf(grown)
    }
    copyBytes(data, start, size, this.data, at)
    this.offsets[id + 1] = at + size
    this.#hashes[id] = hash
    this.#table[slot] = id + 1
    if (this.count * 2 > this.#table.length) this.#growTable()
    return id
  }

  #growEntries(): void {
    const hashes = new Int32Array(this.#hashes.length * 2)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const offsets = new Int32Array(hashes.length + 1)
    offsets.set(this.offsets)
    this.offsets = offsets
  }

  #growTable(): void {
    const table = new Int32Array(this.#table.length * 2)
    const mask = table.length - 1
    for (let id = 0; id < this.count; id++) {
      let slot = (this.#hashes[id] as number) & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = id + 1
    }
    this.#table = table
  }

  /**
   * Maps the batch ids `ids[rows[from .. to)]` (rows null: ids[from .. to)) into `target` from `at`.
   * Returns how many were mapped: fewer than asked when the dictionary is full.
   */
  map(
    ids: Int32Array,
    rows: Int32Array | null,
    from: number,
    to: number,
    dictionary: BytesColumn,
    dictionaryCount: number,
    batchNumber: number,
    target: Int32Array,
    at: number,
  ): number {
    if (batchNumber !== this.#batchNumber) this.#beginBatch(dictionary, dictionaryCount, to - from)
    this.#batchNumber = batchNumber
    const mapped = this.#mapped
    const wanted = to - from
    const shift = at - from
    for (let i = from; i < to; i++) {
      const id = ids[rows === null ? i : (rows[i] as number)] as number
      let own = mapped[id] as number
      if (own < 0) own = this.#mapOne(id, dictionary)
      if (own < 0) return i - from
      target[i + shift] = own
    }
    return wanted
  }

  /** Keeps the mapping when the batch has the dictionary of the batch before, perhaps with more values behind; else begins a new one. */
  #beginBatch(dictionary: BytesColumn, count: number, rowCount: number): void {
    if (this.#mapped.length < count) this.#growMap(count)
    // Comparing costs a nanosecond for some ten bytes; for a few rows it is cheaper to look their values up.
    const worthwhile = rowCount * COMPARED_VALUES_PER_ROW >= count
    const { offsets, data } = dictionary
    const known = this.#seenCount
    const same =
      worthwhile &&
      known > 0 &&
      known <= count &&
      sameWords(offsets, this.#seenOffsets, known + 1) &&
      Buffer.compare(data.subarray(offsets[0], offsets[known]), this.#seenData.subarray(0, this.#seenDataLength)) === 0
    if (!same) this.#mapped.fill(-1)
    if (same && known === count) return
    this.#seenCount = worthwhile ? count : 0
    if (worthwhile) this.#remember(dictionary, count)
  }

  #remember({ offsets, data }: BytesColumn, count: number): void {
    const start = offsets[0] as number
    const size = (offsets[count] as number) - start
    if (this.#seenOffsets.length <= count) this.#seenOffsets = new Int32Array(this.#mapped.length + 1)
    if (this.#seenData.length < size) this.#seenData = new Uint8Array(size + (size >>> 2))
    this.#seenOffsets.set(offsets.subarray(0, count + 1))
    this.#seenData.set(data.subarray(start, start + size))
    this.#seenDataLength = size
  }

  #growMap(count: number): void {
    const mapped = new Int32Array(Math.max(count, this.#mapped.length * 2)).fill(-1)
    mapped.set(this.#mapped)
    this.#mapped = mapped
  }

  #mapOne(id: number, { data, offsets }: BytesColumn): number {
    return (this.#mapped[id] = this.intern(data, offsets[id] as number, offsets[id + 1] as number))
  }

  /** Least and largest of the values that the ids [start .. end) name. Each distinct value is compared once, however often it occurs. */
  bounds(ids: Int32Array, start: number, end: number): Bounds {
    this.#mark(ids, start, end)
    const keys = this.#sortKeys()
    const { min, max } = this.#extremes(keys, ids[start] as number)
    const { data, offsets } = this
    return {
      min: data.subarray(offsets[min] as number, offsets[min + 1] as number),
      max: data.subarray(offsets[max] as number, offsets[max + 1] as number),
    }
  }

  #mark(ids: Int32Array, start: number, end: number): void {
    if (this.#marks.length < this.count) this.#marks = new Uint8Array(this.#hashes.length)
    const marks = this.#marks
    for (let i = start; i < end; i++) marks[ids[i] as number] = 1
  }

  /** Ids of the least and the largest marked value, of which `some` is one; takes the marks away. */
  #extremes(keys: Float64Array, some: number): { readonly min: number; readonly max: number } {
    const { count } = this
    const marks = this.#marks
    let min = some
    let max = some
    for (let id = 0; id < count; id++) {
      if (marks[id] === 0) continue
      marks[id] = 0
      const key = keys[id] as number
      if (key <= (keys[min] as number) && (key < (keys[min] as number) || this.#compare(id, min) < 0)) min = id
      if (key >= (keys[max] as number) && (key > (keys[max] as number) || this.#compare(id, max) > 0)) max = id
    }
    return { min, max }
  }

  #compare(a: number, b: number): number {
    const { data, offsets } = this
    return compareBytes(data, offsets[a] as number, offsets[a + 1] as number, data, offsets[b] as number, offsets[b + 1] as number)
  }

  /**
   * A number per value that sorts like its first six bytes behind the prefix that all values share:
   * two values whose numbers differ need no look at their bytes.
   */
  #sortKeys(): Float64Array {
    const { data, offsets, count } = this
    if (this.#keyCount === count) return this.#keys
    const first = offsets[0] as number
    let shared = offsets[1] as number
    for (let id = 1; id < count && shared > 0; id++) {
      const at = offsets[id] as number
      const size = Math.min((offsets[id + 1] as number) - at, shared)
      let same = 0
      while (same < size && data[at + same] === data[first + same]) same++
      shared = same
    }
    if (this.#keys.length < count) this.#keys = new Float64Array(this.#hashes.length)
    const keys = this.#keys
    for (let id = 0; id < count; id++) {
      const start = (offsets[id] as number) + shared
      const end = offsets[id + 1] as number
      let high = 0
      let low = 0
      // Two integers of three bytes: whole-number arithmetic instead of six products of doubles.
      for (let i = start; i < start + 3; i++) high = (high << 8) | (i < end ? (data[i] as number) : 0)
      for (let i = start + 3; i < start + 6; i++) low = (low << 8) | (i < end ? (data[i] as number) : 0)
      keys[id] = high * 16777216 + low
    }
    this.#keyCount = count
    return keys
  }

  allocatedBytes(): number {
    return (
      this.data.length +
      this.#marks.length +
      this.#seenData.length +
      this.#keys.length * 8 +
      (this.offsets.length + this.#hashes.length + this.#table.length + this.#mapped.length * 2) * 4
    )
  }

  clear(): void {
    this.count = 0
    this.#keyCount = 0
    this.forgetSource()
    this.#table.fill(0)
    // A mapping must not outlive the ids it points to, not even inside one batch that fills two row groups.
    this.#mapped.fill(-1)
  }
}
