// The source contract. A source reads from somewhere and appends records to one topic; the runtime commits the records together with the
// position behind them, in one step by a fenced writer, so each record is in the log exactly once, whatever crashes.
//
// Protocol: open(context, position) -> read(into)* ; after each read the runtime commits {records, position} and then calls committed().
// Laws:
//  SOURCE-1 What is appended during a read lies between the position before and the one that the read returns.
//  SOURCE-2 A source opened at a position gives the records behind it, as if it had never stopped.
//  SOURCE-3 Nothing is left out in silence: what cannot be a record is appended with an error mark, or a notice says what is lost.
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { RecordHeader } from '../codec/batch-header.ts'
import type { ConnectorSpec } from './spec.ts'
import type { AnyTopic } from './topic.ts'

/** Where a source is: any JSON value, which only the source understands. */
export type SourcePosition = unknown

/**
 * Header of a record that its source could not take whole or convert: the code of the error. Its value is the bytes as they came (cut,
 * when they are too many), so that the decoder refuses the record and it goes to the dead letters.
 */
export const ERROR_HEADER = 'millrace.error'

/** Takes the records of one read. The bytes are copied. */
export interface RecordAppender {
  /** Bytes taken since the read began. */
  readonly bytes: number
  /** Records of one key stay in order; without key, all of one read stay in order. */
  append(key: Uint8Array | null, value: Uint8Array | null, timeMs: number, headers?: readonly RecordHeader[]): void
  /** The same without an array per record: key[keyStart .. keyEnd) and value[valueStart .. valueEnd). */
  appendRange(
    key: Uint8Array | null,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array | null,
    valueStart: number,
    valueEnd: number,
    timeMs: number,
  ): void
}

export interface SourceRead {
  /** Where to go on behind what was appended. The same as before when nothing was. */
  readonly position: SourcePosition
  /** `more`: read again at once. `idle`: nothing is there now; again after `pollMs`, or when `context.wake` was called. `ended`: never again. */
  readonly state: 'more' | 'idle' | 'ended'
}

export interface SourceReader {
  /** Appends what is there, about a MiB at most. Throws MillraceError; unless it is `invalid`, the source is opened again after a pause. */
  read(into: RecordAppender): Promise<SourceRead> | SourceRead
  /** Milliseconds between two reads while nothing comes. */
  readonly pollMs: number
  /** How far behind the source is, in `lagUnit` of the connector; null when nobody can know. */
  lag(): number | null
  /** The records up to here are durable: what the other side waits for may be acknowledged now. */
  committed?(position: SourcePosition): void
  close(): Promise<void> | void
}

export interface SourceContext {
  readonly name: string
  readonly topic: AnyTopic
  /** Bytes of the largest record that the topic takes, key and value together. */
  readonly recordBytesMax: number
  readonly clock: Clock
  readonly disk: Disk
  /** Ends the wait of an idle source; for those that are told when something comes. */
  wake(): void
  /** Tells the user what is lost or odd: one sentence. */
  notice(message: string): void
}

/** A source as it was configured; `open` starts it. */
export interface SourceConnector {
  readonly kind: 'source'
  readonly spec: ConnectorSpec
  readonly settings: Readonly<Record<string, unknown>>
  readonly lagUnit: 'bytes' | 'records'
  /** Refuses a topic that the source cannot fill. Throws MillraceError `invalid`. */
  check(topic: AnyTopic): void
  /** `position`: the newest committed one, null at the first start. */
  open(context: SourceContext, position: SourcePosition): Promise<SourceReader> | SourceReader
}
