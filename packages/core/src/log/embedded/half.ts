// One half of the journal: a prefilled file and its copy in memory, byte for byte at the same positions.
// Readers of the newest data and the checkpoint read the memory; only recovery reads the file. The memory is not shared with other threads:
// V8 copies shared memory in pieces of a byte or a word, which made every commit and every read of the newest data several times dearer.
import type { Disk, DiskFile } from '../../base/disk.ts'
import { journalPath, PREFILL_BYTES } from './format.ts'
import type { PartitionState } from './partition.ts'

const PAGE_BYTES = 4_096

export class Half {
  readonly index: number
  readonly path: string
  readonly file: DiskFile
  /** Size of the file, which the memory may be smaller than. It only grows. */
  fileBytes: number
  memory: Uint8Array
  view: DataView
  /** Where the next entry starts. */
  position = 0
  /** True while nothing in it is needed any more: its batches are in their segments, or it is empty. */
  free = true
  /** Counted up whenever the half is begun anew, so that a reader of the memory can tell that it was overwritten. */
  generation = 0
  /** Partitions with batches in this half. */
  readonly touched: Set<PartitionState> = new Set()

  constructor(index: number, path: string, file: DiskFile, bytes: number) {
    this.index = index
    this.path = path
    this.file = file
    this.fileBytes = bytes
    this.memory = new Uint8Array(bytes)
    this.view = new DataView(this.memory.buffer)
  }

  get bytes(): number {
    return this.memory.length
  }

  /** Writes [start, end) of the memory to the file. Durable once the file is synced. */
  write(start: number, end: number): void {
    if (this.file.writeImage) this.file.writeImage(this.memory, start, end)
    else this.file.write(this.memory.subarray(start, end), start)
  }

  /**
   * A larger memory for a free half, and the file grown and prefilled to it. `record` makes the file's size durable elsewhere before anything
   * is written behind the old end: a file that is cut short later is known by it. Throws MR_DISK_FULL when there is no room: then nothing
   * that counts has changed.
   */
  grow(bytes: number, record: () => void): void {
    if (this.fileBytes < bytes) {
      prefill(this.file, this.file.size(), bytes)
      this.file.sync()
      const before = this.fileBytes
      this.fileBytes = bytes
      try {
        record()
      } catch (error) {
        this.fileBytes = before
        throw error
      }
    }
    this.memory = new Uint8Array(bytes)
    this.view = new DataView(this.memory.buffer)
  }

  /** Gives memory back that an earlier load had needed; the file keeps its size for the next time. The half must be free. */
  shrink(bytes: number): void {
    if (this.memory.length <= bytes) return
    this.memory = new Uint8Array(bytes)
    this.view = new DataView(this.memory.buffer)
  }

  /** Makes the half ready to be written from its start. */
  restart(): void {
    this.position = 0
    this.free = true
    this.generation++
    for (const partition of this.touched) partition.tails[this.index]?.clear()
    this.touched.clear()
  }
}

/** No half of a journal is smaller. */
export const HALF_BYTES_MIN: number = 16 << 10

/** Makes or opens the file of a half; `bytes` is its least size. */
export function openHalf(disk: Disk, folder: string, index: number, bytes: number): Half {
  const path = journalPath(folder, index)
  const file = disk.open(path, 'create')
  const size = Math.floor(file.size() / PAGE_BYTES) * PAGE_BYTES
  if (size < bytes) {
    prefill(file, size, bytes)
    file.sync()
  }
  return new Half(index, path, file, Math.max(size, bytes))
}

/** Writes zeros over [from, to) in writes of 64 KiB: a file that is only extended would pay for its blocks at every later sync. */
function prefill(file: DiskFile, from: number, to: number): void {
  const zeros = new Uint8Array(PREFILL_BYTES)
  for (let at = from; at < to; at += PREFILL_BYTES) file.write(at + PREFILL_BYTES <= to ? zeros : zeros.subarray(0, to - at), at)
}
