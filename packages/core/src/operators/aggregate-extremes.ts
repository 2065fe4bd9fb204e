// min and max of texts and of values whose type is known per row only. Texts compare by their UTF-8 bytes, which is by code point. Of
// variants, booleans come before numbers, numbers before texts; anything else has no order and counts as null.
import { withBytes } from '../codec/column-value.ts'
import type { Batch, Column } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { TaggedReader, writeTagged } from '../codec/tagged.ts'
import type { RowReader, TableStore } from '../state/store.ts'
import type { AggregateFunction } from './aggregate-function.ts'
import type { ColumnExpression } from './row-functions.ts'
import { StoreColumnReader } from './store-columns.ts'

const decoder = new TextDecoder()

export class TextExtremeFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #of: ColumnExpression
  readonly #sign: 1 | -1
  readonly #reader: StoreColumnReader
  readonly #known = new GrowingBytes()
  #slot = 0

  constructor(store: TableStore, column: number, of: ColumnExpression, wants: 'min' | 'max') {
    this.#store = store
    this.#column = column
    this.#of = of
    this.#sign = wants === 'max' ? 1 : -1
    this.#reader = new StoreColumnReader(store, column)
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const values = this.#of.evaluate(batch, rows, count)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (values.validity !== null && values.validity[row] !== 1) continue
      this.#slot = slots[i] as number
      withBytes(values, row, this.#offer)
    }
  }

  readonly #offer = (data: Uint8Array, start: number, end: number): void => {
    const group = this.#store.read(this.#slot)
    if (!group.isNull(this.#column)) {
      this.#known.reset()
      group.copyBytes(this.#column, this.#known)
      if (compareBytes(data, start, end, this.#known.bytes, 0, this.#known.at) * this.#sign <= 0) return
    }
    this.#store.setBytes(this.#slot, this.#column, data, start, end)
  }

  results(slots: Int32Array, count: number): Column {
    return this.#reader.read(slots, null, count, count)
  }

  resultOf(row: RowReader): unknown {
    return row.isNull(this.#column) ? null : decoder.decode(row.bytes(this.#column))
  }
}

function compareBytes(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < length; i++) {
    const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}

export class VariantExtremeFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #of: ColumnExpression
  readonly #sign: 1 | -1
  readonly #reader: StoreColumnReader
  readonly #bytes = new GrowingBytes()

  constructor(store: TableStore, column: number, of: ColumnExpression, wants: 'min' | 'max') {
    this.#store = store
    this.#column = column
    this.#of = of
    this.#sign = wants === 'max' ? 1 : -1
    this.#reader = new StoreColumnReader(store, column)
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const column = this.#of.evaluate(batch, rows, count)
    if (column.layout !== 'variant') throw new TypeError(`a column of layout ${column.layout} is no variant`)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const value = column.validity !== null && column.validity[row] !== 1 ? null : column.values[row]
      if (rankOf(value) > 0) this.#offer(slots[i] as number, value)
    }
  }

  #offer(slot: number, value: unknown): void {
    const group = this.#store.read(slot)
    if (!group.isNull(this.#column) && compareVariants(value, this.#read(group)) * this.#sign <= 0) return
    this.#bytes.reset()
    writeTagged(this.#bytes, value)
    this.#store.setBytes(slot, this.#column, this.#bytes.bytes, 0, this.#bytes.at)
  }

  #read(row: RowReader): unknown {
    const bytes = row.bytes(this.#column)
    return new TaggedReader(bytes, 0, bytes.length).read()
  }

  results(slots: Int32Array, count: number): Column {
    return this.#reader.read(slots, null, count, count)
  }

  resultOf(row: RowReader): unknown {
    return row.isNull(this.#column) ? null : this.#read(row)
  }
}

function rankOf(value: unknown): number {
  if (typeof value === 'boolean') return 1
  if (typeof value === 'number' || typeof value === 'bigint') return 2
  return typeof value === 'string' ? 3 : 0
}

/** Order of two variants that have one. */
export function compareVariants(a: unknown, b: unknown): number {
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0) return rank
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b)
  const [left, right] = [a as number, b as number]
  if (left === right) return 0
  // NaN is the largest number.
  if (left !== left) return right !== right ? 0 : 1
  if (right !== right) return -1
  return left < right ? -1 : 1
}

/** By code point, as the bytes compare; `<` compares UTF-16 units. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at)
    const right = b.charCodeAt(at)
    if (left === right) continue
    const [isLeftHigh, isRightHigh] = [left >= 0xd800 && left <= 0xdfff, right >= 0xd800 && right <= 0xdfff]
    if (isLeftHigh !== isRightHigh) return isLeftHigh ? 1 : -1
    return left - right
  }
  return a.length - b.length
}
