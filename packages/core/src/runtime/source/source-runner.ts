// Runs one source: reads, and commits the records together with the position behind them, in one step by a fenced writer. So a record is
// in the log exactly once, whatever crashes, and two processes with the same source cannot both append.
//
//   opening --> reading <--> waiting (nothing there)      full (the log has no room: the same commit is tried again)
//      ^           |            retrying <--(any failure; opened again from the newest commit after a pause)
//      |           v
//      +------- retrying        ended, stopped, failed (invalid settings, fenced, closed) are final
import { assert, AssertionFailure, must } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import { readRecords, recordBatch } from '../../codec/record-batch.ts'
import type { SourceConnector, SourcePosition, SourceReader } from '../../connect/source.ts'
import type { AnyTopic } from '../../connect/topic.ts'
import type { Log, LogPart, LogWriter, Topic } from '../../log/log.ts'
import { commitWhenRoom } from '../commit-when-room.ts'
import { recordBytesMax, TopicAppender } from './topic-appender.ts'
import { sourcePositionTopic } from '../topic-names.ts'
import { Wakeup } from '../wakeup.ts'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 5000
/** The rate is the mean of so many seconds. */
const RATE_SECONDS = 5
/** Newest notices that are kept. */
const NOTICES_MAX = 20
/** Reads that are gathered into one commit: what its two syncs cost is spread over as much. A backlog alone fills it; the rest is committed at once. */
const COMMIT_BYTES = 4 * 1024 * 1024
/** Work without a turn of the event loop, so that others get theirs. */
const SLICE_MS = 4
const NAME = /^[A-Za-z0-9._-]{1,100}$/
const POSITION_KEY = new TextEncoder().encode('position')

export interface SourceOptions {
  /** Identity of the source: its position and its writer. Another name reads from the beginning. */
  readonly name: string
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly onEvent?: (event: SourceEvent) => void
}

export type SourceEvent =
  | { readonly kind: 'notice'; readonly source: string; readonly message: string }
  | { readonly kind: 'retrying' | 'failed' | 'full'; readonly source: string; readonly error: unknown }
  | { readonly kind: 'resumed' | 'ended'; readonly source: string }

export type SourcePhase = 'opening' | 'reading' | 'waiting' | 'full' | 'retrying' | 'ended' | 'stopped' | 'failed'

export interface SourceStatus {
  readonly name: string
  readonly connector: string
  readonly topic: string
  readonly phase: SourcePhase
  /** Of the newest commit; what it means, the connector knows. */
  readonly position: SourcePosition
  readonly lag: number | null
  readonly lagUnit: 'bytes' | 'records'
  /** Of the last seconds. */
  readonly recordsPerSecond: number
  /** Since the start. */
  readonly records: number
  readonly commits: number
  readonly error: { readonly code: string; readonly message: string; readonly fix: string } | null
  readonly notices: readonly { readonly atMs: number; readonly message: string }[]
}

/**
 * Starts a source that fills a topic, which is made when it is missing. Resolves when it runs or has failed for the first time.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` when the source cannot fill this topic, and the errors of making the topics.
 */
export async function runSource(log: Log, connector: SourceConnector, topic: AnyTopic, options: SourceOptions): Promise<RunningSource> {
  if (!NAME.test(options.name))
    throw new MillraceError('MR_CONNECTOR_SETTING', {
      message: `\`${options.name}\` cannot name a source: 1-100 of a-z A-Z 0-9 . _ -`,
      details: { connector: connector.spec.type, setting: 'name' },
    })
  connector.check(topic)
  const known =
    log.topic(topic.name) ??
    (await log.createTopic(topic.name, { partitions: topic.partitions, retentionMs: topic.retentionMs, compacted: topic.compacted }))
  const positions = sourcePositionTopic(options.name)
  if (log.topic(positions) === null) await log.createTopic(positions, { partitions: 1, compacted: true, internal: true })
  const source = new RunningSource(log, connector, topic, known, options)
  source.start()
  await source.ready()
  return source
}

export class RunningSource {
  readonly name: string
  readonly #log: Log
  readonly #connector: SourceConnector
  readonly #declaration: AnyTopic
  readonly #topic: Topic
  readonly #options: SourceOptions
  readonly #wakeup: Wakeup
  readonly #notices: { readonly atMs: number; readonly message: string }[] = []
  readonly #rate = new Rate()
  #phase: SourcePhase = 'opening'
  #reader: SourceReader | null = null
  #position: SourcePosition = null
  #positionText = 'null'
  #records = 0
  #commits = 0
  #error: unknown = null
  #stopping = false
  #abandoned = false
  #done: Promise<void> = Promise.resolve()
  #opened: (() => void) | null = null
  readonly #ready: Promise<void>

  constructor(log: Log, connector: SourceConnector, declaration: AnyTopic, topic: Topic, options: SourceOptions) {
    this.name = options.name
    this.#log = log
    this.#connector = connector
    this.#declaration = declaration
    this.#topic = topic
    this.#options = options
    this.#wakeup = new Wakeup(options.scheduler)
    this.#ready = new Promise((resolve) => {
      this.#opened = resolve
    })
  }

  start(): void {
    this.#done = this.#run()
  }

  ready(): Promise<void> {
    return this.#ready
  }

  /** Resolves when a source that ends has ended or was stopped; throws when it failed. */
  async finished(): Promise<void> {
    await this.#done
    if (this.#phase === 'failed') throw this.#error
  }

  /** Commits what was read, and closes. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#wakeup.wake()
    await this.#done
  }

  /** Ends without a commit, as a crash would. For tests. */
  abandon(): void {
    this.#abandoned = true
    this.#stopping = true
    this.#wakeup.wake()
  }

  status(): SourceStatus {
    const error = this.#error
    return {
      name: this.name,
      connector: this.#connector.spec.type,
      topic: this.#topic.name,
      phase: this.#phase,
      position: this.#position,
      lag: this.#reader?.lag() ?? null,
      lagUnit: this.#connector.lagUnit,
      recordsPerSecond: this.#rate.perSecond(this.#options.clock.monotonicMs()),
      records: this.#records,
      commits: this.#commits,
      error: error === null ? null : describe(error),
      notices: this.#notices,
    }
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopping) {
      const before = this.#commits
      try {
        await this.#incarnation()
        break
      } catch (error) {
        this.#error = error
        if (this.#commits > before) failures = 0
        failures++
        if (isFinal(error)) {
          this.#phase = 'failed'
          this.#report({ kind: 'failed', source: this.name, error })
          break
        }
        this.#phase = 'retrying'
        if (failures === 1) this.#report({ kind: 'retrying', source: this.name, error })
        this.#opened?.()
        await this.#wakeup.wait(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (failures - 1)))
      }
    }
    if (this.#phase !== 'failed' && this.#phase !== 'ended') this.#phase = 'stopped'
    this.#opened?.()
  }

  async #incarnation(): Promise<void> {
    const { name, clock, disk } = this.#options
    // Opening the writer fences an older one, whose position can then not move any more.
    const writer = await this.#log.openWriter(`source/${name}`)
    try {
      this.#setPosition(await this.#committedPosition())
      const reader = await this.#connector.open(
        {
          name,
          topic: this.#declaration,
          recordBytesMax: recordBytesMax(this.#topic),
          clock,
          disk,
          wake: () => this.#wakeup.wake(),
          notice: (message) => this.#notice(message),
        },
        this.#position,
      )
      this.#reader = reader
      await this.#read(writer, reader)
    } finally {
      await this.#reader?.close()
      this.#reader = null
      await writer.close()
    }
  }

  async #read(writer: LogWriter, reader: SourceReader): Promise<void> {
    const { clock, scheduler } = this.#options
    const appender = new TopicAppender(this.#topic, this.name)
    let sliceStart = clock.monotonicMs()
    while (!this.#stopping) {
      let read = await reader.read(appender)
      while (read.state === 'more' && appender.bytes < COMMIT_BYTES) read = await reader.read(appender)
      if (this.#abandoned) return
      await this.#commit(writer, appender, read.position)
      this.#error = null
      reader.committed?.(this.#position)
      if (read.state === 'ended') {
        this.#phase = 'ended'
        this.#report({ kind: 'ended', source: this.name })
        return
      }
      this.#phase = read.state === 'idle' ? 'waiting' : 'reading'
      this.#opened?.()
      if (read.state === 'idle') await this.#wakeup.wait(reader.pollMs)
      else if (clock.monotonicMs() - sliceStart >= SLICE_MS) await scheduler.turn()
      else continue
      sliceStart = clock.monotonicMs()
    }
  }

  /** Records and position in one step. A full log is waited for: nothing may be read before what was read is in. */
  async #commit(writer: LogWriter, appender: TopicAppender, position: SourcePosition): Promise<void> {
    const { records } = appender
    const text = JSON.stringify(position) ?? 'null'
    if (records === 0 && text === this.#positionText) return
    const value = new TextEncoder().encode(text)
    const own = recordBatch([{ key: POSITION_KEY, value, timeMs: Math.max(0, this.#options.clock.nowMs()) }])
    const parts: readonly LogPart[] = [...appender.take(), { topic: sourcePositionTopic(this.name), partition: 0, batch: own }]
    await commitWhenRoom(writer, parts, this.#options.scheduler, {
      isOver: () => this.#stopping,
      full: (error) => {
        this.#report({ kind: 'full', source: this.name, error })
        this.#phase = 'full'
        this.#error = error
        this.#opened?.()
      },
      resumed: () => this.#report({ kind: 'resumed', source: this.name }),
    })
    this.#position = position
    this.#positionText = text
    this.#commits++
    this.#records += records
    this.#rate.add(this.#options.clock.monotonicMs(), records)
  }

  #setPosition(position: SourcePosition): void {
    this.#position = position
    this.#positionText = JSON.stringify(position) ?? 'null'
  }

  /** The newest position on the source's own topic. */
  async #committedPosition(): Promise<SourcePosition> {
    const topic = sourcePositionTopic(this.name)
    const { start, end } = must(this.#log.ends(topic)[0], topic)
    const reader = this.#log.reader()
    let newest: Uint8Array | null = null
    try {
      for (let offset = start; offset < end;) {
        const fetched = must((await reader.fetch([{ topic, partition: 0, offset }]))[0], topic)
        if (fetched.error !== null) throw fetched.error
        newest = readRecords(fetched.bytes, offset).at(-1)?.value ?? newest
        if (fetched.next === offset) break
        offset = fetched.next
      }
    } finally {
      reader.close()
    }
    if (newest === null) return null
    try {
      return JSON.parse(new TextDecoder().decode(newest)) as SourcePosition
    } catch (cause) {
      throw new MillraceError('MR_SOURCE_POSITION', { details: { source: this.name }, cause })
    }
  }

  #notice(message: string): void {
    this.#notices.push({ atMs: this.#options.clock.nowMs(), message })
    if (this.#notices.length > NOTICES_MAX) this.#notices.shift()
    this.#report({ kind: 'notice', source: this.name, message })
  }

  #report(event: SourceEvent): void {
    this.#options.onEvent?.(event)
  }
}

/** A disk that fails may come back (a network share); wrong settings, a newer owner and a bug do not pass by themselves. */
function isFinal(error: unknown): boolean {
  if (error instanceof AssertionFailure) return true
  if (!isMillraceError(error)) return false
  return error.kind === 'invalid' || error.kind === 'fenced' || error.kind === 'closed' || error.code === 'MR_SOURCE_POSITION'
}

function describe(error: unknown): NonNullable<SourceStatus['error']> {
  const known = isMillraceError(error)
    ? error
    : new MillraceError('MR_SOURCE_FAILED', { message: `the source cannot read: ${String(error)}`, cause: error })
  return { code: known.code, message: known.message, fix: known.fix }
}

/** Records per second, over the last full seconds. */
class Rate {
  readonly #counts = new Float64Array(RATE_SECONDS)
  #second = 0

  add(nowMs: number, records: number): void {
    this.#move(nowMs)
    const slot = this.#second % RATE_SECONDS
    this.#counts[slot] = (this.#counts[slot] as number) + records
  }

  perSecond(nowMs: number): number {
    this.#move(nowMs)
    return this.#counts.reduce((sum, count) => sum + count, 0) / RATE_SECONDS
  }

  #move(nowMs: number): void {
    const second = Math.floor(nowMs / 1000)
    assert(second >= this.#second, 'time goes on')
    for (let next = Math.max(this.#second + 1, second - RATE_SECONDS + 1); next <= second; next++) this.#counts[next % RATE_SECONDS] = 0
    this.#second = second
  }
}
