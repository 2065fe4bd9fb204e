// The stamp of a stored batch: 32 bits in the field `partition leader epoch` (bytes 12-15), which a batch's own CRC does not cover.
// It ties base offset, length and CRC to the partition, so a flipped bit in the uncovered header, a batch written to a wrong place and
// bytes that a client made to look like a stored batch are all found when a segment is read.

/** The stamp of a batch with these values in this partition. */
export function stampOf(partition: number, baseOffset: number, byteLength: number, crc: number): number {
  let mix = Math.imul(partition ^ 0x9e3779b9, 0x85ebca6b)
  mix = Math.imul(mix ^ (mix >>> 15) ^ (baseOffset >>> 0), 0xc2b2ae35)
  mix = Math.imul(mix ^ (mix >>> 13) ^ Math.floor(baseOffset / 4294967296), 0x27d4eb2f)
  mix = Math.imul(mix ^ (mix >>> 16) ^ byteLength, 0x165667b1)
  mix = Math.imul(mix ^ (mix >>> 15) ^ crc, 0x9e3779b1)
  return (mix ^ (mix >>> 16)) >>> 0
}

/** Writes base offset and stamp into the batch at `at`, whose length and CRC are in place. */
export function stampBatch(bytes: Uint8Array, at: number, partition: number, baseOffset: number): void {
  const high = Math.floor(baseOffset / 4294967296)
  bytes[at] = high >>> 24
  bytes[at + 1] = high >>> 16
  bytes[at + 2] = high >>> 8
  bytes[at + 3] = high
  bytes[at + 4] = baseOffset >>> 24
  bytes[at + 5] = baseOffset >>> 16
  bytes[at + 6] = baseOffset >>> 8
  bytes[at + 7] = baseOffset
  const stamp = stampOf(partition, baseOffset, (read32(bytes, at + 8) | 0) + 12, read32(bytes, at + 17))
  bytes[at + 12] = stamp >>> 24
  bytes[at + 13] = stamp >>> 16
  bytes[at + 14] = stamp >>> 8
  bytes[at + 15] = stamp
}

/** True when the batch at `at` carries the stamp of this partition. The caller has made sure that 61 bytes are there. */
export function stampHolds(bytes: Uint8Array, at: number, partition: number): boolean {
  const offset = read32(bytes, at) * 4294967296 + read32(bytes, at + 4)
  return read32(bytes, at + 12) === stampOf(partition, offset, (read32(bytes, at + 8) | 0) + 12, read32(bytes, at + 17))
}

/** Big-endian unsigned 32 bits. */
export function read32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
}
