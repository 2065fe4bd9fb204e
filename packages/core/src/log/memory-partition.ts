// One partition of the memory log: visible batches in offset order, and what is accepted but not yet visible.
//
// Accepting assigns offsets; becoming durable makes a batch visible. In between it lives in the log's queue, not here, so a crash of the log
// forgets it. Offsets are given out with gaps on purpose: nothing above the port may count on dense offsets (LOG-1).
import { MillraceError } from '../base/errors.ts'
import { keepRecords } from '../codec/keep-records.ts'
import { type BatchHeader, RecordRows, setBaseOffset, verifyBatch } from '../codec/record-batch.ts'
import type { PartitionEnds, TopicSettings } from './log.ts'
import { Producers } from './producers.ts'

/** How long a compacted topic shows that a key was deleted, so that readers that are behind still learn it. */
export const TOMBSTONE_MS = 86_400_000

export interface StoredBatch {
  bytes: Uint8Array
  readonly firstOffset: number
  readonly lastOffset: number
  readonly maxTimeMs: number
  readonly appendTimeMs: number
  readonly header: BatchHeader
  /** A reader chose to go on behind this corrupt batch. */
  skipped: boolean
}

const rows = new RecordRows()

export class MemoryPartition {
  readonly topic: string
  readonly index: number
  batches: StoredBatch[] = []
  start = 0
  /** One past the newest visible record, and past the gap behind it. */
  end = 0
  bytes = 0
  /** What the next accepted record gets. */
  nextOffset = 0
  /** Memory of producers: of what was accepted, and of what is durable (what a crash leaves). */
  producers: Producers = new Producers()
  #durableProducers = new Producers()
  #lastAppendTimeMs = 0

  constructor(topic: string, index: number) {
    this.topic = topic
    this.index = index
  }

  /** Copies the batch and gives it its offsets, `gap` of them left out behind it. Not visible yet. */
  accept(batch: Uint8Array, header: BatchHeader, gap: number): StoredBatch {
    const bytes = batch.slice()
    const firstOffset = this.nextOffset
    const lastOffset = firstOffset + header.lastOffset - header.baseOffset
    setBaseOffset(bytes, 0, firstOffset)
    this.nextOffset = lastOffset + 1 + gap
    this.producers.add(header, firstOffset)
    return { bytes, firstOffset, lastOffset, maxTimeMs: header.maxTimeMs, appendTimeMs: 0, header, skipped: false }
  }

  /** Makes an accepted batch visible; `end` is the next offset at the time it was accepted. */
  publish(batch: StoredBatch, end: number, nowMs: number): void {
    this.#lastAppendTimeMs = Math.max(this.#lastAppendTimeMs, nowMs)
    this.batches.push({ ...batch, appendTimeMs: this.#lastAppendTimeMs })
    this.#durableProducers.add(batch.header, batch.firstOffset)
    this.bytes += batch.bytes.length
    this.end = end
  }

  /** Forgets what was accepted and did not become durable. */
  forgetAccepted(): void {
    this.nextOffset = this.end
    this.producers = Producers.restore(this.#durableProducers.image())
  }

  ends(): PartitionEnds {
    return { topic: this.topic, partition: this.index, start: this.start, end: this.end, bytes: this.bytes }
  }

  /** Index of the first batch that holds `offset` or lies above it. */
  indexOf(offset: number): number {
    let low = 0
    let high = this.batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.batches[middle] as StoredBatch).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Drops what retention no longer keeps: by age since append, then by size; the newest batch stays within size. */
  expire(settings: TopicSettings, nowMs: number): void {
    let drop = 0
    let bytes = this.bytes
    for (const batch of this.batches) {
      const old = settings.retentionMs !== null && nowMs - batch.appendTimeMs >= settings.retentionMs
      const large = settings.retentionBytes !== null && bytes > settings.retentionBytes && drop < this.batches.length - 1
      if (!old && !large) break
      bytes -= batch.bytes.length
      drop++
    }
    if (drop > 0) this.#dropFirst(drop)
  }

  trim(offset: number): void {
    if (offset > this.end) throw offsetRange(this, offset)
    if (offset <= this.start) return
    this.#dropFirst(this.indexOf(offset))
    this.start = offset
  }

  /** Keeps the newest record of each key, and deletions for a while. */
  compact(nowMs: number): void {
    const newest = new Map<string, number>()
    for (const batch of this.batches) {
      if (!verifyBatch(batch.bytes, 0)) return
      rows.read(batch.bytes, 0)
      for (let row = 0; row < rows.count; row++) newest.set(keyText(row), rows.offsets[row] as number)
    }
    const kept: StoredBatch[] = []
    for (const batch of this.batches) {
      rows.read(batch.bytes, 0)
      const forget = nowMs - batch.appendTimeMs >= TOMBSTONE_MS
      const bytes = keepRecords(batch.bytes, rows, (row) => {
        const deleted = (rows.valueStarts[row] as number) < 0
        return newest.get(keyText(row)) === rows.offsets[row] && !(deleted && forget)
      })
      if (bytes !== null) kept.push({ ...batch, bytes })
    }
    this.batches = kept
    this.bytes = kept.reduce((sum, batch) => sum + batch.bytes.length, 0)
  }

  offsetForTime(timeMs: number, by: 'event' | 'append'): number {
    for (const batch of this.batches) {
      if (by === 'append' && batch.appendTimeMs >= timeMs) return Math.max(batch.firstOffset, this.start)
      if (by === 'event' && batch.maxTimeMs >= timeMs) return this.#firstRecordAt(batch, timeMs)
    }
    return this.end
  }

  /** Marks the corrupt batch at `offset` as skipped. Returns where to read on; `offset` itself when it can be read. */
  skipCorrupt(offset: number): number {
    const batch = this.batches[this.indexOf(offset)]
    if (offset < this.start || offset > this.end) throw offsetRange(this, offset)
    if (batch === undefined || offset < batch.firstOffset || verifyBatch(batch.bytes, 0)) return offset
    batch.skipped = true
    return batch.lastOffset + 1
  }

  #firstRecordAt(batch: StoredBatch, timeMs: number): number {
    if (!verifyBatch(batch.bytes, 0)) return Math.max(batch.firstOffset, this.start)
    rows.read(batch.bytes, this.start)
    for (let row = 0; row < rows.count; row++) if ((rows.times[row] as number) >= timeMs) return rows.offsets[row] as number
    return batch.lastOffset + 1
  }

  #dropFirst(count: number): void {
    for (const batch of this.batches.slice(0, count)) this.bytes -= batch.bytes.length
    this.batches = this.batches.slice(count)
    this.start = Math.max(this.start, this.batches[0]?.firstOffset ?? this.end)
  }
}

/** The error of an offset outside of what is kept; names what is there. */
export function offsetRange(partition: MemoryPartition, offset: number): MillraceError {
  const { topic, index, start, end } = partition
  return new MillraceError('MR_LOG_OFFSET_RANGE', { details: { topic, partition: index, offset, earliest: start, end } })
}

function keyText(row: number): string {
  return Buffer.from(
    rows.bytes.buffer,
    rows.bytes.byteOffset + (rows.keyStarts[row] as number),
    (rows.keyEnds[row] as number) - (rows.keyStarts[row] as number),
  ).toString('latin1')
}
