// The order of keys: unsigned bytes, a shorter key before its extensions. And a sort of slots by it that is fast enough to close a window
// of a million keys: eight bytes at a time by native sorts, with the comparison kept for the ties of short runs.
import type { HashIndex } from './hash-index.ts'

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
