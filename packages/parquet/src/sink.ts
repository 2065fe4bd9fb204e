// The Parquet sink: an archive of immutable files, partitioned into folders, each row exactly once. How files are staged, committed and
// shown is the archive's part (@millrace/core/connect); here is what is Parquet: the settings of row groups and the encoder of one file.
import {
  ARCHIVE_FIELDS,
  archiveSink,
  type ArchiveSettings,
  checkSettings,
  type ConnectorSpec,
  type FileEncoder,
  type Sink,
} from '@millrace/core/connect'
import { ChunkWorkspace } from './chunk.ts'
import { parquetEncoder } from './encoder.ts'
import { fileSchema } from './schema.ts'

/** Two row groups of this share of the budget fit beside everything else. */
const ROW_GROUP_SHARE = 0.5
const ROW_GROUP_BYTES_MAX = 64 * 1024 * 1024

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

/** The settings of the Parquet sink. */
export const PARQUET_SPEC: ConnectorSpec = {
  type: 'parquet',
  summary: 'Archives rows as Parquet files, partitioned into folders, each row exactly once.',
  fields: [
    ...ARCHIVE_FIELDS,
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
      min: 1,
      max: 22,
      advice: 'Level of zstd. On event data higher levels are slower and no smaller.',
    },
  ],
  example: "parquet({ dir: 'archive/hits', partitionBy: ['date'] })",
}

type Settings = ArchiveSettings & { readonly rowGroupRows: number; readonly compressionLevel: number }

/**
 * Archives a stream as Parquet files: `dir/<partition folders>/<pipeline>-<sink>-<group>-<time>-<checkpoint>-<number>.parquet`.
 * Append-only. Row order within a folder is the order of the stream. Guarantee: transactional; a file is whole when it is visible, and
 * every row is in exactly one. Memory: `budgetBytes`, whatever the number of folders.
 * @throws {MillraceError} `MR_CONNECTOR_SETTING` for a wrong setting; `check` throws `MR_PARQUET_FIELD` and `MR_SINK_PARTITION`.
 * @example
 * people.to(parquet({ dir: 'archive/hits', partitionBy: ['date'] }))
 */
export function parquet<V>(given: ParquetSettings): Sink<V> {
  const settings = checkSettings(PARQUET_SPEC, given, parquet as (...args: never[]) => unknown) as Settings &
    Readonly<Record<string, unknown>>
  const { budgetBytes, rowGroupRows, compressionLevel } = settings
  const rowGroupBytes = Math.min(ROW_GROUP_BYTES_MAX, Math.ceil(budgetBytes * ROW_GROUP_SHARE))
  return archiveSink<V>({
    spec: PARQUET_SPEC,
    settings,
    extension: 'parquet',
    check: (fields) => void fileSchema(fields),
    encoders(fields, context) {
      const workspace = new ChunkWorkspace()
      const metadata = { 'millrace.pipeline': context.pipeline, 'millrace.sink': context.name }
      return (output): FileEncoder => parquetEncoder(fields, { output, rowGroupRows, rowGroupBytes, compressionLevel, metadata, workspace })
    },
  })
}
