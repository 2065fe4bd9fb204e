// count, sum, mean, and min and max of numbers: loops over one column and one lane. Nulls are not counted, and nothing sums to null.
// Sums of integers are exact: f64 while they are safe, 64-bit integers beyond (the store promotes the column once); beyond 64 bits a sum
// stays at the largest integer. NaN is the largest number, as in PostgreSQL.
import type { Batch, Column } from '../codec/column.ts'
import type { Lane } from '../state/rows/row-format.ts'
import type { RowReader, TableStore } from '../state/store.ts'
import type { AggregateFunction } from './aggregate-function.ts'
import type { ColumnExpression } from './row-functions.ts'
import { StoreColumnReader } from './store-columns.ts'

const SAFE = Number.MAX_SAFE_INTEGER
const BIG_MOST = 2n ** 63n - 1n
const BIG_LEAST = -(2n ** 63n)

/** A number of JavaScript, or null: what a variant counts as in arithmetic. */
function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : null
}

/** The values of a column as doubles at their rows, and whether each is there. Reused from batch to batch. */
export class Doubles {
  values: Float64Array | Int32Array = new Float64Array(0)
  validity: Uint8Array | null = null
  #floats = new Float64Array(0)
  #validity = new Uint8Array(0)

  read(column: Column, rows: Int32Array, count: number, size: number): void {
    if (column.layout === 'f64' || column.layout === 'i32') {
      this.values = column.values
      this.validity = column.validity
      return
    }
    if (column.layout !== 'i64' && column.layout !== 'variant') throw new TypeError(`a column of layout ${column.layout} holds no numbers`)
    if (this.#floats.length < size) {
      this.#floats = new Float64Array(size)
      this.#validity = new Uint8Array(size)
    }
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const value = column.validity !== null && column.validity[row] !== 1 ? null : numberOf(column.values[row])
      this.#validity[row] = value === null ? 0 : 1
      this.#floats[row] = value ?? 0
    }
    this.values = this.#floats
    this.validity = this.#validity
  }
}

export class CountFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #lane: Lane
  readonly #reader: StoreColumnReader

  constructor(store: TableStore, column: number) {
    this.#store = store
    this.#column = column
    this.#lane = store.format.lanes[column] as Lane
    this.#reader = new StoreColumnReader(store, column)
  }

  add(_batch: Batch, _rows: Int32Array, slots: Int32Array, count: number): void {
    const { floats, pageBits, pageMask, stride } = this.#store.rows
    const { unit } = this.#lane
    const half = stride >> 1
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const page = floats[slot >>> pageBits] as Float64Array
      const at = (slot & pageMask) * half + unit
      page[at] = (page[at] as number) + 1
    }
  }

  results(slots: Int32Array, count: number): Column {
    return this.#reader.read(slots, null, count, count)
  }

  resultOf(row: RowReader): unknown {
    return row.number(this.#column)
  }
}

/** Sum as f64, or of integers as exact integers. */
export class SumFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #of: ColumnExpression
  readonly #lane: Lane
  readonly #reader: StoreColumnReader
  readonly #doubles = new Doubles()

  constructor(store: TableStore, column: number, of: ColumnExpression) {
    this.#store = store
    this.#column = column
    this.#of = of
    this.#lane = store.format.lanes[column] as Lane
    this.#reader = new StoreColumnReader(store, column)
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const values = this.#of.evaluate(batch, rows, count)
    const isExact = this.#lane.kind === 'integer'
    if (isExact && (values.layout === 'i64' || this.#store.isPromoted(this.#column))) return this.#addBigs(values, rows, slots, count)
    this.#doubles.read(values, rows, count, batch.rowCount)
    this.#addDoubles(rows, slots, count, isExact)
  }

  #addDoubles(rows: Int32Array, slots: Int32Array, count: number, isExact: boolean): void {
    const { words, floats, pageBits, pageMask, stride } = this.#store.rows
    const { unit, nullWord, nullMask } = this.#lane
    const { values, validity } = this.#doubles
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      const slot = slots[i] as number
      const page = slot >>> pageBits
      const at = (slot & pageMask) * stride
      const lanes = floats[page] as Float64Array
      const sum = (lanes[(at >> 1) + unit] as number) + (values[row] as number)
      if (isExact && (sum > SAFE || sum < -SAFE)) {
        this.#addBig(slot, BigInt(values[row] as number))
        // The column may be promoted now, which changes what the lanes hold.
        if (this.#store.isPromoted(this.#column)) return this.#addRest(rows, slots, i + 1, count)
        continue
      }
      lanes[(at >> 1) + unit] = sum
      const word = words[page] as Int32Array
      word[at + nullWord] = (word[at + nullWord] as number) & ~nullMask
    }
  }

  #addRest(rows: Int32Array, slots: Int32Array, from: number, count: number): void {
    const { values, validity } = this.#doubles
    for (let i = from; i < count; i++) {
      const row = rows[i] as number
      if (validity === null || validity[row] === 1) this.#addBig(slots[i] as number, BigInt(values[row] as number))
    }
  }

  #addBigs(values: Column, rows: Int32Array, slots: Int32Array, count: number): void {
    if (values.layout !== 'i64' && values.layout !== 'f64' && values.layout !== 'i32')
      throw new TypeError(`a column of layout ${values.layout} holds no integers`)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (values.validity === null || values.validity[row] === 1)
        this.#addBig(slots[i] as number, BigInt(values.values[row] as number | bigint))
    }
  }

  #addBig(slot: number, value: bigint): void {
    const row = this.#store.read(slot)
    const sum = row.isNull(this.#column) ? value : row.integer(this.#column) + value
    this.#store.setInteger(slot, this.#column, sum > BIG_MOST ? BIG_MOST : sum < BIG_LEAST ? BIG_LEAST : sum)
  }

  results(slots: Int32Array, count: number): Column {
    return this.#reader.read(slots, null, count, count)
  }

  resultOf(row: RowReader): unknown {
    if (row.isNull(this.#column)) return null
    return this.#lane.kind === 'integer' ? row.integer(this.#column) : row.number(this.#column)
  }
}

/** Sum and count of the values that are there, as f64; null without one. */
export class MeanFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #of: ColumnExpression
  readonly #sums: StoreColumnReader
  readonly #counts: StoreColumnReader
  readonly #doubles = new Doubles()
  #means = new Float64Array(0)
  #validity = new Uint8Array(0)

  /** `column` holds the sum, the next one the count. */
  constructor(store: TableStore, column: number, of: ColumnExpression) {
    this.#store = store
    this.#column = column
    this.#of = of
    this.#sums = new StoreColumnReader(store, column)
    this.#counts = new StoreColumnReader(store, column + 1)
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    this.#doubles.read(this.#of.evaluate(batch, rows, count), rows, count, batch.rowCount)
    const { values, validity } = this.#doubles
    const { floats, pageBits, pageMask, stride } = this.#store.rows
    const unit = (this.#store.format.lanes[this.#column] as Lane).unit
    const half = stride >> 1
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      const slot = slots[i] as number
      const page = floats[slot >>> pageBits] as Float64Array
      const at = (slot & pageMask) * half + unit
      page[at] = (page[at] as number) + (values[row] as number)
      page[at + 1] = (page[at + 1] as number) + 1
    }
  }

  results(slots: Int32Array, count: number): Column {
    if (this.#means.length < count) {
      this.#means = new Float64Array(count * 2)
      this.#validity = new Uint8Array(count * 2)
    }
    const sums = this.#sums.read(slots, null, count, count)
    const counts = this.#counts.read(slots, null, count, count)
    if (sums.layout !== 'f64' || counts.layout !== 'f64') throw new TypeError('sums and counts are f64')
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const number = counts.values[i] as number
      this.#means[i] = (sums.values[i] as number) / number
      this.#validity[i] = number === 0 ? 0 : 1
      if (number === 0) nulls++
    }
    return { layout: 'f64', values: this.#means, validity: nulls === 0 ? null : this.#validity }
  }

  resultOf(row: RowReader): unknown {
    const number = row.number(this.#column + 1)
    return number === 0 ? null : row.number(this.#column) / number
  }
}

/** Smallest or largest of numbers and times. */
export class NumberExtremeFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #of: ColumnExpression
  readonly #sign: 1 | -1
  readonly #lane: Lane
  readonly #reader: StoreColumnReader

  constructor(store: TableStore, column: number, of: ColumnExpression, wants: 'min' | 'max') {
    this.#store = store
    this.#column = column
    this.#of = of
    this.#sign = wants === 'max' ? 1 : -1
    this.#lane = store.format.lanes[column] as Lane
    this.#reader = new StoreColumnReader(store, column)
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const values = this.#of.evaluate(batch, rows, count)
    if (values.layout !== 'f64' && values.layout !== 'i32' && values.layout !== 'i64')
      throw new TypeError(`a column of layout ${values.layout} holds no numbers`)
    if (values.layout === 'i64' || this.#store.isPromoted(this.#column)) this.#addBigs(values.values, values.validity, rows, slots, count)
    else this.#addDoubles(values.values, values.validity, rows, slots, count)
  }

  #addDoubles(values: Float64Array | Int32Array, validity: Uint8Array | null, rows: Int32Array, slots: Int32Array, count: number): void {
    const { words, floats, pageBits, pageMask, stride } = this.#store.rows
    const { unit, nullWord, nullMask } = this.#lane
    const isMax = this.#sign === 1
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      const value = values[row] as number
      const slot = slots[i] as number
      const page = slot >>> pageBits
      const at = (slot & pageMask) * stride
      const lanes = floats[page] as Float64Array
      const word = words[page] as Int32Array
      const bits = word[at + nullWord] as number
      const known = lanes[(at >> 1) + unit] as number
      if ((bits & nullMask) === 0 && !(isMax ? value > known || value !== value : value < known || known !== known)) continue
      lanes[(at >> 1) + unit] = value
      word[at + nullWord] = bits & ~nullMask
    }
  }

  #addBigs(
    values: Float64Array | Int32Array | BigInt64Array,
    validity: Uint8Array | null,
    rows: Int32Array,
    slots: Int32Array,
    count: number,
  ): void {
    const store = this.#store
    const column = this.#column
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (validity !== null && validity[row] !== 1) continue
      const value = BigInt(values[row] as number | bigint)
      const slot = slots[i] as number
      const group = store.read(slot)
      if (!group.isNull(column)) {
        const known = group.integer(column)
        if (this.#sign === 1 ? value <= known : value >= known) continue
      }
      store.setInteger(slot, column, value)
    }
  }

  results(slots: Int32Array, count: number): Column {
    return this.#reader.read(slots, null, count, count)
  }

  resultOf(row: RowReader): unknown {
    if (row.isNull(this.#column)) return null
    return this.#lane.kind === 'integer' ? row.integer(this.#column) : row.number(this.#column)
  }
}
