// A log that another thread owns, over a message port: what worker threads are given. The other end is a LogServer.
//
// Synchronous answers (topic, topics, ends) come from shared memory and from what the owner has told; everything else is a message and its
// answer. Topics that the owner makes for itself are seen after `refresh` or the next call that opens a writer.
import type { MessagePort } from 'node:worker_threads'
import type { Disk } from '../../base/disk.ts'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import type {
  AppendOptions,
  AppendResult,
  FetchOptions,
  FetchPosition,
  Log,
  LogPart,
  LogReader,
  LogWriter,
  Membership,
  MembershipOptions,
  PartitionEnds,
  Topic,
  TopicSettings,
} from '../log.ts'
import { EndsView } from './ends-table.ts'
import { type ReaderHost, RemoteReader } from './remote-reader.ts'
import {
  type CallName,
  type Calls,
  errorFromWire,
  errorToWire,
  type FetchAnswer,
  type ToOwner,
  type ToRemote,
  type WireParts,
  type WireTopic,
} from './wire.ts'

export interface RemoteLogOptions {
  /** Where the files of the log can be read; readers then read by themselves what the owner hands out as extents. Default: they always ask. */
  readonly disk?: Disk
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class RemoteLog implements Log, ReaderHost {
  readonly #port: MessagePort
  readonly #ends: EndsView
  readonly #disk: Disk | null
  readonly #waiting = new Map<number, Waiting>()
  readonly #members = new Map<number, MembershipOptions>()
  readonly #listeners = new Map<string, Set<() => void>>()
  #topics: ReadonlyMap<string, WireTopic>
  #nextId = 1
  #closing: Promise<void> | null = null
  #lost = false

  private constructor(port: MessagePort, hello: Extract<ToRemote, { kind: 'hello' }>, options: RemoteLogOptions) {
    this.#port = port
    this.#ends = new EndsView(hello.ends)
    this.#topics = byName(hello.topics)
    this.#disk = options.disk ?? null
    port.on('message', (message: ToRemote) => this.#take(message))
    port.on('close', () => this.#lose())
  }

  /** Resolves when the owner has greeted. The port must be connected to a `LogServer`, and be used for nothing else. */
  static connect(port: MessagePort, options: RemoteLogOptions = {}): Promise<RemoteLog> {
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(new MillraceError('MR_LOG_CLOSED', { message: 'the owner of the log is gone.' }))
      port.once('close', lost)
      port.once('message', (message: ToRemote) => {
        port.off('close', lost)
        if (message.kind === 'hello') resolve(new RemoteLog(port, message, options))
        else reject(new MillraceError('MR_LOG_CLOSED', { message: 'the other end of the port is no owner of a log.' }))
      })
    })
  }

  async createTopic(name: string, settings: Partial<TopicSettings> = {}): Promise<Topic> {
    return this.#call('createTopic', [name, settings])
  }
  async alterTopic(name: string, settings: Partial<TopicSettings>): Promise<Topic> {
    return this.#call('alterTopic', [name, settings])
  }
  async deleteTopic(name: string): Promise<void> {
    return this.#call('deleteTopic', [name])
  }

  topic(name: string): Topic | null {
    return this.#topics.get(name)?.topic ?? null
  }
  topics(): readonly Topic[] {
    return Array.from(this.#topics.values(), ({ topic }) => topic)
  }

  ends(name: string): readonly PartitionEnds[] {
    this.#check()
    const { topic, row } = this.#topic(name)
    const { partitions } = topic.settings
    return this.#ends.stable(() =>
      Array.from({ length: partitions }, (_, partition) => ({
        topic: name,
        partition,
        start: this.#ends.start(row + partition),
        end: this.#ends.end(row + partition),
        bytes: this.#ends.bytes(row + partition),
      })),
    )
  }

  async append(parts: readonly LogPart[], options: AppendOptions = {}): Promise<AppendResult> {
    const wire = wireParts(parts)
    return this.#call('append', [wire, options], [wire.buffer])
  }

  async allocateProducerId(): Promise<number> {
    return this.#call('allocateProducerId', [])
  }

  async openWriter(name: string): Promise<LogWriter> {
    const writer = this.#nextId++
    const epoch = await this.#call('openWriter', [writer, name])
    let closed = false
    return {
      name,
      epoch,
      commit: async (parts) => {
        if (closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the writer was closed.', details: { writer: name } })
        const wire = wireParts(parts)
        return this.#call('commit', [writer, wire], [wire.buffer])
      },
      close: async () => {
        if (closed || this.#isClosed) return
        closed = true
        await this.#call('closeWriter', [writer])
      },
    }
  }

  reader(): LogReader {
    this.#check()
    return new RemoteReader(this, this.#nextId++, this.#disk)
  }

  async offsetForTime(topic: string, partition: number, timeMs: number, by: 'event' | 'append'): Promise<number> {
    return this.#call('offsetForTime', [topic, partition, timeMs, by])
  }
  async trim(topic: string, partition: number, offset: number): Promise<void> {
    return this.#call('trim', [topic, partition, offset])
  }
  async skipCorrupt(topic: string, partition: number, offset: number): Promise<number> {
    return this.#call('skipCorrupt', [topic, partition, offset])
  }

  async join(options: MembershipOptions): Promise<Membership> {
    const member = this.#nextId++
    this.#members.set(member, options)
    await this.#call('join', [member, options.domain, options.groups])
    return {
      leave: async () => {
        await this.#call('leave', [member])
        this.#members.delete(member)
      },
    }
  }

  onAppend(topic: string, notify: () => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners)
    // Wrapped, so that the same function registered twice is two registrations.
    const listener = (): void => notify()
    listeners.add(listener)
    if (listeners.size === 1) this.#post({ kind: 'watch', topic })
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#post({ kind: 'unwatch', topic })
    }
  }

  /** Topics and ends as the owner has them now. */
  async refresh(): Promise<void> {
    return this.#call('refresh', [])
  }

  /** Resolves when everything that was accepted is durable; the log itself stays open. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (!this.#lost) await this.#send('close', []).catch(() => undefined)
    this.#port.close()
    this.#lose()
  }

  // For the readers of this log.

  requireOpen(): void {
    this.#check()
  }

  placeOf(name: string, partition: number): { readonly topicId: string; readonly start: number; readonly end: number } | null {
    const known = this.#topics.get(name)
    if (known === undefined || partition < 0 || partition >= known.topic.settings.partitions) return null
    const row = known.row + partition
    return this.#ends.stable(() => ({ topicId: known.topic.id, start: this.#ends.start(row), end: this.#ends.end(row) }))
  }

  allAtEnd(positions: readonly FetchPosition[]): boolean {
    return this.#ends.stable(() =>
      positions.every(({ topic, partition, offset }) => {
        const known = this.#topics.get(topic)
        if (known === undefined || partition < 0 || partition >= known.topic.settings.partitions) return false
        return this.#ends.end(known.row + partition) === offset
      }),
    )
  }

  fetch(
    reader: number,
    positions: readonly FetchPosition[],
    options: FetchOptions,
    direct: boolean,
    buffer: ArrayBuffer | null,
  ): Promise<FetchAnswer> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as FetchAnswer), reject })
      this.#post({ kind: 'fetch', id, reader, positions, options, direct, buffer }, buffer === null ? [] : [buffer])
    })
  }

  closeReader(reader: number): void {
    this.#post({ kind: 'closeReader', reader })
  }

  #call<Name extends CallName>(name: Name, args: Calls[Name]['args'], transfer: ArrayBuffer[] = []): Promise<Calls[Name]['result']> {
    this.#check()
    return this.#send(name, args, transfer)
  }

  #send<Name extends CallName>(name: Name, args: Calls[Name]['args'], transfer: ArrayBuffer[] = []): Promise<Calls[Name]['result']> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve: (value) => resolve(value as Calls[Name]['result']), reject })
      this.#post({ kind: 'call', id, name, args }, transfer)
    })
  }

  #post(message: ToOwner, transfer: ArrayBuffer[] = []): void {
    if (!this.#lost) this.#port.postMessage(message, transfer)
  }

  #take(message: ToRemote): void {
    switch (message.kind) {
      case 'done':
        return this.#settle(message.id)?.resolve(message.value)
      case 'failed':
        return this.#settle(message.id)?.reject(errorFromWire(message.error))
      case 'fetched':
      case 'extent':
        return this.#settle(message.id)?.resolve(message)
      case 'topics':
        this.#topics = byName(message.topics)
        return
      case 'appended':
        for (const topic of message.topics) for (const notify of this.#listeners.get(topic) ?? []) notify()
        return
      case 'assign':
        void this.#assigned(message.member, message.turn, message.groups)
        return
      case 'hello':
        return
    }
  }

  async #assigned(member: number, turn: number, groups: readonly number[]): Promise<void> {
    try {
      await must(this.#members.get(member), `member ${member}`).onAssigned(groups)
      this.#post({ kind: 'assigned', turn, error: null })
    } catch (error) {
      this.#post({ kind: 'assigned', turn, error: errorToWire(error) })
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  #lose(): void {
    this.#lost = true
    const error = new MillraceError('MR_LOG_CLOSED', { message: 'the connection to the owner of the log is closed.' })
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    // Whoever waits for records must find out that none will come.
    for (const listeners of this.#listeners.values()) for (const notify of listeners) notify()
    this.#listeners.clear()
  }

  get #isClosed(): boolean {
    return this.#closing !== null || this.#lost
  }

  #check(): void {
    if (this.#isClosed) throw new MillraceError('MR_LOG_CLOSED')
  }

  #topic(name: string): WireTopic {
    const known = this.#topics.get(name)
    if (known === undefined) throw new MillraceError('MR_TOPIC_UNKNOWN', { details: { topic: name } })
    return known
  }
}

function byName(topics: readonly WireTopic[]): ReadonlyMap<string, WireTopic> {
  return new Map(topics.map((known) => [known.topic.name, known]))
}

/** All batches in one buffer of their own, so that the caller's bytes are free at once and the buffer can be handed over. */
function wireParts(parts: readonly LogPart[]): WireParts {
  let size = 0
  for (const { batch } of parts) size += batch.length
  const buffer = new ArrayBuffer(size)
  const target = new Uint8Array(buffer)
  let at = 0
  const places = parts.map(({ topic, partition, batch }) => {
    target.set(batch, at)
    at += batch.length
    return { topic, partition, length: batch.length }
  })
  return { buffer, places }
}
