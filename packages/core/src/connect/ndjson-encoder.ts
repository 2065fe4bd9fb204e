// The selected rows of batches as lines of JSON, written out in large pieces: an encoder of one file (file-set.ts).
import type { Batch, Column, Field } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { type RowEncoder, rowEncoder, writeValue } from '../codec/json/encoder.ts'
import { areOpenRows, OPEN_ROW } from './sink.ts'
import type { FileEncoder, FileOutput } from './file-set.ts'

/** Rows between two looks at the size of the buffer: the pieces depend on the rows, not on how they came in batches. */
const STEP_ROWS = 1024
const FIRST_BYTES = 4096

/** Rows, and nothing of a file: what encoders of one writer share. */
export class LineWriter {
  readonly #encode: RowEncoder
  readonly #offsets = new Int32Array(STEP_ROWS)
  #rows = new Int32Array(STEP_ROWS)

  constructor(fields: readonly Field[]) {
    this.#encode = areOpenRows(fields) ? openRowEncoder : rowEncoder(fields, { lines: true })
  }

  /** Appends the live rows `from .. to` (counted among the live ones), at most STEP_ROWS of them. */
  append(into: GrowingBytes, batch: Batch, from: number, to: number): void {
    const rows = batch.selected === null ? this.#range(from, to) : batch.selected.subarray(from, to)
    this.#encode(into, batch.columns, rows, to - from, this.#offsets)
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
