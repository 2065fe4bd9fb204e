// Recovery: from the newest checkpoint slot along the chain of journal entries to its end, and everything found there into the segments.
//
//   read slot -> scan chain, apply each entry -> fill segments, sync -> write a slot that starts a new run -> open
//
// What counts is what the chain says, never what a segment contains. A bad entry with nothing valid behind it is a torn tail: it was never
// acknowledged and is cut. A bad entry with a valid later one of the same run behind it was durable once, because each entry was synced
// before the next was written: that is corruption. The later ones are kept, the damaged bytes are put aside, and the offsets that are
// missing are reported to their readers (MR_LOG_QUARANTINED). Crashing here and starting again is harmless: all of it is idempotent.
import type { Disk } from '../../base/disk.ts'
import { MillraceError } from '../../base/errors.ts'
import { BATCH_HEADER_BYTES, readBatchHeader, verifyBatch } from '../../codec/record-batch.ts'
import {
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  type EntryRow,
  entryMeta,
  entryTableHolds,
  readEntryHeader,
  readEntryRow,
  ROW_BY_REFERENCE,
  type Run,
} from './entry.ts'
import type { FileCache } from './file-cache.ts'
import { quarantineFolder, segmentName } from './format.ts'
import type { Half } from './half.ts'
import type { ChainPlace } from './journal.ts'
import { decodeMeta } from './meta.ts'
import type { PartitionState } from './partition.ts'
import { Segment } from './segment.ts'
import { stampHolds } from './stamp.ts'
import type { LogState } from './state.ts'
import { BY_REFERENCE } from './tail.ts'

/** What recovery found. */
export interface RecoveryReport {
  readonly entries: number
  readonly bytes: number
  /** The place of the torn entry that was cut, if there was one. */
  readonly torn: { readonly file: string; readonly position: number } | null
  readonly damages: readonly JournalDamage[]
}

/** Journal bytes that are damaged while later entries are whole, or a batch that is damaged in a whole entry. */
export interface JournalDamage {
  readonly file: string
  readonly position: number
  readonly bytes: number
  /** Entries lost; 0 when only one batch is damaged. */
  readonly entries: number
  /** Where the bytes were put aside; '' for a batch, which stays in its place. */
  readonly keptIn: string
}

interface FoundEntry {
  readonly half: Half
  readonly position: number
  readonly header: EntryHeader
}

export class Recovery {
  readonly #disk: Disk
  readonly #folder: string
  readonly #files: FileCache
  readonly #halves: readonly [Half, Half]
  readonly #state: LogState
  /** False for a check that must not change the folder: damaged bytes are then reported and not put aside. */
  readonly #writes: boolean
  #damages: JournalDamage[] = []
  #entries = 0
  #bytes = 0
  #torn: { file: string; position: number } | null = null

  constructor(disk: Disk, folder: string, files: FileCache, halves: readonly [Half, Half], state: LogState, writes = true) {
    this.#disk = disk
    this.#folder = folder
    this.#files = files
    this.#halves = halves
    this.#state = state
    this.#writes = writes
  }

  /** Applies the chain from `place` on. Returns the sequence that the next entry gets. The halves' memory then holds their files. */
  run(place: ChainPlace): number {
    for (const half of this.#halves) readHalf(half)
    let { previousCrc, sequence } = place
    let half = place.half === 0 ? this.#halves[0] : this.#halves[1]
    let position = place.position
    let switched = false
    for (;;) {
      const found = this.#next(half, position, switched, place.run, sequence, previousCrc)
      if (found === null) {
        const later = this.#later(half, position, switched, place.run, sequence)
        if (later === null) {
          this.#noteTorn(half, position, place.run, sequence)
          break
        }
        this.#putAside(half, position, later, sequence)
        switched ||= later.half !== half
        half = later.half
        position = later.position
        sequence = later.header.sequence
        previousCrc = later.header.previousCrc
        continue
      }
      switched ||= found.half !== half
      half = found.half
      if (!this.#batchesHold(found) && this.#later(half, found.position + found.header.size, switched, place.run, sequence + 1) === null) {
        this.#noteTorn(half, found.position, place.run, sequence)
        break
      }
      this.#apply(found, this.#damages.at(-1) ?? null)
      position = found.position + found.header.size
      sequence++
      previousCrc = found.header.crc
    }
    for (const partition of this.#state.partitions.values()) partition.end = partition.acceptedEnd
    return sequence
  }

  get report(): RecoveryReport {
    return { entries: this.#entries, bytes: this.#bytes, torn: this.#torn, damages: this.#damages }
  }

  /** The entry that continues the chain: behind the last one, or at the start of the other half. */
  #next(half: Half, position: number, switched: boolean, run: Run, sequence: number, previousCrc: number): FoundEntry | null {
    const other = half === this.#halves[0] ? this.#halves[1] : this.#halves[0]
    const places = switched
      ? [{ half, position }]
      : [
          { half, position },
          { half: other, position: 0 },
        ]
    for (const place of places) {
      const header = readEntryHeader(place.half.memory, place.half.view, place.position)
      if (header === null || !sameRun(header.run, run) || header.sequence !== sequence || header.previousCrc !== previousCrc) continue
      if (entryTableHolds(place.half.memory, place.position, header)) return { ...place, header }
    }
    return null
  }

  /** The first whole entry of this run with at least this sequence, anywhere behind the place. */
  #later(half: Half, position: number, switched: boolean, run: Run, sequence: number): FoundEntry | null {
    const other = half === this.#halves[0] ? this.#halves[1] : this.#halves[0]
    return scan(half, position, run, sequence) ?? (switched ? null : scan(other, 0, run, sequence))
  }

  #batchesHold(entry: FoundEntry): boolean {
    let inline = entry.position + ENTRY_HEADER_BYTES
    for (let index = 0; index < entry.header.rowCount; index++) {
      const row = readEntryRow(entry.half.view, entry.position, entry.header, index)
      if (!this.#batchHolds(entry.half, row, inline)) return false
      if ((row.flags & ROW_BY_REFERENCE) === 0) inline += row.length
    }
    return true
  }

  #batchHolds(half: Half, row: EntryRow, inline: number): boolean {
    if ((row.flags & ROW_BY_REFERENCE) === 0) return batchIs(half.memory, inline, row)
    const partition = this.#state.partitions.get(row.partition)
    // A topic that a later entry deletes may have lost its files already; so may a segment below a later trim.
    if (!partition) return true
    const bytes = this.#readReferenced(partition, row)
    return bytes === null || (bytes.length === row.length && batchIs(bytes, 0, row))
  }

  #readReferenced(partition: PartitionState, row: EntryRow): Uint8Array | null {
    const path = `${partition.folder}/${segmentName(row.segmentBase)}`
    if (!this.#disk.exists(path)) return new Uint8Array(0)
    const bytes = new Uint8Array(row.length)
    const file = this.#files.get(path)
    let done = 0
    while (done < bytes.length) {
      const count = file.read(bytes.subarray(done), row.position + done)
      if (count === 0) break
      done += count
    }
    return bytes.subarray(0, done)
  }

  #apply(entry: FoundEntry, damage: JournalDamage | null): void {
    const { half, position, header } = entry
    let inline = position + ENTRY_HEADER_BYTES
    for (let index = 0; index < header.rowCount; index++) {
      const row = readEntryRow(half.view, position, header, index)
      const byReference = (row.flags & ROW_BY_REFERENCE) !== 0
      const partition = this.#state.partitions.get(row.partition)
      if (partition) this.#applyRow(partition, half, row, byReference ? BY_REFERENCE : inline, header.timeMs, damage)
      if (!byReference) inline += row.length
    }
    for (const record of decodeMeta(entryMeta(half.memory, position, header))) this.#state.apply(record)
    this.#entries++
    this.#bytes += header.size
  }

  #applyRow(partition: PartitionState, half: Half, row: EntryRow, place: number, timeMs: number, damage: JournalDamage | null): void {
    if (row.firstOffset > partition.acceptedEnd) hideGap(partition, row, damage)
    else partition.resumeAt(row.firstOffset, row.segmentBase, row.position)
    let segment = partition.active
    if (segment === null || segment.base !== row.segmentBase) {
      segment = new Segment(row.segmentBase, `${partition.folder}/${segmentName(row.segmentBase)}`, 0, timeMs)
    }
    const bytes = place === BY_REFERENCE ? this.#readReferenced(partition, row) : half.memory.subarray(place, place + row.length)
    const whole = bytes !== null && bytes.length === row.length && batchIs(bytes, 0, row)
    if (!whole) this.#noteBatch(half, partition, row, place)
    const header = whole ? readBatchHeader(bytes, 0) : null
    partition.accept(half.index, segment, row.firstOffset, row.count, place, row.length, row.position, timeMs, header?.maxTimeMs ?? -1)
    if (header) partition.producers.add(header, row.firstOffset)
    half.touched.add(partition)
  }

  #noteBatch(half: Half, partition: PartitionState, row: EntryRow, place: number): void {
    const inSegment = place === BY_REFERENCE
    const file = inSegment ? `${partition.folder}/${segmentName(row.segmentBase)}` : half.path
    this.#damages.push({ file, position: inSegment ? row.position : place, bytes: row.length, entries: 0, keptIn: '' })
  }

  #noteTorn(half: Half, position: number, run: Run, sequence: number): void {
    const header = readEntryHeader(half.memory, half.view, position)
    if (header !== null && sameRun(header.run, run) && header.sequence === sequence) this.#torn = { file: half.path, position }
  }

  /** Keeps the damaged bytes for inspection: from the expected place up to the next whole entry. */
  #putAside(half: Half, position: number, later: FoundEntry, sequence: number): void {
    const end = later.half === half ? later.position : half.bytes
    const folder = quarantineFolder(this.#folder)
    const path = `${folder}/${later.header.run.number}-${sequence}.journal`
    if (this.#writes) {
      this.#disk.makeFolder(folder)
      const file = this.#disk.open(path, 'create')
      file.write(half.memory.subarray(position, end), 0)
      file.sync()
      file.close()
      this.#disk.syncFolder(folder)
      this.#disk.syncFolder(this.#folder)
    }
    this.#damages.push({
      file: half.path,
      position,
      bytes: end - position,
      entries: later.header.sequence - sequence,
      keptIn: this.#writes ? path : '',
    })
    this.#keepOffsets(half, position, path)
  }

  /**
   * The rows of a damaged entry that can still be trusted, because the batch they name carries their stamp, keep their offsets from being
   * given out again, also where no later entry shows the gap.
   */
  #keepOffsets(half: Half, position: number, path: string): void {
    const header = readEntryHeader(half.memory, half.view, position)
    if (header === null) return
    let inline = position + ENTRY_HEADER_BYTES
    for (let index = 0; index < header.rowCount; index++) {
      const row = readEntryRow(half.view, position, header, index)
      const partition = this.#state.partitions.get(row.partition)
      const byReference = (row.flags & ROW_BY_REFERENCE) !== 0
      const bytes = byReference
        ? partition
          ? this.#readReferenced(partition, row)
          : null
        : half.memory.subarray(inline, inline + row.length)
      const trusted =
        partition !== undefined &&
        row.firstOffset === partition.acceptedEnd &&
        row.count > 0 &&
        bytes !== null &&
        bytes.length >= BATCH_HEADER_BYTES &&
        stampHolds(bytes, 0, partition.id)
      if (trusted) {
        hide(partition, row.firstOffset, row.firstOffset + row.count, path, inline - position, -1, -1)
        partition.skipOver(row.segmentBase, row.firstOffset + row.count, row.position + row.length, header.timeMs)
      }
      if (!byReference) inline += row.length
    }
  }
}

/** Offsets that are missing in front of this row belonged to the damaged entry. */
function hideGap(partition: PartitionState, row: EntryRow, damage: JournalDamage | null): void {
  hide(partition, partition.acceptedEnd, row.firstOffset, damage?.keptIn ?? '', 0, row.segmentBase, row.position)
}

function hide(
  partition: PartitionState,
  from: number,
  to: number,
  file: string,
  position: number,
  resumeBase: number,
  resumePosition: number,
): void {
  partition.damages = [...partition.damages, { from, to, skipped: false, file, position, resumeBase, resumePosition }]
}

function batchIs(bytes: Uint8Array, at: number, row: EntryRow): boolean {
  if (at + row.length > bytes.length || !stampHolds(bytes, at, row.partition)) return false
  if (!verifyBatch(bytes, at)) return false
  const header = readBatchHeader(bytes, at)
  return header.crc === row.crc && header.byteLength === row.length && header.baseOffset === row.firstOffset
}

function sameRun(one: Run, two: Run): boolean {
  return one.number === two.number && one.salt === two.salt
}

/** The first whole entry of the run at or behind `position` whose sequence is at least this. Entries start at multiples of 8. */
function scan(half: Half, position: number, run: Run, sequence: number): FoundEntry | null {
  return find(half, position, (header) => sameRun(header.run, run) && header.sequence >= sequence)
}

/** The first whole entry at or behind `position` that is `wanted`. */
function find(half: Half, position: number, wanted: (header: EntryHeader) => boolean): FoundEntry | null {
  const { memory, view } = half
  const words = new Uint32Array(memory.buffer)
  for (let word = position >>> 2; word < words.length; word += 2) {
    if (words[word] !== 0x314a524d) continue
    const header = readEntryHeader(memory, view, word * 4)
    if (header === null || !wanted(header)) continue
    if (entryTableHolds(memory, word * 4, header)) return { half, position: word * 4, header }
  }
  return null
}

/**
 * True when the journal holds an entry of a later start than `place`: only a slot that is durable begins a run, so there was a newer one,
 * and what was acknowledged since is not in the chain of this one.
 */
export function hasLaterRun(halves: readonly Half[], place: ChainPlace): boolean {
  return halves.some((half) => {
    readHalf(half)
    return find(half, 0, ({ run, sequence }) => run.number > place.run.number && sequence >= place.sequence) !== null
  })
}

function readHalf(half: Half): void {
  let done = 0
  while (done < half.bytes) {
    const count = half.file.read(half.memory.subarray(done), done)
    if (count === 0) break
    done += count
  }
}

/** A damaged folder that recovery cannot start from. */
export function noCheckpoint(folder: string, paths: readonly string[]): MillraceError {
  return new MillraceError('MR_LOG_CORRUPT', {
    message: 'the checkpoint slots that are needed are damaged.',
    details: { folder, file: paths.join(', '), position: 0 },
  })
}
