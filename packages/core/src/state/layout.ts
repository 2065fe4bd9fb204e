// Layouts: what the rows of a store look like, under an id that is a hash of the content, so that equal layouts have equal ids wherever they
// were made. A row written with one layout is read with another by the names of its columns, or not at all: then the state is rebuilt.
import { createHash } from 'node:crypto'
import type { Field, FieldType } from '../codec/column.ts'
import type { Layout, RowMapping } from './store.ts'

const ID_CHARACTERS = 32

/** The layout of a store's rows. The id covers the store's name, names, kinds and nullability, in order. */
export function layoutOf(store: string, key: readonly Field[], value: readonly Field[]): Layout {
  const content = JSON.stringify([store, key.map(describeField), value.map(describeField)])
  const id = createHash('sha256').update(content).digest('hex').slice(0, ID_CHARACTERS)
  return { id, store, key, value }
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
  const writerKey = JSON.stringify(writer.key.map(describeField))
  if (writerKey !== JSON.stringify(reader.key.map(describeField))) reasons.push('the key has other columns or kinds')
  const columns = reader.value.map((field) => {
    const from = writer.value.findIndex((candidate) => candidate.name === field.name)
    const source = writer.value[from]
    if (source === undefined) {
      if (field.nullable) changes.push(`column ${field.name} is new`)
      else reasons.push(`column ${field.name} is new and may not be null`)
      return -1
    }
    if (source.nullable && !field.nullable) reasons.push(`column ${field.name} may not be null any more`)
    if (!widens(source.type, field.type)) reasons.push(`column ${field.name} was ${describeType(source.type)} and is ${describeType(field.type)}`)
    else if (describeType(source.type) !== describeType(field.type)) changes.push(`column ${field.name} widens to ${describeType(field.type)}`)
    return from
  })
  for (const field of writer.value) if (!reader.value.some((other) => other.name === field.name)) changes.push(`column ${field.name} is dropped`)
  if (reasons.length > 0) return { verdict: 'rebuild', reasons }
  return { verdict: 'mapped', mapping: { writer, columns }, changes }
}

function widens(from: FieldType, to: FieldType): boolean {
  if (describeType(from) === describeType(to)) return true
  return from.kind === 'i32' && (to.kind === 'i64' || to.kind === 'f64')
}

function describeField(field: Field): string {
  return `${field.name} ${describeType(field.type)}${field.nullable ? '?' : ''}`
}

/** A kind as text, equal for equal kinds. */
function describeType(type: FieldType): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'list':
      return `list<${describeType(type.item)}${type.itemNullable ? '?' : ''}>`
    case 'struct':
      return `struct<${type.fields.map((field) => JSON.stringify(describeField(field))).join(',')}>`
    default:
      return type.kind
  }
}
