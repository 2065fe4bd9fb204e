// What every leaf buffer can do. A leaf collects the values of one column chunk, without nulls, and encodes them page by page when
// the row group ends. Four implementations, one per shape of memory: bool, i32, 64-bit numbers, bytes.
import type { Column } from '@millrace/core/connect'
import type { ByteBuffer } from './byte-buffer.ts'
import type { Levels } from './levels.ts'
import type { LeafSchema } from './schema.ts'

/** Encodings by the numbers of parquet.thrift. */
export const ENCODING = { plain: 0, rle: 3, deltaBinaryPacked: 5, deltaLengthByteArray: 6, rleDictionary: 8 } as const
export type Encoding = (typeof ENCODING)[keyof typeof ENCODING]

/** Least and largest value of a page in PLAIN bytes without length prefix; valid until the leaf is cleared. */
export interface Bounds {
  readonly min: Uint8Array
  readonly max: Uint8Array
}

/** `none`: no values that can be ordered, and that is all there is to say (only nulls, or a type without order).
 *  `unknown`: there are values, but bounds would mislead a reader (NaN), so the chunk gets neither statistics nor column index. */
export type PageBounds = Bounds | 'none' | 'unknown'

/** The values of one page. */
export interface ValueRange {
  readonly firstValue: number
  readonly endValue: number
}

export interface Leaf {
  readonly schema: LeafSchema
  readonly levels: Levels
  /** Appends the rows from..to of a column that has no nulls there. `batchNumber` changes with every batch. */
  appendRange(column: Column, from: number, to: number, batchNumber: number): void
  /** Appends the rows rows[from .. to), each of which has a value. */
  appendAt(column: Column, rows: Int32Array, from: number, to: number, batchNumber: number): void
  /** Ends the collecting: `sizeOf` holds from here on. */
  settle(): void
  /** Decides how the buffered values are encoded, in pages of these values. Comes after `settle` and before the methods below. */
  choose(pages: readonly ValueRange[]): Encoding
  /** Writes the dictionary's values; returns their count, 0 when the chunk has none. */
  writeDictionary(out: ByteBuffer): number
  /** Bounds of page `index` of those given to `choose`. */
  bounds(index: number): PageBounds
  writeValues(start: number, end: number, out: ByteBuffer): void
  /** PLAIN bytes of the values start..end, for cutting pages; 0 when values have a fixed size small enough not to matter. */
  sizeOf(start: number, end: number): number
  /** Bytes of the buffered values; depends on the values alone, so that row groups end at the same row whatever the batches were. */
  usedBytes(): number
  /** Bytes of memory held. */
  allocatedBytes(): number
  clear(release: boolean): void
}

export interface LeafOptions {
  readonly dictionaryBytesMax: number
}
