// What the two HTTP rows share: a plant in this process, a load generator in another on the other core, every event looked for afterwards.
import path from 'node:path'
import { startPlant } from 'millrace'
import type { BenchCase, BenchContext, Measured } from './case.ts'
import type { LoadMessage, LoadOrder } from './http-load.ts'
import { eachValue } from './log.ts'
import { forkCommand } from './process.ts'

const TOPIC = 'events'

export interface HttpRow {
  readonly name: string
  readonly summary: string
  readonly events: { readonly full: number; readonly quick: number }
  readonly eventsPerRequest: number
  readonly connections: number
  readonly must: number
  readonly aim: number
}

export function httpCase(row: HttpRow): BenchCase {
  return {
    name: row.name,
    summary: row.summary,
    bars: [{ name: row.name, figure: 'perCpuSecond', unit: 'events/CPU-s', must: row.must, aim: row.aim }],
    own: (context) => serve(row, context),
    obvious: ({ quick }) => Promise.resolve({ figures: {}, answer: answerOf(eventCount(row, quick), sumBelow(eventCount(row, quick)), 0) }),
  }
}

function eventCount(row: HttpRow, quick: boolean): number {
  return quick ? row.events.quick : row.events.full
}

function sumBelow(count: number): number {
  return (count * (count - 1)) / 2
}

function answerOf(count: number, sum: number, twice: number): string {
  return `${count} events, sum of ids ${sum}, ${twice} twice`
}

async function serve(row: HttpRow, { folder, quick, run }: BenchContext): Promise<Measured> {
  const plant = await startPlant({ folder: path.join(folder, `plant-${run}`), pipelines: [], port: 0 })
  await plant.log.createTopic(TOPIC)
  const events = eventCount(row, quick)
  const { eventsPerRequest, connections } = row
  const figures = await underLoad({ port: plant.port, topic: TOPIC, events, eventsPerRequest, connections })
  let count = 0
  let sum = 0
  let twice = 0
  const seen = new Uint8Array(events)
  await eachValue(plant.log, TOPIC, (text) => {
    const { id } = JSON.parse(text) as { readonly id: number }
    count++
    sum += id
    if (seen[id] === 1) twice++
    seen[id] = 1
  })
  await plant.stop()
  return { figures, answer: answerOf(count, sum, twice) }
}

/** CPU of this process between the generator's first request and its last answer. */
function underLoad(order: LoadOrder): Promise<{ perCpuSecond: number; perSecond: number }> {
  const generator = forkCommand(path.join(import.meta.dirname, 'http-load.ts'), [JSON.stringify(order)])
  return new Promise((resolve, reject) => {
    let cpuBefore = process.cpuUsage()
    let startedAt = performance.now()
    generator.on('message', (message: LoadMessage) => {
      if (message.kind === 'start') {
        cpuBefore = process.cpuUsage()
        startedAt = performance.now()
        return
      }
      const { user, system } = process.cpuUsage(cpuBefore)
      const seconds = (performance.now() - startedAt) / 1000
      resolve({ perCpuSecond: message.acknowledged / ((user + system) / 1e6), perSecond: message.acknowledged / seconds })
    })
    generator.on('error', reject)
    generator.on('exit', (code) => reject(new Error(`the load generator ended with ${code}`)))
  })
}
