// The header of a RecordBatch v2: its layout, reading it, checking a batch.
//
//   at  0 baseOffset i64         the log sets it on append; not covered by the CRC
//       8 batchLength i32        bytes after this field
//      12 partitionLeaderEpoch   not covered by the CRC, always 0 here
//      16 magic i8 = 2
//      17 crc u32                CRC-32C of everything from `attributes` to the end
//      21 attributes i16         bits 0-2 compression, 3 times are of append, 4 transactional, 5 control
//      23 lastOffsetDelta i32    27 baseTime i64    35 maxTime i64    43 producerId i64    51 producerEpoch i16    53 baseSequence i32
//      57 recordCount i32        61 records
// Source: kafka.apache.org/documentation, "Record Batch"; KIP-98.
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { MillraceError } from '../base/errors.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** One record as an object: for the control plane, low volumes and tests. The hot path uses RecordBatchBuilder and RecordRows. */
export interface RecordInput {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Event time, milliseconds since 1970-01-01 UTC. */
  readonly timeMs: number
  readonly headers?: readonly RecordHeader[]
}

export interface BatchHeader {
  readonly baseOffset: number
  /** Bytes of the whole batch, header included. */
  readonly byteLength: number
  readonly recordCount: number
  /** Offset of the last record the batch was made with; it may be gone after compaction. */
  readonly lastOffset: number
  readonly baseTimeMs: number
  readonly maxTimeMs: number
  /** -1 when the batch is not from an idempotent producer. */
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly crc: number
  readonly attributes: number
}

export const BATCH_HEADER_BYTES = 61
/** Largest batch that can be built or read: places in a buffer stay 32 bit, and one allocation stays sane. */
export const BATCH_BYTES_MAX: number = 1 << 30
/** Attribute bits. */
export const ATTRIBUTE_COMPRESSION = 0b111
export const ATTRIBUTE_APPEND_TIME = 0b1000
export const ATTRIBUTE_CONTROL = 0b10_0000

export const BATCH_MAGIC = 2
export const LENGTH_AT = 8
export const MAGIC_AT = 16
export const CRC_AT = 17
export const ATTRIBUTES_AT = 21
/** Bytes before `batchLength` starts to count. */
export const LENGTH_FROM = 12
/** Length, attributes, both deltas, key and value length, header count: one byte each at least. */
const RECORD_BYTES_MIN = 7
const TWO_32 = 4294967296

/**
 * Reads the header of the batch at `at`; only the header's 61 bytes need to be there.
 * @throws {MillraceError} `MR_CODEC_BATCH_CORRUPT` when they are not, or cannot be the header of a batch. The CRC is not checked: see verifyBatch.
 */
export function readBatchHeader(bytes: Uint8Array, at: number): BatchHeader {
  if (at < 0 || at + BATCH_HEADER_BYTES > bytes.length) throw corrupt('the batch header is cut off', at)
  // Byte by byte: a view of its own cost more than everything else here, and most batches of a commit are small.
  const byteLength = i32At(bytes, at + LENGTH_AT) + LENGTH_FROM
  const recordCount = i32At(bytes, at + 57)
  const lastOffsetDelta = i32At(bytes, at + 23)
  const baseOffset = i64At(bytes, at)
  const attributes = i16At(bytes, at + ATTRIBUTES_AT)
  if (bytes[at + MAGIC_AT] !== BATCH_MAGIC) throw corrupt('the batch has another magic number than 2', at)
  if (byteLength > BATCH_BYTES_MAX || recordCount < 1 || byteLength < BATCH_HEADER_BYTES + 1)
    throw corrupt('the batch length is impossible', at)
  const compressed = (attributes & ATTRIBUTE_COMPRESSION) !== 0
  if (!compressed && recordCount * RECORD_BYTES_MIN > byteLength - BATCH_HEADER_BYTES) throw corrupt('the record count is impossible', at)
  if (lastOffsetDelta < recordCount - 1) throw corrupt('the last offset lies below the record count', at)
  if (!(baseOffset >= 0 && baseOffset + lastOffsetDelta <= Number.MAX_SAFE_INTEGER)) throw corrupt('the base offset is impossible', at)
  return {
    baseOffset,
    byteLength,
    recordCount,
    lastOffset: baseOffset + lastOffsetDelta,
    baseTimeMs: i64At(bytes, at + 27),
    maxTimeMs: i64At(bytes, at + 35),
    producerId: i64At(bytes, at + 43),
    producerEpoch: i16At(bytes, at + 51),
    baseSequence: i32At(bytes, at + 53),
    crc: i32At(bytes, at + CRC_AT) >>> 0,
    attributes,
  }
}

/** Bytes of the batch at `at`, or -1 when not all of them are there. Throws MR_CODEC_BATCH_CORRUPT for an impossible length. */
export function batchByteLength(bytes: Uint8Array, at: number): number {
  if (at + LENGTH_FROM > bytes.length) return -1
  const byteLength = i32At(bytes, at + LENGTH_AT) + LENGTH_FROM
  if (byteLength <= BATCH_HEADER_BYTES || byteLength > BATCH_BYTES_MAX) throw corrupt('the batch length is impossible', at)
  return at + byteLength > bytes.length ? -1 : byteLength
}

/** Sets the base offset in place. The CRC does not cover it. */
export function setBaseOffset(bytes: Uint8Array, at: number, offset: number): void {
  assert(Number.isSafeInteger(offset) && offset >= 0, () => `base offset ${offset}`)
  writeI64(viewOf(bytes), at, offset)
}

/** True when a whole batch lies at `at` and its CRC is right. Never throws and never reads outside `bytes`. Base offset and leader epoch are not covered. */
export function verifyBatch(bytes: Uint8Array, at: number): boolean {
  let header: BatchHeader
  try {
    header = readBatchHeader(bytes, at)
  } catch {
    return false
  }
  return batchHolds(bytes, at, header)
}

/** The same for a batch whose header was read from there. */
export function batchHolds(bytes: Uint8Array, at: number, header: BatchHeader): boolean {
  const end = at + header.byteLength
  return end <= bytes.length && crc32c(bytes, at + ATTRIBUTES_AT, end) === header.crc
}

/** The error of a broken batch; `at` is its place in the buffer. */
export function corrupt(message: string, at: number): MillraceError {
  return new MillraceError('MR_CODEC_BATCH_CORRUPT', { message, details: { at } })
}

/** @throws {MillraceError} `MR_CODEC_UNSUPPORTED` when the batch is compressed. */
export function requireUncompressed(header: BatchHeader): void {
  const codec = header.attributes & ATTRIBUTE_COMPRESSION
  if (codec === 0) return
  const name = ['none', 'gzip', 'snappy', 'lz4', 'zstd'][codec] ?? `unknown (${codec})`
  throw new MillraceError('MR_CODEC_UNSUPPORTED', {
    message: 'record batches with compression are not supported: only none',
    details: { compression: name, offset: header.baseOffset },
  })
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function writeI64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  view.setInt32(at, high)
  view.setUint32(at + 4, value - high * TWO_32)
}

function i16At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
}

function i32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
}

/** Exact within ±2^53; beyond that the nearest number, which is enough to refuse it. */
function i64At(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) * TWO_32 + (i32At(bytes, at + 4) >>> 0)
}
