// A log, a disk and a time for tests of sources.
import { type Disk, type DiskFile } from '../../base/disk.ts'
import { type Random, seededRandom } from '../../base/random.ts'
import { readRecords } from '../../codec/record-batch.ts'
import type { Field } from '../../codec/column.ts'
import type { SourceConnector } from '../../connect/source.ts'
import type { AnyTopic } from '../../connect/topic.ts'
import { MemoryLog, MemoryStore } from '../../log/memory-log.ts'
import { SimulatedDisk, VirtualTime } from '../../testing/index.ts'
import { runSource, type RunningSource, type SourceEvent } from './source-runner.ts'

export interface SeenRecord {
  readonly partition: number
  readonly key: string | null
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

export function topicOf(options: Partial<AnyTopic> = {}): AnyTopic {
  return {
    kind: 'topic',
    name: 'lines',
    format: 'json',
    fields: null,
    foreignSchema: null,
    eventTime: null,
    disorderMs: 0,
    keyField: null,
    partitions: 1,
    retentionMs: null,
    compacted: false,
    validate: false,
    private: false,
    ...options,
  }
}

export function fieldsOf(kinds: Readonly<Record<string, 'string' | 'i32' | 'f64'>>): readonly Field[] {
  return Object.entries(kinds).map(([name, kind]) => ({ name, type: { kind }, nullable: false }))
}

/** A plant of one source. */
export class SourceWorld {
  readonly random: Random
  readonly time: VirtualTime
  readonly events: SourceEvent[] = []
  readonly #store = new MemoryStore()
  readonly #bytesMax: number | undefined
  disk: SimulatedDisk
  log: MemoryLog
  source: RunningSource | null = null

  constructor(seed = 1, bytesMax?: number) {
    this.random = seededRandom(seed)
    this.time = new VirtualTime({ random: this.random.fork() })
    this.disk = new SimulatedDisk({ random: this.random.fork(), scheduler: this.time })
    this.disk.makeFolder('/in')
    this.#bytesMax = bytesMax
    this.log = this.#openLog()
  }

  #openLog(): MemoryLog {
    const options = { clock: this.time, scheduler: this.time, random: this.random.fork(), store: this.#store }
    return new MemoryLog(this.#bytesMax === undefined ? options : { ...options, bytesMax: this.#bytesMax })
  }

  async start(connector: SourceConnector, topic: AnyTopic = topicOf()): Promise<RunningSource> {
    const { time, disk } = this
    const options = { name: 'in', clock: time, scheduler: time, disk, onEvent: (event: SourceEvent) => void this.events.push(event) }
    return (this.source = await time.run(runSource(this.log, connector, topic, options)))
  }

  async stop(): Promise<void> {
    if (this.source !== null) await this.time.run(this.source.stop())
    this.source = null
  }

  /** kill -9: neither the source nor the log finishes anything. */
  crash(): void {
    this.source?.abandon()
    this.source = null
    this.log.crash()
    this.log = this.#openLog()
  }

  /** Every record of the topic, in order of partition and offset. */
  async records(topic = 'lines'): Promise<readonly SeenRecord[]> {
    const reader = this.log.reader()
    const seen: SeenRecord[] = []
    const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? new Uint8Array(0))
    for (const { partition, start, end } of this.log.ends(topic)) {
      for (let offset = start; offset < end;) {
        const [fetched] = await this.time.run(reader.fetch([{ topic, partition, offset }]))
        if (fetched === undefined || fetched.next === offset) break
        for (const { key, value, headers } of readRecords(fetched.bytes, offset))
          seen.push({
            partition,
            key: key === null ? null : text(key),
            value: text(value),
            headers: Object.fromEntries(headers.map((header) => [header.key, text(header.value)])),
          })
        offset = fetched.next
      }
    }
    reader.close()
    return seen
  }

  async values(): Promise<readonly string[]> {
    return (await this.records()).map((record) => record.value)
  }

  notices(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []))
  }
}

/** Appends to a file through one handle, as a program that logs does. */
export class FileAppender {
  readonly #file: DiskFile

  constructor(disk: Disk, path: string) {
    this.#file = disk.open(path, 'create')
  }

  write(text: string): void {
    this.#file.write(new TextEncoder().encode(text), this.#file.size())
  }

  truncate(size = 0): void {
    this.#file.truncate(size)
  }

  close(): void {
    this.#file.close()
  }
}
