// Takes requests into the log: checks them, gives offsets, gathers them in the open entry, and makes the entry durable.
//
//   accept (any number, one after the other) -> flush: seal, write, sync -> visible ends move -> promises settle
//
// Everything that waits at the same moment shares an entry: accepting happens at the call, flushing in the next turn of the event loop or
// when enough is gathered. A request is refused before anything of it is placed, so a refusal leaves no trace. After a failed write or sync
// the intake is poisoned: every call rejects with that error and nothing is tried again, because only recovery knows what is on the disk.
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import type { Checkpointer } from './checkpoint.ts'
import { ROW_BY_REFERENCE } from './entry.ts'
import type { FileCache } from './file-cache.ts'
import type { Journal } from './journal.ts'
import { encodeMeta, type MetaRecord } from './meta.ts'
import type { PartitionState } from './partition.ts'
import { writePiecewise } from './piecewise-write.ts'
import { Placement, type PlannedBatch } from './placement.ts'
import type { Accepted, Request } from './request.ts'
import type { RequestLog } from './request-log.ts'
import type { Reserve } from './reserve.ts'
import { stampBatch } from './stamp.ts'
import type { LogState } from './state.ts'
import { BY_REFERENCE } from './tail.ts'
import { VisibleEnds } from './visible-ends.ts'
import { WaitingRequests } from './waiting-requests.ts'

/** An entry with this many bytes is not held back for more: beyond it a larger group gains nothing (measured, ADR 0003). */
const ENTRY_BYTES_ENOUGH = 1 << 20
/** A checkpoint should have this much for each segment that it writes: below it the syncs of the segments cost more than the bytes. */
const SEGMENT_SHARE_BYTES = 256 << 10
/** Halves that took longer to fill are large enough: a checkpoint now and then costs nothing. */
const HALF_FILLED_SOON_MS = 1_000

interface Waiter {
  readonly resolve: (value: Accepted) => void
  readonly reject: (error: unknown) => void
  readonly value: Accepted
}

/** A metadata record that waits for room. */
interface Change {
  readonly make: () => MetaRecord | null
  readonly applied: () => void
  readonly resolve: (gone: readonly PartitionState[]) => void
  readonly reject: (error: unknown) => void
}

export interface IntakeParts {
  readonly disk: Disk
  readonly state: LogState
  readonly journal: Journal
  readonly checkpointer: Checkpointer
  readonly files: FileCache
  readonly requests: RequestLog
  readonly reserve: Reserve
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly segmentBytes: number
  readonly referenceBytes: number
  readonly halfBytesMax: number
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #placement: Placement
  #waiters: Waiter[] = []
  readonly #waiting = new WaitingRequests()
  #waitingChanges: Change[] = []
  #metas: MetaRecord[] = []
  readonly #ends: VisibleEnds
  readonly #byReference = new Set<string>()
  #entryBytes = 0
  #entryMs = 0
  #scheduled = false
  #flushesSoon = false
  #flushing = false
  #waited = false
  /** When the active half was begun, by the monotonic clock. */
  #halfSinceMs = -Infinity
  #failure: unknown = null
  /** Counters for metrics and benchmarks. */
  readonly stats: { entries: number; requests: number; batches: number; waits: number } = { entries: 0, requests: 0, batches: 0, waits: 0 }

  constructor(parts: IntakeParts) {
    this.#parts = parts
    this.#placement = new Placement(parts.state, parts.segmentBytes, parts.referenceBytes)
    this.#ends = new VisibleEnds(parts.state)
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Takes a request; settles when it is durable (or accepted, when it asked for no more). */
  submit(request: Request): Promise<Accepted> {
    return new Promise((resolve, reject) => {
      // Behind those that wait: one caller's appends keep their order.
      if (!this.#waiting.isEmpty || !this.#try(request, resolve, reject)) this.#waiting.add({ request, resolve, reject })
    })
  }

  /**
   * Puts a metadata record into a durable entry of its own moment. Resolves when it is durable and applied. `make` runs when there is room
   * and may throw; `applied` runs before anything else is taken in.
   */
  change(make: () => MetaRecord | null, applied: () => void = () => undefined): Promise<readonly PartitionState[]> {
    return new Promise((resolve, reject) => {
      const change: Change = { make, applied, resolve, reject }
      if (this.#waitingChanges.length > 0 || !this.#tryChange(change)) this.#waitingChanges.push(change)
    })
  }

  /** False when there is no room yet; settles the change otherwise. */
  #tryChange({ make, applied, resolve, reject }: Change): boolean {
    this.#ends.hold()
    try {
      this.#throwFailure()
      const record = make()
      if (record === null) resolve([])
      else if (this.#makeRoom(0, 0, encodeMeta([record]).length)) {
        const gone = this.#changeNow(record)
        applied()
        resolve(gone)
      } else return false
    } catch (error) {
      reject(error)
    } finally {
      this.#ends.release()
    }
    return true
  }

  #changeNow(record: MetaRecord): readonly PartitionState[] {
    this.#begin()
    this.#metas.push(record)
    const gone = this.#parts.state.apply(record)
    this.flush()
    this.#throwFailure()
    return gone
  }

  /** Makes the open entry durable. Returns at once when there is none. */
  flush(): void {
    if (this.#failure !== null || this.#flushing || this.#isEmpty()) return
    this.#flushing = true
    const { journal, requests } = this.#parts
    const waiters = this.#waiters
    this.#waiters = []
    try {
      const keys = requests.takeBatch()
      if (keys) this.#placeRequestKeys(keys)
      const half = journal.active
      const { start, end } = journal.seal(encodeMeta(this.#metas), this.#entryMs)
      this.#metas = []
      this.#placement.entryBytesBefore = this.#entryBytes
      this.#entryBytes = 0
      this.#syncReferenced()
      half.write(start, end)
      half.file.sync()
    } catch (error) {
      this.#flushing = false
      this.fail(error, waiters)
      return
    }
    this.#flushing = false
    this.stats.entries++
    for (const waiter of waiters) waiter.resolve(waiter.value)
    this.#ends.publish()
  }

  /** Poisons the log. */
  fail(error: unknown, unsettled: readonly Waiter[] = []): void {
    if (this.#failure === null) this.#failure = asDiskFailure(error)
    this.#parts.checkpointer.stop()
    for (const waiter of [...unsettled, ...this.#waiters]) waiter.reject(this.#failure)
    for (const change of this.#waitingChanges) change.reject(this.#failure)
    this.#waiting.rejectAll(this.#failure)
    this.#waiters = []
    this.#waitingChanges = []
  }

  /** Refuses everything from now on with `error`; what was accepted has been flushed by the caller. */
  close(error: MillraceError): void {
    this.fail(error)
  }

  /** False when both halves are full; settles the request otherwise. */
  #try(request: Request, resolve: (value: Accepted) => void, reject: (error: unknown) => void): boolean {
    this.#ends.hold()
    try {
      this.#throwFailure()
      const value = this.#accept(request)
      if (value === null) return false
      this.stats.requests++
      if (request.early || this.#isEmpty()) resolve(value)
      else this.#waiters.push({ resolve, reject, value })
      if (this.#entryBytes >= ENTRY_BYTES_ENOUGH) this.flush()
      else if (request.gathered) this.#flushSoon()
      else this.#schedule()
    } catch (error) {
      reject(error)
    } finally {
      this.#ends.release()
    }
    return true
  }

  /** Places the request in the open entry; null when both halves are full. */
  #accept(request: Request): Accepted | null {
    const { state, journal, requests, reserve } = this.#parts
    if (request.writer) {
      const newest = state.writers.get(request.writer.name) ?? 0
      if (newest !== request.writer.epoch) {
        throw new MillraceError('MR_LOG_FENCED', {
          message: 'commit rejected.',
          details: { writer: request.writer.name, epoch: request.writer.epoch, newest },
        })
      }
    } else reserve.check(request.parts)
    if (request.requestKey !== null) {
      const known = requests.find(request.requestKey)
      if (known) return { firstOffsets: known, repeated: true }
    }
    const now = this.#isEmpty() ? this.#nowMs() : this.#entryMs
    const plan = this.#placement.plan(request.parts, now, journal)
    try {
      const keyBytes = request.requestKey === null ? 0 : requests.bytesOf(request.requestKey, request.parts.length)
      if (plan.batches.length > 0 && !this.#makeRoom(plan.inlineBytes + keyBytes, plan.batches.length + 1, 0)) return null
      this.#writeReferenced(plan.batches)
    } finally {
      this.#placement.reset()
    }
    if (plan.batches.length > 0 || request.requestKey !== null) this.#begin()
    try {
      for (const batch of plan.batches) this.#place(batch)
    } catch (error) {
      // Half a request is in the open entry: it must never be written.
      this.fail(error)
      throw error
    }
    if (request.requestKey !== null) requests.add(request.requestKey, plan.firstOffsets, this.#entryMs)
    return { firstOffsets: plan.firstOffsets, repeated: false }
  }

  /** Makes the open entry able to take this much more: by flushing it, by switching halves. False when the other half is not free yet. */
  #makeRoom(inlineBytes: number, rowCount: number, metaBytes: number): boolean {
    const { journal, requests } = this.#parts
    const inline = inlineBytes + requests.pendingBytes
    if (journal.fits(inline, rowCount + 1, metaBytes)) return true
    this.flush()
    this.#throwFailure()
    if (journal.fits(inlineBytes, rowCount + 1, metaBytes)) return true
    if (!journal.other.free) {
      this.#waited = true
      this.stats.waits++
      return false
    }
    this.switchHalf()
    assert(journal.fits(inlineBytes, rowCount + 1, metaBytes), 'an empty half takes a request that was admitted')
    return true
  }

  /** Goes on in the other half and checkpoints the full one. The open entry has been flushed. */
  switchHalf(): void {
    const { journal, checkpointer, state, clock, halfBytesMax } = this.#parts
    const full = journal.active
    const next = journal.other
    const filledSoon = clock.monotonicMs() - this.#halfSinceMs < HALF_FILLED_SOON_MS
    this.#halfSinceMs = clock.monotonicMs()
    const isSpread = filledSoon && next.bytes < full.touched.size * SEGMENT_SHARE_BYTES
    if ((this.#waited || isSpread) && next.bytes < halfBytesMax) {
      try {
        next.grow(Math.min(next.bytes * 2, halfBytesMax), () => checkpointer.recordSizes())
        this.#waited = journal.active.bytes < next.bytes
      } catch (error) {
        if (!isMillraceError(error) || error.code !== 'MR_DISK_FULL') {
          this.fail(error)
          this.#throwFailure()
        }
      }
    }
    journal.switchHalf()
    const image = state.image(journal.place, clock.nowMs())
    checkpointer.start(
      full,
      image,
      () => this.#halfFree(),
      (error) => this.fail(error),
    )
  }

  #halfFree(): void {
    // Changes go first: more requests may wait than a half takes, and fencing and trimming are what ends an overload.
    while (this.#waitingChanges[0] && this.#tryChange(this.#waitingChanges[0])) this.#waitingChanges.shift()
    for (let { first } = this.#waiting; first !== null; first = this.#waiting.first) {
      if (!this.#try(first.request, first.resolve, first.reject)) return
      this.#waiting.dropFirst()
    }
  }

  #begin(): void {
    if (this.#isEmpty()) this.#entryMs = this.#nowMs()
  }

  /** Time of append never goes back, so that the index by it can be searched. */
  #nowMs(): number {
    return Math.max(this.#entryMs, this.#parts.clock.nowMs())
  }

  #isEmpty(): boolean {
    return this.#parts.journal.rows.count === 0 && this.#metas.length === 0 && this.#parts.requests.pendingBytes === 0
  }

  #place(batch: PlannedBatch): void {
    const { journal } = this.#parts
    const { partition, header, segment } = batch
    let place = BY_REFERENCE
    if (!batch.byReference) {
      place = journal.placeBatch(batch.bytes, batch.at, header.byteLength)
      stampBatch(journal.active.memory, place, partition.id, batch.firstOffset)
    }
    const count = header.lastOffset - header.baseOffset + 1
    journal.rows.add(
      partition.id,
      header.byteLength,
      header.crc,
      batch.byReference ? ROW_BY_REFERENCE : 0,
      batch.firstOffset,
      segment.base,
      batch.position,
      count,
    )
    partition.accept(
      journal.active.index,
      segment,
      batch.firstOffset,
      count,
      place,
      header.byteLength,
      batch.position,
      this.#entryMs,
      header.maxTimeMs,
    )
    partition.producers.add(header, batch.firstOffset)
    if (!partition.inOpenEntry) {
      journal.active.touched.add(partition)
      this.#ends.touch(partition)
    }
    this.#entryBytes += header.byteLength
    this.stats.batches++
  }

  #placeRequestKeys(bytes: Uint8Array): void {
    const { state, journal } = this.#parts
    const plan = this.#placement.planOwn(state.requests, bytes, this.#entryMs)
    this.#placement.reset()
    assert(journal.fits(bytes.length, 1, 0), 'room for request keys was kept')
    for (const batch of plan.batches) this.#place(batch)
  }

  /**
   * Large batches go straight to their segments. When the disk is full here nothing has happened yet: what was written lies behind what
   * counts in its segment, or in a segment that goes away again.
   */
  #writeReferenced(batches: readonly PlannedBatch[]): void {
    const { checkpointer, files } = this.#parts
    for (const batch of batches) {
      if (!batch.byReference) continue
      const { segment, partition, header } = batch
      try {
        checkpointer.prepareFile(partition, segment.path)
        // The caller's bytes stay as they are: only the header that carries offset and stamp is copied.
        const head = batch.bytes.slice(batch.at, batch.at + 64)
        stampBatch(head, 0, partition.id, batch.firstOffset)
        const rest = batch.bytes.subarray(batch.at + head.length, batch.at + header.byteLength)
        const file = files.get(segment.path)
        // Who follows the topic reads the bytes next, and finds them in the system's memory of files; nobody else needs them there.
        const isAround = !this.#isFollowed(partition) && file.writeAroundNow?.([head, rest], batch.position) === true
        if (!isAround) writePiecewise(file, [head, rest], batch.position)
        this.#byReference.add(segment.path)
      } catch (error) {
        if (isMillraceError(error) && error.code === 'MR_DISK_FULL') {
          this.#removeUnowned(batches)
          throw new MillraceError('MR_LOG_FULL', { message: 'the disk is full.', details: { file: segment.path }, cause: error })
        }
        this.fail(error)
        this.#throwFailure()
      }
    }
  }

  #isFollowed({ topic, waiters }: PartitionState): boolean {
    return waiters.size > 0 || (this.#parts.state.topics.get(topic)?.listeners.size ?? 0) > 0
  }

  /**
   * Removes the segments that the batches of a refused request began. It must be durable before anything is appended: once the end has
   * passed its base such a file would be taken for a segment.
   */
  #removeUnowned(batches: readonly PlannedBatch[]): void {
    const { disk, files } = this.#parts
    const folders = new Set<string>()
    try {
      for (const { segment, partition } of batches) {
        if (segment === partition.active || !disk.exists(segment.path)) continue
        this.#byReference.delete(segment.path)
        files.drop(segment.path)
        disk.remove(segment.path)
        folders.add(partition.folder)
      }
      for (const folder of folders) disk.syncFolder(folder)
    } catch (error) {
      this.fail(error)
      this.#throwFailure()
    }
  }

  #syncReferenced(): void {
    if (this.#byReference.size === 0) return
    for (const path of this.#byReference) this.#parts.files.get(path).sync()
    this.#byReference.clear()
    this.#parts.checkpointer.syncFolders()
  }

  #schedule(): void {
    if (this.#scheduled || this.#isEmpty()) return
    this.#scheduled = true
    void this.#parts.scheduler.turn().then(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** Groups of other topics that were gathered in the same turn append in microtasks that are queued already: they join the entry. */
  #flushSoon(): void {
    if (this.#flushesSoon) return
    this.#flushesSoon = true
    void Promise.resolve().then(() => {
      this.#flushesSoon = false
      this.flush()
    })
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }
}

/** A full disk in the middle of an entry is as final as a failed write: part of the entry may be there. */
function asDiskFailure(error: unknown): unknown {
  if (isMillraceError(error) && error.code !== 'MR_DISK_FULL') return error
  return new MillraceError('MR_DISK_FAILED', { message: 'writing to the log failed.', cause: error })
}
