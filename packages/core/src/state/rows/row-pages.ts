// Pages of rows: fixed-stride rows in large buffers, addressed by slot. Growth adds a page and copies nothing (the first page of a chain
// alone starts small and grows), so no insert pauses; a page whose rows are all gone is given back. Pages belong to chains: the rows of a
// chain share no page with others, so that a chain leaves as a whole, whatever it holds.
//
// Invariants: a slot handed out is all zero; a released row is all zero but for the free link in its first key word. Slots are filled in a
// fixed order, so the same calls give the same slots. `words`, `floats`, `bigs` and `octets` are the same arrays for the life of the store; their
// elements may be replaced by an allocation, so hold the arrays and not a page across an insert.
// Where chains come and go the memory of whole pages is kept for the next ones: about as much as was needed of late.
import { assert } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import type { RowFormat } from './row-format.ts'

/** Of a store with one chain. */
const PAGE_BYTES = 1 << 20
/** Of a store with many: a slot has 31 bits, so smaller pages leave numbers for half a million chains. */
const PAGE_BYTES_MANY = 1 << 17
const FIRST_ROWS = 16
/** A page is filled again when at least this share of its rows is free: below it, looking for holes costs more than they save. */
const REFILL_SHARE = 16

/** A page's memory, seen in four ways. */
interface PageMemory {
  readonly words: Int32Array
  readonly floats: Float64Array
  readonly bigs: BigInt64Array
  readonly octets: Uint8Array
}
const NO_MEMORY = newMemory(0)

/** The pages that one owner fills. */
export interface PageChain {
  readonly pages: number[]
  /** The page that is being filled; -1 before the first. */
  current: number
}

export function newChain(): PageChain {
  return { pages: [], current: -1 }
}

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
  readonly #chains: (PageChain | null)[] = []
  readonly #used: number[] = []
  readonly #live: number[] = []
  readonly #free: number[] = []
  /** Numbers of pages that were given back. */
  readonly #spare: number[] = []
  /** Memory of whole pages that were given back. */
  readonly #idle: PageMemory[] = []
  /** Whole pages taken since a chain was given back. */
  #taken = 0
  /** How many stay idle: what was taken between two chains that were given back; half as much if that was less. */
  #idleMax = 0
  /** Length of the last run. */
  runCount = 0
  #bytes = 0

  /** @param hasMany Many chains come and go. */
  constructor(format: RowFormat, hasMany: boolean) {
    this.stride = format.stride
    this.#linkWord = format.keyWord
    this.pageBits = Math.max(4, Math.floor(Math.log2((hasMany ? PAGE_BYTES_MANY : PAGE_BYTES) / (format.stride * 4))))
    this.pageMask = (1 << this.pageBits) - 1
    // `fetch` reads the first row for slots of -1: where chains go, a page that is nobody's stands in front.
    if (hasMany) {
      this.#addPage({ pages: [], current: -1 }, 1)
      this.#chains[0] = null
    }
  }

  get pageCount(): number {
    return this.words.length
  }

  /** Rows that a page has handed out so far: rows at and behind that index are zero. */
  usedIn(page: number): number {
    return this.#used[page] as number
  }

  /** Visits at most `slotsMax` slots that were handed out, from `from` on, in their order; returns where to go on, -1 at the end. */
  scan(from: number, slotsMax: number, visit: (slot: number) => void): number {
    let visited = 0
    for (let page = from >>> this.pageBits; page < this.words.length; page++) {
      let index = page === from >>> this.pageBits ? from & this.pageMask : 0
      for (; index < this.usedIn(page); index++, visited++) {
        if (visited === slotsMax) return (page << this.pageBits) | index
        visit((page << this.pageBits) | index)
      }
    }
    return -1
  }

  /** The chain that a page belongs to; null for a page that was given back. */
  chainOf(page: number): PageChain | null {
    return this.#chains[page] ?? null
  }

  /** Bytes of all pages, idle ones among them. */
  bytes(): number {
    return this.#bytes + this.#idle.length * (this.stride << this.pageBits) * 4
  }

  /** A slot of the chain whose row is all zero. */
  allocate(chain: PageChain): number {
    for (;;) {
      const page = chain.current
      if (page >= 0) {
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
      }
      this.#makeRoom(chain)
    }
  }

  /** Up to `countMax` slots in a row, all zero; the first is returned and `runCount` says how many there are. */
  allocateRun(chain: PageChain, countMax: number): number {
    const first = this.allocate(chain)
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
    if (pages.length === 0) return
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
    const chain = this.#chains[page] as PageChain
    if (live === 0 && page !== chain.current) {
      chain.pages.splice(chain.pages.indexOf(page), 1)
      this.#giveBack(page)
      return
    }
    const words = this.words[page] as Int32Array
    const at = index * this.stride
    for (let word = at; word < at + this.stride; word++) words[word] = 0
    words[at + this.#linkWord] = (this.#free[page] as number) + 1
    this.#free[page] = index
  }

  /** Gives back all pages of the chain, with the rows in them. */
  releaseChain(chain: PageChain): void {
    this.#idleMax = Math.max(this.#taken, this.#idleMax >>> 1)
    this.#taken = 0
    for (const page of chain.pages) {
      if (this.#isWhole(page) && this.#idle.length < this.#idleMax) this.#idle.push(this.#memoryOf(page))
      this.#giveBack(page)
    }
    chain.pages.length = 0
    chain.current = -1
    if (this.#idle.length > this.#idleMax) this.#idle.length = this.#idleMax
  }

  #isWhole(page: number): boolean {
    return (this.words[page] as Int32Array).length === this.stride << this.pageBits
  }

  #memoryOf(page: number): PageMemory {
    return {
      words: this.words[page] as Int32Array,
      floats: this.floats[page] as Float64Array,
      bigs: this.bigs[page] as BigInt64Array,
      octets: this.octets[page] as Uint8Array,
    }
  }

  #capacity(page: number): number {
    return Math.floor((this.words[page] as Int32Array).length / this.stride)
  }

  #makeRoom(chain: PageChain): void {
    const rowsMax = 1 << this.pageBits
    const { current } = chain
    if (current < 0) return this.#addPage(chain, Math.min(FIRST_ROWS, rowsMax))
    const capacity = this.#capacity(current)
    if (capacity < rowsMax) {
      const old = this.words[current] as Int32Array
      this.#view(current, Math.min(rowsMax, capacity * 4))
      ;(this.words[current] as Int32Array).set(old)
      return
    }
    const room = Math.max(1, rowsMax >>> Math.log2(REFILL_SHARE))
    for (const page of chain.pages) {
      if (rowsMax - (this.#live[page] as number) < room) continue
      chain.current = page
      return
    }
    this.#addPage(chain, rowsMax)
  }

  #addPage(chain: PageChain, rows: number): void {
    const page = this.#spare.pop() ?? this.words.length
    // Slots are 31 bits.
    if (page >= 2 ** (31 - this.pageBits)) throw new MillraceError('MR_STATE_FULL', { details: { pages: page } })
    this.#chains[page] = chain
    this.#used[page] = 0
    this.#live[page] = 0
    this.#free[page] = -1
    this.#view(page, rows)
    chain.pages.push(page)
    chain.current = page
  }

  #giveBack(page: number): void {
    this.#chains[page] = null
    this.#used[page] = 0
    this.#live[page] = 0
    this.#free[page] = -1
    this.#view(page, 0)
    this.#spare.push(page)
  }

  #view(page: number, rows: number): void {
    const { words, floats, bigs, octets } = this.#memory(rows)
    this.#bytes += words.byteLength - (this.words[page]?.byteLength ?? 0)
    this.words[page] = words
    this.floats[page] = floats
    this.bigs[page] = bigs
    this.octets[page] = octets
  }

  /** All zero. */
  #memory(rows: number): PageMemory {
    if (rows === 0) return NO_MEMORY
    if (rows >>> this.pageBits === 0) return newMemory(rows * this.stride * 4)
    this.#taken++
    const idle = this.#idle.pop()
    if (idle === undefined) return newMemory(rows * this.stride * 4)
    idle.words.fill(0)
    return idle
  }
}

function newMemory(bytes: number): PageMemory {
  const buffer = new ArrayBuffer(bytes)
  return {
    words: new Int32Array(buffer),
    floats: new Float64Array(buffer),
    bigs: new BigInt64Array(buffer),
    octets: new Uint8Array(buffer),
  }
}
