// One file that a source reads, and, when it is followed, the files that come after it under the same name.
//
//   waiting ──(the file is there)──▶ reading ──(its end; not followed)──▶ ended
//      ▲                               │  ▲
//      │      (shorter, or another     │  │ (another file has the name, and the old one was silent for rotateWaitMs:
//      └────── beginning: truncated)───┘  └── its last line is taken, the next oldest file is opened)
//
// A file is known by its identity (device and inode, which a rename keeps) and its head (a checksum of its first KiB, because an inode is
// used again once its file is gone, and because a truncated file keeps its inode). The open handle follows the file through renames, so
// nothing written to it is missed, under whatever name. After a restart the file is looked for beside its old name.
// Not seen: a truncation when the file has, at the next look, grown beyond the old length with the same first KiB.
import { crc32c } from '../base/crc32c.ts'
import { type Disk, type DiskFile, type FileStat, readFully } from '../base/disk.ts'
import type { Clock } from '../base/clock.ts'
import { isMillraceError, MillraceError } from '../base/errors.ts'
import type { RecordSplitter } from '../codec/record-splitter.ts'
import { csvHeader, csvSplitter } from '../codec/csv.ts'
import type { LineFormat } from './lines.ts'
import { parentOf } from './paths.ts'
import type { RecordAppender } from './source.ts'

const HEAD_BYTES = 1024
/** Files that are done and still remembered, so that a file which changed at about the same time is not read again. */
const DONE_COUNT_MAX = 16
/** A file of this age against the one that is read may still be the newer one. */
const LATE_WRITE_MS = 60_000
/** A file that is swapped between the look and the open is looked at again; it is not swapped this often. */
const OPEN_TRIES = 5
const COMPRESSED = /\.(gz|bz2|xz|zst|zip)$/

export interface FilePosition {
  /** Empty: no file was there yet. */
  readonly identity: string
  readonly headBytes: number
  readonly headCrc: number
  /** Behind the last complete record. */
  readonly offset: number
  readonly line: number
  /** Of files that are done: identity and head. */
  readonly done: readonly string[]
}

const BEGINNING = { headBytes: 0, headCrc: crc32c(new Uint8Array(0), 0, 0), offset: 0, line: 1 }

export interface FollowOptions {
  readonly path: string
  readonly tail: boolean
  readonly rotateWaitMs: number
  readonly recordBytesMax: number
  /** CSV: its separator; null for lines of JSON. */
  readonly separator: string | null
  /** How the records of a file become records of the topic; `header` are the names of its columns, for CSV. */
  readonly format: (header: readonly string[] | null) => LineFormat
  readonly disk: Disk
  readonly clock: Clock
  readonly notice: (message: string) => void
}

interface OpenFile {
  readonly file: DiskFile
  readonly identity: string
  headBytes: number
  headCrc: number
  /** Null while the header of a CSV file is not complete. */
  format: LineFormat | null
  splitter: RecordSplitter | null
  /** Where the next bytes are read. */
  readAt: number
  /** Behind the last complete record. */
  offset: number
  line: number
  /** When it was first seen that another file has the name, and this one is at its end. */
  replacedAtMs: number | null
}

/** What `doneName` is made of. */
interface Named extends Pick<OpenFile, 'identity' | 'headBytes' | 'headCrc'> {
  readonly file: DiskFile | null
}

interface Sibling {
  readonly path: string
  readonly stat: FileStat
}

export class FollowedFile {
  readonly #options: FollowOptions
  readonly #buffer: Uint8Array
  readonly #position: FilePosition | null
  #done: string[]
  #open: OpenFile | null = null
  #older: readonly string[] | null = null
  #ended = false

  /** @param buffer Bytes read at once; shared with other files of the source, which are read one after the other. */
  constructor(options: FollowOptions, buffer: Uint8Array, position: FilePosition | null) {
    this.#options = options
    this.#buffer = buffer
    this.#position = position
    this.#done = [...(position?.done ?? [])]
  }

  /** Where a restart goes on; null before the first look. */
  position(): FilePosition | null {
    const open = this.#open
    if (open === null) {
      // Also before the file was there: if it comes and is rotated away while the source is down, it is known to be newer than these.
      return this.#position ?? (this.#older === null ? null : { ...BEGINNING, identity: '', done: this.#older })
    }
    return {
      identity: open.identity,
      headBytes: open.headBytes,
      headCrc: open.headCrc,
      offset: open.offset,
      line: open.line,
      done: this.#done,
    }
  }

  /** Bytes that are not read yet, of the file that is open. */
  lag(): number {
    return this.#open === null ? 0 : Math.max(0, this.#open.file.size() - this.#open.offset)
  }

  close(): void {
    this.#open?.file.close()
    this.#open = null
  }

  /**
   * Reads one piece and appends its records.
   * @throws {MillraceError} `MR_SOURCE_FILE_MISSING` when the file is not there and not followed; `MR_CODEC_CSV_INVALID` for a wrong header.
   */
  read(into: RecordAppender): 'more' | 'idle' | 'ended' {
    if (this.#ended) return 'ended'
    const open = this.#open ?? this.#start()
    if (open === null) return 'idle'
    if (this.#options.tail && !this.#isSame(open)) return this.#startOver(open)
    if (open.format === null && !this.#readHeader(open)) return this.#atEnd(open, into)
    const count = open.file.read(this.#buffer, open.readAt)
    if (count === 0) return this.#atEnd(open, into)
    open.readAt += count
    open.replacedAtMs = null
    const batch = (open.splitter as RecordSplitter).push(this.#buffer.subarray(0, count))
    this.#take(open, batch, into)
    return 'more'
  }

  #take(open: OpenFile, batch: ReturnType<RecordSplitter['push']>, into: RecordAppender): void {
    const again = (position: number, bytes: number): Uint8Array => readAt(open.file, position, bytes)
    ;(open.format as LineFormat).append(batch, into, this.#options.clock.nowMs(), again)
    open.offset = batch.end
    open.line = batch.endLine
  }

  /** The file that the position names, wherever it is now, or the one that has the name. */
  #start(): OpenFile | null {
    const { path, tail, notice } = this.#options
    const position = this.#position
    if (position !== null && position.identity !== '') {
      const found = this.#resume(position)
      if (found !== null || (tail && !this.#options.disk.exists(path))) return (this.#open = found)
      notice(`the file that ${path} was, read to byte ${position.offset}, is gone; what it held beyond that is not read`)
      this.#done = this.#olderNames()
    }
    const found = this.#openFile(position === null || position.identity === '' ? this.#first() : path, null)
    if (found === null && !tail) throw new MillraceError('MR_SOURCE_FILE_MISSING', { details: { path } })
    return (this.#open = found)
  }

  /** The file of the position, under its name or the name that it has now. */
  #resume(position: FilePosition): OpenFile | null {
    const { path, disk, notice } = this.#options
    const candidates = [path, ...this.#siblings().map((sibling) => sibling.path)].filter(
      (candidate) => disk.stat(candidate)?.identity === position.identity,
    )
    for (const candidate of candidates) {
      let found = this.#openFile(candidate, position)
      if (found === null) {
        found = this.#openFile(candidate, null)
        if (found !== null) notice(`${path} was truncated while nobody read it; it is read from its beginning`)
      }
      if (found !== null) return found
    }
    return null
  }

  /** Where a source without a position begins: at the file of this name, or, when it came and was rotated away while nobody looked, there. */
  #first(): string {
    if (!this.#options.tail) return this.#options.path
    // What lies beside it at the very first look is older.
    this.#older ??= this.#position?.done ?? this.#olderNames()
    this.#done = [...this.#older]
    return this.#siblings().find(({ path: sibling, stat }) => !this.#isDone(sibling, stat))?.path ?? this.#options.path
  }

  #olderNames(): string[] {
    return this.#siblings()
      .slice(-DONE_COUNT_MAX)
      .flatMap((sibling) => this.#nameOf(sibling))
  }

  #nameOf({ path, stat }: Sibling): readonly string[] {
    // One that may not be read is known by its identity alone.
    const found = unlessRefused<Named | null>(() => this.#openFile(path, null), { identity: stat.identity, ...BEGINNING, file: null })
    found?.file?.close()
    return found === null ? [] : [doneName(found)]
  }

  /** Opens the file; with a position only when it is the one that the position means. */
  #openFile(path: string, position: FilePosition | null): OpenFile | null {
    const { disk } = this.#options
    for (let tries = 0; tries < OPEN_TRIES; tries++) {
      const stat = disk.stat(path)
      if (stat === null || (position !== null && stat.identity !== position.identity)) return null
      if (!stat.isFile) throw noFile(path)
      const file = openIfThere(disk, path)
      if (file === null) continue
      if (disk.stat(path)?.identity === stat.identity) return this.#opened(file, stat.identity, position)
      file.close()
    }
    return null
  }

  #opened(file: DiskFile, identity: string, position: FilePosition | null): OpenFile | null {
    const { headBytes, headCrc, offset, line } = position ?? BEGINNING
    const open: OpenFile = {
      file,
      identity,
      headBytes,
      headCrc,
      format: null,
      splitter: null,
      readAt: offset,
      offset,
      line,
      replacedAtMs: null,
    }
    if (this.#isSame(open)) return open
    file.close()
    return null
  }

  /** Whether the handle still has the content that was read. Learns the head as the file grows. */
  #isSame(open: OpenFile): boolean {
    const size = open.file.size()
    // A head that is not full covers all there was, so it cannot tell a lost end from a new beginning.
    if (size < open.headBytes || (size < open.readAt && open.headBytes < HEAD_BYTES)) return false
    const head = readAt(open.file, 0, Math.min(HEAD_BYTES, size))
    if (head.length < open.headBytes || crc32c(head, 0, open.headBytes) !== open.headCrc) return false
    open.headBytes = head.length
    open.headCrc = crc32c(head, 0, head.length)
    // The beginning is the same and the end is missing: a power cut took what the system had not written yet. What comes is new.
    if (size < open.readAt) this.#goOnAt(open, size)
    return true
  }

  #goOnAt(open: OpenFile, size: number): void {
    this.#options.notice(`${this.#options.path} has lost its end behind byte ${size}; it was read before, and reading goes on there`)
    open.readAt = size
    open.offset = size
    open.splitter = null
    open.format = null
  }

  #startOver(open: OpenFile): 'more' {
    const unfinished = open.readAt - open.offset
    const lost = unfinished > 0 ? `; ${unfinished} bytes of a line that had no end yet are gone` : ''
    this.#options.notice(`${this.#options.path} was truncated; it is read from its beginning${lost}`)
    Object.assign(open, BEGINNING)
    open.readAt = 0
    open.splitter = open.format = null
    open.replacedAtMs = null
    return 'more'
  }

  /** Makes format and splitter; false while the header of a CSV file is not complete. */
  #readHeader(open: OpenFile): boolean {
    const { separator, recordBytesMax, format } = this.#options
    if (separator === null) open.format = format(null)
    else {
      const header = firstRecord(open.file, separator, recordBytesMax, !this.#options.tail)
      if (header === null) return false
      open.format = format(csvHeader(header.bytes, header.start, header.stop, { separator }))
      if (open.offset === 0) {
        open.readAt = open.offset = header.end
        open.line = header.endLine
      }
    }
    open.splitter = open.format.splitter({ position: open.readAt, line: open.line, recordBytesMax })
    return true
  }

  #atEnd(open: OpenFile, into: RecordAppender): 'more' | 'idle' | 'ended' {
    const { tail, clock, rotateWaitMs } = this.#options
    if (!tail) {
      this.#finish(open, into)
      this.#ended = true
      return 'ended'
    }
    const next = this.#next(open)
    if (next === null) {
      open.replacedAtMs = null
      return 'idle'
    }
    open.replacedAtMs ??= clock.monotonicMs()
    if (clock.monotonicMs() - open.replacedAtMs < rotateWaitMs) return 'idle'
    const opened = this.#openFile(next, null)
    if (opened === null) return 'idle'
    this.#finish(open, into)
    this.#done = [...this.#done, doneName(open)].slice(-DONE_COUNT_MAX)
    open.file.close()
    this.#open = opened
    return 'more'
  }

  /** The last line of a file that will not grow any more needs no line end. */
  #finish(open: OpenFile, into: RecordAppender): void {
    if (open.splitter !== null) this.#take(open, open.splitter.end(), into)
  }

  /** Path of the file to read after this one: the oldest that is newer, at last the one that has the name; null while that is this one. */
  #next(open: OpenFile): string | null {
    const { disk, path } = this.#options
    const named = disk.stat(path)
    if (named === null || named.identity === open.identity) return null
    const folder = this.#siblings()
    const own = folder.find(({ stat }) => stat.identity === open.identity)
    // Rotated away and removed: what was rotated in between cannot be told from what was read before it.
    if (own === undefined) return path
    // Not strictly newer: clocks of file systems are coarse, and the old file may have been written to when the new one was there already.
    const since = own.stat.modifiedMs - LATE_WRITE_MS
    const between = folder.find(
      ({ stat, path: sibling }) => stat.identity !== open.identity && stat.modifiedMs >= since && !this.#isDone(sibling, stat),
    )
    return between?.path ?? path
  }

  #isDone(path: string, stat: FileStat): boolean {
    return this.#done.some((name) => {
      const [identity, headBytes, headCrc] = name.split(' ')
      if (identity !== stat.identity) return false
      if (headBytes === '0') return true
      const file = openIfThere(this.#options.disk, path)
      if (file === null) return true
      const head = readAt(file, 0, Number(headBytes))
      file.close()
      return head.length === Number(headBytes) && crc32c(head, 0, head.length) === Number(headCrc)
    })
  }

  /** Files whose names begin with the name of this one (`hits.log.1`, `hits.log-20260101`), the oldest first. */
  #siblings(): Sibling[] {
    const { disk, path } = this.#options
    const folder = parentOf(path)
    const base = path.slice(path.lastIndexOf('/') + 1)
    const found = disk
      .list(folder)
      .filter((name) => (name.startsWith(`${base}.`) || name.startsWith(`${base}-`)) && !COMPRESSED.test(name))
      .map((name) => {
        const sibling = folder === '/' ? `/${name}` : path.includes('/') ? `${folder}/${name}` : name
        // Links that lead in a circle have no stat.
        return { path: sibling, stat: unlessRefused(() => disk.stat(sibling), null) }
      })
    return found
      .flatMap(({ path: sibling, stat }) => (stat?.isFile === true ? [{ path: sibling, stat }] : []))
      .sort((a, b) => a.stat.modifiedMs - b.stat.modifiedMs)
  }
}

function noFile(path: string): MillraceError {
  return new MillraceError('MR_DISK_FAILED', {
    message: 'what stands at the path is no regular file.',
    details: { path, operation: 'open' },
    fix: `A folder, a pipe or a device is at \`${path}\`: name a file.`,
  })
}

/** `otherwise` when the system does not let anybody look. */
function unlessRefused<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch (error) {
    if (isMillraceError(error) && error.code === 'MR_DISK_FAILED') return otherwise
    throw error
  }
}

function doneName(open: Omit<Named, 'file'>): string {
  return `${open.identity} ${open.headBytes} ${open.headCrc}`
}

function openIfThere(disk: Disk, path: string): DiskFile | null {
  try {
    return disk.open(path, 'read')
  } catch (error) {
    // Renamed or removed since it was listed.
    if (!disk.exists(path)) return null
    throw error
  }
}

/** Up to `bytes` bytes at `position`, fewer at the end of the file. */
function readAt(file: DiskFile, position: number, bytes: number): Uint8Array {
  const target = new Uint8Array(Math.max(0, Math.min(bytes, file.size() - position)))
  return readFully(file, target, position) ? target : target.subarray(0, 0)
}

interface FirstRecord {
  readonly bytes: Uint8Array
  readonly start: number
  readonly stop: number
  readonly end: number
  readonly endLine: number
}

/** The first record of the file, null while it is not complete. `whole`: the file does not grow, its end ends the record. */
function firstRecord(file: DiskFile, separator: string, recordBytesMax: number, whole: boolean): FirstRecord | null {
  const splitter = csvSplitter({ separator, recordBytesMax })
  const step = 4096
  for (let at = 0; ;) {
    const piece = readAt(file, at, step)
    at += piece.length
    const batch = piece.length > 0 ? splitter.push(piece) : whole ? splitter.end() : null
    if (batch === null) return null
    const [refused] = batch.refused
    if (refused !== undefined && (batch.count === 0 || refused.line < (batch.lines[0] as number)))
      throw new MillraceError('MR_CODEC_CSV_INVALID', {
        message: 'the header is longer than a record may be.',
        details: { path: file.path },
      })
    if (batch.count > 0) {
      const { bytes } = batch
      const [start, stop] = [batch.starts[0] as number, batch.ends[0] as number]
      if (piece.length === 0) return { bytes, start, stop, end: batch.end, endLine: batch.endLine }
      const behind = stop + (bytes[stop] === 13 ? 2 : 1)
      let endLine = (batch.lines[0] as number) + 1
      for (let at = start; at < stop; at++) if (bytes[at] === 10) endLine++
      return { bytes, start, stop, end: batch.position + behind, endLine }
    }
    if (piece.length === 0) return null
    if (piece.length < step && !whole) return null
  }
}
