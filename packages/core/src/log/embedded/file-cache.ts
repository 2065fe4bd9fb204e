// Open files of segments and indexes, so that a log with thousands of partitions does not run out of descriptors.
// Invariant: a pinned file stays open; others are closed, oldest use first, above the limit.
import type { Disk, DiskFile } from '../../base/disk.ts'

/** Files kept open at the same moment when none is pinned. */
const OPEN_FILES_MAX = 512

interface OpenFile {
  readonly file: DiskFile
  pins: number
  /** Closed when the last pin is taken away. */
  dropped: boolean
}

export class FileCache {
  readonly #disk: Disk
  readonly #open = new Map<string, OpenFile>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** The file, opened for reading and writing and made when it is missing. Valid until the next call of the cache unless pinned. */
  get(path: string): DiskFile {
    const known = this.#open.get(path)
    if (known) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known.file
    }
    if (this.#open.size >= OPEN_FILES_MAX) this.#closeOldest()
    const file = this.#disk.open(path, 'create')
    this.#open.set(path, { file, pins: 0, dropped: false })
    return file
  }

  /** True when the file is open, so it exists. */
  has(path: string): boolean {
    return this.#open.has(path)
  }

  /** Keeps the file open until `unpin`. */
  pin(path: string): DiskFile {
    const file = this.get(path)
    const entry = this.#open.get(path)
    if (entry) entry.pins++
    return file
  }

  unpin(path: string): void {
    const entry = this.#open.get(path)
    if (!entry) return
    entry.pins--
    if (entry.dropped) this.drop(path)
  }

  /** Closes the file when it is open, or as soon as nobody pins it any more. */
  drop(path: string): void {
    const entry = this.#open.get(path)
    if (!entry) return
    entry.dropped = true
    if (entry.pins > 0) return
    this.#open.delete(path)
    entry.file.close()
  }

  /** Closes every file in the folder and below. */
  dropUnder(folder: string): void {
    for (const path of this.#open.keys()) if (path.startsWith(`${folder}/`)) this.drop(path)
  }

  closeAll(): void {
    for (const { file } of this.#open.values()) file.close()
    this.#open.clear()
  }

  #closeOldest(): void {
    for (const [path, { file, pins }] of this.#open) {
      if (pins > 0) continue
      this.#open.delete(path)
      file.close()
      return
    }
  }
}
