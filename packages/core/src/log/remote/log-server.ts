// The owner's side of a log that other threads use: it answers calls and fetches of any number of ports, keeps the shared table of ends and
// tells each port which of its topics may have new records. Runs on the thread that owns the log; nothing of a port outlives the port.
//
// Invariant: the table and the notices are up to date before any answer is sent, so whoever has seen an answer sees its effects.
import type { MessagePort } from 'node:worker_threads'
import { isMillraceError } from '../../base/errors.ts'
import type { ExtentSource } from '../embedded/extent.ts'
import type { Log, Topic } from '../log.ts'
import { Connection, type ConnectionHost } from './connection.ts'
import { EndsTable } from './ends-table.ts'
import type { WireTopic } from './wire.ts'

interface Known extends WireTopic {
  readonly unsubscribe: () => void
}

export class LogServer implements ConnectionHost {
  readonly log: Log & Partial<ExtentSource>
  readonly #table = new EndsTable()
  readonly #topics = new Map<string, Known>()
  readonly #dirty = new Set<string>()
  readonly #connections = new Set<Connection>()
  #flushPlanned = false

  /** @param log Where it hands out extents, remote readers read its files themselves. */
  constructor(log: Log & Partial<ExtentSource>) {
    this.log = log
  }

  /** Serves a `RemoteLog` at the other end of the port until either side closes it. */
  connect(port: MessagePort): void {
    const connection = new Connection(this, port)
    this.refresh()
    this.#connections.add(connection)
    connection.post({ kind: 'hello', ends: this.#table.buffer, topics: this.#wireTopics() })
  }

  /** Ends all connections; the log stays open. */
  async close(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.end()))
  }

  /** A connection is over. */
  forget(connection: Connection): void {
    this.#connections.delete(connection)
    if (this.#connections.size > 0) return
    for (const { unsubscribe } of this.#topics.values()) unsubscribe()
    this.#topics.clear()
    this.#dirty.clear()
  }

  /** Brings topics and all ends up to date: appends are noticed by themselves, topics of others and retention are not. */
  refresh(): void {
    let changed = false
    const now = new Map(this.log.topics().map((topic) => [topic.name, topic]))
    for (const [name, known] of this.#topics) {
      if (now.get(name)?.id === known.topic.id) continue
      known.unsubscribe()
      this.#topics.delete(name)
      changed = true
    }
    for (const topic of now.values()) if (this.#learn(topic)) changed = true
    for (const name of this.#topics.keys()) this.#dirty.add(name)
    this.flush()
    if (changed) for (const connection of this.#connections) connection.post({ kind: 'topics', topics: this.#wireTopics() })
  }

  /** True when the topic is new or has other settings than before. */
  #learn(topic: Topic): boolean {
    const known = this.#topics.get(topic.name)
    if (known?.topic === topic) return false
    const row = known?.row ?? this.#table.add(topic.settings.partitions)
    const unsubscribe = known?.unsubscribe ?? this.log.onAppend(topic.name, () => this.#appended(topic.name))
    this.#topics.set(topic.name, { topic, row, unsubscribe })
    return true
  }

  #wireTopics(): readonly WireTopic[] {
    return Array.from(this.#topics.values(), ({ topic, row }) => ({ topic, row }))
  }

  #appended(name: string): void {
    this.#dirty.add(name)
    if (this.#flushPlanned) return
    this.#flushPlanned = true
    // A log calls back topic by topic; what one commit moved goes into the table and to the ports in one piece.
    void Promise.resolve().then(() => {
      this.#flushPlanned = false
      this.flush()
    })
  }

  /** Publishes the ends of topics that have changed and tells the ports. */
  flush(): void {
    if (this.#dirty.size === 0) return
    const names = [...this.#dirty]
    this.#dirty.clear()
    this.#table.change(() => {
      for (const name of names) this.#store(name)
    })
    for (const connection of this.#connections) connection.notify(names)
  }

  #store(name: string): void {
    const known = this.#topics.get(name)
    if (known === undefined || this.log.topic(name)?.id !== known.topic.id) return
    try {
      for (const ends of this.log.ends(name)) this.#table.store(known.row + ends.partition, ends)
    } catch (error) {
      // A log tells its listeners that it closes; the ports find out by the next call.
      if (!isMillraceError(error) || error.code !== 'MR_LOG_CLOSED') throw error
    }
  }

  touched(topic: string): void {
    this.#dirty.add(topic)
  }
}
