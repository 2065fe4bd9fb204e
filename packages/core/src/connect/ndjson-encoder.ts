// The selected rows of batches as lines of JSON, written out in large pieces: an encoder of one file (file-set.ts).
import type { Batch, Column, Field } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { type RowEncoder, rowEncoder, writeValue } from '../codec/json/encoder.ts'
import { isMillraceError } from '../base/errors.ts'
import { areOpenRows, OPEN_ROW, type SinkContext } from './sink.ts'
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
  readonly #reject: SinkContext['reject']
  #rows = new Int32Array(STEP_ROWS)

  constructor(fields: readonly Field[], times: LineTimes = 'ms', reject: SinkContext['reject'] = rethrow) {
    this.#reject = reject
    const isOpen = areOpenRows(fields)
    this.#iso = times === 'iso' && !isOpen ? new IsoTimes(fields) : null
    this.#encode = isOpen ? openRowEncoder : rowEncoder(this.#iso === null ? fields : isoFields(fields), { lines: true })
  }

  /** Appends the live rows `from .. to` (counted among the live ones), at most STEP_ROWS of them. Returns how many could be written. */
  append(into: GrowingBytes, batch: Batch, from: number, to: number): number {
    const rows = batch.selected === null ? this.#range(from, to) : batch.selected.subarray(from, to)
    const columns = this.#iso === null ? batch.columns : this.#iso.columns(batch, rows, to - from)
    const start = into.at
    try {
      this.#encode(into, columns, rows, to - from, this.#offsets)
      return to - from
    } catch (error) {
      if (isMillraceError(error) && error.kind === 'internal') throw error
      into.at = start
    }
    return this.#appendSingly(into, columns, rows.subarray(0, to - from))
  }

  /** After a row that cannot be written (a cycle, a getter that throws): it is refused, and the others go on. */
  #appendSingly(into: GrowingBytes, columns: readonly (Column | null)[], rows: Int32Array): number {
    let written = 0
    for (const row of rows) {
      const start = into.at
      try {
        this.#encode(into, columns, Int32Array.of(row), 1, this.#offsets)
        written++
      } catch (error) {
        into.at = start
        this.#reject(row, error instanceof Error ? error : new Error('the row threw what is no error', { cause: error }))
      }
    }
    return written
  }

  #range(from: number, to: number): Int32Array {
    for (let row = from; row < to; row++) this.#rows[row - from] = row
    return this.#rows
  }
}

function rethrow(_row: number, error: Error): void {
  throw error
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
  /** Rows that came, the refused ones too. */
  #seen = 0

  /** @param pieceBytes Bytes that are gathered before they are written. */
  constructor(lines: LineWriter, output: FileOutput, pieceBytes: number) {
    this.#lines = lines
    this.#output = output
    this.#pieceBytes = pieceBytes
  }

  write(batch: Batch): void {
    const total = batch.selected === null ? batch.rowCount : batch.selectedCount
    for (let from = 0; from < total;) {
      const to = Math.min(total, from + STEP_ROWS - (this.#seen % STEP_ROWS))
      this.#rowCount += this.#lines.append(this.#into, batch, from, to)
      this.#seen += to - from
      from = to
      if (this.#seen % STEP_ROWS === 0 && this.#into.at >= this.#pieceBytes) this.#writeOut()
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
