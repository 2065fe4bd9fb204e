// Questions about the shape of rows, and the refusals that name a field.
import { MillraceError } from '../base/errors.ts'
import type { ErrorCode } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import type { Field, FieldType } from '../codec/column.ts'
import type { RowShape } from './node.ts'

export const OPEN_SHAPE: RowShape = Object.freeze({ open: true as const })

/** Where a plan node is being added, for messages. */
export interface PlanPlace {
  readonly operator: string
  readonly place: string | null
}

/** Throws a plan error that names the operator and the user's line. */
export function refusePlan(code: ErrorCode, at: PlanPlace, message: string, fix?: string): never {
  const details = at.place === null ? { operator: at.operator } : { operator: at.operator, place: at.place }
  throw new MillraceError(code, fix === undefined ? { message, details } : { message, details, fix })
}

/** The typed columns, or null for an open shape. */
export function fieldsOfShape(shape: RowShape): readonly Field[] | null {
  return 'fields' in shape ? shape.fields : null
}

const VARIANT: FieldType = Object.freeze({ kind: 'variant' })

/** The field `name`; in an open shape any name is a variant that may be null. Refuses an unknown name with the nearest known one. */
export function fieldIn(shape: RowShape, name: string, at: PlanPlace, side = 'the stream'): Field {
  if (typeof name !== 'string' || name === '')
    refusePlan('MR_PLAN_FIELD_UNKNOWN', at, `a field name must be a text that is not empty, not \`${String(name)}\`.`)
  const fields = fieldsOfShape(shape)
  if (fields === null) return { name, type: VARIANT, nullable: true }
  const found = fields.find((field) => field.name === name)
  if (found !== undefined) return found
  const names = fields.map((field) => field.name)
  const near = nearestWord(name, names)
  const has = `it has ${names.map((known) => `\`${known}\``).join(', ')}.`
  return refusePlan(
    'MR_PLAN_FIELD_UNKNOWN',
    at,
    `${side} has no field \`${name}\`; ${near === null ? '' : `did you mean \`${near}\`? `}${near === null ? has : `I${has.slice(1)}`}`,
  )
}

/** True when every name is a field of the shape (always true for an open one). */
export function hasFields(shape: RowShape, names: readonly string[]): boolean {
  const fields = fieldsOfShape(shape)
  return fields === null || names.every((name) => fields.some((field) => field.name === name))
}

/** Refuses two columns of one name. */
export function refuseTaken(fields: readonly Field[], at: PlanPlace): void {
  const seen = new Set<string>()
  for (const field of fields) {
    if (seen.has(field.name)) refusePlan('MR_PLAN_FIELD_TAKEN', at, `two columns of the result would be named \`${field.name}\`.`)
    seen.add(field.name)
  }
}

/** A type in one word, as the schema builder writes it: `i64`, `decimal(12, 2)`, `list(string)`. */
export function typeText(type: FieldType): string {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`
    case 'list':
      return `list(${typeText(type.item)}${type.itemNullable ? '?' : ''})`
    case 'struct':
      return `{ ${fieldsText(type.fields)} }`
    case 'i64':
      return type.big === true ? 'bigint' : 'i64'
    default:
      return type.kind
  }
}

/** Fields as `name: type`, with `?` where they may be null. */
export function fieldsText(fields: readonly Field[]): string {
  return fields.map((field) => `${field.name}${field.nullable ? '?' : ''}: ${typeText(field.type)}`).join(', ')
}

/** A shape as text. */
export function shapeText(shape: RowShape): string {
  const fields = fieldsOfShape(shape)
  return fields === null ? 'open' : fieldsText(fields)
}

/** True when values of one type may stand where the other is expected: the same kind, all the way down. */
export function sameType(a: FieldType, b: FieldType): boolean {
  return typeText(a) === typeText(b)
}
