// The files of one checkpoint: one open file per folder, rolled by size, within one memory budget however many folders there are.
// Files are written under staging names and shown by rename; which rows a file holds and its name are planned here, in the order of
// the rows, so the same rows give the same files with the same content.
//
// Memory: when the open files hold more than the budget, the fullest write their rows out (Parquet: as row groups); when what is left (footer
// entries, empty encoders) is still too much, the largest are finished. A finished file costs its names only.
import type { Disk, DiskFile } from '../base/disk.ts'
import { MillraceError } from '../base/errors.ts'
import type { Batch } from '../codec/column.ts'

/** Where the bytes of a file go. `write` takes or copies the bytes before it returns: they are reused. */
export interface FileOutput {
  write(bytes: Uint8Array): void
  /** Bytes written so far. */
  readonly position: number
}

/** Makes the bytes of one file out of batches. Its bytes are a function of the rows, not of how they came in batches. */
export interface FileEncoder {
  /** Adds the selected rows and copies what it keeps. */
  write(batch: Batch): void
  /** Writes what is buffered and gives its memory back. */
  flush(): void
  /** Ends the file; the encoder is not used again. */
  finish(): { readonly rowCount: number; readonly size: number }
  /** Bytes of the rows that wait; a function of the rows. */
  readonly bufferedBytes: number
  /** Bytes of memory that it holds; approximate. */
  readonly memoryBytes: number
}

export interface FileSetOptions {
  readonly disk: Disk
  /** Folder of the staging files; exists. */
  readonly staging: string
  /** What staging names begin with: unique per epoch and checkpoint. */
  readonly prefix: string
  readonly rollBytes: number
  readonly budgetBytes: number
  readonly encoder: (output: FileOutput) => FileEncoder
}

/** A file that holds all its rows and still has its staging name. */
export interface StagedFile {
  /** Name in the staging folder. */
  readonly staged: string
  /** Where it belongs, relative to the archive; empty without partitions. */
  readonly folder: string
  /** Running number within the checkpoint. */
  readonly number: number
  readonly rowCount: number
  readonly size: number
}

/** After relief this share of the budget is in use, so that relief is rare. */
const RELIEF_SHARE = 0.75
/** Files that are synced side by side; more would only wait for the same disk. */
const SYNC_COUNT_MAX = 16

/** Appends to a file that is open only while bytes arrive: thousands of folders must not need thousands of descriptors. */
class StagingOutput implements FileOutput {
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | null = null
  position = 0

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  write(bytes: Uint8Array): void {
    this.#file ??= this.position === 0 ? this.#disk.open(this.#path, 'create') : openStaged(this.#disk, this.#path, this.position)
    this.#file.write(bytes, this.position)
    this.position += bytes.length
  }

  release(): void {
    this.#file?.close()
    this.#file = null
  }
}

/** Opens a file that must have what was written to it, and no more: where somebody removed or replaced it, there would be a hole. */
function openStaged(disk: Disk, path: string, size: number): DiskFile {
  const file = disk.open(path, 'write')
  const found = file.size()
  if (found === size) return file
  file.close()
  throw new MillraceError('MR_SINK_FOLDER_GONE', {
    message: `a staged file of the sink has ${found} bytes where it wrote ${size}: somebody else replaced it or writes to it.`,
    details: { path },
    fix: 'The sink begins again behind its last checkpoint. Leave `_staging` alone, and let no other plant archive into the same folder under the same names.',
  })
}

interface OpenFile {
  readonly folder: string
  readonly number: number
  readonly staged: string
  readonly output: StagingOutput
  readonly encoder: FileEncoder
  memoryBytes: number
}

export class FileSet {
  readonly #options: FileSetOptions
  readonly #open = new Map<string, OpenFile>()
  readonly #staged: StagedFile[] = []
  #fileCount = 0
  #memoryBytes = 0
  #stagedBytes = 0

  constructor(options: FileSetOptions) {
    this.#options = options
  }

  /** Files that are still filling. */
  get openCount(): number {
    return this.#open.size
  }

  /** Files that are finished and wait for the checkpoint. */
  get stagedCount(): number {
    return this.#staged.length
  }

  get stagedBytes(): number {
    return this.#stagedBytes
  }

  /** Bytes that the open files have on disk and in memory. */
  get openBytes(): number {
    let bytes = 0
    for (const file of this.#open.values()) bytes += file.output.position + file.encoder.bufferedBytes
    return bytes
  }

  get isEmpty(): boolean {
    return this.#fileCount === 0
  }

  /** Bytes of memory that all open files hold; approximate. */
  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Adds the selected rows of a batch to the folder's file. */
  write(folder: string, batch: Batch): void {
    const file = this.#open.get(folder) ?? this.#begin(folder)
    file.encoder.write(batch)
    file.output.release()
    if (file.output.position >= this.#options.rollBytes) this.#finish(file)
    else this.#account(file)
    if (this.#memoryBytes > this.#options.budgetBytes) this.#relieve()
  }

  #begin(folder: string): OpenFile {
    const { disk, staging, prefix } = this.#options
    const number = this.#fileCount++
    // Not called by its type: whoever reads `**/*.parquet` must not see it.
    const staged = `${prefix}-${number}.staged`
    const output = new StagingOutput(disk, `${staging}/${staged}`)
    const encoder = this.#options.encoder(output)
    const file: OpenFile = { folder, number, staged, output, encoder, memoryBytes: 0 }
    this.#open.set(folder, file)
    return file
  }

  #account(file: OpenFile): void {
    const now = file.encoder.memoryBytes
    this.#memoryBytes += now - file.memoryBytes
    file.memoryBytes = now
  }

  #finish(file: OpenFile): void {
    const { rowCount, size } = file.encoder.finish()
    file.output.release()
    this.#open.delete(file.folder)
    this.#memoryBytes -= file.memoryBytes
    this.#stagedBytes += size
    // Every row of it was refused: there is no file.
    if (rowCount === 0 && size === 0) return
    this.#staged.push({ staged: file.staged, folder: file.folder, number: file.number, rowCount, size })
  }

  #relieve(): void {
    const target = this.#options.budgetBytes * RELIEF_SHARE
    const fullestFirst = [...this.#open.values()].sort((a, b) => b.memoryBytes - a.memoryBytes || a.number - b.number)
    for (const file of fullestFirst) {
      if (this.#memoryBytes <= target) return
      file.encoder.flush()
      file.output.release()
      this.#account(file)
    }
    for (const file of fullestFirst) {
      if (this.#memoryBytes <= target) return
      this.#finish(file)
    }
  }

  /** Finishes every file and makes the bytes of all durable, in the order in which they were begun; the caller syncs the staging folder. */
  async stage(): Promise<readonly StagedFile[]> {
    for (const file of Array.from(this.#open.values())) this.#finish(file)
    const { disk, staging } = this.#options
    for (let from = 0; from < this.#staged.length; from += SYNC_COUNT_MAX) {
      const files = this.#staged
        .slice(from, from + SYNC_COUNT_MAX)
        .map(({ staged, size }) => openStaged(disk, `${staging}/${staged}`, size))
      const outcomes = await Promise.allSettled(files.map((file) => file.syncLater()))
      for (const file of files) file.close()
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }

    return this.#staged.toSorted((a, b) => a.number - b.number)
  }
}
