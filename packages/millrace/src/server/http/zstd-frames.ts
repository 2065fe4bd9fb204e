// Where the frames of a zstd body lie (RFC 8878, 3.1). Decoders stop behind the first one, and what `cat a.zst b.zst` sends has several.
import { MillraceError } from '@millrace/core/engine'

/** Frames of one body. Each is a call of the decoder, whatever its size, and other bodies wait behind it. */
const FRAMES_MAX = 1024

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const
const BLOCK_RLE = 1
const BLOCK_RESERVED = 3

/**
 * The frames of a body in order, without skippable ones; null when it does not end where a frame ends.
 * @throws {MillraceError} `MR_HTTP_BODY_INVALID` when there are more than 1,024.
 */
export function zstdFrames(body: Buffer): readonly Buffer[] | null {
  const frames: Buffer[] = []
  for (let at = 0; at < body.length;) {
    if (body.length - at < 8) return null
    const magic = body.readUInt32LE(at)
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + body.readUInt32LE(at + 4)
      if (at > body.length) return null
      continue
    }
    const end = magic === MAGIC ? frameEnd(body, at) : -1
    if (end < 0) return null
    if (frames.length === FRAMES_MAX)
      throw new MillraceError('MR_HTTP_BODY_INVALID', { message: 'the body has too many zstd frames.', details: { framesMax: FRAMES_MAX } })
    frames.push(body.subarray(at, end))
    at = end
  }
  return frames
}

/** One past the frame at `at`; -1 when the body ends before it. */
function frameEnd(body: Buffer, at: number): number {
  const descriptor = body[at + 4] as number
  const isSingleSegment = (descriptor & 32) !== 0
  const sizeFlag = descriptor >>> 6
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] as number)
  let next = at + 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] as number) + sizeBytes
  for (let isLast = false; !isLast;) {
    if (next + 3 > body.length) return -1
    const header = body.readUIntLE(next, 3)
    const type = (header >>> 1) & 3
    if (type === BLOCK_RESERVED) return -1
    isLast = (header & 1) === 1
    next += 3 + (type === BLOCK_RLE ? 1 : header >>> 3)
  }
  next += (descriptor & 4) === 0 ? 0 : 4
  return next <= body.length ? next : -1
}
