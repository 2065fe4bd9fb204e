// Writes rows to a user's topic as JSON records. Append streams: one record per row. Update streams: one record per key and tick, the
// newest image, or a null value when the row is gone (upserts; never bare weights).
import type { Batch } from '../../codec/column.ts'
import type { OutputSpec } from '../../compile/topology.ts'
import type { RecordEncoder } from '../../compile/record-encoder.ts'
import type { LogPart } from '../../log/log.ts'
import { MillraceError } from '../../base/errors.ts'
import { partitionOf } from '../../codec/murmur2.ts'
import { BATCH_HEADER_BYTES, RecordBatchBuilder } from '../../codec/record-batch.ts'
import { latin1Text } from '../../codec/utf8.ts'
import type { RefuseRow } from './row-blocks.ts'
import { liveRows } from '../../operators/live-rows.ts'
import { ClosedBatches } from '../closed-batches.ts'

const BATCH_BYTES_TARGET = 512 * 1024
/** At most so many bytes are in a batch of one record beside its key and value. */
const FRAME_BYTES = BATCH_HEADER_BYTES + 64

interface Upsert {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  readonly timeMs: number
}

export class TopicOutput {
  readonly topic: string
  readonly #encoder: RecordEncoder
  readonly #builders: RecordBatchBuilder[] = []
  readonly #closed = new ClosedBatches()
  readonly #update: boolean
  readonly #bytesMax: number
  readonly #refuse: RefuseRow
  /** Of the open tick, by the key's text in latin1 (bytes to string without loss), in order of first change. */
  readonly #upserts = new Map<string, Upsert>()
  #roundRobin = 0

  /** @param bytesMax Bytes of the largest record batch that the topic takes. */
  constructor(spec: Extract<OutputSpec, { kind: 'topic' }>, encoder: RecordEncoder, bytesMax: number, refuse: RefuseRow) {
    this.topic = spec.topic.name
    this.#encoder = encoder
    this.#bytesMax = bytesMax
    this.#refuse = refuse
    this.#update = spec.mode === 'update'
    for (let partition = 0; partition < spec.partitions; partition++) this.#builders.push(new RecordBatchBuilder(4096))
  }

  push(batch: Batch): void {
    if (batch.selectedCount === 0) return
    const encoded = this.#encoder.encode(batch, liveRows(batch), batch.selectedCount, (row, error) => this.#refuse(batch, row, error))
    if (this.#update) return this.#gather(batch, encoded)
    const { rows, count, keys, keyStarts, keyEnds, values, valueStarts, valueEnds } = encoded
    for (let i = 0; i < count; i++) {
      const keyStart = keyStarts[i] as number
      const keyEnd = keyEnds[i] as number
      const size = keyEnd - keyStart + (valueEnds[i] as number) - (valueStarts[i] as number)
      if (this.#isTooLarge(size, batch, rows[i] as number)) continue
      const partition = this.#partition(keys, keyStart, keyEnd)
      this.#makeRoom(partition, size)
      const builder = this.#builders[partition] as RecordBatchBuilder
      builder.appendRange(
        keyStart < 0 ? null : keys,
        keyStart,
        keyEnd,
        values,
        valueStarts[i] as number,
        valueEnds[i] as number,
        Math.max(0, batch.times[rows[i] as number] as number),
      )
      if (builder.bytes >= BATCH_BYTES_TARGET) this.#close(partition)
    }
  }

  /** A record that is larger than a batch of the topic may be would keep everything else of its commit out of the log. */
  #isTooLarge(size: number, batch: Batch, row: number): boolean {
    if (size + FRAME_BYTES <= this.#bytesMax) return false
    const details = { topic: this.topic, bytes: size, batchBytesMax: this.#bytesMax }
    const fix = 'Write smaller rows, or raise `batchBytesMax` of the topic, then `npx millrace dlq retry`.'
    const message = 'the row is larger than its topic takes.'
    this.#refuse(batch, row, new MillraceError('MR_CODEC_TOO_LARGE', { message, details, fix }))
    return true
  }

  #makeRoom(partition: number, size: number): void {
    const builder = this.#builders[partition] as RecordBatchBuilder
    if (builder.count > 0 && builder.bytes + size + FRAME_BYTES > this.#bytesMax) this.#close(partition)
  }

  #gather(batch: Batch, encoded: ReturnType<RecordEncoder['encode']>): void {
    for (let i = 0; i < encoded.count; i++) {
      const row = encoded.rows[i] as number
      const size =
        (encoded.keyEnds[i] as number) -
        (encoded.keyStarts[i] as number) +
        (encoded.valueEnds[i] as number) -
        (encoded.valueStarts[i] as number)
      if (this.#isTooLarge(size, batch, row)) continue
      const key = encoded.keys.slice(Math.max(0, encoded.keyStarts[i] as number), Math.max(0, encoded.keyEnds[i] as number))
      const id = latin1Text(key, 0, key.length)
      const inserts = batch.weights === null || (batch.weights[row] as number) > 0
      const before = this.#upserts.get(id)
      // −old behind +new of the same key in one tick must not delete the new row.
      if (!inserts && before !== undefined && before.value !== null) continue
      this.#upserts.set(id, {
        key,
        value: inserts ? encoded.values.slice(encoded.valueStarts[i], encoded.valueEnds[i]) : null,
        timeMs: Math.max(0, batch.times[row] as number),
      })
    }
  }

  #partition(bytes: Uint8Array, keyStart: number, keyEnd: number): number {
    if (this.#builders.length === 1) return 0
    if (keyStart < 0) return this.#roundRobin++ % this.#builders.length
    return partitionOf(bytes, keyStart, keyEnd, this.#builders.length)
  }

  #close(partition: number): void {
    this.#closed.add(this.topic, partition, this.#builders[partition] as RecordBatchBuilder)
  }

  endTick(): void {
    for (const { key, value, timeMs } of this.#upserts.values()) {
      const partition = this.#partition(key, 0, key.length)
      this.#makeRoom(partition, key.length + (value?.length ?? 0))
      const builder = this.#builders[partition] as RecordBatchBuilder
      builder.append(key, value, timeMs)
      if (builder.bytes >= BATCH_BYTES_TARGET) this.#close(partition)
    }
    this.#upserts.clear()
  }

  /** The batches since the last call, for the commit: nothing is written here before it has settled. */
  take(): readonly LogPart[] {
    for (let partition = 0; partition < this.#builders.length; partition++)
      if ((this.#builders[partition] as RecordBatchBuilder).count > 0) this.#close(partition)
    return this.#closed.take()
  }
}
