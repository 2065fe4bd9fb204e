// The versions of rows: as they are, and as they were before each of the at most two ticks that are not committed.
//
// How old images work. The first change of a row in a tick copies the row to the tick's images and leaves (tick, index) in the row. A copy
// holds the row's former (tick, index), so images form a chain: row -> image of the open tick -> image of the sealed tick. Ticks count up
// and `committedTick` follows, so what is committed needs no clearing: a row whose tick is at or below it is as it was committed.
// A row that the open tick made has no image: before it there was nothing.
// A block of the arena is freed when the last tick that could need it is over: at once when only the open tick has seen it, with the
// commit of the tick that replaced it otherwise.
import { assert } from '../base/assert.ts'
import { isAliveAt } from './rows/row-compare.ts'
import { RowCursor } from './rows/row-cursor.ts'
import { IMAGE_WORD, TICK_WORD } from './rows/row-format.ts'
import type { RowMemory } from './rows/row-memory.ts'
import type { RowPages } from './rows/row-pages.ts'
import { TickImages } from './tick-images.ts'

const TICK_MAX = 0x7fff_fff0

export class RowVersions {
  /** While rows are loaded there is no tick: nothing is kept. */
  isLoading = false
  open: TickImages
  sealed: TickImages
  openTick: number
  /** 0 when no tick is sealed. */
  sealedTick = 0
  committedTick: number
  readonly #rows: RowPages
  readonly #then: RowCursor
  readonly #before: RowCursor

  constructor(memory: RowMemory, firstTick: number) {
    const { format, rows, arena, keys, promoted } = memory
    this.openTick = firstTick
    this.committedTick = firstTick - 1
    this.open = new TickImages(format)
    this.sealed = new TickImages(format)
    this.#rows = rows
    this.#then = new RowCursor(format, arena, keys, promoted)
    this.#before = new RowCursor(format, arena, keys, promoted)
  }

  // Changes.

  /** The row at words[at] has come into being. */
  made(slot: number, words: Int32Array, at: number): void {
    if (this.isLoading) return
    words[at + TICK_WORD] = this.openTick
    words[at + IMAGE_WORD] = this.open.addMade(slot)
  }

  /** Keeps the image of a row that the open tick has not changed yet. */
  keep(slot: number, words: Int32Array, at: number): void {
    if (this.isLoading) return
    const image = this.open.add(slot, words, at)
    words[at + TICK_WORD] = this.openTick
    words[at + IMAGE_WORD] = image
  }

  /** A lane of the row at words[at], which is kept, gives up its block. True: the image still holds it, and it is free with the tick's commit. */
  keepsBlock(words: Int32Array, at: number, laneWord: number, reference: number, size: number): boolean {
    if (this.isLoading) return false
    const { open } = this
    const image = words[at + IMAGE_WORD] as number
    if (open.isMade(image) || (open.words[open.page(image)] as Int32Array)[open.at(image) + laneWord] !== reference) return false
    open.replaced.push(reference, size)
    return true
  }

  // Reading.

  /** The row as it was when `tick` ended (the committed or the sealed one), null when it was not there. */
  readAt(slot: number, tick: number): RowCursor | null {
    const { words: pages, pageBits, pageMask, stride } = this.#rows
    const page = slot >>> pageBits
    const at = (slot & pageMask) * stride
    const words = pages[page] as Int32Array
    if ((words[at + TICK_WORD] as number) <= tick) return isAliveAt(words, at) ? this.#then.set(slot, this.#rows, page, at) : null
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

  /** The row of a change of the open tick as its image has it, null when it was dead. */
  readBefore(change: number): RowCursor | null {
    const images = this.open
    const page = images.page(change)
    const at = images.at(change)
    return isAliveAt(images.words[page] as Int32Array, at) ? this.#before.set(images.slot(change), images, page, at) : null
  }

  imagesOf(tick: number): TickImages {
    assert(tick === this.openTick || tick === this.sealedTick, 'a changed row names an unfinished tick')
    return tick === this.openTick ? this.open : this.sealed
  }

  bytes(): number {
    return this.open.bytes() + this.sealed.bytes()
  }

  // Ticks.

  seal(): void {
    assert(this.sealedTick === 0, 'one sealed tick is in flight at most')
    const free = this.sealed
    this.sealed = this.open
    this.open = free
    this.sealedTick = this.openTick
    this.openTick++
  }

  /** The sealed tick is durable: its images go. */
  committed(): void {
    this.sealed.reset()
    this.committedTick = this.sealedTick
    this.sealedTick = 0
  }

  /** The images of both ticks were put back. */
  undone(): void {
    this.open.reset()
    this.sealed.reset()
    this.committedTick = this.openTick
    this.openTick++
    this.sealedTick = 0
  }

  /** The numbers of ticks come to their end. */
  get isSpent(): boolean {
    return this.openTick > TICK_MAX
  }

  /** Starts the count of ticks anew, long before it overflows: at 200 commits a second, once in four months. */
  renumber(): void {
    const { open } = this
    for (let copy = 0; copy < open.copyCount; copy++) (open.words[open.pageOfCopy(copy)] as Int32Array)[open.atOfCopy(copy) + TICK_WORD] = 0
    const { words: pages, pageBits, pageMask, stride } = this.#rows
    this.#rows.scan(0, Infinity, (slot) => {
      const words = pages[slot >>> pageBits] as Int32Array
      const at = (slot & pageMask) * stride
      words[at + TICK_WORD] = words[at + TICK_WORD] === this.openTick ? 1 : 0
    })
    this.openTick = 1
    this.committedTick = 0
  }

  clear(): void {
    this.open.reset()
    this.sealed.reset()
    this.sealedTick = this.committedTick = 0
    this.openTick = 1
  }
}
