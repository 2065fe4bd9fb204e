// The order of keys: unsigned bytes, a shorter key before its extensions. And a sort by it that is fast enough to close a window of a
// million keys: four bytes at a time as numbers by the engine's native sort, with the comparison of bytes kept for short runs of ties.
import type { HashIndex } from './hash-index.ts'
import type { KeyRanges } from './store.ts'

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

export function compareRowKeys(index: HashIndex, a: number, b: number): number {
  const aStart = index.keyOffset(a)
  const bStart = index.keyOffset(b)
  return compareKeyBytes(index.keyBytes(a), aStart, aStart + index.keyLength(a), index.keyBytes(b), bStart, bStart + index.keyLength(b))
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
