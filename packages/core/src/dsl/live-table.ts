// What is known of the tables of a pipeline outside of it: their names, and the fields of their rows.

/** The table that `toTable` makes. Returned from the function of `pipeline`, it is `tables.NAME` of the definition, for tests to read it by. */
export interface LiveTable<N extends string, V> {
  readonly kind: 'live-table'
  readonly name: N
  readonly '~types'?: { readonly value: V }
}

/**
 * As a reader sees a value: numbers, texts (decimals are texts), true/false and null as they are; a bigint beyond ±2^53 as a text of its
 * digits; bytes as base64; what else there is as JSON can say it.
 */
type ReadValue<T> = unknown extends T
  ? unknown
  : T extends number | string | boolean | null
    ? T
    : T extends bigint
      ? number | string
      : T extends Uint8Array
        ? string
        : unknown

/** As a reader sees a row of a table, or a record. */
export type ReadRow<V> = [V] extends [object] ? { readonly [F in keyof V & string]: ReadValue<V[F]> } : Readonly<Record<string, unknown>>

type AnyTable = LiveTable<string, unknown>

/** By name, the tables that the function of a pipeline returns: one, or a list. */
export type TablesOf<R> = { readonly [T in R extends readonly AnyTable[] ? R[number] : R extends AnyTable ? R : never as T['name']]: T }

/** @returns The tables of `returned` by name; none when it is something else. */
export function tablesIn<R>(returned: R): TablesOf<R> {
  const given: readonly unknown[] = Array.isArray(returned) ? returned : [returned]
  const tables = given.filter((one): one is AnyTable => (one as AnyTable | null | undefined)?.kind === 'live-table')
  return Object.freeze(Object.fromEntries(tables.map((table) => [table.name, table]))) as TablesOf<R>
}
