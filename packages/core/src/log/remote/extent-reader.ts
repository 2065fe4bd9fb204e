// Reads one partition on and on inside an extent: whole batches into a buffer of its own, each checked by stamp and CRC.
// Never reports damage itself: it gives up the extent, and the owner of the log is asked instead.
import type { Disk, DiskFile } from '../../base/disk.ts'
import { BATCH_HEADER_BYTES, batchByteLength } from '../../codec/record-batch.ts'
import { isMillraceError } from '../../base/errors.ts'
import type { Extent } from '../embedded/extent.ts'
import { walkVerified } from '../embedded/reader.ts'

/** Decoders read whole words: this much is readable behind the last batch. */
export const PADDING_BYTES = 64
const BUFFER_BYTES_MIN = 65_536

export interface ExtentRead {
  /** Valid until the next read. */
  readonly bytes: Uint8Array
  readonly next: number
}

interface Cursor {
  readonly topicId: string
  readonly partition: number
  readonly extent: Extent
  readonly file: DiskFile
  offset: number
  position: number
}

export class ExtentReader {
  readonly #disk: Disk
  #cursor: Cursor | null = null
  #buffer: Uint8Array = new Uint8Array(0)

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Goes on in this extent. Where its file is gone (retention), nothing is begun. */
  begin(topicId: string, partition: number, offset: number, extent: Extent): void {
    const known = this.#cursor
    if (known !== null && known.extent.path === extent.path) {
      this.#cursor = { ...known, topicId, partition, extent, offset, position: extent.position }
      return
    }
    this.close()
    try {
      const file = this.#disk.open(extent.path, 'read')
      this.#cursor = { topicId, partition, extent, file, offset, position: extent.position }
    } catch (error) {
      if (!isMillraceError(error)) throw error
    }
  }

  /** True when the next read begins at this offset. */
  holds(topicId: string, partition: number, offset: number): boolean {
    const cursor = this.#cursor
    if (cursor === null || cursor.offset !== offset || cursor.partition !== partition || cursor.topicId !== topicId) return false
    return cursor.position + BATCH_HEADER_BYTES <= cursor.extent.limit
  }

  /** Whole batches of at most `bytesMax`, at least one. Null, and the extent is given up, when there is none or it is not as it should be. */
  read(bytesMax: number): ExtentRead | null {
    const cursor = this.#cursor
    if (cursor === null) return null
    for (let budget = Math.max(bytesMax, BATCH_HEADER_BYTES); ;) {
      const want = Math.min(budget, cursor.extent.limit - cursor.position)
      if (want < BATCH_HEADER_BYTES) break
      const target = this.#reserve(want)
      const got = readUpTo(cursor.file, target, cursor.position)
      const walk = walkVerified(target, got, cursor.extent.partition, cursor.offset)
      if (walk.end === 0) {
        const needed = got < BATCH_HEADER_BYTES ? 0 : batchByteLength(target, 0)
        // Larger than the budget: alone it may exceed it. Else it is damaged.
        if (needed <= got || cursor.position + needed > cursor.extent.limit) break
        budget = needed
        continue
      }
      cursor.position += walk.end
      // The extent may begin with batches below the offset.
      if (walk.start === walk.end) continue
      cursor.offset = walk.next
      return { bytes: target.subarray(walk.start, walk.end), next: walk.next }
    }
    this.close()
    return null
  }

  close(): void {
    this.#cursor?.file.close()
    this.#cursor = null
  }

  #reserve(bytes: number): Uint8Array {
    if (this.#buffer.length < bytes + PADDING_BYTES) this.#buffer = new Uint8Array(Math.max(BUFFER_BYTES_MIN, bytes + PADDING_BYTES))
    return this.#buffer.subarray(0, bytes)
  }
}

function readUpTo(file: DiskFile, target: Uint8Array, position: number): number {
  let done = 0
  while (done < target.length) {
    const count = file.read(done === 0 ? target : target.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done
}
