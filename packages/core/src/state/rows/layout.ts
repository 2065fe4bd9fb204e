// Layouts: what the rows of a store look like, under an id that is a hash of the content, so that equal layouts have equal ids wherever they
// were made. Changelogs and snapshots name the layout of their rows whole: rows of another one are not read, and the state is built again.
import type { Field } from '../../codec/column.ts'
import { layoutId } from '../../codec/layout-id.ts'

/** Names the layout of rows: column names, kinds, aggregates. The id is a hash of the content. */
export interface Layout {
  readonly id: string
  readonly store: string
  readonly key: readonly Field[]
  readonly value: readonly Field[]
}

/** The layout of a store's rows. The id covers names, kinds and nullability of key and value, in order; a store is known by its name. */
export function layoutOf(store: string, key: readonly Field[], value: readonly Field[]): Layout {
  return { id: layoutId(key) + layoutId(value), store, key, value }
}
