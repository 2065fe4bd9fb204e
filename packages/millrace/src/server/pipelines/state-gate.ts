// Before a pipeline starts: whether its state still means what it meant when the pipeline ran last, and what is done when it does not.
// Nothing is thrown away, and nothing is sent a second time, unless the user has said so.
import {
  diffPlans,
  isLoss,
  isMillraceError,
  isStateChange,
  type Log,
  MillraceError,
  outputsOf,
  outputsText,
  ownTopics,
  type Plan,
  type PlanChange,
  planTopic,
  type RowsAgain,
  rowsAgain,
  serializePlan,
  type StoredPlan,
  unshippedBatches,
} from '@millrace/core/engine'
import { countText } from '../../count-text.ts'
import { type StartedPlan, storedPlans } from './plan-store.ts'

/** How a start may go on when state has changed. */
export interface StatePolicy {
  /** Build it again: never, always, or only where that cannot be told from before: no topic, no sink, and every record still in the log. */
  readonly rebuild: boolean | 'unnoticed'
  /** Give up the state of operators that are gone. */
  readonly dropState: boolean
}

/** The state that a start builds again; empty when nothing is. */
export type Rebuilt = readonly PlanChange[]

/** What a start that is let through does with what the file says. */
export interface GatePassed {
  readonly rebuilt: Rebuilt
  /** What the file says of topics that exist, and does not happen. */
  readonly ignored: readonly PlanChange[]
  /** Who would notice a rebuild. */
  readonly again: RowsAgain
}

/**
 * Decides what happens to the stored state of a pipeline.
 * @throws {MillraceError} `MR_RUNTIME_STATE_LAYOUT`, `MR_RUNTIME_STATE_LOST` and `MR_RUNTIME_SINK_FEED` when the policy does not allow what would have to be done.
 */
export async function passStateGate(log: Log, plan: Plan, { rebuild, dropState }: StatePolicy): Promise<GatePassed> {
  const before = await planBefore(log, plan.pipeline, rebuild === true)
  const known = before === 'damaged' ? null : (before.at(-1) ?? null)
  const unshipped = dropState || known === null ? new Map<string, number>() : await unshippedOf(log, known.plan)
  const topics = new Map(log.topics().map(({ name, settings }) => [name, settings]))
  const changes = diffPlans(known?.plan ?? null, serializePlan(plan), { unshipped, topics })
  const ignored = changes.filter(({ kind }) => kind === 'topic-differs')
  const again = rowsAgain(plan, known === null || before === 'damaged' ? null : outputsOf(before.map((started) => started.plan)))
  const damaged: PlanChange = {
    kind: 'state-rebuilt',
    name: plan.pipeline,
    place: null,
    message: 'its stored plan is damaged',
    advice: null,
  }
  if (before === 'damaged') return { rebuilt: [damaged], ignored, again }
  const changed = changes.filter((change) => isStateChange(change) && !(dropState && isLoss(change)))
  if (changed.length === 0) return { rebuilt: [], ignored, again }
  const noticed = noticedBy(log, plan, again)
  // No rebuild gives a sink the rows that wait for it when nobody has its name.
  const isUnnoticed = noticed === null && !changed.some(({ kind }) => kind === 'rows-left')
  if (rebuild === true || (rebuild === 'unnoticed' && isUnnoticed)) return { rebuilt: changed, ignored, again }
  throw new MillraceError(codeOf(changed), {
    message: [...changed.map(sentences), ...(noticed === null ? [] : [noticed])].join(' '),
    details: { pipeline: plan.pipeline, operators: changed.map(({ name }) => name).join(', ') },
  })
}

function codeOf(changed: readonly PlanChange[]): 'MR_RUNTIME_STATE_LOST' | 'MR_RUNTIME_STATE_LAYOUT' | 'MR_RUNTIME_SINK_FEED' {
  if (changed.some(({ kind }) => kind === 'state-lost')) return 'MR_RUNTIME_STATE_LOST'
  return changed.some(({ kind }) => kind === 'state-rebuilt') ? 'MR_RUNTIME_STATE_LAYOUT' : 'MR_RUNTIME_SINK_FEED'
}

/** What waits for each sink of a plan, in batches; sinks that have shipped everything are not in it. */
export async function unshippedOf(log: Log, { pipeline, nodes }: StoredPlan): Promise<ReadonlyMap<string, number>> {
  const unshipped = new Map<string, number>()
  for (const { name, kind } of nodes) {
    const batches = kind === 'to-sink' ? await unshippedBatches(log, pipeline, name) : 0
    if (batches > 0) unshipped.set(name, batches)
  }
  return unshipped
}

/**
 * The plans that ran, the last one last. When they are damaged nobody knows whether the state still means what the file says: a start is refused unless the
 * state is built again anyway, and then the damage is left behind.
 */
async function planBefore(log: Log, pipeline: string, isRebuilding: boolean): Promise<readonly StartedPlan[] | 'damaged'> {
  try {
    return await storedPlans(log, pipeline)
  } catch (error) {
    if (!isMillraceError(error) || (error.code !== 'MR_LOG_CORRUPT' && error.code !== 'MR_LOG_QUARANTINED')) throw error
    const topic = planTopic(pipeline)
    if (!isRebuilding) {
      throw new MillraceError('MR_RUNTIME_STATE_DAMAGED', {
        message: 'the stored plan of the pipeline is damaged, so nobody knows whether its state still means what the file says.',
        details: { ...error.details, pipeline },
        fix: 'If the pipeline is as it ran last, let readers pass the damage (`npx millrace fsck --repair`). Else start with `--rebuild`: the pipeline runs over its sources again, and topics and sinks behind it get those rows again.',
        cause: error,
      })
    }
    await log.trim(topic, 0, log.ends(topic)[0]?.end ?? 0)
    return 'damaged'
  }
}

function sentences(change: PlanChange): string {
  const { message, advice } = change
  return isLoss(change) && advice !== null ? `${message} ${advice}` : message
}

/** One sentence: who would notice that state is built again. Null: nobody. */
function noticedBy(log: Log, plan: Plan, again: RowsAgain): string | null {
  const own = ownTopics(plan).map((topic) => `\`${topic}\``)
  if (own.length > 0) return `It cannot be built again, because the pipeline reads ${own.join(', ')}, which it writes itself.`
  const outputs = outputsText(again)
  const hasRecords = again.sources.some((topic) => log.topic(topic) !== null && log.ends(topic).some(({ start, end }) => end > start))
  if (outputs !== null && hasRecords)
    return `A rebuild reads ${sourcesText(log, again.sources)} again and sends their rows to ${outputs} a second time.`
  const cut = again.sources.find((topic) => log.topic(topic) !== null && log.ends(topic).some(({ start }) => start > 0))
  if (cut === undefined) return null
  return `A rebuild reads ${sourcesText(log, again.sources)} again: what retention took away from \`${cut}\` would be missing.`
}

/** "20 records of `hits`", for every source. */
export function sourcesText(log: Log, sources: readonly string[]): string {
  const texts = sources.map((topic) => {
    const ends = log.topic(topic) === null ? [] : log.ends(topic)
    const count = ends.reduce((sum, { start, end }) => sum + end - start, 0)
    return `${countText(count)} ${count === 1 ? 'record' : 'records'} of \`${topic}\``
  })
  return texts.join(' and ')
}
