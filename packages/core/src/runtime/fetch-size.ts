// How much to ask of a partition that is read from one end to the other, once.
import type { Log } from '../log/log.ts'

const FETCH_BYTES_MIN = 4_096
const FETCH_BYTES_MAX = 4 * 1024 * 1024

/** Bytes per fetch: what the partition keeps, within limits. A reader's buffer is as large as what is asked, and most partitions are small. */
export function wholeFetchBytes(log: Log, topic: string, partition: number): number {
  const kept = log.ends(topic).find((ends) => ends.partition === partition)?.bytes ?? 0
  return Math.min(FETCH_BYTES_MAX, Math.max(FETCH_BYTES_MIN, kept))
}
