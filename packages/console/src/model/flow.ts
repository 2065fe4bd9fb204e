// What moves where: for each node of the plan its rates, for each edge its rate, lag and watermark. The picture draws this and nothing else.
import type { PlantStatus } from 'millrace/api'
import type { NodeStatus, PipelineStatus, TaskStatus } from '@millrace/core/engine'
import type { NodeRate } from './rates.ts'
import { nodeKey } from './rates.ts'

export interface NodeFlow {
  readonly node: NodeStatus
  readonly rateIn: number
  readonly rateOut: number
  /** False for an input that has no counter of its own inside the pipeline (a file that was read once). */
  readonly counts: boolean
  readonly tasks: readonly TaskStatus[]
  readonly trouble: 'failed' | 'paused' | null
}

export interface EdgeFlow {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly rate: number
  /** Records that wait on this edge; null where rows are handed over inside a task, and for tables read from files. */
  readonly lag: number | null
  readonly watermarkMs: number
  /** memory: a function call inside a task. topic: through the log. */
  readonly over: 'memory' | 'topic'
}

export interface Flow {
  readonly nodes: ReadonlyMap<number, NodeFlow>
  readonly edges: readonly EdgeFlow[]
}

const READS_TOPIC = new Set(['source', 'table-source', 'through'])

export function isOutput(kind: string): boolean {
  return kind === 'to-topic' || kind === 'to-table' || kind === 'to-sink'
}

/** What a user calls the node: sources, tables and topics by what they stand for, since their own name is often made up; the rest by name. */
export function titleOf(node: NodeStatus): string {
  const standsFor = node.kind === 'source' || node.kind === 'table-source' || node.kind === 'to-topic' || node.kind === 'to-table'
  return standsFor ? (node.target ?? node.name) : node.name
}

export function minWatermark(tasks: readonly TaskStatus[]): number {
  return tasks.reduce((least, task) => Math.min(least, task.watermarkMs), tasks.length === 0 ? Number.NEGATIVE_INFINITY : Infinity)
}

/** Tasks that run the node: those of its part. */
export function tasksOf(pipeline: PipelineStatus, node: NodeStatus): readonly TaskStatus[] {
  return pipeline.tasks.filter((task) => task.part === node.part)
}

function nodeFlow(pipeline: PipelineStatus, node: NodeStatus, status: PlantStatus, rates: ReadonlyMap<string, NodeRate>): NodeFlow {
  const rate = rates.get(nodeKey(pipeline.pipeline, node.name)) ?? { in: 0, out: 0 }
  const topicRate = node.target === null ? undefined : status.rates.topics[node.target]
  const tasks = tasksOf(pipeline, node)
  // Sources and topics at the edge of the plan are no operators: the topic's own rate is theirs.
  const useTopic = topicRate !== undefined && (READS_TOPIC.has(node.kind) || node.kind === 'to-topic') && rate.in === 0 && rate.out === 0
  const failed = tasks.some((task) => task.phase === 'failed' || task.phase === 'crashed')
  const paused = tasks.some((task) => task.phase === 'paused')
  return {
    node,
    rateIn: useTopic ? topicRate : rate.in,
    rateOut: useTopic ? topicRate : rate.out,
    counts: useTopic || topicRate !== undefined || node.kind !== 'table-source',
    tasks,
    trouble: failed ? 'failed' : paused ? 'paused' : null,
  }
}

/** Inputs of tasks by which the rows of `from` arrive at `to`, and what waits there. */
function edgeLag(pipeline: PipelineStatus, from: NodeStatus, to: NodeStatus): number | null {
  if (from.kind === 'table-source' && from.part === to.part) return null
  if (READS_TOPIC.has(from.kind)) return sumLag(tasksOf(pipeline, from), (input) => input === from.name)
  if (from.part === to.part || to.part === '') return null
  const topics = new Set(pipeline.exchanges.filter((each) => each.from === from.part && each.to === to.part).map((each) => each.topic))
  return sumLag(tasksOf(pipeline, to), (input) => topics.has(input) || input === `${to.name} feed`)
}

function sumLag(tasks: readonly TaskStatus[], wanted: (input: string) => boolean): number | null {
  const inputs = tasks.flatMap((task) => task.inputs.filter((input) => wanted(input.input)))
  return inputs.length === 0 ? null : inputs.reduce((sum, input) => sum + input.lag, 0)
}

function sourceWatermark(tasks: readonly TaskStatus[], name: string): number {
  const partitions = tasks.flatMap((task) => task.inputs.filter((input) => input.input === name).flatMap((input) => input.partitions))
  return partitions.length === 0 ? minWatermark(tasks) : Math.min(...partitions.map((partition) => partition.watermarkMs))
}

function edgeFlow(pipeline: PipelineStatus, from: NodeFlow, to: NodeFlow): EdgeFlow {
  const fromSource = READS_TOPIC.has(from.node.kind)
  const lag = edgeLag(pipeline, from.node, to.node)
  return {
    id: `${from.node.id}-${to.node.id}`,
    from: from.node.id,
    to: to.node.id,
    // A node with one input counts exactly what came over this edge; one with several cannot tell them apart.
    rate: to.node.inputs.length === 1 && to.rateIn > 0 && !fromSource ? to.rateIn : from.rateOut,
    lag,
    watermarkMs: fromSource ? sourceWatermark(from.tasks, from.node.name) : minWatermark(from.tasks),
    over: lag === null ? 'memory' : 'topic',
  }
}

export function flowOf(status: PlantStatus, pipeline: PipelineStatus, rates: ReadonlyMap<string, NodeRate>): Flow {
  const nodes = new Map(pipeline.nodes.map((node) => [node.id, nodeFlow(pipeline, node, status, rates)]))
  const edges: EdgeFlow[] = []
  for (const to of nodes.values()) {
    for (const input of to.node.inputs) {
      const from = nodes.get(input)
      if (from !== undefined) edges.push(edgeFlow(pipeline, from, to))
    }
  }
  return { nodes, edges }
}
