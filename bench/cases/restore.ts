// Restore of 10,000,000 keys of state: a pipeline that counts by key has ended; a new process starts it again and is timed until it runs.
import path from 'node:path'
import { count, max, pipeline, type PipelineDefinition, t, topic } from '@millrace/core'
import { seededRandom } from '@millrace/core/connect'
import type { RunningPipeline } from '@millrace/core/engine'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { Digest } from '../support/digest.ts'
import { openLog, TopicLoader } from '../support/log.ts'
import { spent } from '../support/measure.ts'
import { runToEnd, startPipeline } from '../support/pipeline.ts'

const TOPIC = 'visits'
const SAMPLES = 1000
const FIRST_MS = 1_700_000_000_000

const visits = topic(TOPIC, { value: t.object({ id: t.i64(), at: t.time() }), eventTime: 'at' })

export const benchCase: BenchCase = {
  name: 'restore',
  summary: 'start of a pipeline with 10 M keys of state, until it runs',
  fixture: { name: 'state-10m', make: buildState },
  bars: [{ name: 'restore', figure: 'seconds', unit: 's', must: 10, aim: 3, better: 'less' }],
  own: restore,
  obvious: ({ quick }) => {
    const digest = new Digest()
    for (const id of samples(quick)) digest.add(`${id} ${visitsOf(id)} ${lastVisit(id, quick)}`)
    return Promise.resolve({ figures: {}, answer: answerOf(keyCount(quick), digest) })
  },
}

function keyCount(quick: boolean): number {
  return quick ? 20_000 : 10_000_000
}

/** Every key comes once, and those that 8 divides come once more at the end. */
function visitsOf(id: number): number {
  return id % 8 === 0 ? 2 : 1
}

function lastVisit(id: number, quick: boolean): number {
  return FIRST_MS + (id % 8 === 0 ? keyCount(quick) : 0) + id
}

function samples(quick: boolean): readonly number[] {
  const random = seededRandom(5)
  return Array.from({ length: SAMPLES }, () => random.below(keyCount(quick)))
}

function answerOf(rows: number, digest: Digest): string {
  return `${rows} rows; ${String(digest)}`
}

function definition(): PipelineDefinition {
  return pipeline('restore', (mill) => {
    mill
      .from(visits)
      .groupBy('id')
      .aggregate({ visits: count(), last: max('at') }, { name: 'by-id' })
      .toTable('by_id')
  })
}

async function buildState(folder: string, quick: boolean): Promise<void> {
  const log = await openLog(path.join(folder, 'log'))
  await log.createTopic(TOPIC)
  const loader = new TopicLoader(log, TOPIC)
  const keys = keyCount(quick)
  const buffer = Buffer.alloc(64)
  const put = (id: number, at: number): Promise<void> =>
    loader.add(buffer.subarray(0, buffer.write(`{"id":${id},"at":${at}}`, 'latin1')), at)
  for (let id = 0; id < keys; id++) {
    const sent = put(id, FIRST_MS + id)
    if (id % 1000 === 999) await sent
  }
  for (let id = 0; id < keys; id += 8) await put(id, FIRST_MS + keys + id)
  await loader.end()
  await runToEnd(definition(), log)
  await log.close()
}

async function restore({ folder, quick }: BenchContext): Promise<Measured> {
  const log = await openLog(path.join(folder, 'log'))
  let running: RunningPipeline | null = null
  const { wallSeconds, cpuSeconds } = await spent(async () => {
    running = await startPipeline(definition(), log, { bounded: false })
  })
  const started = running as RunningPipeline | null
  if (started === null) throw new Error('the pipeline did not start')
  const digest = new Digest()
  for (const id of samples(quick)) {
    const { rows } = await started.table('by_id', { key: [id] })
    const row = rows[0] as { readonly id: number; readonly visits: number; readonly last: number } | undefined
    digest.add(`${id} ${row?.visits ?? 0} ${row === undefined ? '' : new Date(row.last).getTime()}`)
  }
  const rows = started.status().tables[0]?.rows ?? 0
  await started.stop()
  await log.close()
  return { figures: { seconds: wallSeconds, cpuSeconds }, answer: answerOf(rows, digest) }
}
