// From a time to an offset: through the index of the right segment, then by walking the batches behind the last row that is too early.
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

/** First offset that was appended at or after `timeMs`; the end when there is none. Exact in the journal, to about a second before. */
export function offsetForAppendTime(parts: LookupParts, partition: PartitionState, timeMs: number): number {
  const { files, disk } = parts.segments
  const segments = partition.segments(disk)
  const index = lastSegment(segments, (segment) => {
    const index = segment.rows(files, partition.id)
    return index.count > 0 && (index.appendTimes[0] as number) < timeMs
  })
  const segment = segments[index]
  if (segment) {
    const found = segment.rows(files, partition.id)
    const row = found.lastBelow('appendTimes', timeMs)
    // The batches between this row and the next were appended within a second, or are all earlier.
    if (row + 1 < found.count) return Math.max(partition.start, firstBehindRow(parts, partition, segment, row + 1))
    if (found.end !== null && found.end.appendMs < timeMs) return atLeast(partition, found.end.offset)
  } else if (segments.length > 0 && (segments[0] as Segment).rows(files, partition.id).count > 0) return partition.start
  for (const { tail } of tailsOf(parts, partition)) {
    for (let batch = 0; batch < tail.count; batch++) {
      if ((tail.firstOffsets[batch] as number) >= partition.end) break
      if ((tail.appendTimes[batch] as number) >= timeMs) return atLeast(partition, tail.firstOffsets[batch] as number)
    }
  }
  return partition.end
}

function firstBehindRow(parts: LookupParts, partition: PartitionState, segment: Segment, row: number): number {
  return segment.rows(parts.segments.files, partition.id).offsets[row] as number
}

/** First offset whose record brings the largest event time seen to `timeMs` or beyond; the end when there is none. */
export function offsetForEventTime(parts: LookupParts, partition: PartitionState, timeMs: number): number {
  const { files, disk } = parts.segments
  const segments = partition.segments(disk)
  // A row knows the maximum before its batch: the last row below the time is where the walk begins.
  let index = lastSegment(segments, (segment) => {
    const found = segment.rows(files, partition.id)
    return found.count > 0 && (found.eventTimes[0] as number) < timeMs
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
function lastSegment(segments: readonly Segment[], early: (segment: Segment) => boolean): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (early(segments[middle] as Segment)) low = middle + 1
    else high = middle
  }
  return low - 1
}
