// Opening: lock, version, recovery, and the parts wired together.
import type { Disk } from '../../base/disk.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { Checkpointer } from './checkpoint.ts'
import { EmbeddedLog } from './embedded-log.ts'
import type { Run } from './entry.ts'
import { FileCache } from './file-cache.ts'
import { indexPathOf, journalPath, parseSegmentName, readFormat, writeFormat } from './format.ts'
import { type Half, HALF_BYTES_MIN, openHalf } from './half.ts'
import { Intake } from './intake.ts'
import { chainSeed, type ChainPlace, Journal } from './journal.ts'
import {
  DISK_RESERVE_BYTES,
  type EmbeddedLogOptions,
  JOURNAL_HALF_BYTES,
  JOURNAL_HALF_BYTES_MAX,
  MAINTAIN_EVERY_MS,
  REFERENCE_BYTES,
  SEGMENT_BYTES,
} from './options.ts'
import type { PartitionState } from './partition.ts'
import { hasLaterRun, noCheckpoint, Recovery, type RecoveryReport } from './recovery.ts'
import { requireHalves, requireNeverUsed } from './presence.ts'
import { RequestLog } from './request-log.ts'
import { Reserve } from './reserve.ts'
import { SegmentReader } from './segment-reader.ts'
import { newestSlot, readSlot, type Slot, type SlotOrder, SlotWriter } from './slot.ts'
import { LogState } from './state.ts'

/**
 * Opens the log in `options.folder`, making it when it is new, and recovers it to the last commit.
 * @throws {MillraceError} `MR_LOG_LOCKED`, `MR_LOG_FORMAT_NEWER`, `MR_LOG_CORRUPT` (no valid checkpoint), `MR_DISK_FAILED`, `MR_DISK_FULL`.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { disk, folder } = options
  makeFolderDurably(disk, folder)
  const lock = disk.lock(folder)
  try {
    return assemble(options, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

function assemble(options: EmbeddedLogOptions, lock: { release(): void }): EmbeddedLog {
  const { disk, folder, clock, scheduler } = options
  const fresh = readFormat(disk, folder) === null
  const halfBytes = Math.max(HALF_BYTES_MIN, Math.ceil((options.journalHalfBytes ?? JOURNAL_HALF_BYTES) / 4096) * 4096)
  const slot = fresh ? null : newestOf(disk, folder, options.slotOrder ?? newestSlot)
  if (fresh) {
    requireNeverUsed(disk, folder)
    removeUnfinished(disk, folder)
  } else requireHalves(disk, folder)
  const halves = [openHalf(disk, folder, 0, halfBytes), openHalf(disk, folder, 1, halfBytes)] as const
  const files = new FileCache(disk)
  const slots = new SlotWriter(disk, folder, slot, halves)
  const checkpointer = new Checkpointer(disk, folder, files, slots, scheduler)
  const state = slot === null ? new LogState(folder) : LogState.restore(folder, slot.image)
  const { sequence, report } = slot === null ? NOTHING_TO_RECOVER : recoverFrom(slot, disk, folder, files, halves, state)
  if (slot !== null) for (const partition of state.partitions.values()) removeStrays(disk, files, partition)
  const chain = nextRun(slot, sequence, clock.nowUs())
  const image = state.image(chain, clock.nowMs())
  checkpointer.now(halves, image)
  // Both slots begin the run, so that one that is damaged later leaves the other: an older run's would know nothing of what follows.
  slots.write(image)
  for (const half of halves) half.shrink(halfBytes)
  if (fresh) {
    disk.syncFolder(folder)
    writeFormat(disk, folder)
  }
  const journal = new Journal(halves, chain)
  const segments = new SegmentReader(disk, files)
  const reserve = new Reserve(disk, folder, clock, options.diskReserveBytes ?? DISK_RESERVE_BYTES)
  const requests: RequestLog = new RequestLog(
    () => clock.nowMs(),
    () => loadRequests(log, requests),
  )
  const intake = new Intake({
    disk,
    state,
    journal,
    checkpointer,
    files,
    requests,
    reserve,
    clock,
    scheduler,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    referenceBytes: options.referenceBytes ?? REFERENCE_BYTES,
    halfBytesMax: Math.max(halfBytes, options.journalHalfBytesMax ?? JOURNAL_HALF_BYTES_MAX),
  })
  const log: EmbeddedLog = new EmbeddedLog({
    disk,
    folder,
    clock,
    scheduler,
    lock,
    files,
    slots,
    state,
    journal,
    checkpointer,
    intake,
    segments,
    requests,
    report,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    maintainEveryMs: options.maintainEveryMs ?? MAINTAIN_EVERY_MS,
  })
  return log
}

/** Makes the folder and syncs the parents of what was made, so that a power cut does not take the whole log away. */
function makeFolderDurably(disk: Disk, folder: string): void {
  const made: string[] = []
  for (let path = folder; path !== '' && !disk.exists(path); path = path.slice(0, Math.max(0, path.lastIndexOf('/')))) made.push(path)
  disk.makeFolder(folder)
  for (const path of made) {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
    disk.syncFolder(parent === '' ? (path.startsWith('/') ? '/' : '.') : parent)
  }
}

const NOTHING_TO_RECOVER: { sequence: number; report: RecoveryReport } = {
  sequence: 1,
  report: { entries: 0, bytes: 0, torn: null, damages: [] },
}

function recoverFrom(
  slot: Slot,
  disk: Disk,
  folder: string,
  files: FileCache,
  halves: readonly [Half, Half],
  state: LogState,
): { sequence: number; report: RecoveryReport } {
  const other = readSlot(disk, folder, 1 - slot.slot)
  if (other.kind === 'damaged' && hasLaterRun(halves, slot.image.chain)) throw noCheckpoint(folder, [other.path])
  const recovery = new Recovery(disk, folder, files, halves, state)
  const sequence = recovery.run(slot.image.chain)
  const { report } = recovery
  // When the newer slot is damaged the older one's half may have been overwritten since: what is missing is in the segments, but
  // nobody knows where it ends. Nothing has been written yet.
  if (other.kind === 'damaged' && report.damages.some((damage) => damage.entries > 0)) throw noCheckpoint(folder, [other.path])
  return { sequence, report }
}

/** Every start is a run of its own, at the start of the first half: nothing that is left in the journal can be taken for one of its entries. */
function nextRun(slot: Slot | null, sequence: number, nowUs: number): ChainPlace {
  const before = slot?.image.chain.run
  const run: Run = {
    number: (before?.number ?? 0) + 1,
    salt: (Math.imul(nowUs % 4294967296, 0x9e3779b1) ^ Math.imul((before?.salt ?? 0) + 1, 0x85ebca6b)) >>> 0,
  }
  return { run, half: 0, position: 0, sequence, previousCrc: chainSeed(run) }
}

function newestOf(disk: Disk, folder: string, order: SlotOrder): Slot {
  const [one, two] = [readSlot(disk, folder, 0), readSlot(disk, folder, 1)]
  if (one.kind === 'valid' && two.kind === 'valid') return order(one.value, two.value)
  if (one.kind === 'valid') return one.value
  if (two.kind === 'valid') return two.value
  throw noCheckpoint(
    folder,
    [one, two].flatMap((slot) => (slot.kind === 'damaged' ? [slot.path] : [])),
  )
}

/**
 * Removes files that a crash left behind: segments begun for batches by reference whose entry never became durable, and half-made
 * compactions. It must be durable before anything is appended: a stray whose base lies below a later end would be taken for a segment.
 */
function removeStrays(disk: Disk, files: FileCache, partition: PartitionState): void {
  let removed = false
  for (const name of disk.list(partition.folder)) {
    const segment = parseSegmentName(name)
    const isStray =
      name.endsWith('.new') || (segment !== null && segment.base >= partition.acceptedEnd && segment.base !== partition.active?.base)
    if (!isStray) continue
    const path = `${partition.folder}/${name}`
    for (const gone of segment === null ? [path] : [path, indexPathOf(path)]) {
      // Recovery may have looked into it: a handle that is kept would take later writes to a file without a name.
      files.drop(gone)
      disk.remove(gone)
    }
    removed = true
  }
  if (removed) disk.syncFolder(partition.folder)
}

/** A log whose making was interrupted never acknowledged anything: start over. */
function removeUnfinished(disk: Disk, folder: string): void {
  for (const half of [0, 1]) disk.remove(journalPath(folder, half))
  for (const name of ['checkpoint-0', 'checkpoint-1', 'topics', 'requests']) disk.remove(`${folder}/${name}`)
}

function loadRequests(log: EmbeddedLog, requests: RequestLog): void {
  const rows = new RecordRows()
  for (const bytes of log.readRequests()) {
    rows.read(bytes, 0)
    requests.remember(rows)
  }
}
