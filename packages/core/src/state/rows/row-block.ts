// Blocks of changed rows: the values of changelog records. A row is copied as the words that it is in memory (row-format.ts), and words that
// are the same in all rows of a block are written once: of a count per window and user that leaves eight bytes a row.
//
// Block, little-endian words:
//   rows | row words (the stride of the layout) | promoted columns, a bit each | differing words, a bit each | words of the first row |
//   per row its differing words, in order | bytes: per row a long key, then each value of a bytes column, each padded to 4
// Of a row's words the first two (tick, image) mean nothing and are zero, and so are references into the arena. A row that is not alive is
// a deletion. Numbers of integer columns are f64, in promoted columns 64-bit integers.
import { MillraceError } from '../../base/errors.ts'
import type { ByteArena } from './byte-arena.ts'
import { META_WORD, type RowFormat } from './row-format.ts'

/** Rows gathered first stay in the fastest cache until they are written. */
const ROWS_MAX = 1024
const BYTES_MAX = 256 * 1024
const HEAD_WORDS = 2

/** Gathers rows and writes them as one block; reused from block to block. */
export class BlockWriter {
  bytes: Uint8Array = new Uint8Array(0)
  /** Rows gathered. */
  count = 0
  readonly #format: RowFormat
  readonly #arena: ByteArena
  readonly #promoted: readonly boolean[]
  readonly #rows: Int32Array
  /** By word: bits that differ from the first row in any row. */
  readonly #differing: Int32Array
  readonly #blocks: number[] = []
  #blockBytes = 0

  constructor(format: RowFormat, arena: ByteArena, promoted: readonly boolean[]) {
    this.#format = format
    this.#arena = arena
    this.#promoted = promoted
    this.#rows = new Int32Array(ROWS_MAX * format.stride)
    this.#differing = new Int32Array(format.stride)
  }

  get isFull(): boolean {
    return this.count === ROWS_MAX || this.#blockBytes >= BYTES_MAX
  }

  /** Copies the row that starts at words[at]. */
  add(words: Int32Array, at: number): void {
    const { stride } = this.#format
    const rows = this.#rows
    const to = this.count++ * stride
    for (let word = META_WORD; word < stride; word++) rows[to + word] = words[at + word] as number
    const keyLength = (rows[to + META_WORD] as number) >>> 1
    if (keyLength > this.#format.keyBytesInline) this.#addBlock(to + this.#format.keyWord, keyLength)
    for (const lane of this.#format.bytesLanes) this.#addBlock(to + lane.word, rows[to + lane.word + 1] as number)
  }

  #addBlock(word: number, size: number): void {
    const reference = this.#rows[word] as number
    this.#rows[word] = 0
    if (size === 0) return
    this.#blocks.push(reference, size)
    this.#blockBytes += (size + 3) & ~3
  }

  /** Writes the block to the front of `bytes`; returns its end. Begins the next one. */
  finish(): number {
    const { stride } = this.#format
    const rows = this.#rows
    const columnMask = maskWords(this.#promoted.length)
    const differing = this.#findDiffering()
    const size = (HEAD_WORDS + columnMask + maskWords(stride) + stride + this.count * differing.length) * 4 + this.#blockBytes
    if (this.bytes.length < size) this.bytes = new Uint8Array((size * 2 + 3) & ~3)
    const out = new Int32Array(this.bytes.buffer)
    out[0] = this.count
    out[1] = stride
    let at = HEAD_WORDS
    at = putMask(out, at, this.#promoted.length, (column) => this.#promoted[column] === true)
    at = putMask(out, at, stride, (word) => this.#differing[word] !== 0)
    out.set(rows.subarray(0, stride), at)
    at += stride
    for (let i = 0; i < differing.length; i++) spread(rows, differing[i] as number, stride, out, at + i, differing.length, this.count)
    at += this.count * differing.length
    const end = this.#putBlocks(at * 4)
    this.count = 0
    return end
  }

  #findDiffering(): Int32Array {
    const { stride } = this.#format
    const rows = this.#rows
    const bits = this.#differing
    const end = this.count * stride
    let found = 0
    const differing = new Int32Array(stride)
    for (let word = META_WORD; word < stride; word++) {
      const difference = differenceIn(rows, word, end, stride)
      bits[word] = difference
      if (difference !== 0) differing[found++] = word
    }
    return differing.subarray(0, found)
  }

  #putBlocks(start: number): number {
    let at = start
    const blocks = this.#blocks
    for (let i = 0; i < blocks.length; i += 2) {
      const size = blocks[i + 1] as number
      const offset = this.#arena.offset(blocks[i] as number)
      this.bytes.set(this.#arena.chunk(blocks[i] as number).subarray(offset, offset + size), at)
      this.bytes.fill(0, at + size, (at + size + 3) & ~3)
      at += (size + 3) & ~3
    }
    blocks.length = 0
    this.#blockBytes = 0
    return at
  }
}

/** A block read back: `count` rows of the format's stride side by side, and the bytes that belong to them. */
export class BlockReader {
  count = 0
  words: Int32Array = new Int32Array(0)
  /** The same memory, for keys. */
  octets: Uint8Array = new Uint8Array(0)
  bigs: BigInt64Array = new BigInt64Array(0)
  floats: Float64Array = new Float64Array(0)
  /** Bytes of the block, and where those of the rows go on: `take` moves it. */
  source: Uint8Array = new Uint8Array(0)
  at = 0
  #end = 0
  readonly #format: RowFormat
  readonly #columns: number
  readonly #promoted: boolean[]

  constructor(format: RowFormat) {
    this.#format = format
    this.#columns = format.lanes.length
    this.#promoted = format.lanes.map(() => false)
  }

  isPromoted(column: number): boolean {
    return this.#promoted[column] as boolean
  }

  /** @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT` when the block does not fit the format. */
  read(bytes: Uint8Array, start: number, end: number): void {
    const { stride } = this.#format
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const head = (HEAD_WORDS + maskWords(this.#columns) + maskWords(stride) + stride) * 4
    if (end - start < head || view.getInt32(start + 4, true) !== stride) throw corruptBlock(start, end)
    const count = view.getUint32(start, true)
    let at = start + HEAD_WORDS * 4
    for (let column = 0; column < this.#columns; column++) this.#promoted[column] = bitAt(view, at, column)
    at += maskWords(this.#columns) * 4
    const differing: number[] = []
    for (let word = 0; word < stride; word++) if (bitAt(view, at, word)) differing.push(word)
    at += maskWords(stride) * 4
    if (start + head + count * differing.length * 4 > end) throw corruptBlock(start, end)
    this.#reserve(count)
    const words = this.words
    for (let word = 0; word < stride; word++, at += 4) words[word] = view.getInt32(at, true)
    for (let row = 1; row < count; row++) words.copyWithin(row * stride, 0, stride)
    for (let row = 0; row < count; row++) {
      for (const word of differing) {
        words[row * stride + word] = view.getInt32(at, true)
        at += 4
      }
    }
    this.count = count
    this.source = bytes
    this.at = at
    this.#end = end
  }

  /** Start of the next `size` bytes of the rows, which are handed out in order. */
  take(size: number): number {
    const start = this.at
    this.at += (size + 3) & ~3
    if (this.at > this.#end) throw corruptBlock(start, this.#end)
    return start
  }

  #reserve(count: number): void {
    const size = Math.max(1, count) * this.#format.stride
    if (this.words.length >= size) return
    const buffer = new ArrayBuffer(size * 8)
    this.words = new Int32Array(buffer)
    this.octets = new Uint8Array(buffer)
    this.floats = new Float64Array(buffer)
    this.bigs = new BigInt64Array(buffer)
  }
}

/** Copies `count` words that are `step` apart to places that are `toStep` apart. */
function spread(from: Int32Array, start: number, step: number, to: Int32Array, toStart: number, toStep: number, count: number): void {
  for (let i = 0, at = start, toAt = toStart; i < count; i++, at += step, toAt += toStep) to[toAt] = from[at] as number
}

/** Bits in which rows[word], rows[word + stride] ... differ from the first of them. */
function differenceIn(rows: Int32Array, word: number, end: number, stride: number): number {
  const first = rows[word] as number
  let difference = 0
  for (let at = word; at < end; at += stride) difference |= (rows[at] as number) ^ first
  return difference
}

function maskWords(bits: number): number {
  return (bits + 31) >>> 5
}

function putMask(out: Int32Array, start: number, bits: number, isSet: (bit: number) => boolean): number {
  const end = start + maskWords(bits)
  for (let word = start, bit = 0; word < end; word++) {
    let mask = 0
    for (let i = 0; i < 32 && bit < bits; i++, bit++) if (isSet(bit)) mask |= 1 << i
    out[word] = mask
  }
  return end
}

function bitAt(view: DataView, start: number, bit: number): boolean {
  return ((view.getInt32(start + (bit >>> 5) * 4, true) >>> (bit & 31)) & 1) === 1
}

function corruptBlock(start: number, end: number): MillraceError {
  return new MillraceError('MR_STATE_CHANGELOG_CORRUPT', { details: { bytes: end - start } })
}
