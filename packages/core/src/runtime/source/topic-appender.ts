// Gathers the records of one read of a source into batches per partition.
import type { RecordHeader } from '../../codec/batch-header.ts'
import { partitionOf } from '../../codec/murmur2.ts'
import { BATCH_HEADER_BYTES, RecordBatchBuilder } from '../../codec/record-batch.ts'
import type { RecordAppender } from '../../connect/source.ts'
import type { LogPart, Topic } from '../../log/log.ts'
import { ClosedBatches } from '../closed-batches.ts'

const BATCH_BYTES_TARGET = 512 * 1024
/** Lengths, deltas and header count of a record, each as long as it can get. */
export const RECORD_FRAME_BYTES = 64

const encoder = new TextEncoder()

export class TopicAppender implements RecordAppender {
  readonly #topic: Topic
  readonly #source: string
  readonly #builders: readonly RecordBatchBuilder[]
  readonly #closed = new ClosedBatches()
  /** Where records without key of this read go. */
  #keyless = 0
  #bytes = 0
  #records = 0
  /** Of records that get a key because a compacted topic takes none without. */
  #substitutes = 0

  constructor(topic: Topic, source: string) {
    this.#topic = topic
    this.#source = source
    this.#builders = Array.from({ length: topic.settings.partitions }, () => new RecordBatchBuilder(4096))
  }

  get bytes(): number {
    return this.#bytes
  }

  get records(): number {
    return this.#records
  }

  append(key: Uint8Array | null, value: Uint8Array | null, timeMs: number, headers: readonly RecordHeader[] = []): void {
    const own = key ?? this.#substitute(timeMs)
    const headerBytes = headers.reduce((sum, header) => sum + header.key.length * 3 + (header.value?.length ?? 0) + 16, 0)
    const builder = this.#builder(own, 0, own?.length ?? 0, (value?.length ?? 0) + headerBytes)
    builder.append(own, value, timeMs, headers)
  }

  appendRange(
    key: Uint8Array | null,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array | null,
    valueStart: number,
    valueEnd: number,
    timeMs: number,
  ): void {
    if (key === null && this.#topic.settings.compacted)
      return this.append(null, value === null ? null : value.subarray(valueStart, valueEnd), timeMs)
    this.#builder(key, keyStart, keyEnd, valueEnd - valueStart).appendRange(key, keyStart, keyEnd, value, valueStart, valueEnd, timeMs)
  }

  /** The builder of the record's partition, with room for it. */
  #builder(key: Uint8Array | null, keyStart: number, keyEnd: number, valueBytes: number): RecordBatchBuilder {
    const { partitions, batchBytesMax } = this.#topic.settings
    const partition = partitions === 1 ? 0 : key === null ? this.#keyless : partitionOf(key, keyStart, keyEnd, partitions)
    const builder = this.#builders[partition] as RecordBatchBuilder
    const bytes = keyEnd - keyStart + valueBytes + RECORD_FRAME_BYTES
    if (builder.count > 0 && builder.bytes + bytes > Math.min(BATCH_BYTES_TARGET, batchBytesMax)) this.#close(partition)
    this.#bytes += bytes
    this.#records++
    return builder
  }

  /** A bad record has no key, and must not be lost for it: it gets one that no other record has. */
  #substitute(timeMs: number): Uint8Array | null {
    return this.#topic.settings.compacted ? encoder.encode(`millrace.error ${this.#source} ${timeMs}.${this.#substitutes++}`) : null
  }

  #close(partition: number): void {
    this.#closed.add(this.#topic.name, partition, this.#builders[partition] as RecordBatchBuilder)
  }

  /** The batches of this read, for a commit; the next read begins when that has settled. */
  take(): readonly LogPart[] {
    for (const [partition, builder] of this.#builders.entries()) if (builder.count > 0) this.#close(partition)
    this.#bytes = 0
    this.#records = 0
    this.#keyless = (this.#keyless + 1) % this.#builders.length
    return this.#closed.take()
  }
}

/** Bytes of the largest record, key and value together, that fits a batch of the topic. */
export function recordBytesMax(topic: Topic): number {
  return topic.settings.batchBytesMax - BATCH_HEADER_BYTES - RECORD_FRAME_BYTES
}
