// Groups and, when windowed, windows: one row of state per group, changed in place, read back as columns when it is emitted.
//
// Windows are tumbling: [start, start + size). A row is late when its window's end + grace was at or behind the watermark before the tick;
// late rows go to the late output, else to the dead letters. A window closes at the end of the first tick whose watermark reaches its end +
// grace: `close` emits it then, once, in order of (window end, key); `update` has emitted each change at the end of its tick. Either way
// its row of state is dropped then, without a retraction: what was emitted stands.
// Order of updates: that of the groups' first change in the tick. With `retracts` the old rows of a slice of changes go out with weight -1
// before the new ones with +1; without, new rows alone are upserts by key. Time of a row: the last millisecond of its window, or the largest
// event time among the group's rows of the tick.
// Law: emitted rows equal those computed from scratch (aggregate.property.test.ts).
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import type { Batch, Column, Field } from '../codec/column.ts'
import { swapWord } from '../codec/swap-word.ts'
import { IMAGE_WORD, META_WORD } from '../state/rows/row-format.ts'
import type { Region, TableStore } from '../state/store.ts'
import { isClosed, windowStart } from '../time/window.ts'
import { ChangedGroups } from './changed-groups.ts'
import { CustomFunction } from './aggregate-custom.ts'
import { DistinctFunction } from './aggregate-distinct.ts'
import type { AggregateFunction } from './aggregate-function.ts'
import { groupKeyFields } from './aggregate-state.ts'
import { InlineKeys } from './inline-keys.ts'
import { KeyColumns } from './key-columns.ts'
import { liveRows, RowList, withRows } from './live-rows.ts'
import type { Operator, OperatorContext, TickEnd, TickStart } from './operator.ts'
import type { KeySource, LambdaRows, RowPredicate } from './row-functions.ts'
import { GroupSlots } from './window-groups.ts'

/** Rows per emitted batch: their cache lines fit the second cache. */
const EMIT_ROWS = 2048

export interface WindowShape {
  readonly sizeMs: number
  readonly graceMs: number
  readonly offsetMs: number
}

/** One aggregate at work. */
export interface AggregateColumn {
  readonly function: AggregateFunction
  readonly result: Field
  /** Only rows for which it is true are aggregated; null takes all. */
  readonly where: RowPredicate | null
}

export interface AggregateOptions {
  readonly store: TableStore
  readonly keys: KeySource
  readonly window: WindowShape | null
  readonly aggregates: readonly AggregateColumn[]
  readonly emit: 'update' | 'close'
  /** Somebody downstream needs the old rows of updates. */
  readonly retracts: boolean
  /** For custom aggregates: rows as user code sees them. */
  readonly rows: LambdaRows
}

export class AggregateOperator implements Operator {
  readonly #context: OperatorContext
  readonly #store: TableStore
  readonly #keys: KeySource
  readonly #window: WindowShape | null
  readonly #aggregates: readonly AggregateColumn[]
  readonly #customs: readonly CustomFunction[]
  readonly #distincts: readonly DistinctFunction[]
  readonly #emit: 'update' | 'close'
  readonly #retracts: boolean
  readonly #rows: LambdaRows
  readonly #groups: GroupSlots
  readonly #inlineKeys: InlineKeys | null
  readonly #keyColumns: KeyColumns
  readonly #onTime = new RowList()
  readonly #late = new RowList()
  readonly #slots = new RowList()
  readonly #accepted = new RowList()
  readonly #whereRows = new RowList()
  readonly #whereSlots = new RowList()
  readonly #emitted = new RowList()
  readonly #changed: ChangedGroups
  #starts = new Float64Array(0)
  #ends = new Float64Array(0)
  #times = new Float64Array(EMIT_ROWS)
  /** Largest event time of each changed group, by the number of its change in the tick. */
  #largestTimes = new Float64Array(0)
  #watermark = -Infinity

  constructor(context: OperatorContext, options: AggregateOptions) {
    this.#context = context
    this.#store = options.store
    this.#keys = options.keys
    this.#window = options.window
    this.#aggregates = options.aggregates
    this.#customs = options.aggregates.map((aggregate) => aggregate.function).filter((each) => each instanceof CustomFunction)
    this.#distincts = options.aggregates.map((aggregate) => aggregate.function).filter((each) => each instanceof DistinctFunction)
    this.#emit = options.emit
    this.#retracts = options.retracts
    this.#rows = options.rows
    this.#changed = new ChangedGroups(options.store)
    this.#groups = new GroupSlots(options.store, options.window !== null, options.keys.fields)
    const keyFields = groupKeyFields(options.window !== null, options.keys.fields)
    this.#inlineKeys = InlineKeys.of(options.store, keyFields)
    this.#keyColumns = new KeyColumns(keyFields)
  }

  startTick(start: TickStart): void {
    this.#watermark = start.watermark
    this.#changed.startTick()
    this.#largestTimes.fill(-Infinity)
  }

  process(_input: number, batch: Batch): void {
    const live = liveRows(batch)
    const { rows, count } =
      this.#window === null
        ? { rows: live, count: batch.selectedCount }
        : this.#placeInWindows(batch, live, batch.selectedCount, this.#window)
    if (count === 0) return
    const keyed = this.#keys.read(batch, rows, count)
    if (keyed.count === 0) return
    this.#fold(batch, keyed.columns, keyed.rows, keyed.count)
  }

  #fold(batch: Batch, keys: readonly Column[], keyedRows: Int32Array, keyedCount: number): void {
    let rows = keyedRows
    let count = keyedCount
    const slots = this.#slots.reset(count)
    const store = this.#store
    this.#groups.find(this.#starts, keys, rows, count, slots)
    store.touchAll(slots, count)
    if (this.#emit === 'update') this.#changed.note(slots, count, this.#groups.newCount > 0)
    if (this.#customs.length > 0) {
      count = this.#foldCustoms(batch, rows, slots, count)
      rows = this.#accepted.rows
    }
    if (this.#window === null) this.#noteTimes(batch.times, rows, slots, count)
    for (const distinct of this.#distincts) {
      distinct.bindKeys(this.#window === null ? keys : [{ layout: 'f64', values: this.#starts, validity: null }, ...keys])
    }
    for (const { function: fold, where } of this.#aggregates) {
      if (where === null) fold.add(batch, rows, slots, count)
      else this.#foldWhere(fold, where, batch, rows, slots, count)
    }
  }

  #foldWhere(fold: AggregateFunction, where: RowPredicate, batch: Batch, rows: Int32Array, slots: Int32Array, count: number): void {
    const chosen = this.#whereRows.reset(count)
    const chosenCount = where.select(batch, rows, count, chosen)
    const chosenSlots = this.#whereSlots.reset(count)
    // Chosen rows are some of the rows, in their order.
    for (let i = 0, at = 0; at < chosenCount; i++) if (rows[i] === chosen[at]) chosenSlots[at++] = slots[i] as number
    fold.add(batch, chosen, chosenSlots, chosenCount)
  }

  /**
   * Folds row by row into all custom aggregates, or into none where one of them throws; such rows take part in no aggregate. Leaves the
   * rows taken in `#accepted` and their slots at the front of `slots`; a group that only refused rows had made is taken back.
   */
  #foldCustoms(batch: Batch, rows: Int32Array, slots: Int32Array, count: number): number {
    const accepted = this.#accepted.reset(count)
    const [first] = this.#customs
    const made = this.#store.newSlots.slice(0, this.#groups.newCount)
    let taken = 0
    this.#rows.bind(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const slot = slots[i] as number
      try {
        for (const custom of this.#customs) custom.prepare(slot, this.#rows.at(row))
      } catch (error) {
        this.#context.deadLetters.reject(this.#context.name, 0, batch, row, error)
        continue
      }
      for (const custom of this.#customs) custom.keep(slot)
      accepted[taken] = row
      slots[taken++] = slot
    }
    this.#rows.release()
    for (const slot of made) if (must(first, 'a custom aggregate').isUntouched(slot)) this.#drop(slot)
    return taken
  }

  /** The window of each row. Returns the rows on time, in order; late ones are handed on. */
  #placeInWindows(
    batch: Batch,
    rows: Int32Array,
    count: number,
    window: WindowShape,
  ): { readonly rows: Int32Array; readonly count: number } {
    const { sizeMs, graceMs, offsetMs } = window
    if (this.#starts.length < batch.rowCount) this.#starts = new Float64Array(batch.rowCount * 2)
    const { times } = batch
    const starts = this.#starts
    let lateCount = 0
    let start = NaN
    let end = NaN
    let closed = false
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const time = times[row] as number
      // Neighbours mostly share a window.
      if (!(time >= start && time < end)) {
        start = windowStart(time, sizeMs, offsetMs)
        end = start + sizeMs
        closed = isClosed(end, graceMs, this.#watermark)
      }
      starts[row] = start
      if (closed) lateCount++
    }
    return lateCount === 0 ? { rows, count } : this.#splitLate(batch, rows, count, window)
  }

  #splitLate(batch: Batch, rows: Int32Array, count: number, window: WindowShape): { readonly rows: Int32Array; readonly count: number } {
    const onTime = this.#onTime.reset(count)
    this.#late.reset(count)
    let taken = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (isClosed((this.#starts[row] as number) + window.sizeMs, window.graceMs, this.#watermark)) this.#late.add(row)
      else onTime[taken++] = row
    }
    this.#passLate(batch)
    return { rows: onTime, count: taken }
  }

  #passLate(batch: Batch): void {
    const { rows, count } = this.#late
    const { counters, lateOutput, deadLetters, name } = this.#context
    counters.rowsLate += count
    if (lateOutput !== null) {
      lateOutput.push(withRows(batch, rows, count))
      return
    }
    const error = new MillraceError('MR_TIME_LATE', { details: { operator: name, watermark: this.#watermark } })
    for (let i = 0; i < count; i++) deadLetters.reject(name, 0, batch, rows[i] as number, error)
  }

  #noteTimes(times: Float64Array, rows: Int32Array, slots: Int32Array, count: number): void {
    const changed = this.#store.changedCount
    if (this.#largestTimes.length < changed) {
      const grown = new Float64Array(changed * 2).fill(-Infinity)
      grown.set(this.#largestTimes)
      this.#largestTimes = grown
    }
    const largest = this.#largestTimes
    const { words, pageBits, pageMask, stride } = this.#store.rows
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const change = (words[slot >>> pageBits] as Int32Array)[(slot & pageMask) * stride + IMAGE_WORD] as number
      const time = times[rows[i] as number] as number
      if (time > (largest[change] as number)) largest[change] = time
    }
  }

  /** End of a row's window, from the first eight bytes of its key. */
  #endOf(slot: number): number {
    const { words, pageBits, pageMask, stride } = this.#store.rows
    const { keyWord, keyBytesInline } = this.#store.format
    const page = words[slot >>> pageBits] as Int32Array
    const at = (slot & pageMask) * stride
    const sizeMs = must(this.#window, 'window').sizeMs
    if ((page[at + META_WORD] as number) >>> 1 <= keyBytesInline)
      return startOfKey(page[at + keyWord] as number, page[at + keyWord + 1] as number) + sizeMs
    const { bytes, starts } = this.#store.keysOf(Int32Array.of(slot), 1)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return startOfKey(view.getInt32(starts[0] as number, true), view.getInt32((starts[0] as number) + 4, true)) + sizeMs
  }

  endTick(end: TickEnd): void {
    if (this.#emit === 'update') this.#emitChanges()
    if (this.#window === null) return
    const closedMs = end.watermark - this.#window.graceMs
    for (;;) {
      // Windows are the regions of the store, in order of their starts.
      const [window] = this.#store.regions
      if (window === undefined || this.#endOfRegion(window) > closedMs) break
      if (this.#emit === 'close') this.#emitWindow(window)
      this.#store.dropRegion(window)
      this.#groups.forget()
    }
    for (const distinct of this.#distincts) distinct.expire(closedMs)
  }

  #emitWindow(window: Region): void {
    const start = startOfKey(window.first, window.second)
    this.#times.fill(this.#endOfRegion(window) - 1)
    const due = this.#store.slotsOf(window)
    for (let from = 0; from < due.length; from += EMIT_ROWS) {
      const slots = due.subarray(from, from + EMIT_ROWS)
      this.#push(slots, slots.length, this.#times, start)
    }
  }

  #endOfRegion({ first, second }: Region): number {
    return startOfKey(first, second) + must(this.#window, 'window').sizeMs
  }

  #drop(slot: number): void {
    this.#store.delete(slot)
    this.#groups.forget()
  }

  #emitChanges(): void {
    const changed = this.#changed.count
    for (let from = 0; from < changed; from += EMIT_ROWS) {
      const until = Math.min(changed, from + EMIT_ROWS)
      const count = this.#takeChanges(from, until)
      const slots = this.#emitted.rows
      const times = this.#times
      if (this.#window !== null) this.#windowTimes(slots, count)
      if (this.#retracts) this.#pushOld(from, until)
      this.#push(slots, count, times, null)
    }
  }

  /** Slots and times of the changes from .. until whose groups are there, to `#emitted` and `#times`. */
  #takeChanges(from: number, until: number): number {
    const store = this.#store
    const slots = this.#emitted.reset(until - from)
    const { words, pageBits, pageMask, stride } = store.rows
    for (let index = from; index < until; index++) slots[index - from] = store.changedSlot(this.#changed.at(index))
    let count = 0
    // A loop of its own, so that the processor waits for many rows at once.
    for (let i = 0; i < until - from; i++) {
      const slot = slots[i] as number
      const isAlive = ((words[slot >>> pageBits] as Int32Array)[(slot & pageMask) * stride + META_WORD] as number) & 1
      slots[count] = slot
      this.#times[count] = this.#largestTimes[this.#changed.at(from + i)] ?? -Infinity
      count += isAlive
    }
    return count
  }

  #windowTimes(slots: Int32Array, count: number): Float64Array {
    for (let i = 0; i < count; i++) this.#times[i] = this.#endOf(slots[i] as number) - 1
    return this.#times
  }

  /** Emits rows of groups: group fields, the window, the results. `start`: of the window, where it is that of all rows. */
  #push(slots: Int32Array, count: number, times: Float64Array, start: number | null): void {
    if (count === 0) return
    // Keys first: reading them takes no branch, so the processor fetches many rows at once, and the results find theirs in the caches.
    const keys = this.#readKeys(slots, count, start)
    const columns = this.#withWindow(
      keys,
      count,
      this.#aggregates.map((aggregate) => aggregate.function.results(slots, count)),
    )
    this.#context.output.push({
      rowCount: count,
      columns,
      times,
      weights: null,
      selected: null,
      selectedCount: count,
      origin: null,
      originRows: null,
      values: null,
    })
  }

  #readKeys(slots: Int32Array, count: number, start: number | null): readonly Column[] {
    return this.#inlineKeys?.read(slots, count, start) ?? this.#keyColumns.read(this.#store.keysOf(slots, count), count)
  }

  /** Keys, the end of the window, the results. */
  #withWindow(keys: readonly Column[], count: number, results: readonly Column[]): readonly Column[] {
    if (this.#window === null) return [...keys, ...results]
    const [start, ...group] = keys
    if (start === undefined || start.layout !== 'f64') throw new TypeError('the start of a window is a time')
    if (this.#ends.length < count) this.#ends = new Float64Array(count * 2)
    for (let i = 0; i < count; i++) this.#ends[i] = (start.values[i] as number) + this.#window.sizeMs
    return [...group, start, { layout: 'f64', values: this.#ends, validity: null }, ...results]
  }

  /** Emits the rows as they were before the tick, with weight -1. */
  #pushOld(from: number, until: number): void {
    const slots: number[] = []
    const builders = this.#aggregates.map((aggregate) => columnBuilder(aggregate.result.type))
    const times: number[] = []
    for (let index = from; index < until; index++) {
      const change = this.#changed.at(index)
      const before = this.#store.readBefore(change)
      const slot = this.#store.changedSlot(change)
      if (before === null || !this.#store.isAlive(slot)) continue
      slots.push(slot)
      times.push(this.#largestTimes[change] ?? -Infinity)
      this.#aggregates.forEach((aggregate, at) => must(builders[at], 'builder').append(aggregate.function.resultOf(before)))
    }
    const count = slots.length
    if (count === 0) return
    const taken = Int32Array.from(slots)
    const columns = this.#withWindow(
      this.#readKeys(taken, count, null),
      count,
      builders.map((builder) => builder.finish()),
    )
    const ends =
      this.#window === null
        ? Float64Array.from(times)
        : taken.reduce((into, slot, i) => into.fill(this.#endOf(slot) - 1, i, i + 1), new Float64Array(count))
    this.#context.output.push({
      rowCount: count,
      columns,
      times: ends,
      weights: new Int32Array(count).fill(-1),
      selected: null,
      selectedCount: count,
      origin: null,
      originRows: null,
      values: null,
    })
  }

  nextDue(): number {
    return this.#emit === 'close' ? this.openUntil() : Infinity
  }

  openUntil(): number {
    if (this.#window === null) return Infinity
    const [first] = this.#store.regions
    return first === undefined ? Infinity : this.#endOfRegion(first) + this.#window.graceMs
  }
}

/** The time whose canonical key bytes are these two words, as a little-endian machine reads them. */
function startOfKey(first: number, second: number): number {
  return (swapWord(first) ^ 0x80000000) * 4294967296 + (swapWord(second) >>> 0)
}
