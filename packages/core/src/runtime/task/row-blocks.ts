// Rows as blocks for internal topics, such that one that cannot be written harms itself alone: what fails together is written by halves.
import type { Batch, Field } from '../../codec/column.ts'
import type { BlockWriter } from '../../codec/block.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'

/** Far below what a batch of an internal topic may have (topics.ts). */
const BLOCK_BYTES_MAX = 64 * 1024 * 1024

/** Takes rows that cannot be written. */
export type RefuseRow = (batch: Batch, row: number, error: unknown) => void

export interface BlockTaker {
  /** A block, valid until the call returns, and its first row. */
  take(block: Uint8Array, first: number): void
  refuse(row: number, error: unknown): void
}

/** Rows `rows[0..count)` in as few blocks as may be, in order. Refused are rows above BLOCK_BYTES_MAX and such as throw when they are read. */
export function writeBlocks(
  writer: BlockWriter,
  fields: readonly Field[],
  batch: Batch,
  rows: Int32Array,
  count: number,
  taker: BlockTaker,
): void {
  let block: Uint8Array
  try {
    block = writer.write(batch, fields, rows, count)
    if (block.length > BLOCK_BYTES_MAX)
      throw new MillraceError('MR_CODEC_TOO_LARGE', {
        message: 'the row is too large to be handed on.',
        details: { bytes: block.length, bytesMax: BLOCK_BYTES_MAX },
      })
  } catch (error) {
    if (isMillraceError(error) && error.kind === 'internal') throw error
    if (count === 1) return taker.refuse(rows[0] as number, error)
    const half = count >> 1
    writeBlocks(writer, fields, batch, rows.slice(0, half), half, taker)
    writeBlocks(writer, fields, batch, rows.slice(half, count), count - half, taker)
    return
  }
  taker.take(block, rows[0] as number)
}
