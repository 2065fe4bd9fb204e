// The edges between running operators: who hands batches to whom, counted on the way, and how rows change their columns where they enter
// or leave a task.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { Operator, OperatorCounters, Output } from '../operators/operator.ts'
import type { KeySource } from '../operators/row-functions.ts'
import type { OutputPort } from './topology.ts'
import { liveRows, withRows } from '../operators/live-rows.ts'

export function newCounters(): OperatorCounters {
  return { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 }
}

/** Hands a batch to everyone who reads it, in plan order. */
export class FanOut implements Output {
  readonly targets: Output[] = []
  readonly #counters: OperatorCounters | null

  constructor(counters: OperatorCounters | null) {
    this.#counters = counters
  }

  push(batch: Batch): void {
    if (batch.selectedCount === 0) return
    if (this.#counters !== null) this.#counters.rowsOut += batch.selectedCount
    for (const target of this.targets) target.push(batch)
  }
}

/** The way into an operator. `counters` null: it counts its rows itself. */
export class OperatorInput implements Output {
  readonly #operator: Operator
  readonly #input: number
  readonly #counters: OperatorCounters | null

  constructor(operator: Operator, input: number, counters: OperatorCounters | null) {
    this.#operator = operator
    this.#input = input
    this.#counters = counters
  }

  push(batch: Batch): void {
    if (this.#counters !== null) this.#counters.rowsIn += batch.selectedCount
    this.#operator.process(this.#input, batch)
  }
}

/** The way out to output `index` of the sub-topology. */
export class PortOutput implements Output {
  readonly #port: OutputPort
  readonly #index: number

  constructor(port: OutputPort, index: number) {
    this.#port = port
    this.#index = index
  }

  push(batch: Batch): void {
    this.#port.push(this.#index, batch)
  }
}

/** Brings the columns of an exchange into the order of the node's fields; a lambda's key, when one came along, stands behind them. */
export class ExchangeReader implements Output {
  readonly #to: Output
  readonly #indexes: readonly number[]

  constructor(to: Output, carried: readonly Field[], fields: readonly Field[], extra: string) {
    this.#to = to
    const names = carried.map((field) => field.name)
    const indexes = fields.map((field) => names.indexOf(field.name))
    this.#indexes = names.includes(extra) ? [...indexes, names.indexOf(extra)] : indexes
  }

  push(batch: Batch): void {
    const columns = this.#indexes.map((index): Column | null => (index < 0 ? null : (batch.columns[index] ?? null)))
    this.#to.push({ ...batch, columns })
  }
}

/** Picks the columns that an exchange carries, with the key at its place. */
export class ExchangeWriter implements Output {
  readonly #to: Output
  /** Index of the node's column; -1 for the row as a value; -2 - k for column k of the key. */
  readonly #sources: readonly number[]
  readonly #keys: KeySource | null

  constructor(to: Output, sources: readonly number[], keys: KeySource | null) {
    this.#to = to
    this.#sources = sources
    this.#keys = keys
  }

  push(batch: Batch): void {
    const rows = liveRows(batch)
    const keyed = this.#keys === null ? null : this.#keys.read(batch, rows, batch.selectedCount)
    if (keyed !== null && keyed.count === 0) return
    const columns = this.#sources.map((source): Column | null => {
      if (source >= 0) return batch.columns[source] ?? null
      if (source === ROW_SOURCE) return { layout: 'variant', values: batch.values ?? [], validity: null }
      return keyed?.columns[KEY_SOURCE - source] ?? null
    })
    const whole = { ...batch, columns }
    this.#to.push(keyed === null || keyed.count === batch.selectedCount ? whole : withRows(whole, keyed.rows, keyed.count))
  }
}

/** Source numbers of `ExchangeWriter`. */
export const ROW_SOURCE = -1
export const KEY_SOURCE = -2
