// Puts blocks of changed rows (row-block.ts) back into a store during restore.
import type { ByteArena } from './rows/byte-arena.ts'
import type { Lane, RowFormat } from './rows/row-format.ts'
import { META_WORD, NULL_WORD, rowFormat } from './rows/row-format.ts'
import { BlockReader } from './rows/row-block.ts'
import type { RowPages } from './rows/row-pages.ts'
import type { RowMapping } from './rows/layout.ts'

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
  /** How the rows were written; of another layout where there is a mapping. */
  readonly #format: RowFormat
  readonly #columns: readonly number[]
  readonly #isMapped: boolean
  /** Rows to put, by their place in the block; their keys, and then their slots. */
  #places = new Int32Array(0)
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  #slots = new Int32Array(0)

  constructor(target: BlockTarget, mapping: RowMapping | null) {
    this.#target = target
    this.#isMapped = mapping !== null
    this.#format = mapping === null ? target.format : rowFormat(mapping.writer)
    this.#columns = mapping?.columns ?? target.format.lanes.map((_, column) => column)
    this.#reader = new BlockReader(this.#format)
  }

  /** Rows of the last block. */
  get count(): number {
    return this.#reader.count
  }

  /** @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT`. */
  apply(bytes: Uint8Array, start: number, end: number): void {
    const reader = this.#reader
    const target = this.#target
    const format = this.#format
    reader.read(bytes, start, end)
    for (const [column, from] of this.#columns.entries())
      if (from >= 0 && reader.isPromoted(from) && target.format.lanes[column]?.kind === 'integer') target.promoteTo(column)
    if (this.#isMapped || format.hasLongKeys || format.bytesLanes.length > 0) this.#applyOneByOne()
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
    const { format, rows } = this.#target
    const words = rows.words[slot >>> rows.pageBits] as Int32Array
    const at = (slot & rows.pageMask) * rows.stride
    const from = row * this.#format.stride
    if (this.#format.bytesLanes.length > 0) this.#takeBytes(from)
    if (!this.#isMapped)
      for (let word = NULL_WORD; word < NULL_WORD + format.nullWords; word++) words[at + word] = this.#reader.words[from + word] as number
    for (let column = 0; column < format.lanes.length; column++) {
      const lane = format.lanes[column] as Lane
      const source = this.#format.lanes[this.#columns[column] as number]
      if (this.#isMapped) this.#putNull(words, at + lane.nullWord, lane.nullMask, source, from)
      if (lane.kind === 'bytes') this.#putBytes(words, at + lane.word, source, from)
      else if (source !== undefined) this.#putNumber(slot, column, (at >> 1) + lane.unit, (from >> 1) + source.unit)
      else words[at + lane.word] = words[at + lane.word + 1] = 0
    }
    this.#target.loaded(slot)
  }

  #putNull(words: Int32Array, word: number, mask: number, source: Lane | undefined, from: number): void {
    const isNull = source === undefined || ((this.#reader.words[from + source.nullWord] as number) & source.nullMask) !== 0
    words[word] = isNull ? (words[word] as number) | mask : (words[word] as number) & ~mask
  }

  #putNumber(slot: number, column: number, to: number, from: number): void {
    const { rows, promoted } = this.#target
    const reader = this.#reader
    const page = slot >>> rows.pageBits
    if (promoted[column] === true && !reader.isPromoted(this.#columns[column] as number))
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

  #putBytes(words: Int32Array, word: number, source: Lane | undefined, from: number): void {
    const { arena } = this.#target
    arena.free(words[word] as number, words[word + 1] as number)
    const start = source === undefined ? 0 : (this.#reader.words[from + source.word] as number)
    const size = source === undefined ? 0 : (this.#reader.words[from + source.word + 1] as number)
    words[word] = arena.put(this.#reader.source, start, start + size)
    words[word + 1] = size
  }

  #reserve(count: number): void {
    if (this.#starts.length >= count) return
    this.#places = new Int32Array(count)
    this.#starts = new Int32Array(count)
    this.#ends = new Int32Array(count)
    this.#slots = new Int32Array(count)
  }
}
