// The leaf of strings, bytes and json. A row group starts with a sample; then its values are either kept as they are (lengths and
// bytes) or as ids of a dictionary. A dictionary that grows too large or does not pay gives way to plain bytes, never the other way.
//
//   sampling ──few distinct, or the column came as a dictionary──▶ dictionary ──full, or does not pay──▶ plain
//      └───────────────────────many distinct────────────────────────────────────────────────────────────▶ plain
import { assert, must } from '@millrace/core/connect'
import type { BytesColumn, Column, DictionaryColumn, SliceColumn } from '@millrace/core/connect'
import { bitWidth, packBits, writeRun } from './bit-packing.ts'
import { compareBytes, copyBytes } from './byte-order.ts'
import type { ByteBuffer } from './byte-buffer.ts'
import { deltaNarrow } from './delta.ts'
import { ChunkDictionary } from './dictionary.ts'
import { ENCODING, type Encoding, type Leaf, type LeafOptions, type PageBounds, type ValueRange } from './leaf.ts'
import { Levels } from './levels.ts'
import type { LeafSchema } from './schema.ts'

const SAMPLE_COUNT = 1024
/** A sample with at most this share of distinct values is worth a dictionary. */
const SAMPLE_DISTINCT_SHARE = 0.5
/** Dictionary and ids must be smaller than this share of the plain bytes: zstd finds the repeats of plain bytes too. */
const DICTIONARY_SHARE_MAX = 0.75
const INITIAL_COUNT = 64

type Mode = 'sampling' | 'dictionary' | 'plain'

function grown(array: Int32Array, used: number, extra: number): Int32Array {
  if (used + extra <= array.length) return array
  const larger = new Int32Array(Math.max(used + extra, array.length * 2, INITIAL_COUNT))
  larger.set(array.subarray(0, used))
  return larger
}

/** The first three bytes as a number that sorts like them; most comparisons of values end here. */
function prefix(data: Uint8Array, start: number, end: number): number {
  if (end - start >= 3) return ((data[start] as number) << 16) | ((data[start + 1] as number) << 8) | (data[start + 2] as number)
  return ((end > start ? (data[start] as number) : 0) << 16) | ((end > start + 1 ? (data[start + 1] as number) : 0) << 8)
}

export class BytesLeaf implements Leaf {
  readonly schema: LeafSchema
  readonly levels: Levels
  readonly #dictionaryBytesMax: number
  #mode: Mode = 'sampling'
  #count = 0
  /** plain, sampling: the length of each value. dictionary: its id. */
  #ints: Int32Array = new Int32Array(0)
  #data = new Uint8Array(0)
  #dataLength = 0
  #dictionary: ChunkDictionary | null = null
  /** Where the page that is being written starts in `#data`; pages come in order. */
  #cursorCount = 0
  #cursorByte = 0
  #pages: readonly ValueRange[] = []

  constructor(schema: LeafSchema, options: LeafOptions) {
    this.schema = schema
    this.levels = new Levels(schema)
    this.#dictionaryBytesMax = options.dictionaryBytesMax
  }

  appendRange(column: Column, from: number, to: number, batchNumber: number): void {
    if (column.layout === 'dictionary') this.#appendIds(column, null, from, to, batchNumber)
    else if (column.layout === 'bytes') {
      if (this.#mode === 'dictionary') this.#internAll(column.data, column.offsets, column.offsets, 1, null, from, to)
      else this.#copyRange(column, from, to)
    } else if (column.layout === 'slice') {
      if (this.#mode === 'dictionary') this.#internAll(column.data, column.starts, column.ends, 0, null, from, to)
      else this.#copyEach(column.data, column.starts, column.ends, 0, null, from, to)
    } else this.#wrongLayout(column)
    this.#afterAppend()
  }

  appendAt(column: Column, rows: Int32Array, from: number, to: number, batchNumber: number): void {
    if (column.layout === 'dictionary') this.#appendIds(column, rows, from, to, batchNumber)
    else if (column.layout === 'bytes' || column.layout === 'slice') this.#appendScattered(column, rows, from, to)
    else this.#wrongLayout(column)
    this.#afterAppend()
  }

  #wrongLayout(column: Column): never {
    assert(false, () => `field ${this.schema.path.join('.')} of kind ${this.schema.type.kind} got a column of layout ${column.layout}`)
  }

  #appendScattered(column: BytesColumn | SliceColumn, rows: Int32Array, from: number, to: number): void {
    const starts = column.layout === 'bytes' ? column.offsets : column.starts
    const ends = column.layout === 'bytes' ? column.offsets : column.ends
    const endShift = column.layout === 'bytes' ? 1 : 0
    if (this.#mode === 'dictionary') this.#internAll(column.data, starts, ends, endShift, rows, from, to)
    else this.#copyEach(column.data, starts, ends, endShift, rows, from, to)
  }

  #dataRoom(extra: number): Uint8Array {
    const wanted = this.#dataLength + extra
    if (wanted > this.#data.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#data.length * 2, 256))
      larger.set(this.#data.subarray(0, this.#dataLength))
      this.#data = larger
    }
    return this.#data
  }

  #copyRange(column: BytesColumn, from: number, to: number): void {
    this.#ints = grown(this.#ints, this.#count, to - from)
    const { offsets, data } = column
    const lengths = this.#ints
    const start = offsets[from] as number
    let previous = start
    let count = this.#count
    for (let i = from + 1; i <= to; i++) {
      const next = offsets[i] as number
      lengths[count++] = next - previous
      previous = next
    }
    this.#dataRoom(previous - start).set(data.subarray(start, previous), this.#dataLength)
    this.#dataLength += previous - start
    this.#count = count
  }

  /** Row r lies at data[starts[r] .. ends[r + endShift]); in a BytesColumn starts and ends are the same array. */
  #copyEach(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    endShift: number,
    rows: Int32Array | null,
    from: number,
    to: number,
  ): void {
    this.#ints = grown(this.#ints, this.#count, to - from)
    const lengths = this.#ints
    let total = 0
    let count = this.#count
    for (let i = from; i < to; i++) {
      const row = rows === null ? i : (rows[i] as number)
      const size = (ends[row + endShift] as number) - (starts[row] as number)
      lengths[count++] = size
      total += size
    }
    const target = this.#dataRoom(total)
    let at = this.#dataLength
    count = this.#count
    for (let i = from; i < to; i++) {
      const size = lengths[count++] as number
      copyBytes(data, starts[rows === null ? i : (rows[i] as number)] as number, size, target, at)
      at += size
    }
    this.#dataLength = at
    this.#count = count
  }

  #internAll(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    endShift: number,
    rows: Int32Array | null,
    from: number,
    to: number,
  ): void {
    const dictionary = this.#dictionary as ChunkDictionary
    this.#ints = grown(this.#ints, this.#count, to - from)
    for (let i = from; i < to; i++) {
      const row = rows === null ? i : (rows[i] as number)
      const id = dictionary.intern(data, starts[row] as number, ends[row + endShift] as number)
      if (id < 0) {
        this.#toPlain()
        return this.#copyEach(data, starts, ends, endShift, rows, i, to)
      }
      this.#ints[this.#count++] = id
    }
  }

  #appendIds(column: DictionaryColumn, rows: Int32Array | null, from: number, to: number, batchNumber: number): void {
    if (this.#mode === 'sampling' && this.#count === 0) this.#toDictionary()
    let done = 0
    if (this.#mode === 'dictionary') {
      this.#ints = grown(this.#ints, this.#count, to - from)
      const dictionary = this.#dictionary as ChunkDictionary
      done = dictionary.map(column.ids, rows, from, to, column.dictionary, column.dictionaryCount, batchNumber, this.#ints, this.#count)
      this.#count += done
      if (done < to - from) this.#toPlain()
    }
    if (done === to - from) return
    const entries = new Int32Array(to - from - done)
    for (let i = 0; i < entries.length; i++) {
      const row = from + done + i
      entries[i] = column.ids[rows === null ? row : (rows[row] as number)] as number
    }
    const { offsets, data } = column.dictionary
    this.#copyEach(data, offsets, offsets, 1, entries, 0, entries.length)
  }

  /** Ends the sampling when enough values are there, and keeps no bytes of the batch alive. */
  #afterAppend(): void {
    if (this.#mode === 'sampling' && this.#count >= SAMPLE_COUNT) this.#decide()
    this.#dictionary?.forgetSource()
  }

  /** Looks at the first values of the row group only, so that the decision does not depend on how rows came in batches. */
  #decide(): void {
    const sample = Math.min(this.#count, SAMPLE_COUNT)
    const dictionary = (this.#dictionary ??= new ChunkDictionary(this.#dictionaryBytesMax))
    dictionary.clear()
    const lengths = this.#ints
    const ids = new Int32Array(this.#ints.length)
    let at = 0
    for (let i = 0; i < this.#count; i++) {
      const end = at + (lengths[i] as number)
      const id = dictionary.intern(this.#data, at, end)
      const tooMany = i < sample && dictionary.count > sample * SAMPLE_DISTINCT_SHARE
      if (id < 0 || tooMany) {
        this.#mode = 'plain'
        return
      }
      ids[i] = id
      at = end
    }
    this.#ints = ids
    this.#dataLength = 0
    this.#mode = 'dictionary'
  }

  #toDictionary(): void {
    this.#dictionary ??= new ChunkDictionary(this.#dictionaryBytesMax)
    this.#dictionary.clear()
    this.#mode = 'dictionary'
  }

  /** Writes the values behind the ids out again. */
  #toPlain(): void {
    const { data, offsets } = this.#dictionary as ChunkDictionary
    const entries = this.#ints.slice(0, this.#count)
    this.#mode = 'plain'
    this.#count = 0
    this.#dataLength = 0
    this.#copyEach(data, offsets, offsets, 1, entries, 0, entries.length)
  }

  /** Bytes of the values, lengths not counted. */
  #plainBytes(): number {
    if (this.#mode !== 'dictionary') return this.#dataLength
    const { offsets } = this.#dictionary as ChunkDictionary
    let total = 0
    for (let i = 0; i < this.#count; i++) {
      const id = this.#ints[i] as number
      total += (offsets[id + 1] as number) - (offsets[id] as number)
    }
    return total
  }

  settle(): void {
    if (this.#mode === 'sampling' && this.#count > 0) this.#decide()
    if (this.#mode === 'dictionary' && !this.#dictionaryPays()) this.#toPlain()
    this.#cursorCount = 0
    this.#cursorByte = 0
  }

  #dictionaryPays(): boolean {
    const { count, byteCount } = this.#dictionary as ChunkDictionary
    if (count === 0) return false
    if (count * 8 <= this.#count) return true
    const size = byteCount + count * 4 + (this.#count * bitWidth(count - 1)) / 8
    return size <= DICTIONARY_SHARE_MAX * (this.#plainBytes() + this.#count)
  }

  choose(pages: readonly ValueRange[]): Encoding {
    this.#pages = pages
    return this.#mode === 'dictionary' ? ENCODING.rleDictionary : ENCODING.deltaLengthByteArray
  }

  writeDictionary(out: ByteBuffer): number {
    if (this.#mode !== 'dictionary') return 0
    const { count, offsets, data, byteCount } = this.#dictionary as ChunkDictionary
    out.reserve(byteCount + count * 4)
    for (let id = 0; id < count; id++) {
      const start = offsets[id] as number
      const size = (offsets[id + 1] as number) - start
      out.uint32(size)
      copyBytes(data, start, size, out.bytes, out.length)
      out.length += size
    }
    return count
  }

  bounds(index: number): PageBounds {
    const { firstValue, endValue } = must(this.#pages[index], 'page')
    if (firstValue === endValue || this.schema.type.kind === 'json') return 'none'
    if (this.#mode === 'dictionary') return (this.#dictionary as ChunkDictionary).bounds(this.#ints, firstValue, endValue)
    return this.#plainBounds(firstValue, endValue)
  }

  /** Pages are asked for in order: the byte where this one starts follows from the one before. */
  #seek(start: number): number {
    if (start < this.#cursorCount) {
      this.#cursorCount = 0
      this.#cursorByte = 0
    }
    let at = this.#cursorByte
    for (let i = this.#cursorCount; i < start; i++) at += this.#ints[i] as number
    this.#cursorCount = start
    this.#cursorByte = at
    return at
  }

  #plainBounds(start: number, end: number): PageBounds {
    const data = this.#data
    const lengths = this.#ints
    let at = this.#seek(start)
    let minStart = at
    let minEnd = at + (lengths[start] as number)
    let maxStart = minStart
    let maxEnd = minEnd
    let minPrefix = prefix(data, minStart, minEnd)
    let maxPrefix = minPrefix
    at = minEnd
    for (let i = start + 1; i < end; i++) {
      const stop = at + (lengths[i] as number)
      const own = prefix(data, at, stop)
      if (own <= minPrefix && (own < minPrefix || compareBytes(data, at, stop, data, minStart, minEnd) < 0)) {
        minStart = at
        minEnd = stop
        minPrefix = own
      }
      if (own >= maxPrefix && (own > maxPrefix || compareBytes(data, at, stop, data, maxStart, maxEnd) > 0)) {
        maxStart = at
        maxEnd = stop
        maxPrefix = own
      }
      at = stop
    }
    return { min: data.subarray(minStart, minEnd), max: data.subarray(maxStart, maxEnd) }
  }

  writeValues(start: number, end: number, out: ByteBuffer): void {
    if (this.#mode === 'dictionary') return this.#writeIds(start, end, out)
    deltaNarrow(this.#ints, start, end, 0, out)
    const from = this.#seek(start)
    out.append(this.#data.subarray(from, this.#seek(end)))
  }

  #writeIds(start: number, end: number, out: ByteBuffer): void {
    const width = bitWidth((this.#dictionary as ChunkDictionary).count - 1)
    out.byte(width)
    if (start === end) return
    const first = this.#ints[start] as number
    let same = start + 1
    while (same < end && this.#ints[same] === first) same++
    if (same === end) return writeRun(first, end - start, width, out)
    out.varint((((end - start + 7) >>> 3) << 1) | 1)
    packBits(this.#ints, start, end, width, out)
  }

  sizeOf(start: number, end: number): number {
    if (this.#mode === 'dictionary') return 0
    let total = 0
    for (let i = start; i < end; i++) total += this.#ints[i] as number
    return total
  }

  usedBytes(): number {
    const values = this.#mode === 'dictionary' ? (this.#dictionary as ChunkDictionary).byteCount : this.#dataLength
    return values + this.#count * 4 + this.levels.usedBytes()
  }

  allocatedBytes(): number {
    return this.#data.length + this.#ints.length * 4 + (this.#dictionary?.allocatedBytes() ?? 0) + this.levels.allocatedBytes()
  }

  clear(release: boolean): void {
    this.#mode = 'sampling'
    this.#count = 0
    this.#dataLength = 0
    this.levels.clear(release)
    if (!release) return
    this.#ints = new Int32Array(0)
    this.#data = new Uint8Array(0)
    this.#dictionary = null
  }
}
