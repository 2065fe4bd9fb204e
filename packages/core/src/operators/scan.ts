// A fold per key, in order, that may give rows at every step: `step(state, row)` returns `{ state, rows }`. The state is kept as tagged bytes
// and decoded anew for each step, so that code which changes it and then throws has changed nothing; a state of null forgets the key.
// A row is refused whole: when the step throws, when what it returns is not of that form, or when one of its rows does not fit the schema.
import type { Batch, Field } from '../codec/column.ts'
import { MillraceError } from '../base/errors.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { TaggedReader, writeTagged } from '../codec/tagged.ts'
import type { TableStore } from '../state/store.ts'
import { isIterable } from './flat-map.ts'
import { liveRows, RowList } from './live-rows.ts'
import { MadeRows } from './made-rows.ts'
import type { Operator, OperatorContext } from './operator.ts'
import type { KeySource, LambdaRows, UserFunction } from './row-functions.ts'
import { atOnce, atOnceWithin, disarm } from './synchronous.ts'

/** A batch is handed on at this size; one step's rows may exceed it. */
const BATCH_ROWS = 4096
const STATE = 0
/** A step's result has its rows one deeper than a list. */
const SCANNED_DEPTH = 4

export interface ScanOptions {
  readonly store: TableStore
  readonly keys: KeySource
  readonly rows: LambdaRows
  readonly initial: UserFunction
  readonly step: UserFunction
  readonly fields: readonly Field[] | null
}

export class ScanOperator implements Operator {
  readonly #context: OperatorContext
  readonly #store: TableStore
  readonly #keys: KeySource
  readonly #rows: LambdaRows
  readonly #initial: UserFunction
  readonly #step: UserFunction
  readonly #made: MadeRows
  readonly #slots = new RowList()
  readonly #next = new GrowingBytes()

  constructor(context: OperatorContext, options: ScanOptions) {
    this.#context = context
    this.#store = options.store
    this.#keys = options.keys
    this.#rows = options.rows
    this.#initial = options.initial
    this.#step = options.step
    this.#made = new MadeRows(options.fields)
  }

  startTick(): void {
    // Steps do not depend on the tick.
  }

  process(_input: number, batch: Batch): void {
    const { columns, rows, count } = this.#keys.read(batch, liveRows(batch), batch.selectedCount)
    const slots = this.#slots.reset(count)
    this.#store.findOrInsertColumns(columns, rows, count, slots)
    this.#made.begin(batch)
    this.#rows.bind(batch)
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const before = this.#made.count
      try {
        this.#stepOver(slots[i] as number, row, batch)
      } catch (error) {
        this.#made.truncate(before)
        this.#context.deadLetters.reject(this.#context.name, 0, batch, row, error)
      }
      if (this.#made.count >= BATCH_ROWS) {
        this.#flush()
        this.#made.begin(batch)
      }
    }
    this.#rows.release()
    for (let i = 0; i < count; i++) this.#forget(slots[i] as number)
    this.#flush()
  }

  #stepOver(slot: number, row: number, batch: Batch): void {
    const given = this.#rows.at(row)
    const result = atOnce(this.#step(this.#stateOf(slot), given))
    try {
      this.#take(slot, row, given, result, batch)
    } catch (error) {
      disarm(result, SCANNED_DEPTH)
      throw error
    }
  }

  #take(slot: number, row: number, given: unknown, result: unknown, batch: Batch): void {
    if (typeof result !== 'object' || result === null || !('state' in result))
      throw new MillraceError('MR_CODEC_FIELD_TYPE', { message: '`scan` needs `{ state, rows }` from its step.' })
    const rows = 'rows' in result ? atOnce(result.rows) : []
    if (!isIterable(rows)) throw new MillraceError('MR_CODEC_FIELD_TYPE', { message: '`rows` of a step must be a list.' })
    for (const made of rows) this.#made.add(row, made === given && batch.values === null ? { ...(given as object) } : made)
    const state = atOnceWithin(result.state)
    if (state === null || state === undefined) {
      this.#store.setNull(slot, STATE)
      return
    }
    this.#next.reset()
    writeTagged(this.#next, state)
    this.#store.setBytes(slot, STATE, this.#next.bytes, 0, this.#next.at)
  }

  #stateOf(slot: number): unknown {
    const row = this.#store.read(slot)
    if (row.isNull(STATE)) return atOnceWithin(this.#initial())
    const bytes = row.bytes(STATE)
    return new TaggedReader(bytes, 0, bytes.length).read()
  }

  /** Keys without a state leave the store: forgotten ones, and new ones whose only rows were refused. */
  #forget(slot: number): void {
    if (this.#store.isAlive(slot) && this.#store.read(slot).isNull(STATE)) this.#store.delete(slot)
  }

  #flush(): void {
    if (this.#made.count > 0) this.#context.output.push(this.#made.finish())
  }

  endTick(): void {
    // Rows leave with the batch that made them.
  }

  nextDue(): number {
    return Infinity
  }
}
