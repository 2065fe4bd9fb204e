// Which sinks the task that reads the source may write into by itself (ADR 0008): those that nothing but stateless work feeds, and whose
// outage can stop nothing else, because nothing else hangs on that work. A rule over names and kinds alone, so that `millrace plan` can ask
// it of a stored plan as the planner asks it of a new one.
import type { Plan, PlanNode, PlanNodeKind } from './node.ts'

/** What the rule has to know of a node. */
export interface FeedNode {
  readonly name: string
  readonly kind: PlanNodeKind
  readonly inputs: readonly string[]
  /** A table that is read from its file, whole, by every incarnation of a task: no state that a restart would miss. */
  readonly isFileTable: boolean
}

const STATELESS: ReadonlySet<PlanNodeKind> = new Set<PlanNodeKind>([
  'source',
  'through',
  'filter',
  'project',
  'map',
  'flat-map',
  'branch',
  'merge',
  'key-by',
])

/** Names of the direct sinks of a plan. */
export function directSinks(nodes: readonly FeedNode[]): ReadonlySet<string> {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const readers = new Map<string, FeedNode[]>()
  for (const node of nodes) for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node])
  const direct = new Set<string>()
  for (const node of nodes) if (node.kind === 'to-sink' && isDirect(node, byName, readers)) direct.add(node.name)
  return direct
}

/** Walks over everything that would run in one task with what feeds the sink. */
function isDirect(sink: FeedNode, byName: ReadonlyMap<string, FeedNode>, readers: ReadonlyMap<string, readonly FeedNode[]>): boolean {
  const seen = new Set<string>(sink.inputs)
  // A set gives what is added while it is walked, too.
  for (const name of seen) {
    const node = byName.get(name)
    if (node === undefined || !isStateless(node, byName)) return false
    // The topic of a `through` ends one task and begins another.
    if (node.kind !== 'through') for (const input of node.inputs) seen.add(input)
    for (const reader of readers.get(name) ?? []) {
      if (reader.name === sink.name) continue
      if (reader.kind === 'through') return false
      seen.add(reader.name)
    }
  }
  return true
}

function isStateless(node: FeedNode, byName: ReadonlyMap<string, FeedNode>): boolean {
  if (node.kind === 'table-source') return node.isFileTable
  if (node.kind === 'stream-table-join') return byName.get(node.inputs[1] ?? '')?.isFileTable === true
  return STATELESS.has(node.kind)
}

/** The nodes of a plan as the rule sees them. */
export function feedNodes(plan: Plan): readonly FeedNode[] {
  return plan.nodes.map((node) => ({
    name: node.name,
    kind: node.kind,
    inputs: node.inputs.map((input) => plan.nodes[input]?.name ?? ''),
    isFileTable: isFileTable(node),
  }))
}

function isFileTable(node: PlanNode): boolean {
  return node.kind === 'table-source' && 'path' in node.from
}
