// Where a reader may go on behind a damaged place, by the choice of an operator (Log.skipCorrupt).
import { BATCH_HEADER_BYTES, readBatchHeader, verifyBatch } from '../../codec/record-batch.ts'
import { MillraceError } from '../../base/errors.ts'
import type { Damage, PartitionState } from './partition.ts'
import { findBatch, readUpTo, type Segment } from './segment.ts'
import type { SegmentReader } from './segment-reader.ts'
import { read32, stampHolds } from './stamp.ts'

/** The damage at `offset`, marked as skipped; null when the batch there can be read. Throws MR_LOG_OFFSET_RANGE. */
export function findBehindDamage(parts: { readonly segments: SegmentReader }, partition: PartitionState, offset: number): Damage | null {
  if (offset < partition.start || offset > partition.end) {
    throw new MillraceError('MR_LOG_OFFSET_RANGE', {
      details: { topic: partition.topic, partition: partition.index, offset, earliest: partition.start, end: partition.end },
    })
  }
  const known = partition.damageAt(offset)
  if (known) return known.skipped ? null : { ...known, skipped: true }
  if (offset >= Math.min(partition.end, partition.tailStart())) return null
  const { segments } = parts
  const place = segments.locate(partition, offset)
  if (place === null) return null
  const file = segments.files.get(place.segment.path)
  const limit = segments.limit(partition, place.segment)
  let { position } = place
  let expected = place.offset
  for (;;) {
    const header = readUpTo(file, position, Math.min(BATCH_HEADER_BYTES, limit - position))
    const length = header.length === BATCH_HEADER_BYTES ? (read32(header, 8) | 0) + 12 : 0
    const bytes = length > BATCH_HEADER_BYTES && position + length <= limit ? readUpTo(file, position, length) : header
    const whole = stampHolds(bytes, 0, partition.id) && verifyBatch(bytes, 0)
    if (!whole) break
    const found = readBatchHeader(bytes, 0)
    if (found.lastOffset >= offset) return null
    position += length
    expected = found.lastOffset + 1
    if (position >= limit) return null
  }
  return {
    from: Math.min(offset, Math.max(expected, partition.start)),
    skipped: true,
    file: place.segment.path,
    position,
    ...resume(parts, partition, place.segment, position, limit),
  }
}

/** The next whole batch behind `position`: in this segment, else the start of the next one, else what is in memory. */
function resume(
  parts: { readonly segments: SegmentReader },
  partition: PartitionState,
  segment: Segment,
  position: number,
  limit: number,
): { to: number; resumeBase: number; resumePosition: number } {
  const file = parts.segments.files.get(segment.path)
  const next = findBatch(file, position + 1, limit, partition.id)
  if (next >= 0)
    return { to: readBatchHeader(readUpTo(file, next, BATCH_HEADER_BYTES), 0).baseOffset, resumeBase: segment.base, resumePosition: next }
  const following = parts.segments.after(partition, segment)
  if (following) return { to: following.segment.base, resumeBase: following.segment.base, resumePosition: 0 }
  return { to: Math.min(partition.end, partition.tailStart()), resumeBase: -1, resumePosition: -1 }
}
