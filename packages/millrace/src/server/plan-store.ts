// The plans with which a pipeline was started, newest last, on an internal topic: what `millrace plan` compares with.
import { type Log, must, planTopic, type Plan, recordBatch, RecordRows, serializePlan, type StoredPlan } from '@millrace/core/engine'

export interface StartedPlan {
  readonly codeVersion: string
  readonly atMs: number
  readonly plan: StoredPlan
}

const FETCH_BYTES = 4 << 20

/** The newest stored plan of a pipeline, or null when it has never been started on this log. */
export async function newestPlan(log: Log, pipeline: string): Promise<StartedPlan | null> {
  const topic = planTopic(pipeline)
  const ends = log.topic(topic) === null ? undefined : log.ends(topic)[0]
  if (ends === undefined) return null
  const reader = log.reader()
  const rows = new RecordRows()
  let newest: StartedPlan | null = null
  try {
    for (let offset = ends.start; offset < ends.end;) {
      const part = must((await reader.fetch([{ topic, partition: 0, offset }], { bytesMax: FETCH_BYTES }))[0], 'fetched partition')
      if (part.error !== null) throw part.error
      const count = rows.read(part.bytes, offset)
      if (count > 0) {
        const text = Buffer.from(part.bytes.subarray(rows.valueStarts[count - 1], rows.valueEnds[count - 1])).toString()
        newest = JSON.parse(text) as StartedPlan
      }
      if (part.next <= offset) break
      offset = part.next
    }
  } finally {
    reader.close()
  }
  return newest
}

/** Notes that a pipeline is started with this plan, unless it was started with the same one before. */
export async function storePlan(log: Log, plan: Plan, codeVersion: string, atMs: number): Promise<void> {
  const topic = planTopic(plan.pipeline)
  if (log.topic(topic) === null) await log.createTopic(topic, { partitions: 1, internal: true })
  const before = await newestPlan(log, plan.pipeline)
  if (before?.codeVersion === codeVersion) return
  const started: StartedPlan = { codeVersion, atMs, plan: serializePlan(plan) }
  await log.append([
    { topic, partition: 0, batch: recordBatch([{ key: null, value: Buffer.from(JSON.stringify(started)), timeMs: atMs }]) },
  ])
}
