// Writes the values of rows into their lanes (row-format.ts), and widens a column's lanes once it meets an integer beyond 2^53. Knows nothing
// of ticks: who calls has kept the old image.
import type { Lane, RowFormat } from './row-format.ts'
import type { RowPages } from './row-pages.ts'
import type { TickImages } from '../tick-images.ts'

export class RowLanes {
  readonly #rows: RowPages
  readonly #format: RowFormat
  readonly #promoted: boolean[]

  constructor(rows: RowPages, format: RowFormat, promoted: boolean[]) {
    this.#rows = rows
    this.#format = format
    this.#promoted = promoted
  }

  /** The lane of a null is zero, so that equal rows have equal words. */
  setNull(slot: number, lane: Lane): void {
    const { words, pageBits, pageMask, stride } = this.#rows
    const page = words[slot >>> pageBits] as Int32Array
    const at = (slot & pageMask) * stride
    page[at + lane.word] = 0
    page[at + lane.word + 1] = 0
    page[at + lane.nullWord] = (page[at + lane.nullWord] as number) | lane.nullMask
  }

  set(slot: number, column: number, value: number | bigint): void {
    const { words, floats, bigs, pageBits, pageMask, stride } = this.#rows
    const lane = this.#format.lanes[column] as Lane
    const page = slot >>> pageBits
    const at = (slot & pageMask) * stride
    if (this.#promoted[column] === true) (bigs[page] as BigInt64Array)[(at >> 1) + lane.unit] = BigInt(value)
    else (floats[page] as Float64Array)[(at >> 1) + lane.unit] = Number(value)
    clearNull(words[page] as Int32Array, at, lane)
  }

  /** The value is a block of the arena. */
  setBlock(slot: number, lane: Lane, reference: number, size: number): void {
    const { words, pageBits, pageMask, stride } = this.#rows
    const page = words[slot >>> pageBits] as Int32Array
    const at = (slot & pageMask) * stride
    page[at + lane.word] = reference
    page[at + lane.word + 1] = size
    clearNull(page, at, lane)
  }

  /** Rewrites the lane of every row and image as a 64-bit integer, once in a column's life. */
  promote(column: number, ticks: readonly TickImages[]): void {
    const rows = this.#rows
    const { unit } = this.#format.lanes[column] as Lane
    for (let page = 0; page < rows.pageCount; page++) {
      const end = (rows.usedIn(page) * rows.stride) >> 1
      for (let row = 0; row < end; row += rows.stride >> 1) widen(rows, page, row + unit)
    }
    for (const images of ticks) {
      for (let copy = 0; copy < images.copyCount; copy++) widen(images, images.pageOfCopy(copy), (images.atOfCopy(copy) >> 1) + unit)
    }
    this.#promoted[column] = true
  }
}

function clearNull(words: Int32Array, at: number, lane: Lane): void {
  words[at + lane.nullWord] = (words[at + lane.nullWord] as number) & ~lane.nullMask
}

function widen(
  pages: { readonly floats: readonly Float64Array[]; readonly bigs: readonly BigInt64Array[] },
  page: number,
  unit: number,
): void {
  const value = (pages.floats[page] as Float64Array)[unit] as number
  ;(pages.bigs[page] as BigInt64Array)[unit] = Number.isSafeInteger(value) || Math.abs(value) === 2 ** 53 ? BigInt(value) : 0n
}
