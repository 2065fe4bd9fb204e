// Partitioning by key: murmur2 as Apache Kafka's Java client computes it, so that both place a key in the same partition.

/** Signed 32-bit murmur2 of bytes[start .. end). */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  const m = 0x5bd1e995
  let h = (0x9747b28c ^ length) | 0
  const blocks = start + (length & ~3)
  for (let at = start; at < blocks; at += 4) {
    let k =
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24) | 0
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const rest = length & 3
  if (rest === 3) h ^= (bytes[blocks + 2] as number) << 16
  if (rest >= 2) h ^= (bytes[blocks + 1] as number) << 8
  if (rest >= 1) {
    h ^= bytes[blocks] as number
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

/** The partition of a key among `partitions`. */
export function partitionOf(bytes: Uint8Array, start: number, end: number, partitions: number): number {
  return (murmur2(bytes, start, end) & 0x7fffffff) % partitions
}
