// Splits a byte stream into whole records, in batches that are ranges of one buffer, so that a file source appends raw bytes and nothing is
// copied but the record that spans two chunks. What a record's end is, NDJSON (ndjson.ts) and CSV (csv.ts) say.
import { GrowingBytes } from './growing-bytes.ts'

/** Complete records; valid until the next call. */
export interface SplitBatch {
  readonly bytes: Uint8Array
  /** Record i is bytes[starts[i] .. ends[i]), without its line end. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly count: number
  /** Line in the stream on which record i begins, from 1. */
  readonly lines: Float64Array
  /** Position in the stream of bytes[0]: record i begins at position + starts[i]. */
  readonly position: number
  /** Position behind the last complete record, and the line that begins there: where reading goes on after a restart. */
  readonly end: number
  readonly endLine: number
  /** Records longer than the limit, which are left out. */
  readonly refused: readonly RefusedRecord[]
}

export interface RefusedRecord {
  readonly code: 'MR_CODEC_TOO_LARGE'
  readonly line: number
  readonly position: number
  readonly bytes: number
}

export interface RecordBoundary {
  /** Position of the line feed that ends the record which begins at `start`, or -1; bytes before `searched` were searched before, without success. */
  find(bytes: Buffer, start: number, searched: number, end: number): number
  /** Whether a record is dropped without a word (blank lines). */
  isBlank(bytes: Uint8Array, start: number, end: number): boolean
  /** Whether a record can hold line feeds. */
  readonly multiline: boolean
}

export interface RecordSplitterOptions {
  /** Longest record in bytes. Default 16 MiB: memory is bounded by it, and one line that never ends must not take all of it. */
  readonly recordBytesMax?: number
  /** Position in the stream and line of the first byte that will be pushed, after a restart. Defaults 0 and 1. */
  readonly position?: number
  readonly line?: number
}

const RECORD_BYTES_MAX = 16 * 1024 * 1024

export class RecordSplitter {
  readonly #boundary: RecordBoundary
  readonly #recordBytesMax: number
  readonly #carry = new GrowingBytes(64 * 1024)
  /** The incomplete record is carry[carryStart .. carry.at). */
  #carryStart = 0
  /** Position in the stream of the next byte that is pushed. */
  #position: number
  #line: number
  /** Bytes of a record beyond the limit that were thrown away while its end is not seen; 0: none. */
  #dropped = 0
  #droppedLines = 0
  /** The last byte thrown away: a carriage return is no part of the record. */
  #droppedLast = 0
  #starts = new Int32Array(1024)
  #ends = new Int32Array(1024)
  #lines = new Float64Array(1024)
  #count = 0
  #refused: RefusedRecord[] = []

  constructor(boundary: RecordBoundary, options: RecordSplitterOptions = {}) {
    this.#boundary = boundary
    this.#recordBytesMax = options.recordBytesMax ?? RECORD_BYTES_MAX
    this.#position = options.position ?? 0
    this.#line = options.line ?? 1
  }

  /** The records that `chunk` completes. The chunk must not change until the next call. */
  push(chunk: Uint8Array): SplitBatch {
    const carried = this.#carry.at - this.#carryStart
    if (carried === 0) return this.#split(chunk, 0, 0, chunk.length, false)
    const carry = this.#carry
    carry.bytes.copyWithin(0, this.#carryStart, carry.at)
    carry.at = carried
    this.#carryStart = 0
    carry.copy(chunk, 0, chunk.length)
    return this.#split(carry.bytes, carried, 0, carry.at, true)
  }

  /** The last record, when the stream ends without a line end. */
  end(): SplitBatch {
    const start = this.#carryStart
    const end = this.#carry.at
    const position = this.#position - end
    this.#begin()
    if (this.#dropped > 0) this.#refuse(position + start - this.#dropped, this.#dropped + end - start)
    else if (end > start) this.#take(this.#carry.bytes, start, end, position)
    this.#carryStart = end
    return this.#batch(this.#carry.bytes, position, this.#position)
  }

  #begin(): void {
    this.#count = 0
    this.#refused = []
  }

  #split(data: Uint8Array, searchedBefore: number, from: number, end: number, isCarry: boolean): SplitBatch {
    this.#begin()
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const position = this.#position - searchedBefore
    let start = from
    if (position === 0 && end >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) start = 3 // a byte order mark is no part of the first record
    let searched = Math.max(start, searchedBefore)
    for (;;) {
      // Inside a record that is thrown away any line feed ends it: its quotes mean nothing any more.
      const feed = this.#dropped > 0 ? indexOfFeed(bytes, searched, end) : this.#find(bytes, start, searched, end)
      if (feed < 0) break
      if (this.#dropped > 0) {
        const last = feed > start ? data[feed - 1] : this.#droppedLast
        this.#refuse(position + start - this.#dropped, this.#dropped + feed - start - (last === 13 ? 1 : 0))
      } else this.#take(data, start, feed, position)
      start = feed + 1
      searched = start
    }
    this.#position = position + end
    this.#keep(data, start, end, isCarry)
    return this.#batch(data, position, position + start)
  }

  /** A record beyond the limit ends at the first line feed behind it, also inside quotes: how far one can look depends on the chunks, the result must not. */
  #find(bytes: Buffer, start: number, searched: number, end: number): number {
    const feed = this.#boundary.find(bytes, start, searched, end)
    if (!this.#boundary.multiline || (feed < 0 ? end : feed) - start <= this.#recordBytesMax + 1) return feed
    return indexOfFeed(bytes, start + this.#recordBytesMax + 2, end)
  }

  #keep(data: Uint8Array, start: number, end: number, isCarry: boolean): void {
    // One byte more may be the carriage return of a line end.
    if (this.#dropped > 0 || end - start > this.#recordBytesMax + 1) {
      this.#droppedLines += this.#boundary.multiline ? feedsIn(data, start, end) : 0
      this.#dropped += end - start
      if (end > start) this.#droppedLast = data[end - 1] as number
      start = end
    }
    if (isCarry) {
      this.#carryStart = start
      return
    }
    this.#carry.reset()
    this.#carryStart = 0
    this.#carry.copy(data, start, end)
  }

  #take(data: Uint8Array, start: number, feed: number, position: number): void {
    const end = feed > start && data[feed - 1] === 13 ? feed - 1 : feed
    const line = this.#line
    this.#line += this.#boundary.multiline ? 1 + feedsIn(data, start, end) : 1
    if (this.#boundary.isBlank(data, start, end)) return
    if (end - start > this.#recordBytesMax) {
      this.#refused.push({ code: 'MR_CODEC_TOO_LARGE', line, position: position + start, bytes: end - start })
      return
    }
    if (this.#count === this.#starts.length) this.#grow()
    const index = this.#count++
    this.#starts[index] = start
    this.#ends[index] = end
    this.#lines[index] = line
  }

  #refuse(position: number, bytes: number): void {
    this.#refused.push({ code: 'MR_CODEC_TOO_LARGE', line: this.#line, position, bytes })
    this.#line += 1 + this.#droppedLines
    this.#dropped = 0
    this.#droppedLines = 0
  }

  #grow(): void {
    const grown = this.#count * 2
    const starts = new Int32Array(grown)
    const ends = new Int32Array(grown)
    const lines = new Float64Array(grown)
    starts.set(this.#starts)
    ends.set(this.#ends)
    lines.set(this.#lines)
    this.#starts = starts
    this.#ends = ends
    this.#lines = lines
  }

  #batch(bytes: Uint8Array, position: number, end: number): SplitBatch {
    // A record that is thrown away is not over: a restart begins at its first byte, never inside it.
    const behind = this.#dropped > 0 ? this.#position - this.#dropped : end
    return {
      bytes,
      starts: this.#starts,
      ends: this.#ends,
      count: this.#count,
      lines: this.#lines,
      position,
      end: behind,
      endLine: this.#line,
      refused: this.#refused,
    }
  }
}

/** Position of the next line feed, or -1. */
export function indexOfFeed(bytes: Buffer, from: number, end: number): number {
  const at = bytes.indexOf(10, from)
  return at < 0 || at >= end ? -1 : at
}

function feedsIn(data: Uint8Array, start: number, end: number): number {
  let feeds = 0
  for (let at = start; at < end; at++) if (data[at] === 10) feeds++
  return feeds
}
