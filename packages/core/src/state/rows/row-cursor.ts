// A reused reader of one row: of the row itself, or of an old image of it.
import type { GrowingBytes } from '../../codec/growing-bytes.ts'
import type { ByteArena } from './byte-arena.ts'
import type { Lane, RowFormat } from './row-format.ts'
import type { RowKeys } from './row-keys.ts'
import type { RowReader } from '../store.ts'

interface Pages {
  readonly words: readonly Int32Array[]
  readonly floats: readonly Float64Array[]
  readonly bigs: readonly BigInt64Array[]
}

export class RowCursor implements RowReader {
  slot = -1
  #words: Int32Array = new Int32Array(0)
  #floats: Float64Array = new Float64Array(0)
  #bigs: BigInt64Array = new BigInt64Array(0)
  #at = 0
  readonly #format: RowFormat
  readonly #arena: ByteArena
  readonly #keys: RowKeys
  readonly #promoted: readonly boolean[]

  constructor(format: RowFormat, arena: ByteArena, keys: RowKeys, promoted: readonly boolean[]) {
    this.#format = format
    this.#arena = arena
    this.#keys = keys
    this.#promoted = promoted
  }

  /** Points at the row that starts at word `at` of the page; `slot` is where the row lives. */
  set(slot: number, pages: Pages, page: number, at: number): this {
    this.slot = slot
    this.#words = pages.words[page] as Int32Array
    this.#floats = pages.floats[page] as Float64Array
    this.#bigs = pages.bigs[page] as BigInt64Array
    this.#at = at
    return this
  }

  isNull(column: number): boolean {
    const lane = this.#lane(column)
    return ((this.#words[this.#at + lane.nullWord] as number) & lane.nullMask) !== 0
  }

  number(column: number): number {
    const unit = (this.#at >> 1) + this.#lane(column).unit
    return this.#promoted[column] === true ? Number(this.#bigs[unit]) : (this.#floats[unit] as number)
  }

  integer(column: number): bigint {
    const unit = (this.#at >> 1) + this.#lane(column).unit
    return this.#promoted[column] === true ? (this.#bigs[unit] as bigint) : BigInt(this.#floats[unit] as number)
  }

  bytes(column: number): Uint8Array {
    const word = this.#at + this.#lane(column).word
    const size = this.#words[word + 1] as number
    if (size === 0) return new Uint8Array(0)
    const reference = this.#words[word] as number
    const offset = this.#arena.offset(reference)
    return this.#arena.chunk(reference).slice(offset, offset + size)
  }

  copyBytes(column: number, into: GrowingBytes): void {
    const word = this.#at + this.#lane(column).word
    const size = this.#words[word + 1] as number
    if (size === 0) return
    const reference = this.#words[word] as number
    const offset = this.#arena.offset(reference)
    into.copy(this.#arena.chunk(reference), offset, offset + size)
  }

  /** Rows keep their key until their deletion is committed, so the row's own key is that of every image. */
  key(): Uint8Array {
    const start = this.#keys.offset(this.slot)
    return this.#keys.bytes(this.slot).slice(start, start + this.#keys.length(this.slot))
  }

  #lane(column: number): Lane {
    return this.#format.lanes[column] as Lane
  }
}
