// A plant on real sockets for tests, and what they ask of it.
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { count, pipeline, type PipelineDefinition, t, topic, tumbling } from '@millrace/core'
import type { ErrorAnswer } from '../api.ts'
import { decodeJson } from '../json.ts'
import { type Plant, type PlantOptions, startPlant } from './plant.ts'

/** Milliseconds that something may take which is over in a moment on a machine that is not busy. */
const PATIENCE_MS = 20_000

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly value: unknown
}

/** Keyed, two partitions. */
export const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at', key: 'url', partitions: 2 })
/** Checked by the collector. */
export const orders = topic('orders', { value: t.object({ id: t.i64(), name: t.string(), note: t.optional(t.string()) }), validate: true })

/** Counts hits per url and minute, keeps orders by id; a url of `/throw` breaks the filter. */
export function webPipeline(): PipelineDefinition {
  return pipeline(
    'web',
    (mill) => {
      mill
        .from(hits)
        .filter(
          (hit) => {
            if (hit.url === '/throw') throw new Error('no such page')
            return true
          },
          { name: 'known' },
        )
        .groupBy('url')
        .window(tumbling({ sizeMs: 60_000 }))
        .aggregate({ hits: count() }, { name: 'per-minute' })
        .toTable('per_minute')
      mill.from(orders).toTable('orders', { key: 'id' })
    },
    { idleMs: 50 },
  )
}

const folders: string[] = []
const plants = new Set<Plant>()

// At the root of the file that imports this: also after tests that failed before they could stop what they had started.
after(async () => {
  for (const plant of plants) await plant.stop()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that is removed after the tests of this file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'millrace-test-'))
  folders.push(folder)
  return folder
}

export class PlantUnderTest {
  readonly plant: Plant

  constructor(plant: Plant) {
    this.plant = plant
  }

  static async start(options: Partial<PlantOptions> = {}): Promise<PlantUnderTest> {
    const plant = await startPlant({ folder: null, pipelines: [], port: 0, ...options })
    plants.add(plant)
    return new PlantUnderTest(plant)
  }

  async ask(method: string, address: string, body?: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const response = await fetch(`${this.plant.url}${address}`, { method, headers, ...(body === undefined ? {} : { body }) })
    const text = await response.text()
    const isJson = response.headers.get('content-type') === 'application/json'
    return { status: response.status, headers: response.headers, text, value: isJson ? decodeJson(text) : null }
  }

  get(address: string, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.ask('GET', address, undefined, headers)
  }

  post(address: string, body: string | Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.ask('POST', address, body, headers)
  }

  /** Texts of all records of a topic, by partition and offset. */
  async texts(name: string): Promise<readonly string[]> {
    const { value } = await this.get(`/topics/${name}?from=earliest&limit=10000`)
    const records = value as readonly { readonly value: unknown; readonly bytes: string | null }[]
    return records.map((record) => (record.bytes === null ? JSON.stringify(record.value) : Buffer.from(record.bytes, 'base64').toString()))
  }

  stop(): Promise<void> {
    plants.delete(this.plant)
    return this.plant.stop()
  }
}

/** The error of an answer. */
export function errorOf(answer: Answer): ErrorAnswer['error'] {
  return (answer.value as ErrorAnswer).error
}

/** Asks until the answer is as wanted; for what happens behind the scenes of a real server. */
export async function eventually<T>(ask: () => Promise<T>, isWanted: (value: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + PATIENCE_MS; ;) {
    const value = await ask()
    if (isWanted(value)) return value
    if (Date.now() > deadline) throw new Error(`still not as wanted: ${JSON.stringify(value).slice(0, 2000)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
