// The order of keys: unsigned bytes, a shorter key before its extensions. And a sort by it that is fast enough to close a window of a
// million keys: four bytes at a time as numbers by the engine's native sort, with the comparison of bytes kept for short runs of ties.
import { swapWord } from '../../codec/swap-word.ts'
import { META_WORD, type RowFormat } from '../rows/row-format.ts'
import type { KeyRanges, RowAccess } from '../store.ts'

/** Below, equal to or above 0. */
export function compareKeyBytes(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const shift = bStart - aStart
  const end = Math.min(aEnd, bEnd - shift)
  for (let at = aStart; at < end; at++) {
    const difference = (a[at] as number) - (b[at + shift] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}

const DIGIT_BITS = 11
const DIGITS = 1 << DIGIT_BITS
/** Below so many rows counting digits costs more than it saves. */
const RADIX_ROWS_MIN = 256

/** What sorting rows by their keys reads of a store. */
export interface KeyedRows {
  readonly rows: RowAccess
  readonly format: RowFormat
  keysOf(slots: Int32Array, count: number): KeyRanges
}

/** Arrays of more rows are not kept for the next sort. */
const ROWS_KEPT_MAX = 1 << 20
/** Nor are arrays of so many times the rows that are sorted. */
const KEPT_FACTOR_MAX = 16

/** Sorts rows by their keys. Its arrays are used again and again: a window closes every minute. */
export class RowSorter {
  #slots = new Int32Array(0)
  #other = new Int32Array(0)
  #values = new Uint32Array(0)
  #moved = new Uint32Array(0)

  /** Where the slots of `count` rows to be sorted are put. */
  room(count: number): Int32Array {
    const length = this.#slots.length
    if (length < count || length > ROWS_KEPT_MAX || length > count * KEPT_FACTOR_MAX) {
      this.#slots = new Int32Array(count)
      this.#other = new Int32Array(count)
      this.#values = new Uint32Array(count)
      this.#moved = new Uint32Array(count)
    }
    return this.#slots.subarray(0, count)
  }

  /**
   * The slots that were put into the room for `count`, in the order of their keys, which are all different. Keys of one length that lie in their
   * rows are sorted by counting: a million in some ten milliseconds. Valid until the next call of either.
   */
  sort(store: KeyedRows, count: number): Int32Array {
    const slots = this.#slots.subarray(0, count)
    const differing = count < RADIX_ROWS_MIN ? null : differingBits(store, slots)
    if (differing === null) return Int32Array.from(keyOrder(store.keysOf(slots, count), count), (index) => slots[index] as number)
    let from = slots
    let to = this.#other.subarray(0, count)
    let values = this.#values
    let moved = this.#moved
    for (let word = differing.length - 1; word >= 0; word--) {
      const bits = differing[word] as number
      if (bits === 0) continue
      readWords(store.rows, store.format.keyWord + word, from, values)
      for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
        if (((bits >>> shift) & (DIGITS - 1)) === 0) continue
        countingPass(from, to, values, moved, shift)
        ;[from, to] = [to, from]
        ;[values, moved] = [moved, values]
      }
    }
    return from
  }
}

/** Word `place` of each row, as the order counts it. */
function readWords({ words, pageBits, pageMask, stride }: RowAccess, place: number, slots: Int32Array, values: Uint32Array): void {
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as number
    values[i] = swapWord((words[slot >>> pageBits] as Int32Array)[(slot & pageMask) * stride + place] as number)
  }
}

/** By word of the key the bits, as its order counts them, in which rows differ; null where keys differ in length, are long or end inside a word. */
function differingBits(store: KeyedRows, slots: Int32Array): Int32Array | null {
  const { words, pageBits, pageMask, stride } = store.rows
  const { keyWord, keyBytesInline } = store.format
  const first = slots[0] as number
  const firstWords = words[first >>> pageBits] as Int32Array
  const firstAt = (first & pageMask) * stride
  const meta = firstWords[firstAt + META_WORD] as number
  const length = meta >>> 1
  if (length % 4 !== 0 || length > keyBytesInline) return null
  const differing = new Int32Array(length / 4)
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as number
    const page = words[slot >>> pageBits] as Int32Array
    const at = (slot & pageMask) * stride
    if (page[at + META_WORD] !== meta) return null
    for (let word = 0; word < differing.length; word++)
      differing[word] =
        (differing[word] as number) | ((page[at + keyWord + word] as number) ^ (firstWords[firstAt + keyWord + word] as number))
  }
  return differing.map(swapWord)
}

/** One stable pass over the digit at `shift`; values go along with their slots. */
function countingPass(from: Int32Array, to: Int32Array, values: Uint32Array, moved: Uint32Array, shift: number): void {
  const places = new Int32Array(DIGITS)
  const count = from.length
  for (let i = 0; i < count; i++) {
    const digit = ((values[i] as number) >>> shift) & (DIGITS - 1)
    places[digit] = (places[digit] as number) + 1
  }
  for (let digit = 0, next = 0; digit < DIGITS; digit++) {
    const size = places[digit] as number
    places[digit] = next
    next += size
  }
  for (let i = 0; i < count; i++) {
    const value = values[i] as number
    const digit = (value >>> shift) & (DIGITS - 1)
    const place = places[digit] as number
    places[digit] = place + 1
    to[place] = from[i] as number
    moved[place] = value
  }
}

/** Numbers of the keys 0..count-1 in key order; equal keys in order of their numbers. */
export function keyOrder(keys: KeyRanges, count: number): Uint32Array {
  const order = new Uint32Array(count)
  for (let i = 0; i < count; i++) order[i] = i
  sortRun(keys, order, 0, count, 0)
  return order
}

const COMPARE_KEYS_MAX = 16
const PASS_BYTES = 4
/** Keys that one pass can number beside four bytes in the 53 bits of a number. */
const PASS_KEYS_MAX = 1 << 21

/** Sorts order[from .. until), whose keys agree in their first `depth` bytes. */
function sortRun(keys: KeyRanges, order: Uint32Array, from: number, until: number, depth: number): void {
  const count = until - from
  if (count <= COMPARE_KEYS_MAX || count > PASS_KEYS_MAX) {
    order.subarray(from, until).sort((a, b) => compareNumbered(keys, a, b) || a - b)
    return
  }
  const run = order.slice(from, until)
  const at = depth + commonBytes(keys, run, depth)
  const packed = new Float64Array(count)
  for (let i = 0; i < count; i++) packed[i] = wordAt(keys, run[i] as number, at) * PASS_KEYS_MAX + i
  packed.sort()
  let start = 0
  for (let i = 0; i < count; i++) {
    order[from + i] = run[(packed[i] as number) % PASS_KEYS_MAX] as number
    const word = Math.floor((packed[i] as number) / PASS_KEYS_MAX)
    if (i + 1 < count && Math.floor((packed[i + 1] as number) / PASS_KEYS_MAX) === word) continue
    if (i > start) sortTies(keys, order, from + start, from + i + 1, at + PASS_BYTES)
    start = i + 1
  }
}

/** Keys whose words are equal. A word is padded with zeros where its key ends, so ties with an ended key are compared as a whole. */
function sortTies(keys: KeyRanges, order: Uint32Array, from: number, until: number, depth: number): void {
  let isEnded = false
  for (let i = from; i < until; i++) {
    const key = order[i] as number
    if ((keys.ends[key] as number) - (keys.starts[key] as number) <= depth) isEnded = true
  }
  if (isEnded) order.subarray(from, until).sort((a, b) => compareNumbered(keys, a, b) || a - b)
  else sortRun(keys, order, from, until, depth)
}

function compareNumbered(keys: KeyRanges, a: number, b: number): number {
  return compareKeyBytes(
    keys.bytes,
    keys.starts[a] as number,
    keys.ends[a] as number,
    keys.bytes,
    keys.starts[b] as number,
    keys.ends[b] as number,
  )
}

/** How many bytes behind `depth` all keys of the run share. */
function commonBytes(keys: KeyRanges, run: Uint32Array, depth: number): number {
  const first = run[0] as number
  const base = (keys.starts[first] as number) + depth
  let common = (keys.ends[first] as number) - base
  for (let i = 1; i < run.length && common > 0; i++) {
    const key = run[i] as number
    const start = (keys.starts[key] as number) + depth
    const length = Math.min(common, (keys.ends[key] as number) - start)
    let at = 0
    while (at < length && keys.bytes[start + at] === keys.bytes[base + at]) at++
    common = at
  }
  return common
}

function wordAt(keys: KeyRanges, key: number, depth: number): number {
  const end = keys.ends[key] as number
  let word = 0
  for (let i = 0, at = (keys.starts[key] as number) + depth; i < PASS_BYTES; i++, at++)
    word = word * 256 + (at < end ? (keys.bytes[at] as number) : 0)
  return word
}
