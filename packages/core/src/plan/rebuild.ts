// What building the state of a pipeline again costs those who read it. State begins empty at the start of the sources, so every record that
// the log still has runs through the whole pipeline once more: tables come out the same, topics and sinks get their rows a second time.
import type { PlanChange } from './diff.ts'
import type { Plan } from './node.ts'
import type { StoredPlan } from './serialize.ts'

export interface RowsAgain {
  /** Topics that others may read and that get rows again. */
  readonly topics: readonly string[]
  readonly sinks: readonly string[]
  /** Topics that are read from their start. */
  readonly sources: readonly string[]
}

/** The topics and sinks that plans send rows to. */
export interface PlanOutputs {
  readonly topics: readonly string[]
  readonly sinks: readonly string[]
}

/** The outputs of every plan that a pipeline was started with. */
export function outputsOf(plans: readonly StoredPlan[]): PlanOutputs {
  const nodes = plans.flatMap((plan) => plan.nodes)
  const topics = nodes.flatMap(({ kind, says }) =>
    kind === 'to-topic' || kind === 'through' ? [(says['topic'] as { readonly name: string }).name] : [],
  )
  return { topics: [...new Set(topics)], sinks: [...new Set(nodes.flatMap(({ kind, name }) => (kind === 'to-sink' ? [name] : [])))] }
}

/**
 * Who notices a rebuild. No topics and no sinks: tables alone, which nobody can tell from before.
 * @param before What had rows before: any other output gets its rows for the first time. Null: nobody knows, so every output counts.
 */
export function rowsAgain({ nodes }: Plan, before: PlanOutputs | null): RowsAgain {
  const topics = nodes.flatMap((node) =>
    (node.kind === 'to-topic' || node.kind === 'through') && !node.topic.private && before?.topics.includes(node.topic.name) !== false
      ? [node.topic.name]
      : [],
  )
  const sources = nodes.flatMap((node) => {
    if (node.kind === 'source') return [node.topic.name]
    return node.kind === 'table-source' && node.from.kind === 'topic' ? [node.from.name] : []
  })
  return {
    topics: [...new Set(topics)],
    sinks: nodes.flatMap((node) => (node.kind === 'to-sink' && before?.sinks.includes(node.name) !== false ? [node.name] : [])),
    sources: [...new Set(sources)],
  }
}

/**
 * The topics that a pipeline writes and reads itself. They keep what was written before, so state behind them would count it twice: such
 * a pipeline cannot be built again.
 */
export function ownTopics({ nodes }: Plan): readonly string[] {
  const written = new Set(nodes.flatMap((node) => (node.kind === 'to-topic' || node.kind === 'through' ? [node.topic.name] : [])))
  const read = nodes.flatMap((node) => {
    if (node.kind === 'source' || node.kind === 'through') return [node.topic.name]
    return node.kind === 'table-source' && node.from.kind === 'topic' ? [node.from.name] : []
  })
  return [...new Set(read.filter((name) => written.has(name)))]
}

/** The outputs in words: "topic `copy` and sink `file`"; null when there are none. */
export function outputsText({ topics, sinks }: RowsAgain): string | null {
  const names = [...topics.map((name) => `topic \`${name}\``), ...sinks.map((name) => `sink \`${name}\``)]
  return names.length === 0 ? null : names.join(' and ')
}

/** Whether the change needs state to be built again, or something to be given up. A start refuses it unless it is told which. */
export function isStateChange(change: PlanChange): boolean {
  return change.kind === 'state-rebuilt' || isLoss(change)
}

/** Whether `--drop-state` lets the change through: what had a name would have none any more. */
export function isLoss({ kind }: PlanChange): boolean {
  return kind === 'state-lost' || kind === 'rows-left'
}

/** Whether `start` refuses the change as it stands. */
export function isRefused(change: PlanChange): boolean {
  return change.kind === 'refused' || isStateChange(change)
}
