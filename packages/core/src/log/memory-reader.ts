// Reader of the memory log. Its buffer is overwritten by the next fetch on purpose, so that a user that keeps stale bytes is found in a test.
import { MillraceError } from '../base/errors.ts'
import { verifyBatch } from '../codec/record-batch.ts'
import type { FetchedPartition, FetchOptions, FetchPosition, LogReader } from './log.ts'
import { type MemoryPartition, offsetRange } from './memory-partition.ts'

export const FETCH_BYTES_DEFAULT = 1_048_576
const STALE = 0xdb
/** Decoders read whole words: this much is readable behind the last batch. */
const PADDING_BYTES = 64

/** What a reader needs of its log. */
export interface MemoryReaderSource {
  /** Throws MR_LOG_CLOSED. */
  requireOpen(): void
  /** The partition, with retention applied; or MR_TOPIC_UNKNOWN, MR_PARTITION_UNKNOWN. */
  partition(topic: string, index: number): MemoryPartition
  /** Resolves when one of the topics may have new records, after `waitMs`, when the log closes or `cancel` is called. */
  change(topics: ReadonlySet<string>, waitMs: number, onCancel: (cancel: () => void) => void): Promise<void>
  monotonicMs(): number
}

export class MemoryReader implements LogReader {
  readonly #source: MemoryReaderSource
  #buffer = new Uint8Array(0)
  #used = 0
  #closed = false
  #cancel: (() => void) | null = null

  constructor(source: MemoryReaderSource) {
    this.#source = source
  }

  readonly fetchNow = (positions: readonly FetchPosition[], options: FetchOptions = {}): readonly FetchedPartition[] => {
    this.#source.requireOpen()
    if (this.#closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the reader was closed' })
    this.#buffer.fill(STALE, 0, this.#used)
    this.#used = 0
    const bytesMax = options.bytesMax ?? FETCH_BYTES_DEFAULT
    const partitionBytesMax = options.partitionBytesMax ?? bytesMax
    let rest = bytesMax
    const found: Found[] = []
    for (const position of positions) {
      const one = this.#find(position, Math.min(rest, partitionBytesMax), rest === bytesMax)
      rest -= one.size
      found.push(one)
    }
    return this.#copied(found)
  }

  async fetch(positions: readonly FetchPosition[], options: FetchOptions = {}): Promise<readonly FetchedPartition[]> {
    const until = this.#source.monotonicMs() + (options.waitMs ?? 0)
    const topics = new Set(positions.map((position) => position.topic))
    for (;;) {
      const fetched = this.fetchNow(positions, options)
      const waitMs = until - this.#source.monotonicMs()
      const moved = fetched.some((one) => one.error !== null || one.next !== one.from)
      if (moved || !(waitMs > 0)) return fetched
      await this.#source.change(topics, waitMs, (cancel) => (this.#cancel = cancel))
      this.#cancel = null
    }
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  #find(position: FetchPosition, bytesMax: number, first: boolean): Found {
    const found: Found = { position, batches: [], size: 0, next: position.offset, end: position.offset, error: null }
    try {
      const partition = this.#source.partition(position.topic, position.partition)
      found.end = partition.end
      if (!(position.offset >= partition.start && position.offset <= partition.end)) throw offsetRange(partition, position.offset)
      collect(partition, found, bytesMax, first)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      found.error = error
    }
    return found
  }

  #copied(found: readonly Found[]): readonly FetchedPartition[] {
    const size = found.reduce((sum, one) => sum + one.size, 0)
    if (size + PADDING_BYTES > this.#buffer.length) this.#buffer = new Uint8Array(size + PADDING_BYTES)
    return found.map(({ position, batches, next, end, error }) => {
      const start = this.#used
      for (const batch of batches) {
        this.#buffer.set(batch, this.#used)
        this.#used += batch.length
      }
      const { topic, partition, offset } = position
      return { topic, partition, bytes: this.#buffer.subarray(start, this.#used), from: offset, next, end, error }
    })
  }
}

interface Found {
  readonly position: FetchPosition
  readonly batches: Uint8Array[]
  size: number
  next: number
  end: number
  error: Error | null
}

/** Whole batches from the position within the budget; the first batch of a fetch always. Stops in front of a corrupt batch; alone at one, it is the error. */
function collect(partition: MemoryPartition, found: Found, bytesMax: number, first: boolean): void {
  let index = partition.indexOf(found.position.offset)
  for (; index < partition.batches.length; index++) {
    const batch = partition.batches[index]
    if (batch === undefined) break
    if (batch.skipped) {
      found.next = batch.lastOffset + 1
      continue
    }
    if (found.size + batch.bytes.length > bytesMax && !(first && found.size === 0)) return
    if (!verifyBatch(batch.bytes, 0)) {
      if (found.batches.length > 0) return
      throw new MillraceError('MR_LOG_CORRUPT', {
        message: 'the checksum of a stored batch is wrong',
        details: { topic: partition.topic, partition: partition.index, offset: batch.firstOffset },
      })
    }
    found.batches.push(batch.bytes)
    found.size += batch.bytes.length
    found.next = batch.lastOffset + 1
  }
  // Everything was given: what lies between the last record and the end is a gap.
  found.next = partition.end
}
