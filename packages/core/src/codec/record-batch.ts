// RecordBatch v2, exactly as Apache Kafka lays it out: what clients send, what lies in the log and what readers get are the same bytes.
// This file builds batches; batch-header.ts has the layout and reads headers, record-rows.ts walks the records. Import from here.
//   record: length, attributes i8, timeDelta, offsetDelta, key length (-1 null), key, value length (-1 null), value, header count, headers;
//   all numbers but the attributes are zigzag varints. Nothing is compressed on the write path.
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import { MillraceError } from '../base/errors.ts'
import { BatchBuffers } from './batch-buffers.ts'
import {
  ATTRIBUTES_AT,
  BATCH_BYTES_MAX,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  CRC_AT,
  LENGTH_AT,
  LENGTH_FROM,
  MAGIC_AT,
  type RecordHeader,
  type RecordInput,
  viewOf,
  writeI64,
} from './batch-header.ts'

export {
  ATTRIBUTE_APPEND_TIME,
  ATTRIBUTE_COMPRESSION,
  ATTRIBUTE_CONTROL,
  BATCH_BYTES_MAX,
  BATCH_HEADER_BYTES,
  batchHolds,
  type BatchHeader,
  batchByteLength,
  readBatchHeader,
  type RecordHeader,
  type RecordInput,
  requireUncompressed,
  setBaseOffset,
  verifyBatch,
} from './batch-header.ts'
export { readHeaders, type ReadRecord, readRecords, RecordRows } from './record-rows.ts'

export interface FinishOptions {
  /** Id, epoch and first sequence number of an idempotent producer; -1 (the default) is none. */
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  /** False returns a view of the builder's buffer, valid until the next call of the builder. Default true. */
  readonly copy?: boolean
}

/** Length, attributes, both deltas, key and value length, header count, each as long as it can get. */
const RECORD_FRAME_BYTES_MAX = 36
/** From here on a memory copy by the engine is faster than eight bytes at a time. */
const COPY_NATIVE_BYTES = 160
const TIME_MAX_MS = 8.64e15
const DELTA_FAST = 1 << 30

/** Finished batches up to this size share a buffer: an allocation of its own costs more than all the rest of a small batch. */
const SHARED_BYTES_MAX = 16_384
/** A shared buffer lives as long as any batch in it. */
const SHARED_BUFFER_BYTES = 65_536

const NONE = new Uint8Array(0)
const NO_VIEW = viewOf(NONE)
const encoder = new TextEncoder()
/** Of all builders of a thread that hand over what they built. */
const buffers = new BatchBuffers()

/**
 * Builds one batch after the other in a buffer of its own that grows as needed. Records keep their order and get the offsets 0, 1, 2 ...
 * The base time is the time of the first record; later records may be earlier.
 * @throws {MillraceError} `MR_TIME_NEGATIVE` for a time below zero, not a number or behind the year 275760; `MR_CODEC_TOO_LARGE` above 1 GiB.
 */
export class RecordBatchBuilder {
  #bytes: Uint8Array
  #view: DataView
  #at = BATCH_HEADER_BYTES
  #count = 0
  #baseTimeMs = 0
  #maxTimeMs = 0
  // The source of the last range with a view on it: callers hand in the same large buffer again and again.
  #source: Uint8Array = NONE
  #sourceView: DataView = viewOf(NONE)
  /** Bytes of the batch handed over last: the next one may come to as much. */
  #handedOver = 0

  constructor(bytes = 65_536) {
    this.#bytes = new Uint8Array(Math.max(bytes, 256))
    this.#view = viewOf(this.#bytes)
  }

  /** Records so far. */
  get count(): number {
    return this.#count
  }

  /** Bytes so far, the batch header included. */
  get bytes(): number {
    return this.#at
  }

  append(key: Uint8Array | null, value: Uint8Array | null, timeMs: number, headers?: readonly RecordHeader[]): void {
    const keyEnd = key === null ? 0 : key.length
    const valueEnd = value === null ? 0 : value.length
    if (headers === undefined || headers.length === 0) return this.appendRange(key, 0, keyEnd, value, 0, valueEnd, timeMs)
    const tail = encodeHeaders(headers)
    this.#frame(keyEnd, key === null, valueEnd, value === null, tail.length, timeMs)
    if (key !== null) this.#bytes.set(key, this.#keyAt)
    if (value !== null) this.#bytes.set(value, this.#valueAt)
    this.#bytes.set(tail, this.#at)
    this.#at += tail.length
  }

  /** Appends key[keyStart .. keyEnd) and value[valueStart .. valueEnd) without an object per record. The ranges must lie inside their arrays. */
  appendRange(
    key: Uint8Array | null,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array | null,
    valueStart: number,
    valueEnd: number,
    timeMs: number,
  ): void {
    const keySize = key === null ? 0 : keyEnd - keyStart
    const valueSize = value === null ? 0 : valueEnd - valueStart
    this.#frame(keySize, key === null, valueSize, value === null, 1, timeMs)
    if (key !== null && keySize > 0) this.#copy(key, keyStart, keyEnd, this.#keyAt)
    if (value !== null && valueSize > 0) this.#copy(value, valueStart, valueEnd, this.#valueAt)
    this.#bytes[this.#at++] = 0
  }

  /**
   * The finished batch with base offset 0 and its CRC. The builder keeps its records until `reset()`.
   * At least one record must have been appended.
   */
  finish(options: FinishOptions = {}): Uint8Array {
    assert(this.#count > 0, 'a batch needs at least one record')
    const view = this.#view
    const end = this.#at
    writeI64(view, 0, 0)
    view.setInt32(LENGTH_AT, end - LENGTH_FROM)
    view.setInt32(12, 0)
    view.setInt8(MAGIC_AT, BATCH_MAGIC)
    view.setInt16(ATTRIBUTES_AT, 0)
    view.setInt32(23, this.#count - 1)
    writeI64(view, 27, this.#baseTimeMs)
    writeI64(view, 35, this.#maxTimeMs)
    writeI64(view, 43, options.producerId ?? -1)
    view.setInt16(51, options.producerEpoch ?? -1)
    view.setInt32(53, options.baseSequence ?? -1)
    view.setInt32(57, this.#count)
    view.setUint32(CRC_AT, crc32c(this.#bytes, ATTRIBUTES_AT, end))
    if (options.copy === false) return this.#bytes.subarray(0, end)
    return end <= SHARED_BYTES_MAX ? shared(this.#bytes.subarray(0, end)) : this.#bytes.slice(0, end)
  }

  /**
   * The finished batch in the memory in which it was built, which is the caller's now: the builder goes on with the next batch in another.
   * Give it back with `reuseBatch` when nobody reads it any more.
   */
  handOver(): Uint8Array {
    const batch = this.finish({ copy: false })
    this.#handedOver = this.#at
    this.#bytes = NONE
    this.#view = viewOf(NONE)
    this.reset()
    return batch
  }

  /** Forgets the records and keeps the buffer. */
  reset(): void {
    this.#at = BATCH_HEADER_BYTES
    this.#count = 0
    this.#source = NONE
    this.#sourceView = NO_VIEW
  }

  // Where #frame left room for the key and the value of the record being appended.
  #keyAt = 0
  #valueAt = 0

  /** Writes all but key, value and the `tailSize` bytes of headers, makes room for them and counts the record. */
  #frame(keySize: number, keyNull: boolean, valueSize: number, valueNull: boolean, tailSize: number, timeMs: number): void {
    if (!(timeMs >= 0 && timeMs <= TIME_MAX_MS)) throw new MillraceError('MR_TIME_NEGATIVE', { details: { timeMs } })
    const time = Math.floor(timeMs)
    if (this.#at + RECORD_FRAME_BYTES_MAX + keySize + valueSize + tailSize > this.#bytes.length) this.#grow(keySize + valueSize + tailSize)
    if (this.#count === 0) {
      this.#baseTimeMs = time
      this.#maxTimeMs = time
    } else if (time > this.#maxTimeMs) this.#maxTimeMs = time
    const delta = time - this.#baseTimeMs
    const bytes = this.#bytes
    const offsetDelta = this.#count * 2
    const keyRaw = keyNull ? 1 : keySize * 2
    const valueRaw = valueNull ? 1 : valueSize * 2
    const body =
      1 + timeDeltaSize(delta) + varintSize(offsetDelta) + varintSize(keyRaw) + keySize + varintSize(valueRaw) + valueSize + tailSize
    let at = writeVarint(bytes, this.#at, body * 2)
    bytes[at++] = 0
    if (delta >= 0 && delta < 64) bytes[at++] = delta * 2
    else at = writeTimeDelta(bytes, at, delta)
    at = writeVarint(bytes, at, offsetDelta)
    at = writeVarint(bytes, at, keyRaw)
    this.#keyAt = at
    at = writeVarint(bytes, at + keySize, valueRaw)
    this.#valueAt = at
    this.#at = at + valueSize
    this.#count++
  }

  #copy(from: Uint8Array, start: number, end: number, to: number): void {
    if (end - start >= COPY_NATIVE_BYTES) {
      this.#bytes.set(end - start === from.length ? from : from.subarray(start, end), to)
      return
    }
    if (from !== this.#source) {
      if (end - start < 32) {
        // A small array of its own is not worth a view.
        for (let at = start; at < end; at++) this.#bytes[to++] = from[at] as number
        return
      }
      this.#source = from
      this.#sourceView = viewOf(from)
    }
    const source = this.#sourceView
    const target = this.#view
    const last = end - 8
    if (last < start) {
      for (let at = start; at < end; at++) target.setUint8(to++, source.getUint8(at))
      return
    }
    // Eight bytes at a time, never a BigInt object in optimised code; the last eight may overlap the ones before.
    const shift = to - start
    for (let at = start; at < last; at += 8) target.setBigUint64(at + shift, source.getBigUint64(at, true), true)
    target.setBigUint64(last + shift, source.getBigUint64(last, true), true)
  }

  #grow(size: number): void {
    const needed = this.#at + RECORD_FRAME_BYTES_MAX + size
    if (needed > BATCH_BYTES_MAX) throw new MillraceError('MR_CODEC_TOO_LARGE', { details: { bytes: needed, bytesMax: BATCH_BYTES_MAX } })
    const old = this.#bytes
    const grown = buffers.take(Math.min(BATCH_BYTES_MAX, Math.max(needed, old.length * 2, this.#count === 0 ? this.#handedOver : 0)))
    grown.set(old.subarray(0, this.#at))
    this.#bytes = grown
    this.#view = viewOf(grown)
    buffers.give(old)
  }
}

/** Takes back a batch that a builder handed over: its memory becomes that of a later one. */
export function reuseBatch(batch: Uint8Array): void {
  buffers.give(new Uint8Array(batch.buffer))
}

/** The buffer of this thread that takes small finished batches, and how much of it is taken. */
let sharedBuffer = NONE
let sharedAt = 0

function shared(batch: Uint8Array): Uint8Array {
  if (sharedAt + batch.length > sharedBuffer.length) {
    sharedBuffer = new Uint8Array(SHARED_BUFFER_BYTES)
    sharedAt = 0
  }
  const copy = sharedBuffer.subarray(sharedAt, sharedAt + batch.length)
  copy.set(batch)
  sharedAt += batch.length
  return copy
}

/** A batch of these records, at least one. For low volumes. */
export function recordBatch(records: readonly RecordInput[], options: FinishOptions = {}): Uint8Array {
  const builder = new RecordBatchBuilder(256)
  for (const record of records) builder.append(record.key, record.value, record.timeMs, record.headers)
  return builder.finish(options)
}

function encodeHeaders(headers: readonly RecordHeader[]): Uint8Array {
  const keys = headers.map((header) => encoder.encode(header.key))
  let size = 5
  for (const [index, header] of headers.entries()) size += 10 + (keys[index] as Uint8Array).length + (header.value?.length ?? 0)
  const bytes = new Uint8Array(size)
  let at = writeVarint(bytes, 0, headers.length * 2)
  for (const [index, header] of headers.entries()) {
    const key = keys[index] as Uint8Array
    at = writeVarint(bytes, at, key.length * 2)
    bytes.set(key, at)
    at = writeVarint(bytes, at + key.length, header.value === null ? 1 : header.value.length * 2)
    if (header.value === null) continue
    bytes.set(header.value, at)
    at += header.value.length
  }
  return bytes.subarray(0, at)
}

/** `raw` is a number already in zigzag form, 0 <= raw < 2^32. */
function varintSize(raw: number): number {
  return raw < 128 ? 1 : raw < 16_384 ? 2 : raw < 2_097_152 ? 3 : raw < 268_435_456 ? 4 : 5
}

function writeVarint(bytes: Uint8Array, start: number, raw: number): number {
  if (raw < 128) {
    bytes[start] = raw
    return start + 1
  }
  bytes[start] = (raw & 127) | 128
  let at = start + 1
  let rest = raw >>> 7
  for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 128
  bytes[at++] = rest
  return at
}

function timeDeltaSize(delta: number): number {
  if (delta >= -DELTA_FAST && delta < DELTA_FAST) return varintSize(((delta << 1) ^ (delta >> 31)) >>> 0)
  let size = 1
  for (let rest = Math.floor((delta < 0 ? -delta - 1 : delta) / 64); rest > 0; rest = Math.floor(rest / 128)) size++
  return size
}

/** Zigzag for numbers beyond 32 bits without BigInt: the first byte carries the sign and six bits of the magnitude, the others seven. */
function writeTimeDelta(bytes: Uint8Array, start: number, delta: number): number {
  if (delta >= -DELTA_FAST && delta < DELTA_FAST) return writeVarint(bytes, start, ((delta << 1) ^ (delta >> 31)) >>> 0)
  const magnitude = delta < 0 ? -delta - 1 : delta
  let rest = Math.floor(magnitude / 64)
  let at = start
  bytes[at++] = ((magnitude % 64) << 1) | (delta < 0 ? 1 : 0) | (rest > 0 ? 128 : 0)
  while (rest > 0) {
    const more = Math.floor(rest / 128)
    bytes[at++] = (rest % 128) | (more > 0 ? 128 : 0)
    rest = more
  }
  return at
}
