// From key columns to slots, a batch at a time. One number goes to the index as a pair of words, without bytes in between; a string column
// with a dictionary is looked up once per distinct value; everything else is encoded by the codec's KeyWriter first.
// All ways give the bytes of codec/key-bytes.ts.
import type { Column, DictionaryColumn, Field } from '../../codec/column.ts'
import { KeyWriter } from '../../codec/key-bytes.ts'
import { swapWord } from '../../codec/swap-word.ts'
import type { KeyIndex } from './key-index.ts'

const TWO_32 = 4294967296

export class ColumnKeys {
  readonly #index: KeyIndex
  readonly #writer: KeyWriter
  readonly #single: Field | null
  #pairs = new Int32Array(0)
  #seen = new Int32Array(0)
  #entries = new Int32Array(0)
  #entrySlots = new Int32Array(0)

  constructor(index: KeyIndex, fields: readonly Field[]) {
    this.#index = index
    this.#writer = new KeyWriter(fields)
    const [first] = fields
    this.#single = fields.length === 1 && first !== undefined && !first.nullable ? first : null
  }

  /** slotsOut[i] is the slot of the key in row rows[i] (or i) of `columns`; -1 when it is missing and `inserts` is false. */
  slots(columns: readonly Column[], rows: Int32Array | null, count: number, slotsOut: Int32Array, inserts: boolean): void {
    const [column] = columns
    const kind = this.#single?.type.kind
    if (column !== undefined && column.layout === 'f64' && (kind === 'f64' || kind === 'i64' || kind === 'time' || kind === 'decimal')) {
      if (kind === 'f64') this.#floats(column.values, rows, count)
      else this.#integers(column.values, rows, count)
      if (inserts) this.#index.findOrInsertPairs(this.#pairs, count, slotsOut)
      else this.#index.findPairs(this.#pairs, count, slotsOut)
      return
    }
    if (column !== undefined && (kind === 'string' || kind === 'bytes')) {
      if (column.layout === 'slice') return this.#bytes(column.data, column.starts, column.ends, rows, count, slotsOut, inserts)
      if (column.layout === 'bytes')
        return this.#bytes(column.data, column.offsets, column.offsets.subarray(1), rows, count, slotsOut, inserts)
      if (column.layout === 'dictionary') return this.#dictionary(column, rows, count, slotsOut, inserts)
    }
    this.#writer.encode(columns, rows, count)
    const { bytes, offsets } = this.#writer
    this.#bytes(bytes, offsets, offsets.subarray(1), null, count, slotsOut, inserts)
  }

  #bytes(
    data: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    rows: Int32Array | null,
    count: number,
    slotsOut: Int32Array,
    inserts: boolean,
  ): void {
    if (inserts) this.#index.findOrInsertAll(data, starts, ends, rows, count, slotsOut)
    else this.#index.findAll(data, starts, ends, rows, count, slotsOut)
  }

  /** Each value of the dictionary that occurs, in order of its first occurrence, once. */
  #dictionary(column: DictionaryColumn, rows: Int32Array | null, count: number, slotsOut: Int32Array, inserts: boolean): void {
    if (this.#seen.length < column.dictionaryCount) {
      this.#seen = new Int32Array(column.dictionaryCount)
      this.#entries = new Int32Array(column.dictionaryCount)
      this.#entrySlots = new Int32Array(column.dictionaryCount)
    }
    const places = this.#seen
    const entries = this.#entries
    const ids = column.ids
    let used = 0
    for (let i = 0; i < count; i++) {
      const id = ids[rows === null ? i : (rows[i] as number)] as number
      // places[id] - 1 is where id stands among the entries; what earlier batches left there proves wrong by comparing.
      const place = (places[id] as number) - 1
      if (place >= 0 && place < used && entries[place] === id) continue
      entries[used] = id
      places[id] = ++used
    }
    const { data, offsets } = column.dictionary
    this.#bytes(data, offsets, offsets.subarray(1), entries, used, this.#entrySlots, inserts)
    const slots = this.#entrySlots
    for (let i = 0; i < count; i++)
      slotsOut[i] = slots[(places[ids[rows === null ? i : (rows[i] as number)] as number] as number) - 1] as number
  }

  #pairsFor(count: number): Int32Array {
    if (this.#pairs.length < count * 2) this.#pairs = new Int32Array(Math.max(2048, count * 2))
    return this.#pairs
  }

  #integers(values: Float64Array, rows: Int32Array | null, count: number): void {
    const pairs = this.#pairsFor(count)
    for (let i = 0; i < count; i++) {
      const value = values[rows === null ? i : (rows[i] as number)] as number
      const small = value | 0
      const high = small === value ? small >> 31 : Math.floor(value / TWO_32)
      pairs[i * 2] = swapWord(high ^ 0x80000000)
      pairs[i * 2 + 1] = swapWord(small)
    }
  }

  #floats(values: Float64Array, rows: Int32Array | null, count: number): void {
    const pairs = this.#pairsFor(count)
    const raw = new Float64Array(pairs.buffer, 0, count)
    // + 0 turns -0 into 0; a NaN is written as the one NaN.
    for (let i = 0; i < count; i++) {
      const value = values[rows === null ? i : (rows[i] as number)] as number
      raw[i] = value === value ? value + 0 : NaN
    }
    for (let i = 0; i < count; i++) {
      const high = pairs[i * 2 + 1] as number
      const flip = high >> 31
      const low = pairs[i * 2] as number
      pairs[i * 2] = swapWord(high ^ (flip | 0x80000000))
      pairs[i * 2 + 1] = swapWord(low ^ flip)
    }
  }
}
