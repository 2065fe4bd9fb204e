// The HTTP collector: bytes in, one record per event, answered when durable. Requests that arrive in the same turn become
// one record batch per partition, and those that wait at the same moment share the log's group commit. Nothing here is done per event but the
// copy of its bytes into the batch.
import { crc32 } from 'node:zlib'
import {
  type AnyTopic,
  type AppendResult,
  type Clock,
  type Log,
  MillraceError,
  nearestWord,
  partitionOf,
  type Scheduler,
  type Topic,
} from '@millrace/core/engine'
import { AppendGroup, BuilderPool, firstOffset, type Placed } from './append-group.ts'
import { LinesError, sendText } from '../http/answers.ts'
import { ANSWERED, type HttpCall, queryInvalid } from '../http/call.ts'
import { releaseBody } from '../http/body.ts'
import { BodySplitter } from './split-body.ts'
import { isoMs } from '../times.ts'
import { type EventKeys, TopicIntake } from './topic-intake.ts'

/** A larger body is a batch of its own. */
const SHARED_BYTES_MAX = 256 << 10
/** A group takes no further requests from here on. */
const GROUP_BYTES_ENOUGH = 1 << 20
/** The log takes 512 characters with the topic's name before the key. */
const REQUEST_KEY_CHARACTERS_MAX = 256

export interface CollectorOptions {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
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

export class Collector {
  readonly figures: CollectorFigures = { requests: 0, events: 0, bytes: 0, refused: 0, repeated: 0 }
  readonly #options: CollectorOptions
  readonly #intakes = new Map<string, TopicIntake>()
  readonly #events = new BodySplitter()
  readonly #pool = new BuilderPool()
  readonly #shared = new Map<string, { readonly group: AppendGroup; readonly appended: Promise<AppendResult> }>()
  /** The end of this turn, while groups wait for it. */
  #turn: Promise<void> | null = null
  #inFlightBytes = 0

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  /** POST /topics/{topic}. */
  async collect(call: HttpCall): Promise<typeof ANSWERED> {
    this.figures.requests++
    const name = call.params['topic'] as string
    let reserved = 0
    try {
      const intake = this.#intake(name)
      const durability = durabilityOf(call)
      const key = idempotencyKeyOf(call)
      const body = await call.body()
      const requestKey = key === null ? null : requestKeyOf(intake.topic.id, key, eventKeyOf(call), body)
      if (this.#inFlightBytes > 0 && this.#inFlightBytes + body.length > this.#options.inFlightBytesMax) {
        throw new MillraceError('MR_HTTP_BUSY', {
          details: { inFlightBytes: this.#inFlightBytes, inFlightBytesMax: this.#options.inFlightBytesMax },
        })
      }
      reserved = body.length
      this.#inFlightBytes += reserved
      this.#events.split(body, intake.form(call.header('content-type')))
      if (isJson(call.header('content-type'))) requireWholeArray(this.#events, name)
      if (intake.validates) await this.#validate(intake, body, call)
      if (this.#events.count === 0 && this.#events.shape !== 'array')
        throw new MillraceError('MR_HTTP_BODY_EMPTY', { details: { topic: name } })
      const isShared = requestKey === null && durability === 'durable' && body.length <= SHARED_BYTES_MAX
      const shared = isShared ? this.#sharedGroup(intake.topic) : null
      const group = shared?.group ?? new AppendGroup(intake.topic, this.#pool)
      const placed = this.#place(group, intake, call, requestKey)
      releaseBody(body)
      const result =
        placed.length === 0
          ? NOTHING
          : await (shared?.appended ?? group.append(this.#options.log, { durability, ...(requestKey === null ? {} : { requestKey }) }))
      this.#answer(call, name, placed, result)
      this.figures.bytes += reserved
    } catch (error) {
      this.figures.refused++
      throw error
    } finally {
      this.#inFlightBytes -= reserved
    }
    return ANSWERED
  }

  async #validate(intake: TopicIntake, body: Buffer, call: HttpCall): Promise<void> {
    const count = this.#events.count
    const { lines, total } = await intake.problems(this.#events)
    if (total > 0) {
      throw new LinesError(
        lines,
        { topic: intake.topic.name, bad: total, events: count },
        `${total} of ${count} events do not fit the schema; nothing was appended.`,
      )
    }
    // Another request may have used the splitter while a schema took its time.
    if (this.#events.bytes !== body) this.#events.split(body, intake.form(call.header('content-type')))
  }

  #answer(call: HttpCall, topic: string, placed: readonly Placed[], result: AppendResult): void {
    let count = 0
    let offsets = ''
    for (const run of placed) {
      count += run.count
      offsets += `${offsets === '' ? '' : ','}{"partition":${run.partition},"first":${firstOffset(run, run.at, result, topic)},"count":${run.count}}`
    }
    if (result.repeated) this.figures.repeated++
    else this.figures.events += count
    sendText(
      call.response,
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
    if (topic.settings.internal || name.startsWith('__') || reserved.has(name))
      throw new MillraceError('MR_TOPIC_RESERVED', { details: { topic: name } })
    const intake = new TopicIntake(topic, declarations.get(name) ?? null)
    this.#intakes.set(name, intake)
    return intake
  }

  /** Adds the body's events to a group. Throws before any is added. */
  #place(group: AppendGroup, intake: TopicIntake, call: HttpCall, requestKey: string | null): readonly Placed[] {
    const events = this.#events
    const timeMs = timeOf(call) ?? this.#options.clock.nowMs()
    const key = eventKeyOf(call)
    const keys = key === null ? intake.keys(events) : null
    if (intake.topic.settings.compacted) requireKeys(intake, events.count, key, keys)
    requireSizes(group, events, keys, key?.length ?? 0)
    const { partitions } = intake
    // A repeated request must find its records where the first one put them.
    const fallback = partitions === 1 ? 0 : requestKey === null ? intake.nextPartition() : partitionOfText(requestKey, partitions)
    const fixed = key === null ? fallback : partitionOf(key, 0, key.length, partitions)
    const { bytes, starts, ends } = events
    if (keys === null) {
      for (let row = 0; row < events.count; row++)
        group.add(fixed, key, 0, key?.length ?? 0, bytes, starts[row] as number, ends[row] as number, timeMs)
      return group.endRequest()
    }
    for (let row = 0; row < events.count; row++) {
      const start = keys.starts[row] as number
      const end = start < 0 ? 0 : (keys.ends[row] as number)
      const source = start < 0 ? null : keys.bytes
      const partition = partitions === 1 || source === null ? fixed : partitionOf(source, start, end, partitions)
      group.add(partition, source, Math.max(0, start), end, bytes, starts[row] as number, ends[row] as number, timeMs)
    }
    return group.endRequest()
  }

  /** The group that requests of this turn share. */
  #sharedGroup(topic: Topic): { readonly group: AppendGroup; readonly appended: Promise<AppendResult> } {
    const known = this.#shared.get(topic.name)
    if (known !== undefined && known.group.topic === topic && known.group.bytes < GROUP_BYTES_ENOUGH) return known
    const group = new AppendGroup(topic, this.#pool)
    const appended = this.#appendSoon(group)
    // Whoever added to the group waits for it; a request that was refused before it added does not.
    appended.catch(() => undefined)
    const shared = { group, appended }
    this.#shared.set(topic.name, shared)
    return shared
  }

  async #appendSoon(group: AppendGroup): Promise<AppendResult> {
    // One turn for the groups of all topics, so that they share an entry of the journal.
    this.#turn ??= this.#options.scheduler.turn()
    await this.#turn
    this.#turn = null
    if (this.#shared.get(group.topic.name)?.group === group) this.#shared.delete(group.topic.name)
    return group.append(this.#options.log, { durability: 'durable', gathered: true })
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

/** @throws {MillraceError} `MR_HTTP_BODY_TOO_LARGE` with the event's line. */
function requireSizes(group: AppendGroup, events: BodySplitter, keys: EventKeys | null, keyBytes: number): void {
  const { name, settings } = group.topic
  for (let row = 0; row < events.count; row++) {
    const bytes = (events.ends[row] as number) - (events.starts[row] as number)
    const keySize =
      keys === null ? keyBytes : (keys.starts[row] as number) < 0 ? 0 : (keys.ends[row] as number) - (keys.starts[row] as number)
    if (group.fits(bytes + keySize)) continue
    throw new MillraceError('MR_HTTP_BODY_TOO_LARGE', {
      message: 'an event is larger than the topic accepts.',
      details: { topic: name, line: events.lines[row] as number, bytes, batchBytesMax: settings.batchBytesMax },
      fix: 'Send a smaller event, or raise `batchBytesMax` of the topic.',
    })
  }
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

function durabilityOf(call: HttpCall): 'durable' | 'received' {
  const text = call.once('ack')
  if (text === null || text === 'durable') return 'durable'
  if (text === 'received') return 'received'
  throw queryInvalid('ack', text, '`durable` or `received`')
}

/**
 * What a request is known by: a topic that was made anew knows none of those before, and a key that is used for another body, or for events
 * of another key, by mistake is another request, whose events must not be lost.
 */
function requestKeyOf(topicId: string, key: string, eventKey: Buffer | null, body: Buffer): string {
  return `${topicId}/${key}/${body.length}-${crc32(body)}${eventKey === null ? '' : `-${eventKey.length}-${crc32(eventKey)}`}`
}

/** The key that a request gives all its events. */
function eventKeyOf(call: HttpCall): Buffer | null {
  const header = call.header('millrace-key')
  // Node hands header bytes over as latin1: this way they are again what the producer sent.
  return header === null ? null : Buffer.from(header, 'latin1')
}

function idempotencyKeyOf(call: HttpCall): string | null {
  const key = call.header('idempotency-key')
  if (key === null || (key.length > 0 && key.length <= REQUEST_KEY_CHARACTERS_MAX)) return key
  throw new MillraceError('MR_HTTP_QUERY_INVALID', {
    message: `the header Idempotency-Key must have 1 to ${REQUEST_KEY_CHARACTERS_MAX} characters.`,
    details: { characters: key.length },
    fix: 'Send a shorter key, for example a UUID.',
  })
}

function isJson(contentType: string | null): boolean {
  return contentType !== null && /^application\/json\b/i.test(contentType)
}

/** What is declared as JSON and begins as an array is many events; one that is broken is no event at all. Throws MR_HTTP_BODY_INVALID. */
function requireWholeArray({ bytes, starts, count, shape }: BodySplitter, topic: string): void {
  if (shape !== 'one' || count !== 1 || bytes[starts[0] as number] !== 91) return
  let reason = 'it is not JSON'
  try {
    JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    const { message } = error as SyntaxError
    reason = message.includes('position') ? message : `${message} at position ${bytes.length}`
  }
  throw new MillraceError('MR_HTTP_BODY_INVALID', {
    message: `the body begins as a JSON array and is none: ${reason}. Nothing was appended.`,
    details: { topic },
  })
}

function timeOf(call: HttpCall): number | null {
  const text = call.header('millrace-time')
  if (text === null) return null
  const timeMs = /^\d+$/.test(text) ? Number(text) : isoMs(text)
  if (timeMs !== null && timeMs >= 0 && timeMs <= 8.64e15) return timeMs
  throw new MillraceError('MR_HTTP_QUERY_INVALID', {
    message: 'the header Millrace-Time must be milliseconds since 1970 or an ISO-8601 time.',
    details: { value: text.slice(0, 80) },
  })
}
