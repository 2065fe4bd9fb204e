// count-distinct: exact. The values of each group lie in a store of their own, keyed by group and value; the group's row has their number.
// Rows are only added, so a value that is known changes nothing and costs no changelog record. The values of a window leave with it.
import type { Batch, Column } from '../codec/column.ts'
import type { RowReader, TableStore } from '../state/store.ts'
import { TimeIndex, timeColumn } from '../state/time-index.ts'
import type { AggregateFunction } from './aggregate-function.ts'
import { RowList } from './live-rows.ts'
import type { ColumnExpression } from './row-functions.ts'
import { CountFunction } from './aggregate-numbers.ts'

const WINDOW_END = 0

export class DistinctFunction implements AggregateFunction {
  readonly #count: CountFunction
  readonly #values: TableStore
  readonly #of: ColumnExpression
  readonly #index: TimeIndex | null
  readonly #windowMs: number | null
  readonly #rows = new RowList()
  readonly #groups = new RowList()
  readonly #found = new RowList()
  readonly #fresh = new RowList()
  #isNew = new Uint8Array(1024)
  #keyColumns: readonly Column[] = []

  /** `values` has one column, the end of the window, when windows of `windowMs` are aggregated, else none. */
  constructor(groups: TableStore, column: number, values: TableStore, of: ColumnExpression, windowMs: number | null) {
    this.#count = new CountFunction(groups, column)
    this.#values = values
    this.#of = of
    this.#windowMs = windowMs
    this.#index = windowMs !== null ? new TimeIndex(values, timeColumn(values, WINDOW_END), 0) : null
  }

  /** The columns of the group's key, for the rows of the next `add`. */
  bindKeys(columns: readonly Column[]): void {
    this.#keyColumns = columns
  }

  add(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const column = this.#of.evaluate(batch, rows, count)
    const present = this.#rows.reset(count)
    const groups = this.#groups.reset(count)
    let presentCount = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (isNull(column, row)) continue
      present[presentCount] = row
      groups[presentCount++] = slots[i] as number
    }
    const values = this.#values
    const found = this.#found.reset(presentCount)
    values.findOrInsertColumns([...this.#keyColumns, column], present, presentCount, found)
    if (values.newCount === 0) return
    this.#markNew()
    const fresh = this.#fresh.reset(presentCount)
    let freshCount = 0
    for (let i = 0; i < presentCount; i++) {
      const slot = found[i] as number
      if (this.#isNew[slot] !== 1) continue
      this.#isNew[slot] = 0
      fresh[freshCount++] = groups[i] as number
      if (this.#index === null) continue
      const end = this.#endOf(present[i] as number)
      values.setNumber(slot, WINDOW_END, end)
      this.#index.note(slot, end)
    }
    this.#count.add(batch, present, fresh, freshCount)
  }

  /** The window's start is the first column of the key. */
  #endOf(row: number): number {
    const [starts] = this.#keyColumns
    if (starts?.layout !== 'f64') throw new TypeError('the start of a window is a time')
    return (starts.values[row] as number) + (this.#windowMs ?? 0)
  }

  #markNew(): void {
    const { newSlots, newCount } = this.#values
    let last = 0
    for (let i = 0; i < newCount; i++) last = Math.max(last, newSlots[i] as number)
    if (last >= this.#isNew.length) this.#isNew = new Uint8Array(last * 2)
    for (let i = 0; i < newCount; i++) this.#isNew[newSlots[i] as number] = 1
  }

  /** Forgets the values of the windows that end at or before `endMs`. */
  expire(endMs: number): void {
    if (this.#index === null) return
    for (const slot of this.#index.takeDue(endMs)) this.#values.delete(slot)
  }

  results(slots: Int32Array, count: number): Column {
    return this.#count.results(slots, count)
  }

  resultOf(row: RowReader): unknown {
    return this.#count.resultOf(row)
  }
}

function isNull(column: Column, row: number): boolean {
  if (column.validity !== null && column.validity[row] !== 1) return true
  return column.layout === 'variant' && (column.values[row] ?? null) === null
}
