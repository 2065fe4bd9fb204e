// Bit packing, least significant bit first, and the run-length / bit-packed hybrid of levels and dictionary ids.
// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md (RLE = 3).
import type { ByteBuffer } from './byte-buffer.ts'

/** Bits that hold every id of `0 .. max`. */
export function bitWidth(max: number): number {
  return 32 - Math.clz32(max)
}

/**
 * Packs values[start .. end), each below 2^width and width <= 32, padded with zero bits to a multiple of 8 values.
 * Cost: about a nanosecond per value; words of 32 bits leave at once.
 */
export function packBits(values: Int32Array | Uint32Array, start: number, end: number, width: number, out: ByteBuffer): void {
  const groups = (end - start + 7) >>> 3
  const size = groups * width
  out.reserve(size + 4)
  const view = out.view
  let at = out.length
  let word = 0
  let used = 0
  for (let i = start; i < end; i++) {
    const value = values[i] as number
    word |= value << used
    used += width
    if (used >= 32) {
      view.setInt32(at, word, true)
      at += 4
      used -= 32
      // A shift by 32 would be a shift by 0, so the word that is exactly full is a case of its own.
      word = used === 0 ? 0 : value >>> (width - used)
    }
  }
  const stop = out.length + size
  out.bytes.fill(0, at, stop)
  for (; used > 0; used -= 8) {
    out.bytes[at++] = word & 0xff
    word >>>= 8
  }
  out.length = stop
}

/** One bit per byte of `flags`, which are 0 or 1; padded with zeros to a whole byte. */
export function packFlags(flags: Uint8Array, start: number, end: number, out: ByteBuffer): void {
  out.reserve((end - start + 7) >>> 3)
  const target = out.bytes
  let at = out.length
  let i = start
  for (; i + 8 <= end; i += 8) {
    target[at++] =
      (flags[i] as number) |
      ((flags[i + 1] as number) << 1) |
      ((flags[i + 2] as number) << 2) |
      ((flags[i + 3] as number) << 3) |
      ((flags[i + 4] as number) << 4) |
      ((flags[i + 5] as number) << 5) |
      ((flags[i + 6] as number) << 6) |
      ((flags[i + 7] as number) << 7)
  }
  if (i < end) {
    let last = 0
    for (let bit = 0; i < end; i++, bit++) last |= (flags[i] as number) << bit
    target[at++] = last
  }
  out.length = at
}

/** A run of one value, repeated. */
export function writeRun(value: number, count: number, width: number, out: ByteBuffer): void {
  out.varint(count * 2)
  for (let rest = value, bits = width; bits > 0; bits -= 8, rest >>>= 8) out.byte(rest & 0xff)
}

/** Runs shorter than this many groups of 8 stay bit-packed: a change of mode costs two to three bytes. */
const RUN_GROUPS_MIN = 4

/** Value of the group of eight levels at `at` when all are equal, else -1. */
function uniform(levels: Uint8Array, at: number, end: number): number {
  const first = levels[at] as number
  const stop = Math.min(at + 8, end)
  for (let i = at + 1; i < stop; i++) if (levels[i] !== first) return -1
  return first
}

function writePacked(levels: Uint8Array, start: number, end: number, width: number, out: ByteBuffer): void {
  if (start === end) return
  out.varint((((end - start + 7) >>> 3) << 1) | 1)
  if (width === 1) packFlags(levels, start, end, out)
  else packBits(Int32Array.from(levels.subarray(start, end)), 0, end - start, width, out)
}

/** Writes levels[start .. end) in the hybrid encoding: long runs as runs, the rest bit-packed. */
export function writeLevels(levels: Uint8Array, start: number, end: number, width: number, out: ByteBuffer): void {
  let packedFrom = start
  let at = start
  while (at < end) {
    const value = uniform(levels, at, end)
    let stop = Math.min(at + 8, end)
    if (value >= 0) {
      while (stop < end && levels[stop] === value) stop++
      // Only the last run may end inside a group: what stands before it must fill its groups of eight.
      if (stop < end) stop = at + ((stop - at) & ~7)
      if (stop - at >= RUN_GROUPS_MIN * 8 || (at === start && stop === end)) {
        writePacked(levels, packedFrom, at, width, out)
        writeRun(value, stop - at, width, out)
        packedFrom = stop
      }
    }
    at = stop
  }
  writePacked(levels, packedFrom, end, width, out)
}
