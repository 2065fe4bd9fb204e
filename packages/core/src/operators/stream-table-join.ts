// Each stream row (input 0) meets the table's row of the same key, as the table is at that moment; rows of input 1 change the table: weight
// above 0 upserts, below 0 deletes by key. Within a tick the table's rows come first. A missing key matches nothing.
// inner drops and counts rows without a match; left keeps them with nulls. Rows keep number, time, weight and origin: the table's columns
// are gathered to the rows' places. Law: the result equals a map look-up per row (stream-table-join.property.test.ts).
import { columnValue } from '../codec/column-value.ts'
import type { Batch, Column, Field } from '../codec/column.ts'
import type { TableStore } from '../state/store.ts'
import { liveRows, RowList, withRows } from './live-rows.ts'
import { MadeRows } from './made-rows.ts'
import type { Operator, OperatorContext } from './operator.ts'
import type { KeySource, LambdaRows, UserFunction } from './row-functions.ts'
import { StoreColumnReader } from './store-columns.ts'
import { ToTableOperator } from './to-table.ts'

/** A column of the result. */
export type JoinColumn =
  | { readonly from: 'stream'; readonly column: number }
  | { readonly from: 'table'; readonly column: number }
  | { readonly from: 'key'; readonly column: number }

export interface JoinOptions {
  readonly store: TableStore
  /** Keys of both sides with the fields of the store's key; rows whose key is missing are left out. */
  readonly streamKeys: KeySource
  readonly tableKeys: KeySource
  /** For each value column of the store, the column of the table's rows, or `ROW_VALUE`. */
  readonly tableValues: readonly number[]
  readonly type: 'inner' | 'left'
  /** Columns: `table` counts the store's value columns, `key` the stream's key columns. Or a lambda of the row and the table's row or null. */
  readonly output: readonly JoinColumn[] | JoinLambda
  /** The table is read whole in every incarnation: rows that it no longer has are dropped. */
  readonly reloads: boolean
}

export interface JoinLambda {
  readonly lambda: UserFunction
  readonly rows: LambdaRows
  /** Names of the table's fields: its key fields, then the store's value columns; null when the table's rows are open. */
  readonly tableFields: readonly Field[] | null
  readonly fields: readonly Field[] | null
}

const STREAM = 0

export class StreamTableJoinOperator implements Operator {
  readonly #context: OperatorContext
  readonly #options: JoinOptions
  readonly #store: TableStore
  readonly #table: ToTableOperator
  readonly #readers: readonly StoreColumnReader[]
  readonly #made: MadeRows | null
  readonly #slots = new RowList()
  readonly #matched = new RowList()
  readonly #validity = new ValidityList()
  #slotOfRow = new Int32Array(0)
  /** Slots that the table's file has filled so far; null once the file was read to its end, or when there is none. */
  #loaded: Set<number> | null

  constructor(context: OperatorContext, options: JoinOptions) {
    this.#context = context
    this.#options = options
    this.#store = options.store
    this.#loaded = options.reloads ? new Set() : null
    this.#table = new ToTableOperator(context, {
      store: options.store,
      keys: options.tableKeys,
      values: options.tableValues,
      retentionMs: null,
    })
    this.#readers = options.tableValues.map((_, column) => new StoreColumnReader(options.store, column))
    this.#made = 'lambda' in options.output ? new MadeRows(options.output.fields) : null
  }

  startTick(): void {
    // The table is what it is when a row meets it.
  }

  process(input: number, batch: Batch): void {
    if (input !== STREAM) return this.#change(batch)
    this.#finishLoading()
    const { rows, slots, count } = this.#options.type === 'inner' ? this.#matchInner(batch) : this.#matchLeft(batch)
    if (count === 0) return
    const { output } = this.#options
    if ('lambda' in output) this.#combine(output, batch, rows, slots, count)
    else
      this.#context.output.push({
        ...withRows(batch, rows, count),
        columns: this.#columns(output, batch, rows, slots, count),
        values: null,
      })
  }

  #change(batch: Batch): void {
    this.#table.process(0, batch)
    if (this.#loaded === null) return
    const { columns, rows, count } = this.#options.tableKeys.read(batch, liveRows(batch), batch.selectedCount)
    const slots = this.#slots.reset(count)
    this.#store.findColumns(columns, rows, count, slots)
    for (let i = 0; i < count; i++) this.#loaded.add(slots[i] as number)
  }

  /** Before the first row of a stream the file has been read to its end: what it did not name is gone. */
  #finishLoading(): void {
    const loaded = this.#loaded
    if (loaded === null) return
    this.#loaded = null
    const stale: number[] = []
    this.#store.scan(0, Infinity, (slot) => {
      if (!loaded.has(slot)) stale.push(slot)
    })
    for (const slot of stale) this.#store.delete(slot)
  }

  #matchInner(batch: Batch): { readonly rows: Int32Array; readonly slots: Int32Array; readonly count: number } {
    const keyed = this.#options.streamKeys.read(batch, liveRows(batch), batch.selectedCount)
    const slots = this.#slots.reset(keyed.count)
    const rows = this.#matched.reset(keyed.count)
    this.#store.findColumns(keyed.columns, keyed.rows, keyed.count, slots)
    let count = 0
    for (let i = 0; i < keyed.count; i++) {
      const slot = slots[i] as number
      if (slot < 0) continue
      slots[count] = slot
      rows[count++] = keyed.rows[i] as number
    }
    this.#context.counters.rowsDropped += batch.selectedCount - count
    this.#keyColumns = keyed.columns
    return { rows, slots, count }
  }

  #keyColumns: readonly Column[] = []

  #matchLeft(batch: Batch): { readonly rows: Int32Array; readonly slots: Int32Array; readonly count: number } {
    const live = liveRows(batch)
    const count = batch.selectedCount
    const keyed = this.#options.streamKeys.read(batch, live, count)
    const slots = this.#slots.reset(count)
    this.#store.findColumns(keyed.columns, keyed.rows, keyed.count, slots)
    this.#keyColumns = keyed.columns
    if (keyed.count === count) return { rows: live, slots, count }
    // Rows without a key take their place among the others, without a match.
    if (this.#slotOfRow.length < batch.rowCount) this.#slotOfRow = new Int32Array(batch.rowCount * 2)
    const slotOfRow = this.#slotOfRow
    for (let i = 0; i < count; i++) slotOfRow[live[i] as number] = -1
    for (let i = 0; i < keyed.count; i++) slotOfRow[keyed.rows[i] as number] = slots[i] as number
    for (let i = 0; i < count; i++) slots[i] = slotOfRow[live[i] as number] as number
    return { rows: live, slots, count }
  }

  #columns(output: readonly JoinColumn[], batch: Batch, rows: Int32Array, slots: Int32Array, count: number): readonly (Column | null)[] {
    return output.map((column): Column | null => {
      if (column.from === 'stream') return batch.columns[column.column] ?? null
      if (column.from === 'table') return (this.#readers[column.column] as StoreColumnReader).read(slots, rows, count, batch.rowCount)
      return { ...(this.#keyColumns[column.column] as Column), validity: this.#validity.of(rows, slots, count, batch.rowCount) }
    })
  }

  #combine(output: JoinLambda, batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const made = this.#made as MadeRows
    const columns = [...this.#keyColumns, ...this.#readers.map((reader) => reader.read(slots, rows, count, batch.rowCount))]
    made.begin(batch)
    output.rows.bind(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const given = output.rows.at(row)
      try {
        const result = output.lambda(given, (slots[i] as number) < 0 ? null : tableRow(output.tableFields, columns, row))
        made.add(row, result === given && batch.values === null ? { ...(given as object) } : result)
      } catch (error) {
        this.#context.deadLetters.reject(this.#context.name, STREAM, batch, row, error)
      }
    }
    output.rows.release()
    if (made.count > 0) this.#context.output.push(made.finish())
  }

  endTick(): void {
    this.#finishLoading()
  }

  nextDue(): number {
    return Infinity
  }
}

/** The table's row as an object; open rows are the last column as it is. */
function tableRow(fields: readonly Field[] | null, columns: readonly Column[], row: number): unknown {
  if (fields === null) return columnValue(columns.at(-1) as Column, { kind: 'variant' }, row)
  const result: Record<string, unknown> = {}
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index] as Field
    result[field.name] = columnValue(columns[index] as Column, field.type, row)
  }
  return result
}

/** Marks the rows that have a match; reused. */
class ValidityList {
  #bytes = new Uint8Array(0)

  of(rows: Int32Array, slots: Int32Array, count: number, size: number): Uint8Array | null {
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(size * 2)
    let missing = 0
    for (let i = 0; i < count; i++) {
      const found = (slots[i] as number) >= 0
      this.#bytes[rows[i] as number] = found ? 1 : 0
      if (!found) missing++
    }
    return missing === 0 ? null : this.#bytes
  }
}
