// What an edit does to a running pipeline, known before anything runs: which state is kept, rebuilt or lost, and what changes around it.
// State belongs to a name. It is kept when the operator of that name keeps the same layout and reads rows partitioned the same way; it is
// rebuilt from the kept input when layout or partitioning changed; it is lost when nobody has the name any more.
import { nearestWord } from '../base/nearest-word.ts'
import { layoutText } from '../codec/layout-id.ts'
import { directSinks, type FeedNode } from './direct-sinks.ts'
import { fieldsText } from './shape.ts'
import { topicDrift, type TopicKeeping } from './topic-drift.ts'
import { nodeHash, type Json, type StoredNode, type StoredPlan } from './serialize.ts'

export type PlanChangeKind =
  /** State goes on as it is. */
  | 'state-kept'
  /** State is thrown away and made again from the input that the log still has. */
  | 'state-rebuilt'
  /** State has no owner any more. */
  | 'state-lost'
  /** State that starts empty. */
  | 'state-new'
  /** Rows are still on their way to a sink that nobody has any more. */
  | 'rows-left'
  /** A stateless operator or an output appeared, went or changed. */
  | 'operator-new'
  | 'operator-gone'
  | 'operator-changed'
  /** A topic that the plan reads or writes and the log does not have: it will be made. */
  | 'topic-missing'
  /** The file says something of an existing topic that does not happen. */
  | 'topic-differs'
  /** The value of a topic is declared in another way than before. */
  | 'schema-changed'
  | 'setting-changed'
  /** Not possible while the pipeline keeps its state. */
  | 'refused'

/** One line of `npx millrace plan`. */
export interface PlanChange {
  readonly kind: PlanChangeKind
  /** Operator, topic or setting. */
  readonly name: string
  /** `file:line` in the new plan; null for what is gone. */
  readonly place: string | null
  /** One sentence: what happens and why. */
  readonly message: string
  /** What the user may want to do; null when nothing. */
  readonly advice: string | null
}

export interface DiffOptions {
  /** The topics that exist on the log, by name; null: not asked. */
  readonly topics?: ReadonlyMap<string, TopicKeeping> | null
  /** Batches that were written for a sink of the old plan and that it has not shipped, by its name. */
  readonly unshipped?: ReadonlyMap<string, number>
}

const STATEFUL: ReadonlySet<string> = new Set(['aggregate', 'dedupe', 'scan', 'to-table', 'stream-table-join'])

function fieldsKey(node: StoredNode, nodes: ReadonlyMap<string, StoredNode>): string {
  const input = nodes.get(node.inputs[0] ?? '')
  return input?.fields === undefined || input.fields === null ? 'open' : layoutText(input.fields)
}

/** Which windows a node cuts; the same text for the same windows. */
function windowOf({ says }: StoredNode): string {
  const { sizeMs = null, offsetMs = null } =
    (says['window'] as { readonly sizeMs: number; readonly offsetMs: number } | null | undefined) ?? {}
  return JSON.stringify([sizeMs, offsetMs])
}

/** What the rows of a node's store look like. A change of this text is a change of layout. */
function layoutOf(node: StoredNode, nodes: ReadonlyMap<string, StoredNode>): Json {
  const { says } = node
  const types = node.fields === null ? 'open' : layoutText(node.fields)
  switch (node.kind) {
    case 'aggregate': {
      const specs = (says['aggregates'] as readonly { readonly name: string; readonly spec: Json }[]).map((one) => [one.name, one.spec])
      return ['aggregate', specs, windowOf(node), types]
    }
    case 'dedupe':
      return ['dedupe']
    case 'scan':
      return ['scan', says['initial'] ?? null]
    case 'to-table':
      return ['table', says['primaryKey'] ?? null, types]
    default:
      return [node.kind, says['on'] ?? null, fieldsKey({ ...node, inputs: node.inputs.slice(1) }, nodes)]
  }
}

/** How the rows that reach a node must be partitioned: names, and the types that their key bytes have. A change of this is a change of exchange. */
function partitioningOf(node: StoredNode, nodes: ReadonlyMap<string, StoredNode>): Json {
  const { says } = node
  const by = says['groupBy'] ?? says['by'] ?? says['primaryKey'] ?? says['on'] ?? null
  if (!Array.isArray(by)) return by
  const fields = nodes.get(node.inputs[0] ?? '')?.fields ?? []
  const names = by.map((part: Json) => (typeof part === 'string' ? part : (part as { readonly stream: string }).stream))
  return [by, layoutText(fields.filter((field) => names.includes(field.name)))]
}

/** The new node that a vanished one may have become: of its kind, by preference one that means the same, with the nearest name. */
function renameOf(gone: StoredNode, fresh: readonly StoredNode[]): StoredNode | null {
  const candidates = fresh.filter((node) => node.kind === gone.kind)
  const meaning = (node: StoredNode): string => nodeHash({ ...node, name: '', inputs: [], says: { ...node.says, table: null } })
  const same = candidates.filter((node) => meaning(node) === meaning(gone))
  const pool = same.length > 0 ? same : candidates
  const near = nearestWord(
    gone.name,
    pool.map((node) => node.name),
  )
  return pool.find((node) => node.name === near) ?? (same.length > 0 || pool.length === 1 ? (pool[0] ?? null) : null)
}

/** How the user writes the name of a node. */
function naming(node: StoredNode): string {
  return node.kind === 'to-table' ? `toTable(${JSON.stringify(node.says['table'])})` : `{ name: '${node.name}' }`
}

function stateChange(
  before: StoredNode,
  after: StoredNode,
  old: ReadonlyMap<string, StoredNode>,
  now: ReadonlyMap<string, StoredNode>,
): PlanChange {
  const base = { name: after.name, place: after.place }
  if (before.kind !== after.kind) {
    return {
      ...base,
      kind: 'state-rebuilt',
      message: `\`${after.name}\` was a ${before.kind} and is a ${after.kind}: its state starts again from the input that the log still has.`,
      advice: 'Give the new operator another name if the old state may go.',
    }
  }
  if (JSON.stringify(partitioningOf(before, old)) !== JSON.stringify(partitioningOf(after, now))) {
    return {
      ...base,
      kind: 'state-rebuilt',
      message: `\`${after.name}\` groups its rows by another key: its state must be built again from the input that the log still has.`,
      advice: null,
    }
  }
  if (JSON.stringify(layoutOf(before, old)) !== JSON.stringify(layoutOf(after, now))) {
    return {
      ...base,
      kind: 'state-rebuilt',
      message: `\`${after.name}\` ${windowOf(before) === windowOf(after) ? 'keeps other columns' : 'cuts other windows'} than before: its state must be built again from the input that the log still has.`,
      advice: null,
    }
  }
  const message =
    nodeHash(before) === nodeHash(after)
      ? `\`${after.name}\` goes on with its state.`
      : `\`${after.name}\` changed and goes on with its state: new rows are treated in the new way.`
  return { ...base, kind: 'state-kept', message, advice: null }
}

/** What a node does with its rows: how its topic is kept says nothing of that. */
function meaningHash(node: StoredNode): string {
  const says = Object.entries(node.says).map(([name, said]): readonly [string, Json] => {
    if ((name !== 'topic' && name !== 'from') || typeof said !== 'object') return [name, said]
    return [name, { ...(said as Readonly<Record<string, Json>> | null), partitions: null, retentionMs: null, compacted: null }]
  })
  return nodeHash({ ...node, says: Object.fromEntries(says) })
}

function nodeChanges(before: StoredPlan, after: StoredPlan, unshipped: ReadonlyMap<string, number>): readonly PlanChange[] {
  const old = new Map(before.nodes.map((node) => [node.name, node]))
  const now = new Map(after.nodes.map((node) => [node.name, node]))
  const fresh = after.nodes.filter((node) => !old.has(node.name))
  const changes: PlanChange[] = []
  for (const node of after.nodes) {
    const known = old.get(node.name)
    const [had, has] = [known !== undefined && STATEFUL.has(known.kind), STATEFUL.has(node.kind)]
    if (known !== undefined && had && has) changes.push(stateChange(known, node, old, now))
    else if (known !== undefined && had) {
      changes.push({
        kind: 'state-lost',
        name: node.name,
        place: node.place,
        message: `\`${node.name}\` was a ${known.kind} and is a ${node.kind}, which keeps no state: its state would be lost.`,
        advice: 'Give the new operator another name if the old one should stay.',
      })
    } else if (has) {
      changes.push({
        kind: 'state-new',
        name: node.name,
        place: node.place,
        message: `\`${node.name}\` is new and starts with empty state.`,
        advice: null,
      })
    } else if (known === undefined) {
      changes.push({
        kind: 'operator-new',
        name: node.name,
        place: node.place,
        message: `the ${node.kind} \`${node.name}\` is new.`,
        advice: null,
      })
    } else if (meaningHash(known) !== meaningHash(node)) {
      changes.push({
        kind: 'operator-changed',
        name: node.name,
        place: node.place,
        message: `the ${node.kind} \`${node.name}\` changed; rows from the next tick on are treated in the new way.`,
        advice: null,
      })
    }
  }
  for (const node of before.nodes) {
    const batches = unshipped.get(node.name) ?? 0
    if (node.kind === 'to-sink' && now.get(node.name)?.kind !== 'to-sink' && batches > 0) changes.push(rowsLeft(node, fresh, batches))
    else if (!now.has(node.name)) changes.push(goneChange(node, fresh))
  }
  return changes
}

/** What a sink has not shipped waits under its name, and nobody else would take it. */
function rowsLeft(node: StoredNode, fresh: readonly StoredNode[], batches: number): PlanChange {
  const renamed = renameOf(node, fresh)
  const asBefore = 'Put the sink back until nothing lags, and then take it out.'
  return {
    kind: 'rows-left',
    name: node.name,
    place: null,
    message: `no sink is named \`${node.name}\` any more, and ${batches} ${batches === 1 ? 'batch' : 'batches'} of acknowledged rows still wait for it: they would not be shipped.`,
    advice: renamed === null ? asBefore : `Was it renamed to \`${renamed.name}\`? Then keep the old name: \`${naming(node)}\`. ${asBefore}`,
  }
}

function goneChange(node: StoredNode, fresh: readonly StoredNode[]): PlanChange {
  if (!STATEFUL.has(node.kind)) {
    return { kind: 'operator-gone', name: node.name, place: null, message: `the ${node.kind} \`${node.name}\` is gone.`, advice: null }
  }
  const renamed = renameOf(node, fresh)
  const advice =
    renamed === null
      ? 'Put the operator back if its state is still needed.'
      : `Was it renamed to \`${renamed.name}\`? Then keep the old name: \`${naming(node)}\`.`
  return {
    kind: 'state-lost',
    name: node.name,
    place: null,
    message: `no operator is named \`${node.name}\` any more: its state would be lost.`,
    advice,
  }
}

/** Sinks that get a task of their own by the edit, or lose it: what is on its way to them matters then. */
function feedChanges(before: StoredPlan, after: StoredPlan): readonly PlanChange[] {
  const [was, is] = [directSinks(before.nodes.map(feedNode)), directSinks(after.nodes.map(feedNode))]
  const old = new Set(before.nodes.filter((node) => node.kind === 'to-sink').map((node) => node.name))
  return after.nodes.flatMap(({ name, kind, place }): readonly PlanChange[] => {
    if (kind !== 'to-sink' || !old.has(name) || was.has(name) === is.has(name)) return []
    if (!is.has(name)) {
      const message = `the sink \`${name}\` gets a task of its own, because its rows no longer come from stateless work alone: it goes on where it is.`
      return [{ kind: 'operator-changed', name, place, message, advice: null }]
    }
    const message = `the sink \`${name}\` loses its own task: the one that reads the source writes into it.`
    const advice = 'Stop the pipeline only when nothing lags: the start is refused while rows are still on their way to the sink.'
    return [{ kind: 'operator-changed', name, place, message, advice }]
  })
}

function feedNode({ name, kind, inputs, says }: StoredNode): FeedNode {
  const from = says['from']
  return { name, kind, inputs, isFileTable: typeof from === 'object' && from !== null && 'path' in from }
}

interface StoredTopic extends TopicKeeping {
  readonly name: string
  readonly fields: StoredNode['fields']
  readonly format: string
}

/** Topics that a plan names, with one node that names each. */
function topicsOf(plan: StoredPlan): ReadonlyMap<string, { readonly topic: StoredTopic; readonly node: StoredNode }> {
  const topics = new Map<string, { readonly topic: StoredTopic; readonly node: StoredNode }>()
  for (const node of plan.nodes) {
    const said = (node.says['topic'] ?? node.says['from']) as (StoredTopic & { readonly kind?: string }) | undefined
    if (said?.kind === 'topic') topics.set(said.name, { topic: said, node })
  }
  return topics
}

function topicChanges(
  before: StoredPlan | null,
  after: StoredPlan,
  existing: ReadonlyMap<string, TopicKeeping> | null,
): readonly PlanChange[] {
  const old: ReturnType<typeof topicsOf> = before === null ? new Map() : topicsOf(before)
  const changes: PlanChange[] = []
  for (const [name, { topic, node }] of topicsOf(after)) {
    const { place } = node
    if (existing !== null && !existing.has(name)) {
      const near = node.kind === 'source' || node.kind === 'table-source' ? nearestWord(name, existing.keys()) : null
      changes.push({
        kind: 'topic-missing',
        name,
        place,
        message: `the topic \`${name}\` does not exist; it will be made with ${topic.partitions} ${topic.partitions === 1 ? 'partition' : 'partitions'}.`,
        advice: near === null ? null : `Did you mean \`${near}\`?`,
      })
    }
    const known = old.get(name)?.topic
    const kept = existing?.get(name)
    if (kept !== undefined)
      for (const drift of topicDrift(name, topic, known ?? null, kept)) changes.push({ kind: 'topic-differs', name, place, ...drift })
    if (known === undefined) continue
    const [was, is] = [known.fields === null ? 'open' : fieldsText(known.fields), topic.fields === null ? 'open' : fieldsText(topic.fields)]
    if (was !== is || known.format !== topic.format) {
      changes.push({
        kind: 'schema-changed',
        name,
        place,
        message: `the value of the topic \`${name}\` was { ${was} } as ${known.format} and is { ${is} } as ${topic.format}.`,
        advice: 'Records that were written before must fit the new value too, else they go to the dead letters.',
      })
    }
  }
  return changes
}

function settingChanges(before: StoredPlan, after: StoredPlan): readonly PlanChange[] {
  const changes: PlanChange[] = []
  for (const name of Object.keys(after.settings) as (keyof StoredPlan['settings'])[]) {
    const [was, is] = [before.settings[name], after.settings[name]]
    if (was === is) continue
    const groups = name === 'groups' && was !== null
    changes.push({
      kind: groups ? 'refused' : 'setting-changed',
      name,
      place: null,
      message: groups
        ? `the number of task groups is fixed when a pipeline is made (${String(was)}); splitting groups is not there yet.`
        : `the setting \`${name}\` was ${String(was)} and is ${String(is)}.`,
      advice: groups ? 'Leave `groups` as it was, or give the pipeline another name.' : null,
    })
  }
  return changes
}

/**
 * Everything that starting `after` would change, in the order of the plan: states and operators, then topics, then settings. `before` null:
 * the pipeline has never run. Equal plans give `state-kept` for each state and nothing else.
 */
export function diffPlans(before: StoredPlan | null, after: StoredPlan, options: DiffOptions = {}): readonly PlanChange[] {
  const topics = topicChanges(before, after, options.topics ?? null)
  if (before !== null)
    return [
      ...nodeChanges(before, after, options.unshipped ?? new Map()),
      ...feedChanges(before, after),
      ...topics,
      ...settingChanges(before, after),
    ]
  const fresh = after.nodes.map((node): PlanChange => {
    const state = STATEFUL.has(node.kind)
    return {
      kind: state ? 'state-new' : 'operator-new',
      name: node.name,
      place: node.place,
      message: state ? `\`${node.name}\` is new and starts with empty state.` : `the ${node.kind} \`${node.name}\` is new.`,
      advice: null,
    }
  })
  return [...fresh, ...topics]
}
