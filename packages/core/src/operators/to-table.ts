// Keeps the newest row per primary key in a store that queries read: weight above 0 upserts, below 0 deletes by key, in order.
// Rows leave when the watermark at a tick's end is the retention or more ahead of their event time; a row that comes later than that is
// kept until the end of its tick. The end of all inputs (a watermark of +Infinity) is no passing of time: the table stays. Law: the table equals a map that the same rows were put into one by one (to-table.property.test.ts).
import type { Batch, Column } from '../codec/column.ts'
import { IMAGE_WORD } from '../state/rows/row-format.ts'
import type { TableStore } from '../state/store.ts'
import { TimeIndex, timeColumn } from '../state/time-index.ts'
import { liveRows, RowList } from './live-rows.ts'
import type { Operator, OperatorContext, TickEnd } from './operator.ts'
import type { KeySource } from './row-functions.ts'
import { StoreColumnWriter } from './store-columns.ts'

/** Rows to forget lie in about this many lists. */
const RETENTION_LISTS = 64

/** In place of a column's index: the row's event time; the row itself, as a JavaScript value. */
export const ROW_TIME = -1
export const ROW_VALUE = -2

export interface ToTableOptions {
  readonly store: TableStore
  readonly keys: KeySource
  /** For each value column of the store, the column of the input, or `ROW_TIME` or `ROW_VALUE`. */
  readonly values: readonly number[]
  readonly retentionMs: number | null
}

export class ToTableOperator implements Operator {
  readonly #context: OperatorContext
  readonly #store: TableStore
  readonly #keys: KeySource
  readonly #values: readonly { readonly from: number; readonly writer: StoreColumnWriter }[]
  readonly #retentionMs: number | null
  readonly #index: TimeIndex | null
  readonly #slots = new RowList()
  readonly #upserts = new RowList()
  readonly #upsertSlots = new RowList()
  /** By number of change in the tick: 1 where a later row of the batch decides. */
  #decided = new Uint8Array(1024)

  constructor(context: OperatorContext, options: ToTableOptions) {
    const { store, retentionMs } = options
    this.#context = context
    this.#store = store
    this.#keys = options.keys
    this.#values = options.values.map((from, column) => ({ from, writer: new StoreColumnWriter(store, column) }))
    this.#retentionMs = retentionMs
    const timeAt = options.values.indexOf(ROW_TIME)
    this.#index =
      retentionMs === null ? null : new TimeIndex(store, timeColumn(store, timeAt), Math.max(1, Math.ceil(retentionMs / RETENTION_LISTS)))
  }

  startTick(): void {
    // Retention is decided when the tick ends.
  }

  process(_input: number, batch: Batch): void {
    const keyed = this.#keys.read(batch, liveRows(batch), batch.selectedCount)
    const { rows, count } = keyed
    if (count === 0) return
    const slots = this.#slots.reset(count)
    this.#store.findOrInsertColumns(keyed.columns, rows, count, slots)
    this.#store.touchAll(slots, count)
    if (batch.weights === null) this.#upsert(batch, rows, slots, count)
    else this.#apply(batch, batch.weights, rows, slots, count)
  }

  /** All values of a row are replaced, so of several rows with one key only the last counts: upserts first, then the deletes that are last. */
  #apply(batch: Batch, weights: Int32Array, rows: Int32Array, slots: Int32Array, count: number): void {
    const upserts = this.#upserts.reset(count)
    const upsertSlots = this.#upsertSlots.reset(count)
    let upsertCount = 0
    for (let i = 0; i < count; i++) {
      if ((weights[rows[i] as number] as number) <= 0) continue
      upserts[upsertCount] = rows[i] as number
      upsertSlots[upsertCount++] = slots[i] as number
    }
    this.#upsert(batch, upserts, upsertSlots, upsertCount)
    if (this.#decided.length < this.#store.changedCount) this.#decided = new Uint8Array(this.#store.changedCount * 2)
    const decided = this.#decided
    for (let i = count - 1; i >= 0; i--) {
      const change = this.#changeOf(slots[i] as number)
      if (decided[change] === 1) continue
      decided[change] = 1
      if ((weights[rows[i] as number] as number) <= 0) this.#store.delete(slots[i] as number)
    }
    for (let i = 0; i < count; i++) decided[this.#changeOf(slots[i] as number)] = 0
  }

  #changeOf(slot: number): number {
    const { words, pageBits, pageMask, stride } = this.#store.rows
    return (words[slot >>> pageBits] as Int32Array)[(slot & pageMask) * stride + IMAGE_WORD] as number
  }

  #upsert(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    for (const { from, writer } of this.#values) {
      writer.write(columnOf(batch, from), slots, rows, count)
    }
    if (this.#index !== null) for (let i = 0; i < count; i++) this.#index.note(slots[i] as number, batch.times[rows[i] as number] as number)
  }

  endTick(end: TickEnd): void {
    if (this.#index === null || this.#retentionMs === null || end.watermark === Infinity) return
    const expired = this.#index.takeDue(end.watermark - this.#retentionMs)
    for (const slot of expired) this.#store.delete(slot)
    this.#context.counters.rowsDropped += expired.length
  }

  nextDue(): number {
    return Infinity
  }
}

function columnOf(batch: Batch, from: number): Column | null {
  if (from === ROW_TIME) return { layout: 'f64', values: batch.times, validity: null }
  if (from === ROW_VALUE) return { layout: 'variant', values: batch.values ?? [], validity: null }
  return batch.columns[from] ?? null
}
