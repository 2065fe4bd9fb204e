// One column chunk: a leaf's values of one row group, cut into pages, compressed and described.
// Pages are data pages V2: levels stand uncompressed in front, a page starts at a row, and each carries a CRC-32.
import { constants, crc32, zstdCompressSync } from 'node:zlib'
import { ByteBuffer } from './byte-buffer.ts'
import { ENCODING, type Encoding, type Leaf, type PageBounds, type ValueRange } from './leaf.ts'
import type { LeafSchema } from './schema.ts'
import { mergeBounds, type WrittenBounds, writtenBounds } from './statistics.ts'
import { ThriftWriter } from './thrift.ts'

const PAGE_DICTIONARY = 2
const PAGE_DATA_V2 = 3
/** Below this many bytes the frame of the compression costs more than it saves. */
const COMPRESS_SIZE_MIN = 32

export interface PageOptions {
  readonly pageRows: number
  readonly pageBytes: number
  readonly compression: 'zstd' | 'none'
  readonly compressionLevel: number
}

/** What the page index says about a page. `bounds` null: only nulls. */
export interface PageEntry {
  readonly offset: number
  readonly size: number
  readonly firstRow: number
  readonly nullCount: number
  readonly bounds: WrittenBounds | null
}

/** What the footer and the page index say about a chunk. Offsets count from the start of the file. */
export interface ChunkEntry {
  readonly schema: LeafSchema
  readonly encoding: Encoding
  readonly slotCount: number
  readonly nullCount: number
  readonly rawSize: number
  readonly size: number
  readonly dictionaryOffset: number | null
  readonly dataOffset: number
  readonly bounds: WrittenBounds | null
  readonly pages: readonly PageEntry[]
  /** False when the bounds of some page could mislead a reader. */
  readonly hasColumnIndex: boolean
}

interface PageRange extends ValueRange {
  readonly firstRow: number
  readonly endRow: number
  readonly firstSlot: number
  readonly endSlot: number
}

/** Buffers that one chunk needs while it is written; shared by all encoders of a thread, because writing never waits. */
export class ChunkWorkspace {
  readonly out: ByteBuffer = new ByteBuffer()
  readonly values: ByteBuffer = new ByteBuffer()
  readonly levels: ByteBuffer = new ByteBuffer()
  readonly thrift: ThriftWriter = new ThriftWriter(this.out)
}

/** Cuts a chunk whose slots are its rows and whose values are small. */
function cutByRows(leaf: Leaf, rowCount: number, options: PageOptions): PageRange[] {
  const pages: PageRange[] = []
  let value = 0
  for (let row = 0; row < rowCount; row += options.pageRows) {
    const endRow = Math.min(row + options.pageRows, rowCount)
    const endValue = value + leaf.levels.valuesIn(row, endRow)
    pages.push({ firstRow: row, endRow, firstSlot: row, endSlot: endRow, firstValue: value, endValue })
    value = endValue
  }
  return pages
}

/** Cuts any chunk, slot by slot: a page ends before the row that would make it too long or too large. */
function cutBySlots(leaf: Leaf, options: PageOptions): PageRange[] {
  const { levels } = leaf
  const pages: PageRange[] = []
  let page = { row: 0, slot: 0, value: 0 }
  let rowStart = { slot: 0, value: 0 }
  let row = -1
  let value = 0
  let bytes = 0
  let rowBytes = 0
  for (let slot = 0; slot <= levels.slotCount; slot++) {
    const ends = slot === levels.slotCount
    if (ends || levels.repetitionMax === 0 || levels.repetition[slot] === 0) {
      const full = row - page.row >= options.pageRows || (bytes + rowBytes > options.pageBytes && row > page.row)
      if (full) {
        pages.push({
          firstRow: page.row,
          endRow: row,
          firstSlot: page.slot,
          endSlot: rowStart.slot,
          firstValue: page.value,
          endValue: rowStart.value,
        })
        page = { row, slot: rowStart.slot, value: rowStart.value }
        bytes = 0
      }
      bytes += rowBytes
      rowBytes = 0
      row++
      rowStart = { slot, value }
    }
    if (ends) break
    // A slot counts for its levels and a word even when it is null: lists of nulls must end pages too.
    rowBytes += 4
    if (levels.definition === null || levels.definition[slot] === levels.definitionMax) {
      rowBytes += leaf.sizeOf(value, value + 1)
      value++
    }
  }
  pages.push({ firstRow: page.row, endRow: row, firstSlot: page.slot, endSlot: levels.slotCount, firstValue: page.value, endValue: value })
  return pages
}

function cut(leaf: Leaf, rowCount: number, options: PageOptions): PageRange[] {
  // When the whole chunk fits one page's bytes, every page does, and nobody needs to look at the values.
  return leaf.levels.repetitionMax === 0 && leaf.usedBytes() <= options.pageBytes
    ? cutByRows(leaf, rowCount, options)
    : cutBySlots(leaf, options)
}

/** The compressed bytes, or null when they are not fewer. */
function compress(bytes: Uint8Array, options: PageOptions): Uint8Array | null {
  if (options.compression === 'none' || bytes.length < COMPRESS_SIZE_MIN) return null
  const packed = compressAlways(bytes, options.compressionLevel)
  return packed.length < bytes.length ? packed : null
}

function compressAlways(bytes: Uint8Array, level: number): Uint8Array {
  // An output chunk of the bound's size saves zlib from growing and joining pieces.
  return zstdCompressSync(bytes, {
    chunkSize: bytes.length + (bytes.length >>> 8) + 128,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  })
}

function beginHeader(thrift: ThriftWriter, type: number, rawSize: number, size: number, crc: number): void {
  thrift.begin()
  thrift.i32(1, type)
  thrift.i32(2, rawSize)
  thrift.i32(3, size)
  thrift.i32(4, crc | 0)
}

/** Writes the dictionary page to `work.out`; returns its size before compression with the header, 0 when there is none. */
function writeDictionaryPage(leaf: Leaf, work: ChunkWorkspace, options: PageOptions): number {
  work.values.clear()
  const count = leaf.writeDictionary(work.values)
  if (count === 0) return 0
  const raw = work.values.written()
  const bytes = options.compression === 'none' ? raw : compressAlways(raw, options.compressionLevel)
  const start = work.out.length
  const { thrift } = work
  beginHeader(thrift, PAGE_DICTIONARY, raw.length, bytes.length, crc32(bytes))
  thrift.struct(7)
  thrift.i32(1, count)
  thrift.i32(2, ENCODING.plain)
  thrift.end()
  thrift.end()
  const headerSize = work.out.length - start
  work.out.append(bytes)
  return headerSize + raw.length
}

/** Writes a data page to `work.out`; returns its size before compression with the header. */
function writeDataPage(leaf: Leaf, page: PageRange, encoding: Encoding, work: ChunkWorkspace, options: PageOptions): number {
  const { levels, values, out, thrift } = work
  levels.clear()
  leaf.levels.writeRepetition(page.firstSlot, page.endSlot, levels)
  const repetitionSize = levels.length
  leaf.levels.writeDefinition(page.firstSlot, page.endSlot, levels)
  values.clear()
  // Also without values: readers expect the head of the encoding before they learn that nothing follows.
  leaf.writeValues(page.firstValue, page.endValue, values)
  const raw = values.written()
  const packed = compress(raw, options)
  const bytes = packed ?? raw
  const start = out.length
  const slotCount = page.endSlot - page.firstSlot
  const levelBytes = levels.written()
  beginHeader(thrift, PAGE_DATA_V2, levels.length + raw.length, levels.length + bytes.length, crc32(bytes, crc32(levelBytes)))
  thrift.struct(8)
  thrift.i32(1, slotCount)
  thrift.i32(2, slotCount - (page.endValue - page.firstValue))
  thrift.i32(3, page.endRow - page.firstRow)
  thrift.i32(4, encoding)
  thrift.i32(5, levels.length - repetitionSize)
  thrift.i32(6, repetitionSize)
  thrift.bool(7, packed !== null)
  thrift.end()
  thrift.end()
  const headerSize = out.length - start
  out.append(levelBytes)
  out.append(bytes)
  return headerSize + levels.length + raw.length
}

function written(schema: LeafSchema, bounds: PageBounds): WrittenBounds | null {
  return typeof bounds === 'string' ? null : writtenBounds(schema, bounds.min, bounds.max)
}

/**
 * Writes the leaf's chunk into `work.out` (cleared first), to be placed at `position` of the file.
 * The leaf keeps its values: the caller clears it.
 */
export function writeChunk(leaf: Leaf, rowCount: number, position: number, work: ChunkWorkspace, options: PageOptions): ChunkEntry {
  const { out } = work
  const { schema } = leaf
  out.clear()
  leaf.settle()
  const ranges = cut(leaf, rowCount, options)
  const encoding = leaf.choose(ranges)
  let rawSize = writeDictionaryPage(leaf, work, options)
  const dictionarySize = out.length
  const bounds: PageBounds[] = []
  const pages: PageEntry[] = []
  let hasColumnIndex = true
  for (const [index, range] of ranges.entries()) {
    const offset = out.length
    const pageBounds = leaf.bounds(index)
    bounds.push(pageBounds)
    // A page whose values have no bounds (NaN, a type without order) must not look like a page of nulls.
    if (typeof pageBounds === 'string' && range.endValue > range.firstValue) hasColumnIndex = false
    rawSize += writeDataPage(leaf, range, encoding, work, options)
    const nullCount = range.endSlot - range.firstSlot - (range.endValue - range.firstValue)
    pages.push({
      offset: position + offset,
      size: out.length - offset,
      firstRow: range.firstRow,
      nullCount,
      bounds: written(schema, pageBounds),
    })
  }
  const { slotCount, valueCount } = leaf.levels
  return {
    schema,
    encoding,
    slotCount,
    nullCount: slotCount - valueCount,
    rawSize,
    size: out.length,
    dictionaryOffset: dictionarySize > 0 ? position : null,
    dataOffset: position + dictionarySize,
    bounds: written(schema, mergeBounds(schema, bounds)),
    pages,
    hasColumnIndex,
  }
}
