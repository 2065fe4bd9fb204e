// A segment: one file of whole record batches of one partition, from the batch with its base offset on, and its sparse index.
//
// `size` counts accepted bytes; the file itself is filled from the journal's memory at the checkpoint, so bytes at or behind `filled` are
// not in the file unless they came by reference. Nothing is concluded from what lies behind `size`: only the journal says what counts.
import type { FileCache } from './file-cache.ts'
import { indexPathOf } from './format.ts'
import { IndexRows, readIndex } from './index-file.ts'
import { stampHolds, read32 } from './stamp.ts'
import { BATCH_HEADER_BYTES, readBatchHeader, verifyBatch } from '../../codec/record-batch.ts'
import { type Disk, readFully, type DiskFile } from '../../base/disk.ts'

/** Bytes looked at in one read while walking batch headers. */
const WALK_BYTES = 65_536

export class Segment {
  readonly base: number
  readonly path: string
  readonly indexPath: string
  /** Accepted bytes; -1 until `measure` for a segment found in the folder. */
  size: number
  /** Bytes that the checkpoints have written into the file (or found there at the start). */
  filled: number
  /** One past its last offset once nothing more is appended; null while it takes appends. */
  end: number | null = null
  /** Time of append of the first batch; decides when a segment is rolled by age. */
  firstAppendMs: number
  /** Retention, trimming or deletion has taken it away; its file must not be written again. */
  removed = false
  #rows: IndexRows | null = null

  constructor(base: number, path: string, size: number, firstAppendMs: number) {
    this.base = base
    this.path = path
    this.indexPath = indexPathOf(path)
    this.size = size
    this.filled = size
    this.firstAppendMs = firstAppendMs
  }

  /** Learns the size of a segment found in the folder; segments of this run know theirs. */
  measure(files: FileCache): number {
    if (this.size < 0) this.size = this.filled = files.get(this.path).size()
    return this.size
  }

  /** The index over what is filled; read from its file at the first need and completed by walking the segment where rows are missing. */
  rows(files: FileCache, partition: number): IndexRows {
    this.#rows ??= this.#load(files, partition)
    return this.#rows
  }

  /** A segment made now starts with an empty index. */
  startIndex(): void {
    this.#rows = new IndexRows()
  }

  /** True when the index is in memory. */
  get indexed(): boolean {
    return this.#rows !== null
  }

  /** Gives the memory of the index back; it is read again when needed. */
  releaseIndex(): void {
    this.#rows = null
  }

  #load(files: FileCache, partition: number): IndexRows {
    this.measure(files)
    const file = files.get(this.indexPath)
    const bytes = new Uint8Array(file.size())
    const rows = readFully(file, bytes, 0) ? readIndex(bytes, this.filled) : new IndexRows()
    if (rows.end === null) completeIndex(rows, files.get(this.path), this, partition)
    return rows
  }
}

/**
 * Adds the rows behind the last one that the index has, by walking batch headers. Times of append are not in the segment: those of the
 * last row are taken, else the event times. Stops at the first bytes that are no batch of this partition.
 */
function completeIndex(rows: IndexRows, file: DiskFile, segment: Segment, partition: number): void {
  const last = rows.count - 1
  const lastPosition = last < 0 ? -1 : (rows.positions[last] as number)
  const appendMs = last < 0 ? segment.firstAppendMs : (rows.appendTimes[last] as number)
  let eventMaxMs = last < 0 ? -1 : (rows.eventTimes[last] as number)
  let expected = Math.max(0, lastPosition)
  for (const batch of walkBatches(file, expected, segment.filled, partition)) {
    if (batch.position > lastPosition && rows.wants(batch.position, appendMs, batch.position === expected)) {
      rows.add(batch.baseOffset, batch.position, eventMaxMs, appendMs)
    }
    expected = batch.position + batch.byteLength
    eventMaxMs = Math.max(eventMaxMs, batch.maxTimeMs)
  }
}

export interface WalkedBatch {
  readonly position: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly byteLength: number
  readonly maxTimeMs: number
}

/**
 * Headers of the batches in [from, to) of a file, checked by their stamps, not by their CRCs. Behind bytes that are no batch of this
 * partition the walk goes on at the next place where a whole batch with stamp and CRC lies.
 */
export function* walkBatches(file: DiskFile, from: number, to: number, partition: number): Generator<WalkedBatch, void, undefined> {
  let window = new Uint8Array(0)
  let windowAt = from
  for (let position = from; position + BATCH_HEADER_BYTES <= to;) {
    if (position < windowAt || position + BATCH_HEADER_BYTES > windowAt + window.length) {
      window = readUpTo(file, position, Math.min(WALK_BYTES, to - position))
      windowAt = position
      if (window.length < BATCH_HEADER_BYTES) return
    }
    const header = headerAt(window, position - windowAt, partition)
    if (header === null || position + header.byteLength > to) {
      const next = findBatch(file, position + 1, to, partition)
      if (next < 0) return
      position = next
      continue
    }
    yield {
      position,
      baseOffset: header.baseOffset,
      lastOffset: header.lastOffset,
      byteLength: header.byteLength,
      maxTimeMs: header.maxTimeMs,
    }
    position += header.byteLength
  }
}

function headerAt(bytes: Uint8Array, at: number, partition: number): ReturnType<typeof readBatchHeader> | null {
  if (!stampHolds(bytes, at, partition)) return null
  try {
    return readBatchHeader(bytes, at)
  } catch {
    return null
  }
}

/** The next position at or behind `from` where a whole batch of the partition lies (stamp and CRC), or -1. */
export function findBatch(file: DiskFile, from: number, to: number, partition: number): number {
  for (let start = from; start + BATCH_HEADER_BYTES <= to; start += WALK_BYTES) {
    const window = readUpTo(file, start, Math.min(WALK_BYTES + BATCH_HEADER_BYTES, to - start))
    for (let at = 0; at + BATCH_HEADER_BYTES <= window.length && at < WALK_BYTES; at++) {
      if (window[at + 16] !== 2 || !stampHolds(window, at, partition)) continue
      const length = (read32(window, at + 8) | 0) + 12
      if (length <= BATCH_HEADER_BYTES || start + at + length > to) continue
      if (verifyBatch(readUpTo(file, start + at, length), 0)) return start + at
    }
  }
  return -1
}

/** One past the last offset of a segment that takes no appends: what its name or index says, else what its last batch says. */
export function closedEnd(disk: Disk, segment: Segment, partition: number): number {
  if (segment.end !== null) return segment.end
  const file = disk.open(segment.path, 'read')
  try {
    const size = file.size()
    if (disk.exists(segment.indexPath)) {
      const index = disk.open(segment.indexPath, 'read')
      const { end } = readIndex(readUpTo(index, 0, index.size()), size)
      index.close()
      if (end !== null) return end.offset
    }
    let end = segment.base
    for (const batch of walkBatches(file, 0, size, partition)) end = batch.lastOffset + 1
    return end
  } finally {
    file.close()
  }
}

/** The bytes of [position, position + length) that the file has. */
export function readUpTo(file: DiskFile, position: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(0, length))
  let done = 0
  while (done < bytes.length) {
    const count = file.read(bytes.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done === bytes.length ? bytes : bytes.subarray(0, done)
}
