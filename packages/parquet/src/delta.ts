// DELTA_BINARY_PACKED: differences of neighbours, packed per 32 values with as few bits as they need.
// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md (DELTA_BINARY_PACKED = 5).
// Two paths with the same output format: `deltaNarrow` for values whose spread is below 2^31 (int32 arithmetic, the usual case:
// times, counters, lengths), `deltaWide` for any 64-bit integer (pairs of words, arithmetic modulo 2^64 as the format demands).
import { packBits } from './bit-packing.ts'
import type { ByteBuffer } from './byte-buffer.ts'

const BLOCK = 128
const MINIBLOCKS = 4
const MINIBLOCK = BLOCK / MINIBLOCKS

const deltas = new Int32Array(BLOCK)
const low = new Int32Array(BLOCK)
const high = new Int32Array(BLOCK)

function writeHeader(count: number, out: ByteBuffer): void {
  out.varint(BLOCK)
  out.varint(MINIBLOCKS)
  out.varint(count)
}

/**
 * Encodes values[start .. end), whose spread must be below 2^31. `base` is added to the first value (the others are relative to it),
 * so that a column of large numbers comes as small offsets.
 */
export function deltaNarrow(values: Int32Array, start: number, end: number, base: number, out: ByteBuffer): void {
  writeHeader(end - start, out)
  if (start === end) return out.zigzag(0)
  out.zigzag(base + (values[start] as number))
  for (let from = start + 1; from < end; from += BLOCK) {
    const count = Math.min(BLOCK, end - from)
    let least = 0x7fffffff
    let previous = values[from - 1] as number
    for (let i = 0; i < count; i++) {
      const value = values[from + i] as number
      const delta = (value - previous) | 0
      previous = value
      deltas[i] = delta
      if (delta < least) least = delta
    }
    out.zigzag(least)
    out.reserve(MINIBLOCKS)
    const widths = out.length
    out.length += MINIBLOCKS
    for (let mini = 0; mini < MINIBLOCKS; mini++) {
      const first = mini * MINIBLOCK
      const stop = Math.min(first + MINIBLOCK, count)
      let bits = 0
      for (let i = first; i < stop; i++) {
        const rest = ((deltas[i] as number) - least) | 0
        deltas[i] = rest
        bits |= rest
      }
      const width = 32 - Math.clz32(bits)
      out.bytes[widths + mini] = width
      if (width === 0) continue
      for (let i = Math.max(stop, first); i < first + MINIBLOCK; i++) deltas[i] = 0
      packBits(deltas, first, first + MINIBLOCK, width, out)
    }
  }
}

/** Packs low/high word pairs [first, first + 32) with width 33 .. 64: bit by bit of the words, rare enough to be simple. */
function packPairs(first: number, width: number, out: ByteBuffer): void {
  const size = (MINIBLOCK * width) / 8
  out.reserve(size)
  out.bytes.fill(0, out.length, out.length + size)
  const base = out.length
  const put = (word: number, bits: number, at: number): void => {
    let rest = word
    let left = bits
    let bit = at
    while (left > 0) {
      const index = base + (bit >>> 3)
      const shift = bit & 7
      const taken = Math.min(8 - shift, left)
      out.bytes[index] = (out.bytes[index] as number) | ((rest & ((1 << taken) - 1)) << shift)
      rest >>>= taken
      left -= taken
      bit += taken
    }
  }
  for (let i = 0; i < MINIBLOCK; i++) {
    put(low[first + i] as number, 32, i * width)
    put(high[first + i] as number, width - 32, i * width + 32)
  }
  out.length += size
}

function join(highWord: number, lowWord: number): bigint {
  return (BigInt(highWord) << 32n) | BigInt(lowWord >>> 0)
}

/** Differences of count + 1 neighbours from value `from - 1` into `low` and `high`; returns the least as a signed 64-bit integer's words. */
function pairDeltas(pairs: Int32Array, from: number, count: number): { readonly leastLow: number; readonly leastHigh: number } {
  let leastLow = -1
  let leastHigh = 0x7fffffff
  for (let i = 0; i < count; i++) {
    const at = (from + i) * 2
    const lowBefore = pairs[at - 2] as number
    const lowNow = pairs[at] as number
    const borrow = lowNow >>> 0 < lowBefore >>> 0 ? 1 : 0
    const lowWord = (lowNow - lowBefore) | 0
    const highWord = ((pairs[at + 1] as number) - (pairs[at - 1] as number) - borrow) | 0
    low[i] = lowWord
    high[i] = highWord
    if (highWord < leastHigh || (highWord === leastHigh && lowWord >>> 0 < leastLow >>> 0)) {
      leastHigh = highWord
      leastLow = lowWord
    }
  }
  return { leastLow, leastHigh }
}

/** Encodes values[start .. end) of any 64-bit integers. */
export function deltaWide(values: BigInt64Array<ArrayBuffer>, start: number, end: number, out: ByteBuffer): void {
  writeHeader(end - start, out)
  if (start === end) return out.zigzag(0)
  out.zigzag64(values[start] as bigint)
  const pairs = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  for (let from = start + 1; from < end; from += BLOCK) {
    const count = Math.min(BLOCK, end - from)
    const { leastLow, leastHigh } = pairDeltas(pairs, from, count)
    out.zigzag64(join(leastHigh, leastLow))
    out.reserve(MINIBLOCKS)
    const widths = out.length
    out.length += MINIBLOCKS
    for (let mini = 0; mini < MINIBLOCKS; mini++) {
      const first = mini * MINIBLOCK
      const stop = Math.min(first + MINIBLOCK, count)
      let lowBits = 0
      let highBits = 0
      for (let i = first; i < stop; i++) {
        const lowWord = low[i] as number
        const borrow = lowWord >>> 0 < leastLow >>> 0 ? 1 : 0
        lowBits |= low[i] = (lowWord - leastLow) | 0
        highBits |= high[i] = ((high[i] as number) - leastHigh - borrow) | 0
      }
      const width = highBits !== 0 ? 64 - Math.clz32(highBits) : 32 - Math.clz32(lowBits)
      out.bytes[widths + mini] = width
      if (width === 0) continue
      low.fill(0, Math.max(stop, first), first + MINIBLOCK)
      high.fill(0, Math.max(stop, first), first + MINIBLOCK)
      if (width <= 32) packBits(low, first, first + MINIBLOCK, width, out)
      else packPairs(first, width, out)
    }
  }
}
