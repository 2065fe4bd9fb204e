// The log port: the one interface that the engine, the collectors and the sinks know. EmbeddedLog, MemoryLog (and KafkaLog, in its own
// package) implement it and pass one conformance suite (testing/log-conformance.ts); nothing above knows which one it runs on.
//
// Laws (cited by the suite):
//  LOG-1 Offsets of a partition increase and are never reused, but are not dense.
//  LOG-2 No reader sees a record before it is durable, nor part of a commit: a commit's records become visible together, in every partition.
//  LOG-3 What was acknowledged as `durable` survives any crash; what was not may be lost but never half visible.
//  LOG-4 Only the newest writer of a name can commit; an older epoch is refused with MR_LOG_FENCED and leaves no trace.
//  LOG-5 A batch of an idempotent producer that was appended before is answered with its first offset and appended once.
//  LOG-6 Order: appends of one caller to one partition keep their order; a commit's batches keep their order inside a partition.
//  LOG-7 A corrupt batch is reported with its place and harms only its own partition from that place on, until skipped by choice.

/** Settings of a topic. Those marked fixed cannot change after creation. */
export interface TopicSettings {
  /** Fixed. 1 to 1,024. Default 1. */
  readonly partitions: number
  /** Milliseconds from the time of append; null keeps for ever. */
  readonly retentionMs: number | null
  /** Bytes per partition; null is unlimited. */
  readonly retentionBytes: number | null
  /** Fixed. True: the newest record of each key is kept; a null value deletes its key. Records without key are refused. */
  readonly compacted: boolean
  /** Fixed. True: written by the plant alone (exchange, changelog, progress); hidden from lists unless asked for; not writable over HTTP. */
  readonly internal: boolean
  /** Largest batch accepted, bytes. */
  readonly batchBytesMax: number
}

export interface Topic {
  readonly name: string
  /** Stable identity: a topic deleted and created again has another. */
  readonly id: string
  readonly settings: TopicSettings
}

export interface PartitionEnds {
  readonly topic: string
  readonly partition: number
  /** Offset of the first record kept. */
  readonly start: number
  /** Offset that the next record will have: one past the newest visible record. */
  readonly end: number
  /** Bytes kept. */
  readonly bytes: number
}

/** `durable`: answered when it survives a power cut. `received`: answered when it is in memory; readers still wait until it is durable. */
export type Durability = 'durable' | 'received'

/** One or more whole record batches (RecordBatch v2 bytes, base offset 0 or anything: the log assigns it). The log may keep a reference
 *  until the promise settles: do not change the bytes meanwhile. Then they are the caller's again, who may write over them. */
export interface LogPart {
  readonly topic: string
  readonly partition: number
  readonly batch: Uint8Array
}

export interface AppendOptions {
  /** Default `durable`. */
  readonly durability?: Durability
  /** Idempotency key of the whole request, remembered for `requestKeyMs` across restarts (24 h): key and parts are one journal entry. A repeat appends nothing. */
  readonly requestKey?: string
  /**
   * True when the caller has already gathered what arrived in this turn of the event loop: the log may write as soon as the promises that are
   * settled now have run, and need not wait a turn for more. Default false. Changes nothing but when it is durable.
   */
  readonly gathered?: boolean
}

export interface AppendResult {
  /** Offset of the first record of each part. */
  readonly firstOffsets: readonly number[]
  /** True when the request key was known: nothing was appended, the offsets are those of the first time. */
  readonly repeated: boolean
}

export interface FetchPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** What one partition gave. `bytes` are whole verified batches (CRC checked), valid until the next fetch of the same reader. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly bytes: Uint8Array
  /** Offset of the first record wanted: records of the first batch below it are to be skipped. */
  readonly from: number
  /** Where to read on; equals `from` when nothing was there. */
  readonly next: number
  /** The visible end when the fetch was answered. */
  readonly end: number
  /** Set instead of bytes when the partition cannot be read on: MR_LOG_CORRUPT, MR_LOG_QUARANTINED, MR_LOG_OFFSET_RANGE, MR_TOPIC_UNKNOWN. */
  readonly error: Error | null
}

export interface FetchOptions {
  /** Bytes over all partitions; at least one whole batch is given where there is one. Default 1 MiB. */
  readonly bytesMax?: number
  /** Largest byte count per partition. Default `bytesMax`. */
  readonly partitionBytesMax?: number
  /** Long poll: milliseconds to wait while nothing is there. Default 0. */
  readonly waitMs?: number
}

/** A reader has its own buffers; one per task, tail or sink. Not shared between concurrent calls. */
export interface LogReader {
  fetch(positions: readonly FetchPosition[], options?: FetchOptions): Promise<readonly FetchedPartition[]>
  /** Synchronous form for logs that can (embedded, memory): what is there now, no wait. Null where the log cannot. */
  readonly fetchNow: ((positions: readonly FetchPosition[], options?: FetchOptions) => readonly FetchedPartition[]) | null
  close(): void
}

export interface CommitResult {
  readonly firstOffsets: readonly number[]
}

/** A named, fenced writer. Opening the same name again raises the epoch and fences this one. */
export interface LogWriter {
  readonly name: string
  readonly epoch: number
  /** Atomic: all parts become visible together or none does. Resolves when durable. Rejects with MR_LOG_FENCED, MR_LOG_FULL, MR_LOG_CLOSED. */
  commit(parts: readonly LogPart[]): Promise<CommitResult>
  close(): Promise<void>
}

/** Which task groups a member owns. The embedded log hands all groups to the only member; Kafka distributes them. */
export interface Membership {
  /** Called with the whole set whenever it changes; the next change waits until the returned promise settles (drain and commit first). */
  leave(): Promise<void>
}
export interface MembershipOptions {
  readonly domain: string
  readonly groups: number
  readonly onAssigned: (groups: readonly number[]) => Promise<void>
}

export interface Log {
  createTopic(name: string, settings?: Partial<TopicSettings>): Promise<Topic>
  /** Changes settings that are not fixed. */
  alterTopic(name: string, settings: Partial<TopicSettings>): Promise<Topic>
  deleteTopic(name: string): Promise<void>
  topic(name: string): Topic | null
  topics(): readonly Topic[]
  ends(topic: string): readonly PartitionEnds[]
  /** Atomic over all parts, like a commit, by an anonymous writer. */
  append(parts: readonly LogPart[], options?: AppendOptions): Promise<AppendResult>
  /** A producer id that no other producer has, for idempotent batches. */
  allocateProducerId(): Promise<number>
  openWriter(name: string): Promise<LogWriter>
  reader(): LogReader
  /** First offset whose time is at or after `timeMs`; the end when there is none. `event`: largest event time seen up to there; `append`: time of append. */
  offsetForTime(topic: string, partition: number, timeMs: number, by: 'event' | 'append'): Promise<number>
  /** Drops records below `offset`: internal topics are trimmed by their readers' committed positions. */
  trim(topic: string, partition: number, offset: number): Promise<void>
  /** Lets the reader of a paused partition go on behind a corrupt batch; returns the next readable offset. A choice, recorded in the log. */
  skipCorrupt(topic: string, partition: number, offset: number): Promise<number>
  join(options: MembershipOptions): Promise<Membership>
  /** Calls back when a partition of the topic may have new visible records. Returns the unsubscribe. Cheap, may be spurious. */
  onAppend(topic: string, notify: () => void): () => void
  /** Resolves when everything accepted is durable and files are closed. */
  close(): Promise<void>
}
