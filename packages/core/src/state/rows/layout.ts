// Layouts: what the rows of a store look like, under an id that is a hash of the content, so that equal layouts have equal ids wherever they
// were made. A row written with one layout is read with another by the names of its columns, or not at all: then the state is rebuilt.
import type { Field } from '../../codec/column.ts'
import { layoutId, layoutText } from '../../codec/layout-id.ts'

/** Names the layout of rows: column names, kinds, aggregates. The id is a hash of the content; readers decode by the writer's layout and map by name. */
export interface Layout {
  readonly id: string
  readonly store: string
  readonly key: readonly Field[]
  readonly value: readonly Field[]
}

/** Reads rows that were written with another layout: column i of the store comes from the writer's column `columns[i]`; -1 is null. */
export interface RowMapping {
  readonly writer: Layout
  readonly columns: readonly number[]
}

/** The layout of a store's rows. The id covers names, kinds and nullability of key and value, in order; a store is known by its name. */
export function layoutOf(store: string, key: readonly Field[], value: readonly Field[]): Layout {
  return { id: layoutId(key) + layoutId(value), store, key, value }
}

/** `same`: read as it is. `mapped`: read by name through the mapping. `rebuild`: cannot be read, for the reasons given. */
export type Compatibility =
  | { readonly verdict: 'same' }
  | { readonly verdict: 'mapped'; readonly mapping: RowMapping; readonly changes: readonly string[] }
  | { readonly verdict: 'rebuild'; readonly reasons: readonly string[] }

/**
 * Whether rows written with `writer` can be read as `reader`. A column may be dropped, may be new when it is nullable, may become nullable
 * and may widen (i32 to i64 or f64). Everything else, above all another key, means that the rows are computed again.
 */
export function compareLayouts(writer: Layout, reader: Layout): Compatibility {
  if (writer.id === reader.id) return { verdict: 'same' }
  const reasons: string[] = []
  const changes: string[] = []
  if (layoutText(writer.key) !== layoutText(reader.key)) reasons.push('the key has other columns or kinds')
  const columns = reader.value.map((field) => {
    const from = writer.value.findIndex((candidate) => candidate.name === field.name)
    const source = writer.value[from]
    if (source === undefined) {
      if (field.nullable) changes.push(`column \`${field.name}\` is new`)
      else reasons.push(`column \`${field.name}\` is new and may not be null`)
      return -1
    }
    if (source.nullable && !field.nullable) reasons.push(`column \`${field.name}\` may not be null any more`)
    const [before, after] = [kindText(source), kindText(field)]
    if (before === after) return from
    if (before === 'i32' && (after === 'i64' || after === 'f64')) changes.push(`column \`${field.name}\` widens to ${after}`)
    else reasons.push(`column \`${field.name}\` was ${before} and is ${after}`)
    return from
  })
  for (const field of writer.value)
    if (!reader.value.some((other) => other.name === field.name)) changes.push(`column \`${field.name}\` is dropped`)
  if (reasons.length > 0) return { verdict: 'rebuild', reasons }
  return { verdict: 'mapped', mapping: { writer, columns }, changes }
}

/** The kind alone, equal for equal kinds. */
function kindText(field: Field): string {
  return layoutText([{ name: '', type: field.type, nullable: false }]).slice(4, -1)
}
