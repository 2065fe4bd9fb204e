// Row images: the values of a row as a binary row (codec/binary-row.ts), written straight from its lanes and read straight into them; the
// values of changelog records. The reader needs the writer's layout and nothing else.
import { places, type Place } from '../codec/binary-row.ts'
import { MillraceError } from '../base/errors.ts'
import type { ByteArena } from './byte-arena.ts'
import type { RowFormat } from './row-format.ts'
import type { Layout } from './store.ts'

const TWO_32 = 4294967296
const FIRST_BYTES = 4096

/** Where the values of a layout lie in its images. */
export interface ImageFormat {
  readonly places: readonly Place[]
  /** Bytes before the variable fields. */
  readonly fixedBytes: number
  readonly nullBytes: number
}

export function imageFormat(layout: Layout): ImageFormat {
  const { places: found, fixedBytes } = places(layout.value)
  return { places: found, fixedBytes, nullBytes: (layout.value.filter((field) => field.nullable).length + 7) >> 3 }
}

/** A buffer that one change is written to: prefix and key, then from `keyEnd` to `imageEnd` the image. Reused from row to row. */
export class ImageWriter {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES)
  keyEnd = 0
  imageEnd = 0
  #view = new DataView(this.bytes.buffer)
  readonly #rows: RowFormat
  readonly #image: ImageFormat
  readonly #arena: ByteArena

  constructor(rows: RowFormat, image: ImageFormat, arena: ByteArena) {
    this.#rows = rows
    this.#image = image
    this.#arena = arena
  }

  writeKey(prefix: Uint8Array, key: Uint8Array, start: number, length: number): void {
    this.#reserve(prefix.length + length)
    const bytes = this.bytes
    let at = 0
    for (; at < prefix.length; at++) bytes[at] = prefix[at] as number
    if (length <= 32) for (let i = 0; i < length; i++) bytes[at + i] = key[start + i] as number
    else bytes.set(key.subarray(start, start + length), at)
    this.keyEnd = at + length
  }

  /** Writes the image of the row that starts at words[at] behind the key. `bigs` is the same buffer, for promoted columns. */
  writeImage(words: Int32Array, floats: Float64Array, at: number, promoted: readonly boolean[]): void {
    const { places, fixedBytes, nullBytes } = this.#image
    const start = this.keyEnd
    this.#reserve(start + fixedBytes)
    const view = this.#view
    const lanes = this.#rows.lanes
    // Both number the nullable columns in order, so the null bits are the same, 32 to a word here and 8 to a byte there.
    const nullWord = at + this.#rows.nullWord
    for (let byte = 0; byte < nullBytes; byte++)
      view.setUint8(start + byte, (words[nullWord + (byte >> 2)] as number) >>> ((byte & 3) << 3))
    let end = start + fixedBytes
    for (let column = 0; column < places.length; column++) {
      const place = places[column] as Place
      const word = at + (lanes[column] as { readonly word: number }).word
      const to = start + place.at
      switch (place.lane) {
        case 'int':
          if (promoted[column] !== true) {
            const value = floats[word >> 1] as number
            const high = Math.floor(value / TWO_32)
            view.setInt32(to, value - high * TWO_32, true)
            view.setInt32(to + 4, high, true)
            break
          }
          view.setInt32(to, words[word] as number, true)
          view.setInt32(to + 4, words[word + 1] as number, true)
          break
        case 'f64':
          view.setInt32(to, words[word] as number, true)
          view.setInt32(to + 4, words[word + 1] as number, true)
          break
        case 'i32':
          view.setInt32(to, floats[word >> 1] as number, true)
          break
        case 'bool':
          view.setUint8(to, floats[word >> 1] as number)
          break
        default:
          end = this.#appendBlock(words[word] as number, words[word + 1] as number, end)
          this.#view.setUint32(to, end - start - fixedBytes, true)
          // Room may have been made: go on in the new buffer.
          if (view !== this.#view) return this.#finishImage(words, floats, at, promoted, column + 1, end)
      }
    }
    this.imageEnd = end
  }

  /** The rest of an image whose buffer had to grow: rare, so it simply starts over with enough room. */
  #finishImage(words: Int32Array, floats: Float64Array, at: number, promoted: readonly boolean[], from: number, end: number): void {
    let size = end
    for (const lane of this.#rows.lanes.slice(from)) if (lane.kind === 'bytes') size += words[at + lane.word + 1] as number
    this.#reserve(size)
    this.writeImage(words, floats, at, promoted)
  }

  #appendBlock(reference: number, size: number, at: number): number {
    if (size === 0) return at
    this.#reserve(at + size)
    const offset = this.#arena.offset(reference)
    const chunk = this.#arena.chunk(reference)
    const bytes = this.bytes
    if (size <= 32) for (let i = 0; i < size; i++) bytes[at + i] = chunk[offset + i] as number
    else bytes.set(chunk.subarray(offset, offset + size), at)
    return at + size
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(size, this.bytes.length * 2))
    grown.set(this.bytes)
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** What a decoded image is put into. */
export interface ImageTarget {
  setNull(slot: number, column: number): void
  setNumber(slot: number, column: number, value: number): void
  setInteger(slot: number, column: number, value: bigint): void
  setBytes(slot: number, column: number, data: Uint8Array, start: number, end: number): void
}

/**
 * Decodes the image bytes[start .. end) by its writer's format into the row `slot`: its column i comes from the writer's column columns[i]
 * (i when null); -1 is null. @throws {MillraceError} `MR_STATE_CHANGELOG_CORRUPT` when the image does not fit the format.
 */
export function readImage(
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
  writer: ImageFormat,
  columns: readonly number[] | null,
  target: ImageTarget,
  slot: number,
): void {
  const { places, fixedBytes } = writer
  const variable = start + fixedBytes
  if (variable > end) throw corruptImage(start, end)
  const width = columns === null ? places.length : columns.length
  for (let column = 0; column < width; column++) {
    const place = places[columns === null ? column : (columns[column] as number)]
    if (place === undefined || (place.nullBit >= 0 && (view.getUint8(start + (place.nullBit >> 3)) >> (place.nullBit & 7)) & 1)) {
      target.setNull(slot, column)
      continue
    }
    const at = start + place.at
    switch (place.lane) {
      case 'int': {
        const value = view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true)
        if (value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER) target.setNumber(slot, column, value)
        else target.setInteger(slot, column, view.getBigInt64(at, true))
        break
      }
      case 'f64':
        target.setNumber(slot, column, view.getFloat64(at, true))
        break
      case 'i32':
        target.setNumber(slot, column, view.getInt32(at, true))
        break
      case 'bool':
        target.setNumber(slot, column, view.getUint8(at))
        break
      default: {
        const from = place.variable === 0 ? variable : variable + view.getUint32(at - 4, true)
        const to = variable + view.getUint32(at, true)
        if (from > to || to > end) throw corruptImage(start, end)
        target.setBytes(slot, column, bytes, from, to)
      }
    }
  }
}

function corruptImage(start: number, end: number): MillraceError {
  return new MillraceError('MR_STATE_CHANGELOG_CORRUPT', { details: { bytes: end - start } })
}
