// Columns of a Standard Schema of another library, derived from the JSON Schema of its output (Standard JSON Schema: zod 4.2+, arktype).
// Only what the description says for certain becomes a typed column; everything else is carried as json. Records are still parsed and
// validated one by one, because refinements and transformations cannot be seen from here.
import type { Field, FieldType } from './column.ts'
import type { StandardJsonSchemaConverter } from './standard-schema.ts'

type Json = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The fields of the schema's output, or null when it does not describe itself or does not describe an object. */
export function foreignFields(schema: unknown): readonly Field[] | null {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return null
  const converter = (schema as { readonly '~standard'?: { readonly jsonSchema?: StandardJsonSchemaConverter } })['~standard']?.jsonSchema
  if (converter === undefined) return null
  let description: unknown
  try {
    description = converter.output({ target: 'draft-2020-12' })
  } catch {
    return null // a Date, a bigint, a class: JSON Schema has no word for it
  }
  return isObject(description) ? structFields(description) : null
}

function structFields(description: Json): readonly Field[] | null {
  const { properties } = description
  if (description['type'] !== 'object' || !isObject(properties)) return null
  const names = Object.keys(properties)
  if (names.length === 0 || names.some((name) => name === '' || name === '__proto__')) return null
  const required = Array.isArray(description['required']) ? (description['required'] as readonly unknown[]) : []
  return names.map((name) => {
    const { type, nullable } = typeOf(properties[name])
    return { name, type, nullable: nullable || !required.includes(name) }
  })
}

const JSON_TYPE: { readonly type: FieldType; readonly nullable: boolean } = { type: { kind: 'json' }, nullable: true }

function typeOf(description: unknown): { readonly type: FieldType; readonly nullable: boolean } {
  if (!isObject(description)) return JSON_TYPE
  const choices = description['anyOf'] ?? description['oneOf']
  if (Array.isArray(choices)) {
    const others = choices.filter((choice) => !(isObject(choice) && choice['type'] === 'null'))
    // With a single other choice the union only says that null is legal.
    return others.length === 1 && choices.length === 2 ? { type: typeOf(others[0]).type, nullable: true } : JSON_TYPE
  }
  const named = description['type']
  if (Array.isArray(named)) {
    const others = named.filter((name) => name !== 'null')
    return others.length === 1 && named.length === 2
      ? { type: typeOf({ ...description, type: others[0] as unknown }).type, nullable: true }
      : JSON_TYPE
  }
  switch (named) {
    case 'string':
      return { type: { kind: 'string' }, nullable: false }
    case 'boolean':
      return { type: { kind: 'bool' }, nullable: false }
    case 'number':
      return { type: { kind: 'f64' }, nullable: false }
    case 'integer':
      return { type: { kind: isSafe(description) ? 'i64' : 'f64' }, nullable: false }
    case 'array': {
      const item = typeOf(description['items'])
      return description['prefixItems'] === undefined
        ? { type: { kind: 'list', item: item.type, itemNullable: item.nullable }, nullable: false }
        : JSON_TYPE
    }
    case 'object': {
      const fields = structFields(description)
      return fields === null ? JSON_TYPE : { type: { kind: 'struct', fields }, nullable: false }
    }
    default:
      return JSON_TYPE
  }
}

/** Whole numbers are a 64-bit column only where the schema bounds them to what a double holds exactly. */
function isSafe(description: Json): boolean {
  const least = description['minimum'] ?? description['exclusiveMinimum']
  const most = description['maximum'] ?? description['exclusiveMaximum']
  return typeof least === 'number' && typeof most === 'number' && least >= Number.MIN_SAFE_INTEGER && most <= Number.MAX_SAFE_INTEGER
}
