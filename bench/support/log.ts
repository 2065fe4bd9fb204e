// The embedded log as the benchmarks open it: on a folder of the machine's disk, with its own defaults (a plant writes larger batches to the journal).
import {
  type EmbeddedLog,
  type EmbeddedLogOptions,
  type Log,
  nodeDisk,
  openEmbeddedLog,
  RecordBatchBuilder,
  RecordRows,
  systemClock,
  systemScheduler,
} from '@millrace/core/engine'

const RECORDS_PER_BATCH = 1000
const APPENDS_IN_FLIGHT = 16

export function openLog(folder: string, options: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  return openEmbeddedLog({ folder, disk: nodeDisk, clock: systemClock, scheduler: systemScheduler, ...options })
}

/** Appends records to a topic in batches, several in flight, to its partitions in turn. Call `end` to wait for the last. */
export class TopicLoader {
  readonly #log: Log
  readonly #topic: string
  readonly #builder = new RecordBatchBuilder(1 << 20)
  readonly #flying = new Set<Promise<unknown>>()
  readonly #partitions: number
  #sent = 0

  constructor(log: Log, topic: string, partitions = 1) {
    this.#log = log
    this.#topic = topic
    this.#partitions = partitions
  }

  /** Resolves when the next record may come. The bytes are copied. */
  async add(value: Uint8Array, timeMs: number, key: Uint8Array | null = null): Promise<void> {
    this.#builder.append(key, value, timeMs)
    if (this.#builder.count >= RECORDS_PER_BATCH) await this.#send()
  }

  async end(): Promise<void> {
    if (this.#builder.count > 0) await this.#send()
    await Promise.all(this.#flying)
  }

  async #send(): Promise<void> {
    const batch = this.#builder.finish()
    this.#builder.reset()
    const partition = this.#sent++ % this.#partitions
    const sent: Promise<unknown> = this.#log.append([{ topic: this.#topic, partition, batch }]).finally(() => this.#flying.delete(sent))
    this.#flying.add(sent)
    if (this.#flying.size >= APPENDS_IN_FLIGHT) await Promise.race(this.#flying)
  }
}

/** Calls `each` with the text of every record's value of a topic, all partitions. Slow and plain. */
export async function eachValue(log: Log, topic: string, each: (text: string) => void): Promise<void> {
  const reader = log.reader()
  const rows = new RecordRows()
  for (const { partition, start, end } of log.ends(topic)) {
    for (let offset = start; offset < end;) {
      const [fetched] = await reader.fetch([{ topic, partition, offset }], { bytesMax: 4 << 20 })
      if (fetched === undefined || fetched.error !== null) throw fetched?.error ?? new Error(`nothing was read of ${topic}`)
      rows.read(fetched.bytes, fetched.from)
      for (let row = 0; row < rows.count; row++) {
        each(Buffer.from(rows.bytes.buffer, rows.bytes.byteOffset).toString('utf8', rows.valueStarts[row], rows.valueEnds[row]))
      }
      offset = fetched.next
    }
  }
  reader.close()
}
