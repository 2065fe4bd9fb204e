// Splits a body into events: ranges of its bytes, never decoded and never written again. What is no JSON stays whole, so that the bytes a
// producer sent are what the dead letters show.
//   one    a JSON document, or anything that is neither of the others
//   array  the elements of a JSON array
//   lines  NDJSON: one event per line, blank lines left out
import { csvSplitter, FAIL, skipSpace, skipValue, type SplitBatch } from '@millrace/core/engine'

export type BodyShape = 'one' | 'array' | 'lines'

/** How a body is to be read. `detect` looks at its content; `whole` never splits. */
export type BodyForm = 'detect' | 'lines' | 'csv' | 'whole'

/** Events of the last body; reused by the next one. Event i is bytes[starts[i] .. ends[i]). */
export class BodySplitter {
  bytes: Buffer = Buffer.alloc(0)
  starts: Int32Array = new Int32Array(1024)
  ends: Int32Array = new Int32Array(1024)
  /** Line of the body (lines), else the event's number from 1. */
  lines: Int32Array = new Int32Array(1024)
  count = 0
  shape: BodyShape = 'one'

  split(body: Buffer, form: BodyForm): void {
    this.bytes = body
    this.count = 0
    this.shape = 'one'
    if (body.length === 0) return
    if (form === 'csv') return this.#csv()
    const start = hasMark(body) ? 3 : 0
    if (form === 'whole') return this.#push(0, body.length, 1)
    if (form === 'lines') return this.#lines(start)
    this.#detect(start)
  }

  #detect(start: number): void {
    const body = this.bytes
    const end = body.length
    const first = skipSpace(body, start, end)
    if (first >= end) return
    const isArray = body[first] === 91
    // One event without a line end inside is the common case, and needs no look at its content.
    if (!isArray && body.indexOf(10, first) < 0) return this.#push(first, trimmedEnd(body, first, end), 1)
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    const behind = skipValue(body, view, first, end, 0)
    if (behind !== FAIL) {
      const rest = skipSpace(body, behind, end)
      if (rest === end) return isArray ? this.#array(view, first, behind) : this.#push(first, behind, 1)
      if (body.subarray(behind, rest).includes(10)) return this.#lines(start)
    } else if (endsWithDocument(body, view, first, end)) return this.#lines(start)
    this.#push(first, trimmedEnd(body, first, end), 1)
  }

  #array(view: DataView, open: number, behind: number): void {
    this.shape = 'array'
    const body = this.bytes
    let at = skipSpace(body, open + 1, behind)
    while (body[at] !== 93) {
      const end = skipValue(body, view, at, behind, 1)
      this.#push(at, end, this.count + 1)
      at = skipSpace(body, end, behind)
      if (body[at] === 44) at = skipSpace(body, at + 1, behind)
    }
  }

  #lines(start: number): void {
    this.shape = 'lines'
    const body = this.bytes
    const end = body.length
    for (let line = 1, at = start; at < end; line++) {
      const feed = body.indexOf(10, at)
      const next = feed < 0 ? end : feed
      const stop = trimmedEnd(body, at, next)
      const begin = stop > at && (body[at] as number) <= 32 ? skipSpace(body, at, stop) : at
      if (stop > begin) this.#push(begin, stop, line)
      at = next + 1
    }
  }

  #csv(): void {
    this.shape = 'lines'
    const splitter = csvSplitter()
    this.#take(splitter.push(this.bytes))
    this.#take(splitter.end())
  }

  /** The body is whole, so all records are ranges of it; those of another buffer begin at its position in the stream. */
  #take(batch: SplitBatch): void {
    const shift = batch.bytes === this.bytes ? 0 : batch.position
    for (let index = 0; index < batch.count; index++) {
      this.#push((batch.starts[index] as number) + shift, (batch.ends[index] as number) + shift, batch.lines[index] as number)
    }
  }

  #push(start: number, end: number, line: number): void {
    const at = this.count++
    if (at === this.starts.length) this.#grow()
    this.starts[at] = start
    this.ends[at] = end
    this.lines[at] = line
  }

  #grow(): void {
    const size = this.starts.length * 2
    for (const name of ['starts', 'ends', 'lines'] as const) {
      const grown = new Int32Array(size)
      grown.set(this[name])
      this[name] = grown
    }
  }
}

function hasMark(body: Buffer): boolean {
  return body.length >= 3 && body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
}

/** The end without white space before it. */
function trimmedEnd(body: Buffer, start: number, end: number): number {
  while (end > start) {
    const byte = body[end - 1]
    if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) break
    end--
  }
  return end
}

/** A body whose first document is broken is still one event per line when its last line is a whole object: only that line is broken. */
function endsWithDocument(body: Buffer, view: DataView, first: number, end: number): boolean {
  const stop = trimmedEnd(body, first, end)
  const feed = body.lastIndexOf(10, stop - 1)
  if (feed < first || body[first] === 91) return false
  const at = skipSpace(body, feed + 1, stop)
  return body[at] === 123 && skipValue(body, view, at, stop, 0) === stop
}
