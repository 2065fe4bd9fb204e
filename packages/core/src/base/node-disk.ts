// The Disk of this machine, on node:fs. Synchronous on purpose (disk.ts says why); the one background call is syncLater.
// Every failure of the system becomes MR_DISK_FULL or MR_DISK_FAILED with the path, the operation and the system's code; that of a sync is
// always MR_DISK_FAILED, because nobody may wait for room and go on.
//
// A sync that failed is final: the kernel may have dropped the dirty pages and would report success the next time, so the file refuses
// everything after it (see "Can applications recover from fsync failures?", Rebello et al., USENIX ATC 2020).
import fs from 'node:fs'
import { dirname } from 'node:path'
import { assert } from './assert.ts'
import { openAround, worthAround, writeAround, writeAroundNow, writeBlocks } from './direct-write.ts'
import type { Disk, DiskFile, FileStat, OpenMode } from './disk.ts'
import { MillraceError } from './errors.ts'
import { lockFolder } from './folder-lock.ts'

/** Pieces per vectored write: IOV_MAX of Linux and macOS. */
const PIECES_MAX = 1024
const FLAGS: Readonly<Record<OpenMode, number>> = {
  // A pipe in place of a file would hold the process until somebody writes to it; with files it says nothing.
  read: fs.constants.O_RDONLY | fs.constants.O_NONBLOCK,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT,
}

/** Files of this machine. */
export const nodeDisk: Disk = {
  open: (path, mode) =>
    new NodeFile(
      path,
      guard(path, 'open', () => fs.openSync(path, FLAGS[mode])),
    ),
  exists: (path) => fs.existsSync(path),
  stat: (path) => guard(path, 'stat', () => statFile(path)),
  list: (path) => guard(path, 'list', () => (fs.existsSync(path) ? fs.readdirSync(path).sort() : [])),
  makeFolder: (path, access) => guard(path, 'make folder', () => makeFolder(path, access === 'private' ? 0o700 : 0o777)),
  remove: (path) => guard(path, 'remove', () => fs.rmSync(path, { recursive: true, force: true })),
  rename: (from, to) => guard(from, 'rename', () => fs.renameSync(from, to)),
  syncFolder: (path) => guard(path, 'sync folder', () => syncFolder(path)),
  freeBytes: (path) => guard(path, 'ask for free space', () => freeBytes(path)),
  lock: (path) => guard(path, 'lock', () => lockFolder(path)),
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #handle: number
  #closed = false
  /** Syncs and writes in the background. */
  #pending = 0
  #failed: MillraceError | null = null
  /** The same file for writes around the system's memory; null before the first. */
  #around: number | null = null
  #aroundRefused = false

  constructor(path: string, handle: number) {
    this.path = path
    this.#handle = handle
  }

  size(): number {
    return this.#run('stat', () => fs.fstatSync(this.#handle).size)
  }

  read(target: Uint8Array, position: number): number {
    return this.#run('read', () => fs.readSync(this.#handle, target, 0, target.length, position))
  }

  write(source: Uint8Array, position: number): void {
    this.#run('write', () => {
      // A write may be cut short (a signal, a nearly full disk): go on until the system says no.
      for (let done = 0; done < source.length;) done += fs.writeSync(this.#handle, source, done, source.length - done, position + done)
    })
  }

  writeAll(sources: readonly Uint8Array[], position: number): void {
    this.#run('write', () => {
      let at = position
      for (let first = 0; first < sources.length; first += PIECES_MAX) at = this.#writePieces(sources.slice(first, first + PIECES_MAX), at)
    })
  }

  writeAround(sources: readonly Uint8Array[], position: number): Promise<boolean> | null {
    if (!worthAround(sources.reduce((sum, source) => sum + source.length, 0))) return null
    return this.#writeAround(sources, position)
  }

  writeAroundNow(sources: readonly Uint8Array[], position: number): boolean {
    if (!worthAround(sources.reduce((sum, source) => sum + source.length, 0))) return false
    const direct = this.#openAround()
    if (direct === null) return false
    this.#aroundRefused = !this.#run('write', () => writeAroundNow(this.#handle, direct, sources, position))
    return !this.#aroundRefused
  }

  writeImage(image: Uint8Array, start: number, end: number): void {
    const direct = this.#openAround()
    if (direct !== null) this.#aroundRefused = !this.#run('write', () => writeBlocks(direct, image, start, end))
    if (direct === null || this.#aroundRefused) this.write(image.subarray(start, end), start)
  }

  truncate(size: number): void {
    this.#run('truncate', () => fs.ftruncateSync(this.#handle, size))
  }

  sync(): void {
    this.#finally(() => this.#run('sync', () => fs.fdatasyncSync(this.#handle)))
  }

  async syncLater(): Promise<void> {
    this.#check()
    this.#pending++
    try {
      await new Promise<void>((resolve, reject) => fs.fdatasync(this.#handle, (error) => (error === null ? resolve() : reject(error))))
    } catch (cause) {
      this.#failed = diskError(this.path, 'sync', cause)
      throw this.#failed
    } finally {
      this.#pending--
    }
  }

  close(): void {
    if (this.#closed) return
    // The handle's number could be given to another file while the background still holds it.
    assert(this.#pending === 0, () => `${this.path} is closed while a sync or a write is running`)
    this.#closed = true
    const around = this.#around
    if (around !== null) guard(this.path, 'close', () => fs.closeSync(around))
    guard(this.path, 'close', () => fs.closeSync(this.#handle))
  }

  async #writeAround(sources: readonly Uint8Array[], position: number): Promise<boolean> {
    const direct = this.#openAround()
    if (direct === null) return false
    this.#pending++
    try {
      this.#aroundRefused = !(await writeAround(this.#handle, direct, sources, position))
      return !this.#aroundRefused
    } catch (cause) {
      throw diskError(this.path, 'write', cause)
    } finally {
      this.#pending--
    }
  }

  /** The handle for writes around the system's memory; null when the file system refuses them, or the system another handle just now. */
  #openAround(): number | null {
    if (this.#aroundRefused) return null
    if (this.#around !== null) return this.#around
    const opened = this.#run('open', () => openAround(this.#handle))
    if (typeof opened === 'number') this.#around = opened
    else this.#aroundRefused = opened === 'refused'
    return this.#around
  }

  #writePieces(pieces: Uint8Array[], position: number): number {
    let at = position
    let rest = pieces.filter((piece) => piece.length > 0)
    while (rest.length > 0) {
      let count = fs.writevSync(this.#handle, rest, at)
      at += count
      let whole = 0
      for (; whole < rest.length && count >= (rest[whole] as Uint8Array).length; whole++) count -= (rest[whole] as Uint8Array).length
      rest = rest.slice(whole)
      if (count > 0) rest[0] = (rest[0] as Uint8Array).subarray(count)
    }
    return at
  }

  #run<T>(operation: string, action: () => T): T {
    this.#check()
    return guard(this.path, operation, action)
  }

  #finally(action: () => void): void {
    try {
      action()
    } catch (error) {
      if (error instanceof MillraceError) this.#failed ??= error
      throw error
    }
  }

  #check(): void {
    assert(!this.#closed, () => `${this.path} is used after close`)
    if (this.#failed !== null) throw this.#failed
  }
}

function syncFolder(path: string): void {
  const handle = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
}

/** As bigint: inode numbers of some file systems do not fit a double. */
function statFile(path: string): FileStat | null {
  const stat = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat === undefined) return null
  return { size: Number(stat.size), identity: `${stat.dev}:${stat.ino}`, modifiedMs: Number(stat.mtimeNs) / 1e6, isFile: stat.isFile() }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = fs.statfsSync(path)
  return bavail * bsize
}

function guard<T>(path: string, operation: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause
    throw diskError(path, operation, cause)
  }
}

function diskError(path: string, operation: string, cause: unknown): MillraceError {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : 'unknown'
  // A sync that finds no room has lost what it was to write, as any other failed sync.
  const isSync = operation.startsWith('sync')
  const full = (code === 'ENOSPC' || code === 'EDQUOT') && !isSync
  const fix = full ? undefined : (FIXES[code]?.(path) ?? (isSync ? SYNC_FIX : undefined))
  return new MillraceError(full ? 'MR_DISK_FULL' : 'MR_DISK_FAILED', {
    details: { path, operation, code },
    cause,
    ...(fix === undefined ? {} : { fix }),
  })
}

const mayNot = (path: string): string =>
  `This user${userText()} may not do that: look at the owner and mode of \`${path}\` and of the folders above it (\`ls -ld\`), or choose another path.`
const inTheWay = (path: string): string =>
  `A file stands where a folder is needed on the way to \`${path}\`: move it away, or choose another path.`
const tooMany = (): string => 'The process, or the machine, has too many files open: raise the limit (`ulimit -n`), then start again.'

const SYNC_FIX =
  'Check the disk (dmesg, SMART) and its free space, quotas of the user and of a thin volume included, then start again: the log recovers to the last commit.'

/** What to do when the disk is not at fault. */
const FIXES: Readonly<Record<string, (path: string) => string>> = {
  EACCES: mayNot,
  EPERM: mayNot,
  EEXIST: inTheWay,
  ENOTDIR: inTheWay,
  EISDIR: (path) => `\`${path}\` is a folder, and a file is needed: choose another path.`,
  ENOENT: (path) => `There is no \`${path}\`: correct the path, which begins at the folder that the process runs in unless it is absolute.`,
  EROFS: (path) => `The file system of \`${path}\` can only be read: mount it for writing, or choose another path.`,
  EMFILE: tooMany,
  ENFILE: tooMany,
}

function userText(): string {
  const uid = process.getuid?.()
  return uid === undefined ? '' : ` (uid ${uid})`
}

/** Not `recursive: true`: that never comes back where the parent refuses as /proc does (Node 24). */
function makeFolder(path: string, mode: number): void {
  const isThere = (): boolean => fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  if (isThere()) return
  makeFolder(dirname(path), 0o777)
  try {
    fs.mkdirSync(path, { mode })
  } catch (error) {
    // Another process may have been faster.
    if (!isThere()) throw error
  }
}
