// A plan as a tree that people read: from each source down to what leaves the pipeline, one node a line.
import { expressionText } from './expression-text.ts'
import type { Expression } from './expression.ts'
import type { AggregateSpec, Lambda, Plan, PlanNode, WindowSpec } from './node.ts'
import { shapeText } from './shape.ts'
import { visit, type PlanVisitor } from './visitor.ts'

export interface DescribeOptions {
  /** Show `file:line` of each node; default true. */
  readonly places?: boolean
  /** Folder that is cut off the front of places. */
  readonly root?: string
  /** Show the columns of each node; default true. */
  readonly shapes?: boolean
}

/** Milliseconds in the largest unit that divides them. */
export function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1_000, 's'],
  ] as const
  for (const [size, unit] of units) if (ms !== 0 && ms % size === 0) return `${ms / size} ${unit}`
  return `${ms} ms`
}

function readerText(reader: Lambda | Expression | readonly string[]): string {
  if (typeof reader === 'function') return 'lambda'
  return 'kind' in reader ? expressionText(reader) : reader.join(', ')
}

function windowText(window: WindowSpec): string {
  const parts = [
    durationText(window.sizeMs),
    ...(window.graceMs > 0 ? [`grace ${durationText(window.graceMs)}`] : []),
    ...(window.offsetMs > 0 ? [`offset ${durationText(window.offsetMs)}`] : []),
  ]
  return `${window.kind} ${parts.join(', ')}`
}

function aggregateText(spec: AggregateSpec): string {
  if (spec.kind === 'custom') return 'custom'
  const where = spec.where === null ? '' : ` where ${expressionText(spec.where)}`
  return `${spec.kind}(${spec.kind === 'count' ? '' : expressionText(spec.of)})${where}`
}

/** What a node does, in one line. */
const SUMMARIES: PlanVisitor<string> = {
  source: (node) =>
    `topic ${node.topic.name}, time ${node.topic.eventTime ?? 'of the record'}, disorder ${durationText(node.topic.disorderMs)}`,
  'table-source': (node) => (node.from.kind === 'topic' ? `table of the topic ${node.from.name}` : `table in ${node.from.path}`),
  filter: (node) => readerText(node.predicate),
  map: (node) => (node.keepsKey ? 'lambda, keeps the key' : 'lambda'),
  'flat-map': () => 'lambda',
  project: (node) =>
    node.columns
      .map((column) =>
        column.value.kind === 'field' && column.value.name === column.name
          ? column.name
          : `${column.name} = ${expressionText(column.value)}`,
      )
      .join(', '),
  branch: (node) => {
    const predicate = node.predicates[node.index]
    return predicate === undefined ? 'the rest' : readerText(predicate)
  },
  merge: () => 'all inputs',
  'key-by': (node) => readerText(node.by),
  through: (node) => `topic ${node.topic.name}${node.topic.private ? ', private' : ''}`,
  aggregate: (node) => {
    const window = node.window === null ? '' : `; ${windowText(node.window)}`
    return `by ${readerText(node.groupBy)}${window}; emit ${node.emit}; ${node.aggregates.map((one) => `${one.name} = ${aggregateText(one.spec)}`).join(', ')}`
  },
  late: () => 'late records',
  dedupe: (node) => `by ${readerText(node.by)} within ${durationText(node.withinMs)}`,
  scan: (node) => `by ${readerText(node.by)}`,
  'stream-table-join': (node) => `${node.type}, on ${node.on.map((pair) => `${pair.stream} = ${pair.table}`).join(' and ')}`,
  'to-table': (node) =>
    `table ${node.table}, key ${node.primaryKey.join(', ')}${node.retentionMs === null ? '' : `, kept ${durationText(node.retentionMs)}`}`,
  'to-topic': (node) => `topic ${node.topic.name}`,
  'to-sink': (node) => `${node.sink.spec.type}, ${node.sink.guarantee}`,
}

/** What the node does, in one line without its name. */
export function summarize(node: PlanNode): string {
  return visit(SUMMARIES, node)
}

function line(node: PlanNode, options: DescribeOptions): string {
  const parts = [`${node.name}  [${node.kind}] ${summarize(node)}`]
  if (node.mode === 'update') parts.push('updates')
  if (node.key !== null) parts.push(`key ${node.key.join(', ')}`)
  if (options.shapes !== false && !node.kind.startsWith('to-')) parts.push(`{ ${shapeText(node.shape)} }`)
  if (options.places !== false && node.place !== null) {
    const { root } = options
    parts.push(`at ${root !== undefined && node.place.startsWith(root) ? node.place.slice(root.length).replace(/^[/\\]/, '') : node.place}`)
  }
  return parts.join(' · ')
}

/**
 * The plan as a tree, one node a line, each source with what follows it below. A node with several inputs stands below its first one and
 * is named (`-> name`) below the others.
 */
export function describePlan(plan: Plan, options: DescribeOptions = {}): string {
  const readers = plan.nodes.map((): PlanNode[] => [])
  for (const node of plan.nodes) for (const input of new Set(node.inputs)) readers[input]?.push(node)
  const lines = [`pipeline ${plan.pipeline}`]
  const add = (node: PlanNode, from: number | null, indent: string): void => {
    if (from !== null && node.inputs[0] !== from) {
      lines.push(`${indent}-> ${node.name}`)
      return
    }
    lines.push(indent + line(node, options))
    for (const reader of readers[node.id] ?? []) add(reader, node.id, `${indent}  `)
  }
  for (const node of plan.nodes) if (node.inputs.length === 0) add(node, null, '  ')
  return `${lines.join('\n')}\n`
}
