// The run-time half of `join`: which fields meet, and which columns come out.
import type { Lambda, PlanNode } from '../plan/node.ts'
import { fieldsOfShape, refusePlan } from '../plan/shape.ts'
import { placeOf, type Call } from './append.ts'

/** Pairs of fields from `on`. */
export function joinPairs(call: Call, on: unknown): readonly { readonly stream: string; readonly table: string }[] {
  if (typeof on === 'string') return [{ stream: on, table: on }]
  if (typeof on !== 'object' || on === null || Array.isArray(on))
    refusePlan('MR_PLAN_JOIN_KEY', placeOf(call), '`on` must be a field name or `{ streamField: "tableField" }`.')
  return Object.entries(on).map(([stream, table]: [string, unknown]) => {
    if (typeof table !== 'string')
      refusePlan('MR_PLAN_JOIN_KEY', placeOf(call), `\`on.${stream}\` must be the name of a field of the table.`)
    return { stream, table }
  })
}

/** One column of the result. */
interface JoinColumn {
  readonly name: string
  readonly from: 'stream' | 'table'
  readonly field: string
}

/** The stream's columns, then those of the table that are asked for; a lambda that does the same for rows whose fields nobody knows. */
export function joinOutput(call: Call, stream: PlanNode, table: PlanNode, select: unknown): Lambda | readonly JoinColumn[] {
  const added = addedColumns(call, table, select)
  const mine = fieldsOfShape(stream.shape)
  if (mine === null) return addingLambda(added)
  return [...mine.map((field): JoinColumn => ({ name: field.name, from: 'stream', field: field.name })), ...added]
}

function addingLambda(added: readonly JoinColumn[]): Lambda {
  const combine = (row: object, match: Readonly<Record<string, unknown>> | null): object => {
    const result: Record<string, unknown> = { ...row }
    for (const column of added) result[column.name] = match === null ? null : match[column.field]
    return result
  }
  // The code version is made of source texts, and this one must say which columns it adds.
  const text = `join adding ${JSON.stringify(added.map((column) => [column.name, column.field]))}`
  return Object.defineProperty(combine, 'toString', { value: () => text })
}

function addedColumns(call: Call, table: PlanNode, select: unknown): readonly JoinColumn[] {
  if (select === undefined) {
    const fields = fieldsOfShape(table.shape)
    if (fields === null)
      refusePlan(
        'MR_PLAN_SHAPE_OPEN',
        placeOf(call),
        `the fields of the table \`${table.name}\` are not known.`,
        'Name them: `select: [...]`.',
      )
    return fields
      .filter((field) => table.key?.includes(field.name) !== true)
      .map((field) => ({ name: field.name, from: 'table', field: field.name }))
  }
  const pairs: readonly (readonly [string, unknown])[] = Array.isArray(select)
    ? select.map((name: unknown) => [String(name), name])
    : Object.entries(select ?? {})
  return pairs.map(([name, field]) => {
    if (typeof field !== 'string')
      refusePlan('MR_PLAN_FIELD_UNKNOWN', placeOf(call), `\`select.${name}\` must be the name of a field of the table.`)
    return { name, from: 'table', field }
  })
}
