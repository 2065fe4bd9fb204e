// Decides where a plan is cut into sub-topologies. Rules, in this order:
//  1. A sink and a `through` topic are cut off: their outage or lag must stop nothing else. A sink that stateless work feeds and nothing
//     else hangs on is joined to it (plan/direct-sinks.ts): its rows need not go through the log a second time.
//  2. A keyed operator (aggregate, dedupe, scan, table, join with a topic's table) needs all rows of a key in one task. With one task
//     group nothing is cut; otherwise its input is exchanged by the key, unless it is already partitioned by exactly that key.
//  3. A task either binds source partitions or reads exchanges, never both (that would make every bind wait for the exchange): where
//     merge or join would mix them, the source side is exchanged too.
// Everything that remains connected is one sub-topology.
import type { Field } from '../codec/column.ts'
import type { AnyTopic } from '../connect/topic.ts'
import type { InputSpec, InternalTopic, OutputSpec, StoreSpec, SubTopology, Topology, TopologyEdge } from './topology.ts'
import type {
  AggregateNode,
  DedupeNode,
  Plan,
  PlanNode,
  ScanNode,
  StreamTableJoinNode,
  ThroughNode,
  ToSinkNode,
  ToTableNode,
  ToTopicNode,
} from '../plan/node.ts'
import { assert, must } from '../base/assert.ts'
import { directSinks, feedNodes } from '../plan/direct-sinks.ts'

export const GROUPS_MAX = 16

export interface PlannerOptions {
  readonly codeVersion: string
  /** Partitions of a topic: of the existing one, else as declared. */
  readonly partitions: (topic: AnyTopic) => number
  /** Fields of each node's output that somebody downstream reads as columns. */
  readonly needed: ReadonlyMap<number, ReadonlySet<string> | 'all'>
  /** The stores that an operator keeps. */
  readonly stores: (node: PlanNode) => readonly StoreSpec[]
}

type KeyedNode = AggregateNode | DedupeNode | ScanNode | ToTableNode | StreamTableJoinNode

/** A cut edge: rows of `from` reach input `index` of `to` over an internal topic. `by` null keeps the partition. */
interface Cut {
  readonly from: number
  readonly to: number
  readonly index: number
  readonly by: readonly string[] | null
  readonly topic: string
}

/** Rows of a node are partitioned by these fields; null: as the source was. */
type Partitioning = readonly string[] | null

const KEYED = new Set<PlanNode['kind']>(['aggregate', 'dedupe', 'scan', 'to-table', 'stream-table-join'])

/** The way into a sink: rows keep their partition. */
function sinkEdge(node: ToSinkNode): Pick<Cut, 'from' | 'by'> {
  return { from: node.inputs[0] as number, by: null }
}

export function planTopology(plan: Plan, options: PlannerOptions): Topology {
  return new TopologyPlanner(plan, options).topology()
}

/** Internal topic in front of input `index` of an operator. */
export function exchangeTopic(pipeline: string, operator: string, index: number): string {
  return `__${pipeline}.${operator}.${index === 0 ? 'exchange' : `exchange-${index}`}`
}

/** Internal topic in front of a sink that has a task of its own. */
export function feedTopic(pipeline: string, sink: string): string {
  return `__${pipeline}.${sink}.feed`
}

/** The key by which a keyed operator's input `index` must be partitioned. A lambda's key travels as the field `$key`. */
function requiredKey(node: KeyedNode, index: number): readonly string[] {
  switch (node.kind) {
    case 'aggregate':
      return typeof node.groupBy === 'function' ? ['$key'] : node.groupBy
    case 'dedupe':
    case 'scan':
      return typeof node.by === 'function' ? ['$key'] : node.by
    case 'to-table':
      return node.primaryKey
    case 'stream-table-join':
      return node.on.map((pair) => (index === 0 ? pair.stream : pair.table))
  }
}

class TopologyPlanner {
  readonly #plan: Plan
  readonly #options: PlannerOptions
  readonly #leader: number[]
  readonly #cuts: Cut[] = []
  readonly #partitioning: Partitioning[] = []
  /** Per node: does its component read exchanges, bind sources, or neither yet. */
  readonly #readsExchange: boolean[] = []
  readonly #groups: number
  readonly #directSinks: ReadonlySet<string>

  constructor(plan: Plan, options: PlannerOptions) {
    this.#plan = plan
    this.#options = options
    this.#leader = plan.nodes.map((_, index) => index)
    this.#directSinks = directSinks(feedNodes(plan))
    let partitions = 1
    for (const node of plan.nodes) if (node.kind === 'source') partitions = Math.max(partitions, options.partitions(node.topic))
    this.#groups = Math.min(plan.settings.groups ?? partitions, partitions, GROUPS_MAX)
  }

  topology(): Topology {
    for (const node of this.#plan.nodes) this.#place(node)
    const parts = this.#parts()
    const internal: InternalTopic[] = []
    for (const part of parts)
      for (const output of part.outputs)
        if (output.kind === 'exchange') internal.push({ name: output.topic, partitions: output.partitions })
    const tables = parts.flatMap((part) =>
      part.stores
        .filter((store) => store.table !== null)
        .map((store) => {
          const node = must(
            this.#plan.nodes.find((other): other is ToTableNode => other.kind === 'to-table' && other.table === store.table),
            'table node',
          )
          return { name: node.table, part: part.name, store: store.name, primaryKey: node.primaryKey, retentionMs: node.retentionMs }
        }),
    )
    return {
      pipeline: this.#plan.pipeline,
      codeVersion: this.#options.codeVersion,
      settings: this.#plan.settings,
      parts,
      internalTopics: internal,
      tables,
    }
  }

  // Placement: one pass in topological order; each edge is either joined (same component) or cut.

  #place(node: PlanNode): void {
    this.#readsExchange[node.id] = false
    this.#partitioning[node.id] =
      node.kind === 'source' || node.kind === 'table-source' ? null : (this.#partitioning[node.inputs[0] as number] ?? null)
    if (node.kind === 'to-sink') {
      if (this.#directSinks.has(node.name)) this.#join(node.id, node.inputs[0] as number)
      else this.#cut(node, 0, null, feedTopic(this.#plan.pipeline, node.name))
      return
    }
    if (node.kind === 'through') {
      // The writer's side ends at the topic; the reader's side is a source of its own.
      this.#partitioning[node.id] = null
      return
    }
    if (KEYED.has(node.kind)) return this.#placeKeyed(node as KeyedNode)
    if (node.kind === 'merge') return this.#placeMerge(node)
    if (node.kind === 'key-by') this.#partitioning[node.id] = this.#partitioning[node.inputs[0] as number] ?? null
    for (const input of node.inputs) this.#join(node.id, input)
    if (node.kind === 'project' || node.kind === 'map' || node.kind === 'flat-map')
      this.#partitioning[node.id] = this.#keptPartitioning(node)
  }

  #placeKeyed(node: KeyedNode): void {
    const many = this.#groups > 1
    for (const [index, input] of node.inputs.entries()) {
      const source = this.#node(input)
      const isFile = source.kind === 'table-source' && 'path' in source.from
      const key = requiredKey(node, index)
      if (isFile || !many || this.#isPartitionedBy(input, key)) {
        if (!isFile && this.#mixes(node.id, input) && index > 0) this.#cut(node, index, key, this.#exchangeName(node, index))
        else this.#join(node.id, input)
        continue
      }
      // A join with a file's table works on any partitioning: the table is read whole by every task.
      if (node.kind === 'stream-table-join' && index === 0 && this.#isFileTable(node.inputs[1] as number)) {
        this.#join(node.id, input)
        continue
      }
      this.#cut(node, index, key, this.#exchangeName(node, index))
    }
    if (this.#cuts.some((cut) => cut.to === node.id && cut.by !== null)) this.#partitioning[node.id] = requiredKey(node, 0)
  }

  #placeMerge(node: PlanNode): void {
    const kinds = new Set(node.inputs.map((input) => this.#readsExchange[this.#find(input)] === true))
    const partitionings = new Set(node.inputs.map((input) => JSON.stringify(this.#partitioning[input] ?? null)))
    for (const [index, input] of node.inputs.entries()) {
      if (kinds.size > 1) this.#cut(node, index, null, this.#exchangeName(node, index))
      else this.#join(node.id, input)
    }
    if (partitionings.size > 1) this.#partitioning[node.id] = null
  }

  #exchangeName(node: PlanNode, index: number): string {
    return exchangeTopic(this.#plan.pipeline, node.name, index)
  }

  #isFileTable(id: number): boolean {
    const node = this.#node(id)
    return node.kind === 'table-source' && 'path' in node.from
  }

  #isPartitionedBy(id: number, key: readonly string[]): boolean {
    const by = this.#partitioning[id]
    return by !== null && by !== undefined && by.length === key.length && by.every((name, index) => name === key[index])
  }

  /** A projection or lambda keeps the partitioning only when the key fields go through unchanged. */
  #keptPartitioning(node: PlanNode): Partitioning {
    const before = this.#partitioning[node.inputs[0] as number] ?? null
    if (before === null) return null
    if (node.kind === 'project') {
      const kept = before.every((name) =>
        node.columns.some((column) => column.name === name && column.value.kind === 'field' && column.value.name === name),
      )
      return kept ? before : null
    }
    return null
  }

  #mixes(a: number, b: number): boolean {
    const left = this.#find(a)
    const right = this.#find(b)
    return left !== right && this.#readsExchange[left] !== this.#readsExchange[right] && this.#componentSize(left) > 1
  }

  #componentSize(leader: number): number {
    return this.#leader.filter((_, id) => this.#find(id) === leader).length
  }

  #cut(node: PlanNode, index: number, by: readonly string[] | null, topic: string): void {
    this.#cuts.push({ from: node.inputs[index] as number, to: node.id, index, by, topic })
    this.#readsExchange[this.#find(node.id)] = true
  }

  #find(id: number): number {
    let at = id
    while (this.#leader[at] !== at) at = this.#leader[at] as number
    return at
  }

  #join(a: number, b: number): void {
    const left = this.#find(a)
    const right = this.#find(b)
    if (left === right) return
    const [low, high] = left < right ? [left, right] : [right, left]
    this.#leader[high] = low
    this.#readsExchange[low] = this.#readsExchange[low] === true || this.#readsExchange[high] === true
  }

  #node(id: number): PlanNode {
    return must(this.#plan.nodes[id], `node ${id}`)
  }

  // Assembly of the parts.

  #parts(): readonly SubTopology[] {
    const members = new Map<number, PlanNode[]>()
    for (const node of this.#plan.nodes) {
      const leader = this.#find(node.id)
      const list = members.get(leader)
      if (list === undefined) members.set(leader, [node])
      else list.push(node)
    }
    const names = new Map<number, string>()
    for (const [leader, nodes] of members) names.set(leader, this.#partName(nodes))
    const outputs = new Map<number, OutputSpec[]>()
    for (const leader of members.keys()) outputs.set(leader, [])
    const exchangeOutput = new Map<Cut, number>()
    for (const cut of this.#cuts) {
      const list = must(outputs.get(this.#find(cut.from)), 'outputs')
      exchangeOutput.set(cut, list.length)
      list.push(this.#exchangeSpec(cut))
    }
    return [...members].map(([leader, nodes]) =>
      this.#part(must(names.get(leader), 'part name'), leader, nodes, must(outputs.get(leader), 'outputs'), exchangeOutput, names),
    )
  }

  #partName(nodes: readonly PlanNode[]): string {
    const named = nodes.find((node) => node.kind === 'source') ?? nodes.find((node) => KEYED.has(node.kind)) ?? nodes[0]
    return must(named, 'a part has a node').name
  }

  #fieldsOf(cut: Pick<Cut, 'from' | 'by'>): { readonly fields: readonly Field[]; readonly open: boolean } {
    const shape = this.#node(cut.from).shape
    const key = cut.by ?? []
    if ('open' in shape) {
      const variant = (name: string): Field => ({ name, type: { kind: 'variant' }, nullable: true })
      return { fields: [variant('$value'), ...key.map(variant)], open: true }
    }
    const needed = this.#options.needed.get(cut.from) ?? 'all'
    const carried = shape.fields.filter((field) => needed === 'all' || needed.has(field.name) || key.includes(field.name))
    const missing = key.filter((name) => !shape.fields.some((field) => field.name === name))
    return { fields: [...carried, ...missing.map((name): Field => ({ name, type: { kind: 'variant' }, nullable: true }))], open: false }
  }

  #exchangeSpec(cut: Cut): OutputSpec {
    const { fields, open } = this.#fieldsOf(cut)
    const partitionBy = cut.by === null ? null : cut.by.map((name) => fields.findIndex((field) => field.name === name))
    assert(partitionBy === null || partitionBy.every((index) => index >= 0), () => `key fields of ${cut.topic}`)
    return { kind: 'exchange', topic: cut.topic, fields, open, mode: this.#node(cut.from).mode, partitionBy, partitions: this.#groups }
  }

  #part(
    name: string,
    leader: number,
    nodes: readonly PlanNode[],
    outputs: OutputSpec[],
    exchangeOutput: ReadonlyMap<Cut, number>,
    names: ReadonlyMap<number, string>,
  ): SubTopology {
    const inputs: InputSpec[] = []
    const edges: TopologyEdge[] = []
    const inputOfNode = new Map<number, number>()
    const sinkNode = nodes.find((node) => node.kind === 'to-sink')
    for (const node of nodes) {
      const spec = this.#sourceSpec(node)
      if (spec === null) continue
      inputOfNode.set(node.id, inputs.length)
      inputs.push(spec)
    }
    for (const cut of this.#cuts) {
      if (this.#find(cut.to) === leader) {
        const { fields, open } = this.#fieldsOf(cut)
        const producer = must(names.get(this.#find(cut.from)), 'producer')
        if (cut.to !== sinkNode?.id) edges.push({ from: { input: inputs.length }, to: { node: cut.to, input: cut.index } })
        inputs.push({
          kind: 'exchange',
          name: cut.topic,
          topic: cut.topic,
          fields,
          open,
          mode: this.#node(cut.from).mode,
          partitions: this.#groups,
          producer,
          producerOutput: must(exchangeOutput.get(cut), 'exchange output'),
        })
      }
      if (this.#find(cut.from) === leader)
        edges.push({ from: this.#origin(cut.from, inputOfNode), to: { output: must(exchangeOutput.get(cut), 'exchange output') } })
    }
    for (const node of nodes) this.#wire(node, edges, outputs, inputOfNode)
    for (const node of this.#plan.nodes)
      if (node.kind === 'through' && this.#find(node.inputs[0] as number) === leader) this.#topicOutput(node, edges, outputs, inputOfNode)
    const operators = nodes.filter((node) => !inputOfNode.has(node.id) && node.kind !== 'to-topic' && node.kind !== 'to-sink')
    return {
      name,
      groups: this.#groups,
      inputs,
      outputs,
      stores: operators.flatMap((node) => this.#options.stores(node)),
      nodes: operators.map((node) => node.id),
      edges,
      sink: sinkNode === undefined ? null : this.#sinkSpec(sinkNode, outputs),
    }
  }

  #sinkSpec(node: ToSinkNode, outputs: readonly OutputSpec[]): NonNullable<SubTopology['sink']> {
    const output = outputs.findIndex((other) => other.kind === 'sink')
    return { name: node.name, sink: node.sink, ...this.#fieldsOf(sinkEdge(node)), output: output < 0 ? null : output }
  }

  #origin(id: number, inputOfNode: ReadonlyMap<number, number>): TopologyEdge['from'] {
    const input = inputOfNode.get(id)
    return input === undefined ? { node: id } : { input }
  }

  /** Edges inside the part, and the outputs to users' topics. */
  #wire(node: PlanNode, edges: TopologyEdge[], outputs: OutputSpec[], inputOfNode: ReadonlyMap<number, number>): void {
    if (node.kind === 'to-topic') return this.#topicOutput(node, edges, outputs, inputOfNode)
    if (node.kind === 'to-sink' && this.#directSinks.has(node.name)) {
      const edge = sinkEdge(node)
      edges.push({ from: this.#origin(edge.from, inputOfNode), to: { output: outputs.length } })
      outputs.push({ kind: 'sink', name: node.name, ...this.#fieldsOf(edge) })
      return
    }
    for (const [index, input] of node.inputs.entries()) {
      if (node.kind === 'to-sink' || node.kind === 'through' || this.#find(input) !== this.#find(node.id)) continue
      if (this.#cuts.some((cut) => cut.to === node.id && cut.index === index)) continue
      edges.push({ from: this.#origin(input, inputOfNode), to: { node: node.id, input: index } })
    }
  }

  #topicOutput(
    node: ToTopicNode | ThroughNode,
    edges: TopologyEdge[],
    outputs: OutputSpec[],
    inputOfNode: ReadonlyMap<number, number>,
  ): void {
    const from = this.#node(node.inputs[0] as number)
    edges.push({ from: this.#origin(from.id, inputOfNode), to: { output: outputs.length } })
    outputs.push({
      kind: 'topic',
      name: node.name,
      topic: node.topic,
      fields: 'open' in from.shape ? null : from.shape.fields,
      mode: from.mode,
      key: from.key,
      partitions: this.#options.partitions(node.topic),
      passThrough: this.#isUnchanged(from),
    })
  }

  /** True when rows reach `node` as a source gave them, inside one part: an exchange carries columns, not the source's bytes. */
  #isUnchanged(node: PlanNode): boolean {
    // What a foreign schema gives need not be what it was given: defaults, transformations.
    if (node.kind === 'source' || node.kind === 'through') return node.topic.foreignSchema === null
    if (node.kind !== 'filter' && node.kind !== 'branch' && node.kind !== 'merge' && node.kind !== 'key-by' && node.kind !== 'dedupe')
      return false
    if (this.#cuts.some((cut) => cut.to === node.id)) return false
    return node.inputs.every((input) => this.#isUnchanged(this.#node(input)))
  }

  #sourceSpec(node: PlanNode): InputSpec | null {
    if (node.kind === 'source' || node.kind === 'through') {
      return {
        kind: 'source',
        name: node.name,
        topic: node.topic,
        needed: this.#neededColumns(node, node.topic),
        table: false,
        partitions: this.#options.partitions(node.topic),
      }
    }
    if (node.kind !== 'table-source') return null
    if ('path' in node.from) return { kind: 'file-table', name: node.name, table: node.from }
    return {
      kind: 'source',
      name: node.name,
      topic: node.from,
      needed: this.#neededColumns(node, node.from),
      table: true,
      partitions: this.#options.partitions(node.from),
    }
  }

  #neededColumns(node: PlanNode, topic: AnyTopic): readonly number[] {
    const fields = topic.fields ?? []
    const needed = this.#options.needed.get(node.id) ?? 'all'
    const indexes: number[] = []
    for (const [index, field] of fields.entries()) if (needed === 'all' || needed.has(field.name)) indexes.push(index)
    return indexes
  }
}
