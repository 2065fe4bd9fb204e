// Checks a folder that no log has open: format, slots, the journal's chain, every batch of every segment, every index row.
//
// The check changes nothing. Repair opens the log, whose recovery cuts a torn tail and puts damaged entries aside, rewrites indexes that
// disagree with their segments, and marks damaged batches as skipped, so that their readers go on behind them; not where a reader would be
// wrong without them (`isKept`).
import { type Clock, systemClock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { isMillraceError } from '../../base/errors.ts'
import { type Scheduler, systemScheduler } from '../../base/scheduler.ts'
import { verifyBatch } from '../../codec/record-batch.ts'
import { FileCache } from './file-cache.ts'
import { checkpointPath, indexPathOf, journalPath, readFormat } from './format.ts'
import { Half, openHalf } from './half.ts'
import { INDEX_ROW_BYTES, IndexRows, readIndex } from './index-file.ts'
import { openEmbeddedLog } from './open.ts'
import { JOURNAL_HALF_BYTES } from './options.ts'
import type { PartitionState } from './partition.ts'
import { missingHalves } from './presence.ts'
import { hasLaterRun, Recovery } from './recovery.ts'
import { readUpTo, type Segment, walkBatches } from './segment.ts'
import { newestSlot, readSlot, type Slot } from './slot.ts'
import { LogState } from './state.ts'

/** What is wrong at one place. */
export interface FsckFinding {
  readonly file: string
  /** Position in the file, bytes. */
  readonly offset: number
  readonly what:
    | 'format'
    | 'checkpoint'
    | 'journal half'
    | 'torn tail'
    | 'journal entry'
    | 'journal batch'
    | 'segment batch'
    | 'index'
    | 'unknown folder'
  readonly message: string
  /** '' where no topic is concerned. */
  readonly topic: string
  readonly partition: number
  /** Record offsets concerned: from (inclusive) to (exclusive); both -1 when none is. */
  readonly from: number
  readonly to: number
}

export interface FsckReport {
  readonly findings: readonly FsckFinding[]
  /** Findings that were repaired; 0 without `repair`. */
  readonly repaired: number
  readonly segments: number
  readonly batches: number
  readonly bytes: number
}

export interface FsckOptions {
  /** Default false: only look. */
  readonly repair?: boolean
  /** Topics whose damaged batches are not marked as skipped, because their readers must not go on without them. Default: none. */
  readonly isKept?: (topic: string) => boolean
  readonly clock?: Clock
  readonly scheduler?: Scheduler
}

/**
 * Verifies the log in `folder`, which must not be open.
 * @throws {MillraceError} `MR_LOG_LOCKED` while a process owns the folder, `MR_LOG_FORMAT_NEWER`, `MR_DISK_FAILED`.
 */
export async function fsckFolder(disk: Disk, folder: string, options: FsckOptions = {}): Promise<FsckReport> {
  const lock = disk.lock(folder)
  let check: Check
  try {
    check = new Check(disk, folder)
    check.run()
  } finally {
    lock.release()
  }
  const report = check.report
  if (options.repair !== true || report.findings.length === 0 || !check.canRepair) return report
  return { ...report, repaired: await repair(disk, folder, report.findings, options) }
}

class Check {
  readonly #disk: Disk
  readonly #folder: string
  readonly #files: FileCache
  #findings: FsckFinding[] = []
  #segments = 0
  #batches = 0
  #bytes = 0
  canRepair = false

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
    this.#files = new FileCache(disk)
  }

  get report(): FsckReport {
    return { findings: this.#findings, repaired: 0, segments: this.#segments, batches: this.#batches, bytes: this.#bytes }
  }

  run(): void {
    try {
      if (readFormat(this.#disk, this.#folder) === null)
        return this.#find('format', `${this.#folder}/format`, 0, 'the folder holds no finished log')
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'MR_LOG_CORRUPT') throw error
      return this.#find('format', `${this.#folder}/format`, 0, 'the format file is damaged')
    }
    const slot = this.#slot()
    if (slot === null) return
    if (this.#isOutlived(slot)) return
    this.canRepair = true
    const state = this.#journal(slot)
    for (const partition of state.partitions.values()) this.#partition(partition)
    this.#folders(state)
    this.#files.closeAll()
  }

  #slot(): Slot | null {
    const valid: Slot[] = []
    for (const index of [0, 1]) {
      const content = readSlot(this.#disk, this.#folder, index)
      if (content.kind === 'valid') valid.push(content.value)
      if (content.kind === 'damaged') this.#find('checkpoint', content.path, 0, 'the checkpoint slot is damaged')
    }
    const [one, two] = valid
    if (!one) this.#find('checkpoint', `${this.#folder}/checkpoint-0`, 0, 'no checkpoint slot is valid: the log cannot be opened')
    return one && two ? newestSlot(one, two) : (one ?? null)
  }

  /** The one slot that is whole is of an earlier start than entries in the journal: what is right about the rest nobody knows. */
  #isOutlived(slot: Slot): boolean {
    if (this.#findings.length === 0) return false
    const halves = [0, 1].filter((index) => this.#disk.exists(journalPath(this.#folder, index))).map((index) => this.#half(index))
    const isOutlived = hasLaterRun(halves, slot.image.chain)
    for (const half of halves) half.file.close()
    const message = 'the journal holds entries of a later start than this slot: the log cannot be opened, and nothing else was checked'
    if (isOutlived) this.#find('checkpoint', checkpointPath(this.#folder, slot.slot), 0, message)
    return isOutlived
  }

  /** Follows the chain without writing; returns the state at its end. */
  #journal(slot: Slot): LogState {
    const state = LogState.restore(this.#folder, slot.image)
    const missing = missingHalves(this.#disk, this.#folder)
    for (const index of missing.keys()) {
      const message = 'a half of the journal is missing or cut short: what was acknowledged since the newest checkpoint may be lost'
      this.#find('journal half', journalPath(this.#folder, index), 0, message)
    }
    if (missing.size > 0) {
      this.canRepair = true
      return state
    }
    const halves = [this.#half(0), this.#half(1)] as const
    const recovery = new Recovery(this.#disk, this.#folder, this.#files, halves, state, false)
    recovery.run(slot.image.chain)
    for (const half of halves) half.file.close()
    const { torn, damages } = recovery.report
    if (torn) this.#find('torn tail', torn.file, torn.position, 'the last entry is incomplete; it was never acknowledged')
    for (const damage of damages) {
      const message =
        damage.entries > 0
          ? `${damage.entries} journal entries are damaged while later ones are whole`
          : 'a batch is damaged in a whole journal entry'
      this.#find(damage.entries > 0 ? 'journal entry' : 'journal batch', damage.file, damage.position, message)
    }
    return state
  }

  #half(index: number): Half {
    const path = journalPath(this.#folder, index)
    const file = this.#disk.open(path, 'read')
    return new Half(index, path, file, Math.max(4096, Math.floor(file.size() / 8) * 8))
  }

  #partition(partition: PartitionState): void {
    if (!this.#disk.exists(partition.folder)) return
    for (const segment of partition.segments(this.#disk)) {
      if (!this.#disk.exists(segment.path)) continue
      this.#segments++
      this.#segment(partition, segment)
    }
    for (const damage of partition.damages) {
      if (!damage.skipped && damage.to > partition.start)
        this.#find(
          'journal entry',
          damage.file,
          damage.position,
          'records of a damaged journal entry are put aside',
          partition,
          damage.from,
          damage.to,
        )
    }
  }

  /** Bytes behind `filled` are still the journal's business and were checked there. */
  #segment(partition: PartitionState, segment: Segment): void {
    segment.measure(this.#files)
    const file = this.#files.get(segment.path)
    const starts = new Map<number, number>()
    let expected = 0
    let nextOffset = segment.base
    const damaged = (to: number, offset: number): void => {
      const known = partition.damages.some((damage) => damage.from <= nextOffset && damage.to >= offset)
      // Nobody reads below the start any more.
      if (!known && offset > partition.start)
        this.#find('segment batch', segment.path, expected, `${to - expected} bytes are damaged`, partition, nextOffset, offset)
    }
    for (const place of walkBatches(file, 0, segment.filled, partition.id)) {
      if (place.position > expected) damaged(place.position, place.baseOffset)
      const bytes = readUpTo(file, place.position, place.byteLength)
      expected = place.position
      if (!verifyBatch(bytes, 0)) {
        nextOffset = place.baseOffset
        damaged(place.position + place.byteLength, place.lastOffset + 1)
      }
      starts.set(place.position, place.baseOffset)
      this.#batches++
      this.#bytes += place.byteLength
      expected = place.position + place.byteLength
      nextOffset = place.lastOffset + 1
    }
    if (expected < segment.filled) damaged(segment.filled, segment.end ?? partition.acceptedEnd)
    this.#index(partition, segment, starts)
  }

  #index(partition: PartitionState, segment: Segment, starts: ReadonlyMap<number, number>): void {
    if (!this.#disk.exists(segment.indexPath)) {
      if (segment.filled > 0) this.#find('index', segment.indexPath, 0, 'the index is missing', partition)
      return
    }
    const file = this.#disk.open(segment.indexPath, 'read')
    const rows = readIndex(readUpTo(file, 0, file.size()), segment.filled)
    file.close()
    const isClosed = segment !== partition.active && segment !== partition.filling
    for (let row = 0; row < rows.count; row++) {
      if (starts.get(rows.positions[row] as number) === rows.offsets[row]) continue
      return this.#find('index', segment.indexPath, row * INDEX_ROW_BYTES, 'an index row names a place where no batch begins', partition)
    }
    if (isClosed && rows.end === null)
      this.#find('index', segment.indexPath, rows.count * INDEX_ROW_BYTES, 'the index ends early', partition)
  }

  #folders(state: LogState): void {
    const known = new Set([...state.topics.values()].map(({ topic }) => topic.id))
    for (const name of this.#disk.list(`${this.#folder}/topics`)) {
      if (!known.has(name))
        this.#find(
          'unknown folder',
          `${this.#folder}/topics/${name}`,
          0,
          'no topic has this folder: it was deleted and its files are not removed yet',
        )
    }
  }

  #find(
    what: FsckFinding['what'],
    file: string,
    offset: number,
    message: string,
    partition: PartitionState | null = null,
    from = -1,
    to = -1,
  ): void {
    this.#findings.push({ file, offset, what, message, topic: partition?.topic ?? '', partition: partition?.index ?? -1, from, to })
  }
}

/** Returns how many findings no longer hold. */
async function repair(disk: Disk, folder: string, findings: readonly FsckFinding[], options: FsckOptions): Promise<number> {
  for (const finding of findings) if (finding.what === 'unknown folder') disk.remove(finding.file)
  for (const [index, bytes] of missingHalves(disk, folder)) openHalf(disk, folder, index, bytes).file.close()
  const log = await openEmbeddedLog({
    folder,
    disk,
    clock: options.clock ?? systemClock,
    scheduler: options.scheduler ?? systemScheduler,
    // As large as the journal is: repairing must not need room that a full disk has not.
    journalHalfBytes: disk.stat(journalPath(folder, 0))?.size ?? JOURNAL_HALF_BYTES,
    diskReserveBytes: 0,
    maintainEveryMs: 0,
  })
  try {
    for (const { what, topic, partition, from } of findings) {
      if ((what === 'segment batch' || what === 'journal entry') && topic !== '' && options.isKept?.(topic) !== true)
        await log.skipCorrupt(topic, partition, from)
    }
  } finally {
    await log.close()
  }
  rewriteIndexes(disk, folder)
  const lock = disk.lock(folder)
  try {
    const again = new Check(disk, folder)
    again.run()
    return findings.length - again.report.findings.length
  } finally {
    lock.release()
  }
}

/** Writes anew every index that disagrees with its segment. The log is closed in order, so the slot says all. */
function rewriteIndexes(disk: Disk, folder: string): void {
  const [one, two] = [readSlot(disk, folder, 0), readSlot(disk, folder, 1)]
  const slots = [one, two].flatMap((content) => (content.kind === 'valid' ? [content.value] : []))
  const [first, second] = slots
  if (!first) return
  const state = LogState.restore(folder, (second ? newestSlot(first, second) : first).image)
  const files = new FileCache(disk)
  for (const partition of state.partitions.values()) {
    for (const segment of disk.exists(partition.folder) ? partition.segments(disk) : []) rewriteIndex(disk, files, partition, segment)
  }
  files.closeAll()
}

function rewriteIndex(disk: Disk, files: FileCache, partition: PartitionState, segment: Segment): void {
  const size = segment.measure(files)
  const isClosed = segment !== partition.active && segment !== partition.filling
  const path = indexPathOf(segment.path)
  const file = disk.open(path, 'create')
  const old = readIndex(readUpTo(file, 0, file.size()), size)
  const fresh = new IndexRows()
  let eventMaxMs = old.count > 0 ? (old.eventTimes[0] as number) : -1
  let expected = 0
  let end = segment.base
  const starts = new Set<number>()
  for (const batch of walkBatches(files.get(segment.path), 0, size, partition.id)) {
    starts.add(batch.position)
    const row = old.floor(batch.baseOffset)
    const appendMs = row < 0 ? partition.lastAppendMs : (old.appendTimes[row] as number)
    if (fresh.wants(batch.position, appendMs, batch.position === expected))
      fresh.add(batch.baseOffset, batch.position, eventMaxMs, appendMs)
    eventMaxMs = Math.max(eventMaxMs, batch.maxTimeMs)
    expected = batch.position + batch.byteLength
    end = batch.lastOffset + 1
  }
  const agrees =
    (old.end !== null || !isClosed) &&
    old.count > 0 &&
    Array.from({ length: old.count }, (_, row) => starts.has(old.positions[row] as number)).every(Boolean)
  if (!agrees && size > 0) {
    if (isClosed)
      fresh.end = {
        offset: segment.end ?? end,
        position: size,
        eventMaxMs,
        appendMs: fresh.count > 0 ? (fresh.appendTimes[fresh.count - 1] as number) : 0,
      }
    file.truncate(0)
    fresh.flush(file)
    file.sync()
  }
  file.close()
}
