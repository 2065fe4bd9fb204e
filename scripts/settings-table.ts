// Limits and times that are constants of the code and no settings, with their reasons: docs/settings.md shows them with the value that stands
// in the file named here.

/** A constant, where it stands, what it is and why it is what it is. */
export interface FixedSetting {
  readonly file: string
  readonly name: string
  readonly summary: string
  readonly reason: string
}

const core = (file: string): string => `packages/core/src/${file}`
const server = (file: string): string => `packages/millrace/src/${file}`

export const CONSTANTS: readonly FixedSetting[] = [
  {
    file: core('runtime/topics.ts'),
    name: 'DEAD_LETTER_RETENTION_MS',
    summary: 'How long dead letters are kept.',
    reason: 'A month: long enough to notice, to mend and to send back; not for ever, because each has the bytes of its record.',
  },
  {
    file: core('runtime/exchange/progress-board.ts'),
    name: 'PROGRESS_KEPT_MS',
    summary: 'How long bindings of ticks are kept, which is how far back `replay` repeats the very ticks of then.',
    reason: 'A week covers what somebody still asks about; older ranges are replayed as one tick.',
  },
  {
    file: core('log/requests.ts'),
    name: 'REQUEST_KEY_MS',
    summary: 'How long an `Idempotency-Key` is remembered, across restarts.',
    reason: 'A producer that was cut off for a night sends again in the morning.',
  },
  {
    file: core('runtime/recovery/snapshot.ts'),
    name: 'CHANGELOG_BYTES_MIN',
    summary:
      'Changelog behind which a snapshot of state is written, unless `snapshotBytesMin` says otherwise; at least as much as the state.',
    reason: 'A tail is read about as fast as a snapshot, so a shorter one gains nothing.',
  },
  {
    file: core('runtime/pipeline.ts'),
    name: 'AHEAD_BYTES',
    summary: 'Unfinished output that a task may have ahead of a reader of an internal topic.',
    reason: 'Enough to keep a reader busy, little enough that a slow one slows its producer down soon.',
  },
  {
    file: core('runtime/task/binder-loop.ts'),
    name: 'HEARTBEAT_MS',
    summary: 'Pace at which an idle watermark moves, only while a window or timer waits for it.',
    reason: 'A window that closes a second late hurts nobody; a quiet plant writes nothing.',
  },
  {
    file: core('runtime/task/task.ts'),
    name: 'RESTARTS_MAX',
    summary: 'Failures of a task in a row before it stays failed and says so.',
    reason: 'With pauses that double this is about ten seconds: enough for what passes by itself.',
  },
  {
    file: core('runtime/task/bad-share.ts'),
    name: 'BAD_COUNT_MIN',
    summary: 'Bad records before `badShareMax` can pause a task.',
    reason: 'Three bad records of the first five say nothing.',
  },
  {
    file: core('operators/flat-map.ts'),
    name: 'FLAT_MAP_ROWS_MAX',
    summary: 'Rows that `flatMap` may make of one row; more is a dead letter.',
    reason: 'They wait in memory until the list has ended, and a generator may never end.',
  },
  {
    file: core('operators/flat-map.ts'),
    name: 'FLAT_MAP_BYTES_MAX',
    summary: 'Bytes of the rows that `flatMap` may make of one row, about; more is a dead letter.',
    reason: 'As much as the largest row that may be handed on: a few rows can be larger than a million.',
  },
  {
    file: core('operators/aggregate-custom.ts'),
    name: 'CUSTOM_STATE_BYTES_MAX',
    summary: 'State of one group of a `custom` aggregate; a row that makes it larger is a dead letter.',
    reason: 'Every change writes the state as a whole.',
  },
  {
    file: core('runtime/task/row-blocks.ts'),
    name: 'BLOCK_BYTES_MAX',
    summary: 'Largest row that one task hands to another; a larger one is a dead letter.',
    reason: 'Above what any topic takes by default, below what a batch of an internal topic may have.',
  },
  {
    file: core('log/embedded/options.ts'),
    name: 'SEGMENT_BYTES',
    summary: 'Size at which a segment file is closed.',
    reason: 'Retention frees whole segments; smaller ones are more files for the same data.',
  },
  {
    file: core('log/embedded/options.ts'),
    name: 'MAINTAIN_EVERY_MS',
    summary: 'How often retention and compaction look.',
    reason: 'Retention is counted in hours; a look is cheap.',
  },
  {
    file: core('log/embedded/compaction.ts'),
    name: 'TOMBSTONE_MS',
    summary: 'How long a deleted key of a compacted topic is still told to readers.',
    reason: 'A reader that was away for a day still learns of it.',
  },
  {
    file: core('log/topic.ts'),
    name: 'BATCH_BYTES_MAX_DEFAULT',
    summary: 'Largest record batch of a topic (`batchBytesMax`).',
    reason: 'Far above what producers send; bounds what one read holds in memory.',
  },
  {
    file: core('log/topic.ts'),
    name: 'PARTITIONS_MAX',
    summary: 'Most partitions of a topic.',
    reason: 'One machine has far fewer cores; each partition costs a file and a kilobyte or two.',
  },
  {
    file: server('server/http/http-server.ts'),
    name: 'REQUEST_MS',
    summary: 'Time in which a request must have arrived.',
    reason: 'A body of the largest size over a slow line; a client that says nothing must not keep memory.',
  },
  {
    file: server('server/http/http-server.ts'),
    name: 'KEEP_ALIVE_MS',
    summary: 'How long an idle connection is kept.',
    reason: 'Longer than the minute of usual proxies, so that they close first.',
  },
  {
    file: server('server/plant.ts'),
    name: 'STOP_HTTP_MS',
    summary: 'Time that requests in progress get when the server stops.',
    reason: 'Answers take milliseconds; who follows a stream would stay for ever.',
  },
  {
    file: server('server/http/streams.ts'),
    name: 'STREAMS_MAX',
    summary: 'Streams (followed tails, pages) open at the same time.',
    reason: 'Each costs a socket and a buffer; more is a mistake of a client.',
  },
  {
    file: server('client/producer.ts'),
    name: 'LINGER_MS',
    summary: 'How long the producer client waits for a batch to fill (`lingerMs`).',
    reason: 'Shorter than a commit, and a hundred times fewer requests.',
  },
  {
    file: server('client/producer.ts'),
    name: 'DELIVERY_MS',
    summary: 'How long the producer client goes on trying (`deliveryMs`).',
    reason: 'A server that restarts is back in seconds; two minutes also cover a short upgrade.',
  },
]
