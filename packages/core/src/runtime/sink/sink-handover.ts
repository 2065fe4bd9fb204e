// The sink's own state when a direct sink opens (ADR 0008): the newest intent stands on the changelog that bears the sink's name, whether a
// task of the sink's own writes it or the task that reads the source. So an edit of the pipeline may turn one into the other, and the next
// writer goes on where the last one stopped. What the log still holds for the sink on its way (its feed, and the exchanges in front of the
// feed) would have no reader any more: then the start is refused.
import type { CommitState } from '../recovery/commit-state.ts'
import type { TaskCore } from '../task/task-core.ts'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { feedTopic } from '../../compile/topology-planner.ts'
import type { LogPart } from '../../log/log.ts'
import { COMMIT_KEY } from '../recovery/changelog.ts'
import { EMPTY_STATE, encodeCommitState } from '../recovery/commit-state.ts'
import { isDamage, stateDamaged } from '../recovery/damage.ts'
import { batchesLeft, lastCommit } from './feed-left.ts'
import type { SinkState } from './sink-output.ts'
import { changelogTopic } from '../topic-names.ts'

/**
 * Takes the part's sink over from whoever wrote it last.
 * @throws {MillraceError} `MR_RUNTIME_SINK_FEED` when rows are still on their way to it.
 */
export async function takeOverSink(core: TaskCore): Promise<SinkState> {
  const { environment, group } = core
  const { log, plan } = environment
  const sink = must(core.part.sink, 'sink').name
  // A task of the sink's own that still lives must not commit any more.
  await (await log.openWriter(`${plan.pipeline}/${sink}/${group}`)).close()
  const own = await ownCommit(core, changelogTopic(plan.pipeline, sink))
  const feed = feedTopic(plan.pipeline, sink)
  const wasFed = log.topic(feed) !== null && (own === null || own.exchanges.length > 0)
  if (!wasFed) return { intent: own?.intent ?? null, sequence: own?.sinkSequence ?? 0 }
  await drained(core, sink, feed, own)
  // A set gives what is added while it is walked, too: exchanges behind exchanges.
  const gone = new Set(core.state.outputs)
  for (const topic of gone) {
    if (topic === null || topic === feed) continue
    const reader = await readerOf(core, topic)
    await drained(core, sink, topic, reader)
    for (const next of reader?.outputs ?? []) gone.add(next)
  }
  // The sink's record says nothing of the feed from now on: what was applied must not be there when it is read again.
  const end = log.ends(feed).find(({ partition }) => partition === group)?.end
  if (end !== undefined) await log.trim(feed, group, end)
  return { intent: own?.intent ?? null, sequence: own?.sinkSequence ?? 0 }
}

/**
 * The newest record of the sink. Where its changelog is damaged, a task that begins anew goes on without the intent, because all rows come again.
 * @throws {MillraceError} `MR_RUNTIME_STATE_DAMAGED` in a task that does not.
 */
async function ownCommit(core: TaskCore, topic: string): Promise<CommitState | null> {
  const { environment, group } = core
  try {
    return await lastCommit(environment.log, topic, group)
  } catch (error) {
    if (!isDamage(error)) throw error
    if (!core.beginsAnew) throw stateDamaged(core.name, environment.plan.pipeline, error)
    const end = environment.log.ends(topic).find(({ partition }) => partition === group)?.end ?? 0
    await environment.log.trim(topic, group, end)
    return null
  }
}

/** The record of a checkpoint on the sink's changelog. */
export function sinkRecord(core: TaskCore, through: number, wallMs: number, { intent, sequence }: SinkState): LogPart {
  const { plan, topology } = core.environment
  const state: CommitState = { ...EMPTY_STATE, through, wallMs, intent, sinkSequence: sequence, codeVersion: topology.codeVersion }
  const builder = new RecordBatchBuilder(512)
  builder.append(COMMIT_KEY, encodeCommitState(state), wallMs)
  return { topic: changelogTopic(plan.pipeline, must(core.part.sink, 'sink').name), partition: core.group, batch: builder.finish() }
}

/** The newest state of the task that read an exchange which this part no longer writes, in this group's partition. */
async function readerOf(core: TaskCore, topic: string): Promise<CommitState | null> {
  const { log, plan } = core.environment
  const prefix = `__${plan.pipeline}.`
  for (const { name } of log.topics()) {
    if (!name.startsWith(prefix) || !name.endsWith('.changelog')) continue
    const state = await lastCommit(log, name, core.group)
    if (state?.exchanges.some((exchange) => exchange.topic === topic) === true) return state
  }
  return null
}

/** Every batch of this group's partition of `topic` was applied by its last reader. */
async function drained(core: TaskCore, sink: string, topic: string, reader: CommitState | null): Promise<void> {
  const left = await batchesLeft(core.environment.log, topic, core.group, reader)
  if (left > 0) throw new MillraceError('MR_RUNTIME_SINK_FEED', { details: { sink, topic, batches: left } })
}
