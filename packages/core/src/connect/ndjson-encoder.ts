// The selected rows of batches as lines of JSON, written out in large pieces: an encoder of one file (file-set.ts).
import type { Batch, Column, Field } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { type RowEncoder, rowEncoder, writeValue } from '../codec/json/encoder.ts'
import { areOpenRows, OPEN_ROW } from './sink.ts'
import { isoFields, IsoTimes } from './iso-times.ts'
import type { SettingField } from './spec.ts'
import type { FileEncoder, FileOutput } from './file-set.ts'

/** Rows between two looks at the size of the buffer: the pieces depend on the rows, not on how they came in batches. */
const STEP_ROWS = 1024
const FIRST_BYTES = 4096

/** How times stand in lines. */
export type LineTimes = 'ms' | 'iso'

/** The setting of the sinks that write lines. */
export const TIMES_FIELD: SettingField = {
  name: 'times',
  type: 'string',
  unit: null,
  default: 'ms',
  choices: ['ms', 'iso'],
  advice:
    'How fields of type time are written: milliseconds, or texts such as `2026-01-01T12:00:00.000Z`. Times inside lists and structs stay milliseconds.',
}

/** Rows, and nothing of a file: what encoders of one writer share. */
export class LineWriter {
  readonly #encode: RowEncoder
  readonly #offsets = new Int32Array(STEP_ROWS)
  readonly #iso: IsoTimes | null
  #rows = new Int32Array(STEP_ROWS)

  constructor(fields: readonly Field[], times: LineTimes = 'ms') {
    const isOpen = areOpenRows(fields)
    this.#iso = times === 'iso' && !isOpen ? new IsoTimes(fields) : null
    this.#encode = isOpen ? openRowEncoder : rowEncoder(this.#iso === null ? fields : isoFields(fields), { lines: true })
  }

  /** Appends the live rows `from .. to` (counted among the live ones), at most STEP_ROWS of them. */
  append(into: GrowingBytes, batch: Batch, from: number, to: number): void {
    const rows = batch.selected === null ? this.#range(from, to) : batch.selected.subarray(from, to)
    const columns = this.#iso === null ? batch.columns : this.#iso.columns(batch, rows, to - from)
    this.#encode(into, columns, rows, to - from, this.#offsets)
  }

  #range(from: number, to: number): Int32Array {
    for (let row = from; row < to; row++) this.#rows[row - from] = row
    return this.#rows
  }
}

/** Rows that are JavaScript values, as their JSON. */
function openRowEncoder(
  into: GrowingBytes,
  columns: readonly (Column | null)[],
  rows: Int32Array | null,
  count: number,
  offsets: Int32Array,
): void {
  const column = columns[0] ?? null
  for (let i = 0; i < count; i++) {
    offsets[i] = into.at
    writeValue(into, column, OPEN_ROW, rows === null ? i : (rows[i] as number))
    into.u8(10)
  }
}

export class NdjsonEncoder implements FileEncoder {
  readonly #lines: LineWriter
  readonly #output: FileOutput
  readonly #pieceBytes: number
  #into: GrowingBytes = new GrowingBytes(FIRST_BYTES)
  #rowCount = 0

  /** @param pieceBytes Bytes that are gathered before they are written. */
  constructor(lines: LineWriter, output: FileOutput, pieceBytes: number) {
    this.#lines = lines
    this.#output = output
    this.#pieceBytes = pieceBytes
  }

  write(batch: Batch): void {
    const total = batch.selected === null ? batch.rowCount : batch.selectedCount
    for (let from = 0; from < total;) {
      const to = Math.min(total, from + STEP_ROWS - (this.#rowCount % STEP_ROWS))
      this.#lines.append(this.#into, batch, from, to)
      this.#rowCount += to - from
      from = to
      if (this.#rowCount % STEP_ROWS === 0 && this.#into.at >= this.#pieceBytes) this.#writeOut()
    }
  }

  #writeOut(): void {
    if (this.#into.at === 0) return
    this.#output.write(this.#into.bytes.subarray(0, this.#into.at))
    this.#into.reset()
  }

  flush(): void {
    this.#writeOut()
    this.#into = new GrowingBytes(FIRST_BYTES)
  }

  finish(): { readonly rowCount: number; readonly size: number } {
    this.#writeOut()
    return { rowCount: this.#rowCount, size: this.#output.position }
  }

  get rowCount(): number {
    return this.#rowCount
  }

  get bufferedBytes(): number {
    return this.#into.at
  }

  get memoryBytes(): number {
    return this.#into.bytes.length
  }
}
