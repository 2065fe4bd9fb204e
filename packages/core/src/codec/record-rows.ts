// Walks the records of fetched batches into arrays, one row per record. Nothing is copied: rows are ranges of the fetched bytes.
//
// Every length is checked against the end of its record, every record against the end of its batch, so that broken bytes are refused
// with MR_CODEC_BATCH_CORRUPT and never read outside. CRCs are checked where the bytes come from (the log), not here.
import {
  ATTRIBUTE_APPEND_TIME,
  ATTRIBUTE_CONTROL,
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchByteLength,
  corrupt,
  readBatchHeader,
  type RecordHeader,
  type RecordInput,
  requireUncompressed,
} from './batch-header.ts'

/** Bytes of a record behind its length when all its parts are empty. */
const RECORD_BODY_BYTES_MIN = 6
const HEADER_BYTES_MIN = 2
const ROWS_MIN = 256
/** Largest number in two bytes of seven bits. */
const TWO_BYTES_MAX = 16_383

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Where the last varint ended. A module variable, because a function returns one number and an object per number is too dear here. */
let after = 0

/**
 * Rows of the last `read`. Row i is the record at `offsets[i]`: key bytes[keyStarts[i] .. keyEnds[i]), value likewise; a start of -1 is null.
 * headerStarts[i] is -1 for a record without headers, else see `readHeaders`. The arrays are longer than `count` and replaced when they grow.
 */
export class RecordRows {
  bytes: Uint8Array = new Uint8Array(0)
  count = 0
  offsets: Float64Array = new Float64Array(ROWS_MIN)
  times: Float64Array = new Float64Array(ROWS_MIN)
  keyStarts: Int32Array = new Int32Array(ROWS_MIN)
  keyEnds: Int32Array = new Int32Array(ROWS_MIN)
  valueStarts: Int32Array = new Int32Array(ROWS_MIN)
  valueEnds: Int32Array = new Int32Array(ROWS_MIN)
  headerStarts: Int32Array = new Int32Array(ROWS_MIN)
  headerEnds: Int32Array = new Int32Array(ROWS_MIN)

  /**
   * Reads all whole batches in `bytes` and skips records below `fromOffset`, control batches, and a cut-off batch at the end.
   * Returns the row count. The rows refer to `bytes` and are valid as long as its content is.
   * @throws {MillraceError} `MR_CODEC_BATCH_CORRUPT` for broken lengths, `MR_CODEC_UNSUPPORTED` for a compressed batch. No row is left then.
   */
  read(bytes: Uint8Array, fromOffset: number): number {
    this.bytes = bytes
    this.count = 0
    let count = 0
    for (let at = 0; at < bytes.length;) {
      const byteLength = batchByteLength(bytes, at)
      if (byteLength < 0) break
      const header = readBatchHeader(bytes, at)
      if (header.lastOffset >= fromOffset && (header.attributes & ATTRIBUTE_CONTROL) === 0) {
        requireUncompressed(header)
        this.#reserve(count, header.recordCount)
        count = this.#readBatch(at, header, fromOffset, count)
      }
      at += byteLength
    }
    this.count = count
    return count
  }

  #readBatch(batchAt: number, header: BatchHeader, fromOffset: number, firstRow: number): number {
    const { bytes, offsets, times, keyStarts, keyEnds, valueStarts, valueEnds, headerStarts, headerEnds } = this
    const { baseOffset, recordCount } = header
    const batchEnd = batchAt + header.byteLength
    const baseTimeMs = header.baseTimeMs
    const appendTime = (header.attributes & ATTRIBUTE_APPEND_TIME) !== 0
    const lastDelta = header.lastOffset - baseOffset
    const deltaFrom = fromOffset - baseOffset
    let row = firstRow
    let at = batchAt + BATCH_HEADER_BYTES
    let deltaBefore = -1
    for (let index = 0; index < recordCount; index++) {
      // Numbers of one or two bytes, as nearly all are, are read in place: calls for them would take half the time of the walk.
      let length = bytes[at++] as number
      if (length > 127) length = (length & 127) | ((bytes[at++] as number) << 7)
      if (length <= TWO_BYTES_MAX) length = unzigzag(length)
      else {
        length = varint(bytes, at - 2, batchEnd)
        at = after
      }
      const end = at + length
      if (length < RECORD_BODY_BYTES_MIN || end > batchEnd) throw corrupt('a record length is impossible', batchAt)
      at++ // attributes
      let timeDelta = bytes[at++] as number
      if (timeDelta > 127) timeDelta = (timeDelta & 127) | ((bytes[at++] as number) << 7)
      if (timeDelta <= TWO_BYTES_MAX) timeDelta = unzigzag(timeDelta)
      else {
        timeDelta = timeVarint(bytes, at - 2, end)
        at = after
      }
      let delta = bytes[at++] as number
      if (delta > 127) delta = (delta & 127) | ((bytes[at++] as number) << 7)
      if (delta <= TWO_BYTES_MAX) delta = unzigzag(delta)
      else {
        delta = varint(bytes, at - 2, end)
        at = after
      }
      if (delta <= deltaBefore || delta > lastDelta) throw corrupt('the offsets of a batch do not increase', batchAt)
      deltaBefore = delta
      const keySize = varint(bytes, at, end)
      const keyStart = after
      const keyEnd = keySize < 0 ? keyStart : keyStart + keySize
      at = keyEnd
      let valueSize = bytes[at++] as number
      if (valueSize > 127) valueSize = (valueSize & 127) | ((bytes[at++] as number) << 7)
      if (valueSize <= TWO_BYTES_MAX) valueSize = unzigzag(valueSize)
      else {
        valueSize = varint(bytes, at - 2, end)
        at = after
      }
      const valueStart = at
      const valueEnd = valueSize < 0 ? valueStart : valueStart + valueSize
      if (keySize < -1 || valueSize < -1) throw corrupt('a key or value length is impossible', batchAt)
      const headerCount = valueEnd === end - 1 && bytes[valueEnd] === 0 ? 0 : this.#headerCount(valueEnd, end, batchAt)
      at = end
      if (delta < deltaFrom) continue
      offsets[row] = baseOffset + delta
      times[row] = appendTime ? header.maxTimeMs : baseTimeMs + timeDelta
      keyStarts[row] = keySize < 0 ? -1 : keyStart
      keyEnds[row] = keyEnd
      valueStarts[row] = valueSize < 0 ? -1 : valueStart
      valueEnds[row] = valueEnd
      headerStarts[row] = headerCount === 0 ? -1 : valueEnd
      headerEnds[row] = end
      row++
    }
    if (at !== batchEnd) throw corrupt('bytes are left behind the last record', batchAt)
    return row
  }

  /** The number of headers of a record whose value ends at `valueEnd`, which are not simply none. */
  #headerCount(valueEnd: number, end: number, batchAt: number): number {
    const count = varint(this.bytes, valueEnd, end)
    if (count === 0 ? after !== end : count < 0 || count * HEADER_BYTES_MIN > end - after)
      throw corrupt('a record does not fill its length', batchAt)
    return count
  }

  #reserve(used: number, more: number): void {
    if (used + more <= this.offsets.length) return
    const capacity = Math.max(used + more, this.offsets.length * 2)
    this.offsets = grown(this.offsets, new Float64Array(capacity), used)
    this.times = grown(this.times, new Float64Array(capacity), used)
    this.keyStarts = grown(this.keyStarts, new Int32Array(capacity), used)
    this.keyEnds = grown(this.keyEnds, new Int32Array(capacity), used)
    this.valueStarts = grown(this.valueStarts, new Int32Array(capacity), used)
    this.valueEnds = grown(this.valueEnds, new Int32Array(capacity), used)
    this.headerStarts = grown(this.headerStarts, new Int32Array(capacity), used)
    this.headerEnds = grown(this.headerEnds, new Int32Array(capacity), used)
  }
}

/** Headers of a row, in order, values as views of the row's bytes. Throws MR_CODEC_BATCH_CORRUPT for broken lengths. */
export function readHeaders(rows: RecordRows, row: number): readonly RecordHeader[] {
  const start = rows.headerStarts[row] as number
  if (start < 0) return []
  const { bytes } = rows
  const end = rows.headerEnds[row] as number
  const count = varint(bytes, start, end)
  const headers: RecordHeader[] = []
  for (let index = 0; index < count; index++) {
    const keySize = varint(bytes, after, end)
    const keyStart = after
    if (keySize < 0 || keyStart + keySize > end) throw corrupt('a header key length is impossible', start)
    const valueSize = varint(bytes, keyStart + keySize, end)
    const valueStart = after
    if (valueSize < -1 || valueStart + valueSize > end) throw corrupt('a header value length is impossible', start)
    after = valueStart + Math.max(valueSize, 0)
    headers.push({
      key: decoder.decode(bytes.subarray(keyStart, keyStart + keySize)),
      value: valueSize < 0 ? null : bytes.subarray(valueStart, valueStart + valueSize),
    })
  }
  if (after !== end) throw corrupt('headers do not fill their record', start)
  return headers
}

export interface ReadRecord extends RecordInput {
  readonly offset: number
  readonly headers: readonly RecordHeader[]
}

/** All records from `fromOffset` as objects with copied bytes. For the control plane, low volumes and tests. */
export function readRecords(bytes: Uint8Array, fromOffset = 0): ReadRecord[] {
  const rows = new RecordRows()
  const count = rows.read(bytes, fromOffset)
  return Array.from({ length: count }, (_, row) => ({
    offset: rows.offsets[row] as number,
    timeMs: rows.times[row] as number,
    key: range(bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number),
    value: range(bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number),
    headers: readHeaders(rows, row).map(({ key, value }) => ({ key, value: value === null ? null : value.slice() })),
  }))
}

function range(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  return start < 0 ? null : bytes.slice(start, end)
}

function unzigzag(raw: number): number {
  return (raw >>> 1) ^ -(raw & 1)
}

/** A zigzag varint of 32 bits at `at`, all of it below `end`; leaves its end in `after`. */
function varint(bytes: Uint8Array, at: number, end: number): number {
  if (at < end) {
    const first = bytes[at] as number
    if (first < 128) {
      after = at + 1
      return (first >>> 1) ^ -(first & 1)
    }
  }
  return longVarint(bytes, at, end)
}

function longVarint(bytes: Uint8Array, start: number, end: number): number {
  let raw = 0
  let at = start
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= end) break
    const byte = bytes[at++] as number
    if (shift === 28 && byte > 15) break
    raw |= (byte & 127) << shift
    if (byte < 128) {
      after = at
      return (raw >>> 1) ^ -(raw & 1)
    }
  }
  throw corrupt('a number is cut off or too long', start)
}

/** A zigzag varint of 64 bits: sign and six bits in the first byte, seven in each of the others. Exact within ±2^53. */
function timeVarint(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  if (at >= end) throw corrupt('a time is cut off', start)
  const first = bytes[at++] as number
  let magnitude = (first >>> 1) & 63
  if (first >= 128) {
    let scale = 64
    for (let count = 1; ; count++) {
      if (at >= end || count === 10) throw corrupt('a time is cut off or too long', start)
      const byte = bytes[at++] as number
      magnitude += (byte & 127) * scale
      if (byte < 128) break
      scale *= 128
    }
  }
  after = at
  return first & 1 ? -magnitude - 1 : magnitude
}

function grown<T extends Float64Array | Int32Array>(from: T, to: T, used: number): T {
  to.set(from.subarray(0, used))
  return to
}
