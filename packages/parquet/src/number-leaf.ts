// Leaves of fixed-size values: bool, i32, and the 64-bit kinds (f64, i64, time, decimal).
// 64-bit whole numbers stay doubles while every value is within ±2^53 and are promoted once per row group to a BigInt64Array:
// converting a number to a BigInt costs 20 ns, comparing and subtracting doubles 1 ns.
import { assert, must } from '@millrace/core/connect'
import type { Column } from '@millrace/core/connect'
import { packFlags } from './bit-packing.ts'
import { ByteBuffer } from './byte-buffer.ts'
import { deltaNarrow, deltaWide } from './delta.ts'
import { ENCODING, type Encoding, type Leaf, type PageBounds, type ValueRange } from './leaf.ts'
import { Levels } from './levels.ts'
import { bigRange, float64Range, int32Range, mergeRanges, type Range } from './range.ts'
import { type LeafSchema, PHYSICAL } from './schema.ts'

const INITIAL_COUNT = 64
/** Above this spread a difference may not fit 32 bits. */
const NARROW_SPREAD_MAX = 0x7fffffff
/** Delta must save at least a twentieth of PLAIN, else readers get the form that costs them nothing. */
const DELTA_SHARE_MAX = 0.95

let offsets = new Int32Array(0)
const trial = new ByteBuffer()

function capacity(have: number, wanted: number): number {
  return Math.max(wanted, have * 2, INITIAL_COUNT)
}

function wrongLayout(schema: LeafSchema, column: Column): never {
  assert(false, () => `field ${schema.path.join('.')} of kind ${schema.type.kind} got a column of layout ${column.layout}`)
}

abstract class FixedLeaf {
  readonly schema: LeafSchema
  readonly levels: Levels
  protected count = 0
  constructor(schema: LeafSchema) {
    this.schema = schema
    this.levels = new Levels(schema)
  }
  settle(): void {}
  writeDictionary(): number {
    return 0
  }
  sizeOf(): number {
    return 0
  }
}

export class BoolLeaf extends FixedLeaf implements Leaf {
  #values = new Uint8Array(0)
  #pages: readonly ValueRange[] = []

  #room(extra: number): Uint8Array {
    if (this.count + extra > this.#values.length) {
      const grown = new Uint8Array(capacity(this.#values.length, this.count + extra))
      grown.set(this.#values)
      this.#values = grown
    }
    return this.#values
  }

  appendRange(column: Column, from: number, to: number): void {
    if (column.layout !== 'bool') wrongLayout(this.schema, column)
    const values = this.#room(to - from)
    for (let i = from; i < to; i++) values[this.count++] = column.values[i] === 0 ? 0 : 1
  }

  appendAt(column: Column, rows: Int32Array, from: number, to: number): void {
    if (column.layout !== 'bool') wrongLayout(this.schema, column)
    const values = this.#room(to - from)
    for (let i = from; i < to; i++) values[this.count++] = column.values[rows[i] as number] === 0 ? 0 : 1
  }

  choose(pages: readonly ValueRange[]): Encoding {
    this.#pages = pages
    return ENCODING.plain
  }

  bounds(index: number): PageBounds {
    const { firstValue, endValue } = must(this.#pages[index], 'page')
    if (firstValue === endValue) return 'none'
    const page = this.#values.subarray(firstValue, endValue)
    return { min: Uint8Array.of(page.includes(0) ? 0 : 1), max: Uint8Array.of(page.includes(1) ? 1 : 0) }
  }

  writeValues(start: number, end: number, out: ByteBuffer): void {
    packFlags(this.#values, start, end, out)
  }

  usedBytes(): number {
    return this.count + this.levels.usedBytes()
  }

  allocatedBytes(): number {
    return this.#values.length + this.levels.allocatedBytes()
  }

  clear(release: boolean): void {
    this.count = 0
    this.levels.clear(release)
    if (release) this.#values = new Uint8Array(0)
  }
}

function bytesOf(values: Int32Array | Float64Array | BigInt64Array, start: number, end: number): Uint8Array {
  const size = values.BYTES_PER_ELEMENT
  return new Uint8Array(values.buffer, values.byteOffset + start * size, (end - start) * size)
}

/** Values of the first page that are encoded on trial. */
const TRIAL_COUNT = 2048

/** True when delta coding of the first values saves enough. */
function deltaPays(pages: readonly ValueRange[], valueSize: number, write: (end: number, out: ByteBuffer) => void): boolean {
  const count = Math.min(TRIAL_COUNT, pages.find((page) => page.endValue > 0)?.endValue ?? 0)
  trial.clear()
  write(count, trial)
  return trial.length <= count * valueSize * DELTA_SHARE_MAX
}

export class I32Leaf extends FixedLeaf implements Leaf {
  #values = new Int32Array(0)
  #ranges: readonly (Range<number> | null)[] = []
  #encoding: Encoding = ENCODING.plain

  #room(extra: number): Int32Array {
    if (this.count + extra > this.#values.length) {
      const grown = new Int32Array(capacity(this.#values.length, this.count + extra))
      grown.set(this.#values)
      this.#values = grown
    }
    return this.#values
  }

  appendRange(column: Column, from: number, to: number): void {
    if (column.layout !== 'i32') wrongLayout(this.schema, column)
    this.#room(to - from).set(column.values.subarray(from, to), this.count)
    this.count += to - from
  }

  appendAt(column: Column, rows: Int32Array, from: number, to: number): void {
    if (column.layout !== 'i32') wrongLayout(this.schema, column)
    const values = this.#room(to - from)
    const source = column.values
    let count = this.count
    for (let i = from; i < to; i++) values[count++] = source[rows[i] as number] as number
    this.count = count
  }

  choose(pages: readonly ValueRange[]): Encoding {
    const values = this.#values
    this.#ranges = pages.map(({ firstValue, endValue }) => (firstValue === endValue ? null : int32Range(values, firstValue, endValue)))
    const all = mergeRanges(this.#ranges)
    const narrow = all !== null && all.max - all.min <= NARROW_SPREAD_MAX
    const pays = narrow && deltaPays(pages, 4, (end, out) => deltaNarrow(values, 0, end, 0, out))
    return (this.#encoding = pays ? ENCODING.deltaBinaryPacked : ENCODING.plain)
  }

  bounds(index: number): PageBounds {
    const range = this.#ranges[index] ?? null
    if (range === null) return 'none'
    return { min: bytesOf(Int32Array.of(range.min), 0, 1), max: bytesOf(Int32Array.of(range.max), 0, 1) }
  }

  writeValues(start: number, end: number, out: ByteBuffer): void {
    if (this.#encoding === ENCODING.plain) out.append(bytesOf(this.#values, start, end))
    else deltaNarrow(this.#values, start, end, 0, out)
  }

  usedBytes(): number {
    return this.count * 4 + this.levels.usedBytes()
  }

  allocatedBytes(): number {
    return this.#values.length * 4 + this.levels.allocatedBytes()
  }

  clear(release: boolean): void {
    this.count = 0
    this.levels.clear(release)
    if (release) this.#values = new Int32Array(0)
  }
}

/** f64, i64, time and decimal. The physical type of the schema says what leaves: DOUBLE, INT64, INT32 or FIXED. */
export class WideLeaf extends FixedLeaf implements Leaf {
  #values = new Float64Array(0)
  /** Not null: some value of this row group is outside ±2^53, and all values are here. */
  #big: BigInt64Array<ArrayBuffer> | null = null
  #bounds: readonly PageBounds[] = []
  #encoding: Encoding = ENCODING.plain
  #narrow = false

  #room(extra: number): Float64Array {
    if (this.count + extra > this.#values.length) {
      const grown = new Float64Array(capacity(this.#values.length, this.count + extra))
      grown.set(this.#values)
      this.#values = grown
    }
    return this.#values
  }

  #bigRoom(extra: number): BigInt64Array {
    if (this.#big === null) {
      this.#big = this.#asBig(this.count + extra)
      this.#values = new Float64Array(0)
    } else if (this.count + extra > this.#big.length) {
      const grown = new BigInt64Array(capacity(this.#big.length, this.count + extra))
      grown.set(this.#big)
      this.#big = grown
    }
    return this.#big
  }

  /** The buffered doubles as 64-bit integers, through pairs of words. */
  #asBig(length: number): BigInt64Array<ArrayBuffer> {
    const big = new BigInt64Array(length)
    const words = new Int32Array(big.buffer)
    const values = this.#values
    for (let i = 0; i < this.count; i++) {
      const value = values[i] as number
      words[i * 2] = value | 0
      words[i * 2 + 1] = Math.floor(value / 4294967296)
    }
    return big
  }

  appendRange(column: Column, from: number, to: number): void {
    if (column.layout === 'f64' && this.#big === null) {
      this.#room(to - from).set(column.values.subarray(from, to), this.count)
      this.count += to - from
    } else if (column.layout === 'f64' || (column.layout === 'i64' && this.schema.type.kind !== 'f64')) {
      const big = this.#bigRoom(to - from)
      for (let i = from; i < to; i++) big[this.count++] = BigInt(column.values[i] as number | bigint)
    } else wrongLayout(this.schema, column)
  }

  appendAt(column: Column, rows: Int32Array, from: number, to: number): void {
    if (column.layout === 'f64' && this.#big === null) {
      const values = this.#room(to - from)
      const source = column.values
      let count = this.count
      for (let i = from; i < to; i++) values[count++] = source[rows[i] as number] as number
      this.count = count
    } else if (column.layout === 'f64' || (column.layout === 'i64' && this.schema.type.kind !== 'f64')) {
      const big = this.#bigRoom(to - from)
      for (let i = from; i < to; i++) big[this.count++] = BigInt(column.values[rows[i] as number] as number | bigint)
    } else wrongLayout(this.schema, column)
  }

  choose(pages: readonly ValueRange[]): Encoding {
    this.#encoding = ENCODING.plain
    this.#narrow = false
    const range = this.#measure(pages)
    const { physical, type } = this.schema
    if (range === null || type.kind === 'f64') return this.#encoding
    this.#assertPrecision(range)
    if (physical === PHYSICAL.fixed) return this.#encoding
    this.#narrow = this.#big === null && Number(range.max) - Number(range.min) <= NARROW_SPREAD_MAX
    if (physical === PHYSICAL.int32 && !this.#narrow) return this.#encoding
    // Values that need pairs of words are turned into them once; both forms give the same bytes.
    if (!this.#narrow && this.#big === null) this.#bigRoom(0)
    this.#encoding = ENCODING.deltaBinaryPacked
    const pays = deltaPays(pages, physical === PHYSICAL.int32 ? 4 : 8, (end, out) => this.writeValues(0, end, out))
    if (!pays) this.#encoding = ENCODING.plain
    return this.#encoding
  }

  /** Finds the bounds of every page; returns the range over all, null when there are no values or NaN is among them. */
  #measure(pages: readonly ValueRange[]): Range<number | bigint> | null {
    const big = this.#big
    const values = this.#values
    const ranges = pages.map(({ firstValue, endValue }): Range<number | bigint> | 'none' | 'unknown' => {
      if (firstValue === endValue) return 'none'
      return big === null ? (float64Range(values, firstValue, endValue) ?? 'unknown') : bigRange(big, firstValue, endValue)
    })
    this.#bounds = ranges.map((range) => (typeof range === 'string' ? range : this.#boundsOf(range)))
    return ranges.includes('unknown') ? null : mergeRanges(ranges.map((range) => (typeof range === 'string' ? null : range)))
  }

  #boundsOf({ min, max }: Range<number | bigint>): PageBounds {
    if (this.schema.physical !== PHYSICAL.double) return { min: this.#plain(BigInt(min)), max: this.#plain(BigInt(max)) }
    // The format's rule for zeros: the bounds must hold for both signs, because -0 and +0 are equal here and ordered elsewhere.
    const least = Number(min) === 0 ? -0 : Number(min)
    const most = Number(max) === 0 ? 0 : Number(max)
    return { min: bytesOf(Float64Array.of(least), 0, 1), max: bytesOf(Float64Array.of(most), 0, 1) }
  }

  /** A decimal beyond its precision would be cut off silently by INT32 and FIXED; the decoder must have refused it. */
  #assertPrecision({ min, max }: Range<number | bigint>): void {
    const { type, path } = this.schema
    if (type.kind !== 'decimal') return
    const limit = 10n ** BigInt(type.precision)
    assert(
      BigInt(max) < limit && BigInt(min) > -limit,
      () => `a value of ${path.join('.')} does not fit decimal(${type.precision},${type.scale})`,
    )
  }

  bounds(index: number): PageBounds {
    return this.#bounds[index] ?? 'none'
  }

  #plain(value: bigint): Uint8Array {
    const { physical, typeLength } = this.schema
    if (physical === PHYSICAL.int64) return bytesOf(BigInt64Array.of(value), 0, 1)
    if (physical === PHYSICAL.int32) return bytesOf(Int32Array.of(Number(value)), 0, 1)
    const bytes = new Uint8Array(typeLength)
    let rest = value
    for (let i = typeLength - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
    return bytes
  }

  writeValues(start: number, end: number, out: ByteBuffer): void {
    const { physical } = this.schema
    if (physical === PHYSICAL.double) out.append(bytesOf(this.#values, start, end))
    else if (physical === PHYSICAL.fixed) this.#writeFixed(start, end, out)
    else if (this.#encoding === ENCODING.plain) this.#writePlain(start, end, out)
    else if (this.#narrow) this.#writeNarrow(start, end, out)
    else deltaWide(this.#big as BigInt64Array<ArrayBuffer>, start, end, out)
  }

  #writeNarrow(start: number, end: number, out: ByteBuffer): void {
    const count = end - start
    if (offsets.length < count) offsets = new Int32Array(count)
    const values = this.#values
    const base = count > 0 ? (values[start] as number) : 0
    for (let i = 0; i < count; i++) offsets[i] = (values[start + i] as number) - base
    deltaNarrow(offsets, 0, count, base, out)
  }

  #writePlain(start: number, end: number, out: ByteBuffer): void {
    if (this.schema.physical === PHYSICAL.int32) {
      const values: Float64Array | BigInt64Array = this.#big ?? this.#values
      const ints = new Int32Array(end - start)
      for (let i = start; i < end; i++) ints[i - start] = Number(values[i])
      out.append(bytesOf(ints, 0, ints.length))
    } else {
      out.append(bytesOf(this.#big ?? this.#asBig(this.count), start, end))
    }
  }

  #writeFixed(start: number, end: number, out: ByteBuffer): void {
    const values: Float64Array | BigInt64Array = this.#big ?? this.#values
    for (let i = start; i < end; i++) out.append(this.#plain(BigInt(values[i] as number | bigint)))
  }

  usedBytes(): number {
    return this.count * 8 + this.levels.usedBytes()
  }

  allocatedBytes(): number {
    return (this.#values.length + (this.#big?.length ?? 0)) * 8 + this.levels.allocatedBytes()
  }

  clear(release: boolean): void {
    this.count = 0
    this.#big = null
    this.levels.clear(release)
    if (release) this.#values = new Float64Array(0)
  }
}
