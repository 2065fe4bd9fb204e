// The only door to files. Calls are synchronous: one thread owns each file, and a synchronous pwrite + fdatasync is faster than
// a trip through the thread pool (measured: 0.81-0.95 of it). Only long syncs of the checkpoint go through `syncLater`.
// The simulation has its own Disk that loses unsynced pages, tears writes, flips bits, runs full and reads short.

export interface DiskFile {
  readonly path: string
  /** Bytes, from the file system. */
  size(): number
  /** Reads into `target` from `position`; returns the bytes read, which is less than asked at the end of the file or after a short read. */
  read(target: Uint8Array, position: number): number
  /** Writes all of `source` at `position` or throws MR_DISK_FULL or MR_DISK_FAILED. Not durable until `sync`. */
  write(source: Uint8Array, position: number): void
  /** Writes the pieces one behind the other from `position`, in one system call where possible. */
  writeAll(sources: readonly Uint8Array[], position: number): void
  /**
   * The same in the background and without keeping a copy in the system's memory of files, for bytes that are not read again soon. Null when
   * it is not worth it, false when the file system does not do that: then the caller writes them the usual way. The pieces must stay as they
   * are, and the file open, until it settles. A disk need not have it.
   */
  writeAround?(sources: readonly Uint8Array[], position: number): Promise<boolean> | null
  /** The same in the foreground; false also when it is not worth it. A disk need not have it. */
  writeAroundNow?(sources: readonly Uint8Array[], position: number): boolean
  /**
   * Writes image[start .. end) at `start`, around the system's memory of files where that works. The image is what the file is to hold from
   * its beginning, byte for byte: whole blocks are written, so bytes of it before `start` and behind `end` may be written too. A disk need
   * not have it.
   */
  writeImage?(image: Uint8Array, start: number, end: number): void
  truncate(size: number): void
  /** fdatasync: everything written before is durable when it returns. A failure is final, never retried, and always MR_DISK_FAILED, also without room. */
  sync(): void
  /** The same in the background. */
  syncLater(): Promise<void>
  close(): void
}

/** What a file is, beside its content. */
export interface FileStat {
  readonly size: number
  /** Device and inode: a file keeps it through renames; once the file is gone another one may get it. */
  readonly identity: string
  /** Time of the last write, milliseconds with fractions, by the clock of the file system. */
  readonly modifiedMs: number
  /** False for what has no bytes at positions: a folder, a pipe, a device. */
  readonly isFile: boolean
}

export type OpenMode = 'read' | 'write' | 'create'

export interface Disk {
  /** `read`: must exist. `write`: must exist, read and write. `create`: made when missing, read and write. Throws MR_DISK_FAILED with the path. */
  open(path: string, mode: OpenMode): DiskFile
  exists(path: string): boolean
  /** Null when nothing has this name. */
  stat(path: string): FileStat | null
  /** Names in a folder, sorted; empty when the folder does not exist. */
  list(path: string): readonly string[]
  /** Makes the folder and its parents; no error when it exists. `private`: a folder that is made now is for its owner alone; its parents are not. */
  makeFolder(path: string, access?: 'private'): void
  /** Removes a file, or a folder with everything in it; no error when it does not exist. */
  remove(path: string): void
  /** Atomic replacement inside one file system; durable only after `syncFolder`. */
  rename(from: string, to: string): void
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(path: string): void
  /** Bytes that may still be written on the file system of `path`. */
  freeBytes(path: string): number
  /** Takes the folder for this process. Throws MR_LOG_LOCKED with the owner's process id. The lock dies with the process, however it dies. */
  lock(path: string): { release(): void }
}

/** Reads exactly `target.length` bytes or returns false when the file ends before. */
export function readFully(file: DiskFile, target: Uint8Array, position: number): boolean {
  let done = 0
  while (done < target.length) {
    const count = file.read(done === 0 ? target : target.subarray(done), position + done)
    if (count === 0) return false
    done += count
  }
  return true
}
