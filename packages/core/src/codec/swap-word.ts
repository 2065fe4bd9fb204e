/** A big-endian word as the little-endian word of the same bytes, and the other way round. Keys are big endian, so that their bytes sort as they do. */
export function swapWord(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
