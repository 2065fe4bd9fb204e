// From rows to the slots of their groups. The key of a group in a window is (window start, key); rows of one batch mostly share a few
// windows and many of them a key. Keys of one number or one text are encoded here, each once, and looked up in a small table first:
// entries that are overwritten or out of date only cost a look-up in the store. All other keys go to the store column by column.
import type { Column, Field } from '../codec/column.ts'
import { swapWord } from '../codec/swap-word.ts'
import { META_WORD } from '../state/rows/row-format.ts'
import type { RowListener, TableStore } from '../state/store.ts'
import { RowList } from './live-rows.ts'

const MEMO_BITS = 15
const MEMO_SIZE = 1 << MEMO_BITS
const SPREAD = 0x9e3779b1
/** The table is judged after so many rows, enough to fill it; with more misses than this share it is left alone for a while. */
const ROWS_JUDGED = 2 * MEMO_SIZE
const MISS_SHARE_MAX = 0.5
const ROWS_WITHOUT_MEMO = 16 * MEMO_SIZE
const TWO_32 = 4294967296
/** With fewer rows per text of a dictionary it does not pay to look each text up once. */
const ROWS_PER_ENTRY_MIN = 4
const HASH_FACTOR = 0x5bd1e995
/** The largest number that an entry can hold. */
const EPOCHS_MAX = 0x7fffffff

/** Text t is data[from[t] .. to[t]); row r has the text ids[r], or r itself without a dictionary. */
interface Texts {
  readonly ids: Int32Array | null
  readonly data: Uint8Array
  readonly from: Int32Array
  readonly to: Int32Array
}

export class GroupSlots implements RowListener {
  /** New groups of the last call: so many of the store's `newSlots`. */
  newCount = 0
  readonly #store: TableStore
  readonly #isWindowed: boolean
  readonly #way: 'number' | 'text' | 'columns'
  readonly #memoKeys = new Float64Array(MEMO_SIZE)
  readonly #memoSlots = new Int32Array(MEMO_SIZE)
  /** Which (window, age) an entry belongs to. When the numbers are used up they begin anew, and every entry that names one is cleared. */
  readonly #memoEpochs = new Int32Array(MEMO_SIZE)
  readonly #epochOfStart = new Map<number, number>()
  readonly #epochsMax: number
  #epoch = 0
  #rowsSkipped = 0
  #rowsTried = 0
  #rowsMissed = 0
  readonly #missed = new RowList()
  readonly #missedAt = new RowList()
  readonly #missedSlots = new RowList()
  readonly #hashesByRow = new RowList()
  readonly #entryRows = new RowList()
  readonly #entrySlots = new RowList()
  #entryOfId = new Int32Array(0)
  #epochOfId = new Int32Array(0)
  readonly #keyWord: number
  readonly #keyBytesInline: number
  /** By text: the row, or the entry of a dictionary. */
  #hashes = new Int32Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #viewed: Uint8Array | null = null
  // Encoded keys: key i is words from starts[i] / 4 on, so that it can be written a word at a time.
  #words = new Int32Array(4096)
  #bytes = new Uint8Array(this.#words.buffer)
  #starts = new Int32Array(1024)
  #ends = new Int32Array(1024)

  /** `epochsMax`: tests use the numbers up sooner. */
  constructor(store: TableStore, isWindowed: boolean, key: readonly Field[], epochsMax: number = EPOCHS_MAX) {
    this.#store = store
    this.#epochsMax = epochsMax
    this.#isWindowed = isWindowed
    this.#keyWord = store.format.keyWord
    this.#keyBytesInline = store.format.keyBytesInline
    const [only] = key
    const kind = isWindowed && key.length === 1 && only !== undefined && !only.nullable ? only.type.kind : null
    this.#way = kind === 'i64' || kind === 'time' ? 'number' : kind === 'string' || kind === 'bytes' ? 'text' : 'columns'
    if (this.#way !== 'columns') store.follow(this)
  }

  /** slotsOut[i] is the group of row rows[i]; `starts` are the rows' windows, by row, where there are windows. */
  find(starts: Float64Array, keys: readonly Column[], rows: Int32Array, count: number, slotsOut: Int32Array): void {
    const [key] = keys
    if (this.#way === 'number' && key?.layout === 'f64') this.#findNumbers(starts, key.values, rows, count, slotsOut)
    else if (this.#way === 'text' && key?.layout === 'dictionary') {
      const { data, offsets } = key.dictionary
      const texts: Texts = { ids: key.ids, data, from: offsets, to: offsets.subarray(1) }
      if (key.dictionaryCount * ROWS_PER_ENTRY_MIN <= count) this.#findEntries(starts, texts, key.ids, rows, count, slotsOut)
      else this.#findTexts(starts, texts, rows, count, slotsOut)
    } else if (this.#way === 'text' && key?.layout === 'bytes')
      this.#findTexts(starts, { ids: null, data: key.data, from: key.offsets, to: key.offsets.subarray(1) }, rows, count, slotsOut)
    else if (this.#way === 'text' && key?.layout === 'slice')
      this.#findTexts(starts, { ids: null, data: key.data, from: key.starts, to: key.ends }, rows, count, slotsOut)
    else {
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

  dropped(): void {
    this.forget()
  }

  loaded(): void {
    // The key of a slot is what it was.
  }

  cleared(): void {
    this.forget()
  }

  #nextEpoch(): number {
    if (this.#epoch >= this.#epochsMax) {
      this.#memoEpochs.fill(0)
      this.#epochOfId.fill(0)
      this.#epochOfStart.clear()
      this.#epoch = 0
    }
    return ++this.#epoch
  }

  #epochOf(start: number): number {
    let epoch = this.#epochOfStart.get(start)
    if (epoch === undefined) {
      // Windows come and go: a few live ones are enough.
      if (this.#epochOfStart.size > 1024) this.#epochOfStart.clear()
      epoch = this.#nextEpoch()
      this.#epochOfStart.set(start, epoch)
    }
    return epoch
  }

  #findNumbers(starts: Float64Array, values: Float64Array, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    if (this.#rowsSkipped > 0) {
      this.#rowsSkipped -= count
      this.#lookNumbers(starts, values, rows, count, slotsOut)
      return
    }
    const missed = this.#remembered(starts, values, rows, count, slotsOut)
    this.#judge(count, missed)
    const found = this.#missedSlots.reset(missed)
    this.#lookNumbers(starts, values, this.#missed.rows, missed, found)
    this.#remember(starts, values, missed, found, slotsOut)
  }

  /** With many keys the table is of no use, and looking there first only costs. */
  #judge(tried: number, missed: number): void {
    this.#rowsTried += tried
    this.#rowsMissed += missed
    if (this.#rowsTried < ROWS_JUDGED) return
    if (this.#rowsMissed > this.#rowsTried * MISS_SHARE_MAX) this.#rowsSkipped = ROWS_WITHOUT_MEMO
    this.#rowsTried = 0
    this.#rowsMissed = 0
  }

  /** Looks each text of a dictionary up once per window, in order of the first rows. */
  #findEntries(starts: Float64Array, texts: Texts, ids: Int32Array, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    if (this.#entryOfId.length < texts.from.length) {
      this.#entryOfId = new Int32Array(texts.from.length)
      this.#epochOfId = new Int32Array(texts.from.length)
    }
    const entryOfId = this.#entryOfId
    const epochOfId = this.#epochOfId
    const entryRows = this.#entryRows.reset(count)
    let entries = 0
    let start = NaN
    let epoch = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const id = ids[row] as number
      if (starts[row] !== start) {
        start = starts[row] as number
        epoch = this.#nextEpoch()
      }
      if (epochOfId[id] !== epoch) {
        epochOfId[id] = epoch
        entryOfId[id] = entries
        entryRows[entries++] = row
      }
      slotsOut[i] = entryOfId[id] as number
    }
    const slots = this.#entrySlots.reset(entries)
    this.#findTexts(starts, texts, entryRows, entries, slots)
    for (let i = 0; i < count; i++) slotsOut[i] = slots[slotsOut[i] as number] as number
  }

  #findTexts(starts: Float64Array, texts: Texts, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    if (this.#rowsSkipped > 0) {
      this.#rowsSkipped -= count
      this.#encodeTexts(starts, texts, rows, count)
      this.#look(count, slotsOut)
      return
    }
    if (this.#hashes.length < texts.from.length) this.#hashes = new Int32Array(texts.from.length * 2)
    const missed = this.#rememberedTexts(starts, texts, rows, count, slotsOut)
    this.#judge(count, missed)
    this.#encodeTexts(starts, texts, this.#missed.rows, missed)
    const found = this.#missedSlots.reset(missed)
    this.#look(missed, found)
    this.#remember(starts, texts.ids === null ? this.#hashes : this.#rowHashes(texts.ids, missed), missed, found, slotsOut)
  }

  /** Hashes stand by text; entries of the table are found by row. */
  #rowHashes(ids: Int32Array, missed: number): Int32Array {
    const rows = this.#missed.rows
    let last = 0
    for (let i = 0; i < missed; i++) last = Math.max(last, rows[i] as number)
    const hashes = this.#hashesByRow.reset(last + 1)
    for (let i = 0; i < missed; i++) hashes[rows[i] as number] = this.#hashes[ids[rows[i] as number] as number] as number
    return hashes
  }

  /** As `#remembered`; an entry names a row with the same hash, and the text is compared with that row's key. */
  #rememberedTexts(starts: Float64Array, texts: Texts, rows: Int32Array, count: number, slotsOut: Int32Array): number {
    const missed = this.#missed.reset(count)
    const missedAt = this.#missedAt.reset(count)
    const { ids, data, from, to } = texts
    const view = this.#viewOf(data)
    const hashes = this.#hashes
    let misses = 0
    let start = NaN
    let epoch = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const text = ids === null ? row : (ids[row] as number)
      const begin = from[text] as number
      const end = to[text] as number
      const hash = hashText(view, begin, end)
      hashes[text] = hash
      if (starts[row] !== start) {
        start = starts[row] as number
        epoch = this.#epochOf(start)
      }
      const at = Math.imul(hash + epoch, SPREAD) >>> (32 - MEMO_BITS)
      if (this.#memoEpochs[at] === epoch && this.#memoKeys[at] === hash && this.#hasText(this.#memoSlots[at] as number, view, begin, end))
        slotsOut[i] = this.#memoSlots[at] as number
      else {
        missed[misses] = row
        missedAt[misses++] = i
      }
    }
    return misses
  }

  /** Whether the key of a row, behind the window's start, is this text. Keys that do not lie in their row are left to the store. */
  #hasText(slot: number, view: DataView, begin: number, end: number): boolean {
    const { words, pageBits, pageMask, stride } = this.#store.rows
    const page = words[slot >>> pageBits] as Int32Array
    const at = (slot & pageMask) * stride
    const length = end - begin + 8
    if ((page[at + META_WORD] as number) >>> 1 !== length || length > this.#keyBytesInline) return false
    let word = at + this.#keyWord + 2
    let byte = begin
    for (; byte + 4 <= end; byte += 4, word++) if (page[word] !== view.getInt32(byte, true)) return false
    return byte === end || page[word] === tailWord(view, byte, end)
  }

  #viewOf(data: Uint8Array): DataView {
    if (this.#viewed !== data) {
      this.#viewed = data
      this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    }
    return this.#view
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

  /** Puts the slots of the missed rows where they belong, and remembers them. */
  #remember(starts: Float64Array, values: Float64Array | Int32Array, missed: number, found: Int32Array, slotsOut: Int32Array): void {
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

  /** Groups of rows whose key is one number: nearly always of one window, which is found once. */
  #lookNumbers(starts: Float64Array, values: Float64Array, rows: Int32Array, count: number, slotsOut: Int32Array): void {
    if (count > 0 && haveOneStart(starts, rows, count)) {
      const start = starts[rows[0] as number] as number
      this.#store.findOrInsertPairs(highWord(start), lowWord(start), this.#pairsOf(values, rows, count), count, slotsOut)
      this.newCount = this.#store.newCount
      return
    }
    this.#encodeNumbers(starts, values, rows, count)
    this.#look(count, slotsOut)
  }

  #pairsOf(values: Float64Array, rows: Int32Array, count: number): Int32Array {
    this.#reserveWords(count * 2)
    const words = this.#words
    for (let i = 0; i < count; i++) {
      const value = values[rows[i] as number] as number
      const small = value | 0
      words[i * 2] = swapWord((small === value ? small >> 31 : Math.floor(value / TWO_32)) ^ 0x80000000)
      words[i * 2 + 1] = swapWord(small === value ? small : (value - Math.floor(value / TWO_32) * TWO_32) | 0)
    }
    return words
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
      words[i * 4 + 2] = swapWord(high ^ 0x80000000)
      words[i * 4 + 3] = swapWord((value - high * TWO_32) | 0)
      this.#starts[i] = i * 16
      this.#ends[i] = i * 16 + 16
    }
  }

  /** A text that ends a key is its own bytes. */
  #encodeTexts(starts: Float64Array, texts: Texts, rows: Int32Array, count: number): void {
    this.#reserve(count)
    const { ids, data, from, to } = texts
    const view = this.#viewOf(data)
    let start = NaN
    let first = 0
    let second = 0
    let word = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const text = ids === null ? row : (ids[row] as number)
      const begin = from[text] as number
      const end = to[text] as number
      const length = end - begin
      this.#reserveWordsKept(word + 3 + (length >> 2), word)
      if (starts[row] !== start) {
        start = starts[row] as number
        first = highWord(start)
        second = lowWord(start)
      }
      const words = this.#words
      this.#starts[i] = word * 4
      this.#ends[i] = word * 4 + 8 + length
      words[word++] = first
      words[word++] = second
      let byte = begin
      for (; byte + 4 <= end; byte += 4) words[word++] = view.getInt32(byte, true)
      if (byte < end) words[word++] = tailWord(view, byte, end)
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

function haveOneStart(starts: Float64Array, rows: Int32Array, count: number): boolean {
  const start = starts[rows[0] as number]
  for (let i = 1; i < count; i++) if (starts[rows[i] as number] !== start) return false
  return true
}

/** The words of a whole number's canonical bytes, as a little-endian machine stores them. */
function highWord(value: number): number {
  return swapWord(Math.floor(value / TWO_32) ^ 0x80000000)
}

function lowWord(value: number): number {
  return swapWord((value - Math.floor(value / TWO_32) * TWO_32) | 0)
}

function hashText(view: DataView, begin: number, end: number): number {
  let hash = Math.imul(end - begin, SPREAD)
  let byte = begin
  for (; byte + 4 <= end; byte += 4) {
    hash = Math.imul(hash ^ view.getInt32(byte, true), HASH_FACTOR)
    hash ^= hash >>> 15
  }
  if (byte < end) hash = Math.imul(hash ^ tailWord(view, byte, end), HASH_FACTOR)
  return hash ^ (hash >>> 13)
}

/** The last one to three bytes as a word, zeros behind them. */
function tailWord(view: DataView, byte: number, end: number): number {
  let word = view.getUint8(byte)
  if (byte + 1 < end) word |= view.getUint8(byte + 1) << 8
  if (byte + 2 < end) word |= view.getUint8(byte + 2) << 16
  return word
}
