// One port of a LogServer: its readers, writers, members and watched topics, and the calls that are under way.
// Calls start in the order in which they arrive, so that appends and commits of one thread keep theirs (LOG-6).
import type { MessagePort } from 'node:worker_threads'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import type { ExtentSource } from '../embedded/extent.ts'
import type { FetchedPartition, Log, LogPart, LogReader, LogWriter, Membership } from '../log.ts'
import { PADDING_BYTES } from './extent-reader.ts'
import { type CallName, type Calls, errorFromWire, errorToWire, type ToOwner, type ToRemote, type WireParts } from './wire.ts'

const BUFFER_BYTES_MIN = 65_536

type Handlers = { readonly [Name in CallName]: (...args: Calls[Name]['args']) => Promise<Calls[Name]['result']> }
type Fetch = Extract<ToOwner, { kind: 'fetch' }>

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly log: Log & Partial<ExtentSource>
  /** Topics and all ends up to date, and told. */
  refresh(): void
  /** Ends of topics that have changed published, and told. */
  flush(): void
  /** The ends of this topic have moved without an append. */
  touched(topic: string): void
  forget(connection: Connection): void
}

export class Connection {
  readonly #server: ConnectionHost
  readonly #port: MessagePort
  readonly #readers = new Map<number, LogReader>()
  readonly #writers = new Map<number, LogWriter>()
  readonly #members = new Map<number, Membership>()
  readonly #turns = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>()
  readonly #watched = new Map<string, number>()
  readonly #pending = new Set<Promise<void>>()
  #nextTurn = 1
  #open = true

  constructor(server: ConnectionHost, port: MessagePort) {
    this.#server = server
    this.#port = port
    port.on('message', (message: ToOwner) => this.#take(message))
    port.on('close', () => void this.end())
  }

  post(message: ToRemote, transfer: ArrayBuffer[] = []): void {
    if (this.#open) this.#port.postMessage(message, transfer)
  }

  /** Tells which of the watched topics may have new records. */
  notify(topics: readonly string[]): void {
    const watched = topics.filter((topic) => this.#watched.has(topic))
    if (watched.length > 0) this.post({ kind: 'appended', topics: watched })
  }

  /** Settles when nothing of this connection is left. What it has handed to the log goes on to its end. */
  async end(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#release()
    this.#server.forget(this)
    this.#port.close()
    await Promise.all(Array.from(this.#members.values(), (member) => member.leave().catch(() => undefined)))
  }

  /** Ends waits: polls of readers, and assignments that nobody will confirm. */
  #release(): void {
    for (const reader of this.#readers.values()) reader.close()
    for (const { reject } of this.#turns.values()) reject(new MillraceError('MR_LOG_CLOSED', { message: 'the member is gone.' }))
    this.#turns.clear()
    this.#watched.clear()
  }

  #take(message: ToOwner): void {
    switch (message.kind) {
      case 'call':
        return this.#track(this.#call(message.id, message.name, message.args), message.name !== 'close')
      case 'fetch':
        return this.#track(this.#fetch(message), true)
      case 'closeReader':
        this.#readers.get(message.reader)?.close()
        this.#readers.delete(message.reader)
        return
      case 'watch':
        this.#watched.set(message.topic, (this.#watched.get(message.topic) ?? 0) + 1)
        // What was appended before this message arrived would otherwise be noticed by nobody.
        return this.post({ kind: 'appended', topics: [message.topic] })
      case 'unwatch': {
        const count = (this.#watched.get(message.topic) ?? 0) - 1
        if (count > 0) this.#watched.set(message.topic, count)
        else this.#watched.delete(message.topic)
        return
      }
      case 'assigned': {
        const turn = this.#turns.get(message.turn)
        this.#turns.delete(message.turn)
        return message.error === null ? turn?.resolve() : turn?.reject(errorFromWire(message.error))
      }
    }
  }

  #track(work: Promise<void>, waitedFor: boolean): void {
    if (!waitedFor) return
    this.#pending.add(work)
    void work.then(() => this.#pending.delete(work))
  }

  async #call(id: number, name: CallName, args: readonly unknown[]): Promise<void> {
    try {
      const handle = this.#handlers[name] as (...args: readonly unknown[]) => Promise<unknown>
      const value = await handle(...args)
      this.#answer({ kind: 'done', id, value })
    } catch (error) {
      this.#answer({ kind: 'failed', id, error: errorToWire(error) })
    }
  }

  #answer(message: ToRemote, transfer: ArrayBuffer[] = []): void {
    this.#server.flush()
    this.post(message, transfer)
  }

  readonly #handlers: Handlers = {
    createTopic: async (name, settings) => {
      const topic = await this.#server.log.createTopic(name, settings)
      this.#server.refresh()
      return topic
    },
    alterTopic: async (name, settings) => {
      const topic = await this.#server.log.alterTopic(name, settings)
      this.#server.refresh()
      return topic
    },
    deleteTopic: async (name) => {
      await this.#server.log.deleteTopic(name)
      this.#server.refresh()
    },
    append: (parts, options) => this.#server.log.append(logParts(parts), options),
    allocateProducerId: () => this.#server.log.allocateProducerId(),
    openWriter: async (id, name) => {
      const writer = await this.#server.log.openWriter(name)
      this.#writers.set(id, writer)
      // Tasks open their writer first and then look at the ends: they must not start from what retention has removed long ago.
      this.#server.refresh()
      return writer.epoch
    },
    commit: (id, parts) => must(this.#writers.get(id), `writer ${id}`).commit(logParts(parts)),
    closeWriter: async (id) => {
      await this.#writers.get(id)?.close()
      this.#writers.delete(id)
    },
    offsetForTime: (topic, partition, timeMs, by) => this.#server.log.offsetForTime(topic, partition, timeMs, by),
    trim: async (topic, partition, offset) => {
      await this.#server.log.trim(topic, partition, offset)
      this.#server.touched(topic)
    },
    skipCorrupt: (topic, partition, offset) => this.#server.log.skipCorrupt(topic, partition, offset),
    join: async (id, domain, groups) => {
      const onAssigned = (assigned: readonly number[]): Promise<void> => this.#assign(id, assigned)
      this.#members.set(id, await this.#server.log.join({ domain, groups, onAssigned }))
    },
    leave: async (id) => {
      const member = must(this.#members.get(id), `member ${id}`)
      this.#members.delete(id)
      await member.leave()
    },
    refresh: async () => this.#server.refresh(),
    close: async () => {
      this.#release()
      while (this.#pending.size > 0) await Promise.all(this.#pending)
    },
  }

  #assign(member: number, groups: readonly number[]): Promise<void> {
    const turn = this.#nextTurn++
    const confirmed = new Promise<void>((resolve, reject) => this.#turns.set(turn, { resolve, reject }))
    this.post({ kind: 'assign', member, turn, groups })
    return confirmed
  }

  async #fetch(message: Fetch): Promise<void> {
    const { id, positions, options, direct, buffer } = message
    const first = positions[0]
    try {
      if (direct && first !== undefined) {
        const extent = this.#server.log.extent?.(first.topic, first.partition, first.offset) ?? null
        if (extent !== null) return this.#answer({ kind: 'extent', id, extent, buffer }, buffer === null ? [] : [buffer])
      }
      const reader = this.#reader(message.reader)
      const now = reader.fetchNow !== null && !((options.waitMs ?? 0) > 0)
      this.#send(id, now ? reader.fetchNow(positions, options) : await reader.fetch(positions, options), buffer)
    } catch (error) {
      this.#answer({ kind: 'failed', id, error: errorToWire(error) })
    }
  }

  #reader(id: number): LogReader {
    const known = this.#readers.get(id)
    if (known !== undefined) return known
    const reader = this.#server.log.reader()
    this.#readers.set(id, reader)
    return reader
  }

  /** Copies what was fetched once, into the buffer that the other side has sent along when it is large enough, and hands it over. */
  #send(id: number, fetched: readonly FetchedPartition[], given: ArrayBuffer | null): void {
    let size = PADDING_BYTES
    for (const { bytes } of fetched) size += bytes.length
    const buffer = given !== null && given.byteLength >= size ? given : new ArrayBuffer(Math.max(BUFFER_BYTES_MIN, size))
    const target = new Uint8Array(buffer)
    let at = 0
    const parts = fetched.map(({ bytes, next, end, error }) => {
      target.set(bytes, at)
      at += bytes.length
      return { length: bytes.length, next, end, error: error === null ? null : errorToWire(error) }
    })
    this.#answer({ kind: 'fetched', id, buffer, parts }, [buffer])
  }
}

function logParts({ buffer, places }: WireParts): readonly LogPart[] {
  let at = 0
  return places.map(({ topic, partition, length }) => {
    const batch = new Uint8Array(buffer, at, length)
    at += length
    return { topic, partition, batch }
  })
}
