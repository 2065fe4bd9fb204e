// The archive of lines of JSON: immutable files in folders, as archive-sink.ts makes them.
import type { Caller } from '../base/place-of-call.ts'
import { MillraceError } from '../base/errors.ts'
import type { Field } from '../codec/column.ts'
import { type ArchiveSettings, ARCHIVE_FIELDS, archiveSink } from './archive-sink.ts'
import type { FileEncoder } from './file-set.ts'
import { type LineTimes, LineWriter, NdjsonEncoder, TIMES_FIELD } from './ndjson-encoder.ts'
import type { Sink } from './sink.ts'
import { checkSettings, type ConnectorSpec } from './spec.ts'

/** Bytes per write; every open folder keeps one such piece. */
const PIECE_BYTES = 64 * 1024

export interface NdjsonSettings {
  /** Folder of the archive; made when missing. */
  readonly dir: string
  /** Folders inside it, outermost first: names of fields, `date` or `hour` of the event time, `date(field)`, `hour(field)`. Default: none. */
  readonly partitionBy?: readonly string[]
  /** How times are written: milliseconds (default), or texts of ISO-8601. */
  readonly times?: LineTimes
  /** Bytes at which a file is full, default 128 MiB. */
  readonly rollBytes?: number
  /** Milliseconds after which rows are shown even when their files are small, default 5 minutes. */
  readonly rollMs?: number
  /** Bytes of memory for the rows of all open files, default 64 MiB. */
  readonly budgetBytes?: number
}

/** The settings of `ndjson`. */
export const NDJSON_SPEC: ConnectorSpec = {
  type: 'ndjson',
  summary: 'Archives rows as files of one JSON object per line, partitioned into folders, each row exactly once.',
  fields: [...ARCHIVE_FIELDS, TIMES_FIELD],
  example: "ndjson({ dir: 'archive/hits', partitionBy: ['date'] })",
}

/**
 * Archives a stream as files of one JSON object per line, named and partitioned as the Parquet archive is. Append-only. Row order within a
 * folder is the order of the stream. Guarantee: transactional. Memory: `budgetBytes`, whatever the number of folders. Takes rows of lambdas
 * without a schema too, as their JSON; only the event time names their folders then.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING`; `check` throws `MR_SINK_PARTITION`.
 * @example
 * people.to(ndjson({ dir: 'archive/hits', partitionBy: ['date'] }))
 */
export function ndjson<V>(given: NdjsonSettings): Sink<V> {
  const settings = checkSettings(NDJSON_SPEC, given, ndjson as Caller) as ArchiveSettings & Readonly<Record<string, unknown>>
  return archiveSink<V>({
    spec: NDJSON_SPEC,
    settings,
    extension: 'ndjson',
    acceptsOpenRows: true,
    check: checkFields,
    encoders(fields, { reject }) {
      const lines = new LineWriter(fields, given.times, reject)
      return (output): FileEncoder => new NdjsonEncoder(lines, output, PIECE_BYTES)
    },
  })
}

function checkFields(fields: readonly Field[]): void {
  if (fields.length === 0)
    throw new MillraceError('MR_SINK_PARTITION', { message: 'every field names a folder, and nothing is left for the files.' })
}
