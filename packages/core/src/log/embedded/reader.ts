// Reads one or more partitions into a buffer of the reader's own. The newest batches come from the journal's memory (copied, no system call,
// verified when they were appended), older ones by pread of their segment, each verified by stamp and CRC before it is handed out.
//
// Synchronous: `fetch` is `fetchNow` and a wait. Works without an index while it reads on where the last fetch ended.
import { MillraceError } from '../../base/errors.ts'
import type { Clock } from '../../base/clock.ts'
import type { Scheduler, Timer } from '../../base/scheduler.ts'
import { BATCH_HEADER_BYTES, verifyBatch } from '../../codec/record-batch.ts'
import type { FetchedPartition, FetchOptions, FetchPosition, LogReader } from '../log.ts'
import type { Journal } from './journal.ts'
import type { PartitionState } from './partition.ts'
import type { Segment } from './segment.ts'
import type { SegmentReader } from './segment-reader.ts'
import { read32, stampHolds } from './stamp.ts'
import type { LogState } from './state.ts'
import { BY_REFERENCE, type Tail } from './tail.ts'

const BYTES_MAX_DEFAULT = 1 << 20
/** Decoders read whole words: this much is readable behind the last batch. */
const PADDING_BYTES = 64
const BUFFER_BYTES_MIN = 4_096
const NO_BYTES = new Uint8Array(0)

/** Where a partition's next sequential read goes on. */
interface Cursor {
  offset: number
  segment: Segment
  position: number
}

export interface ReaderParts {
  readonly state: () => LogState
  readonly journal: Journal
  readonly segments: SegmentReader
  readonly scheduler: Scheduler
  readonly clock: Clock
  /** Throws when the log is closed or has failed. */
  readonly check: () => void
  readonly closed: Set<() => void>
}

export class EmbeddedReader implements LogReader {
  readonly #parts: ReaderParts
  #buffer: Uint8Array = NO_BYTES
  #used = 0
  #closed = false
  #wake: (() => void) | null = null
  readonly #cursors = new Map<number, Cursor>()

  constructor(parts: ReaderParts) {
    this.#parts = parts
  }

  readonly fetchNow = (positions: readonly FetchPosition[], options: FetchOptions = {}): readonly FetchedPartition[] => {
    this.#check()
    const bytesMax = options.bytesMax ?? BYTES_MAX_DEFAULT
    const partitionBytesMax = options.partitionBytesMax ?? bytesMax
    this.#used = 0
    const fetched: FetchedPartition[] = []
    // Counted by what is given: a batch that is larger than the buffer lies in an array of its own.
    let given = 0
    for (const { topic, partition, offset } of positions) {
      const one = this.#fetchPartition(topic, partition, offset, Math.min(partitionBytesMax, bytesMax - given), given === 0, bytesMax)
      given += one.bytes.length
      fetched.push(one)
    }
    return fetched
  }

  async fetch(positions: readonly FetchPosition[], options: FetchOptions = {}): Promise<readonly FetchedPartition[]> {
    const { clock } = this.#parts
    const until = clock.monotonicMs() + (options.waitMs ?? 0)
    for (;;) {
      const fetched = this.fetchNow(positions, options)
      const waitMs = until - clock.monotonicMs()
      if (!(waitMs > 0) || fetched.some(({ error, next, from }) => error !== null || next !== from)) return fetched
      await this.#appended(positions, waitMs)
    }
  }

  close(): void {
    this.#closed = true
    this.#wake?.()
    this.#buffer = NO_BYTES
    this.#cursors.clear()
  }

  #check(): void {
    if (this.#closed) throw new MillraceError('MR_LOG_CLOSED', { message: 'the reader was closed.' })
    this.#parts.check()
  }

  /** Settles when one of the partitions has something new, after `waitMs`, or when the log is closed. */
  #appended(positions: readonly FetchPosition[], waitMs: number): Promise<void> {
    const { state, scheduler, closed } = this.#parts
    return new Promise((resolve) => {
      const partitions = positions.map(({ topic, partition }) => state().partitionOf(topic, partition))
      let timer: Timer | null = null
      const wake = (): void => {
        for (const partition of partitions) partition.waiters.delete(wake)
        closed.delete(wake)
        timer?.cancel()
        this.#wake = null
        resolve()
      }
      this.#wake = wake
      timer = scheduler.after(waitMs, wake)
      for (const partition of partitions) partition.waiters.add(wake)
      closed.add(wake)
    })
  }

  #fetchPartition(topic: string, index: number, from: number, budget: number, force: boolean, bytesMax: number): FetchedPartition {
    const none = (end: number, error: Error | null, next = from): FetchedPartition => ({
      topic,
      partition: index,
      bytes: NO_BYTES,
      from,
      next,
      end,
      error,
    })
    let partition: PartitionState
    try {
      partition = this.#parts.state().partitionOf(topic, index)
    } catch (error) {
      return none(0, error as Error)
    }
    const { start, end } = partition
    if (from < start || from > end) {
      return none(
        end,
        new MillraceError('MR_LOG_OFFSET_RANGE', { details: { topic, partition: index, offset: from, earliest: start, end } }),
      )
    }
    if (from === end || (budget <= 0 && !force)) return none(end, null)
    this.#reserve(Math.max(bytesMax, BUFFER_BYTES_MIN))
    let at = from
    for (let damage = partition.damageAt(at); damage; damage = partition.damageAt(at)) {
      if (!damage.skipped) {
        const details = { topic, partition: index, offset: from, file: damage.file, position: damage.position, to: damage.to }
        return none(end, new MillraceError('MR_LOG_QUARANTINED', { details }))
      }
      at = damage.to
    }
    if (at >= end) return none(end, null, at)
    const result =
      at >= partition.tailStart() ? this.#fromMemory(partition, at, budget, force) : this.#fromSegments(partition, at, budget, force)
    return {
      topic,
      partition: index,
      bytes: result.bytes,
      from,
      next: result.bytes.length > 0 || result.error === null ? result.next : at,
      end,
      error: result.error,
    }
  }

  #fromMemory(
    partition: PartitionState,
    from: number,
    budget: number,
    force: boolean,
  ): { bytes: Uint8Array; next: number; error: Error | null } {
    const [one, two] = partition.tails
    const ordered =
      one.count > 0 && (two.count === 0 || (one.firstOffsets[0] as number) < (two.firstOffsets[0] as number)) ? [one, two] : [two, one]
    const start = this.#used
    let next = from
    for (const tail of ordered) {
      const memory = (tail === one ? this.#parts.journal.halves[0] : this.#parts.journal.halves[1]).memory
      for (let index = tail.find(next); index < tail.count; index++) {
        const firstOffset = tail.firstOffsets[index] as number
        const length = tail.lengths[index] as number
        const took = this.#used - start
        if (firstOffset >= partition.end || (took + length > budget && !(force && took === 0))) return this.#taken(start, next)
        if (partition.damages.length > 0 && partition.damageAt(next) !== null) return this.#taken(start, next)
        const target = this.#room(start, length)
        const place = tail.places[index] as number
        if (place === BY_REFERENCE) {
          const error = this.#readReferenced(partition, tail, index, target)
          if (error) return took > 0 ? this.#taken(start, next) : { bytes: NO_BYTES, next: from, error }
        } else target.set(memory.subarray(place, place + length))
        if (target.buffer !== this.#buffer.buffer) return { bytes: target, next: firstOffset + (tail.counts[index] as number), error: null }
        this.#used += length
        next = firstOffset + (tail.counts[index] as number)
      }
    }
    return this.#taken(start, next)
  }

  #readReferenced(partition: PartitionState, tail: Tail, index: number, target: Uint8Array): Error | null {
    const segment = tail.segmentOf(index)
    const position = tail.positions[index] as number
    if (
      this.#parts.segments.read(segment, target, position) === target.length &&
      stampHolds(target, 0, partition.id) &&
      verifyBatch(target, 0)
    )
      return null
    return corruptAt(partition, segment, position, tail.firstOffsets[index] as number)
  }

  #fromSegments(
    partition: PartitionState,
    from: number,
    budget: number,
    force: boolean,
  ): { bytes: Uint8Array; next: number; error: Error | null } {
    const { segments } = this.#parts
    let place = this.#placeOf(partition, from)
    for (;;) {
      if (place === null) return this.#fromMemory(partition, from, budget, force)
      const limit = segments.limit(partition, place.segment)
      if (place.position + BATCH_HEADER_BYTES > limit) {
        place = segments.after(partition, place.segment)
        continue
      }
      const start = this.#used
      let want = Math.min(
        Math.max(budget, force ? BATCH_HEADER_BYTES : 0),
        this.#buffer.length - PADDING_BYTES - start,
        limit - place.position,
      )
      if (want < BATCH_HEADER_BYTES) return { bytes: NO_BYTES, next: from, error: null }
      let target = this.#buffer.subarray(start, start + want)
      let got = segments.read(place.segment, target, place.position)
      const needed = got >= 12 ? (read32(target, 8) | 0) + 12 : 0
      if (needed > got && got >= BATCH_HEADER_BYTES && stampHolds(target, 0, partition.id) && place.position + needed <= limit) {
        // The first batch is larger than the window: alone it may exceed every budget, behind others it waits for the next fetch.
        if (!force) return { bytes: NO_BYTES, next: from, error: null }
        want = needed
        target = this.#room(start, want)
        got = segments.read(place.segment, target, place.position)
      }
      const walk = walkVerified(target, got, partition.id, from)
      if (walk.end === 0) {
        // Damaged. Offsets that lie behind it can be read all the same when the next whole batch is still before them.
        const behind = segments.behindDamage(partition, place, limit)
        if (behind < 0) return { bytes: NO_BYTES, next: from, error: corruptAt(partition, place.segment, place.position, from) }
        place = { segment: place.segment, position: behind, offset: from }
        continue
      }
      const position = place.position + walk.end
      if (walk.start === walk.end) {
        place = { segment: place.segment, position, offset: from }
        continue
      }
      this.#cursors.set(partition.id, { offset: walk.next, segment: place.segment, position })
      if (target.buffer === this.#buffer.buffer) this.#used = start + walk.end
      return { bytes: target.subarray(walk.start, walk.end), next: walk.next, error: null }
    }
  }

  #placeOf(partition: PartitionState, from: number): Cursor | null {
    const cursor = this.#cursors.get(partition.id)
    if (cursor && cursor.offset === from && !cursor.segment.removed) return { ...cursor }
    return this.#parts.segments.locate(partition, from)
  }

  #taken(start: number, next: number): { bytes: Uint8Array; next: number; error: Error | null } {
    return { bytes: this.#buffer.subarray(start, this.#used), next, error: null }
  }

  /** Room for a batch at the end of what this fetch has used; an array of its own when one batch is larger than what is left. */
  #room(start: number, length: number): Uint8Array {
    if (this.#used + length + PADDING_BYTES <= this.#buffer.length) return this.#buffer.subarray(this.#used, this.#used + length)
    if (this.#used === 0 && start === 0 && length + PADDING_BYTES <= this.#buffer.length * 4) {
      this.#buffer = new Uint8Array(length + PADDING_BYTES)
      return this.#buffer.subarray(0, length)
    }
    return new Uint8Array(length + PADDING_BYTES).subarray(0, length)
  }

  #reserve(bytesMax: number): void {
    if (this.#buffer.length >= bytesMax + PADDING_BYTES || this.#used > 0) return
    this.#buffer = new Uint8Array(bytesMax + PADDING_BYTES)
  }
}

/** The verified batches in bytes[0 .. got): `start` is the first that holds offsets from `from` on, `end` lies behind the last good one. */
export function walkVerified(
  bytes: Uint8Array,
  got: number,
  partition: number,
  from: number,
): { start: number; end: number; next: number } {
  let at = 0
  let start = 0
  let next = from
  while (at + BATCH_HEADER_BYTES <= got) {
    const end = at + (read32(bytes, at + 8) | 0) + 12
    if (end > got || end <= at || !stampHolds(bytes, at, partition) || !verifyBatch(bytes, at)) break
    const last = read32(bytes, at) * 4294967296 + read32(bytes, at + 4) + read32(bytes, at + 23)
    if (last < from) start = end
    else next = last + 1
    at = end
  }
  return { start, end: at, next }
}

/** The error of a batch that cannot be read, with its place. */
export function corruptAt(partition: PartitionState, segment: Segment, position: number, offset: number): MillraceError {
  return new MillraceError('MR_LOG_CORRUPT', {
    message: 'a stored batch is damaged.',
    details: { topic: partition.topic, partition: partition.index, offset, file: segment.path, position },
  })
}
