// custom: a fold in the user's own code. The state is kept as tagged bytes and decoded anew for every call, so that code which changes its
// argument and then throws has changed nothing; `result` runs together with `add`, so that a state it cannot show is never kept.
import type { Batch, Column } from '../codec/column.ts'
import { MillraceError } from '../base/errors.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { TaggedReader, writeTagged } from '../codec/tagged.ts'
import type { RowReader, TableStore } from '../state/store.ts'
import type { AggregateFunction } from './aggregate-function.ts'
import type { UserFunction } from './row-functions.ts'
import { atOnceWithin } from './synchronous.ts'

/** A state is written with every change of its group: above this it is no state but a log. */
const CUSTOM_STATE_BYTES_MAX = 16 * 1024 * 1024

export interface CustomCode {
  readonly initial: UserFunction
  readonly add: UserFunction
  readonly result: UserFunction | null
}

export class CustomFunction implements AggregateFunction {
  readonly #store: TableStore
  readonly #column: number
  readonly #code: CustomCode
  readonly #pending = new GrowingBytes()

  constructor(store: TableStore, column: number, code: CustomCode) {
    this.#store = store
    this.#column = column
    this.#code = code
  }

  /** Computes the state of group `slot` after one more row and holds it back until `keep`. Throws what the user's code throws. */
  prepare(slot: number, row: unknown): void {
    const group = this.#store.read(slot)
    const { initial, add, result } = this.#code
    const state = atOnceWithin(add(group.isNull(this.#column) ? atOnceWithin(initial()) : this.#state(group), row))
    this.#pending.reset()
    writeTagged(this.#pending, state)
    if (this.#pending.at > CUSTOM_STATE_BYTES_MAX)
      throw new MillraceError('MR_CODEC_TOO_LARGE', {
        message: 'the state of a custom aggregate is too large.',
        details: { bytes: this.#pending.at, bytesMax: CUSTOM_STATE_BYTES_MAX },
        fix: 'Keep less in the state: every change of it is written as a whole. Then `npx millrace dlq retry`.',
      })
    // The value that is kept and not the object: code may hold on to what it returned. Shown once here, it can be shown again.
    const shown = result === null ? null : atOnceWithin(result(new TaggedReader(this.#pending.bytes, 0, this.#pending.at).read()))
    if (shown !== null) writeTagged(new GrowingBytes(64), shown)
  }

  keep(slot: number): void {
    this.#store.setBytes(slot, this.#column, this.#pending.bytes, 0, this.#pending.at)
  }

  /** True when no row of the group was ever kept. */
  isUntouched(slot: number): boolean {
    return this.#store.read(slot).isNull(this.#column)
  }

  #state(row: RowReader): unknown {
    const bytes = row.bytes(this.#column)
    return new TaggedReader(bytes, 0, bytes.length).read()
  }

  add(_batch: Batch, _rows: Int32Array, _slots: Int32Array, _count: number): void {
    // Rows were folded in by prepare and keep, before any other aggregate saw them.
  }

  results(slots: Int32Array, count: number): Column {
    const values: unknown[] = []
    const validity = new Uint8Array(count)
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const value = this.resultOf(this.#store.read(slots[i] as number)) ?? null
      values.push(value)
      validity[i] = value === null ? 0 : 1
      if (value === null) nulls++
    }
    return { layout: 'variant', values, validity: nulls === 0 ? null : validity }
  }

  resultOf(row: RowReader): unknown {
    if (row.isNull(this.#column)) return null
    const state = this.#state(row)
    return this.#code.result === null ? state : this.#code.result(state)
  }
}
