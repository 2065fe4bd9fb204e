// Puts blocks of changed rows (row-block.ts) back into a store during restore.
import type { ByteArena } from './rows/byte-arena.ts'
import type { Lane, RowFormat } from './rows/row-format.ts'
import { META_WORD, NULL_WORD } from './rows/row-format.ts'
import { BlockReader } from './rows/row-block.ts'
import type { RowPages } from './rows/row-pages.ts'

/** What it writes to: the inside of a table store. */
export interface BlockTarget {
  readonly format: RowFormat
  readonly rows: RowPages
  readonly arena: ByteArena
  readonly promoted: readonly boolean[]
  promoteTo(column: number): void
  find(key: Uint8Array, start: number, end: number): number
  findOrInsert(key: Uint8Array, start: number, end: number): number
  findOrInsertAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
  ): void
  delete(slot: number): void
  loaded(slot: number): void
}

export class BlockApplier {
  readonly #target: BlockTarget
  readonly #reader: BlockReader
  readonly #format: RowFormat
  /** Rows to put, by their place in the block; their keys, and then their slots. */
  #places = new Int32Array(0)
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  #slots = new Int32Array(0)

  constructor(target: BlockTarget) {
    this.#target = target
    this.#format = target.format
    this.#reader = new BlockReader(target.format)
  }

  /** Rows of the last block. */
  get count(): number {
    return this.#reader.count
  }

  /** @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT`. */
  apply(bytes: Uint8Array, start: number, end: number): void {
    const reader = this.#reader
    const format = this.#format
    reader.read(bytes, start, end)
    for (const [column, lane] of format.lanes.entries())
      if (lane.kind === 'integer' && reader.isPromoted(column)) this.#target.promoteTo(column)
    if (format.hasLongKeys || format.bytesLanes.length > 0) this.#applyOneByOne()
    else this.#applyTogether()
  }

  /** Nothing lies outside the rows: those to put are looked up at once. */
  #applyTogether(): void {
    const { count, words, octets } = this.#reader
    const target = this.#target
    const { stride, keyWord } = this.#format
    this.#reserve(count)
    let putCount = 0
    for (let row = 0; row < count; row++) {
      const meta = words[row * stride + META_WORD] as number
      const keyStart = (row * stride + keyWord) * 4
      if ((meta & 1) === 0) this.#delete(octets, keyStart, keyStart + (meta >>> 1))
      else {
        this.#places[putCount] = row
        this.#starts[putCount] = keyStart
        this.#ends[putCount++] = keyStart + (meta >>> 1)
      }
    }
    target.findOrInsertAll(octets, this.#starts, this.#ends, null, putCount, this.#slots)
    for (let i = 0; i < putCount; i++) this.#put(this.#slots[i] as number, this.#places[i] as number)
  }

  #applyOneByOne(): void {
    const reader = this.#reader
    const { count, words, octets, source } = reader
    const { stride, keyWord, keyBytesInline } = this.#format
    for (let row = 0; row < count; row++) {
      const meta = words[row * stride + META_WORD] as number
      const length = meta >>> 1
      const isLong = length > keyBytesInline
      const keyStart = isLong ? reader.take(length) : (row * stride + keyWord) * 4
      if ((meta & 1) === 0) this.#delete(isLong ? source : octets, keyStart, keyStart + length)
      else this.#put(this.#target.findOrInsert(isLong ? source : octets, keyStart, keyStart + length), row)
    }
  }

  #delete(key: Uint8Array, start: number, end: number): void {
    const slot = this.#target.find(key, start, end)
    if (slot >= 0) this.#target.delete(slot)
  }

  #put(slot: number, row: number): void {
    const { rows } = this.#target
    const format = this.#format
    const words = rows.words[slot >>> rows.pageBits] as Int32Array
    const at = (slot & rows.pageMask) * rows.stride
    const from = row * format.stride
    if (format.bytesLanes.length > 0) this.#takeBytes(from)
    for (let word = NULL_WORD; word < NULL_WORD + format.nullWords; word++) words[at + word] = this.#reader.words[from + word] as number
    for (let column = 0; column < format.lanes.length; column++) {
      const lane = format.lanes[column] as Lane
      if (lane.kind === 'bytes') this.#putBytes(words, at + lane.word, from + lane.word)
      else this.#putNumber(slot, column, (at >> 1) + lane.unit, (from >> 1) + lane.unit)
    }
    this.#target.loaded(slot)
  }

  #putNumber(slot: number, column: number, to: number, from: number): void {
    const { rows, promoted } = this.#target
    const reader = this.#reader
    const page = slot >>> rows.pageBits
    if (promoted[column] === true && !reader.isPromoted(column))
      (rows.bigs[page] as BigInt64Array)[to] = BigInt(reader.floats[from] as number)
    else {
      const words = rows.words[page] as Int32Array
      words[to * 2] = reader.words[from * 2] as number
      words[to * 2 + 1] = reader.words[from * 2 + 1] as number
    }
  }

  /** Where the bytes of the row's columns lie goes into the words of their references. */
  #takeBytes(from: number): void {
    const { words } = this.#reader
    for (const lane of this.#format.bytesLanes) words[from + lane.word] = this.#reader.take(words[from + lane.word + 1] as number)
  }

  #putBytes(words: Int32Array, to: number, from: number): void {
    const { arena } = this.#target
    const reader = this.#reader
    arena.free(words[to] as number, words[to + 1] as number)
    const start = reader.words[from] as number
    const size = reader.words[from + 1] as number
    words[to] = arena.put(reader.source, start, start + size)
    words[to + 1] = size
  }

  #reserve(count: number): void {
    if (this.#starts.length >= count) return
    this.#places = new Int32Array(count)
    this.#starts = new Int32Array(count)
    this.#ends = new Int32Array(count)
    this.#slots = new Int32Array(count)
  }
}
