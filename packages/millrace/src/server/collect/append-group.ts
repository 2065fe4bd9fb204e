// Events of one or more requests on their way into the log as one append: a record batch per partition, however many requests brought its
// records. Requests that arrive in the same turn share a group, so that a thousand requests of one event make a batch of a thousand records
// and not a thousand batches. A group is appended whole or not at all, so each request is too.
import { type AppendOptions, type AppendResult, type Log, MillraceError, RecordBatchBuilder, type Topic } from '@millrace/core/engine'

/** A batch is closed at this size, well below what topics accept by default. */
const BATCH_BYTES_TARGET = 4 << 20
/** Room in a batch for what is not keys and values. */
const RECORD_OVERHEAD_BYTES = 128
/** Builders with more memory than this are not kept for the next group. */
const KEPT_BYTES_MAX = 2 << 20
const KEPT_MAX = 16

/** Where a run of a request's events lies: part of the append, first record in it, count. */
export interface Placed {
  readonly part: number
  readonly partition: number
  readonly at: number
  readonly count: number
}

interface OpenBatch {
  readonly part: number
  readonly builder: RecordBatchBuilder
  /** The run of the request that added last, and that request's number. */
  run: { part: number; partition: number; at: number; count: number } | null
  request: number
}

/** Builders that were used before, with their memory. */
export class BuilderPool {
  readonly #free: RecordBatchBuilder[] = []

  take(): RecordBatchBuilder {
    return this.#free.pop() ?? new RecordBatchBuilder(16_384)
  }

  give(builder: RecordBatchBuilder): void {
    const isKept = this.#free.length < KEPT_MAX && builder.bytes <= KEPT_BYTES_MAX
    builder.reset()
    if (isKept) this.#free.push(builder)
  }
}

export class AppendGroup {
  readonly topic: Topic
  readonly #pool: BuilderPool
  readonly #bytesMax: number
  readonly #open = new Map<number, OpenBatch>()
  readonly #parts: { readonly partition: number; readonly builder: RecordBatchBuilder }[] = []
  #bytes = 0
  /** Runs of the request being added, by partition. */
  #runs: Placed[] = []
  #request = 0

  constructor(topic: Topic, pool: BuilderPool) {
    this.topic = topic
    this.#pool = pool
    this.#bytesMax = Math.min(BATCH_BYTES_TARGET, topic.settings.batchBytesMax)
  }

  /** Bytes of events so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** True when an event of so many bytes can be added; otherwise its request must be refused before any of its events is added. */
  fits(size: number): boolean {
    return size + RECORD_OVERHEAD_BYTES <= this.topic.settings.batchBytesMax
  }

  /** Adds an event. Ranges must lie in their arrays. */
  add(
    partition: number,
    key: Uint8Array | null,
    keyStart: number,
    keyEnd: number,
    body: Uint8Array,
    start: number,
    end: number,
    timeMs: number,
  ): void {
    const size = end - start + keyEnd - keyStart + RECORD_OVERHEAD_BYTES
    let open = this.#open.get(partition)
    if (open === undefined || open.builder.bytes + size > this.#bytesMax) {
      open = { part: this.#parts.length, builder: this.#pool.take(), run: null, request: -1 }
      this.#open.set(partition, open)
      this.#parts.push({ partition, builder: open.builder })
    }
    const at = open.builder.count
    open.builder.appendRange(key, keyStart, keyEnd, body, start, end, timeMs)
    this.#bytes += size
    if (open.run !== null && open.request === this.#request) {
      open.run.count++
      return
    }
    open.run = { part: open.part, partition, at, count: 1 }
    open.request = this.#request
    this.#runs.push(open.run)
  }

  /** The runs of the events that were added since the last call: one request's. */
  endRequest(): readonly Placed[] {
    const runs = this.#runs
    this.#runs = []
    this.#request++
    return runs
  }

  /** Appends what was added. The builders' memory is the log's until the promise settles. */
  async append(log: Log, options: AppendOptions): Promise<AppendResult> {
    if (this.#parts.length === 0) return { firstOffsets: [], repeated: false }
    const { name } = this.topic
    const parts = this.#parts.map(({ partition, builder }) => ({ topic: name, partition, batch: builder.finish({ copy: false }) }))
    try {
      return await log.append(parts, options)
    } finally {
      // `received` settles while the log still has to write: its memory cannot be used again.
      if (options.durability !== 'received') for (const { builder } of this.#parts) this.#pool.give(builder)
    }
  }
}

/** Offset of a run's first event. Throws MR_HTTP_KEY_REUSED when a known key belongs to a request of another form. */
export function firstOffset({ part }: Placed, at: number, result: AppendResult, topic: string): number {
  const first = result.firstOffsets[part]
  if (first === undefined) throw new MillraceError('MR_HTTP_KEY_REUSED', { details: { topic } })
  return first + at
}
