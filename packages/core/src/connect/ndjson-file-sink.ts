// The sink that lets one file grow, a JSON object per line.
//
// Rows are written to a part file beside it, `<path>.part-e<epoch>-c<checkpoint>`, which prepare() makes durable; the
// intent names it and the length that the file has. publish() copies the part to that place, syncs, and gives the part another name. So
// nothing that is not committed is ever in the file, and a publish that was cut off is done again over the same bytes. Two writes and four
// syncs per checkpoint are the price. A reader that polls may see a prefix of what is being published, as in any file that grows.
//
// A part that is done becomes the hidden file `.<name>.spare`, and the next one is written over it: blocks and pages of a file that is there cost a third
// of new ones (16 MiB made, synced and removed: 7.3-9.5 ms of CPU; written over: 3 ms).
import { resolve } from 'node:path'
import type { Caller } from '../base/place-of-call.ts'
import { assert, must } from '../base/assert.ts'
import { type Disk, type DiskFile, readFully } from '../base/disk.ts'
import { MillraceError } from '../base/errors.ts'
import type { FileOutput } from './file-set.ts'
import { type LineTimes, LineWriter, NdjsonEncoder, TIMES_FIELD } from './ndjson-encoder.ts'
import { makeFolderDurable, parentOf } from './paths.ts'
import type { Sink, SinkBatch, SinkContext, SinkWriter, Unpublished } from './sink.ts'
import { checkSettings, type ConnectorSpec } from './spec.ts'

const MEBIBYTE = 1024 * 1024
/** Bytes per write: above this the cost of a system call no longer shows. */
const PIECE_BYTES = 256 * 1024
/**
 * Bytes per write to the file itself. It grows for ever, so its pages are new ones: the kernel asks for them in blocks as large as the write,
 * and in the memory of a machine that has run for a while large blocks are dear (16 MiB in 1 MiB pieces 45 ms, in 16 KiB pieces 9 ms).
 */
const GROWING_PIECE_BYTES = 16 * 1024
/** Bytes of the copy from the part to the file that are in memory. */
const COPY_BYTES = MEBIBYTE
/** Pieces of the copy begin at blocks of the file, so that they are written without reading what lies around them. */
const BLOCK_BYTES = 4096
const INTENT_VERSION = 2

export interface NdjsonFileSettings {
  /** The file. With several task groups there is one per group: `hits.ndjson` becomes `hits-0.ndjson`, `hits-1.ndjson` ... */
  readonly path: string
  /** How times are written: milliseconds (default), or texts of ISO-8601. */
  readonly times?: LineTimes
  /** Milliseconds after which rows are in the file, default 1 second. */
  readonly rollMs?: number
  /** Bytes after which they are in the file at once, default 16 MiB. */
  readonly rollBytes?: number
}

/** The settings of `ndjsonFile`. */
export const NDJSON_FILE_SPEC: ConnectorSpec = {
  type: 'ndjson-file',
  summary: 'Appends rows to one file, a JSON object per line, each row exactly once.',
  fields: [
    {
      name: 'path',
      type: 'string',
      unit: null,
      default: null,
      required: true,
      advice:
        'The file; made when missing, its folder too. It may be renamed while the sink runs (log rotation): the sink then makes it anew. Nobody else may write to it. With several task groups there is a file per group, `NAME-GROUP.EXTENSION`, because order exists per group only.',
    },
    {
      name: 'rollMs',
      type: 'duration',
      unit: 'ms',
      default: 1000,
      advice: 'Rows are in the file at the latest after this time. Shorter means fresher, and four syncs of the disk each time.',
    },
    {
      name: 'rollBytes',
      type: 'bytes',
      unit: 'bytes',
      default: 16 * MEBIBYTE,
      advice: 'Rows are in the file at once when there are this many bytes. They are copied in one go, so larger means longer pauses.',
    },
    TIMES_FIELD,
  ],
  example: "ndjsonFile({ path: 'out/hits.ndjson' })",
}

interface FileIntent {
  readonly path: string
  /** The part file that holds the rows. */
  readonly part: string
  /** Bytes of the rows: the part may be longer, from an earlier use. Null: all of it, in intents of version 1, whose parts had none. */
  readonly bytes: number | null
  /** Length of the file before, and which file that was. */
  readonly from: number
  readonly identity: string
  readonly checkpoint: number
}

function encodeIntent(intent: FileIntent): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: INTENT_VERSION, ...intent }))
}

function decodeIntent(encoded: Uint8Array): FileIntent {
  try {
    const intent = JSON.parse(new TextDecoder().decode(encoded)) as Readonly<Record<string, unknown>>
    const { version, path, part, from, identity, checkpoint } = intent
    const bytes = version === 1 ? null : intent['bytes']
    const known = (version === 1 || version === INTENT_VERSION) && (bytes === null || typeof bytes === 'number')
    if (
      known &&
      typeof path === 'string' &&
      typeof part === 'string' &&
      typeof from === 'number' &&
      typeof checkpoint === 'number' &&
      typeof identity === 'string'
    )
      return { path, part, bytes, from, identity, checkpoint }
  } catch (cause) {
    throw new MillraceError('MR_SINK_INTENT', { cause })
  }
  throw new MillraceError('MR_SINK_INTENT')
}

/** The part file of one checkpoint; made when the first bytes come, of the spare one where there is one. */
class Part implements FileOutput {
  readonly path: string
  readonly #disk: Disk
  readonly #spare: Spare
  #file: DiskFile | null = null
  position = 0

  constructor(disk: Disk, path: string, spare: Spare) {
    this.#disk = disk
    this.path = path
    this.#spare = spare
  }

  write(bytes: Uint8Array): void {
    this.#file ??= this.#open()
    this.#file.write(bytes, this.position)
    this.position += bytes.length
  }

  #open(): DiskFile {
    this.#spare.give(this.path)
    return this.#disk.open(this.path, 'create')
  }

  async sync(): Promise<void> {
    await this.#file?.syncLater()
    this.close()
  }

  close(): void {
    this.#file?.close()
    this.#file = null
  }
}

/** The file of a part that is published, which the next part is written over. */
class Spare {
  readonly #disk: Disk
  readonly #path: string
  #isThere = false

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Takes the file of a part. */
  take(part: string): void {
    this.#disk.rename(part, this.#path)
    this.#isThere = true
  }

  /** Gives it the name of the next part. */
  give(part: string): void {
    if (this.#isThere) this.#disk.rename(this.#path, part)
    this.#isThere = false
  }

  remove(): void {
    if (this.#isThere) this.#disk.remove(this.#path)
    this.#isThere = false
  }

  /** Removes that of an earlier writer. */
  clean(): void {
    this.#disk.remove(this.#path)
  }
}

class FileWriter implements SinkWriter {
  readonly #context: SinkContext
  readonly #disk: Disk
  readonly #path: string
  readonly #rollMs: number
  readonly #rollBytes: number
  readonly #lines: LineWriter
  readonly #spare: Spare
  #checkpoint: number
  #part: Part
  #encoder: NdjsonEncoder
  #firstRowMs = 0

  constructor(settings: Required<NdjsonFileSettings>, context: SinkContext, checkpoint: number) {
    this.#context = context
    this.#disk = context.disk
    this.#path = pathOfGroup(settings.path, context)
    this.#rollMs = settings.rollMs
    this.#rollBytes = settings.rollBytes
    this.#lines = new LineWriter(context.fields, settings.times, context.reject)
    this.#spare = new Spare(this.#disk, `${parentOf(this.#path)}/.${nameOf(this.#path)}.spare`)
    this.#checkpoint = checkpoint
    this.#part = this.#newPart()
    this.#encoder = this.#newEncoder()
  }

  #newPart(): Part {
    return new Part(this.#disk, `${this.#path}.part-e${this.#context.epoch}-c${this.#checkpoint}`, this.#spare)
  }

  #newEncoder(): NdjsonEncoder {
    return new NdjsonEncoder(this.#lines, this.#part, PIECE_BYTES)
  }

  /** Makes the folder, and removes parts that no committed intent names. */
  clean(last: FileIntent | null): void {
    const folder = parentOf(this.#path)
    makeFolderDurable(this.#disk, folder)
    const prefix = `${nameOf(this.#path)}.part-`
    const strays = this.#disk.list(folder).filter((name) => name.startsWith(prefix) && name !== (last === null ? '' : nameOf(last.part)))
    for (const name of strays) this.#disk.remove(`${folder}/${name}`)
    this.#spare.clean()
    this.#disk.syncFolder(folder)
  }

  write({ batch }: SinkBatch): void {
    if (this.#encoder.rowCount === 0) this.#firstRowMs = this.#context.clock.monotonicMs()
    this.#encoder.write(batch)
  }

  wantsCheckpoint(): boolean {
    if (this.#encoder.rowCount === 0) return false
    if (this.#part.position + this.#encoder.bufferedBytes >= this.#rollBytes) return true
    return this.#context.clock.monotonicMs() - this.#firstRowMs >= this.#rollMs
  }

  unpublished(): Unpublished | null {
    if (this.#encoder.rowCount === 0) return null
    const dueMs = Math.max(0, this.#firstRowMs + this.#rollMs - this.#context.clock.monotonicMs())
    return { files: 1, bytes: this.#part.position + this.#encoder.bufferedBytes, fullBytes: this.#rollBytes, dueMs }
  }

  async prepare(): Promise<Uint8Array | null> {
    if (this.#encoder.rowCount === 0) return null
    this.#encoder.finish()
    const part = this.#part
    await part.sync()
    // The file is there before the commit, so that the intent can say which one it is.
    if (!this.#disk.exists(this.#path)) this.#disk.open(this.#path, 'create').close()
    this.#disk.syncFolder(parentOf(part.path))
    const { size, identity } = must(this.#disk.stat(this.#path), this.#path)
    const intent = { path: this.#path, part: part.path, bytes: part.position, from: size, identity, checkpoint: this.#checkpoint++ }
    this.#part = this.#newPart()
    this.#encoder = this.#newEncoder()
    return encodeIntent(intent)
  }

  async publish(encoded: Uint8Array): Promise<void> {
    const intent = decodeIntent(encoded)
    // The part's name goes last: while it is there, the publish is not done.
    if (!this.#disk.exists(intent.part)) return
    const isNew = !this.#disk.exists(intent.path)
    const part = this.#disk.open(intent.part, 'read')
    let file: DiskFile | null = null
    try {
      file = this.#disk.open(intent.path, 'create')
      const bytes = intent.bytes ?? part.size()
      await copy(part, bytes, file, this.#placeFor(intent, bytes, part, file))
      file.sync()
    } finally {
      part.close()
      file?.close()
    }
    const folder = parentOf(intent.path)
    if (isNew) this.#disk.syncFolder(folder)
    // Durable before the next rows are written over it: a publish that is done again must find what it copied.
    // A part of another folder, where the sink's file was before, may lie on another file system.
    if (parentOf(intent.part) === parentOf(this.#path)) this.#spare.take(intent.part)
    else this.#disk.remove(intent.part)
    this.#disk.syncFolder(folder)
  }

  /** Where the rows belong: behind what the file had. A file that was put in its place meanwhile is never written over. */
  #placeFor(intent: FileIntent, bytes: number, part: DiskFile, file: DiskFile): number {
    const size = file.size()
    if (this.#disk.stat(intent.path)?.identity === intent.identity) return Math.min(intent.from, size)
    return size <= bytes && isPrefix(file, part, size) ? 0 : size
  }

  async close(): Promise<void> {
    // The part stays: what was prepared may be committed. The next writer cleans up.
    this.#part.close()
    this.#spare.remove()
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function pathOfGroup(path: string, { group, groups }: SinkContext): string {
  return groups === 1 ? path : withSuffix(path, `-${group}`)
}

/** Before the extension, where the name has one. */
function withSuffix(path: string, suffix: string): string {
  const dot = path.lastIndexOf('.')
  return dot > path.lastIndexOf('/') + 1 ? `${path.slice(0, dot)}${suffix}${path.slice(dot)}` : `${path}${suffix}`
}

/** Copies the first `bytes` of the part to `position` of the file. */
async function copy(part: DiskFile, bytes: number, file: DiskFile, position: number): Promise<void> {
  const buffer = new Uint8Array(Math.min(COPY_BYTES, bytes))
  for (let done = 0; done < bytes;) {
    const start = position + done
    const piece = buffer.subarray(0, Math.min(bytes - done, COPY_BYTES - (start % BLOCK_BYTES)))
    assert(readFully(part, piece, done), () => `${part.path} holds the ${bytes} bytes of its intent`)
    // Nobody is expected to read soon what may be much; what is little goes the usual way.
    if (!(await file.writeAround?.([piece], start))) writeGrowing(file, piece, start)
    done += piece.length
  }
}

function writeGrowing(file: DiskFile, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; at += GROWING_PIECE_BYTES) file.write(bytes.subarray(at, at + GROWING_PIECE_BYTES), position + at)
}

/** Whether the first `size` bytes of both files are the same: what is there is a publish that was cut off. */
function isPrefix(file: DiskFile, whole: DiskFile, size: number): boolean {
  const length = Math.min(MEBIBYTE, size)
  for (let at = 0; at < size; at += length) {
    const pieces = [new Uint8Array(Math.min(length, size - at)), new Uint8Array(Math.min(length, size - at))] as const
    if (!readFully(file, pieces[0], at) || !readFully(whole, pieces[1], at)) return false
    if (Buffer.compare(pieces[0], pieces[1]) !== 0) return false
  }
  return true
}

/**
 * Appends a stream to one file, a JSON object per line. Append-only; row order is the order of the stream. Guarantee: transactional: what
 * is in the file is committed, and every row is in it once. Memory: about a MiB.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` for a wrong setting.
 * @example
 * people.to(ndjsonFile({ path: 'out/people.ndjson' }))
 */
export function ndjsonFile<V>(given: NdjsonFileSettings): Sink<V> {
  const settings = checkSettings(NDJSON_FILE_SPEC, given, ndjsonFile as Caller)
  return {
    kind: 'sink',
    spec: NDJSON_FILE_SPEC,
    guarantee: 'transactional',
    acceptsUpdates: false,
    acceptsOpenRows: true,
    settings,
    // Two writers would remove each other's parts and copy their rows to the same place.
    owns: [resolve(given.path)],
    check: () => undefined,
    beside: (suffix) => ndjsonFile({ ...given, path: withSuffix(given.path, suffix) }),
    async open(context: SinkContext, lastIntent: Uint8Array | null): Promise<SinkWriter> {
      const last = lastIntent === null ? null : decodeIntent(lastIntent)
      const writer = new FileWriter(settings as unknown as Required<NdjsonFileSettings>, context, last === null ? 0 : last.checkpoint + 1)
      writer.clean(last)
      return writer
    },
  }
}
