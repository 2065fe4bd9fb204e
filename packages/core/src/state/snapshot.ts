// Dumps of a store: every row as it was at the last commit, copied as raw words slice by slice. The store may go on between slices: a row
// that changed since the first one stands in the changelog tail, which is applied over the dump (law ST-2). The index is not dumped: it
// is built again, which is faster than reading it. Slots are not kept.
//
// Slice, little endian: u32 magic | u32 kind | u32 sequence | u32 rows | u32 payload bytes | u32 crc32c of the 20 bytes before and the payload
//   kind 1 head: JSON { version, layout, stride, rows } (rows: about how many follow)
//   kind 2 rows: u32 mask of promoted columns[ceil(columns / 32)] | rows x stride words (tick and image mean nothing) | the blocks of these rows, in row order: a long
//          key, then each bytes column; each padded to 4 bytes
//   kind 3 end: nothing; a dump without it is cut off
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { MillraceError } from '../base/errors.ts'
import type { ByteArena } from './rows/byte-arena.ts'
import type { KeyIndex } from './keys/key-index.ts'
import { IMAGE_WORD, META_WORD, type RowFormat, TICK_WORD } from './rows/row-format.ts'
import type { RowPages } from './rows/row-pages.ts'
import type { TickImages } from './tick-images.ts'
import type { Layout } from './rows/layout.ts'

const MAGIC = 0x5353524d
const VERSION = 1
const HEAD_BYTES = 24
const CRC_AT = 20
const HEAD = 1
const ROWS = 2
const END = 3
const SLICE_BYTES_MIN = 4096

/** What a dump reads and a restore fills: the inside of a table store. */
export interface DumpSource {
  readonly layout: Layout
  readonly format: RowFormat
  readonly rows: RowPages
  readonly index: KeyIndex
  readonly arena: ByteArena
  readonly promoted: readonly boolean[]
  readonly rowCount: number
  committedTick(): number
  /** The images that the row at words[at] names; the tick is not committed. */
  imagesOf(tick: number): TickImages
  adoptRun(first: number, count: number, twins: number[]): void
  promoteTo(column: number): void
}

/** Yields the slices of a dump: about `sliceBytes` each, every one with a buffer of its own, so that it may be written or handed on later. */
export function* dumpRows(source: DumpSource, sliceBytes: number): Generator<Uint8Array> {
  const slice = new SliceWriter(source, Math.max(SLICE_BYTES_MIN, sliceBytes))
  const head = { version: VERSION, layout: source.layout, stride: source.format.stride, rows: source.rowCount }
  yield slice.finishText(HEAD, JSON.stringify(head))
  for (let page = 0; page < source.rows.pageCount; page++) {
    // A page may be dropped, and filled anew, between two slices: its length is asked for at every step.
    for (let index = 0; index < source.rows.usedIn(page);) {
      index = slice.addRows(page, index)
      if (slice.isFull) yield slice.finishRows()
      if (page >= source.rows.pageCount) break
    }
  }
  if (!slice.isEmpty) yield slice.finishRows()
  yield slice.finishText(END, '')
}

class SliceWriter {
  readonly #source: DumpSource
  readonly #maskWords: number
  readonly #limit: number
  readonly #hasBlocks: boolean
  #bytes: Uint8Array
  #words: Int32Array
  #blocks: { reference: number; size: number }[] = []
  #blockBytes = 0
  #rows = 0
  #sequence = 0

  constructor(source: DumpSource, sliceBytes: number) {
    this.#source = source
    this.#maskWords = Math.ceil(source.promoted.length / 32)
    this.#limit = sliceBytes
    this.#hasBlocks = source.format.bytesLanes.length > 0
    this.#bytes = new Uint8Array((sliceBytes + HEAD_BYTES + (source.format.stride + this.#maskWords) * 4 + 7) & ~7)
    this.#words = new Int32Array(this.#bytes.buffer)
  }

  get isEmpty(): boolean {
    return this.#rows === 0
  }

  get isFull(): boolean {
    return this.#rows * this.#source.format.stride * 4 + this.#blockBytes >= this.#limit
  }

  /** Copies committed rows of a page from `index` on until the slice is full; returns where to go on. */
  addRows(page: number, index: number): number {
    const { rows, format } = this.#source
    const stride = format.stride
    const committed = this.#source.committedTick()
    const words = rows.words[page] as Int32Array
    const end = rows.usedIn(page)
    while (index < end && !this.isFull) {
      // Rows that are as they were committed are copied run by run.
      const room = Math.ceil((this.#limit - this.#rows * stride * 4 - this.#blockBytes) / (stride * 4))
      const runEnd = this.#hasBlocks
        ? index
        : cleanRun(words, index, Math.min(end, index + room), stride, committed, this.#source.format.keyBytesInline)
      if (runEnd > index) {
        this.#words.set(words.subarray(index * stride, runEnd * stride), this.#rowsAt())
        this.#rows += runEnd - index
        index = runEnd
      } else this.#addRow(words, index++ * stride, committed)
    }
    return index
  }

  #rowsAt(): number {
    return HEAD_BYTES / 4 + this.#maskWords + this.#rows * this.#source.format.stride
  }

  #addRow(current: Int32Array, currentAt: number, committed: number): void {
    const { format } = this.#source
    let words = current
    let at = currentAt
    while ((words[at + TICK_WORD] as number) > committed) {
      const images = this.#source.imagesOf(words[at + TICK_WORD] as number)
      const image = words[at + IMAGE_WORD] as number
      if (images.isMade(image)) return
      words = images.words[images.page(image)] as Int32Array
      at = images.at(image)
    }
    const meta = words[at + META_WORD] as number
    if ((meta & 1) === 0) return
    const to = this.#rowsAt()
    for (let word = META_WORD; word < format.stride; word++) this.#words[to + word] = words[at + word] as number
    this.#rows++
    if (meta >>> 1 > format.keyBytesInline) this.#addBlock(words[at + format.keyWord] as number, meta >>> 1)
    for (const lane of format.bytesLanes) this.#addBlock(words[at + lane.word] as number, words[at + lane.word + 1] as number)
  }

  #addBlock(reference: number, size: number): void {
    if (size === 0) return
    this.#blocks.push({ reference, size })
    this.#blockBytes += (size + 3) & ~3
  }

  finishRows(): Uint8Array {
    const { promoted, format, arena } = this.#source
    for (let word = 0; word < this.#maskWords; word++) {
      let mask = 0
      for (let bit = 0; bit < 32; bit++) if (promoted[word * 32 + bit] === true) mask |= 1 << bit
      this.#words[HEAD_BYTES / 4 + word] = mask
    }
    let at = HEAD_BYTES + (this.#maskWords + this.#rows * format.stride) * 4
    this.#reserve(at + this.#blockBytes)
    for (const { reference, size } of this.#blocks) {
      const offset = arena.offset(reference)
      this.#bytes.set(arena.chunk(reference).subarray(offset, offset + size), at)
      this.#bytes.fill(0, at + size, (at + size + 3) & ~3)
      at += (size + 3) & ~3
    }
    const slice = this.#finish(ROWS, this.#rows, at)
    this.#rows = 0
    this.#blocks = []
    this.#blockBytes = 0
    return slice
  }

  finishText(kind: number, text: string): Uint8Array {
    assert(this.#rows === 0, 'rows are finished before another kind of slice')
    const encoded = new TextEncoder().encode(text)
    this.#reserve(HEAD_BYTES + encoded.length)
    this.#bytes.set(encoded, HEAD_BYTES)
    return this.#finish(kind, 0, HEAD_BYTES + encoded.length)
  }

  #finish(kind: number, rows: number, end: number): Uint8Array {
    const words = this.#words
    words[0] = MAGIC
    words[1] = kind
    words[2] = this.#sequence++
    words[3] = rows
    words[4] = end - HEAD_BYTES
    words[5] = crc32c(this.#bytes, HEAD_BYTES, end, crc32c(this.#bytes, 0, CRC_AT))
    const slice = this.#bytes.subarray(0, end)
    this.#bytes = new Uint8Array(this.#bytes.length)
    this.#words = new Int32Array(this.#bytes.buffer)
    return slice
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return
    const grown = new Uint8Array((Math.max(size, this.#bytes.length * 2) + 7) & ~7)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#words = new Int32Array(grown.buffer)
  }
}

/** The end of the run of rows from `index` on that are alive, unchanged since the last commit and have no block. */
function cleanRun(words: Int32Array, index: number, end: number, stride: number, committed: number, keyBytesInline: number): number {
  for (; index < end; index++) {
    const meta = words[index * stride + META_WORD] as number
    if ((words[index * stride + TICK_WORD] as number) > committed || (meta & 1) === 0 || meta >>> 1 > keyBytesInline) break
  }
  return index
}

/** Fills an empty store from the slices of a dump. @throws {MillraceError} `MR_STATE_SNAPSHOT_CORRUPT`, `MR_STATE_LAYOUT_CHANGED`. */
export function loadRows(target: DumpSource, slices: Iterable<Uint8Array>): void {
  let sequence = 0
  let ended = false
  for (const slice of slices) {
    const kind = checkSlice(slice, sequence, ended)
    if (kind === HEAD) readHead(target, slice)
    else if (kind === ROWS) readRows(target, slice)
    else ended = true
    sequence++
  }
  if (!ended) throw corrupt('the dump is cut off.', sequence)
}

function corrupt(message: string, slice: number): MillraceError {
  return new MillraceError('MR_STATE_SNAPSHOT_CORRUPT', { message, details: { slice } })
}

function checkSlice(slice: Uint8Array, sequence: number, ended: boolean): number {
  if (slice.length < HEAD_BYTES) throw corrupt('a slice ends early.', sequence)
  const view = new DataView(slice.buffer, slice.byteOffset, slice.byteLength)
  if (view.getUint32(0, true) !== MAGIC) throw corrupt('this is not a slice of a dump.', sequence)
  if (view.getUint32(16, true) !== slice.length - HEAD_BYTES) throw corrupt('a slice has another length than it says.', sequence)
  if (view.getUint32(CRC_AT, true) !== crc32c(slice, HEAD_BYTES, slice.length, crc32c(slice, 0, CRC_AT)))
    throw corrupt('a slice fails its checksum.', sequence)
  const kind = view.getUint32(4, true)
  if (view.getUint32(8, true) !== sequence || ended || (kind === HEAD) !== (sequence === 0) || kind > END)
    throw corrupt('slices are missing or out of order.', sequence)
  return kind
}

function readHead(target: DumpSource, slice: Uint8Array): void {
  const head = JSON.parse(new TextDecoder().decode(slice.subarray(HEAD_BYTES))) as {
    readonly version: number
    readonly layout: Layout
    readonly stride: number
    readonly rows: number
  }
  if (head.version !== VERSION) throw corrupt(`the dump has version ${head.version}; this millrace reads version ${VERSION}.`, 0)
  if (head.layout.id !== target.layout.id || head.stride !== target.format.stride) {
    throw new MillraceError('MR_STATE_LAYOUT_CHANGED', {
      details: { store: target.layout.store, layout: target.layout.id, found: head.layout.id },
    })
  }
  target.index.reserve(head.rows)
}

function readRows(target: DumpSource, slice: Uint8Array): void {
  const { format, rows, promoted } = target
  const stride = format.stride
  const maskWords = Math.ceil(promoted.length / 32)
  const aligned = slice.byteOffset % 4 === 0 ? slice : slice.slice()
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2)
  const count = words[3] as number
  const from = HEAD_BYTES / 4 + maskWords
  const narrow = matchPromotion(target, words, maskWords)
  const blocks = new BlockReader(target, aligned, (from + count * stride) * 4)
  const twins: number[] = []
  for (let row = 0; row < count; row += rows.runCount) {
    const at = from + row * stride
    const [prefix, second] = blocks.prefixOf(words, at)
    // Rows of one region go to its pages: a dump has them side by side.
    const first = rows.allocateRun(target.index.chainFor(prefix, second), sharedPrefix(words, at, count - row, format))
    const page = first >>> rows.pageBits
    const to = (first & rows.pageMask) * stride
    const end = to + rows.runCount * stride
    const out = rows.words[page] as Int32Array
    out.set(words.subarray(from + row * stride, from + (row + rows.runCount) * stride), to)
    for (let at = to; at < end; at += stride) {
      out[at + TICK_WORD] = 0
      out[at + IMAGE_WORD] = 0
      blocks.read(out, at)
      for (const unit of narrow) {
        const lane = (at >> 1) + unit
        ;(rows.bigs[page] as BigInt64Array)[lane] = BigInt((rows.floats[page] as Float64Array)[lane] as number)
      }
    }
    target.adoptRun(first, rows.runCount, twins)
  }
  for (const twin of twins) {
    blocks.drop(rows.words[twin >>> rows.pageBits] as Int32Array, (twin & rows.pageMask) * stride)
    rows.release(twin)
  }
}

/** How many of the rows from words[at] on have keys that begin like its own; 1 where keys lie elsewhere. */
function sharedPrefix(words: Int32Array, at: number, count: number, { stride, keyWord, keyBytesInline }: RowFormat): number {
  const second = keyWord + 1
  for (let row = 0, from = at; row < count; row++, from += stride) {
    if ((words[from + META_WORD] as number) >>> 1 > keyBytesInline) return Math.max(1, row)
    if (words[from + keyWord] !== words[at + keyWord] || words[from + second] !== words[at + second]) return row
  }
  return count
}

/** Promotes the columns that the slice has promoted. Returns the lanes that the slice still holds as f64 and the store does not. */
function matchPromotion(target: DumpSource, words: Int32Array, maskWords: number): number[] {
  const narrow: number[] = []
  for (const [column, lane] of target.format.lanes.entries()) {
    assert(column >>> 5 < maskWords, 'the mask covers every column')
    if ((words[HEAD_BYTES / 4 + (column >>> 5)] as number) & (1 << (column & 31))) target.promoteTo(column)
    else if (target.promoted[column] === true) narrow.push(lane.unit)
  }
  return narrow
}

/** Moves the blocks of loaded rows into the arena. */
class BlockReader {
  readonly #target: DumpSource
  readonly #bytes: Uint8Array
  #at: number

  constructor(target: DumpSource, bytes: Uint8Array, at: number) {
    this.#target = target
    this.#bytes = bytes
    this.#at = at
  }

  /** The first eight bytes of the key of the row at words[at], whose bytes are read next. */
  prefixOf(words: Int32Array, at: number): readonly [number, number] {
    const { keyWord, keyBytesInline } = this.#target.format
    if ((words[at + META_WORD] as number) >>> 1 <= keyBytesInline) return [words[at + keyWord] as number, words[at + keyWord + 1] as number]
    if (this.#at + 8 > this.#bytes.length) throw corrupt('the blocks of a slice end early.', -1)
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
    return [view.getInt32(this.#at, true), view.getInt32(this.#at + 4, true)]
  }

  read(words: Int32Array, at: number): void {
    const { format } = this.#target
    const keyLength = (words[at + META_WORD] as number) >>> 1
    if (keyLength > format.keyBytesInline) words[at + format.keyWord] = this.#take(keyLength)
    for (const lane of format.bytesLanes) words[at + lane.word] = this.#take(words[at + lane.word + 1] as number)
  }

  /** Gives back what `read` took, for a row that was not kept. */
  drop(words: Int32Array, at: number): void {
    const { format, arena } = this.#target
    const keyLength = (words[at + META_WORD] as number) >>> 1
    if (keyLength > format.keyBytesInline) arena.free(words[at + format.keyWord] as number, keyLength)
    for (const lane of format.bytesLanes) arena.free(words[at + lane.word] as number, words[at + lane.word + 1] as number)
  }

  #take(size: number): number {
    const start = this.#at
    this.#at += (size + 3) & ~3
    if (start + size > this.#bytes.length) throw corrupt('the blocks of a slice end early.', -1)
    return this.#target.arena.put(this.#bytes, start, start + size)
  }
}
