// Pages of rows: fixed-stride rows in buffers of about 1 MiB, addressed by slot. Growth adds a page and copies nothing (the first page
// alone starts small and doubles), so no insert pauses; a page whose rows are all gone is given back.
//
// Invariants: a slot handed out is all zero; a released row is all zero but for the free link in its first key word. Slots are filled in a
// fixed order, so the same calls give the same slots. `words`, `floats`, `bigs` and `octets` are the same arrays for the life of the store; their
// elements may be replaced by an allocation, so hold the arrays and not a page across an insert.
import { assert } from '../base/assert.ts'
import type { RowFormat } from './row-format.ts'

const PAGE_BYTES = 1 << 20
const FIRST_ROWS = 16
/** A page is filled again when at least this share of its rows is free: below it, looking for holes costs more than they save. */
const REFILL_SHARE = 16
const EMPTY = new ArrayBuffer(0)

export class RowPages {
  readonly stride: number
  readonly pageBits: number
  readonly pageMask: number
  readonly words: Int32Array[] = []
  readonly floats: Float64Array[] = []
  readonly bigs: BigInt64Array[] = []
  readonly octets: Uint8Array[] = []
  readonly #linkWord: number
  readonly #fetched = new Int32Array(1)
  readonly #used: number[] = []
  readonly #live: number[] = []
  readonly #free: number[] = []
  /** Length of the last run. */
  runCount = 0
  #current = 0
  #bytes = 0

  constructor(format: RowFormat) {
    this.stride = format.stride
    this.#linkWord = format.keyWord
    this.pageBits = Math.max(4, Math.floor(Math.log2(PAGE_BYTES / (format.stride * 4))))
    this.pageMask = (1 << this.pageBits) - 1
    this.#setPage(0, Math.min(FIRST_ROWS, 1 << this.pageBits))
  }

  get pageCount(): number {
    return this.words.length
  }

  /** Rows that a page has handed out so far: rows at and behind that index are zero. */
  usedIn(page: number): number {
    return this.#used[page] as number
  }

  /** Bytes of all pages. */
  bytes(): number {
    return this.#bytes
  }

  /** A slot whose row is all zero. */
  allocate(): number {
    for (;;) {
      const page = this.#current
      const head = this.#free[page] as number
      if (head >= 0) {
        const words = this.words[page] as Int32Array
        const link = head * this.stride + this.#linkWord
        this.#free[page] = (words[link] as number) - 1
        words[link] = 0
        this.#live[page] = (this.#live[page] as number) + 1
        return (page << this.pageBits) | head
      }
      const used = this.#used[page] as number
      if (used < this.#capacity(page)) {
        this.#used[page] = used + 1
        this.#live[page] = (this.#live[page] as number) + 1
        return (page << this.pageBits) | used
      }
      this.#makeRoom()
    }
  }

  /** Up to `countMax` slots in a row, all zero; the first is returned and `runCount` says how many there are. */
  allocateRun(countMax: number): number {
    const first = this.allocate()
    const page = first >>> this.pageBits
    const used = this.#used[page] as number
    // Only a slot at the end of what is used can be followed by more.
    const more = (first & this.pageMask) === used - 1 ? Math.min(countMax - 1, this.#capacity(page) - used) : 0
    this.#used[page] = used + more
    this.#live[page] = (this.#live[page] as number) + more
    this.runCount = 1 + more
    return first
  }

  /**
   * Reads the rows of slots[0 .. count) without a branch, so that the processor waits for many cache misses at once, where work row by row
   * waits for one after the other. Negative slots count as slot 0. Worth twice its cost once the rows outgrow the caches.
   */
  fetch(slots: Int32Array, count: number): void {
    const pages = this.words
    const { stride, pageBits, pageMask } = this
    let sum = 0
    for (let i = 0; i < count; i++) {
      const slot = Math.max(0, slots[i] as number)
      const words = pages[slot >>> pageBits] as Int32Array
      const at = (slot & pageMask) * stride
      // A row may lie across two lines.
      sum ^= (words[at] as number) ^ (words[at + stride - 1] as number)
    }
    // Kept, so that the reads cannot be optimised away.
    this.#fetched[0] = sum
  }

  release(slot: number): void {
    const page = slot >>> this.pageBits
    const index = slot & this.pageMask
    const live = (this.#live[page] as number) - 1
    assert(live >= 0, 'a page releases no more rows than it handed out')
    this.#live[page] = live
    if (live === 0 && page !== this.#current && page > 0) {
      this.#dropPage(page)
      return
    }
    const words = this.words[page] as Int32Array
    const at = index * this.stride
    for (let word = at; word < at + this.stride; word++) words[word] = 0
    words[at + this.#linkWord] = (this.#free[page] as number) + 1
    this.#free[page] = index
  }

  /** Forgets every row. */
  clear(): void {
    this.words.length = this.floats.length = this.bigs.length = this.octets.length = 0
    this.#used.length = this.#live.length = this.#free.length = 0
    this.#current = 0
    this.#bytes = 0
    this.#setPage(0, Math.min(FIRST_ROWS, 1 << this.pageBits))
  }

  #capacity(page: number): number {
    return Math.floor((this.words[page] as Int32Array).length / this.stride)
  }

  #makeRoom(): void {
    const rowsMax = 1 << this.pageBits
    const capacity = this.#capacity(this.#current)
    if (this.#current === 0 && capacity < rowsMax) {
      const old = this.words[0] as Int32Array
      this.#view(0, Math.min(rowsMax, capacity * 4))
      ;(this.words[0] as Int32Array).set(old)
      return
    }
    const room = Math.max(1, rowsMax >>> Math.log2(REFILL_SHARE))
    for (let page = 0; page < this.words.length; page++) {
      if (rowsMax - (this.#live[page] as number) < room) continue
      if ((this.words[page] as Int32Array).length === 0) this.#setPage(page, rowsMax)
      this.#current = page
      return
    }
    this.#current = this.words.length
    this.#setPage(this.#current, rowsMax)
  }

  #setPage(page: number, rows: number): void {
    this.#used[page] = 0
    this.#live[page] = 0
    this.#free[page] = -1
    this.#view(page, rows)
  }

  #dropPage(page: number): void {
    this.#used[page] = 0
    this.#free[page] = -1
    this.#view(page, 0)
    while (this.words.length > this.#current + 1 && (this.words.at(-1) as Int32Array).length === 0) {
      this.words.pop()
      this.floats.pop()
      this.bigs.pop()
      this.octets.pop()
      this.#used.pop()
      this.#live.pop()
      this.#free.pop()
    }
  }

  #view(page: number, rows: number): void {
    const buffer = rows === 0 ? EMPTY : new ArrayBuffer(rows * this.stride * 4)
    this.#bytes += buffer.byteLength - (this.words[page]?.byteLength ?? 0)
    this.words[page] = new Int32Array(buffer)
    this.floats[page] = new Float64Array(buffer)
    this.bigs[page] = new BigInt64Array(buffer)
    this.octets[page] = new Uint8Array(buffer)
  }
}
