// Takes records out of a batch for compaction. Offsets of the others do not change: records carry their distance to the base offset, so the
// bytes that stay are copied as they are, and the header keeps the last offset although its record may be gone.
import { crc32c } from '../base/crc32c.ts'
import { ATTRIBUTES_AT, BATCH_HEADER_BYTES, CRC_AT, LENGTH_AT, LENGTH_FROM, viewOf } from './batch-header.ts'
import type { RecordRows } from './record-rows.ts'

/**
 * The batch with only the records whose rows `keep` accepts, as new bytes; null when none stays; `batch` itself when all stay.
 * @param rows Rows of exactly this batch: `rows.read(batch, 0)` was called and nothing since.
 */
export function keepRecords(batch: Uint8Array, rows: RecordRows, keep: (row: number) => boolean): Uint8Array | null {
  const kept = new Uint8Array(batch.length)
  let count = 0
  let at = BATCH_HEADER_BYTES
  let start = BATCH_HEADER_BYTES
  for (let row = 0; row < rows.count; row++) {
    const end = rows.headerEnds[row] as number
    if (keep(row)) {
      kept.set(batch.subarray(start, end), at)
      at += end - start
      count++
    }
    start = end
  }
  if (count === rows.count) return batch
  if (count === 0) return null
  kept.set(batch.subarray(0, BATCH_HEADER_BYTES))
  const view = viewOf(kept)
  view.setInt32(LENGTH_AT, at - LENGTH_FROM)
  view.setInt32(57, count)
  view.setUint32(CRC_AT, crc32c(kept, ATTRIBUTES_AT, at))
  return kept.slice(0, at)
}
