// Unsigned byte order, the order of strings and bytes in Parquet, and cutting long bounds short without making them wrong.

/** Negative, zero or positive, as a[aStart..aEnd) sorts before, equal to or behind b[bStart..bEnd). */
export function compareBytes(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const stop = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < stop; i++) {
    const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}

/** Whether `size` bytes at the two places are the same; four at a time, because most comparisons of dictionary entries find them equal. */
export function equalBytes(a: DataView, aStart: number, b: DataView, bStart: number, size: number): boolean {
  const words = size & ~3
  let i = 0
  for (; i < words; i += 4) if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false
  for (; i < size; i++) if (a.getUint8(aStart + i) !== b.getUint8(bStart + i)) return false
  return true
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Copies `size` bytes. Values are short: a loop beats the call to `set` up to about this many bytes. */
const LOOP_SIZE_MAX = 48
export function copyBytes(source: Uint8Array, from: number, size: number, target: Uint8Array, at: number): void {
  if (size > LOOP_SIZE_MAX) target.set(source.subarray(from, from + size), at)
  else for (let i = 0; i < size; i++) target[at + i] = source[from + i] as number
}

/** Statistics are read by every query that opens the file: longer bounds cost more than they exclude. */
export const BOUND_SIZE_MAX = 64

/** The largest cut at or before `size` that does not split a UTF-8 sequence. */
function characterCut(bytes: Uint8Array, size: number): number {
  let cut = size
  while (cut > 0 && ((bytes[cut] as number) & 0xc0) === 0x80) cut--
  return cut
}

/** A lower bound of at most BOUND_SIZE_MAX bytes: a prefix. */
export function lowerBound(bytes: Uint8Array, isText: boolean): Uint8Array {
  if (bytes.length <= BOUND_SIZE_MAX) return bytes.slice()
  return bytes.slice(0, isText ? characterCut(bytes, BOUND_SIZE_MAX) : BOUND_SIZE_MAX)
}

/**
 * An upper bound of at most BOUND_SIZE_MAX bytes: a prefix with its last byte (or ASCII character) raised by one.
 * Null when no such bound exists, as for a prefix of 0xff bytes; the caller then keeps the whole value.
 */
export function upperBound(bytes: Uint8Array, isText: boolean): Uint8Array | null {
  if (bytes.length <= BOUND_SIZE_MAX) return bytes.slice()
  // Text stays valid UTF-8 by raising an ASCII character that is not the last one: nothing of its sequence can change length.
  const limit = isText ? 0x7e : 0xfe
  for (let size = BOUND_SIZE_MAX; size > 0; size--) {
    const last = bytes[size - 1] as number
    if (last > limit) continue
    const bound = bytes.slice(0, size)
    bound[size - 1] = last + 1
    return bound
  }
  return null
}
