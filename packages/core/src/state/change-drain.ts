// Hands the changes of a sealed tick to the changelog: each row that differs from what it was before the tick, as it was at the seal.
import type { ByteArena } from './rows/byte-arena.ts'
import { isAliveAt, isSameRow } from './rows/row-compare.ts'
import { IMAGE_WORD, type RowFormat, TICK_WORD } from './rows/row-format.ts'
import { BlockWriter } from './rows/row-block.ts'
import type { RowPages } from './rows/row-pages.ts'
import type { ChangeWriter } from './store.ts'
import type { TickImages } from './tick-images.ts'

/** Rows whose cache lines are fetched together. */
const FETCH_ROWS = 256

/** What the drain reads: the inside of a table store. */
export interface DrainSource {
  readonly format: RowFormat
  readonly rows: RowPages
  readonly arena: ByteArena
  readonly promoted: readonly boolean[]
  /** Changes of the tick behind the sealed one. */
  readonly openImages: TickImages
  isOpenTick(tick: number): boolean
  isDroppedBySeal(slot: number): boolean
}

export class ChangeDrain {
  readonly #source: DrainSource
  #writer: BlockWriter | null = null
  readonly #fetched = new Int32Array(FETCH_ROWS)
  #drained = 0
  /** Nothing was handed over yet. */
  isBegun = false

  constructor(source: DrainSource) {
    this.#source = source
  }

  /** A tick was sealed. */
  begin(): void {
    this.#drained = 0
    this.isBegun = true
  }

  /** Hands on about `rowsMax` more changes of `sealed`; true at the end. */
  run(writer: ChangeWriter, sealed: TickImages, rowsMax: number): boolean {
    const { format, arena, promoted } = this.#source
    this.#writer ??= new BlockWriter(format, arena, promoted)
    const block = this.#writer
    this.isBegun = false
    const end = Math.min(sealed.count, this.#drained + rowsMax)
    for (let from = this.#drained; from < end; from += FETCH_ROWS) {
      const until = Math.min(end, from + FETCH_ROWS)
      this.#fetch(sealed, from, until)
      this.#addAll(sealed, from, until, block, writer)
    }
    this.#drained = end
    if (block.count > 0) hand(block, writer)
    return end === sealed.count
  }

  #fetch(sealed: TickImages, from: number, until: number): void {
    for (let change = from; change < until; change++) this.#fetched[change - from] = sealed.slot(change)
    this.#source.rows.fetch(this.#fetched, until - from)
  }

  #addAll(sealed: TickImages, from: number, until: number, block: BlockWriter, writer: ChangeWriter): void {
    for (let change = from; change < until; change++) {
      this.#add(sealed, change, block)
      if (block.isFull) hand(block, writer)
    }
  }

  #add(sealed: TickImages, change: number, block: BlockWriter): void {
    const { rows, format, arena, openImages } = this.#source
    const slot = sealed.slot(change)
    if (this.#source.isDroppedBySeal(slot)) return
    let words = rows.words[slot >>> rows.pageBits] as Int32Array
    let at = (slot & rows.pageMask) * rows.stride
    if (this.#source.isOpenTick(words[at + TICK_WORD] as number)) {
      const newer = words[at + IMAGE_WORD] as number
      words = openImages.words[openImages.page(newer)] as Int32Array
      at = openImages.at(newer)
    }
    if (sealed.isMade(change)) {
      if (isAliveAt(words, at)) block.add(words, at)
      return
    }
    if (!isSameRow(format, arena, sealed.words[sealed.page(change)] as Int32Array, sealed.at(change), words, at)) block.add(words, at)
  }
}

function hand(block: BlockWriter, writer: ChangeWriter): void {
  const end = block.finish()
  writer.rows(block.bytes, end)
}
