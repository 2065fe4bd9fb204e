// The hash of a key, a word of four bytes at a time: the same whether the key lies in a buffer or, zero padded, in the words of a row.

/** Mixes one word of the key into the hash. */
export function mixWord(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1)
}

/** Spreads the bits: the lower half chooses the place in a table, the upper half the table. */
export function finish(hash: number, length: number): number {
  const h = Math.imul(hash ^ (hash >>> 15) ^ length, 0x85ebca6b)
  return h ^ (h >>> 16)
}

/** The last 1 to 3 bytes before `end` as a zero-padded word; `at` is where they start and `start` where the key does. */
export function tailWord(view: DataView, start: number, at: number, end: number): number {
  const rest = end - at
  if (end - start >= 4) return view.getInt32(end - 4, true) >>> ((4 - rest) << 3)
  let word = view.getUint8(at)
  if (rest > 1) word |= view.getUint8(at + 1) << 8
  if (rest > 2) word |= view.getUint8(at + 2) << 16
  return word
}

/** 32-bit hash of bytes start..end. */
export function hashKey(view: DataView, start: number, end: number, seed: number): number {
  let hash = seed
  let at = start
  for (; at + 4 <= end; at += 4) hash = mixWord(hash, view.getInt32(at, true))
  if (at < end) hash = mixWord(hash, tailWord(view, start, at, end))
  return finish(hash, end - start)
}
