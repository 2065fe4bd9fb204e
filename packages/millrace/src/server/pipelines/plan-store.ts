// The plans with which a pipeline was started, newest last, on an internal topic: what `millrace plan` compares with.
import {
  type Log,
  type LogPart,
  must,
  planTopic,
  type Plan,
  recordBatch,
  RecordRows,
  serializePlan,
  type StoredPlan,
} from '@millrace/core/engine'

export interface StartedPlan {
  readonly codeVersion: string
  readonly atMs: number
  readonly plan: StoredPlan
  /** State was built again by this start, so dead letters of earlier ones were read again. */
  readonly isRebuilt?: boolean
  /** Parts of the topology: each has a retry partition of its own. */
  readonly parts?: readonly string[]
}

const FETCH_BYTES = 4 << 20

/** The newest stored plan of a pipeline, or null when it has never been started on this log. */
export async function newestPlan(log: Log, pipeline: string): Promise<StartedPlan | null> {
  return (await storedPlans(log, pipeline)).at(-1) ?? null
}

/** Every stored plan of a pipeline, oldest first. */
export async function storedPlans(log: Log, pipeline: string): Promise<readonly StartedPlan[]> {
  const topic = planTopic(pipeline)
  const ends = log.topic(topic) === null ? undefined : log.ends(topic)[0]
  if (ends === undefined) return []
  const reader = log.reader()
  const rows = new RecordRows()
  const plans: StartedPlan[] = []
  try {
    for (let offset = ends.start; offset < ends.end;) {
      const part = must((await reader.fetch([{ topic, partition: 0, offset }], { bytesMax: FETCH_BYTES }))[0], 'fetched partition')
      if (part.error !== null) throw part.error
      const count = rows.read(part.bytes, offset)
      for (let row = 0; row < count; row++) {
        const text = Buffer.from(part.bytes.subarray(rows.valueStarts[row], rows.valueEnds[row])).toString()
        plans.push(JSON.parse(text) as StartedPlan)
      }
      if (part.next <= offset) break
      offset = part.next
    }
  } finally {
    reader.close()
  }
  return plans
}

/** Notes that a pipeline is started with this plan, unless it was started with the same one before. */
export async function storePlan(log: Log, plan: Plan, started: Omit<StartedPlan, 'plan'>): Promise<void> {
  const parts = await planParts(log, plan, started)
  if (parts.length > 0) await log.append(parts)
}

/** What notes it, to be appended; nothing when the pipeline was started with the same plan before. */
export async function planParts(log: Log, plan: Plan, started: Omit<StartedPlan, 'plan'>): Promise<readonly LogPart[]> {
  const { codeVersion, atMs } = started
  const topic = planTopic(plan.pipeline)
  if (log.topic(topic) === null) await log.createTopic(topic, { partitions: 1, internal: true })
  const before = await newestPlan(log, plan.pipeline)
  if (before?.codeVersion === codeVersion) return []
  const stored: StartedPlan = { ...started, plan: serializePlan(plan) }
  return [{ topic, partition: 0, batch: recordBatch([{ key: null, value: Buffer.from(JSON.stringify(stored)), timeMs: atMs }]) }]
}
