// From rows to the slots of their groups. The key of a group in a window is (window start, key); rows of one batch mostly share a few
// windows and many of them a key. Keys of one number or one text are encoded here, each once, and looked up in a small table first:
// entries that are overwritten or out of date only cost a look-up in the store. All other keys go to the store column by column.
import type { BytesColumn, Column, Field } from '../codec/column.ts'
import type { RowListener, TableStore } from '../state/store.ts'
import { RowList } from './live-rows.ts'

const MEMO_BITS = 15
const MEMO_SIZE = 1 << MEMO_BITS
const SPREAD = 0x9e3779b1
/** With more misses than this share the table is left alone for some batches. */
const MISS_SHARE_MAX = 0.5
const BATCHES_WITHOUT_MEMO = 32
const TWO_32 = 4294967296
/** Copying more bytes than this by hand costs more than a call. */
const HAND_COPY_BYTES = 24

export class GroupSlots implements RowListener {
  /** New groups of the last call: so many of the store's `newSlots`. */
  newCount = 0
  readonly #store: TableStore
  readonly #isWindowed: boolean
  readonly #way: 'number' | 'text' | 'columns'
  readonly #memoKeys = new Float64Array(MEMO_SIZE)
  readonly #memoSlots = new Int32Array(MEMO_SIZE)
  /** Which (window, age) an entry belongs to; numbers are never used twice. */
  readonly #memoEpochs = new Int32Array(MEMO_SIZE)
  readonly #epochOfStart = new Map<number, number>()
  #epoch = 0
  #skips = 0
  readonly #missed = new RowList()
  readonly #missedAt = new RowList()
  readonly #missedSlots = new RowList()
  readonly #texts = new RowList()
  // Encoded keys: key i is words from starts[i] / 4 on, so that it can be written a word at a time.
  #words = new Int32Array(4096)
  #bytes = new Uint8Array(this.#words.buffer)
  #starts = new Int32Array(1024)
  #ends = new Int32Array(1024)

  constructor(store: TableStore, isWindowed: boolean, key: readonly Field[]) {
    this.#store = store
    this.#isWindowed = isWindowed
    const [only] = key
    const kind = isWindowed && key.length === 1 && only !== undefined && !only.nullable ? only.type.kind : null
    this.#way = kind === 'i64' || kind === 'time' ? 'number' : kind === 'string' || kind === 'bytes' ? 'text' : 'columns'
    if (this.#way !== 'columns') store.follow(this)
  }

  /** slotsOut[i] is the group of row rows[i]; `starts` are the rows' windows, by row, where there are windows. */
  find(starts: Float64Array, keys: readonly Column[], rows: Int32Array, count: number, slotsOut: Int32Array): void {
    const [key] = keys
    if (this.#way === 'number' && key?.layout === 'f64') this.#findNumbers(starts, key.values, rows, count, slotsOut)
    else if (this.#way === 'text' && key?.layout === 'dictionary') this.#findEntries(starts, key.ids, key.dictionary, rows, count, slotsOut)
    else if (this.#way === 'text' && (key?.layout === 'bytes' || key?.layout === 'slice')) {
      this.#reserve(count)
      const ends = key.layout === 'bytes' ? key.offsets.subarray(1) : key.ends
      this.#encodeTexts(starts, rows, rows, key.data, key.layout === 'bytes' ? key.offsets : key.starts, ends, count)
      this.#look(count, slotsOut)
    } else {
      const columns: readonly Column[] = this.#isWindowed ? [{ layout: 'f64', values: starts, validity: null }, ...keys] : keys
      this.#store.findOrInsertColumns(columns, rows, count, slotsOut)
      this.newCount = this.#store.newCount
    }
  }

  /** The table forgets everything: rows were deleted. */
  forget(): void {
    this.#epochOfStart.clear()
  }

  added(): void {
    // A new row is in no entry.
  }

  removed(): void {
    this.forget()
  }

  loaded(): void {
    // The key of a slot is what it was.
  }

  cleared(): void {
    this.forget()
  }

  #epochOf(start: number): number {
    let epoch = this.#epochOfStart.get(start)
    if (epoch === undefined) {
      // Windows come and go: a few live ones are enough.
      if (this.#epochOfStart.size > 1024) this.#epochOfStart.clear()
      epoch = ++this.#epoch
      this.#epochOfStart.set(start, epoch)
    }
    return epoch
  }

  #findNumbers(starts: Float64Array, values: Float64Array, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    if (this.#skips > 0) {
      this.#skips--
      this.#encodeNumbers(starts, values, rows, count)
      this.#look(count, slotsOut)
      return
    }
    const missed = this.#remembered(starts, values, rows, count, slotsOut)
    if (missed === 0) return
    const missedRows = this.#missed.rows
    this.#encodeNumbers(starts, values, missedRows, missed)
    this.#lookMissed(starts, values, missed, slotsOut)
    if (missed > count * MISS_SHARE_MAX) this.#skips = BATCHES_WITHOUT_MEMO
  }

  /** A dictionary lives as long as its batch, and so do the entries for its ids. */
  #findEntries(starts: Float64Array, ids: Int32Array, dictionary: BytesColumn, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    this.forget()
    const missed = this.#remembered(starts, ids, rows, count, slotsOut)
    // Where a missed row's text lies: its id in the dictionary.
    const missedRows = this.#missed.rows
    const textRows = this.#texts.reset(missed)
    for (let i = 0; i < missed; i++) textRows[i] = ids[missedRows[i] as number] as number
    this.#encodeTexts(starts, missedRows, textRows, dictionary.data, dictionary.offsets, dictionary.offsets.subarray(1), missed)
    this.#lookMissed(starts, ids, missed, slotsOut)
  }

  /** Fills in the slots that the table knows; the others stand in `#missed` (rows) and `#missedAt` (their places). Returns how many. */
  #remembered(starts: Float64Array, values: Float64Array | Int32Array, rows: Int32Array, count: number, slotsOut: Int32Array): number {
    const missed = this.#missed.reset(count)
    const missedAt = this.#missedAt.reset(count)
    const keys = this.#memoKeys
    const slots = this.#memoSlots
    const epochs = this.#memoEpochs
    let misses = 0
    let start = NaN
    let epoch = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const value = values[row] as number
      if (starts[row] !== start) {
        start = starts[row] as number
        epoch = this.#epochOf(start)
      }
      const at = Math.imul((value | 0) + epoch, SPREAD) >>> (32 - MEMO_BITS)
      if (epochs[at] === epoch && keys[at] === value) slotsOut[i] = slots[at] as number
      else {
        missed[misses] = row
        missedAt[misses++] = i
      }
    }
    return misses
  }

  /** Looks the encoded keys of the missed rows up, and remembers them. */
  #lookMissed(starts: Float64Array, values: Float64Array | Int32Array, missed: number, slotsOut: Int32Array): void {
    const found = this.#missedSlots.reset(missed)
    this.#look(missed, found)
    const rows = this.#missed.rows
    const places = this.#missedAt.rows
    let start = NaN
    let epoch = 0
    for (let i = 0; i < missed; i++) {
      const row = rows[i] as number
      const slot = found[i] as number
      slotsOut[places[i] as number] = slot
      if (starts[row] !== start) {
        start = starts[row] as number
        epoch = this.#epochOf(start)
      }
      const value = values[row] as number
      const at = Math.imul((value | 0) + epoch, SPREAD) >>> (32 - MEMO_BITS)
      this.#memoKeys[at] = value
      this.#memoSlots[at] = slot
      this.#memoEpochs[at] = epoch
    }
  }

  #look(count: number, slotsOut: Int32Array): void {
    this.newCount = 0
    if (count === 0) return
    this.#store.findOrInsertAll(this.#bytes, this.#starts, this.#ends, null, count, slotsOut)
    this.newCount = this.#store.newCount
  }

  #reserve(count: number): void {
    if (this.#starts.length >= count) return
    this.#starts = new Int32Array(count * 2)
    this.#ends = new Int32Array(count * 2)
  }

  #reserveWords(words: number): void {
    if (this.#words.length >= words) return
    this.#words = new Int32Array(words * 2)
    this.#bytes = new Uint8Array(this.#words.buffer)
  }

  /** Both halves as codec/key-bytes.ts writes whole numbers: big endian, sign flipped. */
  #encodeNumbers(starts: Float64Array, values: Float64Array, rows: Int32Array, count: number): void {
    this.#reserve(count)
    this.#reserveWords(count * 4)
    const words = this.#words
    let start = NaN
    let first = 0
    let second = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      if (starts[row] !== start) {
        start = starts[row] as number
        first = highWord(start)
        second = lowWord(start)
      }
      const value = values[row] as number
      const high = Math.floor(value / TWO_32)
      words[i * 4] = first
      words[i * 4 + 1] = second
      words[i * 4 + 2] = swap(high ^ 0x80000000)
      words[i * 4 + 3] = swap((value - high * TWO_32) | 0)
      this.#starts[i] = i * 16
      this.#ends[i] = i * 16 + 16
    }
  }

  /** Text i is data[from[t] .. to[t]) with t = textRows[i], of the row rows[i]. A text that ends a key is its own bytes. */
  #encodeTexts(starts: Float64Array, rows: Int32Array, textRows: Int32Array, data: Uint8Array, from: Int32Array, to: Int32Array, count: number): void {
    this.#reserve(count)
    let start = NaN
    let first = 0
    let second = 0
    let word = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const text = textRows[i] as number
      const begin = from[text] as number
      const size = (to[text] as number) - begin
      this.#reserveWordsKept(word + 3 + (size >> 2), word)
      if (starts[row] !== start) {
        start = starts[row] as number
        first = highWord(start)
        second = lowWord(start)
      }
      const words = this.#words
      const bytes = this.#bytes
      words[word] = first
      words[word + 1] = second
      const at = word * 4 + 8
      if (size <= HAND_COPY_BYTES) for (let j = 0; j < size; j++) bytes[at + j] = data[begin + j] as number
      else bytes.set(data.subarray(begin, begin + size), at)
      this.#starts[i] = word * 4
      this.#ends[i] = at + size
      word += 2 + ((size + 3) >> 2)
    }
  }

  #reserveWordsKept(words: number, used: number): void {
    if (this.#words.length >= words) return
    const grown = new Int32Array(words * 2)
    grown.set(this.#words.subarray(0, used))
    this.#words = grown
    this.#bytes = new Uint8Array(grown.buffer)
  }
}

/** The words of a whole number's canonical bytes, as a little-endian machine stores them. */
function highWord(value: number): number {
  return swap(Math.floor(value / TWO_32) ^ 0x80000000)
}

function lowWord(value: number): number {
  return swap((value - Math.floor(value / TWO_32) * TWO_32) | 0)
}

function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
