// The topics of a pipeline: makes those that are missing, and plans the topology over what is there.
import type { Disk } from '../base/disk.ts'
import type { Compiler } from '../compile/instantiate.ts'
import type { Topology } from '../compile/topology.ts'
import type { AnyTopic } from '../connect/topic.ts'
import type { Log } from '../log/log.ts'
import type { Plan } from '../plan/node.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { checkFileTable } from '../compile/file-table.ts'
import { planTopology } from '../compile/topology-planner.ts'
import { changelogTopic, deadLetterTopic, progressTopic, retryTopic, snapshotTopic } from './topic-names.ts'

const DEAD_LETTER_RETENTION_MS = 30 * 86_400_000
const INTERNAL_BATCH_BYTES_MAX = 256 * 1024 * 1024

export interface TopologyOptions {
  readonly log: Log
  readonly compiler: Compiler
  readonly codeVersion: string
}

/** Looks at the files of a plan's tables, as a start does first. Throws MR_TABLE_FILE. */
export function checkFileTables(plan: Plan, disk: Disk): void {
  for (const node of plan.nodes) if (node.kind === 'table-source' && node.from.kind === 'file-table') checkFileTable(node.from, disk)
}

/** Makes the topics that are missing and plans the topology over what is there. */
export async function prepareTopology(plan: Plan, options: TopologyOptions): Promise<Topology> {
  const { log } = options
  for (const node of plan.nodes) {
    if (node.kind === 'source' || node.kind === 'to-topic' || node.kind === 'through') await ensureTopic(log, node.topic)
    if (node.kind === 'table-source' && node.from.kind === 'topic') await ensureTopic(log, node.from)
  }
  const topology = topologyOf(plan, options)
  for (const part of topology.parts) {
    const changelog = changelogTopic(plan.pipeline, part.name)
    const known = log.topic(changelog)
    if (known !== null && known.settings.partitions !== part.groups) {
      throw new MillraceError('MR_RUNTIME_GROUPS_FIXED', {
        details: { pipeline: plan.pipeline, part: part.name, groups: known.settings.partitions, wanted: part.groups },
      })
    }
    await ensureInternal(log, changelog, part.groups, null)
    await ensureInternal(log, snapshotTopic(plan.pipeline, part.name), part.groups, null)
    // What may go is decided by what readers still need, and not by age alone (runtime/exchange/progress-board.ts).
    await ensureInternal(log, progressTopic(plan.pipeline, part.name), part.groups, null)
    await ensureInternal(log, retryTopic(plan.pipeline, part.name), part.groups, DEAD_LETTER_RETENTION_MS)
  }
  // A direct sink's intents stand where a task of its own would keep them (runtime/sink/sink-handover.ts).
  for (const { sink, groups } of topology.parts)
    if (sink !== null && sink.output !== null) await ensureInternal(log, changelogTopic(plan.pipeline, sink.name), groups, null)
  for (const topic of topology.internalTopics) await ensureInternal(log, topic.name, topic.partitions, null)
  if (log.topic(deadLetterTopic(plan.pipeline)) === null) {
    await log.createTopic(deadLetterTopic(plan.pipeline), {
      partitions: 1,
      retentionMs: DEAD_LETTER_RETENTION_MS,
      batchBytesMax: INTERNAL_BATCH_BYTES_MAX,
    })
  }
  return topology
}

/** The topology over topics that are all there. The same plan, topics and compiler give the same topology on every thread. */
export function topologyOf(plan: Plan, { log, compiler, codeVersion }: TopologyOptions): Topology {
  return planTopology(plan, {
    codeVersion,
    partitions: (topic) => must(log.topic(topic.name), `topic ${topic.name}`).settings.partitions,
    needed: compiler.neededFields(plan),
    stores: (node) => compiler.stores(plan, node),
  })
}

async function ensureTopic(log: Log, topic: AnyTopic): Promise<void> {
  if (log.topic(topic.name) !== null) return
  await log.createTopic(topic.name, { partitions: topic.partitions, retentionMs: topic.retentionMs, compacted: topic.compacted })
}

async function ensureInternal(log: Log, name: string, partitions: number, retentionMs: number | null): Promise<void> {
  const known = log.topic(name)
  if (known !== null) {
    if (known.settings.retentionMs !== retentionMs) await log.alterTopic(name, { retentionMs })
    return
  }
  await log.createTopic(name, { partitions, retentionMs, retentionBytes: null, internal: true, batchBytesMax: INTERNAL_BATCH_BYTES_MAX })
}
