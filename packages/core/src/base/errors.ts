// The one class of operating errors and the one table of their codes.
// A code is never reused; docs/errors.md is generated from this table and a test keeps them equal.

/** What the caller must do. invalid: mend the call or the input. transient: try again. fenced: stop, a newer owner exists.
 *  data: this record is bad, others are not. closed: the thing was closed. internal: a bug or a broken disk; stop. */
export type ErrorKind = 'invalid' | 'transient' | 'fenced' | 'data' | 'closed' | 'internal'

export interface ErrorEntry {
  readonly kind: ErrorKind
  /** One sentence: what happened. */
  readonly summary: string
  /** One sentence: what to do. */
  readonly fix: string
}

function entry(kind: ErrorKind, summary: string, fix: string): ErrorEntry {
  return { kind, summary, fix }
}

/** Every error code of the product. Sections follow the folders of `src/`. */
export const ERRORS = {
  // base
  MR_DISK_FAILED: entry(
    'internal',
    'The disk refused a read, write or sync.',
    'Check the disk (dmesg, SMART), free space and permissions, then start again: the log recovers to the last commit.',
  ),
  MR_DISK_FULL: entry(
    'transient',
    'The disk has less free space than the reserve.',
    'Free space or lower retention; everything resumes by itself.',
  ),
  MR_TIME_NEGATIVE: entry(
    'data',
    "A record's event time is below zero or not a number.",
    'Check the field named by `eventTime`: it must be a time at or after 1970-01-01.',
  ),
  // codec
  MR_CODEC_BATCH_CORRUPT: entry(
    'data',
    'A record batch fails its checksum or its structure is broken.',
    'Run `npx millrace fsck` on the data folder; it names the file and the offset.',
  ),
  MR_CODEC_JSON_INVALID: entry(
    'data',
    'The record is not valid JSON.',
    'Correct the producer; look at the bytes with `npx millrace dlq show`.',
  ),
  MR_CODEC_UTF8_INVALID: entry(
    'data',
    'The record contains bytes that are not valid UTF-8.',
    'Correct the producer; look at the bytes with `npx millrace dlq show`.',
  ),
  MR_CODEC_FIELD_MISSING: entry(
    'data',
    'A required field is missing or null.',
    'Send the field, or declare it optional in the schema with `t.optional(...)`.',
  ),
  MR_CODEC_FIELD_TYPE: entry('data', 'A field has a value of another type than the schema says.', 'Correct the producer or the schema.'),
  MR_CODEC_FIELD_RANGE: entry(
    'data',
    'A number does not fit its field.',
    'Use a wider kind in the schema (`t.i64`, `t.f64`) or correct the producer.',
  ),
  MR_CODEC_CSV_INVALID: entry('data', 'The line is not valid CSV for the declared columns.', 'Check quoting and the number of columns.'),
  MR_CODEC_TOO_LARGE: entry('data', 'The record is larger than the limit.', 'Raise `recordBytesMax` or send smaller records.'),
  MR_CODEC_UNSUPPORTED: entry('invalid', 'The encoding or compression is not supported.', 'Use one of those that the message lists.'),
  MR_SCHEMA_INVALID: entry('invalid', 'The schema cannot describe a record.', 'Correct the schema; the message names the field.'),
  MR_ROW_KEPT: entry(
    'invalid',
    'A row was used after the call that it was given to.',
    'Rows are reused: copy what you keep, for example `{ ...row }`.',
  ),
  MR_SCHEMA_REFUSED: entry(
    'data',
    "The record does not satisfy the topic's schema.",
    'Correct the producer or the schema; the message lists the issues with their paths.',
  ),
  // log
  MR_TOPIC_UNKNOWN: entry('invalid', 'The topic does not exist.', 'Create it with `npx millrace topics create NAME`, or correct the name.'),
  MR_TOPIC_EXISTS: entry(
    'invalid',
    'A topic with this name exists with other settings.',
    'Use `npx millrace topics set` to change settings that may change, or another name.',
  ),
  MR_TOPIC_INVALID: entry(
    'invalid',
    'The topic name or its settings are not valid.',
    'Correct what the message names; the name of a topic is 1-200 of a-z A-Z 0-9 . _ -.',
  ),
  MR_PARTITION_UNKNOWN: entry('invalid', 'The topic has no such partition.', 'Partitions count from 0; see `npx millrace topics`.'),
  MR_LOG_OFFSET_RANGE: entry(
    'invalid',
    'The offset lies outside the records that the partition keeps.',
    'Read from the earliest offset, which the message names.',
  ),
  MR_LOG_FENCED: entry('fenced', 'A newer writer with the same name has opened the log.', 'Stop this writer: the newer one owns the name.'),
  MR_LOG_SEQUENCE_GAP: entry(
    'invalid',
    'A producer skipped sequence numbers.',
    'Resend the missing batches first, or ask for a new producer id.',
  ),
  MR_LOG_LOCKED: entry(
    'invalid',
    'Another process owns the data folder.',
    'Stop that process (its id is in the message) or use another folder (`--data`, `MILLRACE_DATA`).',
  ),
  MR_LOG_FORMAT_NEWER: entry(
    'invalid',
    'The data folder was written by a newer version of millrace.',
    'Upgrade millrace, or use another folder (`--data`, `MILLRACE_DATA`).',
  ),
  MR_LOG_CORRUPT: entry(
    'data',
    'Stored bytes are damaged.',
    'Run `npx millrace fsck`: it names file and offset; other batches are not affected.',
  ),
  MR_LOG_QUARANTINED: entry(
    'data',
    'The batch was put aside because the journal entry before it is damaged.',
    'Run `npx millrace fsck` to inspect it and decide whether to skip it.',
  ),
  MR_LOG_FULL: entry(
    'transient',
    'The log has no room: the disk reserve or the memory budget is used up.',
    'Wait and try again; free disk space if the message names the disk.',
  ),
  MR_LOG_CLOSED: entry('closed', 'The log was closed.', 'Open it again.'),
  MR_LOG_BATCH_INVALID: entry(
    'invalid',
    'The batch handed in is not a valid record batch.',
    'Build batches with RecordBatchBuilder; see docs/formats/log.md.',
  ),
  MR_LOG_BATCH_TOO_LARGE: entry(
    'invalid',
    'The batch is larger than its topic accepts.',
    'Send smaller batches, or raise `batchBytesMax` of the topic.',
  ),
  // time
  MR_TIME_AHEAD: entry(
    'data',
    "A record's event time is more than `clockAheadMs` ahead of its partition, and the records behind it do not confirm it.",
    "Correct the producer's clock. `npx millrace dlq retry` takes the record on your word, with the time that it has, and moves no clock; or raise `clockAheadMs`.",
  ),
  MR_TIME_LATE: entry(
    'data',
    'A record arrived after its window had closed.',
    'Raise `graceMs` of the window or `disorderMs` of the topic, or read late records with `late(...)`.',
  ),
  // runtime
  MR_RUNTIME_PROGRESS_BROKEN: entry(
    'internal',
    "A record on the pipeline's progress topic cannot be read.",
    'The data folder was written by another version or is damaged: run `npx millrace fsck`.',
  ),
  MR_RUNTIME_USER_THROW: entry(
    'data',
    "The pipeline's own code threw on this record.",
    'Correct the code at the place named, start the pipeline again, then `npx millrace dlq retry`: a letter enters the corrected operator while that has its name and takes the same columns.',
  ),
  MR_RUNTIME_USER_ASYNC: entry(
    'data',
    "The pipeline's own code returned a promise; a function of a pipeline must be synchronous.",
    'Make the function return its result at once, without `async`; look values up in a table with `join`. Start again, then `npx millrace dlq retry`.',
  ),
  MR_RUNTIME_USER_STRAY: entry(
    'invalid',
    'A promise failed that the code of the file had let go of.',
    'Handle the failure (`.catch(...)`) at the place named. Nothing waits for what a function of a pipeline starts: what must happen for every record is the work of a sink, or of a reader of a topic.',
  ),
  MR_RUNTIME_ROWS_ENDLESS: entry(
    'data',
    'A function made more rows of one row than fit in memory; it may never end.',
    'Make the list that the function returns end, or split the record in several steps; then `npx millrace dlq retry`.',
  ),
  MR_RUNTIME_BAD_SHARE: entry(
    'invalid',
    'Too large a share of the newest records failed, which looks like a bug and not like bad records: the task is paused.',
    'Look at `npx millrace dlq list`, correct the code or the schema and start again, or raise `badShareMax`.',
  ),
  MR_RUNTIME_TASK_FAILED: entry(
    'internal',
    'A task failed and was started again from its last commit too often.',
    'Look at the cause; nothing is lost: the pipeline goes on from the last commit when it is started again.',
  ),
  MR_RUNTIME_STATE_LAYOUT: entry(
    'invalid',
    'The stored state has another layout than the pipeline.',
    'See what changed with `npx millrace plan FILE`; put the old shape back, give the pipeline a new name, or start with `--rebuild`: the whole pipeline then runs over its sources again, and topics and sinks behind it get those rows again.',
  ),
  MR_RUNTIME_STATE_LOST: entry(
    'invalid',
    'Stored state belongs to an operator or table that the pipeline no longer has.',
    'See what changed with `npx millrace plan FILE`; keep the old name if it was renamed. Else start with `--drop-state` to give that state up, or with `--rebuild`: the whole pipeline then runs over its sources again, and topics and sinks behind it get those rows again.',
  ),
  MR_RUNTIME_STATE_DAMAGED: entry(
    'data',
    'Stored state of a task is damaged, and what is left does not suffice to restore it. What was collected is not affected.',
    'Stop, and start with `--rebuild`: the damaged state is dropped, the pipeline runs over its sources again, and topics and sinks behind it get those rows again. `npx millrace fsck` names the file.',
  ),
  MR_RUNTIME_REBUILD_TOPIC: entry(
    'invalid',
    'The state cannot be built again, because the pipeline reads a topic that it writes itself: what was written before would count twice.',
    'Put the old shape back, or give the pipeline and the topic new names.',
  ),
  MR_RUNTIME_RECORDS_LOST: entry(
    'data',
    'Retention has removed records of a source before the pipeline had read them: it goes on at the first one that is kept.',
    'Keep records for longer than the pipeline may stand still: `npx millrace topics set NAME --retention-ms MS`, or `--retention-bytes`.',
  ),
  MR_RUNTIME_GROUPS_FIXED: entry(
    'invalid',
    'The number of task groups is fixed when a pipeline is first started.',
    'Keep the number of partitions and groups, or give the pipeline a new name.',
  ),
  MR_RUNTIME_SINK_FEED: entry(
    'invalid',
    'After an edit of the pipeline nobody would read any more what is still on its way to a sink.',
    'Keep the name of the sink if it was renamed. Else start the pipeline as it was before the edit until nothing lags, stop it, and start the new one; or give the sink another name and start with `--drop-state` if those rows may stay out.',
  ),
  MR_RUNTIME_TABLE_UNKNOWN: entry('invalid', 'No running pipeline has a table with this name.', 'See `npx millrace table` for the names.'),
  MR_TABLE_KEY_INVALID: entry(
    'invalid',
    "The key of the query does not fit the table's primary key.",
    'Give one value per key field, in order and of its kind; `npx millrace table` lists them.',
  ),
  MR_TABLE_FIELD_UNKNOWN: entry('invalid', 'The table has no such field.', 'Order by one of the fields that the message names.'),
  MR_TABLE_NOT_READY: entry('transient', 'The table is being restored.', 'Try again in a moment.'),
  MR_TABLE_FILE: entry(
    'invalid',
    'The file of a table cannot be read as the table.',
    'Correct the file, or `path`, `separator` and `value` of `fileTable`; relative paths begin at the folder that the process runs in.',
  ),
  MR_REPLAY_NO_BINDINGS: entry(
    'invalid',
    'The pipeline has no kept bindings to replay.',
    'Start the pipeline at least once; bindings are kept as long as replay is promised (7 days by default).',
  ),
  MR_RUNTIME_RETRY_VERSION: entry(
    'invalid',
    'The dead letter cannot enter at its operator: the pipeline has changed there since the letter was written.',
    'The message says what has changed. When its record was read again since, `npx millrace dlq discard` it; else put the operator back as it was, or replay the range of the source that holds the record: `npx millrace replay`.',
  ),
  MR_WORKER_MODULE: entry(
    'invalid',
    'A worker thread cannot load the pipeline.',
    'Export the pipeline from the module that the message names: workers import it themselves, so it must not depend on what the main program has set up.',
  ),
  MR_WORKER_CODE: entry(
    'invalid',
    'The pipeline that a worker thread has loaded is not the one that was started.',
    'Let the module build the same pipeline whenever it is imported, and start again after changing it.',
  ),
  MR_WORKER_DIED: entry(
    'transient',
    'A worker thread has ended by itself.',
    'Nothing is lost: its tasks are started again from their last commit. Look at the cause when it repeats.',
  ),
  MR_RUNTIME_SINK_REFUSED: entry(
    'data',
    'The sink refused this row.',
    'Correct the row or the sink settings, then `npx millrace dlq retry`.',
  ),
  // plan
  MR_PLAN_NAME_INVALID: entry(
    'invalid',
    'A name in the pipeline is not valid.',
    'Names are 1-100 of a-z A-Z 0-9 . _ and -; no other character, and neither `.` nor `..` alone.',
  ),
  MR_PLAN_NAME_TAKEN: entry(
    'invalid',
    'Two parts of the pipeline have the same name.',
    'Give one of them another `name`: it is the identity of its state, metrics and dead letters.',
  ),
  MR_PLAN_EMPTY: entry('invalid', 'The pipeline has no output.', 'End a stream with `.to(topic or sink)` or `.toTable(name)`.'),
  MR_PLAN_FINISHED: entry(
    'invalid',
    'A stream was used after its pipeline was built, or in another pipeline.',
    'Call its methods inside the function given to `pipeline`, and do not make that function async.',
  ),
  MR_PLAN_FIELD_UNKNOWN: entry('invalid', 'The stream has no field of this name.', 'Correct the name; the message lists the fields.'),
  MR_PLAN_FIELD_TYPE: entry(
    'invalid',
    'A field has a type that does not fit where it is used.',
    'Use another field, or convert it with `expr((row) => row.field.toNumber())` or a `map`.',
  ),
  MR_PLAN_FIELD_TAKEN: entry('invalid', 'Two columns of one row would have the same name.', 'Give one of them another name.'),
  MR_PLAN_SHAPE_OPEN: entry(
    'invalid',
    'The types of the fields are not known here, and the target needs them.',
    'Give the `map`, `flatMap`, `scan` or `join` before it a `value` schema, or `select` typed fields.',
  ),
  MR_PLAN_SHAPE_MISMATCH: entry(
    'invalid',
    'The rows do not have the fields that are needed here.',
    'Bring them into the same shape with `select`, or with `map` and a `value` schema.',
  ),
  MR_PLAN_UPDATE_REFUSED: entry(
    'invalid',
    'A stream of updates goes where only facts can go.',
    "Emit final results (`emit: 'close'`), keep it as a table (`toTable`), or send it to a compacted topic.",
  ),
  MR_PLAN_GUARANTEE_REFUSED: entry(
    'invalid',
    'The sink cannot hold the guarantee that is asked of it.',
    "Accept repeats after a crash with `to(sink, { guarantee: 'at-least-once' })`, or take a sink that is transactional or idempotent.",
  ),
  MR_PLAN_KEY_MISSING: entry(
    'invalid',
    'The operator needs a key and the stream has none.',
    'Put `keyBy` before it or name the key in its options.',
  ),
  MR_PLAN_KEY_LOST: entry('invalid', 'A stream of updates would lose the fields of its key.', 'Keep the key fields in the result.'),
  MR_PLAN_JOIN_KEY: entry(
    'invalid',
    "A join must name exactly the table's primary key.",
    'Write `on: { streamField: "tableField" }` for every field of the primary key.',
  ),
  MR_PLAN_TOPIC_CONFLICT: entry(
    'invalid',
    'The same topic is declared in two ways in one pipeline.',
    'Declare the topic once and use that declaration in both places.',
  ),
  MR_PLAN_TOPIC_LOOP: entry(
    'invalid',
    'Rows that come from a topic are written to the same topic.',
    'Write to another topic: the pipeline would feed itself for ever.',
  ),
  MR_PLAN_PLACE_TAKEN: entry(
    'invalid',
    'Two sinks would write to a place that one of them must have alone.',
    'Give one of them a place of its own, or `merge` their streams and write them with one sink.',
  ),
  MR_PLAN_SETTING_INVALID: entry(
    'invalid',
    'A setting of the pipeline or of an operator is out of range.',
    'Correct the value; the message names the setting and its range.',
  ),
  MR_PLAN_NOT_YET: entry(
    'invalid',
    'The plan uses a feature that millrace does not have yet.',
    'Leave the feature out; the message names it.',
  ),
  // connect
  MR_CONNECTOR_SETTING: entry(
    'invalid',
    'A setting of a source or a sink is missing, unknown or out of range.',
    'Correct the setting that the message names; docs/connectors.md lists all of them.',
  ),
  MR_SOURCE_FILE_MISSING: entry(
    'invalid',
    'The file that a source reads to its end does not exist.',
    'Correct the path, or set `tail: true` to wait for the file.',
  ),
  MR_SOURCE_POSITION: entry(
    'internal',
    'The stored position of a source cannot be read.',
    'Use the version of millrace that wrote it, or a newer one, or give the source another name to start over.',
  ),
  MR_SOURCE_FAILED: entry(
    'transient',
    'A source cannot read.',
    'Nothing to do when it passes: the source tries again by itself. Else look at the cause in the message.',
  ),
  MR_SINK_PARTITION: entry(
    'invalid',
    'The partitions do not fit the fields of the stream.',
    'Partition by a string, i32, i64 or bool field, by `date` or `hour`, or by `date(field)` or `hour(field)` of a time field.',
  ),
  MR_SINK_FOLDER_LONG: entry(
    'data',
    'The value of a partition field is too long for the name of a folder.',
    'Partition by another field, or shorten the value before the sink.',
  ),
  MR_SINK_INTENT: entry('internal', 'The intent of a sink cannot be read.', 'Use the version of millrace that wrote it, or a newer one.'),
  MR_SINK_FOLDER_GONE: entry(
    'transient',
    'A folder or file that the sink writes was removed while it ran.',
    'Nothing needs to be done: the sink makes it again and writes what came since its last checkpoint. What was published before and removed does not come back by itself.',
  ),
  MR_SINK_FILE_LOST: entry(
    'internal',
    'A file that a sink had prepared is gone, and it was not published yet.',
    'Restore the file that the message names from a copy of the disk; its rows are no longer in memory.',
  ),
  // server
  MR_HTTP_ROUTE_UNKNOWN: entry('invalid', 'There is nothing at this address.', 'See `/openapi.json` for all addresses.'),
  MR_HTTP_METHOD: entry('invalid', 'The address does not take this method.', 'Use one of the methods that the message lists.'),
  MR_HTTP_QUERY_INVALID: entry(
    'invalid',
    'A parameter of the request is not valid.',
    'Correct the parameter that the message names; `/openapi.json` lists all.',
  ),
  MR_HTTP_BODY_EMPTY: entry('invalid', 'The request has no body.', 'Send one JSON event, a JSON array of events, or one event per line.'),
  MR_HTTP_BODY_TOO_LARGE: entry(
    'invalid',
    'The request body is larger than the limit.',
    'Send fewer events per request, or raise `bodyBytesMax`.',
  ),
  MR_HTTP_BODY_INVALID: entry('invalid', 'The request body cannot be read.', 'Correct the body; the message says what is wrong with it.'),
  MR_HTTP_EVENTS_REFUSED: entry(
    'invalid',
    'Events do not fit the schema of the topic; nothing was appended.',
    'Correct the lines that `error.lines` names and send the whole request again.',
  ),
  MR_HTTP_KEY_REUSED: entry('invalid', 'The idempotency key was used for another request before.', 'Use a new key for every new request.'),
  MR_HTTP_BUSY: entry(
    'transient',
    'The server has as much in flight as its memory budget allows.',
    'Wait for the time in `Retry-After` and send again.',
  ),
  MR_HTTP_HOST_REFUSED: entry(
    'invalid',
    'The request names a host that this server does not answer for.',
    'Use the loopback address, or list the name in the setting `hosts`.',
  ),
  MR_HTTP_ORIGIN_REFUSED: entry(
    'invalid',
    'A page of another origin asked for a change.',
    'Send the request from the console itself or without a browser.',
  ),
  MR_HTTP_TOKEN: entry(
    'invalid',
    'The token is missing or wrong.',
    'Send `Authorization: Bearer TOKEN` with the token that the server was started with.',
  ),
  MR_TOPIC_RESERVED: entry('invalid', 'Only the plant itself writes to this topic.', 'Write to a topic of your own.'),
  MR_SERVER_ADDRESS: entry(
    'invalid',
    'Another address than the loopback one needs a token.',
    'Set a token (`MILLRACE_TOKEN` or `token` in millrace.yaml), or leave `host` at 127.0.0.1.',
  ),
  MR_SERVER_PORT_TAKEN: entry('invalid', 'The port is taken.', 'Stop the other program, or choose another port with `--port N`.'),
  MR_SERVER_TLS: entry('invalid', 'The key or certificate for TLS cannot be used.', 'Check the files that `tlsKey` and `tlsCert` name.'),
  MR_SERVER_STARTING: entry(
    'transient',
    'The server is starting its pipelines.',
    'Try again in a moment; `/health` says when it is ready.',
  ),
  MR_SERVER_PIPELINE_UNKNOWN: entry(
    'invalid',
    'No pipeline of this name runs.',
    'See `npx millrace status` or the page for the names of the pipelines.',
  ),
  MR_SERVER_UNREACHABLE: entry(
    'transient',
    'The server does not answer.',
    'Start it with `npx millrace start FILE`, or name its port with `--port N`.',
  ),
  MR_REPLAY_EMPTY: entry(
    'invalid',
    'The range of the replay holds nothing.',
    'Look at the times and offsets with `npx millrace tail TOPIC --from earliest`; `--by append` chooses by the time of collection.',
  ),
  MR_REPLAY_DAMAGED: entry(
    'data',
    'A stored batch in the range of the replay is damaged: it has ended there. The live pipeline is not affected.',
    'Replay what lies in front of the batch and behind it: `--topic TOPIC --partition N --from-offset A --to-offset B`. Or stop the server and let readers pass the damage with `npx millrace fsck --repair`.',
  ),
  MR_REPLAY_UNKNOWN: entry('invalid', 'No replay has this id.', 'See `npx millrace replay list`.'),
  MR_REPLAY_RUNNING: entry('invalid', 'A replay with this id is running or has run.', 'Choose another `--id`, or leave it out.'),
  // settings and command line
  MR_SETTINGS_INVALID: entry('invalid', 'A setting is not valid.', 'Correct it; the message names the place and what was expected.'),
  MR_CLI_USAGE: entry(
    'invalid',
    'The command line is not valid.',
    'Run `npx millrace --help`, or `npx millrace COMMAND --help` for examples.',
  ),
  MR_CLI_FILE: entry(
    'invalid',
    'The pipeline file cannot be used.',
    'Export a pipeline as default: `export default pipeline(name, (mill) => { ... })`.',
  ),
  MR_CLI_FOLDER_TAKEN: entry('invalid', 'The folder has files of these names already.', 'Choose another folder.'),
  MR_CLI_PACK: entry(
    'invalid',
    'The clone that a new project is to run on does not build.',
    'Read the messages of the compiler above; in the clone `npm run build` shows them again.',
  ),
  // client
  MR_CLIENT_REFUSED: entry(
    'invalid',
    'The server refused a batch of events.',
    'Correct what the message names; the batch was not appended.',
  ),
  MR_CLIENT_GAVE_UP: entry(
    'transient',
    'A batch could not be delivered in the time given.',
    'Check that the server runs and can be reached, then send the batch again.',
  ),
  MR_CLIENT_FULL: entry(
    'transient',
    'The producer holds as many bytes as it may.',
    'Wait for `await producer.ready()` before sending more.',
  ),
  MR_CLIENT_CLOSED: entry('closed', 'The producer was closed.', 'Create another producer.'),
  // parquet
  MR_PARQUET_FIELD: entry(
    'invalid',
    'The field cannot be written to Parquet.',
    'Rename, drop or convert the field with `select` before the sink; the message names it.',
  ),
  // state
  MR_STATE_FULL: entry(
    'internal',
    'A store has no room for more bytes.',
    'Give the pipeline more task groups (more partitions), shorter windows or a retention; one store holds 32 GiB of long values.',
  ),
  MR_STATE_SNAPSHOT_CORRUPT: entry(
    'data',
    'A snapshot of state is damaged or cut off.',
    'Nothing to do: the state is rebuilt from its changelog. When it repeats, check the disk.',
  ),
  MR_STATE_CHANGELOG_CORRUPT: entry(
    'data',
    'A changelog record does not fit the layout that it names.',
    'Run `npx millrace fsck`; if the log is sound, rebuild the state with `npx millrace plan`.',
  ),
  MR_STATE_LAYOUT_CHANGED: entry(
    'invalid',
    'The stored state has another layout than the pipeline asks for.',
    'Run `npx millrace plan FILE`: it says what is kept and what is rebuilt.',
  ),
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS

/** Values that identify the place: topic, partition, offset, file, line, operator ... Never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>

const BRAND: unique symbol = Symbol.for('millrace.error') as never

/**
 * Every operating error that millrace throws or reports.
 * Message: what happened, lower case, then the details as ``key=`value` ``. `fix` says what to do. `cause` is kept.
 */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly [BRAND] = true
  readonly code: ErrorCode
  readonly kind: ErrorKind
  readonly fix: string
  readonly details: ErrorDetails

  constructor(
    code: ErrorCode,
    options: { readonly message?: string; readonly details?: ErrorDetails; readonly fix?: string; readonly cause?: unknown } = {},
  ) {
    const known: ErrorEntry = ERRORS[code]
    const details = options.details ?? {}
    const places = Object.entries(details).map(([key, value]) => `${key}=\`${String(value)}\``)
    const text = options.message ?? known.summary
    // Behind a sentence a space; behind words that are none, a comma.
    const join = /[.!?:]$/.test(text) ? ' ' : ', '
    super(
      places.length > 0 ? `${text}${join}${places.join(', ')}` : text,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.kind = known.kind
    this.fix = options.fix ?? known.fix
    this.details = details
  }
}

/** True for a MillraceError of any copy of this module (brand, not `instanceof`). */
export function isMillraceError(value: unknown): value is MillraceError {
  try {
    return typeof value === 'object' && value !== null && (value as { readonly [BRAND]?: unknown })[BRAND] === true
  } catch {
    return false // a proxy in which user code wrapped what it threw
  }
}
