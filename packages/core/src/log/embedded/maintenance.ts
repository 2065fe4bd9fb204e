// Housekeeping: trimming, retention by time of append and by size, removal of files that nothing refers to. Runs by itself now and then.
//
// A file is removed only after a checkpoint slot that no longer refers to it is durable: until then recovery may still need it.
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import type { Scheduler, Timer } from '../../base/scheduler.ts'
import { REQUEST_KEY_MS, REQUEST_KEYS_BYTES_MAX } from '../requests.ts'
import { compactPartition } from './compaction.ts'
import type { Checkpointer } from './checkpoint.ts'
import type { FileCache } from './file-cache.ts'
import { indexPathOf, topicFolder } from './format.ts'
import type { Intake } from './intake.ts'
import type { Journal } from './journal.ts'
import type { MetaRecord } from './meta.ts'
import type { PartitionState } from './partition.ts'
import { readUpTo, type Segment, walkBatches } from './segment.ts'
import type { SegmentReader } from './segment-reader.ts'
import type { LogState } from './state.ts'
import { BY_REFERENCE } from './tail.ts'

export interface MaintenanceParts {
  readonly disk: Disk
  readonly folder: string
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly files: FileCache
  readonly state: LogState
  readonly journal: Journal
  readonly checkpointer: Checkpointer
  readonly intake: Intake
  readonly segments: SegmentReader
  readonly segmentBytes: number
  readonly maintainEveryMs: number
}

export interface MaintenanceReport {
  /** Segments taken away by retention. */
  readonly expiredSegments: number
  /** Segments rewritten by compaction. */
  readonly compactedSegments: number
  readonly removedFiles: number
}

interface Removal {
  readonly paths: readonly string[]
  /** The count of checkpoints from which on the removal is safe. */
  readonly from: number
}

export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #alive: () => boolean
  #removals: Removal[] = []
  #timer: Timer | null = null
  #running: Promise<MaintenanceReport> | null = null

  constructor(parts: MaintenanceParts, alive: () => boolean) {
    this.#parts = parts
    this.#alive = alive
  }

  schedule(): void {
    const { maintainEveryMs, scheduler } = this.#parts
    if (maintainEveryMs <= 0 || !this.#alive()) return
    this.#timer = scheduler.after(maintainEveryMs, () => {
      if (!this.#alive()) return
      this.run().then(
        () => this.schedule(),
        (error: unknown) => {
          // What was refused is tried again next time; anything else ends the log.
          if (isMillraceError(error) && error.kind !== 'internal') this.schedule()
          else this.#parts.intake.fail(error)
        },
      )
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#removals = []
  }

  /** Settles when no round runs. The log is closing, so one that does ends soon; what it would have failed with, nobody waits for. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined)
  }

  /** Frees both halves of the journal. */
  async checkpoint(): Promise<void> {
    const { checkpointer, intake, journal } = this.#parts
    await checkpointer.idle()
    if (!this.#alive()) return
    intake.flush()
    if (intake.failure !== null || !journal.other.free) return
    intake.switchHalf()
    await checkpointer.idle()
  }

  /** One round; rounds do not overlap. */
  run(): Promise<MaintenanceReport> {
    this.#running ??= this.#round().finally(() => (this.#running = null))
    return this.#running
  }

  /** Drops everything below `offset`: at once for readers; whole segments leave the disk later. */
  async trim(partition: PartitionState, offset: number): Promise<void> {
    const { intake } = this.#parts
    let gone: Segment[] = []
    const make = (): MetaRecord | null => {
      intake.flush()
      if (offset < 0 || offset > partition.end) {
        throw new MillraceError('MR_LOG_OFFSET_RANGE', {
          details: { topic: partition.topic, partition: partition.index, offset, earliest: partition.start, end: partition.end },
        })
      }
      if (offset <= partition.start || partition.deleted) return null
      gone = this.#segmentsBelow(partition, offset)
      return { t: 'trim', partition: partition.id, start: offset, bytes: partition.bytes - this.#bytesOf(gone) }
    }
    // At once: a batch that is taken in between could go to a segment that is about to leave.
    await intake.change(make, () => this.#take(partition, gone))
  }

  removeTopic(topicId: string, partitions: readonly PartitionState[]): void {
    for (const partition of partitions) {
      for (const segment of partition.segments(this.#parts.disk)) segment.removed = true
      for (const wake of partition.waiters) wake()
    }
    this.#removeLater([topicFolder(this.#parts.folder, topicId)])
  }

  /** All batches of a partition that the log keeps for itself. */
  *readOwn(partition: PartitionState): Generator<Uint8Array, void, undefined> {
    const { disk, files, segments, journal } = this.#parts
    for (const segment of partition.segments(disk)) {
      const limit = segments.limit(partition, segment)
      if (limit === 0) continue
      for (const batch of walkBatches(files.get(segment.path), 0, limit, partition.id)) {
        if (batch.lastOffset >= partition.start) yield readUpTo(files.get(segment.path), batch.position, batch.byteLength)
      }
    }
    const ordered = [...partition.tails].sort((a, b) => (a.firstOffsets[0] ?? 0) - (b.firstOffsets[0] ?? 0))
    for (const tail of ordered) {
      const { memory } = tail === partition.tails[0] ? journal.halves[0] : journal.halves[1]
      for (let index = 0; index < tail.count; index++) {
        const place = tail.places[index] as number
        if (place !== BY_REFERENCE) yield memory.slice(place, place + (tail.lengths[index] as number))
      }
    }
  }

  async #round(): Promise<MaintenanceReport> {
    const { state, intake, clock, scheduler } = this.#parts
    let expiredSegments = 0
    for (const partition of state.partitions.values()) {
      if (!this.#alive()) break
      const settings =
        partition === state.requests
          ? { retentionMs: REQUEST_KEY_MS, retentionBytes: 4 * REQUEST_KEYS_BYTES_MAX }
          : state.topics.get(partition.topic)?.topic.settings
      if (!settings || partition.deleted) continue
      const offset = this.#expiredEnd(partition, settings, clock.nowMs())
      if (offset <= partition.start) continue
      expiredSegments += this.#segmentsBelow(partition, offset).length
      await this.trim(partition, offset)
      await scheduler.turn()
    }
    const compactedSegments = await this.#compactAll()
    const removedFiles = await this.#removeNow()
    if (intake.failure !== null) throw intake.failure
    return { expiredSegments, compactedSegments, removedFiles }
  }

  async #compactAll(): Promise<number> {
    const { state, clock } = this.#parts
    let segments = 0
    for (const topic of state.topics.values()) {
      if (!topic.topic.settings.compacted) continue
      for (const partition of topic.partitions) {
        if (!this.#alive() || partition.deleted) break
        let saved = 0
        const parts = { ...this.#parts, isOver: (): boolean => !this.#alive() }
        segments += await compactPartition(parts, partition, clock.nowMs(), ({ gone, by }) => {
          const before = this.#bytesOf(gone)
          if (!this.#alive() || partition.deleted || gone.some((segment) => segment.removed)) {
            this.#removeLater([by.path, by.indexPath])
            return false
          }
          saved += before - by.size
          partition.replaceSegments(gone, by)
          this.#removeLater(gone.flatMap((segment) => [segment.path, segment.indexPath]))
          return true
        })
        if (saved > 0 && this.#alive())
          await this.#parts.intake.change(() => ({ t: 'compact', partition: partition.id, bytes: partition.bytes - saved }))
      }
    }
    return segments
  }

  /** The offset below which whole segments are no longer kept. */
  #expiredEnd(
    partition: PartitionState,
    settings: { readonly retentionMs: number | null; readonly retentionBytes: number | null },
    nowMs: number,
  ): number {
    const { disk, files } = this.#parts
    const { retentionMs, retentionBytes } = settings
    let end = partition.start
    if (retentionMs === null && retentionBytes === null) return end
    let { bytes } = partition
    for (const segment of partition.segments(disk)) {
      const isActive = segment === partition.active
      // What is still in the journal is written by the next checkpoint; it expires after that.
      if (isActive && partition.tailStart() !== Infinity) break
      const lastMs = isActive ? partition.lastAppendMs : (segment.rows(files, partition.id).end?.appendMs ?? nowMs)
      const old = retentionMs !== null && nowMs - lastMs >= retentionMs
      const large = retentionBytes !== null && !isActive && bytes > retentionBytes
      if (!old && !large) break
      bytes -= segment.measure(files)
      end = isActive ? partition.end : (segment.end ?? end)
    }
    return end
  }

  #segmentsBelow(partition: PartitionState, offset: number): Segment[] {
    const gone: Segment[] = []
    for (const segment of partition.segments(this.#parts.disk)) {
      const end = segment === partition.active ? (partition.tailStart() === Infinity ? partition.end : Infinity) : (segment.end ?? Infinity)
      if (end > offset || this.#inJournal(partition, segment)) break
      gone.push(segment)
    }
    return gone
  }

  #inJournal(partition: PartitionState, segment: Segment): boolean {
    return partition.tails.some((tail) => tail.segments.includes(segment))
  }

  #bytesOf(segments: readonly Segment[]): number {
    return segments.reduce((sum, segment) => sum + segment.measure(this.#parts.files), 0)
  }

  #take(partition: PartitionState, gone: readonly Segment[]): void {
    if (gone.length === 0 || partition.deleted) return
    partition.replaceSegments(gone, null)
    this.#removeLater(gone.flatMap((segment) => [segment.path, segment.indexPath]))
  }

  #removeLater(paths: readonly string[]): void {
    const { checkpointer } = this.#parts
    // A running checkpoint took its image before this change: the one after it is the first that counts.
    this.#removals.push({ paths, from: checkpointer.count + (checkpointer.running ? 2 : 1) })
  }

  /** Removes what may go, and makes a checkpoint when something waits for one. */
  async #removeNow(): Promise<number> {
    const { checkpointer, disk, files, state } = this.#parts
    for (const partition of state.partitions.values()) {
      if (partition.obsolete.length === 0) continue
      this.#removals.push({ paths: partition.obsolete.flatMap((path) => [path, indexPathOf(path)]), from: 0 })
      partition.obsolete = []
    }
    for (let rounds = 0; rounds < 2 && this.#alive() && this.#removals.some((removal) => removal.from > checkpointer.count); rounds++) {
      await this.checkpoint()
    }
    if (!this.#alive()) return 0
    let removed = 0
    const waiting: Removal[] = []
    for (const removal of this.#removals) {
      if (removal.from > checkpointer.count) waiting.push(removal)
      else {
        for (const path of removal.paths) {
          files.drop(path)
          files.dropUnder(path)
          disk.remove(path)
          removed++
        }
      }
    }
    this.#removals = waiting
    return removed
  }
}
