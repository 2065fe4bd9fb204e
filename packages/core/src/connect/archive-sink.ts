// A sink that archives: immutable files, partitioned into folders, each row exactly once, whatever the format of the files.
//
//   write* ─▶ prepare: files finished and synced in <dir>/_staging/<writer>/ ─▶ (the runtime commits the intent) ─▶ publish: rename, sync folders
//
// Before the commit nothing stands in the archive; after it, publish can be repeated until it is done. A marker in the staging folder
// says that a prepared checkpoint is not published to the end: only then must each of its files be found, here or there. Without it the
// files belong to the user, who may have moved them.
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import { MillraceError } from '../base/errors.ts'
import type { Field } from '../codec/column.ts'
import { type ArchiveIntent, decodeArchiveIntent, encodeArchiveIntent } from './archive-intent.ts'
import { type FileEncoder, type FileOutput, FileSet, type StagedFile } from './file-set.ts'
import { Partitioner } from './folder-partition.ts'
import { makeFolderDurable, parentOf, safeName } from './paths.ts'
import type { Sink, SinkBatch, SinkContext, SinkWriter, Unpublished } from './sink.ts'
import type { ConnectorSpec, SettingField } from './spec.ts'

const MEBIBYTE = 1024 * 1024
/** Intents are records of the log: their list of names must stay small. */
const STAGED_COUNT_MAX = 5000

/** The settings that every archive has. */
export interface ArchiveSettings {
  /** Folder of the archive; made when missing. */
  readonly dir: string
  /** Folders inside it, outermost first: names of fields, `date` or `hour` of the event time, `date(field)`, `hour(field)`. */
  readonly partitionBy: readonly string[]
  /** Bytes at which a file is full. */
  readonly rollBytes: number
  /** Milliseconds after which rows are shown even when their files are small. */
  readonly rollMs: number
  /** Bytes of memory for the rows of all open files. */
  readonly budgetBytes: number
}

export const ARCHIVE_FIELDS: readonly SettingField[] = [
  {
    name: 'dir',
    type: 'string',
    unit: null,
    default: null,
    required: true,
    advice: 'The folder of the archive; made when missing. Files appear in it by rename, so staging lies inside it, in `_staging`.',
  },
  {
    name: 'partitionBy',
    type: 'strings',
    unit: null,
    default: [],
    advice:
      'Folders, outermost first: a field, or `date`, `hour` of the event time, or `date(field)`, `hour(field)`. Each checkpoint makes a file per folder: choose few folders.',
  },
  {
    name: 'rollBytes',
    type: 'bytes',
    unit: 'bytes',
    default: 128 * MEBIBYTE,
    advice: 'A file that has reached this size is full. Larger files scan faster; smaller ones are shown sooner.',
  },
  {
    name: 'rollMs',
    type: 'duration',
    unit: 'ms',
    default: 300_000,
    advice: 'Rows are shown at the latest after this time. Shorter means fresher archives and more, smaller files.',
  },
  {
    name: 'budgetBytes',
    type: 'bytes',
    unit: 'bytes',
    default: 64 * MEBIBYTE,
    advice: 'Memory for the rows of all open files together. Less memory means smaller writes.',
  },
]

/** What is different from one format to the next. */
export interface ArchiveFormat {
  readonly spec: ConnectorSpec
  /** As given and checked by the spec. */
  readonly settings: ArchiveSettings & Readonly<Record<string, unknown>>
  /** Of the files' names, without the dot. */
  readonly extension: string
  /** Default false. */
  readonly acceptsOpenRows?: boolean
  /** Refuses fields that the format cannot hold. */
  check(fields: readonly Field[]): void
  /** Called once per writer: encoders of one writer may share memory. */
  encoders(fields: readonly Field[], context: SinkContext): (output: FileOutput) => FileEncoder
}

class ArchiveWriter implements SinkWriter {
  readonly #format: ArchiveFormat
  readonly #context: SinkContext
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #partitioner: Partitioner
  readonly #encoder: (output: FileOutput) => FileEncoder
  readonly #writer: string
  readonly #staging: string
  #checkpoint: number
  #files: FileSet
  #firstRowMs = 0

  constructor(format: ArchiveFormat, context: SinkContext, checkpoint: number) {
    this.#format = format
    this.#context = context
    this.#disk = context.disk
    this.#clock = context.clock
    this.#partitioner = new Partitioner(format.settings.partitionBy, context.fields)
    this.#encoder = format.encoders(this.#partitioner.fileFields, context)
    this.#writer = `${writerPart(context.pipeline)}-${writerPart(context.name)}-${context.group}`
    this.#staging = `${format.settings.dir}/_staging/${this.#writer}`
    this.#checkpoint = checkpoint
    this.#files = this.#fileSet()
  }

  #fileSet(): FileSet {
    const { rollBytes, budgetBytes } = this.#format.settings
    const prefix = `e${this.#context.epoch}-c${this.#checkpoint}`
    return new FileSet({ disk: this.#disk, staging: this.#staging, prefix, rollBytes, budgetBytes, encoder: this.#encoder })
  }

  /** Makes the folders, and removes what an earlier writer left behind and no committed intent names. */
  clean(last: ArchiveIntent | null): void {
    const { dir } = this.#format.settings
    makeFolderDurable(this.#disk, this.#staging)
    // Also when they were there: an earlier process may have died between making them and this.
    for (const folder of [dir, `${dir}/_staging`]) this.#disk.syncFolder(folder)
    const named = new Set(last === null ? [] : [...last.files.map((file) => file.staged), marker(last.checkpoint)])
    for (const name of this.#disk.list(this.#staging)) if (!named.has(name)) this.#disk.remove(`${this.#staging}/${name}`)
  }

  write(rows: SinkBatch): void {
    const { batch } = rows
    if ((batch.selected === null ? batch.rowCount : batch.selectedCount) === 0) return
    if (this.#files.isEmpty) this.#firstRowMs = this.#clock.monotonicMs()
    this.#partitioner.split(
      batch,
      ({ folder, batch: part }) => this.#files.write(folder, part),
      (row, error) => this.#context.reject(row, error),
    )
  }

  wantsCheckpoint(): boolean {
    const files = this.#files
    if (files.isEmpty) return false
    if (this.#clock.monotonicMs() - this.#firstRowMs >= this.#format.settings.rollMs) return true
    // Full files wait while more bytes lie in files that are still filling: showing them ends those, too, small as they are.
    return files.stagedCount >= STAGED_COUNT_MAX || (files.stagedCount > 0 && files.stagedBytes >= files.openBytes)
  }

  unpublished(): Unpublished | null {
    const { openCount, stagedCount, openBytes, stagedBytes, isEmpty } = this.#files
    if (isEmpty) return null
    const { rollBytes, rollMs } = this.#format.settings
    const dueMs = Math.max(0, this.#firstRowMs + rollMs - this.#clock.monotonicMs())
    return { files: openCount + stagedCount, bytes: openBytes + stagedBytes, fullBytes: rollBytes, dueMs }
  }

  async prepare(): Promise<Uint8Array | null> {
    if (this.#files.isEmpty) return null
    const checkpoint = this.#checkpoint++
    const staged = await this.#files.stage()
    this.#files = this.#fileSet()
    this.#disk.open(`${this.#staging}/${marker(checkpoint)}`, 'create').close()
    this.#disk.syncFolder(this.#staging)
    const stamp = new Date(this.#clock.nowMs()).toISOString().replaceAll(/[-:.]/g, '')
    const files = staged.map((file) => ({
      staged: file.staged,
      path: this.#pathFor(file, stamp, checkpoint),
      rowCount: file.rowCount,
      size: file.size,
    }))
    return encodeArchiveIntent({ dir: this.#format.settings.dir, staging: this.#staging, checkpoint, files })
  }

  /** A path that nobody has: the name holds the time, in case that a sink begins again from checkpoint 0 beside its old files. */
  #pathFor(file: StagedFile, stamp: string, checkpoint: number): string {
    const { settings, extension } = this.#format
    const folder = file.folder === '' ? '' : `${file.folder}/`
    for (let attempt = 0; ; attempt++) {
      const path = `${folder}${this.#writer}-${stamp}-${checkpoint}-${file.number}${attempt === 0 ? '' : `-${attempt}`}.${extension}`
      if (!this.#disk.exists(`${settings.dir}/${path}`)) return path
    }
  }

  async publish(bytes: Uint8Array): Promise<void> {
    const { dir, staging, checkpoint, files } = decodeArchiveIntent(bytes)
    const unfinished = `${staging}/${marker(checkpoint)}`
    if (!this.#disk.exists(unfinished)) return
    const moves = files.map((file) => ({ from: `${staging}/${file.staged}`, to: `${dir}/${file.path}` }))
    const folders = new Set(moves.map(({ to }) => parentOf(to)))
    for (const folder of folders) this.#disk.makeFolder(folder)
    // A new folder must be durable before a file moves into it: else a power cut takes both, and the staged name is gone already.
    for (const folder of outerFolders(folders, dir)) this.#disk.syncFolder(folder)
    for (const { from, to } of moves) {
      if (this.#disk.exists(from)) this.#disk.rename(from, to)
      else if (!this.#disk.exists(to)) throw new MillraceError('MR_SINK_FILE_LOST', { details: { staged: from, file: to } })
    }
    for (const folder of folders) this.#disk.syncFolder(folder)
    this.#disk.remove(unfinished)
    this.#disk.syncFolder(staging)
  }

  async close(): Promise<void> {
    // Nothing is removed here: what was prepared may be committed. The next writer cleans up.
  }
}

/** A name between dashes, without any of its own: sink `c` of `a-b` and sink `b-c` of `a` must not be one. */
function writerPart(name: string): string {
  return safeName(name).replaceAll('-', '~')
}

/** Name of the file that says: prepared, and not yet published to the end. */
function marker(checkpoint: number): string {
  return `c${checkpoint}.prepared`
}

/** `dir` and the folders between it and these, outer ones first: those whose entries lead to them. */
function outerFolders(folders: ReadonlySet<string>, dir: string): readonly string[] {
  const outer = new Set<string>()
  for (const folder of folders) for (let at = folder; at.length > dir.length; at = parentOf(at)) outer.add(parentOf(at))
  return [...outer].sort((a, b) => a.length - b.length)
}

/**
 * A transactional, append-only sink that writes files of one format: `dir/<folders>/<pipeline>-<sink>-<group>-<time>-<checkpoint>-<number>.<extension>`.
 * Row order within a folder is the order of the stream; every row is in exactly one file, and a file is whole when it is visible.
 * @throws {MillraceError} `check` throws `MR_SINK_PARTITION`, and what the format refuses.
 */
export function archiveSink<V>(format: ArchiveFormat): Sink<V> {
  return {
    kind: 'sink',
    spec: format.spec,
    guarantee: 'transactional',
    acceptsUpdates: false,
    acceptsOpenRows: format.acceptsOpenRows ?? false,
    settings: format.settings,
    check(fields: readonly Field[]): void {
      format.check(new Partitioner(format.settings.partitionBy, fields).fileFields)
    },
    async open(context: SinkContext, lastIntent: Uint8Array | null): Promise<SinkWriter> {
      const last = lastIntent === null ? null : decodeArchiveIntent(lastIntent)
      const writer = new ArchiveWriter(format, context, last === null ? 0 : last.checkpoint + 1)
      writer.clean(last)
      return writer
    },
  }
}
