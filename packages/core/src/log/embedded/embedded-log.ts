// The embedded log: the port (../log.ts) over journal, segments and checkpoints of one folder on one machine.
// One thread owns it. Accepting, flushing and reading are synchronous inside; promises exist at the edges only.
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import type {
  AppendOptions,
  AppendResult,
  CommitResult,
  Log,
  LogPart,
  LogReader,
  LogWriter,
  Membership,
  MembershipOptions,
  PartitionEnds,
  Topic,
  TopicSettings,
} from '../log.ts'
import { MembershipBoard } from '../membership.ts'
import { alteredSettings, newTopicSettings, requireAgreement } from '../topic.ts'
import type { Checkpointer } from './checkpoint.ts'
import { type Extent, extentAt, type ExtentSource } from './extent.ts'
import type { FileCache } from './file-cache.ts'
import type { Intake } from './intake.ts'
import type { Journal } from './journal.ts'
import { Maintenance, type MaintenanceReport } from './maintenance.ts'
import { EmbeddedReader, type ReaderParts } from './reader.ts'
import type { RecoveryReport } from './recovery.ts'
import type { RequestLog } from './request-log.ts'
import type { SegmentReader } from './segment-reader.ts'
import { findBehindDamage } from './skip.ts'
import type { SlotWriter } from './slot.ts'
import type { LogState } from './state.ts'
import { offsetForAppendTime, offsetForEventTime } from './time-lookup.ts'

export interface EmbeddedLogParts {
  readonly disk: Disk
  readonly folder: string
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly lock: { release(): void }
  readonly files: FileCache
  readonly slots: SlotWriter
  readonly state: LogState
  readonly journal: Journal
  readonly checkpointer: Checkpointer
  readonly intake: Intake
  readonly segments: SegmentReader
  readonly requests: RequestLog
  readonly report: RecoveryReport
  readonly segmentBytes: number
  readonly maintainEveryMs: number
}

/** Numbers since the start, for metrics. */
export interface EmbeddedLogStats {
  /** Journal entries, each one write and one sync. */
  readonly entries: number
  readonly requests: number
  readonly batches: number
  readonly checkpoints: number
  /** Requests that found both halves of the journal full. */
  readonly waits: number
  readonly journalHalfBytes: number
  /** Request keys in memory. */
  readonly requestKeys: number
  /** Request keys that were forgotten before their 24 hours to make room for newer ones; a later repeat of theirs is appended again. */
  readonly requestKeysForgotten: number
  /** Checkpoint writes around the system's memory of files: `refused` when the file system or the system does not take them; null before the first. */
  readonly directWrites: 'taken' | 'refused' | null
}

/** Records that were put aside because the journal entry before them is damaged: readers of the partition stop there. */
export interface Quarantined {
  readonly topic: string
  readonly partition: number
  /** Offsets, `from` inclusive, `to` exclusive. */
  readonly from: number
  readonly to: number
  readonly file: string
  readonly position: number
}

export class EmbeddedLog implements Log, ExtentSource {
  readonly #parts: EmbeddedLogParts
  readonly #readerParts: ReaderParts
  readonly #maintenance: Maintenance
  readonly #members = new MembershipBoard()
  readonly #closedHooks = new Set<() => void>()
  #closing: Promise<void> | null = null

  /** Use openEmbeddedLog. */
  constructor(parts: EmbeddedLogParts) {
    this.#parts = parts
    const { journal, segments, scheduler, clock } = parts
    this.#readerParts = {
      state: () => parts.state,
      journal,
      segments,
      scheduler,
      clock,
      check: () => this.#check(),
      closed: this.#closedHooks,
    }
    this.#maintenance = new Maintenance(parts, () => this.#closing === null && parts.intake.failure === null)
    this.#maintenance.schedule()
  }

  /** What recovery found at the start. */
  get recovery(): RecoveryReport {
    return this.#parts.report
  }

  get stats(): EmbeddedLogStats {
    const { intake, checkpointer, journal, requests } = this.#parts
    return {
      ...intake.stats,
      ...requests.figures,
      directWrites: checkpointer.directWrites,
      checkpoints: checkpointer.count,
      journalHalfBytes: Math.max(journal.halves[0].bytes, journal.halves[1].bytes),
    }
  }

  /** What readers cannot pass until somebody chooses that they may. */
  get quarantined(): readonly Quarantined[] {
    return [...this.#parts.state.partitions.values()].flatMap(({ topic, index, start, damages }) =>
      damages
        .filter((damage) => !damage.skipped && damage.to > start)
        .map(({ from, to, file, position }) => ({ topic, partition: index, from, to, file, position })),
    )
  }

  /** The error that ended the log, or null. After a failed write or sync the owner of the process must end it. */
  get failure(): unknown {
    return this.#closing === null ? this.#parts.intake.failure : null
  }

  async createTopic(name: string, settings: Partial<TopicSettings> = {}): Promise<Topic> {
    const { state, intake } = this.#parts
    this.#check()
    const chosen = newTopicSettings(name, settings)
    await intake.change(() => {
      this.#check()
      const known = state.topics.get(name)
      if (!known) return { t: 'topic', name, id: `t${state.nextTopic}`, settings: chosen, firstPartition: state.nextPartition }
      requireAgreement(known.topic, settings)
      return null
    })
    return state.topicOf(name).topic
  }

  async alterTopic(name: string, settings: Partial<TopicSettings>): Promise<Topic> {
    const { state, intake } = this.#parts
    await intake.change(() => {
      this.#check()
      return { t: 'alter', name, settings: alteredSettings(state.topicOf(name).topic, settings) }
    })
    return state.topicOf(name).topic
  }

  async deleteTopic(name: string): Promise<void> {
    const { state, intake } = this.#parts
    let topicId = ''
    const gone = await intake.change(() => {
      this.#check()
      topicId = state.topicOf(name).topic.id
      return { t: 'delete', name }
    })
    this.#maintenance.removeTopic(topicId, gone)
  }

  topic(name: string): Topic | null {
    return this.#parts.state.topics.get(name)?.topic ?? null
  }

  topics(): readonly Topic[] {
    return [...this.#parts.state.topics.values()].map((state) => state.topic)
  }

  ends(topic: string): readonly PartitionEnds[] {
    this.#check()
    return this.#parts.state
      .topicOf(topic)
      .partitions.map(({ index, start, end, bytes }) => ({ topic, partition: index, start, end, bytes }))
  }

  async append(parts: readonly LogPart[], options: AppendOptions = {}): Promise<AppendResult> {
    this.#check()
    return this.#parts.intake.submit({
      parts,
      writer: null,
      requestKey: options.requestKey ?? null,
      early: options.durability === 'received',
      gathered: options.gathered ?? false,
    })
  }

  async allocateProducerId(): Promise<number> {
    const { state, intake } = this.#parts
    let id = 0
    await intake.change(() => {
      this.#check()
      id = state.nextProducerId
      return { t: 'producer', next: id + 1 }
    })
    return id
  }

  async openWriter(name: string): Promise<LogWriter> {
    const { state, intake } = this.#parts
    let epoch = 0
    await intake.change(() => {
      this.#check()
      epoch = (state.writers.get(name) ?? 0) + 1
      return { t: 'writer', name, epoch }
    })
    let closed = false
    return {
      name,
      epoch,
      commit: async (parts): Promise<CommitResult> => {
        if (closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the writer was closed.', details: { writer: name } })
        this.#check()
        const { firstOffsets } = await intake.submit({ parts, writer: { name, epoch }, requestKey: null, early: false, gathered: false })
        return { firstOffsets }
      },
      close: async () => {
        closed = true
      },
    }
  }

  reader(): LogReader {
    this.#check()
    return new EmbeddedReader(this.#readerParts)
  }

  /** Where another thread may read the partition's files from this offset on. */
  extent(topic: string, partition: number, offset: number): Extent | null {
    this.#check()
    const known = this.#parts.state.topics.get(topic)
    const place = known?.partitions[partition]
    return place === undefined || known?.topic.settings.compacted === true ? null : extentAt(this.#parts.segments, place, offset)
  }

  async offsetForTime(topic: string, partition: number, timeMs: number, by: 'event' | 'append'): Promise<number> {
    this.#check()
    const state = this.#parts.state.partitionOf(topic, partition)
    return by === 'append' ? offsetForAppendTime(this.#parts, state, timeMs) : offsetForEventTime(this.#parts, state, timeMs)
  }

  async trim(topic: string, partition: number, offset: number): Promise<void> {
    this.#check()
    await this.#maintenance.trim(this.#parts.state.partitionOf(topic, partition), offset)
  }

  async skipCorrupt(topic: string, partition: number, offset: number): Promise<number> {
    const { state, intake } = this.#parts
    this.#check()
    let next = offset
    await intake.change(() => {
      this.#check()
      const place = state.partitionOf(topic, partition)
      const damage = findBehindDamage(this.#parts, place, offset)
      next = damage?.to ?? offset
      return damage === null ? null : { t: 'skip', partition: place.id, damage }
    })
    return next
  }

  async join(options: MembershipOptions): Promise<Membership> {
    this.#check()
    return this.#members.join(options)
  }

  onAppend(topic: string, notify: () => void): () => void {
    const { listeners } = this.#parts.state.topicOf(topic)
    // A function of its own per registration, so that the same callback can be registered twice.
    const listener = (): void => notify()
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Retention, compaction and removal of files, now. The log does the same by itself every `maintainEveryMs`. */
  async maintain(): Promise<MaintenanceReport> {
    this.#check()
    return this.#maintenance.run()
  }

  /** Writes what the journal holds into the segments, now. The log does the same by itself whenever a half of the journal is full. */
  async checkpoint(): Promise<void> {
    this.#check()
    await this.#maintenance.checkpoint()
    this.#check()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Bytes of whole verified batches with the request keys that are kept. */
  *readRequests(): Generator<Uint8Array, void, undefined> {
    yield* this.#maintenance.readOwn(this.#parts.state.requests)
  }

  async #close(): Promise<void> {
    const { intake, checkpointer, journal, state, clock, files, slots, lock } = this.#parts
    this.#maintenance.stop()
    for (const hook of this.#closedHooks) hook()
    // Requests that wait for a half of the journal go in as checkpoints make it free. A full disk is not waited for: they are refused then.
    checkpointer.stop()
    await checkpointer.idle()
    intake.flush()
    try {
      if (intake.failure === null) {
        const { run, sequence, previousCrc } = journal.place
        checkpointer.now(
          journal.halves,
          state.image({ run, half: journal.active.index, position: 0, sequence, previousCrc }, clock.nowMs()),
        )
      }
    } catch (error) {
      // Everything accepted is durable in the journal: without room for a checkpoint the next start has a little more to do.
      if (!isMillraceError(error) || error.code !== 'MR_DISK_FULL') throw error
    } finally {
      intake.close(new MillraceError('MR_LOG_CLOSED'))
      await checkpointer.idle()
      // A round of housekeeping may be in the middle of a file: whoever opens the folder next must find it alone.
      await this.#maintenance.idle()
      files.closeAll()
      slots.close()
      for (const half of journal.halves) half.file.close()
      lock.release()
    }
  }

  #check(): void {
    if (this.#closing !== null) throw new MillraceError('MR_LOG_CLOSED')
    const { failure } = this.#parts.intake
    if (failure !== null) throw failure
  }
}
