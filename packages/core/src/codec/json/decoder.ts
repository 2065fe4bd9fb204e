// The projecting JSON decoder: JSON records into the columns that somebody reads. Three tiers, each of which hands what it does not
// understand exactly to the next: generated code for the records' usual layout (speculate.ts, unordered.ts), the general scanner (general.ts),
// JSON.parse (exact-row.ts). Law: whatever tier a record takes, the result is that of JSON.parse over a fatal UTF-8 decoder followed by
// schema coercion: equal values, or refused (json/decoder.property.test.ts).
import type { Field } from '../column.ts'
import { DecodedColumns } from '../decoded-columns.ts'
import { GeneralScanner } from './general.ts'
import { learnLayout, type RecordLayout } from './layout.ts'
import { compileScanner, type SpeculativeScanner } from './scan-batch.ts'
import { SCAN_SLOTS_MAX } from './scanner-memory.ts'
import { orderedModule } from './speculate.ts'
import { unorderedModule } from './unordered.ts'

/** Different layouts for which code is generated; a topic with more of them is scanned in general. */
const LAYOUTS_MAX = 8
/** Layouts tried in one batch before the rest of it is scanned in general. */
const TRIES_MAX = 4
const WARM_UP_RECORDS = 64
/** Records whose layouts are looked at before code is generated. */
const SAMPLE_RECORDS = 24

export interface JsonDecoderOptions {
  /** Indexes of string fields that the reader wants as dictionary ids. */
  readonly dictionary?: readonly number[]
  /** Holds the fields outside the projection to the schema, too: a record is good or bad whoever reads it. Default false. */
  readonly checked?: boolean
  /** False where `new Function` is forbidden, and for the oracle: every record is scanned in general. Default true. */
  readonly codegen?: boolean
  /** Records seen before code is generated. Default 64: a topic with a handful of records is not worth a compilation (about 0.2 ms). */
  readonly warmUpRecords?: number
}

/** Decodes batches of records; not shared between readers, since it learns from what it sees. */
export interface RecordDecoder {
  /** Fresh columns for this decoder; reuse them from batch to batch. */
  columns(): DecodedColumns
  /**
   * Decodes the records bytes[starts[row] .. ends[row]) for `count` rows: those numbered in `rows`, ascending, or 0..count-1. A negative start
   * is a record without a value. Rows keep their numbers in the columns. Returns how many rows are good; `into.errors` has the others.
   */
  decode(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, count: number, into: DecodedColumns, rows?: Int32Array | null): number
}

class JsonDecoder implements RecordDecoder {
  readonly #fields: readonly Field[]
  readonly #projection: readonly number[]
  readonly #dictionary: readonly number[]
  readonly #checked: boolean
  readonly #codegen: boolean
  readonly #general: GeneralScanner
  readonly #scanners = new Map<string, SpeculativeScanner | null>()
  #current: SpeculativeScanner | null = null
  readonly #warmUpRecords: number
  #records = 0

  constructor(fields: readonly Field[], projection: readonly number[], options: JsonDecoderOptions) {
    this.#fields = fields
    this.#projection = projection
    this.#dictionary = options.dictionary ?? []
    this.#checked = options.checked ?? false
    this.#codegen = options.codegen ?? true
    this.#warmUpRecords = options.warmUpRecords ?? WARM_UP_RECORDS
    this.#general = new GeneralScanner(this.columns())
  }

  columns(): DecodedColumns {
    return new DecodedColumns(this.#fields, this.#projection, this.#dictionary, this.#checked)
  }

  decode(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    count: number,
    into: DecodedColumns,
    rows: Int32Array | null = null,
  ): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    into.prepare(rows === null ? count : count === 0 ? 0 : (rows[count - 1] as number) + 1, rows !== null)
    const general = this.#general
    general.bind(bytes, view, into)
    let done = 0
    for (let tries = 0; this.#codegen && done < count && tries < TRIES_MAX; tries++) {
      if (this.#current === null) {
        if (this.#records + count < this.#warmUpRecords) break
        this.#current = this.#learn(bytes, view, starts, ends, rows, done, count, into)
        if (this.#current === null) break
      }
      done = this.#current(general, into, bytes, view, starts, ends, rows, done, count)
      if (done < count) this.#current = null
    }
    for (; done < count; done++) {
      const row = rows === null ? done : (rows[done] as number)
      general.row(row, starts[row] as number, ends[row] as number)
    }
    if (this.#records < this.#warmUpRecords) this.#records += count
    return into.finish(bytes, rows, count)
  }

  /**
   * A scanner for the records from `from` on: for their one layout, or, when the next records differ in order or in members, for all of
   * them together.
   */
  #learn(
    bytes: Uint8Array,
    view: DataView,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    from: number,
    count: number,
    into: DecodedColumns,
  ): SpeculativeScanner | null {
    const layouts = new Map<string, RecordLayout>()
    for (let i = from; i < count && i < from + SAMPLE_RECORDS; i++) {
      const row = rows === null ? i : (rows[i] as number)
      const start = starts[row] as number
      const layout = start < 0 ? null : learnLayout(bytes, view, start, ends[row] as number)
      if (layout !== null) layouts.set(layout.signature, layout)
    }
    const [only] = layouts.values()
    if (only === undefined) return null
    if (layouts.size === 1) return this.#compile(only.signature, into, () => orderedModule(only, into.slots))
    const sample = [...layouts.values()]
    const keys = [...new Set(sample.flatMap((layout) => layout.members.map((member) => member.key)))].sort()
    return (
      this.#compile(`any order ${JSON.stringify(keys)}`, into, () => unorderedModule(sample, into.slots)) ??
      this.#compile(only.signature, into, () => orderedModule(only, into.slots))
    )
  }

  #compile(signature: string, { slots }: DecodedColumns, makeModule: () => Uint8Array<ArrayBuffer> | null): SpeculativeScanner | null {
    const known = this.#scanners.get(signature)
    if (known !== undefined) return known
    if (this.#scanners.size >= LAYOUTS_MAX || slots.length > SCAN_SLOTS_MAX) return null
    const module = makeModule()
    const scanner = module === null ? null : compileScanner(module)
    this.#scanners.set(signature, scanner)
    return scanner
  }
}

/**
 * A decoder of JSON records with `fields`, filling only the fields whose indexes stand in `projection`; the whole document is validated, and
 * with `checked` each of `fields` held to its type.
 */
export function jsonDecoder(fields: readonly Field[], projection: readonly number[], options: JsonDecoderOptions = {}): RecordDecoder {
  return new JsonDecoder(fields, projection, options)
}
