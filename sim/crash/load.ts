// Senders that post numbered events and keep the book: what was acknowledged, and what nobody knows.
import type { Random } from '@millrace/core/connect'
import { eventOf } from './events.ts'

const SENDERS = 4
const BATCH_MAX = 60
const RETRY_MS = 20

export interface Book {
  /** Answered with 200: there exactly once. */
  readonly acknowledged: Set<number>
  /** Sent once without a key, and never answered: there once or not at all. */
  readonly uncertain: Set<number>
}

export class Load {
  readonly book: Book = { acknowledged: new Set(), uncertain: new Set() }
  /** Sent, and not decided yet. */
  readonly pending: Set<number> = new Set()
  readonly #random: Random
  #abandoned = false
  #url: string | null = null
  #next = 0
  #stopping = false
  #senders: Promise<unknown> = Promise.resolve()
  /** Answers that are neither 200 nor "come back later". */
  readonly refusals: string[] = []

  constructor(random: Random) {
    this.#random = random
  }

  start(): void {
    this.#stopping = false
    this.#senders = Promise.all(Array.from({ length: SENDERS }, (_, number) => this.#sender(number)))
  }

  /** Where the plant listens now; null while it does not. */
  set url(url: string | null) {
    this.#url = url
  }

  /** Takes nothing new; resolves when everything that was begun is decided. The plant must be running, or come back. */
  async finish(): Promise<void> {
    this.#stopping = true
    await this.#senders
  }

  /** The plant is gone for good: senders give up. */
  abandon(): void {
    this.#stopping = true
    this.#url = null
    this.#abandoned = true
  }

  async #sender(number: number): Promise<void> {
    while (!this.#stopping) {
      const ids = Array.from({ length: 1 + this.#random.below(BATCH_MAX) }, () => this.#next++)
      const key = this.#random.chance(0.7) ? `sender-${number}-${ids[0] ?? 0}` : null
      for (const id of ids) this.pending.add(id)
      let known = await this.#post(ids, key)
      while (known === 'unknown' && key !== null && !this.#abandoned) {
        await wait(RETRY_MS)
        known = await this.#post(ids, key)
      }
      for (const id of ids) {
        this.pending.delete(id)
        if (known === 'acknowledged') this.book.acknowledged.add(id)
        else if (known === 'unknown') this.book.uncertain.add(id)
      }
      if (known !== 'acknowledged') await wait(RETRY_MS)
    }
  }

  async #post(ids: readonly number[], key: string | null): Promise<'acknowledged' | 'unknown' | 'refused'> {
    const url = this.#url
    if (url === null) return key === null ? 'refused' : 'unknown'
    try {
      const response = await fetch(`${url}/topics/numbers`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson', ...(key === null ? {} : { 'idempotency-key': key }) },
        body: ids.map((id) => JSON.stringify(eventOf(id))).join('\n'),
      })
      const text = await response.text()
      if (response.status === 200) return 'acknowledged'
      if (response.status === 429 || response.status === 503 || response.status === 507) return key === null ? 'refused' : 'unknown'
      this.refusals.push(`${response.status} ${text}`)
      return 'unknown'
    } catch {
      return 'unknown' // The connection broke: the plant may have it or not.
    }
  }
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
