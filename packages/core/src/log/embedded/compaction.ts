// Compaction of a keyed topic's partition: closed segments are rewritten with the newest record of each key only. Offsets stay.
//
// Only segments that no half of the journal holds are touched, so recovery never writes to one of them. The new segment is complete and
// durable before its name says what it stands for; a crash in between leaves either the old ones or both, and the name decides.
import { keepRecords } from '../../codec/keep-records.ts'
import { readBatchHeader, verifyBatch } from '../../codec/record-batch.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import type { FileCache } from './file-cache.ts'
import { compactedName, indexPathOf, parseSegmentName } from './format.ts'
import { IndexRows } from './index-file.ts'
import type { PartitionState } from './partition.ts'
import { readUpTo, Segment, walkBatches } from './segment.ts'
import { stampBatch } from './stamp.ts'

/** How long a deletion stays, so that readers that are behind still learn it. The same as in the memory log. */
export const TOMBSTONE_MS = 86_400_000
/** Bytes for the newest offset of each key in one pass; a partition with more keys is compacted in several passes. */
const KEYS_BYTES_MAX = 64 << 20
const KEY_OVERHEAD_BYTES = 48
/** A pass is worth its writes when at least this share of the closed bytes was never compacted. */
const DIRTY_SHARE_MIN = 0.5
const SLICE_BYTES = 1 << 20

export interface CompactionParts {
  readonly disk: Disk
  readonly files: FileCache
  readonly scheduler: Scheduler
  readonly segmentBytes: number
  /** True when the log is closing: a pass ends as soon as it is asked, and nothing of it stays. */
  readonly isOver: () => boolean
}

/** Segments taken away and those put in their place. */
export interface CompactionStep {
  readonly gone: readonly Segment[]
  readonly by: Segment
}

const rows = new RecordRows()

/**
 * One pass over a partition. Calls `swap` for each finished segment, in order; it returns false when the partition has changed meanwhile
 * (trimmed, deleted), which ends the pass.
 */
export async function compactPartition(
  parts: CompactionParts,
  partition: PartitionState,
  nowMs: number,
  swap: (step: CompactionStep) => boolean,
): Promise<number> {
  const closed = closedSegments(parts, partition)
  const dirty = closed.filter((segment) => generationOf(segment) === 0)
  const bytes = (segments: readonly Segment[]): number => segments.reduce((sum, segment) => sum + segment.measure(parts.files), 0)
  if (dirty.length === 0 || bytes(dirty) < bytes(closed) * DIRTY_SHARE_MIN) return 0
  const newest = new Map<string, number>()
  const until = await collectKeys(parts, partition, dirty, newest)
  if (until === null) return 0
  const sources = closed.slice(0, closed.indexOf(until) + 1)
  let done = 0
  for (let at = 0; at < sources.length;) {
    const group = groupFrom(parts, sources, at)
    const by = await rewrite(parts, partition, group, newest, nowMs)
    if (by === null || !swap({ gone: group, by })) return done
    done += group.length
    at += group.length
  }
  return done
}

/** Closed segments from the oldest on, as far as none is still to be written by a checkpoint. */
function closedSegments(parts: CompactionParts, partition: PartitionState): Segment[] {
  const closed: Segment[] = []
  for (const segment of partition.segments(parts.disk)) {
    if (segment === partition.active || segment === partition.filling || segment.end === null) break
    if (partition.tails.some((tail) => tail.segments.includes(segment))) break
    closed.push(segment)
  }
  return closed
}

function generationOf(segment: Segment): number {
  return parseSegmentName(segment.path.slice(segment.path.lastIndexOf('/') + 1))?.generation ?? 0
}

/** Newest offset of each key in the dirty segments; the last segment that fitted the memory, or null when one is damaged. */
async function collectKeys(
  parts: CompactionParts,
  partition: PartitionState,
  dirty: readonly Segment[],
  newest: Map<string, number>,
): Promise<Segment | null> {
  let keyBytes = 0
  let until: Segment | null = null
  for (const segment of dirty) {
    if (keyBytes > KEYS_BYTES_MAX) break
    for await (const bytes of batchesOf(parts, partition, segment)) {
      if (parts.isOver() || !verifyBatch(bytes, 0)) return null
      rows.read(bytes, 0)
      for (let row = 0; row < rows.count; row++) {
        const key = keyText(row)
        if (!newest.has(key)) keyBytes += key.length + KEY_OVERHEAD_BYTES
        newest.set(key, rows.offsets[row] as number)
      }
    }
    until = segment
  }
  return until
}

/** Segments from `at` on that become one: as many as do not exceed a segment's size before they are compacted, at least one. */
function groupFrom(parts: CompactionParts, sources: readonly Segment[], at: number): Segment[] {
  const group: Segment[] = []
  let bytes = 0
  for (const segment of sources.slice(at)) {
    bytes += segment.measure(parts.files)
    if (group.length > 0 && bytes > parts.segmentBytes) break
    group.push(segment)
  }
  return group
}

async function rewrite(
  parts: CompactionParts,
  partition: PartitionState,
  group: readonly Segment[],
  newest: ReadonlyMap<string, number>,
  nowMs: number,
): Promise<Segment | null> {
  const { disk } = parts
  const [first] = group
  const end = group.at(-1)?.end
  if (!first || end === null || end === undefined) return null
  const path = `${partition.folder}/${compactedName(first.base, end, Math.max(...group.map(generationOf)) + 1)}`
  const file = disk.open(`${path}.new`, 'create')
  file.truncate(0)
  const index = new IndexRows()
  try {
    const size = await copyKept(parts, partition, group, newest, nowMs, file, index, end)
    if (size < 0) return null
    file.sync()
    writeIndex(disk, indexPathOf(path), index)
    disk.rename(`${path}.new`, path)
    disk.syncFolder(partition.folder)
    const segment = new Segment(first.base, path, size, first.firstAppendMs)
    segment.end = end
    return segment
  } finally {
    file.close()
    disk.remove(`${path}.new`)
  }
}

function writeIndex(disk: Disk, path: string, index: IndexRows): void {
  const file = disk.open(path, 'create')
  file.truncate(0)
  index.flush(file)
  file.sync()
  file.close()
}

/** Copies what is kept; returns the bytes written, or -1 when a batch is damaged or the partition is gone. */
async function copyKept(
  parts: CompactionParts,
  partition: PartitionState,
  group: readonly Segment[],
  newest: ReadonlyMap<string, number>,
  nowMs: number,
  file: DiskFile,
  index: IndexRows,
  end: number,
): Promise<number> {
  let position = 0
  let eventMaxMs = -1
  let appendMs = 0
  for (const segment of group) {
    const source = segment.rows(parts.files, partition.id)
    eventMaxMs = Math.max(eventMaxMs, source.eventTimes[0] ?? -1)
    for await (const bytes of batchesOf(parts, partition, segment)) {
      if (parts.isOver() || partition.deleted || segment.removed || !verifyBatch(bytes, 0)) return -1
      const header = readBatchHeader(bytes, 0)
      const row = source.floor(header.baseOffset)
      appendMs = row < 0 ? segment.firstAppendMs : (source.appendTimes[row] as number)
      rows.read(bytes, 0)
      const forget = nowMs - appendMs >= TOMBSTONE_MS
      const kept = keepRecords(bytes, rows, (at) => {
        const later = newest.get(keyText(at))
        if (later !== undefined && later > (rows.offsets[at] as number)) return false
        return !(forget && (rows.valueStarts[at] as number) < 0)
      })
      if (kept) {
        stampBatch(kept, 0, partition.id, header.baseOffset)
        if (index.wants(position, appendMs, true)) index.add(header.baseOffset, position, eventMaxMs, appendMs)
        file.write(kept, position)
        position += kept.length
      }
      eventMaxMs = Math.max(eventMaxMs, header.maxTimeMs)
    }
    appendMs = source.end?.appendMs ?? appendMs
  }
  index.end = { offset: end, position, eventMaxMs, appendMs }
  return position
}

/** The batches of a segment, with a turn of the event loop now and then. A hole or damaged header ends up as bytes that do not verify. */
async function* batchesOf(
  parts: CompactionParts,
  partition: PartitionState,
  segment: Segment,
): AsyncGenerator<Uint8Array, void, undefined> {
  const size = segment.measure(parts.files)
  let expected = 0
  let sinceTurn = 0
  const file = parts.files.pin(segment.path)
  try {
    for (const place of walkBatches(file, 0, size, partition.id)) {
      if (place.position !== expected) break
      expected += place.byteLength
      sinceTurn += place.byteLength
      yield readUpTo(file, place.position, place.byteLength)
      if (sinceTurn < SLICE_BYTES) continue
      sinceTurn = 0
      await parts.scheduler.turn()
    }
  } finally {
    parts.files.unpin(segment.path)
  }
  if (expected !== size) yield new Uint8Array(0)
}

function keyText(row: number): string {
  const start = rows.keyStarts[row] as number
  return start < 0 ? '\0null' : latin1(rows.bytes, start, rows.keyEnds[row] as number)
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
