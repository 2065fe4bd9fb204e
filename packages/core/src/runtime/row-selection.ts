// Row lists of batches: the live rows of a batch as one array, without making one for each batch that has all of them.
import type { Batch } from '../codec/column.ts'

let identity = new Int32Array(4096)
for (let i = 0; i < identity.length; i++) identity[i] = i

/** 0, 1, 2 ... at least `count` long. Shared: read only. */
export function identityRows(count: number): Int32Array {
  if (identity.length < count) {
    const grown = new Int32Array(Math.max(count, identity.length * 2))
    for (let i = 0; i < grown.length; i++) grown[i] = i
    identity = grown
  }
  return identity
}

/** The live rows of a batch; `batch.selectedCount` of them count. */
export function liveRows(batch: Batch): Int32Array {
  return batch.selected ?? identityRows(batch.rowCount)
}
