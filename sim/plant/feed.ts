// Records for the sources of a run, good and bad, and the book of what was sent and what was acknowledged.
import type { Random } from '@millrace/core/connect'
import { partitionOf, recordBatch } from '@millrace/core/engine'
import type { Log, LogPart } from '@millrace/core/engine'
import { violated } from './violation.ts'
import type { Scenario } from './scenario.ts'
import { PRICES } from './steps.ts'

const DAY_MS = 86_400_000
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const
const SHOPS = ['s0', 's1', 's2', 's3'] as const

/** One append as it was sent; it may be sent again when nobody answered. */
export interface Request {
  readonly parts: readonly { readonly topic: string; readonly partition: number; readonly texts: readonly string[] }[]
  readonly bytes: readonly LogPart[]
  readonly requestKey: string | null
  /** True: its batches carry the id and the numbers of an idempotent producer. */
  readonly isNumbered: boolean
  acknowledged: boolean
  firstOffsets: readonly number[]
  /** Sent and not answered: it may be there or not. */
  open: boolean
}

export class Feed {
  readonly requests: Request[] = []
  readonly #scenario: Scenario
  readonly #random: Random
  readonly #sent: { readonly id: number; readonly at: number; readonly body: string; readonly source: string }[] = []
  #nowMs: number
  #id = 0
  #serial = 0
  #producerId = -1
  /** Next number of the producer in each partition. */
  readonly #sequences = new Map<string, number>()

  constructor(scenario: Scenario, random: Random, startMs: number) {
    this.#scenario = scenario
    this.#random = random
    this.#nowMs = startMs
  }

  /** Event time goes on; where records may be late it follows the wall clock. */
  moveTo(wallMs: number): void {
    this.#nowMs = this.#scenario.onTime ? this.#nowMs + this.#random.below(4_000) : Math.max(this.#nowMs, wallMs)
  }

  /** A request of a few records to one source. */
  events(): Request {
    const random = this.#random
    const source = random.pick(this.#scenario.sources)
    const byPartition = new Map<number, string[]>()
    const count = random.chance(0.1) ? 40 : 1 + random.below(10)
    for (let index = 0; index < count; index++) {
      const partition = random.below(source.partitions)
      const list = byPartition.get(partition) ?? []
      list.push(this.#text(source.name))
      byPartition.set(partition, list)
    }
    return this.#request([...byPartition].map(([partition, texts]) => ({ topic: source.name, partition, texts })))
  }

  #text(source: string): string {
    const random = this.#random
    const roll = random.below(100)
    if (roll < 2) return `{"n":${this.#serial++},"id":${random.below(9)},"key":"a"`
    if (roll < 4) return `{"n":${this.#serial++},"id":${random.below(9)},"key":"a","shop":"s0","amount":1,"at":"noon"}`
    if (roll < 5) return `{"n":${this.#serial++},"id":${random.below(9)},"key":"a","shop":"s0","amount":1}`
    if (roll < 7) return this.#event(source, this.#nowMs + DAY_MS + 1 + random.below(900 * DAY_MS))
    if (roll < 12) return this.#again(source)
    return this.#event(source, this.#nowMs - random.below(this.#scenario.onTime ? 2_500 : 9_000))
  }

  #event(source: string, at: number): string {
    const random = this.#random
    const id = this.#id++
    const body = `"id":${id},"key":"${random.pick(KEYS)}","shop":"${random.pick(SHOPS)}","amount":${random.below(100)},"at":${at}`
    if (at <= this.#nowMs) this.#sent.push({ id, at, body, source })
    return `{"n":${this.#serial++},${body}}`
  }

  /** The same event once more, perhaps to another partition; where nothing may be late, only while it is recent enough. */
  #again(source: string): string {
    const recent = this.#sent
      .slice(-20)
      .filter((event) => event.source === source && (!this.#scenario.onTime || event.at >= this.#nowMs - 4_500))
    if (recent.length === 0) return this.#event(source, this.#nowMs)
    return `{"n":${this.#serial++},${this.#random.pick(recent).body}}`
  }

  /** Enough records at one late time in every partition to confirm all jumps and close all windows before. */
  closing(): readonly Request[] {
    const at = this.#nowMs + DAY_MS / 2
    return this.#scenario.sources.map((source) =>
      this.#request(
        Array.from({ length: source.partitions }, (_, partition) => ({
          topic: source.name,
          partition,
          texts: Array.from(
            { length: 12 },
            () => `{"n":${this.#serial++},"id":${this.#id++},"key":"close","shop":"s0","amount":99,"at":${at}}`,
          ),
        })),
      ),
    )
  }

  /** Changes of the table topic: keys keep their partition. */
  prices(): Request {
    const random = this.#random
    const byPartition = new Map<number, { key: string; text: string }[]>()
    for (let count = 1 + random.below(3); count > 0; count--) {
      const key = random.pick(KEYS)
      const bytes = new TextEncoder().encode(key)
      const partition = partitionOf(bytes, 0, bytes.length, this.#scenario.pricePartitions)
      const list = byPartition.get(partition) ?? []
      list.push({ key, text: `{"n":${this.#serial++},"key":"${key}","factor":${random.below(1_000) / 8}}` })
      byPartition.set(partition, list)
    }
    const parts = [...byPartition].map(([partition, list]) => ({
      topic: PRICES.name,
      partition,
      texts: list.map(({ text }) => text),
      keys: list.map(({ key }) => key),
    }))
    return this.#request(parts)
  }

  #request(
    parts: readonly {
      readonly topic: string
      readonly partition: number
      readonly texts: readonly string[]
      readonly keys?: readonly string[]
    }[],
  ): Request {
    const encoder = new TextEncoder()
    const hasKey = this.#random.chance(0.5)
    // A producer numbers what it sends, so it sends nothing new while an answer is missing.
    const isNumbered = !hasKey && this.#producerId >= 0 && !this.requests.some((other) => other.isNumbered && !other.acknowledged)
    const bytes = parts.map(({ topic, partition, texts, keys }) => ({
      topic,
      partition,
      batch: recordBatch(
        texts.map((text, index) => ({
          key: keys === undefined ? null : encoder.encode(keys[index]),
          value: encoder.encode(text),
          timeMs: this.#nowMs,
        })),
        isNumbered ? this.#numbers(topic, partition, texts.length) : {},
      ),
    }))
    const requestKey = hasKey ? `request-${this.requests.length}` : null
    const request: Request = { parts, bytes, requestKey, isNumbered, acknowledged: false, firstOffsets: [], open: false }
    this.requests.push(request)
    return request
  }

  #numbers(topic: string, partition: number, count: number): { producerId: number; producerEpoch: number; baseSequence: number } {
    const lane = `${topic}/${partition}`
    const baseSequence = this.#sequences.get(lane) ?? 0
    this.#sequences.set(lane, baseSequence + count)
    return { producerId: this.#producerId, producerEpoch: 0, baseSequence }
  }

  /** From now on some requests are numbered. */
  becomeProducer(producerId: number): void {
    this.#producerId = producerId
  }

  /** The newest acknowledged request that may be sent once more without harm. */
  repeatable(): Request | null {
    return this.requests.findLast((request) => request.acknowledged && (request.requestKey !== null || request.isNumbered)) ?? null
  }

  /** Sends it; the promise settles with the answer, or never when the log died. */
  async send(log: Log, request: Request): Promise<void> {
    request.open = true
    const { firstOffsets } = await log.append(request.bytes, request.requestKey === null ? {} : { requestKey: request.requestKey })
    if (request.acknowledged && firstOffsets.join() !== request.firstOffsets.join())
      violated(`a repeated request is answered with offsets ${firstOffsets.join()}, before it was ${request.firstOffsets.join()}`)
    request.firstOffsets = firstOffsets
    request.acknowledged = true
    request.open = false
  }

  /** Requests without an answer that may safely be sent again. */
  unanswered(): readonly Request[] {
    return this.requests.filter((request) => request.open && (request.requestKey !== null || request.isNumbered))
  }
}
