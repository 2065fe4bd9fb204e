// What an aggregate keeps per group: the columns of its store. Shared by the planner of stores and by the operator, so that both count the
// same columns.
//   count            `name`: rows
//   sum, min, max    `name`: the value, null while there is none
//   mean             `name.sum`, `name.count`
//   count-distinct   `name`: values; the values themselves lie in a store of their own, keyed by group and value
//   custom           `name`: the user's state, tagged; null before the first row
import type { Field, FieldType } from '../codec/column.ts'

export type AggregateKind = 'count' | 'sum' | 'min' | 'max' | 'mean' | 'count-distinct' | 'custom'

/** One aggregate: its name in the result, and the type and nullability of the result. */
export interface AggregateShape {
  readonly kind: AggregateKind
  readonly result: Field
  /** Type of the values that it reads; null for `count` and `custom`. */
  readonly of: FieldType | null
}

const I64: FieldType = { kind: 'i64' }
const F64: FieldType = { kind: 'f64' }
const VARIANT: FieldType = { kind: 'variant' }

export function stateFields({ kind, result }: AggregateShape): readonly Field[] {
  switch (kind) {
    case 'count':
    case 'count-distinct':
      return [{ name: result.name, type: I64, nullable: false }]
    case 'sum':
    case 'min':
    case 'max':
      return [{ name: result.name, type: result.type, nullable: true }]
    case 'mean':
      return [
        { name: `${result.name}.sum`, type: F64, nullable: false },
        { name: `${result.name}.count`, type: I64, nullable: false },
      ]
    case 'custom':
      return [{ name: result.name, type: VARIANT, nullable: true }]
  }
}

export const WINDOW_START_FIELD: Field = { name: 'windowStart', type: { kind: 'time' }, nullable: false }
export const WINDOW_END_FIELD: Field = { name: 'windowEnd', type: { kind: 'time' }, nullable: false }

/** Key of a group: the window's start first, so that keys of one window lie together and due windows come in the order of their ends. */
export function groupKeyFields(isWindowed: boolean, group: readonly Field[]): readonly Field[] {
  return isWindowed ? [WINDOW_START_FIELD, ...group] : group
}

/** Name of the store of an operator, and of a count-distinct's values. */
export function distinctStoreName(operator: string, aggregate: string): string {
  return `${operator}.${aggregate}.values`
}

/** Key of a distinct value: the group's key and the value. */
export function distinctKeyFields(isWindowed: boolean, group: readonly Field[], of: FieldType): readonly Field[] {
  return [...groupKeyFields(isWindowed, group), { name: '$distinct', type: of, nullable: false }]
}
