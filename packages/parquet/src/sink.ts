// The Parquet sink: an archive of immutable files, partitioned into folders, exactly once.
//
//   write* ─▶ prepare: files finished and synced in <dir>/_staging/<writer>/ ─▶ (the runtime commits the intent) ─▶ publish: rename, sync folders
//
// Before the commit nothing stands in the archive; after it, publish can be repeated until it is done. A marker in the staging folder
// says that a prepared checkpoint is not published to the end: only then must each of its files be found, here or there. Without it the
// files belong to the user, who may have moved them.
import {
  type Clock,
  type ConnectorSpec,
  type Disk,
  type Field,
  MillraceError,
  type Sink,
  type SinkBatch,
  type SinkContext,
  type SinkWriter,
} from '@millrace/core/connect'
import { ChunkWorkspace } from './chunk.ts'
import { FileSet, type StagedFile } from './file-set.ts'
import { decodeIntent, encodeIntent, type Intent } from './intent.ts'
import { Partitioner } from './partition.ts'
import { fileSchema } from './schema.ts'

const MEBIBYTE = 1024 * 1024
/** Intents are records of the log: their list of names must stay small. */
const STAGED_COUNT_MAX = 5000

export interface ParquetSettings {
  /** Folder of the archive; made when missing. */
  readonly dir: string
  /** Folders inside it, outermost first: names of fields, `date` or `hour` of the event time, `date(field)`, `hour(field)`. Default: none. */
  readonly partitionBy?: readonly string[]
  /** Bytes at which a file is full, default 128 MiB. */
  readonly rollBytes?: number
  /** Milliseconds after which rows are shown even when their files are small, default 5 minutes. */
  readonly rollMs?: number
  /** Bytes of memory for the rows of all open files, default 64 MiB. */
  readonly budgetBytes?: number
  /** Rows per row group, default 122,880. */
  readonly rowGroupRows?: number
  /** Level of zstd, default 1. */
  readonly compressionLevel?: number
}

const SPEC: ConnectorSpec = {
  type: 'parquet',
  summary: 'Archives rows as Parquet files, partitioned into folders, each row exactly once.',
  fields: [
    {
      name: 'dir',
      type: 'string',
      unit: null,
      default: null,
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
      advice: 'Memory for the rows of all open files together. Less memory means smaller row groups.',
    },
    {
      name: 'rowGroupRows',
      type: 'number',
      unit: 'rows',
      default: 122_880,
      advice: 'Rows per row group. Larger compresses a little better; readers skip whole groups.',
    },
    {
      name: 'compressionLevel',
      type: 'number',
      unit: null,
      default: 1,
      advice: 'Level of zstd. On event data higher levels are slower and no smaller.',
    },
  ],
  example: "parquet({ dir: 'archive/hits', partitionBy: ['date'] })",
}

type Settings = Required<ParquetSettings>

function checkedSettings(given: ParquetSettings): Settings {
  const defaults = Object.fromEntries(SPEC.fields.map((field) => [field.name, field.default]))
  const settings = { ...defaults, ...given } as Settings
  const refuse = (setting: string, message: string): never => {
    throw new MillraceError('MR_PARQUET_SETTING', { message, details: { setting } })
  }
  if (typeof settings.dir !== 'string' || settings.dir === '') refuse('dir', 'the archive needs a folder.')
  for (const name of ['rollBytes', 'rollMs', 'budgetBytes', 'rowGroupRows'] as const) {
    if (!(settings[name] > 0)) refuse(name, `the setting must be a number above zero, not ${String(settings[name])}.`)
  }
  if (!(settings.compressionLevel >= 1 && settings.compressionLevel <= 22)) refuse('compressionLevel', 'zstd has the levels 1 to 22.')
  return settings
}

/** A name that is safe in a file name. */
function safe(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_.-]/g, '_')
}

class ParquetWriter implements SinkWriter {
  readonly #settings: Settings
  readonly #context: SinkContext
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #partitioner: Partitioner
  readonly #workspace = new ChunkWorkspace()
  readonly #writer: string
  readonly #staging: string
  #checkpoint: number
  #files: FileSet
  #firstRowMs = 0

  constructor(settings: Settings, context: SinkContext, checkpoint: number) {
    this.#settings = settings
    this.#context = context
    this.#disk = context.disk
    this.#clock = context.clock
    this.#partitioner = new Partitioner(settings.partitionBy, context.fields)
    this.#writer = `${safe(context.pipeline)}-${safe(context.name)}-${context.group}`
    this.#staging = `${settings.dir}/_staging/${this.#writer}`
    this.#checkpoint = checkpoint
    this.#files = this.#fileSet()
  }

  #fileSet(): FileSet {
    const { rollBytes, budgetBytes, rowGroupRows, compressionLevel } = this.#settings
    const prefix = `e${this.#context.epoch}-c${this.#checkpoint}`
    const metadata = { 'millrace.pipeline': this.#context.pipeline, 'millrace.sink': this.#context.name }
    const fields = this.#partitioner.fileFields
    const options = {
      disk: this.#disk,
      fields,
      staging: this.#staging,
      prefix,
      rollBytes,
      budgetBytes,
      rowGroupRows,
      compressionLevel,
      metadata,
    }
    return new FileSet(options, this.#workspace)
  }

  /** Makes the folders, and removes what an earlier writer left behind and no committed intent names. */
  clean(last: Intent | null): void {
    const { dir } = this.#settings
    makeDurable(this.#disk, this.#staging)
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
    if (this.#clock.monotonicMs() - this.#firstRowMs >= this.#settings.rollMs) return true
    // Full files wait while more bytes lie in files that are still filling: showing them ends those, too, small as they are.
    return files.stagedCount >= STAGED_COUNT_MAX || (files.stagedCount > 0 && files.stagedBytes >= files.openBytes)
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
    return encodeIntent({ dir: this.#settings.dir, staging: this.#staging, checkpoint, files })
  }

  /** A path that nobody has: the name holds the time, in case that a sink begins again from checkpoint 0 beside its old files. */
  #pathFor(file: StagedFile, stamp: string, checkpoint: number): string {
    const folder = file.folder === '' ? '' : `${file.folder}/`
    for (let attempt = 0; ; attempt++) {
      const path = `${folder}${this.#writer}-${stamp}-${checkpoint}-${file.number}${attempt === 0 ? '' : `-${attempt}`}.parquet`
      if (!this.#disk.exists(`${this.#settings.dir}/${path}`)) return path
    }
  }

  async publish(bytes: Uint8Array): Promise<void> {
    const { dir, staging, checkpoint, files } = decodeIntent(bytes)
    const unfinished = `${staging}/${marker(checkpoint)}`
    if (!this.#disk.exists(unfinished)) return
    const moves = files.map((file) => ({ from: `${staging}/${file.staged}`, to: `${dir}/${file.path}` }))
    const folders = new Set(moves.map(({ to }) => parentOf(to)))
    for (const folder of folders) this.#disk.makeFolder(folder)
    // A new folder must be durable before a file moves into it: else a power cut takes both, and the staged name is gone already.
    for (const folder of outerFolders(folders, dir)) this.#disk.syncFolder(folder)
    for (const { from, to } of moves) {
      if (this.#disk.exists(from)) this.#disk.rename(from, to)
      else if (!this.#disk.exists(to)) throw new MillraceError('MR_PARQUET_FILE_LOST', { details: { staged: from, file: to } })
    }
    for (const folder of folders) this.#disk.syncFolder(folder)
    this.#disk.remove(unfinished)
    this.#disk.syncFolder(staging)
  }

  async close(): Promise<void> {
    // Nothing is removed here: what was prepared may be committed. The next writer cleans up.
  }
}

/** Name of the file that says: prepared, and not yet published to the end. */
function marker(checkpoint: number): string {
  return `c${checkpoint}.prepared`
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** `dir` and the folders between it and these, outer ones first: those whose entries lead to them. */
function outerFolders(folders: ReadonlySet<string>, dir: string): readonly string[] {
  const outer = new Set<string>()
  for (const folder of folders) for (let at = folder; at.length > dir.length; at = parentOf(at)) outer.add(parentOf(at))
  return [...outer].sort((a, b) => a.length - b.length)
}

/** Makes a folder and its parents, and makes those durable that were missing. */
function makeDurable(disk: Disk, path: string): void {
  const missing: string[] = []
  for (let at = path; at !== '' && !disk.exists(at); at = parentOf(at)) missing.push(at)
  disk.makeFolder(path)
  for (const folder of missing.reverse()) disk.syncFolder(parentOf(folder) || (path.startsWith('/') ? '/' : '.'))
}

/**
 * Archives a stream as Parquet files: `dir/<partition folders>/<pipeline>-<sink>-<group>-<time>-<checkpoint>-<number>.parquet`.
 * Append-only. Row order within a folder is the order of the stream. Guarantee: transactional; a file is whole when it is visible, and
 * every row is in exactly one. Memory: `budgetBytes`, whatever the number of folders.
 * @throws {MillraceError} `MR_PARQUET_SETTING` for a setting out of range; `check` throws `MR_PARQUET_FIELD` and `MR_PARQUET_PARTITION`.
 * @example
 * people.to(parquet({ dir: 'archive/hits', partitionBy: ['date'] }))
 */
export function parquet<V>(settings: ParquetSettings): Sink<V> {
  const checked = checkedSettings(settings)
  return {
    kind: 'sink',
    spec: SPEC,
    guarantee: 'transactional',
    acceptsUpdates: false,
    settings: { ...checked },
    check(fields: readonly Field[]): void {
      fileSchema(new Partitioner(checked.partitionBy, fields).fileFields)
    },
    async open(context: SinkContext, lastIntent: Uint8Array | null): Promise<SinkWriter> {
      const last = lastIntent === null ? null : decodeIntent(lastIntent)
      const writer = new ParquetWriter(checked, context, last === null ? 0 : last.checkpoint + 1)
      writer.clean(last)
      return writer
    },
  }
}
