// The HTTP collector: bytes in, one record per event, answered when durable. A request becomes one record batch per partition; requests that
// wait at the same moment share the log's group commit. Nothing here is done per event but the copy of its bytes into the batch.
import {
  type AnyTopic,
  type AppendResult,
  type Clock,
  type Log,
  type LogPart,
  MillraceError,
  nearestWord,
  partitionOf,
  RecordBatchBuilder,
} from '@millrace/core/engine'
import { LinesError, sendText } from './answers.ts'
import { ANSWERED, type Exchange, queryInvalid } from './exchange.ts'
import { BodySplitter } from './split-body.ts'
import { type EventKeys, TopicIntake } from './topic-intake.ts'

/** A batch is closed at this size, well below what topics accept by default. */
const BATCH_BYTES_TARGET = 4 << 20
/** The log takes 512 characters with the topic's name before the key. */
const REQUEST_KEY_CHARACTERS_MAX = 256
/** Room in a batch for what is not keys and values. */
const RECORD_OVERHEAD_BYTES = 128

export interface CollectorOptions {
  readonly log: Log
  readonly clock: Clock
  /** What the running pipelines say about topics. */
  readonly declarations: ReadonlyMap<string, AnyTopic>
  /** Topics that only the plant writes, internal ones apart. */
  readonly reserved: ReadonlySet<string>
  /** Bytes of requests that may wait to become durable; above it requests are answered 429. */
  readonly inFlightBytesMax: number
}

export interface CollectorFigures {
  requests: number
  events: number
  bytes: number
  refused: number
  repeated: number
}

interface Placed {
  readonly partition: number
  readonly count: number
}

export class Collector {
  readonly figures: CollectorFigures = { requests: 0, events: 0, bytes: 0, refused: 0, repeated: 0 }
  readonly #options: CollectorOptions
  readonly #intakes = new Map<string, TopicIntake>()
  readonly #events = new BodySplitter()
  readonly #builders: RecordBatchBuilder[] = []
  #inFlightBytes = 0

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  /** POST /topics/{topic}. */
  async collect(exchange: Exchange): Promise<typeof ANSWERED> {
    this.figures.requests++
    const name = exchange.params['topic'] as string
    let reserved = 0
    try {
      const intake = this.#intake(name)
      const durability = durabilityOf(exchange)
      const requestKey = requestKeyOf(exchange, name)
      const body = await exchange.body()
      if (this.#inFlightBytes > 0 && this.#inFlightBytes + body.length > this.#options.inFlightBytesMax) {
        throw new MillraceError('MR_HTTP_BUSY', { details: { inFlightBytes: this.#inFlightBytes, inFlightBytesMax: this.#options.inFlightBytesMax } })
      }
      reserved = body.length
      this.#inFlightBytes += reserved
      this.#events.split(body, intake.form(exchange.header('content-type')))
      if (intake.validates) await this.#validate(intake, body, exchange)
      const { parts, placed } = this.#batches(intake, exchange, requestKey)
      const result = parts.length === 0 ? NOTHING : await this.#options.log.append(parts, { durability, ...(requestKey === null ? {} : { requestKey }) })
      this.#answer(exchange, name, placed, result)
      this.figures.bytes += body.length
    } catch (error) {
      this.figures.refused++
      throw error
    } finally {
      this.#inFlightBytes -= reserved
    }
    return ANSWERED
  }

  async #validate(intake: TopicIntake, body: Buffer, exchange: Exchange): Promise<void> {
    const count = this.#events.count
    const { lines, total } = await intake.problems(this.#events)
    if (total > 0) {
      throw new LinesError(lines, { topic: intake.topic.name, bad: total, events: count }, `${total} of ${count} events do not fit the schema; nothing was appended.`)
    }
    // Another request may have used the splitter while a schema took its time.
    if (this.#events.bytes !== body) this.#events.split(body, intake.form(exchange.header('content-type')))
  }

  #answer(exchange: Exchange, topic: string, placed: readonly Placed[], result: AppendResult): void {
    if (result.firstOffsets.length !== placed.length) throw new MillraceError('MR_HTTP_KEY_REUSED', { details: { topic } })
    let count = 0
    let offsets = ''
    for (let index = 0; index < placed.length; index++) {
      const { partition, count: events } = placed[index] as Placed
      count += events
      offsets += `${index === 0 ? '' : ','}{"partition":${partition},"first":${result.firstOffsets[index] as number},"count":${events}}`
    }
    if (result.repeated) this.figures.repeated++
    else this.figures.events += count
    sendText(
      exchange.response,
      200,
      'application/json',
      `{"topic":"${topic}","count":${count},"offsets":[${offsets}]${result.repeated ? ',"repeated":true' : ''}}`,
    )
  }

  /** Throws MR_TOPIC_UNKNOWN, MR_TOPIC_RESERVED. */
  #intake(name: string): TopicIntake {
    const { log, reserved, declarations } = this.#options
    const topic = log.topic(name)
    const known = this.#intakes.get(name)
    if (topic !== null && known !== undefined && known.topic === topic) return known
    if (topic === null) {
      this.#intakes.delete(name)
      if (name.startsWith('__')) throw new MillraceError('MR_TOPIC_RESERVED', { details: { topic: name } })
      throw topicUnknown(log, name)
    }
    if (topic.settings.internal || name.startsWith('__') || reserved.has(name)) throw new MillraceError('MR_TOPIC_RESERVED', { details: { topic: name } })
    const intake = new TopicIntake(topic, declarations.get(name) ?? null)
    this.#intakes.set(name, intake)
    return intake
  }

  #batches(intake: TopicIntake, exchange: Exchange, requestKey: string | null): { readonly parts: readonly LogPart[]; readonly placed: readonly Placed[] } {
    const events = this.#events
    if (events.count === 0 && events.shape !== 'array') throw new MillraceError('MR_HTTP_BODY_EMPTY', { details: { topic: intake.topic.name } })
    const timeMs = timeOf(exchange) ?? this.#options.clock.nowMs()
    const header = exchange.header('millrace-key')
    // Node hands header bytes over as latin1: this way they are again what the producer sent.
    const key = header === null ? null : Buffer.from(header, 'latin1')
    const keys = key === null ? intake.keys(events) : null
    if (intake.topic.settings.compacted) requireKeys(intake, events.count, key, keys)
    const { partitions } = intake
    // A repeated request must find its records where the first one put them.
    const fallback = partitions === 1 ? 0 : requestKey === null ? intake.nextPartition() : partitionOfText(requestKey, partitions)
    const fixed = key === null ? fallback : partitionOf(key, 0, key.length, partitions)
    const batches = new Batches(intake, this.#builders)
    for (let row = 0; row < events.count; row++) {
      const keyStart = keys === null ? -1 : (keys.starts[row] as number)
      const keyEnd = keys === null || keyStart < 0 ? 0 : (keys.ends[row] as number)
      const source = keyStart >= 0 ? (keys?.bytes ?? null) : key
      const start = keyStart >= 0 ? keyStart : 0
      const end = keyStart >= 0 ? keyEnd : (key?.length ?? 0)
      const partition = partitions === 1 || source === null || keyStart < 0 ? fixed : partitionOf(source, start, end, partitions)
      batches.add(partition, source, start, end, events.bytes, events.starts[row] as number, events.ends[row] as number, timeMs, events.lines[row] as number)
    }
    return batches.finish()
  }
}

/** Record batches of one request: one open builder per partition, closed at a size. */
class Batches {
  readonly #intake: TopicIntake
  readonly #builders: RecordBatchBuilder[]
  readonly #parts: LogPart[] = []
  readonly #placed: Placed[] = []
  readonly #used: number[] = []
  readonly #bytesMax: number

  constructor(intake: TopicIntake, builders: RecordBatchBuilder[]) {
    this.#intake = intake
    this.#builders = builders
    this.#bytesMax = Math.min(BATCH_BYTES_TARGET, intake.topic.settings.batchBytesMax)
  }

  add(partition: number, key: Uint8Array | null, keyStart: number, keyEnd: number, body: Uint8Array, start: number, end: number, timeMs: number, line: number): void {
    const size = end - start + keyEnd - keyStart + RECORD_OVERHEAD_BYTES
    const { name, settings } = this.#intake.topic
    if (size > settings.batchBytesMax) {
      this.#abandon()
      throw new MillraceError('MR_HTTP_BODY_TOO_LARGE', {
        message: 'an event is larger than the topic accepts.',
        details: { topic: name, line, bytes: end - start, batchBytesMax: settings.batchBytesMax },
        fix: 'Send a smaller event, or raise `batchBytesMax` of the topic.',
      })
    }
    let builder = this.#builders[partition]
    if (builder === undefined) this.#builders[partition] = builder = new RecordBatchBuilder(16_384)
    if (builder.count === 0) this.#used.push(partition)
    else if (builder.bytes + size > this.#bytesMax) {
      this.#close(partition, builder)
      this.#used.push(partition)
    }
    builder.appendRange(key, keyStart, keyEnd, body, start, end, timeMs)
  }

  finish(): { readonly parts: readonly LogPart[]; readonly placed: readonly Placed[] } {
    for (const partition of this.#used) {
      const builder = this.#builders[partition] as RecordBatchBuilder
      if (builder.count > 0) this.#close(partition, builder)
    }
    return { parts: this.#parts, placed: this.#placed }
  }

  #close(partition: number, builder: RecordBatchBuilder): void {
    this.#placed.push({ partition, count: builder.count })
    this.#parts.push({ topic: this.#intake.topic.name, partition, batch: builder.finish() })
    builder.reset()
  }

  #abandon(): void {
    for (const partition of this.#used) this.#builders[partition]?.reset()
  }
}

function partitionOfText(text: string, partitions: number): number {
  const bytes = Buffer.from(text)
  return partitionOf(bytes, 0, bytes.length, partitions)
}

const NOTHING: AppendResult = { firstOffsets: [], repeated: false }

/** MR_TOPIC_UNKNOWN with the nearest name that exists. */
export function topicUnknown(log: Log, name: string): MillraceError {
  const names = log.topics().flatMap((topic) => (topic.settings.internal ? [] : [topic.name]))
  const near = nearestWord(name, names)
  return new MillraceError('MR_TOPIC_UNKNOWN', {
    message: `the topic does not exist${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { topic: name.slice(0, 200), ...(near === null ? {} : { nearest: near }) },
  })
}

function requireKeys(intake: TopicIntake, count: number, key: Uint8Array | null, keys: EventKeys | null): void {
  if (key !== null) return
  let missing = 0
  for (let row = 0; row < count; row++) if (keys === null || (keys.starts[row] as number) < 0) missing++
  if (missing === 0) return
  throw new MillraceError('MR_LOG_BATCH_INVALID', {
    message: 'the topic is compacted, so every event needs a key.',
    details: { topic: intake.topic.name, events: count, withoutKey: missing },
    fix: 'Send the header `Millrace-Key`, or declare the topic with `key`.',
  })
}

function durabilityOf(exchange: Exchange): 'durable' | 'received' {
  const text = exchange.query.get('ack')
  if (text === null || text === 'durable') return 'durable'
  if (text === 'received') return 'received'
  throw queryInvalid('ack', text, '`durable` or `received`')
}

function requestKeyOf(exchange: Exchange, topic: string): string | null {
  const key = exchange.header('idempotency-key')
  if (key === null) return null
  if (key.length > 0 && key.length <= REQUEST_KEY_CHARACTERS_MAX) return `${topic}/${key}`
  throw new MillraceError('MR_HTTP_QUERY_INVALID', {
    message: `the header Idempotency-Key must have 1 to ${REQUEST_KEY_CHARACTERS_MAX} characters.`,
    details: { characters: key.length },
    fix: 'Send a shorter key, for example a UUID.',
  })
}

function timeOf(exchange: Exchange): number | null {
  const text = exchange.header('millrace-time')
  if (text === null) return null
  const timeMs = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (timeMs >= 0 && timeMs <= 8.64e15) return timeMs
  throw new MillraceError('MR_HTTP_QUERY_INVALID', {
    message: 'the header Millrace-Time must be milliseconds since 1970 or an ISO-8601 time.',
    details: { value: text.slice(0, 80) },
  })
}
