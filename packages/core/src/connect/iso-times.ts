// Time columns as texts of ISO-8601, for sinks whose lines people and other tools read. Times inside lists and structs stay milliseconds.
import type { Batch, Column, Field } from '../codec/column.ts'

/** `2026-01-01T12:00:00.000Z`; years of more than four digits are longer. */
const TEXT_BYTES = 24
const TEXT_BYTES_MAX = 27
const TIME_MS_MAX = 8.64e15
const ZERO = 48
const DAY_MS = 86_400_000

/** What `iso` writes of fields: those with times are texts. */
export function isoFields(fields: readonly Field[]): readonly Field[] {
  return fields.map((field) => (field.type.kind === 'time' ? { ...field, type: { kind: 'string' } } : field))
}

/** Turns the time columns of batches into texts. Made once per writer: its memory is used again. */
export class IsoTimes {
  readonly #times: readonly number[]
  readonly #texts: readonly TimeTexts[]

  constructor(fields: readonly Field[]) {
    this.#times = fields.flatMap((field, index) => (field.type.kind === 'time' ? [index] : []))
    this.#texts = this.#times.map(() => new TimeTexts())
  }

  /** The columns of a batch, valid in `rows` until the next call. */
  columns(batch: Batch, rows: Int32Array, count: number): readonly (Column | null)[] {
    if (this.#times.length === 0) return batch.columns
    const columns = [...batch.columns]
    for (const [place, index] of this.#times.entries()) {
      const column = columns[index] ?? null
      if (column !== null) columns[index] = (this.#texts[place] as TimeTexts).of(column, batch.rowCount, rows, count)
    }
    return columns
  }
}

class TimeTexts {
  #data = new Uint8Array(0)
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  #validity = new Uint8Array(0)
  /** The day of the newest text, and its first eleven bytes. */
  #day = Number.NaN
  readonly #date = new Uint8Array(11)

  of(column: Column, rowCount: number, rows: Int32Array, count: number): Column {
    if (column.layout !== 'f64' && column.layout !== 'i64' && column.layout !== 'i32') return column
    if (this.#starts.length < rowCount) {
      this.#starts = new Int32Array(rowCount)
      this.#ends = new Int32Array(rowCount)
      this.#validity = new Uint8Array(rowCount)
    }
    if (this.#data.length < count * TEXT_BYTES_MAX) this.#data = new Uint8Array(count * TEXT_BYTES_MAX)
    let at = 0
    for (let index = 0; index < count; index++) {
      const row = rows[index] as number
      const timeMs = Number(column.values[row])
      const isThere = (column.validity === null || column.validity[row] === 1) && Math.abs(timeMs) <= TIME_MS_MAX
      this.#validity[row] = isThere ? 1 : 0
      this.#starts[row] = at
      if (isThere) at = this.#write(timeMs, at)
      this.#ends[row] = at
    }
    return { layout: 'slice', data: this.#data, starts: this.#starts, ends: this.#ends, validity: this.#validity }
  }

  /** Behind the text. */
  #write(timeMs: number, at: number): number {
    const data = this.#data
    const day = Math.floor(timeMs / DAY_MS)
    if (day !== this.#day) {
      const text = new Date(day * DAY_MS).toISOString()
      if (text.length !== TEXT_BYTES) return writeText(data, at, new Date(timeMs).toISOString())
      writeText(this.#date, 0, text.slice(0, 11))
      this.#day = day
    }
    data.set(this.#date, at)
    const inDay = Math.floor(timeMs) - day * DAY_MS
    const seconds = Math.floor(inDay / 1000)
    twoDigits(data, at + 11, Math.floor(seconds / 3600))
    data[at + 13] = 58
    twoDigits(data, at + 14, Math.floor(seconds / 60) % 60)
    data[at + 16] = 58
    twoDigits(data, at + 17, seconds % 60)
    data[at + 19] = 46
    data[at + 20] = ZERO + Math.floor((inDay % 1000) / 100)
    twoDigits(data, at + 21, inDay % 100)
    data[at + 23] = 90
    return at + TEXT_BYTES
  }
}

function twoDigits(data: Uint8Array, at: number, value: number): void {
  data[at] = ZERO + Math.floor(value / 10)
  data[at + 1] = ZERO + (value % 10)
}

function writeText(data: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) data[at + index] = text.charCodeAt(index)
  return at + text.length
}
