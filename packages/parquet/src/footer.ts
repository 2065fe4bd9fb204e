// What stands behind the row groups: page indexes (column index and offset index per chunk), then the footer.
// Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift and PageIndex.md.
import { ByteBuffer } from './byte-buffer.ts'
import type { ChunkEntry, PageEntry } from './chunk.ts'
import { ENCODING } from './leaf.ts'
import { type FileSchema, writeSchema } from './schema.ts'
import { boundaryOrder, type WrittenBounds } from './statistics.ts'
import { LIST_OF, ThriftWriter } from './thrift.ts'

const FORMAT_VERSION = 2
const CODEC = { none: 0, zstd: 6 } as const
const PAGE_DICTIONARY = 2
const PAGE_DATA_V2 = 3
const NO_BYTES = new Uint8Array(0)

export interface RowGroupEntry {
  readonly rowCount: number
  readonly position: number
  readonly chunks: readonly ChunkEntry[]
}

export interface FooterOptions {
  readonly schema: FileSchema
  readonly compression: 'zstd' | 'none'
  readonly createdBy: string
  readonly metadata: Readonly<Record<string, string>>
}

interface IndexPlace {
  readonly offset: number
  readonly size: number
}

function writeColumnIndex(thrift: ThriftWriter, chunk: ChunkEntry): void {
  const { pages } = chunk
  const bounded = pages.map((page) => page.bounds).filter((bounds): bounds is WrittenBounds => bounds !== null)
  thrift.begin()
  thrift.list(1, LIST_OF.bool, pages.length)
  for (const page of pages) thrift.elementBool(page.bounds === null)
  thrift.list(2, LIST_OF.binary, pages.length)
  for (const page of pages) thrift.elementBinary(page.bounds?.min ?? NO_BYTES)
  thrift.list(3, LIST_OF.binary, pages.length)
  for (const page of pages) thrift.elementBinary(page.bounds?.max ?? NO_BYTES)
  thrift.i32(4, boundaryOrder(chunk.schema, bounded))
  thrift.list(5, LIST_OF.i64, pages.length)
  for (const page of pages) thrift.elementInt(page.nullCount)
  thrift.end()
}

function writeOffsetIndex(thrift: ThriftWriter, pages: readonly PageEntry[]): void {
  thrift.begin()
  thrift.list(1, LIST_OF.struct, pages.length)
  for (const page of pages) {
    thrift.begin()
    thrift.i64(1, page.offset)
    thrift.i32(2, page.size)
    thrift.i64(3, page.firstRow)
    thrift.end()
  }
  thrift.end()
}

function writeStatistics(thrift: ThriftWriter, chunk: ChunkEntry): void {
  thrift.struct(12)
  thrift.i64(3, chunk.nullCount)
  if (chunk.bounds !== null) {
    const { min, max, minIsExact, maxIsExact } = chunk.bounds
    thrift.binary(5, max)
    thrift.binary(6, min)
    thrift.bool(7, maxIsExact)
    thrift.bool(8, minIsExact)
  }
  thrift.end()
}

function writePageEncodings(thrift: ThriftWriter, chunk: ChunkEntry): void {
  const hasDictionary = chunk.dictionaryOffset !== null
  thrift.list(13, LIST_OF.struct, hasDictionary ? 2 : 1)
  const write = (type: number, encoding: number, count: number): void => {
    thrift.begin()
    thrift.i32(1, type)
    thrift.i32(2, encoding)
    thrift.i32(3, count)
    thrift.end()
  }
  if (hasDictionary) write(PAGE_DICTIONARY, ENCODING.plain, 1)
  write(PAGE_DATA_V2, chunk.encoding, chunk.pages.length)
}

function writeChunkMetadata(thrift: ThriftWriter, chunk: ChunkEntry, compression: 'zstd' | 'none'): void {
  const encodings = new Set<number>([chunk.encoding, ENCODING.rle])
  if (chunk.dictionaryOffset !== null) encodings.add(ENCODING.plain)
  thrift.struct(3)
  thrift.i32(1, chunk.schema.physical)
  thrift.list(2, LIST_OF.i32, encodings.size)
  for (const encoding of encodings) thrift.elementInt(encoding)
  thrift.list(3, LIST_OF.binary, chunk.schema.path.length)
  for (const name of chunk.schema.path) thrift.elementText(name)
  thrift.i32(4, CODEC[compression])
  thrift.i64(5, chunk.slotCount)
  thrift.i64(6, chunk.rawSize)
  thrift.i64(7, chunk.size)
  thrift.i64(9, chunk.dataOffset)
  if (chunk.dictionaryOffset !== null) thrift.i64(11, chunk.dictionaryOffset)
  writeStatistics(thrift, chunk)
  writePageEncodings(thrift, chunk)
  thrift.end()
}

function writeRowGroup(
  thrift: ThriftWriter,
  group: RowGroupEntry,
  ordinal: number,
  places: readonly Places[],
  compression: 'zstd' | 'none',
): void {
  thrift.begin()
  thrift.list(1, LIST_OF.struct, group.chunks.length)
  group.chunks.forEach((chunk, index) => {
    thrift.begin()
    thrift.i64(2, 0)
    writeChunkMetadata(thrift, chunk, compression)
    const place = places[index]
    if (place !== undefined) {
      thrift.i64(4, place.offsets.offset)
      thrift.i32(5, place.offsets.size)
      if (place.columns !== null) {
        thrift.i64(6, place.columns.offset)
        thrift.i32(7, place.columns.size)
      }
    }
    thrift.end()
  })
  thrift.i64(
    2,
    group.chunks.reduce((sum, chunk) => sum + chunk.rawSize, 0),
  )
  thrift.i64(3, group.rowCount)
  thrift.i64(5, group.position)
  thrift.i64(
    6,
    group.chunks.reduce((sum, chunk) => sum + chunk.size, 0),
  )
  // The ordinal is a 16-bit number; larger files go without it.
  if (ordinal <= 32_767) thrift.i16(7, ordinal)
  thrift.end()
}

interface Places {
  readonly columns: IndexPlace | null
  readonly offsets: IndexPlace
}

function writeFooter(
  thrift: ThriftWriter,
  groups: readonly RowGroupEntry[],
  places: readonly (readonly Places[])[],
  options: FooterOptions,
): void {
  const metadata = Object.entries(options.metadata)
  thrift.begin()
  thrift.i32(1, FORMAT_VERSION)
  writeSchema(thrift, 2, options.schema)
  thrift.i64(
    3,
    groups.reduce((sum, group) => sum + group.rowCount, 0),
  )
  thrift.list(4, LIST_OF.struct, groups.length)
  groups.forEach((group, index) => writeRowGroup(thrift, group, index, places[index] ?? [], options.compression))
  if (metadata.length > 0) {
    thrift.list(5, LIST_OF.struct, metadata.length)
    for (const [key, value] of metadata) {
      thrift.begin()
      thrift.text(1, key)
      thrift.text(2, value)
      thrift.end()
    }
  }
  thrift.text(6, options.createdBy)
  thrift.list(7, LIST_OF.struct, options.schema.leaves.length)
  for (let i = 0; i < options.schema.leaves.length; i++) {
    thrift.begin()
    thrift.mark(1)
    thrift.end()
  }
  thrift.end()
}

/** The bytes behind the last row group, which ends at `position`: page indexes, footer, its length, the magic. */
export function fileEnd(groups: readonly RowGroupEntry[], position: number, options: FooterOptions): Uint8Array {
  const out = new ByteBuffer()
  const thrift = new ThriftWriter(out)
  const placed = (write: () => void): IndexPlace => {
    const start = out.length
    write()
    return { offset: position + start, size: out.length - start }
  }
  const columns = groups.map((group) =>
    group.chunks.map((chunk) => (chunk.hasColumnIndex ? placed(() => writeColumnIndex(thrift, chunk)) : null)),
  )
  const offsets = groups.map((group) => group.chunks.map((chunk) => placed(() => writeOffsetIndex(thrift, chunk.pages))))
  const places = offsets.map((list, group) =>
    list.map((place, chunk): Places => ({ columns: columns[group]?.[chunk] ?? null, offsets: place })),
  )
  const footer = placed(() => writeFooter(thrift, groups, places, options))
  out.uint32(footer.size)
  out.append(MAGIC)
  return out.written()
}

/** "PAR1": the first and the last bytes of a file. */
export const MAGIC: Uint8Array = Uint8Array.of(0x50, 0x41, 0x52, 0x31)
