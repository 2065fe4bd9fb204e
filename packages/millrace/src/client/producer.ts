// A producer of events over HTTP, for Node. Events are gathered into batches by size and time; each batch carries an idempotency key, so a
// batch that is sent again because its answer was lost is appended once. Memory is bounded: `ready()` says when there is room.
//
//   send() -> open batch -- full, or lingerMs old --> waiting -> in flight (one at a time, so that order is kept) -> answered
//                                                        ^------ transient answer: wait, send again ------|
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { type Clock, MillraceError, type Scheduler, sleep, systemClock, systemScheduler } from '@millrace/core/engine'
import type { TopicDeclaration } from '@millrace/core'
import { type Delivery, deliver } from './delivery.ts'

/** `V` is what readers of the topic get, `I` what its schema takes from producers: `t.optional` fields may be left out. */
export interface ProducerOptions<V, I = V> {
  /** Address of the server: `http://127.0.0.1:4410`. */
  readonly url: string
  /** Name of the topic, or its declaration, which gives `send` its type. */
  readonly topic: string | (TopicDeclaration<V> & { readonly '~input'?: I })
  readonly token?: string
  /** A batch is sent at this size. Default 512 KiB: larger ones gain nothing. */
  readonly batchBytes?: number
  /** Or at this age, milliseconds. Default 5. Higher: larger batches, later events. */
  readonly lingerMs?: number
  /** Bytes that wait or are in flight; `ready()` waits for room. Default 8 MiB. */
  readonly bufferBytes?: number
  /** How long a batch is tried before its events are given up with MR_CLIENT_GAVE_UP. Default 120,000 ms. */
  readonly deliveryMs?: number
  /** `durable` (default): acknowledged when events survive a power cut. `received`: when they are in the server's memory. */
  readonly ack?: 'durable' | 'received'
  readonly clock?: Clock
  readonly scheduler?: Scheduler
  /** How requests are sent; for tests. Default `fetch`. */
  readonly fetch?: typeof fetch
}

export interface SendOptions {
  /** Key of the event. Events with different keys travel in different batches: name a key field of the topic instead where there are many. */
  readonly key?: string
}

export interface ProducerFigures {
  /** Events that the server acknowledged. */
  readonly acknowledged: number
  /** Events that were refused or given up. */
  readonly failed: number
  readonly batches: number
  readonly retries: number
  readonly bufferedBytes: number
}

/** Sends events of type `I` to one topic. */
export interface Producer<I> {
  /**
   * Hands an event over. Resolves when the server has acknowledged it.
   * @throws {MillraceError} `MR_CLIENT_FULL` when there is no room (see `ready`), `MR_CLIENT_CLOSED`; rejects with `MR_CLIENT_REFUSED` or
   * `MR_CLIENT_GAVE_UP`.
   */
  send(value: I, options?: SendOptions): Promise<void>
  /** Resolves when there is room for more. */
  ready(): Promise<void>
  /** Sends what is open and resolves when everything handed over is acknowledged or failed. */
  flush(): Promise<void>
  /** `flush`, and nothing can be sent any more. */
  close(): Promise<void>
  figures(): ProducerFigures
}

const BATCH_BYTES = 512 << 10
const LINGER_MS = 5
const BUFFER_BYTES = 8 << 20
const DELIVERY_MS = 120_000

interface Batch {
  readonly key: string | null
  readonly lines: string[]
  bytes: number
  readonly openedAtMs: number
  readonly acknowledged: Promise<void>
  readonly settle: (error: MillraceError | null) => void
}

/** Numbers producers of this process. */
let producers = 0

/**
 * A producer for one topic.
 * @example
 * const producer = createProducer({ url: 'http://127.0.0.1:4410', topic: orders })
 * for (const order of list) {
 *   await producer.ready()
 *   void producer.send(order).catch(report)
 * }
 * await producer.close()
 */
export function createProducer<V = unknown, I = V>(options: ProducerOptions<V, I>): Producer<I> {
  return new HttpProducer<V, I>(options)
}

class HttpProducer<V, I> implements Producer<I> {
  readonly #delivery: Delivery
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #batchBytes: number
  readonly #lingerMs: number
  readonly #bufferBytes: number
  /** Part of every idempotency key: no two producers anywhere have the same. */
  readonly #identity: string
  #open: Batch | null = null
  readonly #waiting: Batch[] = []
  #pump: Promise<void> | null = null
  #bufferedBytes = 0
  #roomHooks: (() => void)[] = []
  #isClosed = false
  #batches = 0
  #figures = { acknowledged: 0, failed: 0, retries: 0 }

  constructor(options: ProducerOptions<V, I>) {
    const { clock = systemClock, scheduler = systemScheduler, topic, url, token, ack = 'durable' } = options
    this.#clock = clock
    this.#scheduler = scheduler
    this.#batchBytes = options.batchBytes ?? BATCH_BYTES
    this.#lingerMs = options.lingerMs ?? LINGER_MS
    this.#bufferBytes = Math.max(options.bufferBytes ?? BUFFER_BYTES, this.#batchBytes)
    // As a hash, because the server remembers the key of every batch for a day.
    const identity = `${hostname()}.${process.pid}.${threadId}.${clock.nowUs()}.${++producers}`
    this.#identity = createHash('sha256').update(identity).digest('base64url').slice(0, 16)
    this.#delivery = {
      url: `${url.replace(/\/$/, '')}/topics/${encodeURIComponent(typeof topic === 'string' ? topic : topic.name)}?ack=${ack}`,
      token: token ?? null,
      deliveryMs: options.deliveryMs ?? DELIVERY_MS,
      clock,
      scheduler,
      fetch: options.fetch ?? fetch,
      onRetry: () => this.#figures.retries++,
    }
  }

  send(value: I, { key }: SendOptions = {}): Promise<void> {
    if (this.#isClosed) return Promise.reject(new MillraceError('MR_CLIENT_CLOSED'))
    const line = JSON.stringify(value) as string | undefined
    if (line === undefined)
      return Promise.reject(new MillraceError('MR_CLIENT_REFUSED', { message: 'the value has no JSON: it is undefined or a function.' }))
    const bytes = Buffer.byteLength(line) + 1
    if (this.#bufferedBytes > 0 && this.#bufferedBytes + bytes > this.#bufferBytes) {
      return Promise.reject(
        new MillraceError('MR_CLIENT_FULL', { details: { bufferedBytes: this.#bufferedBytes, bufferBytes: this.#bufferBytes } }),
      )
    }
    const batch = this.#batchFor(key ?? null, bytes)
    batch.lines.push(line)
    batch.bytes += bytes
    this.#bufferedBytes += bytes
    if (batch.bytes >= this.#batchBytes) this.#closeBatch()
    return batch.acknowledged
  }

  async ready(): Promise<void> {
    while (this.#bufferedBytes >= this.#bufferBytes - this.#batchBytes && this.#bufferedBytes > 0) {
      this.#closeBatch()
      await new Promise<void>((resolve) => this.#roomHooks.push(resolve))
    }
  }

  async flush(): Promise<void> {
    this.#closeBatch()
    while (this.#pump !== null) await this.#pump
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.flush()
  }

  figures(): ProducerFigures {
    return { ...this.#figures, batches: this.#batches, bufferedBytes: this.#bufferedBytes }
  }

  #batchFor(key: string | null, bytes: number): Batch {
    const open = this.#open
    if (open !== null && open.key === key && open.bytes + bytes <= this.#batchBytes) return open
    this.#closeBatch()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Whoever does not look at the promise sees failures in the figures.
    promise.catch(() => undefined)
    const batch: Batch = {
      key,
      lines: [],
      bytes: 0,
      openedAtMs: this.#clock.monotonicMs(),
      acknowledged: promise,
      settle: (error) => (error === null ? resolve() : reject(error)),
    }
    this.#open = batch
    void this.#closeLater(batch)
    return batch
  }

  async #closeLater(batch: Batch): Promise<void> {
    await sleep(this.#scheduler, this.#lingerMs)
    if (this.#open === batch) this.#closeBatch()
  }

  #closeBatch(): void {
    const batch = this.#open
    if (batch === null) return
    this.#open = null
    this.#waiting.push(batch)
    this.#pump ??= this.#run()
  }

  /** Sends what waits, one batch after the other: a later batch must not overtake one that is tried again. */
  async #run(): Promise<void> {
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
      const error = await deliver(this.#delivery, {
        key: batch.key,
        lines: batch.lines,
        idempotencyKey: `${this.#identity}.${(++this.#batches).toString(36)}`,
      })
      if (error === null) this.#figures.acknowledged += batch.lines.length
      else this.#figures.failed += batch.lines.length
      this.#bufferedBytes -= batch.bytes
      batch.settle(error)
      const hooks = this.#roomHooks
      this.#roomHooks = []
      for (const hook of hooks) hook()
    }
    this.#pump = null
  }
}
