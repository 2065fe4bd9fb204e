// The file source: NDJSON or CSV, read once to the end or followed as it grows and is rotated.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import { type FilePosition, FollowedFile } from './followed-file.ts'
import { CsvLines, type LineFormat, NdjsonLines } from './lines.ts'
import type { RecordAppender, SourceConnector, SourceContext, SourcePosition, SourceRead, SourceReader } from './source.ts'
import type { Caller } from '../base/place-of-call.ts'
import { checkSettings, type ConnectorSpec } from './spec.ts'
import type { AnyTopic } from './topic.ts'

const MEBIBYTE = 1024 * 1024
/** One read: the cost of the system call no longer shows, and a commit of this size keeps the disk busy. */
const READ_BYTES = MEBIBYTE
const POSITION_VERSION = 1

export interface FileSourceSettings {
  /** The file, or several; each is followed by itself. Without `tail` they are read in this order. */
  readonly path: string | readonly string[]
  /** `ndjson`: lines are appended as they are. `csv`: with a header line; each record becomes a JSON object. Default ndjson. */
  readonly format?: 'ndjson' | 'csv'
  /** True: goes on for ever, as the file grows and is rotated. False (default): ends at the end of the last file. */
  readonly tail?: boolean
  /** Field that becomes the record's key. Default: the key field of the topic. */
  readonly key?: string
  /** Of CSV, default a comma. */
  readonly separator?: string
  /** Bytes of the longest record, default 8 MiB. */
  readonly recordBytesMax?: number
  /** Milliseconds between two looks at a file that does not grow, default 250. */
  readonly pollMs?: number
  /** Milliseconds that a rotated file is still followed after its last growth, default 5 seconds. */
  readonly rotateWaitMs?: number
}

/** The settings of `fileSource`. */
export const FILE_SOURCE_SPEC: ConnectorSpec = {
  type: 'file',
  summary: 'Appends the lines of files to a topic, each exactly once; follows growth, rotation and truncation.',
  fields: [
    {
      name: 'path',
      type: 'strings',
      unit: null,
      default: null,
      required: true,
      advice: 'The file, or several. Each is followed by itself; without `tail` they are read one after the other.',
    },
    {
      name: 'format',
      type: 'string',
      unit: null,
      default: 'ndjson',
      choices: ['ndjson', 'csv'],
      advice:
        '`ndjson`: lines are appended byte for byte, nothing is decoded. `csv`: the first record names the columns, each other record becomes a JSON object with the kinds of the topic, or with texts when the topic has no schema of its own.',
    },
    {
      name: 'tail',
      type: 'boolean',
      unit: null,
      default: false,
      advice:
        'True goes on for ever, and waits for a file that is not there yet. False ends at the end of the last file, whose last line needs no line end.',
    },
    {
      name: 'key',
      type: 'string',
      unit: null,
      default: null,
      advice: 'Field that becomes the key of the record; default: the key field of the topic. It costs the decoding of each line.',
    },
    { name: 'separator', type: 'string', unit: null, default: ',', advice: 'Between the fields of CSV: one ASCII character.' },
    {
      name: 'recordBytesMax',
      type: 'bytes',
      unit: 'bytes',
      default: 8 * MEBIBYTE,
      advice: 'A longer line is cut off and goes to the dead letters with its beginning. It bounds the memory of the source.',
    },
    {
      name: 'pollMs',
      type: 'duration',
      unit: 'ms',
      default: 250,
      advice:
        'Time between two looks at a file that does not grow. A look is a handful of system calls; shorter means that lines are seen sooner.',
    },
    {
      name: 'rotateWaitMs',
      type: 'duration',
      unit: 'ms',
      default: 5000,
      min: 0,
      advice:
        'A file that was rotated away is followed until it has not grown for this time, because its writer may still hold it open. Until then the new file waits, so that order is kept.',
    },
  ],
  example: "fileSource({ path: '/var/log/app.ndjson', tail: true })",
}

type Settings = Required<Omit<FileSourceSettings, 'path' | 'key'>> & { readonly path: readonly string[]; readonly key: string | null }

interface Position {
  readonly version: number
  readonly files: Readonly<Record<string, FilePosition>>
}

function decodePosition(position: SourcePosition): Position | null {
  if (position === null) return null
  const known = position as Position
  if (known.version === POSITION_VERSION && typeof known.files === 'object') return known
  throw new MillraceError('MR_SOURCE_POSITION', { details: { connector: FILE_SOURCE_SPEC.type, version: String(known.version) } })
}

class FileReader implements SourceReader {
  readonly pollMs: number
  readonly #tail: boolean
  readonly #files: ReadonlyMap<string, FollowedFile>
  readonly #ended = new Set<string>()
  /** Positions of files that were dropped from the settings: they may come back. */
  readonly #others: Readonly<Record<string, FilePosition>>

  constructor(settings: Settings, context: SourceContext, position: Position | null) {
    this.pollMs = settings.pollMs
    this.#tail = settings.tail
    this.#others = position?.files ?? {}
    const buffer = new Uint8Array(READ_BYTES)
    const { disk, clock } = context
    const options = {
      tail: settings.tail,
      rotateWaitMs: settings.rotateWaitMs,
      recordBytesMax: Math.min(settings.recordBytesMax, context.recordBytesMax),
      separator: settings.format === 'csv' ? settings.separator : null,
      format: (header: readonly string[] | null) => lineFormat(settings, context, header),
      disk,
      clock,
      notice: (message: string) => context.notice(message),
    }
    this.#files = new Map(
      settings.path.map((path) => [path, new FollowedFile({ ...options, path }, buffer, position?.files[path] ?? null)]),
    )
  }

  read(into: RecordAppender): SourceRead {
    let state: SourceRead['state'] = 'ended'
    for (const [path, file] of this.#files) {
      if (this.#ended.has(path)) continue
      const own = file.read(into)
      if (own === 'ended') this.#ended.add(path)
      if (own === 'more') state = 'more'
      else if (own === 'idle' && state === 'ended') state = 'idle'
      // Files that are read once are read in order; those that are followed take turns, a piece each.
      if (!this.#tail && own === 'more') break
    }
    return { position: this.#position(), state }
  }

  #position(): Position {
    const files: Record<string, FilePosition> = { ...this.#others }
    for (const [path, file] of this.#files) {
      const position = file.position()
      if (position !== null) files[path] = position
    }
    return { version: POSITION_VERSION, files }
  }

  lag(): number {
    let bytes = 0
    for (const file of this.#files.values()) bytes += file.lag()
    return bytes
  }

  close(): void {
    for (const file of this.#files.values()) file.close()
  }
}

function lineFormat(settings: Settings, { topic, recordBytesMax }: SourceContext, header: readonly string[] | null): LineFormat {
  const key = settings.key ?? topic.keyField
  if (header === null) return new NdjsonLines(topic.fields, key, recordBytesMax)
  return new CsvLines(topic.fields, header, key, settings.separator, recordBytesMax)
}

/**
 * Appends the records of files to a topic, exactly once: records and position are one commit. Keys: `key`, else the key field of the topic,
 * else none. Order: the order of each file, per key (all records without key of one read stay together). Event time of the record: the
 * wall clock when it is read, unless the topic has an event-time field. Memory: 1 MiB, and twice the longest record.
 *
 * A line that cannot be a record is appended too, with the header `millrace.error`, and goes to the dead letters of the pipeline that
 * reads it: a record of CSV that does not fit its header as the bytes of its line, a line beyond `recordBytesMax` as its first 4 KiB.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` for a wrong setting; reading throws `MR_SOURCE_FILE_MISSING` (without `tail`),
 * `MR_CODEC_CSV_INVALID` for a header that lacks a required field, and the errors of the disk.
 * @example
 * const clicks = fileSource({ path: '/var/log/clicks.ndjson', tail: true })
 */
export function fileSource(given: FileSourceSettings): SourceConnector {
  const checked = checkSettings(FILE_SOURCE_SPEC, given, fileSource as Caller)
  const settings = checked as unknown as Settings
  if (new Set(settings.path).size < settings.path.length) refuse('path', 'a file is named twice.')
  if (!/^[\x20-\x7e\t]$/.test(settings.separator) || settings.separator === '"')
    refuse('separator', 'the separator must be one ASCII character, and not a quote.')
  return {
    kind: 'source',
    spec: FILE_SOURCE_SPEC,
    settings: checked,
    lagUnit: 'bytes',
    check: (topic) => checkTopic(settings, topic),
    open: (context, position) => new FileReader(settings, context, decodePosition(position)),
  }
}

function refuse(setting: string, message: string): never {
  throw new MillraceError('MR_CONNECTOR_SETTING', { message, details: { connector: FILE_SOURCE_SPEC.type, setting } })
}

function checkTopic(settings: Settings, topic: AnyTopic): void {
  if (settings.format === 'csv' && topic.format !== 'json')
    refuse('format', `records of CSV become JSON, and the format of the topic \`${topic.name}\` is ${topic.format}.`)
  const key = settings.key ?? topic.keyField
  if (topic.compacted && key === null) refuse('key', `the topic \`${topic.name}\` is compacted, and its records need a key.`)
  if (settings.key === null || topic.fields === null) return
  const names = topic.fields.map((field) => field.name)
  if (names.includes(settings.key)) return
  const near = nearestWord(settings.key, names)
  refuse(
    'key',
    `the topic has no field \`${settings.key}\`${near === null ? `; it has ${names.join(', ')}.` : `; did you mean \`${near}\`?`}`,
  )
}
