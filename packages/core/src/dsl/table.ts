// A table inside a pipeline: the latest row per key, to be joined.
import type { PlanBuilder } from '../plan/plan.ts'

/** Latest row of type `V` per key `K`. Made by `mill.table(...)`; read by `stream.join(table, ...)`. */
export class Table<in out K, in out V> {
  declare readonly '~types': { readonly key: K; readonly value: V }
  readonly #builder: PlanBuilder
  readonly #id: number

  constructor(builder: PlanBuilder, id: number) {
    this.#builder = builder
    this.#id = id
  }

  /** For the front end: the plan node behind a table. */
  static nodeOf<K, V>(table: Table<K, V>): { readonly builder: PlanBuilder; readonly id: number } {
    return { builder: table.#builder, id: table.#id }
  }
}
