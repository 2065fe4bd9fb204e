// From batches to records of a user's topic: value bytes (JSON, or the source's own bytes where nothing changed them) and key bytes.
import type { Batch } from '../codec/column.ts'

export interface EncodedRecords {
  /** One buffer for keys and values; valid until the next encode. */
  readonly bytes: Uint8Array
  /** Index i is rows[i]. A key start of -1 is a null key. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
}

export interface RecordEncoder {
  /** Key: a single string field as its text, otherwise the JSON text of the key fields in order; null where the stream has no key and the source record had none. */
  encode(batch: Batch, rows: Int32Array, count: number): EncodedRecords
}
