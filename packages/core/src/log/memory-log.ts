// The log in memory: for tests, for the simulation, and for pipelines that need no durability across restarts.
//
// It is not a simplified log: it has every law of the port, and is nastier than a file. What is accepted becomes visible some turns of the
// event loop later, all that waits at once, so `received` really differs from `durable`; offsets have gaps; a fetched buffer is overwritten
// by the next fetch. `MemoryStore` is what a crash leaves: open another MemoryLog on it and only the durable part is there.
//
//   append / commit -> checked, offsets assigned -> waiting -- some turns later --> durable: visible, answered, readers woken
import type { Clock } from '../base/clock.ts'
import { MillraceError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { BatchHeader } from '../codec/record-batch.ts'
import type * as port from './log.ts'
import { MembershipBoard } from './membership.ts'
import { MemoryPartition, type StoredBatch } from './memory-partition.ts'
import { MemoryReader } from './memory-reader.ts'
import { readPart } from './part.ts'
import { ProducerSequence } from './producers.ts'
import { REQUEST_KEY_CHARACTERS_MAX, Requests } from './requests.ts'
import { alteredSettings, newTopicSettings, requireAgreement } from './topic.ts'

export interface MemoryLogOptions {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly random: Random
  /** What another MemoryLog has left behind. Default: empty. */
  readonly store?: MemoryStore
  /** Leaves offsets out now and then. Default true. */
  readonly gaps?: boolean
  /** Turns of the event loop until what was accepted is durable. Default 1. */
  readonly durableTurns?: number
  /** Bytes over all topics, waiting ones included; above it appends are refused with MR_LOG_FULL. Default unlimited. */
  readonly bytesMax?: number
}

/** Compaction runs when a partition has taken this many batches since the last one. */
const COMPACT_EVERY_BATCHES = 64
const GAP_CHANCE = 0.2
const GAP_MAX = 5

interface MemoryTopic {
  topic: port.Topic
  readonly partitions: readonly MemoryPartition[]
  readonly dirtyBatches: number[]
}

/** The durable part of a MemoryLog. */
export class MemoryStore {
  readonly topics: Map<string, MemoryTopic> = new Map()
  readonly writers: Map<string, number> = new Map()
  readonly requests: Requests = new Requests()
  topicCount = 0
  producerCount = 0
}

/** A batch on its way to being visible. */
interface Waiting {
  readonly topic: MemoryTopic
  readonly partition: MemoryPartition
  readonly batch: StoredBatch
  readonly end: number
}

/** Something accepted that becomes durable as one. */
interface Entry {
  readonly batches: readonly Waiting[]
  readonly apply: () => void
  readonly done: (error: Error | null) => void
}

interface Accepted {
  readonly firstOffsets: readonly number[]
  readonly durable: Promise<void>
}

export class MemoryLog implements port.Log {
  /** What a crash would leave. */
  readonly store: MemoryStore
  readonly #options: MemoryLogOptions
  readonly #members = new MembershipBoard()
  readonly #epochs: Map<string, number>
  readonly #listeners = new Map<string, Set<() => void>>()
  /** Requests that are accepted but not yet durable. */
  readonly #requests = new Map<string, Accepted>()
  #waiting: Entry[] = []
  #waitingBytes = 0
  #flushing: Promise<void> | null = null
  #state: 'open' | 'closing' | 'closed' = 'open'

  constructor(options: MemoryLogOptions) {
    this.#options = options
    this.store = options.store ?? new MemoryStore()
    this.#epochs = new Map(this.store.writers)
    for (const { partitions } of this.store.topics.values()) for (const partition of partitions) partition.forgetAccepted()
  }

  async createTopic(name: string, settings?: Partial<port.TopicSettings>): Promise<port.Topic> {
    this.#requireOpen()
    const existing = this.store.topics.get(name)
    if (existing !== undefined) {
      requireAgreement(existing.topic, settings)
      return existing.topic
    }
    const topic = {
      name,
      id: `memory-${++this.store.topicCount}-${this.#options.random.below(2 ** 32).toString(36)}`,
      settings: newTopicSettings(name, settings),
    }
    const partitions = Array.from({ length: topic.settings.partitions }, (_, index) => new MemoryPartition(name, index))
    this.store.topics.set(name, { topic, partitions, dirtyBatches: partitions.map(() => 0) })
    return topic
  }

  async alterTopic(name: string, settings: Partial<port.TopicSettings>): Promise<port.Topic> {
    const known = this.#topic(name)
    known.topic = { ...known.topic, settings: alteredSettings(known.topic, settings) }
    return known.topic
  }

  async deleteTopic(name: string): Promise<void> {
    this.#topic(name)
    this.store.topics.delete(name)
    this.#notify(new Set([name]))
  }

  topic(name: string): port.Topic | null {
    return this.store.topics.get(name)?.topic ?? null
  }

  topics(): readonly port.Topic[] {
    return Array.from(this.store.topics.values(), ({ topic }) => topic)
  }

  ends(topic: string): readonly port.PartitionEnds[] {
    const { partitions } = this.#topic(topic)
    return partitions.map((partition) => this.#partition(topic, partition.index).ends())
  }

  async append(parts: readonly port.LogPart[], options: port.AppendOptions = {}): Promise<port.AppendResult> {
    this.#requireOpen()
    const { requestKey } = options
    if (requestKey !== undefined) {
      if (requestKey.length === 0 || requestKey.length > REQUEST_KEY_CHARACTERS_MAX) throw requestKeyInvalid(requestKey)
      const answered = this.store.requests.find(requestKey, this.#options.clock.nowMs())
      if (answered !== null) return { firstOffsets: answered, repeated: true }
      const waiting = this.#requests.get(requestKey)
      if (waiting !== undefined) {
        if (options.durability !== 'received') await waiting.durable
        return { firstOffsets: waiting.firstOffsets, repeated: true }
      }
    }
    const accepted = this.#accept(parts, (firstOffsets) => {
      if (requestKey === undefined) return
      this.#requests.delete(requestKey)
      this.store.requests.add(requestKey, firstOffsets, this.#options.clock.nowMs())
    })
    if (requestKey !== undefined) this.#requests.set(requestKey, accepted)
    if (options.durability !== 'received') await accepted.durable
    return { firstOffsets: accepted.firstOffsets, repeated: false }
  }

  async allocateProducerId(): Promise<number> {
    this.#requireOpen()
    return ++this.store.producerCount
  }

  async openWriter(name: string): Promise<port.LogWriter> {
    this.#requireOpen()
    const epoch = (this.#epochs.get(name) ?? 0) + 1
    this.#epochs.set(name, epoch)
    await this.#enqueue([], () => this.store.writers.set(name, Math.max(epoch, this.store.writers.get(name) ?? 0)))
    let closed = false
    return {
      name,
      epoch,
      commit: async (parts) => {
        this.#requireOpen()
        if (closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the writer was closed', details: { writer: name } })
        const newest = this.#epochs.get(name) ?? epoch
        if (newest !== epoch) throw new MillraceError('MR_LOG_FENCED', { details: { writer: name, epoch, newest } })
        const accepted = this.#accept(parts, () => undefined)
        await accepted.durable
        return { firstOffsets: accepted.firstOffsets }
      },
      close: async () => {
        closed = true
        await this.#flushing
      },
    }
  }

  reader(): port.LogReader {
    this.#requireOpen()
    return new MemoryReader({
      requireOpen: () => this.#requireOpen(),
      partition: (topic, index) => this.#partition(topic, index),
      change: (topics, waitMs, onCancel) => this.#change(topics, waitMs, onCancel),
      monotonicMs: () => this.#options.clock.monotonicMs(),
    })
  }

  async offsetForTime(topic: string, partition: number, timeMs: number, by: 'event' | 'append'): Promise<number> {
    return this.#partition(topic, partition).offsetForTime(timeMs, by)
  }

  async trim(topic: string, partition: number, offset: number): Promise<void> {
    this.#partition(topic, partition).trim(offset)
  }

  async skipCorrupt(topic: string, partition: number, offset: number): Promise<number> {
    return this.#partition(topic, partition).skipCorrupt(offset)
  }

  async join(options: port.MembershipOptions): Promise<port.Membership> {
    this.#requireOpen()
    return this.#members.join(options)
  }

  onAppend(topic: string, notify: () => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners)
    // Wrapped, so that the same function registered twice is two registrations.
    const listener = () => notify()
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic)
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing'
    while (this.#flushing !== null) await this.#flushing
    this.#state = 'closed'
    this.#notify(new Set(this.#listeners.keys()))
  }

  /** As a power cut: what is not durable is lost, nothing more is answered, every further call fails. Open the `store` again to go on. */
  crash(): void {
    this.#state = 'closed'
    this.#waiting = []
    this.#listeners.clear()
  }

  /** Applies retention and compaction now; otherwise they come along with reads and appends. */
  maintain(): void {
    for (const { topic, partitions } of this.store.topics.values()) {
      for (const partition of partitions) {
        partition.expire(topic.settings, this.#options.clock.nowMs())
        if (topic.settings.compacted) partition.compact(this.#options.clock.nowMs())
      }
    }
  }

  /** Flips a bit of the batch that holds `offset`, as a bad disk would. For tests of LOG-7. */
  damage(topic: string, partition: number, offset: number): void {
    const { batches } = this.#partition(topic, partition)
    const bytes = batches.find((batch) => batch.lastOffset >= offset)?.bytes
    if (bytes !== undefined) bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1
  }

  /** Checks all parts, then gives out offsets: everything or nothing. */
  #accept(parts: readonly port.LogPart[], onDurable: (firstOffsets: readonly number[]) => void): Accepted {
    this.#requireOpen()
    const sequence = new ProducerSequence()
    const checked = parts.map((part) => {
      const { topic } = this.#topic(part.topic)
      const partition = this.#partition(part.topic, part.partition)
      const headers = readPart(part, topic.settings)
      return { part, partition, headers, repeats: headers.map((header) => sequence.find(partition.producers, header)) }
    })
    this.#requireRoom(parts)
    const batches: Waiting[] = []
    const firstOffsets = checked.map(({ part, partition, headers, repeats }) => {
      let at = 0
      let first = -1
      for (const [index, header] of headers.entries()) {
        const known = repeats[index] ?? null
        const offset = known ?? this.#acceptBatch(batches, part, partition, header, at)
        if (index === 0) first = offset
        at += header.byteLength
      }
      return first
    })
    return { firstOffsets, durable: this.#enqueue(batches, () => onDurable(firstOffsets)) }
  }

  #acceptBatch(batches: Waiting[], part: port.LogPart, partition: MemoryPartition, header: BatchHeader, at: number): number {
    const { random, gaps = true } = this.#options
    const gap = gaps && random.chance(GAP_CHANCE) ? 1 + random.below(GAP_MAX) : 0
    const batch = partition.accept(part.batch.subarray(at, at + header.byteLength), header, gap)
    batches.push({ topic: this.#topic(part.topic), partition, batch, end: partition.nextOffset })
    this.#waitingBytes += header.byteLength
    return batch.firstOffset
  }

  #requireRoom(parts: readonly port.LogPart[]): void {
    const { bytesMax } = this.#options
    if (bytesMax === undefined) return
    let bytes = this.#waitingBytes
    for (const part of parts) bytes += part.batch.length
    for (const { partitions } of this.store.topics.values()) for (const partition of partitions) bytes += partition.bytes
    if (bytes > bytesMax)
      throw new MillraceError('MR_LOG_FULL', { message: 'the memory of the log is used up', details: { bytes, bytesMax } })
  }

  #enqueue(batches: readonly Waiting[], apply: () => void): Promise<void> {
    const durable = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ batches, apply, done: (error) => (error === null ? resolve() : reject(error)) })
    })
    // Who asked for `received` does not look at this promise; a failure reaches those who wait for it.
    durable.catch(() => undefined)
    this.#flushing ??= this.#flushLater()
    return durable
  }

  async #flushLater(): Promise<void> {
    for (let turn = this.#options.durableTurns ?? 1; turn > 0; turn--) await this.#options.scheduler.turn()
    this.#flushing = null
    this.#flush()
  }

  /** One moment: everything that waits becomes visible before anybody is told. */
  #flush(): void {
    const entries = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    const nowMs = this.#options.clock.nowMs()
    const topics = new Set<string>()
    for (const entry of entries) {
      for (const { topic, partition, batch, end } of entry.batches) {
        partition.publish(batch, end, nowMs)
        topics.add(partition.topic)
        this.#compactSometimes(topic, partition, nowMs)
      }
      entry.apply()
    }
    for (const entry of entries) entry.done(null)
    this.#notify(topics)
  }

  #compactSometimes(topic: MemoryTopic, partition: MemoryPartition, nowMs: number): void {
    if (!topic.topic.settings.compacted) return
    const dirty = (topic.dirtyBatches[partition.index] ?? 0) + 1
    topic.dirtyBatches[partition.index] = dirty % COMPACT_EVERY_BATCHES
    if (dirty === COMPACT_EVERY_BATCHES) partition.compact(nowMs)
  }

  #change(topics: ReadonlySet<string>, waitMs: number, onCancel: (cancel: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel()
        for (const stop of stops) stop()
        resolve()
      }
      const timer = this.#options.scheduler.after(waitMs, finish)
      const stops = Array.from(topics, (topic) => this.onAppend(topic, finish))
      onCancel(finish)
    })
  }

  #notify(topics: ReadonlySet<string>): void {
    for (const topic of topics) for (const listener of this.#listeners.get(topic) ?? []) listener()
  }

  #topic(name: string): MemoryTopic {
    this.#requireOpen()
    const topic = this.store.topics.get(name)
    if (topic === undefined) throw new MillraceError('MR_TOPIC_UNKNOWN', { details: { topic: name } })
    return topic
  }

  #partition(topic: string, index: number): MemoryPartition {
    const { partitions, topic: known } = this.#topic(topic)
    const partition = partitions[index]
    if (partition === undefined) {
      throw new MillraceError('MR_PARTITION_UNKNOWN', { details: { topic, partition: index, partitions: partitions.length } })
    }
    partition.expire(known.settings, this.#options.clock.nowMs())
    return partition
  }

  #requireOpen(): void {
    if (this.#state !== 'open') throw new MillraceError('MR_LOG_CLOSED')
  }
}

function requestKeyInvalid(requestKey: string): MillraceError {
  return new MillraceError('MR_LOG_BATCH_INVALID', {
    message: `a request key has 1 to ${REQUEST_KEY_CHARACTERS_MAX} characters`,
    details: { characters: requestKey.length },
    fix: 'Send a shorter key, for example a UUID.',
  })
}
