// The stores that each operator keeps: names, keys and columns, from the plan alone, so that `plan` can say what a change keeps.
import type { Field, FieldType } from '../codec/column.ts'
import type { AggregateShape } from '../operators/aggregate-state.ts'
import type { AggregateNode, Plan, PlanNode, StreamTableJoinNode, ToTableNode } from '../plan/node.ts'
import type { StoreSpec } from './topology.ts'
import { must } from '../base/assert.ts'
import { distinctKeyFields, distinctStoreName, groupKeyFields, stateFields, WINDOW_END_FIELD } from '../operators/aggregate-state.ts'
import { typeOfExpression } from '../plan/expression-type.ts'
import { fieldIn, fieldsOfShape } from '../plan/shape.ts'
import { SEEN_FIELDS } from '../state/seen-keys.ts'
import { keyFieldsOf } from './row-access.ts'

const VARIANT: FieldType = { kind: 'variant' }

/** Value column with the event time of a table's row, where the table forgets old rows. */
export const ROW_TIME_FIELD: Field = { name: '$time', type: { kind: 'time' }, nullable: false }
/** Value column that holds a whole open row. */
export const OPEN_ROW_FIELD: Field = { name: '$value', type: VARIANT, nullable: true }

export function stores(plan: Plan, node: PlanNode): readonly StoreSpec[] {
  const spec = (name: string, key: readonly Field[], value: readonly Field[], table: string | null = null): StoreSpec => ({
    name,
    operator: node.name,
    key,
    value,
    table,
    isWindowed: false,
  })
  const input = plan.nodes[node.inputs[0] ?? -1]
  switch (node.kind) {
    case 'aggregate':
      return aggregateStores(plan, node, spec)
    case 'dedupe':
      return [spec(node.name, keyFieldsOf(must(input, 'input').shape, node.by), SEEN_FIELDS)]
    case 'scan':
      return [spec(node.name, keyFieldsOf(must(input, 'input').shape, node.by), [{ name: 'state', type: VARIANT, nullable: true }])]
    case 'stream-table-join':
      return [spec(node.name, joinKeyFields(plan, node), joinValueFields(plan, node))]
    case 'to-table':
      return [spec(node.name, tableKeyFields(plan, node), tableValueFields(plan, node), node.table)]
    default:
      return []
  }
}

function aggregateStores(
  plan: Plan,
  node: AggregateNode,
  spec: (name: string, key: readonly Field[], value: readonly Field[]) => StoreSpec,
): readonly StoreSpec[] {
  const group = keyFieldsOf(must(plan.nodes[node.inputs[0] ?? -1], 'input').shape, node.groupBy)
  const isWindowed = node.window !== null
  const shapes = aggregateShapes(plan, node)
  const distincts = shapes
    .filter((shape) => shape.kind === 'count-distinct')
    .map((shape) =>
      spec(
        distinctStoreName(node.name, shape.result.name),
        distinctKeyFields(isWindowed, group, must(shape.of, 'type of the values')),
        isWindowed ? [WINDOW_END_FIELD] : [],
      ),
    )
  return [{ ...spec(node.name, groupKeyFields(isWindowed, group), shapes.flatMap(stateFields)), isWindowed }, ...distincts]
}

/** The aggregates of a node with the types that they read and give. */
export function aggregateShapes(plan: Plan, node: AggregateNode): readonly AggregateShape[] {
  const { shape } = must(plan.nodes[node.inputs[0] ?? -1], 'input')
  const results = must(fieldsOfShape(node.shape), 'fields of an aggregate')
  return node.aggregates.map(({ name, spec }) => ({
    kind: spec.kind,
    result: must(
      results.find((field) => field.name === name),
      `field ${name}`,
    ),
    of:
      spec.kind === 'count' || spec.kind === 'custom'
        ? null
        : typeOfExpression(spec.of, shape, { operator: node.name, place: node.place }).type,
  }))
}

/** Fields of the table's key, in the order of `on`. Rows without a value there match nothing, so none is nullable. */
export function joinKeyFields(plan: Plan, node: StreamTableJoinNode): readonly Field[] {
  const table = must(plan.nodes[node.inputs[1] ?? -1], 'table')
  return node.on.map((pair) => ({ ...fieldIn(table.shape, pair.table, { operator: node.name, place: node.place }), nullable: false }))
}

/** Columns of the table that the join's result shows; all that are not in the key when a lambda reads the row. */
export function joinValueFields(plan: Plan, node: StreamTableJoinNode): readonly Field[] {
  const table = must(plan.nodes[node.inputs[1] ?? -1], 'table')
  const fields = fieldsOfShape(table.shape)
  const keys = new Set(node.on.map((pair) => pair.table))
  if (fields === null) return [OPEN_ROW_FIELD]
  const { output } = node
  if (typeof output === 'function') return fields.filter((field) => !keys.has(field.name))
  return fields.filter((field) => !keys.has(field.name) && output.some((column) => column.from === 'table' && column.field === field.name))
}

export function tableKeyFields(plan: Plan, node: ToTableNode): readonly Field[] {
  const { shape } = must(plan.nodes[node.inputs[0] ?? -1], 'input')
  return node.primaryKey.map((name) => fieldIn(shape, name, { operator: node.name, place: node.place }))
}

export function tableValueFields(plan: Plan, node: ToTableNode): readonly Field[] {
  const { shape } = must(plan.nodes[node.inputs[0] ?? -1], 'input')
  const fields = fieldsOfShape(shape)
  const values = fields === null ? [OPEN_ROW_FIELD] : fields.filter((field) => !node.primaryKey.includes(field.name))
  return node.retentionMs === null ? values : [...values, ROW_TIME_FIELD]
}
