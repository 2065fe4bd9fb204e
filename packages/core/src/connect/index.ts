// @millrace/core/connect: what the author of a source or a sink needs, and nothing of the engine behind it.
export { assert, must, unreachable } from '../base/assert.ts'
export { systemClock, type Clock } from '../base/clock.ts'
export { readFully, type Disk, type DiskFile, type OpenMode } from '../base/disk.ts'
export { nodeDisk } from '../base/node-disk.ts'
export { seededRandom, type Random } from '../base/random.ts'
export { isMillraceError, MillraceError, type ErrorCode, type ErrorDetails, type ErrorKind } from '../base/errors.ts'
export {
  DICTIONARY_SIZE_MAX,
  type Batch,
  type BigColumn,
  type BoolColumn,
  type BytesColumn,
  type Column,
  type DictionaryColumn,
  type F64Column,
  type Field,
  type FieldType,
  type I32Column,
  type ListColumn,
  type RowOrigin,
  type SliceColumn,
  type StructColumn,
} from '../codec/column.ts'
export { type ArchiveFormat, type ArchiveSettings, ARCHIVE_FIELDS, archiveSink } from './archive-sink.ts'
export { FILE_SOURCE_SPEC, fileSource, type FileSourceSettings } from './file-source.ts'
export type { FileEncoder, FileOutput } from './file-set.ts'
export { COLLECT_SPEC, collect, type CollectedChange, type CollectSettings, type CollectSink, failing, type SinkCall } from './memory.ts'
export { NDJSON_FILE_SPEC, ndjsonFile, type NdjsonFileSettings } from './ndjson-file-sink.ts'
export { NDJSON_SPEC, ndjson, type NdjsonSettings } from './ndjson-sink.ts'
export type { AnySink, Guarantee, Sink, SinkBatch, SinkContext, SinkWriter, Unpublished } from './sink.ts'
export {
  ERROR_HEADER,
  type RecordAppender,
  type SourceConnector,
  type SourceContext,
  type SourcePosition,
  type SourceRead,
  type SourceReader,
} from './source.ts'
export { checkSettings, type ConnectorSpec, type SettingField } from './spec.ts'
export type { AnyTopic, TopicDeclaration } from './topic.ts'
