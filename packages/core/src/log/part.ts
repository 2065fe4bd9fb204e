// What a log checks before it takes a part of an append or commit. Shared by all logs, so that they refuse the same things.
import { isMillraceError, MillraceError } from '../base/errors.ts'
import {
  ATTRIBUTE_CONTROL,
  batchByteLength,
  batchHolds,
  type BatchHeader,
  readBatchHeader,
  RecordRows,
  requireUncompressed,
} from '../codec/record-batch.ts'
import type { LogPart, TopicSettings } from './log.ts'

const rows = new RecordRows()

/**
 * The headers of the batches of a part, at least one, in order.
 * @throws {MillraceError} `MR_LOG_BATCH_INVALID` for bytes that are not whole batches with right CRCs, for control batches, and for a
 * record without key on a compacted topic; `MR_LOG_BATCH_TOO_LARGE`; `MR_CODEC_UNSUPPORTED` for a compressed batch.
 */
export function readPart(part: LogPart, settings: TopicSettings): readonly BatchHeader[] {
  const { batch } = part
  const headers: BatchHeader[] = []
  for (let at = 0; at < batch.length || headers.length === 0;) {
    const header = readWhole(part, at)
    if (header.byteLength > settings.batchBytesMax) {
      throw new MillraceError('MR_LOG_BATCH_TOO_LARGE', {
        details: { ...place(part, at), bytes: header.byteLength, bytesMax: settings.batchBytesMax },
      })
    }
    requireUncompressed(header)
    if ((header.attributes & ATTRIBUTE_CONTROL) !== 0) throw invalid(part, at, 'control batches are written by the log alone')
    headers.push(header)
    at += header.byteLength
  }
  if (settings.compacted) requireKeys(part)
  return headers
}

function readWhole(part: LogPart, at: number): BatchHeader {
  try {
    if (batchByteLength(part.batch, at) < 0) throw invalid(part, at, 'the batch is cut off')
    const header = readBatchHeader(part.batch, at)
    if (batchHolds(part.batch, at, header)) return header
  } catch (cause) {
    if (isMillraceError(cause) && cause.code === 'MR_LOG_BATCH_INVALID') throw cause
    throw invalid(part, at, 'the batch is not a record batch', cause)
  }
  throw invalid(part, at, 'the checksum of the batch is wrong')
}

function requireKeys(part: LogPart): void {
  let count = 0
  try {
    count = rows.read(part.batch, 0)
  } catch (cause) {
    throw invalid(part, 0, 'the records of the batch are broken', cause)
  }
  for (let row = 0; row < count; row++) {
    if ((rows.keyStarts[row] as number) < 0) throw invalid(part, 0, 'a compacted topic takes no record without key')
  }
}

function invalid(part: LogPart, at: number, message: string, cause?: unknown): MillraceError {
  return new MillraceError('MR_LOG_BATCH_INVALID', { message, details: place(part, at), cause })
}

function place(part: LogPart, at: number): { readonly topic: string; readonly partition: number; readonly at: number } {
  return { topic: part.topic, partition: part.partition, at }
}
