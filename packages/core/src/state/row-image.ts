// Row images: the values of a row as bytes, in changelog records. Little endian, 4-byte units, so that writing is a copy of words:
//   u32 head: 1 (version) + 256 when a mask of promoted columns follows | u32 mask[ceil(columns / 32)]? | u32 nulls[nullWords]
//   | 8 bytes per column: f64, i64 when the mask says so, or u32 length + 0 | the bytes of the variable-length columns, in column order
// The reader needs the writer's layout and nothing else.
import { assert } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import type { ByteArena } from './byte-arena.ts'
import { NULL_WORD, type RowFormat } from './row-format.ts'

const VERSION = 1
const PROMOTED = 256
const FIRST_BYTES = 4096

/** A buffer that one change is written to: prefix and key, then from `imageStart` on the image. Reused from row to row. */
export class ImageWriter {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES)
  keyEnd = 0
  imageStart = 0
  imageEnd = 0
  #words = new Int32Array(this.bytes.buffer)
  readonly #format: RowFormat
  readonly #arena: ByteArena

  constructor(format: RowFormat, arena: ByteArena) {
    this.#format = format
    this.#arena = arena
  }

  writeKey(prefix: Uint8Array, key: Uint8Array, start: number, length: number): void {
    this.#reserve(prefix.length + length + 8)
    const bytes = this.bytes
    let at = 0
    for (; at < prefix.length; at++) bytes[at] = prefix[at] as number
    if (length <= 64) for (let i = 0; i < length; i++) bytes[at + i] = key[start + i] as number
    else bytes.set(key.subarray(start, start + length), at)
    this.keyEnd = at + length
    this.imageStart = (this.keyEnd + 3) & ~3
  }

  /** Writes the image of the row at words[at] behind the key. */
  writeImage(words: Int32Array, at: number, promoted: readonly boolean[], anyPromoted: boolean): void {
    const format = this.#format
    this.#reserve(this.imageStart + (format.stride + 2 + (format.lanes.length >>> 5)) * 4)
    const out = this.#words
    let to = this.imageStart >>> 2
    out[to++] = anyPromoted ? VERSION | PROMOTED : VERSION
    if (anyPromoted) to = writeMask(promoted, out, to)
    for (let word = 0; word < format.nullWords; word++) out[to++] = words[at + NULL_WORD + word] as number
    const lanes = to
    const from = at + format.laneWord
    const laneWords = format.stride - format.laneWord
    for (let word = 0; word < laneWords; word++) out[lanes + word] = words[from + word] as number
    this.imageEnd = (lanes + laneWords) * 4
    if (format.bytesLanes.length > 0) this.#writeBytes(words, at, lanes)
  }

  #writeBytes(words: Int32Array, at: number, lanes: number): void {
    const format = this.#format
    for (const lane of format.bytesLanes) {
      const reference = words[at + lane.word] as number
      const size = words[at + lane.word + 1] as number
      const to = lanes + lane.word - format.laneWord
      this.#words[to] = size
      this.#words[to + 1] = 0
      if (size === 0) continue
      this.#reserve(this.imageEnd + size)
      const offset = this.#arena.offset(reference)
      this.bytes.set(this.#arena.chunk(reference).subarray(offset, offset + size), this.imageEnd)
      this.imageEnd += size
    }
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    const grown = new Uint8Array((Math.max(size, this.bytes.length * 2) + 7) & ~7)
    grown.set(this.bytes)
    this.bytes = grown
    this.#words = new Int32Array(grown.buffer)
  }
}

function writeMask(promoted: readonly boolean[], out: Int32Array, at: number): number {
  for (let first = 0; first < promoted.length; first += 32) {
    let mask = 0
    for (let bit = 0; bit < 32; bit++) if (promoted[first + bit] === true) mask |= 1 << bit
    out[at++] = mask
  }
  return at
}

/** What a decoded image is put into. */
export interface ImageTarget {
  setNull(column: number): void
  setNumber(column: number, value: number): void
  setInteger(column: number, value: bigint): void
  setBytes(column: number, data: Uint8Array, start: number, end: number): void
}

/**
 * Decodes an image by its writer's format: column i of the target comes from column columns[i] of the writer, -1 is null.
 * @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT` when the image does not fit the format.
 */
export function readImage(view: DataView, bytes: Uint8Array, start: number, end: number, writer: RowFormat, columns: readonly number[] | null, target: ImageTarget): void {
  const head = end - start >= 4 ? view.getUint32(start, true) : 0
  const count = writer.lanes.length
  const maskWords = head & PROMOTED ? Math.ceil(count / 32) : 0
  const nulls = start + 4 + maskWords * 4
  const lanes = nulls + writer.nullWords * 4
  const variable = lanes + count * 8
  if ((head & 0xff) !== VERSION || variable > end) throw corruptImage(end - start)
  const width = columns === null ? count : columns.length
  for (let column = 0; column < width; column++) {
    const from = columns === null ? column : (columns[column] as number)
    const lane = writer.lanes[from]
    if (lane === undefined || (lane.nullMask !== 0 && view.getInt32(nulls + (lane.nullWord - NULL_WORD) * 4, true) & lane.nullMask)) {
      target.setNull(column)
      continue
    }
    const at = lanes + from * 8
    if (lane.kind === 'bytes') {
      const dataStart = variable + bytesBefore(view, lanes, writer, from)
      const dataEnd = dataStart + view.getUint32(at, true)
      if (dataEnd > end) throw corruptImage(end - start)
      target.setBytes(column, bytes, dataStart, dataEnd)
    } else if (maskWords > 0 && view.getInt32(start + 4 + (from >>> 5) * 4, true) & (1 << (from & 31))) target.setInteger(column, view.getBigInt64(at, true))
    else target.setNumber(column, view.getFloat64(at, true))
  }
}

function bytesBefore(view: DataView, lanes: number, writer: RowFormat, column: number): number {
  let size = 0
  for (let index = 0; index < column; index++) if (writer.lanes[index]?.kind === 'bytes') size += view.getUint32(lanes + index * 8, true)
  return size
}

function corruptImage(size: number): MillraceError {
  assert(size >= 0, 'a range does not end before it starts')
  return new MillraceError('MR_STATE_CHANGELOG_CORRUPT', { details: { bytes: size } })
}
