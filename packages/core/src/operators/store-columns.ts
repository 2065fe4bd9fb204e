// Between columns and the lanes of a store's rows: a column at a time, over many rows, without an object per value.
import { columnBuilder } from '../codec/column-builder.ts'
import { columnValue, withBytes } from '../codec/column-value.ts'
import type { Column, Field } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { TaggedReader, writeTagged } from '../codec/tagged.ts'
import type { Lane } from '../state/rows/row-format.ts'
import type { TableStore } from '../state/store.ts'

/** Bytes lanes hold text, bytes and json as they are, everything else tagged. */
function isTagged(field: Field): boolean {
  return field.type.kind === 'variant' || field.type.kind === 'list' || field.type.kind === 'struct'
}

/** Reads one value column of a store for many slots. Arrays are reused from call to call. */
export class StoreColumnReader {
  readonly #store: TableStore
  readonly #column: number
  readonly #lane: Lane
  #validity = new Uint8Array(0)
  #floats = new Float64Array(0)
  #bigs = new BigInt64Array(0)
  #integers = new Int32Array(0)
  #bools = new Uint8Array(0)
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  readonly #bytes = new GrowingBytes()

  constructor(store: TableStore, column: number) {
    this.#store = store
    this.#column = column
    this.#lane = store.format.lanes[column] as Lane
  }

  /**
   * The values of slots[0 .. count) as a column; value i stands at row rows[i], or i when `rows` is null, of `size`. A slot of -1 gives null.
   * Valid until the next call.
   */
  read(slots: Int32Array, rows: Int32Array | null, count: number, size: number): Column {
    if (this.#validity.length < size) this.#validity = new Uint8Array(size)
    const kind = this.#lane.field.type.kind
    if (this.#lane.kind === 'bytes') return this.#readBytes(slots, rows, count, size)
    if (this.#store.isPromoted(this.#column)) return this.#readBigs(slots, rows, count, size)
    if (this.#floats.length < size) this.#floats = new Float64Array(size)
    const validity = this.#readFloats(slots, rows, count, this.#floats) === 0 ? null : this.#validity
    if (kind === 'bool') return this.#asBools(size, validity)
    if (kind === 'i32') return this.#asIntegers(size, validity)
    return { layout: 'f64', values: this.#floats, validity }
  }

  #readFloats(slots: Int32Array, rows: Int32Array | null, count: number, out: Float64Array): number {
    const { words, floats, pageBits, pageMask, stride } = this.#store.rows
    const { unit, nullWord, nullMask } = this.#lane
    const validity = this.#validity
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const row = rows === null ? i : (rows[i] as number)
      if (slot < 0) {
        nulls++
        validity[row] = 0
        continue
      }
      const page = slot >>> pageBits
      const at = (slot & pageMask) * stride
      out[row] = (floats[page] as Float64Array)[(at >> 1) + unit] as number
      if (nullMask === 0) validity[row] = 1
      else {
        const isNull = ((words[page] as Int32Array)[at + nullWord] as number) & nullMask
        validity[row] = isNull === 0 ? 1 : 0
        if (isNull !== 0) nulls++
      }
    }
    return nulls
  }

  #asBools(size: number, validity: Uint8Array | null): Column {
    if (this.#bools.length < size) this.#bools = new Uint8Array(size)
    for (let row = 0; row < size; row++) this.#bools[row] = this.#floats[row] as number
    return { layout: 'bool', values: this.#bools, validity }
  }

  #asIntegers(size: number, validity: Uint8Array | null): Column {
    if (this.#integers.length < size) this.#integers = new Int32Array(size)
    for (let row = 0; row < size; row++) this.#integers[row] = this.#floats[row] as number
    return { layout: 'i32', values: this.#integers, validity }
  }

  /** A column whose values are all within ±2^53 is f64 again: that is what readers of the batch expect. */
  #readBigs(slots: Int32Array, rows: Int32Array | null, count: number, size: number): Column {
    if (this.#bigs.length < size) this.#bigs = new BigInt64Array(size)
    let nulls = 0
    let isSafe = true
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const row = rows === null ? i : (rows[i] as number)
      const isNull = slot < 0 || this.#isNull(slot)
      this.#validity[row] = isNull ? 0 : 1
      if (isNull) nulls++
      const value = isNull ? 0n : this.#big(slot)
      this.#bigs[row] = value
      if (value > 9007199254740991n || value < -9007199254740991n) isSafe = false
    }
    const validity = nulls === 0 ? null : this.#validity
    if (!isSafe) return { layout: 'i64', values: this.#bigs, validity }
    if (this.#floats.length < size) this.#floats = new Float64Array(size)
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      this.#floats[row] = Number(this.#bigs[row])
    }
    return { layout: 'f64', values: this.#floats, validity }
  }

  #isNull(slot: number): boolean {
    const { words, pageBits, pageMask, stride } = this.#store.rows
    const at = (slot & pageMask) * stride
    return (((words[slot >>> pageBits] as Int32Array)[at + this.#lane.nullWord] as number) & this.#lane.nullMask) !== 0
  }

  #big(slot: number): bigint {
    const { bigs, pageBits, pageMask, stride } = this.#store.rows
    return (bigs[slot >>> pageBits] as BigInt64Array)[(((slot & pageMask) * stride) >> 1) + this.#lane.unit] as bigint
  }

  #readBytes(slots: Int32Array, rows: Int32Array | null, count: number, size: number): Column {
    if (this.#starts.length < size) {
      this.#starts = new Int32Array(size)
      this.#ends = new Int32Array(size)
    }
    const into = this.#bytes
    into.reset()
    const validity = this.#readNulls(slots, rows, count) === 0 ? null : this.#validity
    this.#store.copyBytesOf(this.#column, slots, count, into, this.#starts, this.#ends)
    // Rows ascend and row i is never below i: from the last one down nothing is overwritten before it was moved.
    if (rows !== null)
      for (let i = count - 1; i >= 0; i--) {
        const row = rows[i] as number
        this.#starts[row] = this.#starts[i] as number
        this.#ends[row] = this.#ends[i] as number
      }
    if (isTagged(this.#lane.field)) return this.#untagged(validity, size, rows, count)
    return { layout: 'slice', starts: this.#starts, ends: this.#ends, data: into.bytes, validity }
  }

  #readNulls(slots: Int32Array, rows: Int32Array | null, count: number): number {
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const isNull = slot < 0 || this.#isNull(slot)
      this.#validity[rows === null ? i : (rows[i] as number)] = isNull ? 0 : 1
      if (isNull) nulls++
    }
    return nulls
  }

  #untagged(validity: Uint8Array | null, size: number, rows: Int32Array | null, count: number): Column {
    const values: unknown[] = Array.from({ length: size }, () => null)
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      if (validity === null || validity[row] === 1)
        values[row] = new TaggedReader(this.#bytes.bytes, this.#starts[row] as number, this.#ends[row] as number).read()
    }
    const builder = columnBuilder(this.#lane.field.type)
    for (const value of values) builder.append(value)
    return builder.finish()
  }
}

/** Writes one value column of a store from columns. The rows must be touched before. */
export class StoreColumnWriter {
  readonly #store: TableStore
  readonly #column: number
  readonly #lane: Lane
  readonly #tagged: GrowingBytes | null

  constructor(store: TableStore, column: number) {
    this.#store = store
    this.#column = column
    this.#lane = store.format.lanes[column] as Lane
    this.#tagged = isTagged(this.#lane.field) ? new GrowingBytes() : null
  }

  /** Row rows[i] of `source` becomes the value of slots[i], in order. A source of null sets nulls. */
  write(source: Column | null, slots: Int32Array, rows: Int32Array, count: number): void {
    if (source === null) {
      for (let i = 0; i < count; i++) this.#store.setNull(slots[i] as number, this.#column)
      return
    }
    if (this.#lane.kind === 'bytes') return this.#writeBytes(source, slots, rows, count)
    if (source.layout === 'i64' || this.#store.isPromoted(this.#column)) return this.#writeIntegers(source, slots, rows, count)
    if (source.layout === 'f64' || source.layout === 'i32' || source.layout === 'bool')
      return this.#writeNumbers(source.values, source.validity, slots, rows, count)
    throw new TypeError(`a column of layout ${source.layout} holds no numbers`)
  }

  #writeNumbers(
    values: Float64Array | Int32Array | Uint8Array,
    validity: Uint8Array | null,
    slots: Int32Array,
    rows: Int32Array,
    count: number,
  ): void {
    const { words, floats, pageBits, pageMask, stride } = this.#store.rows
    const { unit, nullWord, nullMask } = this.#lane
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const row = rows[i] as number
      const page = slot >>> pageBits
      const at = (slot & pageMask) * stride
      const word = words[page] as Int32Array
      const isPresent = validity === null || validity[row] === 1
      // The lane of a null is zero, so that equal rows have equal words.
      ;(floats[page] as Float64Array)[(at >> 1) + unit] = isPresent ? (values[row] as number) : 0
      const bits = word[at + nullWord] as number
      word[at + nullWord] = isPresent ? bits & ~nullMask : bits | nullMask
    }
  }

  #writeIntegers(source: Column, slots: Int32Array, rows: Int32Array, count: number): void {
    if (source.layout !== 'i64' && source.layout !== 'f64') throw new TypeError(`a column of layout ${source.layout} holds no integers`)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (source.validity !== null && source.validity[row] !== 1) this.#store.setNull(slots[i] as number, this.#column)
      else this.#store.setInteger(slots[i] as number, this.#column, BigInt(source.values[row] as number | bigint))
    }
  }

  #writeBytes(source: Column, slots: Int32Array, rows: Int32Array, count: number): void {
    const store = this.#store
    const column = this.#column
    const tagged = this.#tagged
    let slot = 0
    const put = (data: Uint8Array, start: number, end: number): void => store.setBytes(slot, column, data, start, end)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      slot = slots[i] as number
      if (source.validity !== null && source.validity[row] !== 1) store.setNull(slot, column)
      else if (tagged === null) withBytes(source, row, put)
      else {
        tagged.reset()
        writeTagged(tagged, columnValue(source, this.#lane.field.type, row))
        put(tagged.bytes, 0, tagged.at)
      }
    }
  }
}
