// Reads a log of another thread. Where the owner hands out an extent the batches are read here, from the file, and checked here; all else
// comes in a buffer that goes back and forth between the two threads.
//
// A fetch of several partitions is always answered by the owner, at one moment, so that a commit is seen whole (LOG-2); with one partition
// there is nothing to tear.
import type { Disk } from '../../base/disk.ts'
import { MillraceError } from '../../base/errors.ts'
import { must } from '../../base/assert.ts'
import type { FetchedPartition, FetchOptions, FetchPosition, LogReader } from '../log.ts'
import { ExtentReader } from './extent-reader.ts'
import { errorFromWire, type FetchAnswer } from './wire.ts'

const BYTES_MAX_DEFAULT = 1 << 20
const NO_BYTES = new Uint8Array(0)

/** What a reader needs of its log. */
export interface ReaderHost {
  /** @throws {MillraceError} `MR_LOG_CLOSED`. */
  requireOpen(): void
  /** One partition's ends and its topic's id; null when it is not known here. */
  placeOf(topic: string, partition: number): { readonly topicId: string; readonly start: number; readonly end: number } | null
  /** True when nothing is there to read at any of the positions, at one moment. */
  allAtEnd(positions: readonly FetchPosition[]): boolean
  fetch(
    reader: number,
    positions: readonly FetchPosition[],
    options: FetchOptions,
    direct: boolean,
    buffer: ArrayBuffer | null,
  ): Promise<FetchAnswer>
  closeReader(reader: number): void
}

export class RemoteReader implements LogReader {
  /** What is not in a file has to be asked for. */
  readonly fetchNow = null
  readonly #log: ReaderHost
  readonly #id: number
  readonly #extents: ExtentReader | null
  /** Of the last answer; it goes back with the next question. */
  #buffer: ArrayBuffer | null = null
  #closed = false

  constructor(log: ReaderHost, id: number, disk: Disk | null) {
    this.#log = log
    this.#id = id
    this.#extents = disk === null ? null : new ExtentReader(disk)
  }

  async fetch(positions: readonly FetchPosition[], options: FetchOptions = {}): Promise<readonly FetchedPartition[]> {
    this.#log.requireOpen()
    if (this.#closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the reader was closed.' })
    const only = positions.length === 1 ? positions[0] : undefined
    const extents = only === undefined ? null : this.#extents
    if (only !== undefined && extents !== null) {
      const fetched = this.#fromExtent(extents, only, options)
      if (fetched !== null) return [fetched]
    }
    if (!((options.waitMs ?? 0) > 0) && this.#log.allAtEnd(positions)) return positions.map(nothing)
    return this.#ask(positions, options, only, extents)
  }

  async #ask(
    positions: readonly FetchPosition[],
    options: FetchOptions,
    only: FetchPosition | undefined,
    extents: ExtentReader | null,
  ): Promise<readonly FetchedPartition[]> {
    const buffer = this.#buffer
    this.#buffer = null
    const answer = await this.#log.fetch(this.#id, positions, options, extents !== null, buffer)
    this.#buffer = answer.buffer
    if (answer.kind === 'extent') {
      if (only !== undefined && extents !== null) {
        const topicId = this.#log.placeOf(only.topic, only.partition)?.topicId
        if (topicId !== undefined) {
          extents.begin(topicId, only.partition, only.offset, answer.extent)
          const fetched = this.#fromExtent(extents, only, options)
          if (fetched !== null) return [fetched]
        }
      }
      // The file is gone or damaged: the owner knows what to say.
      return this.#ask(positions, options, only, null)
    }
    let at = 0
    return positions.map(({ topic, partition, offset }, index) => {
      const { length, next, end, error } = must(answer.parts[index], 'a part per position')
      const bytes = new Uint8Array(answer.buffer, at, length)
      at += length
      return { topic, partition, bytes, from: offset, next, end, error: error === null ? null : errorFromWire(error) }
    })
  }

  /** Null when the offset does not lie in the extent that was handed out last. */
  #fromExtent(extents: ExtentReader, position: FetchPosition, options: FetchOptions): FetchedPartition | null {
    const { topic, partition, offset } = position
    const place = this.#log.placeOf(topic, partition)
    if (place === null || offset < place.start || !extents.holds(place.topicId, partition, offset)) return null
    const bytesMax = options.bytesMax ?? BYTES_MAX_DEFAULT
    const read = extents.read(Math.min(bytesMax, options.partitionBytesMax ?? bytesMax))
    if (read === null) return null
    return { topic, partition, bytes: read.bytes, from: offset, next: read.next, end: Math.max(place.end, read.next), error: null }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#buffer = null
    this.#extents?.close()
    this.#log.closeReader(this.#id)
  }
}

function nothing({ topic, partition, offset }: FetchPosition): FetchedPartition {
  return { topic, partition, bytes: NO_BYTES, from: offset, next: offset, end: offset, error: null }
}
