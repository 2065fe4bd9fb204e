// From a time to an offset: through the index of the right segment, then by walking the batches behind the last row that is too early.
// By time of append the walk ends at the first batch, because batches do not say when they were appended.
// By event time the running maximum of the partition counts, which never goes back, so that both searches are binary.
import type { PartitionState } from './partition.ts'
import type { Segment } from './segment.ts'
import { readUpTo, walkBatches } from './segment.ts'
import type { SegmentReader } from './segment-reader.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import type { Journal } from './journal.ts'
import { BY_REFERENCE, type Tail } from './tail.ts'

interface LookupParts {
  readonly segments: SegmentReader
  readonly journal: Journal
}

const rows = new RecordRows()

/**
 * First offset that was appended at or after `timeMs`; the end when there is none. Exact for what the journal still holds. In segments only
 * the batches with an index row have a known time: the answer is never too late, and too early by the batches of less than a second
 * (INDEX_EVERY_MS) that follow a row.
 */
export function offsetForAppendTime(parts: LookupParts, partition: PartitionState, timeMs: number): number {
  const inJournal = offsetInJournal(parts, partition, timeMs)
  if (inJournal.isExact) return inJournal.offset
  const { files, disk } = parts.segments
  const segments = partition.segments(disk)
  const index = lastSegment(segments, (segment) => {
    const { count, appendTimes, end } = segment.rows(files, partition.id)
    return count > 0 ? (appendTimes[0] as number) < timeMs : end !== null && end.appendMs < timeMs
  })
  const segment = segments[index]
  if (segment) {
    const { end } = segment.rows(files, partition.id)
    const lastMs = end?.appendMs ?? (segment === partition.filling ? partition.filledAppendMs : Infinity)
    const behind = lastMs < timeMs ? -1 : firstBehindRow(parts, partition, segment, timeMs)
    if (behind >= 0) return atLeast(partition, behind)
  }
  for (const next of segments.slice(index + 1)) {
    const rows = next.rows(files, partition.id)
    // A checkpoint at work may have filled segments that the journal still holds from an earlier batch on.
    if (rows.count > 0) return Math.min(inJournal.offset, atLeast(partition, rows.offsets[0] as number))
  }
  return inJournal.offset
}

/** First offset in the journal at or after the time, else the end; exact when something in the journal is older than the time. */
function offsetInJournal(parts: LookupParts, partition: PartitionState, timeMs: number): { offset: number; isExact: boolean } {
  let isExact = false
  for (const { tail } of tailsOf(parts, partition)) {
    for (let batch = 0; batch < tail.count; batch++) {
      if ((tail.firstOffsets[batch] as number) >= partition.end) break
      if ((tail.appendTimes[batch] as number) >= timeMs) return { offset: atLeast(partition, tail.firstOffsets[batch] as number), isExact }
      isExact = true
    }
  }
  return { offset: partition.end, isExact }
}

/** Offset of the batch behind the last row that is too early, or -1 when the file holds none. */
function firstBehindRow(parts: LookupParts, partition: PartitionState, segment: Segment, timeMs: number): number {
  const { files } = parts.segments
  const found = segment.rows(files, partition.id)
  const position = found.positions[found.lastBelow('appendTimes', timeMs)] ?? 0
  for (const batch of walkBatches(files.get(segment.path), position, parts.segments.limit(partition, segment), partition.id))
    if (batch.position > position) return batch.baseOffset
  return -1
}

/** First offset whose record brings the largest event time seen to `timeMs` or beyond; the end when there is none. */
export function offsetForEventTime(parts: LookupParts, partition: PartitionState, timeMs: number): number {
  const { files, disk } = parts.segments
  const segments = partition.segments(disk)
  // A row knows the maximum before its batch: the last row below the time is where the walk begins.
  // The end row of the segment before is durable, its own first row may have been found again without knowing what came before.
  let index = lastSegment(segments, (segment, at) => {
    const before = segments[at - 1]?.rows(files, partition.id).end
    if (before) return before.eventMaxMs < timeMs
    const { count, eventTimes, end } = segment.rows(files, partition.id)
    return count > 0 ? (eventTimes[0] as number) < timeMs : end !== null && end.eventMaxMs < timeMs
  })
  if (index < 0 && segments.some((segment) => segment.rows(files, partition.id).count > 0)) return partition.start
  for (; index >= 0 && index < segments.length; index++) {
    const segment = segments[index] as Segment
    const found = segment.rows(files, partition.id)
    const row = Math.max(0, found.lastBelow('eventTimes', timeMs))
    if (found.count === 0) continue
    const file = files.get(segment.path)
    for (const batch of walkBatches(file, found.positions[row] as number, parts.segments.limit(partition, segment), partition.id)) {
      if (batch.maxTimeMs < timeMs || batch.lastOffset < partition.start) continue
      const offset = firstRecordAt(readUpTo(file, batch.position, batch.byteLength), timeMs, partition.start)
      if (offset >= 0) return offset
    }
  }
  for (const { tail, memory } of tailsOf(parts, partition)) {
    for (let batch = 0; batch < tail.count; batch++) {
      const firstOffset = tail.firstOffsets[batch] as number
      if (firstOffset >= partition.end) break
      if ((tail.eventTimes[batch] as number) < timeMs) continue
      const offset = firstRecordAt(tailBytes(parts, tail, batch, memory), timeMs, partition.start)
      if (offset >= 0) return offset
    }
  }
  return partition.end
}

function tailBytes(parts: LookupParts, tail: Tail, batch: number, memory: Uint8Array): Uint8Array {
  const place = tail.places[batch] as number
  const length = tail.lengths[batch] as number
  if (place !== BY_REFERENCE) return memory.subarray(place, place + length)
  return readUpTo(parts.segments.files.get(tail.segmentOf(batch).path), tail.positions[batch] as number, length)
}

function firstRecordAt(bytes: Uint8Array, timeMs: number, start: number): number {
  rows.read(bytes, start)
  for (let row = 0; row < rows.count; row++) if ((rows.times[row] as number) >= timeMs) return rows.offsets[row] as number
  return -1
}

function atLeast(partition: PartitionState, offset: number): number {
  return Math.min(Math.max(partition.start, offset), partition.end)
}

/** Halves with batches of the partition, older first. */
function tailsOf(parts: LookupParts, partition: PartitionState): { readonly tail: Tail; readonly memory: Uint8Array }[] {
  return partition.tails
    .map((tail, half) => ({ tail, memory: half === 0 ? parts.journal.halves[0].memory : parts.journal.halves[1].memory }))
    .filter(({ tail }) => tail.count > 0)
    .sort((a, b) => (a.tail.firstOffsets[0] as number) - (b.tail.firstOffsets[0] as number))
}

/** Index of the last segment for which `early` holds, which holds for a prefix; -1 when for none. */
function lastSegment(segments: readonly Segment[], early: (segment: Segment, at: number) => boolean): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (early(segments[middle] as Segment, middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}
