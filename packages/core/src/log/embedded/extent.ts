// Where another thread may read a partition by itself: a range of one segment file whose bytes are durable, visible and never change.
// Not handed out where reading takes more than that: damaged partitions, compacted topics (their files are replaced), and batches that lie
// in the journal's memory only.
import { BATCH_HEADER_BYTES } from '../../codec/record-batch.ts'
import type { PartitionState } from './partition.ts'
import type { Segment } from './segment.ts'
import type { SegmentReader } from './segment-reader.ts'
import { BY_REFERENCE, type Tail } from './tail.ts'

export interface Extent {
  readonly path: string
  /** Number of the partition, which the stamps of its batches carry. */
  readonly partition: number
  /** A batch starts here: the one that holds the offset, or one before it. */
  readonly position: number
  /** No batch that starts before it ends behind it. */
  readonly limit: number
}

/** A log whose files other threads may read. */
export interface ExtentSource {
  /** Null: ask the log's reader. */
  extent(topic: string, partition: number, offset: number): Extent | null
}

export function extentAt(segments: SegmentReader, partition: PartitionState, offset: number): Extent | null {
  if (offset < partition.start || offset >= partition.end || partition.damages.length > 0) return null
  if (offset >= partition.tailStart()) return referencedExtent(partition, offset)
  const place = segments.locate(partition, offset)
  if (place === null) return null
  return extent(partition, place.segment, place.position, segments.limit(partition, place.segment))
}

/** Batches that were written straight into their segment are there before they are visible, whatever the checkpoint has done. */
function referencedExtent(partition: PartitionState, offset: number): Extent | null {
  for (const tail of partition.tails) {
    const index = tail.find(offset)
    if (index === tail.count || (tail.firstOffsets[index] as number) > offset) continue
    if (tail.places[index] !== BY_REFERENCE) return null
    const segment = tail.segmentOf(index)
    return extent(partition, segment, tail.positions[index] as number, endOfRun(partition, tail, index, segment))
  }
  return null
}

/** End of the visible batches by reference that follow each other from `index` on in one segment. */
function endOfRun(partition: PartitionState, tail: Tail, index: number, segment: Segment): number {
  let end = tail.positions[index] as number
  for (let at = index; at < tail.count; at++) {
    if (tail.places[at] !== BY_REFERENCE || tail.positions[at] !== end) break
    if ((tail.firstOffsets[at] as number) >= partition.end || tail.segmentOf(at) !== segment) break
    end += tail.lengths[at] as number
  }
  return end
}

function extent(partition: PartitionState, segment: Segment, position: number, limit: number): Extent | null {
  return position + BATCH_HEADER_BYTES > limit ? null : { path: segment.path, partition: partition.id, position, limit }
}
