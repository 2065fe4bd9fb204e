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

/** The same batch with fewer live rows; `rows` is kept, not copied. */
export function withRows(batch: Batch, rows: Int32Array, count: number): Batch {
  return { ...batch, selected: rows, selectedCount: count }
}

/** An Int32Array that grows by doubling and keeps its memory from batch to batch. */
export class RowList {
  rows: Int32Array = new Int32Array(1024)
  count = 0

  /** Forgets the rows and makes room for `size`. */
  reset(size: number): Int32Array {
    if (this.rows.length < size) this.rows = new Int32Array(size * 2)
    this.count = 0
    return this.rows
  }

  add(row: number): void {
    if (this.count === this.rows.length) {
      const grown = new Int32Array(this.count * 2)
      grown.set(this.rows)
      this.rows = grown
    }
    this.rows[this.count++] = row
  }
}
