// From the records of a source partition to a batch: decodes the columns that the topology reads, and the event time of every row.
import type { Batch } from '../codec/column.ts'
import type { RecordRows } from '../codec/record-rows.ts'
import type { MillraceError } from '../base/errors.ts'

export interface SourceRows {
  /** All records, in order. `selected` leaves out the bad ones. Valid until the next decode. */
  readonly batch: Batch
  /** Bad rows, ascending, each with its error (MR_CODEC_*, MR_SCHEMA_REFUSED, MR_TIME_NEGATIVE). Their `times` are NaN. */
  readonly rejected: readonly { readonly row: number; readonly error: MillraceError }[]
}

export interface SourceDecoder {
  /** Rows of `rows` (record bytes stay where they are: the batch's origin refers to them). */
  decode(rows: RecordRows, partition: number): SourceRows
}
