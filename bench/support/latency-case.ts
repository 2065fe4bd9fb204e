// What the latency rows share: a plant with a pipeline in this process, a generator that also watches the table in another.
import path from 'node:path'
import { type PipelineDefinition, startPlant } from 'millrace'
import type { Bar, BenchCase, BenchContext, Measured } from './case.ts'
import type { LatencyMessage, LatencyOrder } from './latency-load.ts'
import { forkCommand } from './process.ts'

const EVENTS_PER_SECOND = 20_000

export interface LatencyRow {
  readonly name: string
  readonly summary: string
  readonly bar: Pick<Bar, 'must' | 'aim'>
  readonly topic: string
  /** A pipeline with the table `all`: one row with the key `all` and the columns `events` and `ids` (sum of ids). */
  readonly definition: () => PipelineDefinition
}

export function latencyCase(row: LatencyRow): BenchCase {
  return {
    name: row.name,
    summary: row.summary,
    bars: [{ name: row.name, figure: 'p99Ms', unit: 'ms p99', better: 'less', ...row.bar }],
    own: (context) => watch(row, context),
    obvious: ({ quick }) => {
      const posted = eventCount(quick)
      return Promise.resolve({ figures: {}, answer: `${posted} events, sum of ids ${(posted * (posted - 1)) / 2}` })
    },
  }
}

function times(quick: boolean): { readonly warmupMs: number; readonly measuredMs: number } {
  return quick ? { warmupMs: 100, measuredMs: 400 } : { warmupMs: 3000, measuredMs: 10_000 }
}

function eventCount(quick: boolean): number {
  const { warmupMs, measuredMs } = times(quick)
  return (EVENTS_PER_SECOND * (warmupMs + measuredMs)) / 1000
}

async function watch(row: LatencyRow, { folder, quick, run }: BenchContext): Promise<Measured> {
  const plant = await startPlant({ folder: path.join(folder, `plant-${run}`), pipelines: [row.definition()], port: 0 })
  const order: LatencyOrder = {
    port: plant.port,
    topic: row.topic,
    visible: '/tables/all?key=all',
    eventsPerSecond: EVENTS_PER_SECOND,
    ...times(quick),
  }
  const message = await new Promise<LatencyMessage>((resolve, reject) => {
    const generator = forkCommand(path.join(import.meta.dirname, 'latency-load.ts'), [JSON.stringify(order)])
    generator.on('message', (received: LatencyMessage) => resolve(received))
    generator.on('error', reject)
    generator.on('exit', (code) => reject(new Error(`the load generator ended with ${code}`)))
  })
  const answer = await fetch(`${plant.url}/tables/all?key=all`)
  const page = (await answer.json()) as { readonly rows: readonly { readonly events: number; readonly ids: number }[] }
  await plant.stop()
  const { p50Ms, p99Ms, maxMs, polls } = message
  return { figures: { p50Ms, p99Ms, maxMs, polls }, answer: `${page.rows[0]?.events ?? 0} events, sum of ids ${page.rows[0]?.ids ?? 0}` }
}
