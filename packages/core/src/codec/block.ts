// Blocks: the selected rows of a batch as bytes, column by column, for internal topics (exchange, sink feed, dead letters).
// One record of an internal topic holds one block: copying columns costs 1-2 ns per value where a record per row costs 50 ns of framing.
// Layout, little endian, every array aligned to 8 bytes from the block's start:
//   u32 version (1) | u32 rows | u32 columns | u32 flags (1 = weights) | f64 times[rows] | i32 weights[rows]? | columns
//   column: u8 layout | u8 hasValidity | u16 0 | u32 byteLength (of what follows, without padding) | u8 validity[rows]? | arrays of the layout
// Fields are not repeated in the block: the reader decodes by the layout id that stands in the batch's header record.
import { assert, unreachable } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { JSON_DEPTH_MAX } from './json/scan.ts'
import type { Batch, BytesColumn, Column, Field } from './column.ts'

const VERSION = 1
const HEADER_BYTES = 16
const LAYOUTS = ['null', 'bool', 'i32', 'f64', 'i64', 'bytes', 'dictionary', 'list', 'struct', 'variant'] as const
type LayoutName = (typeof LAYOUTS)[number]

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function aligned(at: number): number {
  return (at + 7) & ~7
}

/** Grows as needed and is reused from block to block. */
export class BlockWriter {
  #bytes = new Uint8Array(256 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /**
   * Encodes rows `rows[0..count)` of `batch` (all of its columns). The result is a view, valid until the next call.
   * Integers above ±2^53 keep their exactness (BigColumn); slices and dictionaries are written as bytes or as a compacted dictionary.
   */
  write(batch: Batch, fields: readonly Field[], rows: Int32Array, count: number): Uint8Array {
    this.#at = 0
    this.#reserve(HEADER_BYTES + count * 12 + 16)
    this.#view.setUint32(0, VERSION, true)
    this.#view.setUint32(4, count, true)
    this.#view.setUint32(8, fields.length, true)
    this.#view.setUint32(12, batch.weights === null ? 0 : 1, true)
    this.#at = HEADER_BYTES
    this.#f64(batch.times, rows, count)
    if (batch.weights !== null) this.#i32(batch.weights, rows, count)
    for (let index = 0; index < fields.length; index++) this.#column(batch.columns[index] ?? null, rows, count)
    return this.#bytes.subarray(0, this.#at)
  }

  #reserve(more: number): void {
    const needed = this.#at + more + 8
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }

  #pad(): void {
    const end = aligned(this.#at)
    this.#bytes.fill(0, this.#at, end)
    this.#at = end
  }

  #f64(values: Float64Array, rows: Int32Array, count: number): void {
    this.#reserve(count * 8)
    const target = new Float64Array(this.#bytes.buffer, this.#at, count)
    for (let i = 0; i < count; i++) target[i] = values[rows[i] as number] as number
    this.#at += count * 8
  }

  #i32(values: Int32Array, rows: Int32Array, count: number): void {
    this.#reserve(count * 4)
    const target = new Int32Array(this.#bytes.buffer, this.#at, count)
    for (let i = 0; i < count; i++) target[i] = values[rows[i] as number] as number
    this.#at += count * 4
    this.#pad()
  }

  #u8(values: Uint8Array, rows: Int32Array, count: number): void {
    this.#reserve(count)
    const bytes = this.#bytes
    const at = this.#at
    for (let i = 0; i < count; i++) bytes[at + i] = values[rows[i] as number] as number
    this.#at += count
    this.#pad()
  }

  #columnHeader(layout: LayoutName, hasValidity: boolean): number {
    this.#reserve(8)
    const at = this.#at
    this.#bytes[at] = LAYOUTS.indexOf(layout)
    this.#bytes[at + 1] = hasValidity ? 1 : 0
    this.#view.setUint16(at + 2, 0, true)
    this.#at += 8
    return at
  }

  #column(column: Column | null, rows: Int32Array, count: number): void {
    if (column === null) {
      this.#columnHeader('null', false)
      return
    }
    const written = column.layout === 'slice' ? 'bytes' : column.layout
    const header = this.#columnHeader(written, column.validity !== null)
    const start = this.#at
    if (column.validity !== null) this.#u8(column.validity, rows, count)
    this.#values(column, rows, count)
    this.#view.setUint32(header + 4, this.#at - start, true)
  }

  #values(column: Column, rows: Int32Array, count: number): void {
    switch (column.layout) {
      case 'bool':
        return this.#u8(column.values, rows, count)
      case 'i32':
        return this.#i32(column.values, rows, count)
      case 'f64':
        return this.#f64(column.values, rows, count)
      case 'i64': {
        this.#reserve(count * 8)
        const target = new BigInt64Array(this.#bytes.buffer, this.#at, count)
        for (let i = 0; i < count; i++) target[i] = column.values[rows[i] as number] as bigint
        this.#at += count * 8
        return
      }
      case 'bytes':
        return this.#slices(column.data, column.offsets, column.offsets, 1, column.validity, rows, count)
      case 'slice':
        return this.#slices(column.data, column.starts, column.ends, 0, column.validity, rows, count)
      case 'dictionary':
        return this.#dictionary(column.ids, column.dictionary, column.validity, rows, count)
      case 'list':
        return this.#list(column.offsets, column.items, column.validity, rows, count)
      case 'struct':
        this.#reserve(8)
        this.#view.setUint32(this.#at, column.children.length, true)
        this.#at += 4
        this.#pad()
        for (const child of column.children) this.#column(child, rows, count)
        return
      case 'variant':
        return this.#variants(column.values, rows, count)
      default:
        unreachable(column, 'column layout')
    }
  }

  /** Row i is data[starts[i] .. ends[i + shift]); null rows are written empty. */
  #slices(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    shift: number,
    validity: Uint8Array | null,
    rows: Int32Array,
    count: number,
  ): void {
    let total = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity === null || validity[row] === 1) total += (ends[row + shift] as number) - (starts[row] as number)
    }
    this.#reserve((count + 1) * 4 + total + 16)
    const offsets = new Int32Array(this.#bytes.buffer, this.#at, count + 1)
    this.#at += (count + 1) * 4
    const base = this.#at
    const bytes = this.#bytes
    let at = base
    for (let i = 0; i < count; i++) {
      offsets[i] = at - base
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      const from = starts[row] as number
      const to = ends[row + shift] as number
      // Short values are copied by hand: a call to set() costs more than 24 byte stores.
      if (to - from <= 24) for (let j = from; j < to; j++) bytes[at++] = data[j] as number
      else {
        bytes.set(data.subarray(from, to), at)
        at += to - from
      }
    }
    offsets[count] = at - base
    this.#at = at
    this.#pad()
  }

  #dictionary(ids: Int32Array, dictionary: BytesColumn, validity: Uint8Array | null, rows: Int32Array, count: number): void {
    const compact = new Map<number, number>()
    const used: number[] = []
    this.#reserve(count * 4 + 16)
    const target = new Int32Array(this.#bytes.buffer, this.#at, count)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) {
        target[i] = 0
        continue
      }
      const id = ids[row] as number
      let small = compact.get(id)
      if (small === undefined) {
        small = used.length
        compact.set(id, small)
        used.push(id)
      }
      target[i] = small
    }
    this.#at += count * 4
    this.#pad()
    this.#view.setUint32(this.#at, used.length, true)
    this.#at += 4
    // The offsets start 4-aligned right behind the count.
    this.#slices(dictionary.data, dictionary.offsets, dictionary.offsets, 1, null, Int32Array.from(used), used.length)
  }

  #list(offsets: Int32Array, items: Column, validity: Uint8Array | null, rows: Int32Array, count: number): void {
    let total = 0
    const lengths = new Int32Array(count + 1)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      lengths[i] = total
      if (validity === null || validity[row] === 1) total += (offsets[row + 1] as number) - (offsets[row] as number)
    }
    lengths[count] = total
    const itemRows = new Int32Array(total)
    let at = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      for (let item = offsets[row] as number; item < (offsets[row + 1] as number); item++) itemRows[at++] = item
    }
    this.#reserve((count + 1) * 4 + 16)
    this.#view.setUint32(this.#at, total, true)
    this.#at += 4
    new Int32Array(this.#bytes.buffer, this.#at, count + 1).set(lengths)
    this.#at += (count + 1) * 4
    this.#pad()
    this.#column(items, itemRows, total)
  }

  /** Variants are rare and never hot: tagged JSON text, with bigint as {"$bigint": "..."}. */
  #variants(values: readonly unknown[], rows: Int32Array, count: number): void {
    const picked: unknown[] = []
    for (let i = 0; i < count; i++) picked.push(values[rows[i] as number] ?? null)
    const text = encoder.encode(
      JSON.stringify(picked, (_key, value: unknown) => (typeof value === 'bigint' ? { $bigint: value.toString() } : value)),
    )
    // The reader walks into what it reads: what would exhaust its stack is not written. The list of the rows is one level more.
    if (isDeeperThan(text, JSON_DEPTH_MAX + 1))
      throw new MillraceError('MR_CODEC_JSON_INVALID', { message: `the row is nested deeper than ${JSON_DEPTH_MAX}.` })
    this.#reserve(text.length + 16)
    this.#view.setUint32(this.#at, text.length, true)
    this.#bytes.set(text, this.#at + 4)
    this.#at += 4 + text.length
    this.#pad()
  }
}

/** Whether lists and objects of a JSON text stand deeper in each other. */
function isDeeperThan(text: Uint8Array, most: number): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] as number
    if (inString) {
      if (byte === 92) at++
      else if (byte === 34) inString = false
    } else if (byte === 34) inString = true
    else if (byte === 91 || byte === 123) {
      if (++depth > most) return true
    } else if (byte === 93 || byte === 125) depth--
  }
  return false
}

/** Reads one block. Arrays are views into `bytes` where alignment allows, so the batch lives as long as the bytes. */
export function readBlock(bytes: Uint8Array, start: number, end: number): Batch {
  return new BlockReader(bytes, start, end).batch()
}

class BlockReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    // Typed-array views need 8-byte alignment; a block inside fetched bytes rarely has it, so it is copied once (10 GB/s).
    const at = bytes.byteOffset + start
    this.#bytes = at % 8 === 0 ? bytes.subarray(start, end) : bytes.slice(start, end)
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
  }

  batch(): Batch {
    if (this.#bytes.length < HEADER_BYTES || this.#view.getUint32(0, true) !== VERSION)
      throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'not a block of a known version.' })
    const rowCount = this.#view.getUint32(4, true)
    const columnCount = this.#view.getUint32(8, true)
    const flags = this.#view.getUint32(12, true)
    this.#at = HEADER_BYTES
    const times = this.#floats(rowCount)
    const weights = (flags & 1) === 1 ? this.#ints(rowCount) : null
    const columns: (Column | null)[] = []
    for (let index = 0; index < columnCount; index++) columns.push(this.#column(rowCount))
    return { rowCount, columns, times, weights, selected: null, selectedCount: rowCount, origin: null, originRows: null, values: null }
  }

  #take(length: number): number {
    const at = this.#at
    if (at + length > this.#bytes.length) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a block ends early.' })
    this.#at = at + length
    return this.#bytes.byteOffset + at
  }

  #floats(count: number): Float64Array {
    return new Float64Array(this.#bytes.buffer, this.#take(count * 8), count)
  }

  #ints(count: number): Int32Array {
    const values = new Int32Array(this.#bytes.buffer, this.#take(count * 4), count)
    this.#at = aligned(this.#at)
    return values
  }

  #octets(count: number): Uint8Array {
    const values = new Uint8Array(this.#bytes.buffer, this.#take(count), count)
    this.#at = aligned(this.#at)
    return values
  }

  #u32(): number {
    const at = this.#take(4) - this.#bytes.byteOffset
    return this.#view.getUint32(at, true)
  }

  #column(rows: number): Column | null {
    const head = this.#take(8) - this.#bytes.byteOffset
    const layout = LAYOUTS[this.#bytes[head] as number]
    if (layout === undefined) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a block names an unknown column layout.' })
    const length = this.#view.getUint32(head + 4, true)
    if (layout === 'null') return null
    const start = this.#at
    const validity = this.#bytes[head + 1] === 1 ? this.#octets(rows) : null
    const column = this.#values(layout, rows, validity)
    assert(this.#at === start + length, 'a block column has the length that its header says')
    return column
  }

  #values(layout: Exclude<LayoutName, 'null'>, rows: number, validity: Uint8Array | null): Column {
    switch (layout) {
      case 'bool':
        return { layout, values: this.#octets(rows), validity }
      case 'i32':
        return { layout, values: this.#ints(rows), validity }
      case 'f64':
        return { layout, values: this.#floats(rows), validity }
      case 'i64':
        return { layout, values: new BigInt64Array(this.#bytes.buffer, this.#take(rows * 8), rows), validity }
      case 'bytes':
        return this.#slices(rows, validity)
      case 'dictionary': {
        const ids = this.#ints(rows)
        const dictionaryCount = this.#u32()
        return { layout, ids, dictionary: this.#slices(dictionaryCount, null), dictionaryCount, validity }
      }
      case 'list': {
        const total = this.#u32()
        const offsets = this.#ints(rows + 1)
        const items = this.#column(total)
        if (items === null) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a list without items.' })
        return { layout, offsets, items, validity }
      }
      case 'struct': {
        const count = this.#u32()
        this.#at = aligned(this.#at)
        const children: Column[] = []
        for (let index = 0; index < count; index++) {
          const child = this.#column(rows)
          if (child === null) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a struct without one of its fields.' })
          children.push(child)
        }
        return { layout, children, validity }
      }
      case 'variant': {
        const length = this.#u32()
        const at = this.#take(length) - this.#bytes.byteOffset
        this.#at = aligned(this.#at)
        const values = JSON.parse(decoder.decode(this.#bytes.subarray(at, at + length)), reviveBigint) as unknown[]
        return { layout, values, validity }
      }
      default:
        return unreachable(layout, 'block layout')
    }
  }

  #slices(rows: number, validity: Uint8Array | null): BytesColumn {
    const offsets = new Int32Array(this.#bytes.buffer, this.#take((rows + 1) * 4), rows + 1)
    const length = offsets[rows] as number
    const at = this.#take(length)
    const data = new Uint8Array(this.#bytes.buffer, at, length)
    this.#at = aligned(this.#at)
    return { layout: 'bytes', offsets, data, validity }
  }
}

function reviveBigint(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const keys = Object.keys(value)
  if (keys.length === 1 && keys[0] === '$bigint') return BigInt((value as { readonly $bigint: string }).$bigint)
  return value
}
