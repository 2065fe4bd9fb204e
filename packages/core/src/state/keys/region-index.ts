// Regions: the rows whose keys share their first eight bytes lie together, in pages and an index of their own. The groups of a window are
// one: when it closes, the region is dropped as a whole, whatever it holds, and the changelog says so in one record.
//
//   open --drop()--> dropped, kept for readers of the last commit and for rollback --free()--> gone
//                        \----------------restore()--> open
//
// A key may come again while its region is dropped: it then begins a new region with the same prefix.
import { swapWord } from '../../codec/swap-word.ts'
import { assert } from '../../base/assert.ts'
import { HashIndex, type HashIndexParts, PREFIX_BYTES } from './hash-index.ts'
import type { KeyIndex } from './key-index.ts'
import type { PageChain } from '../rows/row-pages.ts'
import type { Region } from '../store.ts'

export class StoredRegion implements Region {
  readonly first: number
  readonly second: number
  readonly index: HashIndex
  /** Rows that are dead and still have their key. */
  deadCount = 0
  /** Tick of the store in which the region was dropped; 0 while it is open. */
  droppedTick = 0
  /** Made by the open tick: dropped in it, too, it leaves no trace in the changelog. */
  isFresh: boolean

  constructor(parts: HashIndexParts, first: number, second: number, isFresh: boolean) {
    this.first = first
    this.second = second
    this.isFresh = isFresh
    this.index = new HashIndex(parts, { first, second })
  }

  get rowCount(): number {
    return this.index.count - this.deadCount
  }
}

export class RegionIndex implements KeyIndex {
  /** Open regions in the order of their prefixes. */
  readonly open: StoredRegion[] = []
  /** Dropped by an unfinished tick, oldest first. */
  readonly dropped: StoredRegion[] = []
  readonly #parts: HashIndexParts
  /** Made since the last seal. */
  #fresh: StoredRegion[] = []
  readonly #byPrefix = new Map<number, Map<number, StoredRegion>>()
  readonly #byChain = new Map<PageChain, StoredRegion>()
  #last: StoredRegion | null = null
  /** Rows that a region of late had. */
  #expected = 0
  /** Tables of regions that are gone, about as many as one of late had. */
  readonly #spareTables: Int32Array[] = []
  #viewed: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#viewed.buffer)

  constructor(parts: HashIndexParts) {
    this.#parts = parts
  }

  /** The region that a slot's page belongs to; null when the page was given back. */
  of(slot: number): StoredRegion | null {
    const chain = this.#parts.rows.chainOf(slot >>> this.#parts.rows.pageBits)
    return chain === null ? null : (this.#byChain.get(chain) ?? null)
  }

  /** The open region with this prefix. */
  at(first: number, second: number): StoredRegion | null {
    const last = this.#last
    if (last !== null && last.second === second && last.first === first) return last
    const found = this.#byPrefix.get(first)?.get(second) ?? null
    if (found !== null) this.#last = found
    return found
  }

  /** The open region with this prefix, made when it is missing. */
  make(first: number, second: number): StoredRegion {
    const known = this.at(first, second)
    if (known !== null) return known
    const region = new StoredRegion(this.#parts, first, second, true)
    region.index.expect(this.#expected, this.#spareTables)
    this.#byChain.set(region.index.chain, region)
    this.#fresh.push(region)
    this.#show(region)
    return region
  }

  /** Hides the region from look-ups; its rows stay until `free`. */
  drop(region: StoredRegion, tick: number): void {
    assert(region.droppedTick === 0, 'a region is dropped once')
    region.droppedTick = tick
    this.#expected = region.index.count
    this.dropped.push(region)
    this.#hide(region)
  }

  /** The open tick ends. */
  seal(): void {
    for (const region of this.#fresh) if (region.droppedTick === 0) region.isFresh = false
    this.#fresh = []
  }

  /** Takes a drop back. A region that has the prefix by now must be gone. */
  restore(region: StoredRegion): void {
    region.droppedTick = 0
    this.dropped.splice(this.dropped.indexOf(region), 1)
    this.#show(region)
  }

  /** Gives the pages and the index of a region back. */
  free(region: StoredRegion): void {
    const at = this.dropped.indexOf(region)
    if (at >= 0) this.dropped.splice(at, 1)
    else this.#hide(region)
    this.#byChain.delete(region.index.chain)
    const tables = region.index.giveUp()
    const kept = Math.max(tables.length, this.#spareTables.length >>> 1)
    this.#spareTables.push(...tables)
    this.#spareTables.length = Math.min(this.#spareTables.length, kept)
    this.#parts.rows.releaseChain(region.index.chain)
  }

  #show(region: StoredRegion): void {
    let seconds = this.#byPrefix.get(region.first)
    if (seconds === undefined) this.#byPrefix.set(region.first, (seconds = new Map()))
    assert(!seconds.has(region.second), 'a prefix has one open region')
    seconds.set(region.second, region)
    this.open.splice(this.#placeOf(region), 0, region)
    this.#last = region
  }

  #hide(region: StoredRegion): void {
    const seconds = this.#byPrefix.get(region.first)
    seconds?.delete(region.second)
    if (seconds?.size === 0) this.#byPrefix.delete(region.first)
    this.open.splice(this.open.indexOf(region), 1)
    this.#last = null
  }

  #placeOf(region: Region): number {
    let low = 0
    let high = this.open.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (comparePrefixes(this.open[middle] as Region, region) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  // Look-ups.

  find(key: Uint8Array, start: number, end: number): number {
    return this.#regionOf(key, start, end, false)?.index.find(key, start, end) ?? -1
  }

  /** Slot whose row at the last commit may have the key. */
  findCommitted(key: Uint8Array, start: number, end: number): number {
    this.#look(key)
    for (const region of this.dropped) {
      if (region.first !== this.#view.getInt32(start, true) || region.second !== this.#view.getInt32(start + 4, true)) continue
      const slot = region.index.find(key, start, end)
      if (slot >= 0) return slot
    }
    return this.find(key, start, end)
  }

  /** Slot with the same key in a region that was dropped in `tick`, or -1. */
  findDropped(slot: number, tick: number): number {
    const own = this.of(slot)
    const { keys } = this.#parts
    for (const region of this.dropped) {
      if (own === null || region === own || region.droppedTick !== tick || comparePrefixes(region, own) !== 0) continue
      const found = region.index.find(keys.bytes(slot), keys.offset(slot), keys.offset(slot) + keys.length(slot))
      if (found >= 0) return found
    }
    return -1
  }

  findOrInsert(key: Uint8Array, start: number, end: number): number {
    return (this.#regionOf(key, start, end, true) as StoredRegion).index.findOrInsert(key, start, end)
  }

  findAll(data: Uint8Array, starts: Int32Array, ends: Int32Array, rows: Int32Array | null, count: number, slotsOut: Int32Array): void {
    this.#eachRun(data, starts, ends, rows, count, slotsOut, false)
  }

  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void {
    this.#eachRun(data, starts, ends, rows, count, slotsOut, true)
  }

  /** Neighbours mostly share a region: keys are looked up run by run. */
  #eachRun(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
    inserts: boolean,
  ): void {
    for (let from = 0; from < count;) {
      const row = rows === null ? from : (rows[from] as number)
      const region = this.#regionOf(data, starts[row] as number, ends[row] as number, inserts)
      const view = this.#view
      const first = view.getInt32(starts[row] as number, true)
      const second = view.getInt32((starts[row] as number) + 4, true)
      let until = from + 1
      for (; until < count; until++) {
        const start = starts[rows === null ? until : (rows[until] as number)] as number
        if (view.getInt32(start + 4, true) !== second || view.getInt32(start, true) !== first) break
      }
      const out = slotsOut.subarray(from, until)
      if (region === null) out.fill(-1)
      else {
        const [runStarts, runEnds, runRows] =
          rows === null ? [starts.subarray(from, until), ends.subarray(from, until), null] : [starts, ends, rows.subarray(from, until)]
        if (inserts) region.index.findOrInsertAll(data, runStarts, runEnds, runRows, until - from, out)
        else region.index.findAll(data, runStarts, runEnds, runRows, until - from, out)
      }
      from = until
    }
  }

  findPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    this.#eachPair(pairs, count, slotsOut, false)
  }

  findOrInsertPairs(pairs: Int32Array, count: number, slotsOut: Int32Array): void {
    this.#eachPair(pairs, count, slotsOut, true)
  }

  /** A key that is all prefix is a region with one row: not worth a way of its own. */
  #eachPair(pairs: Int32Array, count: number, slotsOut: Int32Array, inserts: boolean): void {
    const bytes = new Uint8Array(pairs.buffer, pairs.byteOffset, count * 8)
    for (let i = 0; i < count; i++) slotsOut[i] = inserts ? this.findOrInsert(bytes, i * 8, i * 8 + 8) : this.find(bytes, i * 8, i * 8 + 8)
  }

  #regionOf(key: Uint8Array, start: number, end: number, makes: boolean): StoredRegion | null {
    assert(end - start >= PREFIX_BYTES, 'a key of a store with regions begins with a prefix')
    this.#look(key)
    const first = this.#view.getInt32(start, true)
    const second = this.#view.getInt32(start + 4, true)
    return makes ? this.make(first, second) : this.at(first, second)
  }

  #look(key: Uint8Array): void {
    if (this.#viewed === key) return
    this.#viewed = key
    this.#view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  }

  // Rows that come and go one by one.

  remove(slot: number): void {
    const region = this.of(slot) as StoredRegion
    region.index.remove(slot)
    region.deadCount--
  }

  adoptRun(first: number, count: number, twins: number[]): void {
    ;(this.of(first) as StoredRegion).index.adoptRun(first, count, twins)
  }

  chainFor(first: number, second: number): PageChain {
    const region = this.make(first, second)
    region.isFresh = false
    return region.index.chain
  }

  reserve(): void {
    // How many keys go where is not known.
  }

  clear(): void {
    for (const region of [...this.open, ...this.dropped]) this.#parts.rows.releaseChain(region.index.chain)
    this.open.length = this.dropped.length = 0
    this.#fresh = []
    this.#byPrefix.clear()
    this.#byChain.clear()
    this.#last = null
  }

  bytes(): number {
    let bytes = 0
    for (const region of this.open) bytes += region.index.bytes()
    for (const region of this.dropped) bytes += region.index.bytes()
    for (const table of this.#spareTables) bytes += table.byteLength
    return bytes
  }
}

/** The order of the prefixes' bytes. */
export function comparePrefixes(a: Region, b: Region): number {
  return (swapWord(a.first) >>> 0) - (swapWord(b.first) >>> 0) || (swapWord(a.second) >>> 0) - (swapWord(b.second) >>> 0)
}
