// What follows from a node and its inputs: the shape of its rows, whether they are facts or updates, and the key. Every rule that both
// front ends must obey stands here, one entry per kind; a plan that got through is one that the compiler can build.
import type { Field, FieldType } from '../codec/column.ts'
import { must } from '../base/assert.ts'
import { OPEN_ROW } from '../connect/sink.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { fieldOfExpression, typeOfExpression } from './expression-type.ts'
import type { AggregateNode, AggregateSpec, ChangeMode, Lambda, PlanNode, PlanNodeKind, RowShape } from './node.ts'
import { fieldIn, fieldsOfShape, hasFields, OPEN_SHAPE, refusePlan, refuseTaken, sameType, typeText, type PlanPlace } from './shape.ts'

type Derivable = 'id' | 'name' | 'shape' | 'mode' | 'key' | 'place' | 'hasLateOutput'
type Without<N, K extends PropertyKey> = N extends unknown ? Omit<N, K> : never

/** A node before it is in a plan: what its author says. The rest is derived. */
export type NodeDraft = Without<PlanNode, Derivable>
export type DraftOf<K extends PlanNodeKind> = Extract<NodeDraft, { readonly kind: K }>

export interface Derived {
  readonly shape: RowShape
  readonly mode: ChangeMode
  readonly key: readonly string[] | null
}

/** What a rule may look at. `declared`: columns that the user gave with a lambda (`value` schema); null: none. `below` finds any earlier node. */
export interface DeriveInput {
  readonly inputs: readonly PlanNode[]
  readonly declared: readonly Field[] | null
  readonly at: PlanPlace
  readonly below: (id: number) => PlanNode
}

const TIME: FieldType = { kind: 'time' }
const I64: FieldType = { kind: 'i64' }
const F64: FieldType = { kind: 'f64' }
const VARIANT: FieldType = { kind: 'variant' }

/** Names of the window columns that a windowed aggregate adds. */
export const WINDOW_START = 'windowStart'
export const WINDOW_END = 'windowEnd'
/** Name of the column that holds the value of a grouping lambda. */
export const GROUP_KEY = 'key'

function first(input: DeriveInput): PlanNode {
  return must(input.inputs[0], 'input of the plan node')
}

function same(input: DeriveInput): Derived {
  const { shape, mode, key } = first(input)
  return { shape, mode, key }
}

function needFacts(node: PlanNode, what: string, input: DeriveInput): void {
  if (node.mode === 'update')
    refusePlan('MR_PLAN_UPDATE_REFUSED', input.at, `${what} takes facts only, and \`${node.name}\` gives updates of earlier rows.`)
}

function needNames(names: readonly string[], input: DeriveInput, shape = first(input).shape): void {
  if (names.length === 0) refusePlan('MR_PLAN_KEY_MISSING', input.at, 'at least one field is needed here.')
  for (const name of names) fieldIn(shape, name, input.at)
}

/** Key fields must be plain values: they are compared as bytes. */
function needKeyFields(names: readonly string[], input: DeriveInput, shape = first(input).shape): void {
  needNames(names, input, shape)
  for (const name of names) {
    const { type } = fieldIn(shape, name, input.at)
    if (type.kind === 'list' || type.kind === 'struct' || type.kind === 'json') {
      refusePlan('MR_PLAN_FIELD_TYPE', input.at, `\`${name}\` is ${typeText(type)} and cannot be part of a key.`)
    }
  }
  refuseTaken(
    names.map((name) => ({ name, type: VARIANT, nullable: true })),
    input.at,
  )
}

function needBy(by: readonly string[] | Lambda, input: DeriveInput): void {
  if (typeof by !== 'function') needKeyFields(by, input)
}

/** A lambda of one row: facts stay facts; updates pass only when the key stays in the result. */
function lambdaResult(input: DeriveInput, keepsKey: boolean): Derived {
  const node = first(input)
  const shape = declaredShape(input)
  const key = keepsKey && node.key !== null && hasFields(shape, node.key) ? node.key : null
  if (keepsKey && node.key !== null && key === null) {
    refusePlan(
      'MR_PLAN_KEY_LOST',
      input.at,
      `\`mapValues\` keeps the key, and its \`value\` schema lacks one of ${node.key.join(', ')}.`,
      'Keep the key fields in the result, or use `map`.',
    )
  }
  if (node.mode === 'update' && key === null) refuseLostKey(node, input)
  return { shape, mode: node.mode, key }
}

function refuseLostKey(node: PlanNode, input: DeriveInput): never {
  return refusePlan(
    'MR_PLAN_KEY_LOST',
    input.at,
    `\`${node.name}\` gives updates by ${node.key?.join(', ') ?? 'its key'}, which the result would lose.`,
  )
}

function declaredShape(input: DeriveInput): RowShape {
  if (input.declared === null) return OPEN_SHAPE
  refuseTaken(input.declared, input.at)
  return { fields: input.declared }
}

function topicShape(topic: AnyTopic): RowShape {
  return topic.fields === null ? OPEN_SHAPE : { fields: topic.fields }
}

function project(draft: DraftOf<'project'>, input: DeriveInput): Derived {
  const node = first(input)
  if (draft.columns.length === 0)
    refusePlan('MR_PLAN_FIELD_UNKNOWN', input.at, 'at least one column is needed here.', 'Name a field of the stream.')
  const fields = draft.columns.map((column) => fieldOfExpression(column.name, column.value, node.shape, input.at))
  refuseTaken(fields, input.at)
  // A key survives under new names, as long as each of its fields is carried unchanged.
  const renamed = node.key?.map(
    (name) => draft.columns.find((column) => column.value.kind === 'field' && column.value.name === name)?.name ?? null,
  )
  const key = renamed !== undefined && renamed.every((name) => name !== null) ? renamed : null
  if (node.mode === 'update' && key === null) refuseLostKey(node, input)
  return { shape: { fields }, mode: node.mode, key }
}

function merge(input: DeriveInput): Derived {
  const node = first(input)
  const fields = fieldsOfShape(node.shape)
  for (const other of input.inputs) {
    needFacts(other, '`merge`', input)
    const others = fieldsOfShape(other.shape)
    const fits =
      fields === null || others === null
        ? fields === others
        : fields.length === others.length && fields.every((field, i) => sameField(field, others[i]))
    if (!fits)
      refusePlan(
        'MR_PLAN_SHAPE_MISMATCH',
        input.at,
        `\`merge\` needs the same fields on every side, and \`${node.name}\` and \`${other.name}\` differ.`,
      )
  }
  const key = input.inputs.every((other) => sameNames(other.key, node.key)) ? node.key : null
  const nullable = (index: number): boolean => input.inputs.some((other) => fieldsOfShape(other.shape)?.[index]?.nullable === true)
  const shape: RowShape = fields === null ? OPEN_SHAPE : { fields: fields.map((field, index) => ({ ...field, nullable: nullable(index) })) }
  return { shape, mode: 'append', key }
}

function sameField(a: Field, b: Field | undefined): boolean {
  return b !== undefined && a.name === b.name && sameType(a.type, b.type)
}

function sameNames(a: readonly string[] | null, b: readonly string[] | null): boolean {
  return a === null || b === null ? a === b : a.length === b.length && a.every((name, index) => name === b[index])
}

/** Kinds that each aggregate can take; decimal, list and struct are carried values only. */
const AGGREGATE_KINDS: Readonly<Record<'sum' | 'mean' | 'min' | 'max' | 'count-distinct', readonly string[]>> = {
  sum: ['i32', 'i64', 'f64', 'variant'],
  mean: ['i32', 'i64', 'f64', 'variant'],
  min: ['i32', 'i64', 'f64', 'time', 'string', 'variant'],
  max: ['i32', 'i64', 'f64', 'time', 'string', 'variant'],
  'count-distinct': ['bool', 'i32', 'i64', 'f64', 'time', 'string', 'bytes', 'variant'],
}

function aggregateField(name: string, spec: AggregateSpec, node: PlanNode, input: DeriveInput): Field {
  if (spec.kind === 'custom') return { name, type: VARIANT, nullable: true }
  if (spec.where !== null) {
    const { type } = typeOfExpression(spec.where, node.shape, input.at)
    if (type.kind !== 'bool' && type.kind !== 'variant')
      refusePlan('MR_PLAN_FIELD_TYPE', input.at, `\`where\` of \`${name}\` must be true or false, and it is ${typeText(type)}.`)
  }
  if (spec.kind === 'count') return { name, type: I64, nullable: false }
  const of = typeOfExpression(spec.of, node.shape, input.at)
  if (!AGGREGATE_KINDS[spec.kind].includes(of.type.kind)) {
    refusePlan(
      'MR_PLAN_FIELD_TYPE',
      input.at,
      `\`${name}\`: ${spec.kind} cannot take ${spec.of.kind === 'field' ? `\`${spec.of.name}\`, which is` : 'values that are'} ${typeText(of.type)}.`,
    )
  }
  // No row may pass `where`, and then there is nothing to sum; a variant may hold no number.
  const nullable = of.nullable || spec.where !== null || of.type.kind === 'variant'
  if (spec.kind === 'count-distinct') return { name, type: I64, nullable: false }
  if (spec.kind === 'mean') return { name, type: F64, nullable }
  if (spec.kind === 'sum') return { name, type: of.type.kind === 'i64' ? of.type : of.type.kind === 'i32' ? I64 : F64, nullable }
  return { name, type: of.type, nullable }
}

function aggregate(draft: DraftOf<'aggregate'>, input: DeriveInput): Derived {
  const node = first(input)
  if (draft.window === null && node.mode === 'update') {
    refusePlan(
      'MR_PLAN_NOT_YET',
      input.at,
      `aggregates over updates of earlier rows are not there yet, and \`${node.name}\` gives updates.`,
      "Aggregate the facts themselves, let the windows in front close (`emit: 'close'`), or keep a table (`toTable`) and sum when you read it.",
    )
  }
  needBy(draft.groupBy, input)
  if (draft.aggregates.length === 0)
    refusePlan('MR_PLAN_FIELD_UNKNOWN', input.at, '`aggregate` needs at least one aggregate.', 'Name one, such as `{ n: count() }`.')
  if (draft.window !== null) needFacts(node, 'a window', input)
  if (draft.emit === 'close' && draft.window === null) {
    refusePlan(
      'MR_PLAN_SETTING_INVALID',
      input.at,
      "`emit: 'close'` needs a window: a group without one never closes.",
      'Add `.window(tumbling({ sizeMs }))`, or leave `emit` out.',
    )
  }
  const group: Field[] =
    typeof draft.groupBy === 'function'
      ? [{ name: GROUP_KEY, type: VARIANT, nullable: true }]
      : draft.groupBy.map((name) => fieldIn(node.shape, name, input.at))
  const window: Field[] = draft.window === null ? [] : [WINDOW_START, WINDOW_END].map((name) => ({ name, type: TIME, nullable: false }))
  const fields = [...group, ...window, ...draft.aggregates.map((one) => aggregateField(one.name, one.spec, node, input))]
  refuseTaken(fields, input.at)
  const key = [...group.map((field) => field.name), ...(draft.window === null ? [] : [WINDOW_START])]
  return { shape: { fields }, mode: draft.emit === 'close' ? 'append' : 'update', key }
}

function late(input: DeriveInput): Derived {
  const node = first(input) as AggregateNode
  const { shape, mode, key } = input.below(must(node.inputs[0], 'input of the aggregate'))
  return { shape, mode, key }
}

function join(draft: DraftOf<'stream-table-join'>, input: DeriveInput): Derived {
  const stream = first(input)
  const table = must(input.inputs[1], 'table of the join')
  needFacts(stream, '`join`', input)
  const primaryKey = must(table.key, 'primary key of the table')
  const named = draft.on.map((pair) => pair.table)
  if (named.length !== primaryKey.length || !primaryKey.every((name) => named.includes(name))) {
    refusePlan(
      'MR_PLAN_JOIN_KEY',
      input.at,
      `\`on\` names ${named.join(', ') || 'nothing'}, and the primary key of \`${table.name}\` is ${primaryKey.join(', ')}.`,
    )
  }
  for (const pair of draft.on) {
    const left = fieldIn(stream.shape, pair.stream, input.at).type
    const right = fieldIn(table.shape, pair.table, input.at, 'the table').type
    const comparable = left.kind === 'variant' || right.kind === 'variant' || left.kind === right.kind || (isWhole(left) && isWhole(right))
    if (!comparable)
      refusePlan(
        'MR_PLAN_FIELD_TYPE',
        input.at,
        `\`on\` compares \`${pair.stream}\` (${typeText(left)}) with \`${pair.table}\` (${typeText(right)}).`,
      )
  }
  if (typeof draft.output === 'function') return { shape: declaredShape(input), mode: 'append', key: null }
  const fields = draft.output.map((column): Field => {
    if (column.from === 'stream') return { ...fieldIn(stream.shape, column.field, input.at), name: column.name }
    const field = fieldIn(table.shape, column.field, input.at, 'the table')
    return { name: column.name, type: field.type, nullable: field.nullable || draft.type === 'left' }
  })
  refuseTaken(fields, input.at)
  const key = stream.key !== null && hasFields({ fields }, stream.key) ? stream.key : null
  return { shape: { fields }, mode: 'append', key }
}

function isWhole(type: FieldType): boolean {
  return type.kind === 'i32' || type.kind === 'i64'
}

function tableSource(draft: DraftOf<'table-source'>, input: DeriveInput): Derived {
  const { from } = draft
  const shape: RowShape = from.kind === 'topic' ? topicShape(from) : { fields: from.fields }
  const key = from.kind === 'topic' ? (from.keyField === null ? [] : [from.keyField]) : from.primaryKey
  if (key.length === 0)
    refusePlan('MR_PLAN_KEY_MISSING', input.at, `the table \`${from.name}\` has no key.`, 'Declare the topic with `key: "field"`.')
  needKeyFields(key, input, shape)
  return { shape, mode: 'update', key }
}

function toTable(draft: DraftOf<'to-table'>, input: DeriveInput): Derived {
  const node = first(input)
  needKeyFields(draft.primaryKey, input)
  if (node.mode === 'update' && !sameSet(node.key ?? [], draft.primaryKey)) {
    refusePlan(
      'MR_PLAN_KEY_LOST',
      input.at,
      `\`${node.name}\` gives updates by ${node.key?.join(', ') ?? 'its key'}, and the table's key is ${draft.primaryKey.join(', ')}.`,
      'Leave `key` out, or name the same fields.',
    )
  }
  return { shape: node.shape, mode: node.mode, key: draft.primaryKey }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name))
}

/** A row must hold every field of the topic's value; further fields are not written. */
function needTopicFields(topic: AnyTopic, input: DeriveInput): void {
  const node = first(input)
  const have = fieldsOfShape(node.shape)
  if (have === null || topic.fields === null) return
  for (const wanted of topic.fields) {
    const field = have.find((known) => known.name === wanted.name)
    if (field === undefined && wanted.nullable) continue
    if (field === undefined)
      refusePlan(
        'MR_PLAN_SHAPE_MISMATCH',
        input.at,
        `the topic \`${topic.name}\` needs the field \`${wanted.name}\`, which \`${node.name}\` does not have.`,
      )
    if (!writable(field.type, wanted.type)) {
      refusePlan(
        'MR_PLAN_SHAPE_MISMATCH',
        input.at,
        `the topic \`${topic.name}\` needs \`${wanted.name}\` as ${typeText(wanted.type)}, and it is ${typeText(field.type)}.`,
      )
    }
  }
}

/** Types whose JSON a reader of `to` understands. */
function writable(from: FieldType, to: FieldType): boolean {
  if (from.kind === 'variant' || to.kind === 'variant' || to.kind === 'json' || sameType(from, to)) return true
  const numbers = ['i32', 'i64', 'f64', 'time', 'decimal']
  return numbers.includes(from.kind) && numbers.includes(to.kind)
}

/** What a topic needs as record keys must be there: a compacted one refuses records without. */
function needTopicKey(topic: AnyTopic, input: DeriveInput): void {
  const node = first(input)
  if (topic.keyField !== null || node.key !== null) return
  const carried = carriedKeys(node, input)
  if (carried === 'lambda') {
    refusePlan(
      'MR_PLAN_NOT_YET',
      input.at,
      `the topic \`${topic.name}\` would get the keys of the sources, not those of the lambda in \`keyBy\`.`,
      'Make the key a field (`select({ ..., key: expr(...) })` or `map`), and name it in `keyBy` or as `key` of the topic.',
    )
  }
  if (topic.compacted && carried !== 'compacted') {
    refusePlan(
      'MR_PLAN_KEY_MISSING',
      input.at,
      `the topic \`${topic.name}\` keeps the newest record of each key, and \`${node.name}\` has no key.`,
      "Declare the topic with `key: 'field'`, or put `keyBy('field')` before.",
    )
  }
}

/** Where the record keys come from that a stream without key fields carries: compacted topics, whose records all have one, or anything. */
function carriedKeys(node: PlanNode, input: DeriveInput): 'lambda' | 'compacted' | 'any' {
  if (node.kind === 'key-by' && typeof node.by === 'function') return 'lambda'
  if (node.kind === 'source') return node.topic.compacted ? 'compacted' : 'any'
  if (!CARRIES_KEYS.has(node.kind)) return 'any'
  const from = node.inputs.map((id) => carriedKeys(input.below(id), input))
  if (from.includes('lambda')) return 'lambda'
  return from.every((one) => one === 'compacted') ? 'compacted' : 'any'
}

const CARRIES_KEYS: ReadonlySet<PlanNodeKind> = new Set(['filter', 'branch', 'merge', 'key-by', 'dedupe'])

function toTopic(draft: DraftOf<'to-topic'>, input: DeriveInput): Derived {
  const node = first(input)
  const { topic } = draft
  if (topic.keyField !== null) fieldIn(node.shape, topic.keyField, input.at)
  if (node.mode === 'update') {
    if (!topic.compacted) {
      refusePlan(
        'MR_PLAN_UPDATE_REFUSED',
        input.at,
        `\`${node.name}\` gives updates of earlier rows, and the topic \`${topic.name}\` keeps facts.`,
        "Declare the topic with `compacted: true`, emit final results (`emit: 'close'`), or keep a table (`toTable`).",
      )
    }
    if (topic.keyField !== null && !sameSet(node.key ?? [], [topic.keyField])) {
      refusePlan(
        'MR_PLAN_KEY_LOST',
        input.at,
        `\`${node.name}\` gives updates by ${node.key?.join(', ') ?? 'its key'}, and the key of the topic \`${topic.name}\` is ${topic.keyField}.`,
        'Leave `key` of the topic out: the key of the stream is written.',
      )
    }
  }
  needTopicKey(topic, input)
  needTopicFields(topic, input)
  return { shape: node.shape, mode: node.mode, key: topic.keyField === null ? node.key : [topic.keyField] }
}

function toSink(draft: DraftOf<'to-sink'>, input: DeriveInput): Derived {
  const node = first(input)
  const { sink } = draft
  if (draft.guarantee === 'exactly-once' && sink.guarantee === 'at-least-once') {
    refusePlan(
      'MR_PLAN_GUARANTEE_REFUSED',
      input.at,
      `a ${sink.spec.type} sink may write rows again after a crash, and \`to\` promises each of them exactly once.`,
    )
  }
  if (node.mode === 'update' && !sink.acceptsUpdates) {
    refusePlan(
      'MR_PLAN_UPDATE_REFUSED',
      input.at,
      `\`${node.name}\` gives updates of earlier rows, and a ${sink.spec.type} sink can only add rows.`,
    )
  }
  const fields = fieldsOfShape(node.shape) ?? [OPEN_ROW]
  const open = fields.find((field) => field.type.kind === 'variant')
  if (open !== undefined && sink.acceptsOpenRows !== true)
    refusePlan(
      'MR_PLAN_SHAPE_OPEN',
      input.at,
      open === OPEN_ROW
        ? `a ${sink.spec.type} sink needs typed columns, and \`${node.name}\` gives JavaScript values.`
        : `a ${sink.spec.type} sink needs typed columns, and the type of \`${open.name}\` is not known.`,
      'Give the lambda in front a `value` schema of its result: `{ value: t.object({ ... }) }`.',
    )
  sink.check(fields)
  return { shape: node.shape, mode: node.mode, key: node.key }
}

type Rules = { readonly [K in PlanNodeKind]: (draft: DraftOf<K>, input: DeriveInput) => Derived }

const RULES: Rules = {
  source: (draft) => ({ shape: topicShape(draft.topic), mode: 'append', key: null }),
  'table-source': tableSource,
  filter: (draft, input) => {
    if (typeof draft.predicate !== 'function') needPredicate(draft.predicate, input)
    return same(input)
  },
  map: (draft, input) => lambdaResult(input, draft.keepsKey),
  'flat-map': (_draft, input) => {
    needFacts(first(input), '`flatMap`', input)
    return { shape: declaredShape(input), mode: 'append', key: null }
  },
  project,
  branch: (draft, input) => {
    for (const predicate of draft.predicates) if (typeof predicate !== 'function') needPredicate(predicate, input)
    return same(input)
  },
  merge: (_draft, input) => merge(input),
  'key-by': (draft, input) => {
    needFacts(first(input), '`keyBy`', input)
    needBy(draft.by, input)
    return { shape: first(input).shape, mode: 'append', key: typeof draft.by === 'function' ? null : draft.by }
  },
  through: (draft, input) => {
    needFacts(first(input), '`through`', input)
    toTopic({ kind: 'to-topic', topic: draft.topic, inputs: draft.inputs }, input)
    const shape = topicShape(draft.topic)
    const key = draft.topic.keyField === null ? first(input).key : [draft.topic.keyField]
    return { shape, mode: 'append', key: key !== null && hasFields(shape, key) ? key : null }
  },
  aggregate,
  late: (_draft, input) => late(input),
  dedupe: (draft, input) => {
    needFacts(first(input), '`dedupe`', input)
    needBy(draft.by, input)
    return same(input)
  },
  scan: (draft, input) => {
    needFacts(first(input), '`scan`', input)
    needBy(draft.by, input)
    return { shape: declaredShape(input), mode: 'append', key: null }
  },
  'stream-table-join': join,
  'to-table': toTable,
  'to-topic': toTopic,
  'to-sink': toSink,
}

function needPredicate(predicate: Parameters<typeof typeOfExpression>[0], input: DeriveInput): void {
  const { type } = typeOfExpression(predicate, first(input).shape, input.at)
  if (type.kind !== 'bool' && type.kind !== 'variant')
    refusePlan('MR_PLAN_FIELD_TYPE', input.at, `the predicate must be true or false, and it is ${typeText(type)}.`)
}

/**
 * Shape, mode and key of a draft over its inputs.
 * @throws {MillraceError} `MR_PLAN_*`: everything that would make the plan mean nothing, with the operator and the user's line.
 */
export function derive(draft: NodeDraft, input: DeriveInput): Derived {
  const rule = RULES[draft.kind] as (draft: NodeDraft, input: DeriveInput) => Derived
  return rule(draft, input)
}
