// Finds and reads places in segments: by offset through the sparse index, and on into the next segment.
import { BATCH_HEADER_BYTES, readBatchHeader } from '../../codec/record-batch.ts'
import type { Disk } from '../../base/disk.ts'
import type { FileCache } from './file-cache.ts'
import type { PartitionState } from './partition.ts'
import { findBatch, readUpTo, type Segment } from './segment.ts'

/** Indexes of closed segments kept in memory. */
const INDEXES_MAX = 64

export interface SegmentPlace {
  segment: Segment
  position: number
  offset: number
}

export class SegmentReader {
  readonly disk: Disk
  readonly files: FileCache
  readonly #indexed = new Set<Segment>()

  constructor(disk: Disk, files: FileCache) {
    this.disk = disk
    this.files = files
  }

  /** Fills `target` from the segment as far as the file goes; returns the bytes read. */
  read(segment: Segment, target: Uint8Array, position: number): number {
    const file = this.files.get(segment.path)
    let done = 0
    while (done < target.length) {
      const count = file.read(done === 0 ? target : target.subarray(done), position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  /** Bytes of the segment that must be read from the file: what lies behind is still in the journal's memory. */
  limit(partition: PartitionState, segment: Segment): number {
    for (const tail of partition.tails) {
      if (tail.count === 0) continue
      const run = tail.segments.indexOf(segment)
      if (run < 0) continue
      const first = tail.positions[tail.segmentFrom[run] as number] as number
      const other = tail === partition.tails[0] ? partition.tails[1] : partition.tails[0]
      const otherRun = other.segments.indexOf(segment)
      return otherRun < 0 ? first : Math.min(first, other.positions[other.segmentFrom[otherRun] as number] as number)
    }
    return segment.measure(this.files)
  }

  /** A place at or before the batch that holds `offset`; null when only the journal's memory holds it. */
  locate(partition: PartitionState, offset: number): SegmentPlace | null {
    const index = partition.segmentIndex(this.disk, offset)
    const segments = partition.segments(this.disk)
    const segment = segments[Math.max(index, 0)]
    if (!segment) return null
    if (offset <= segment.base) return { segment, position: 0, offset }
    const rows = segment.rows(this.files, partition.id)
    this.#note(segment)
    const row = rows.floor(offset)
    let position = row < 0 ? 0 : (rows.positions[row] as number)
    for (const damage of partition.damages) {
      if (damage.resumeBase === segment.base && damage.to <= offset) position = Math.max(position, damage.resumePosition)
    }
    return { segment, position, offset }
  }

  /** The start of the segment behind this one, or null when there is none in a file. */
  after(partition: PartitionState, segment: Segment): SegmentPlace | null {
    const segments = partition.segments(this.disk)
    const next = segments[segments.indexOf(segment) + 1]
    return next ? { segment: next, position: 0, offset: next.base } : null
  }

  /** Position of the next whole batch behind a damaged place when it begins at or before the offset that is looked for, else -1. */
  behindDamage(partition: PartitionState, place: SegmentPlace, limit: number): number {
    const file = this.files.get(place.segment.path)
    const next = findBatch(file, place.position + 1, limit, partition.id)
    if (next < 0) return -1
    const header = readBatchHeader(readUpTo(file, next, BATCH_HEADER_BYTES), 0)
    return header.baseOffset <= place.offset ? next : -1
  }

  /** Keeps the number of indexes in memory small however long a log grows. */
  #note(segment: Segment): void {
    this.#indexed.delete(segment)
    this.#indexed.add(segment)
    if (this.#indexed.size <= INDEXES_MAX) return
    for (const oldest of this.#indexed) {
      this.#indexed.delete(oldest)
      oldest.releaseIndex()
      return
    }
  }
}
