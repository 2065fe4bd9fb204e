// The identity of a row layout: names, kinds and nullability in their order, hashed. Equal layouts have equal ids on every machine and
// version; internal topics, changelogs and snapshots name the layout of their rows by it.
import type { Field, FieldType } from './column.ts'

function typeText(type: FieldType): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'list':
      return `list<${typeText(type.item)}${type.itemNullable ? '?' : ''}>`
    case 'struct':
      return `struct${layoutText(type.fields)}`
    case 'i64':
      return type.big === true ? 'bigint' : 'i64'
    default:
      return type.kind
  }
}

/** The layout as text, for example `("id":i64,"note":string?)`. Names are JSON strings, so that no name can imitate another layout. */
export function layoutText(fields: readonly Field[]): string {
  return `(${fields.map((field) => `${JSON.stringify(field.name)}:${typeText(field.type)}${field.nullable ? '?' : ''}`).join(',')})`
}

const OFFSET_BASIS = 0xcbf29ce484222325n
const PRIME = 0x100000001b3n

/** FNV-1a, 64 bits, over the UTF-8 of `layoutText(fields)`, as 16 hexadecimal digits. */
export function layoutId(fields: readonly Field[]): string {
  let hash = OFFSET_BASIS
  for (const byte of new TextEncoder().encode(layoutText(fields))) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * PRIME)
  return hash.toString(16).padStart(16, '0')
}
