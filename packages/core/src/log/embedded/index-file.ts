// The sparse index of one segment: where batches start, every 64 KiB or so, with both times.
//
// Rows of 40 bytes, little-endian: offset u64 | position u32 | kind u32 (0 row, 1 end) | event time f64 | append time f64 | CRC-32C of the
// 32 bytes before, u32 | zero u32. `event time` is the largest one that the partition had seen before the row's batch (of an end row:
// before the end of the segment); `append time` is that of the row's batch (of an end row: of the last batch).
//
// Rows are written behind the data they describe and not synced while the segment takes appends. That is safe: a row that is there and
// whose CRC holds is true, because a batch's position never changes after it was acknowledged; rows that a crash lost are found again by
// walking the segment from the last row that is left.
import type { DiskFile } from '../../base/disk.ts'
import { crc32c } from '../../base/crc32c.ts'

export const INDEX_ROW_BYTES = 40
/** A new row when at least this many bytes lie between a batch and the last row. */
export const INDEX_EVERY_BYTES = 65_536
/** A new row when the time of append moved on by this much, so that slow topics are found by time too. */
export const INDEX_EVERY_MS = 1_000
const KIND_ROW = 0
const KIND_END = 1
const CRC_AT = 32

export interface IndexEnd {
  /** One past the segment's last offset. */
  readonly offset: number
  /** Bytes of the segment. */
  readonly position: number
  readonly eventMaxMs: number
  readonly appendMs: number
}

/** Rows in memory, in order of offset. */
export class IndexRows {
  count = 0
  offsets: Float64Array = new Float64Array(8)
  positions: Float64Array = new Float64Array(8)
  /** Largest event time of the partition before the row's batch. */
  eventTimes: Float64Array = new Float64Array(8)
  appendTimes: Float64Array = new Float64Array(8)
  end: IndexEnd | null = null
  /** Rows that are in the file already; the end row is not counted. */
  written = 0

  add(offset: number, position: number, eventMaxMs: number, appendMs: number): void {
    if (this.count === this.offsets.length) this.#grow()
    this.offsets[this.count] = offset
    this.positions[this.count] = position
    this.eventTimes[this.count] = eventMaxMs
    this.appendTimes[this.count] = appendMs
    this.count++
  }

  /** True when a batch at this place should get a row. `contiguous` is false behind a hole: such a batch always needs one. */
  wants(position: number, appendMs: number, contiguous: boolean): boolean {
    if (this.count === 0) return true
    if (position <= (this.positions[this.count - 1] as number)) return false
    if (!contiguous) return true
    return (
      position - (this.positions[this.count - 1] as number) >= INDEX_EVERY_BYTES ||
      appendMs - (this.appendTimes[this.count - 1] as number) >= INDEX_EVERY_MS
    )
  }

  /** Last row whose offset is at or below `offset`, or -1. */
  floor(offset: number): number {
    return lastAtOrBelow(this.offsets, this.count, offset)
  }

  /** Last row whose value in `column` is below `limit`, or -1. The column does not decrease. */
  lastBelow(column: 'eventTimes' | 'appendTimes', limit: number): number {
    const values = this[column]
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((values[middle] as number) < limit) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Forgets rows at or behind `position`, and the end. */
  cut(position: number): void {
    while (this.count > 0 && (this.positions[this.count - 1] as number) >= position) this.count--
    this.written = Math.min(this.written, this.count)
    this.end = null
  }

  /** Writes the rows that are not in the file yet, and the end row when there is one. */
  flush(file: DiskFile): void {
    const fresh = this.count - this.written
    const bytes = new Uint8Array((fresh + (this.end ? 1 : 0)) * INDEX_ROW_BYTES)
    if (bytes.length === 0) return
    for (let row = 0; row < fresh; row++) {
      const at = this.written + row
      encodeRow(
        bytes,
        row,
        this.offsets[at] as number,
        this.positions[at] as number,
        KIND_ROW,
        this.eventTimes[at] as number,
        this.appendTimes[at] as number,
      )
    }
    if (this.end) encodeRow(bytes, fresh, this.end.offset, this.end.position, KIND_END, this.end.eventMaxMs, this.end.appendMs)
    file.write(bytes, this.written * INDEX_ROW_BYTES)
    this.written = this.count
  }

  #grow(): void {
    this.offsets = doubled(this.offsets)
    this.positions = doubled(this.positions)
    this.eventTimes = doubled(this.eventTimes)
    this.appendTimes = doubled(this.appendTimes)
  }
}

function doubled(values: Float64Array): Float64Array {
  const grown = new Float64Array(values.length * 2)
  grown.set(values)
  return grown
}

function lastAtOrBelow(values: Float64Array, count: number, limit: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] as number) <= limit) low = middle + 1
    else high = middle
  }
  return low - 1
}

function encodeRow(
  bytes: Uint8Array,
  row: number,
  offset: number,
  position: number,
  kind: number,
  eventMaxMs: number,
  appendMs: number,
): void {
  const at = row * INDEX_ROW_BYTES
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, INDEX_ROW_BYTES)
  view.setUint32(0, offset >>> 0, true)
  view.setUint32(4, Math.floor(offset / 4294967296), true)
  view.setUint32(8, position, true)
  view.setUint32(12, kind, true)
  view.setFloat64(16, eventMaxMs, true)
  view.setFloat64(24, appendMs, true)
  view.setUint32(CRC_AT, crc32c(bytes, at, at + CRC_AT), true)
}

/** Reads the rows of an index up to the first one that is damaged, out of order, or describes bytes at or behind `size`. */
export function readIndex(bytes: Uint8Array, size: number): IndexRows {
  const rows = new IndexRows()
  for (let at = 0; at + INDEX_ROW_BYTES <= bytes.length; at += INDEX_ROW_BYTES) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, INDEX_ROW_BYTES)
    if (crc32c(bytes, at, at + CRC_AT) !== view.getUint32(CRC_AT, true)) break
    const offset = view.getUint32(0, true) + view.getUint32(4, true) * 4294967296
    const position = view.getUint32(8, true)
    const eventMaxMs = view.getFloat64(16, true)
    const appendMs = view.getFloat64(24, true)
    if (view.getUint32(12, true) === KIND_END) {
      if (position === size) rows.end = { offset, position, eventMaxMs, appendMs }
      break
    }
    if (position >= size || (rows.count > 0 && offset <= (rows.offsets[rows.count - 1] as number))) break
    rows.add(offset, position, eventMaxMs, appendMs)
  }
  rows.written = rows.count
  return rows
}
