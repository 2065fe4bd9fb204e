// Where the key of a row lies: in the row, or in the arena when it is long.
import type { ByteArena } from './byte-arena.ts'
import { META_WORD, type RowFormat } from './row-format.ts'
import type { RowPages } from './row-pages.ts'

export class RowKeys {
  readonly #rows: RowPages
  readonly #arena: ByteArena
  readonly #words: Int32Array[]
  readonly #stride: number
  readonly #pageBits: number
  readonly #pageMask: number
  readonly #keyWord: number
  readonly #keyBytesInline: number

  constructor(rows: RowPages, arena: ByteArena, format: RowFormat) {
    this.#rows = rows
    this.#arena = arena
    this.#words = rows.words
    this.#stride = rows.stride
    this.#pageBits = rows.pageBits
    this.#pageMask = rows.pageMask
    this.#keyWord = format.keyWord
    this.#keyBytesInline = format.keyBytesInline
  }

  /** The buffer that holds the row's key, from `offset` on. Valid until the next insert. */
  bytes(slot: number): Uint8Array {
    const page = slot >>> this.#pageBits
    const words = this.#words[page] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if ((words[at + META_WORD] as number) >>> 1 > this.#keyBytesInline) return this.#arena.chunk(words[at + this.#keyWord] as number)
    return this.#rows.octets[page] as Uint8Array
  }

  offset(slot: number): number {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    const at = (slot & this.#pageMask) * this.#stride
    if ((words[at + META_WORD] as number) >>> 1 > this.#keyBytesInline) return this.#arena.offset(words[at + this.#keyWord] as number)
    return (at + this.#keyWord) * 4
  }

  length(slot: number): number {
    const words = this.#words[slot >>> this.#pageBits] as Int32Array
    return (words[(slot & this.#pageMask) * this.#stride + META_WORD] as number) >>> 1
  }
}
