// Everything the log knows about one partition. `acceptedEnd` moves when a batch is accepted, `end` when its entry is durable: readers see
// only `end` (LOG-2). The list of older segments is read from the folder at the first need, so that starting costs the same with one
// segment as with a hundred thousand.
import type { Disk } from '../../base/disk.ts'
import { assert } from '../../base/assert.ts'
import { Producers, type ProducerImage } from '../producers.ts'
import { indexPathOf, resolveSegmentNames, segmentName } from './format.ts'
import { closedEnd, Segment } from './segment.ts'
import { Tail } from './tail.ts'

/** A range of offsets that cannot be read: from a damaged journal entry (quarantined) or passed over by choice (skipped). */
export interface Damage {
  readonly from: number
  readonly to: number
  readonly skipped: boolean
  /** Where the damaged bytes are. */
  readonly file: string
  readonly position: number
  /** Segment and position at which `to` lies; position -1 when not known. */
  readonly resumeBase: number
  readonly resumePosition: number
}

/** What a checkpoint keeps of a partition. */
export interface PartitionImage {
  readonly id: number
  readonly start: number
  readonly end: number
  readonly bytes: number
  readonly eventMaxMs: number
  readonly lastAppendMs: number
  /** The segment that takes appends; base -1 when there is none. */
  readonly segmentBase: number
  readonly segmentSize: number
  readonly segmentAppendMs: number
  readonly damages: readonly Damage[]
  readonly producers: readonly ProducerImage[]
}

export class PartitionState {
  /** Number in the whole log; never reused. */
  readonly id: number
  readonly topic: string
  readonly index: number
  readonly folder: string
  start = 0
  end = 0
  acceptedEnd = 0
  /** Bytes of batches kept. */
  bytes = 0
  /** Largest event time of all batches so far; -1 before the first. */
  eventMaxMs = -1
  lastAppendMs = -1
  /** The segment that takes appends. */
  active: Segment | null = null
  /** The segment that the last checkpoint wrote to; closed when the next one is begun. */
  filling: Segment | null = null
  /** Largest event time and last time of append of what the checkpoints have written. */
  filledEventMaxMs = -1
  filledAppendMs = -1
  /** Batches in each half of the journal. */
  readonly tails: readonly [Tail, Tail] = [new Tail(), new Tail()]
  damages: readonly Damage[] = []
  producers: Producers = new Producers()
  deleted = false
  readonly waiters: Set<() => void> = new Set()
  /** The open entry of the journal holds a batch of it. */
  inOpenEntry = false
  /** Segments known so far, in order; all of them once `#listed`. */
  #segments: Segment[] = []
  #listed = false
  /** Files that nothing refers to any more, found when the folder was listed; retention removes them. */
  obsolete: string[] = []

  // Scratch of one request while it is being placed; reset by Intake.
  planned = false
  planEnd = 0
  planSegment: Segment | null = null
  planSize = 0

  constructor(id: number, topic: string, index: number, folder: string) {
    this.id = id
    this.topic = topic
    this.index = index
    this.folder = folder
  }

  static restore(image: PartitionImage, topic: string, index: number, folder: string): PartitionState {
    const partition = new PartitionState(image.id, topic, index, folder)
    partition.start = image.start
    partition.end = partition.acceptedEnd = image.end
    partition.bytes = image.bytes
    partition.eventMaxMs = image.eventMaxMs
    partition.lastAppendMs = image.lastAppendMs
    partition.filledEventMaxMs = image.eventMaxMs
    partition.filledAppendMs = image.lastAppendMs
    partition.damages = image.damages
    partition.producers = Producers.restore(image.producers)
    if (image.segmentBase >= 0) {
      const segment = new Segment(
        image.segmentBase,
        `${folder}/${segmentName(image.segmentBase)}`,
        image.segmentSize,
        image.segmentAppendMs,
      )
      partition.active = partition.filling = segment
      partition.#segments = [segment]
    }
    return partition
  }

  image(): PartitionImage {
    const { active } = this
    return {
      id: this.id,
      start: this.start,
      end: this.acceptedEnd,
      bytes: this.bytes,
      eventMaxMs: this.eventMaxMs,
      lastAppendMs: this.lastAppendMs,
      segmentBase: active?.base ?? -1,
      segmentSize: active?.size ?? 0,
      segmentAppendMs: active?.firstAppendMs ?? 0,
      damages: this.damages,
      producers: this.producers.image(),
    }
  }

  /** A segment for the batch at `base`; it belongs to the partition once its first batch is accepted. */
  newSegment(base: number, appendMs: number): Segment {
    const segment = new Segment(base, `${this.folder}/${segmentName(base)}`, 0, appendMs)
    segment.startIndex()
    return segment
  }

  /** Takes a batch into the partition's books: in the live log when it is placed in the open entry, in recovery when its entry is read. */
  accept(
    half: number,
    segment: Segment,
    firstOffset: number,
    count: number,
    place: number,
    length: number,
    position: number,
    appendMs: number,
    eventMs: number,
  ): void {
    assert(firstOffset >= this.acceptedEnd, () => `offsets never move back: ${firstOffset} < ${this.acceptedEnd} in ${this.folder}`)
    if (segment !== this.active) {
      if (this.active) this.active.end = firstOffset
      this.active = segment
      this.#segments.push(segment)
    }
    segment.size = position + length
    this.acceptedEnd = firstOffset + count
    this.bytes += length
    this.lastAppendMs = appendMs
    if (eventMs > this.eventMaxMs) this.eventMaxMs = eventMs
    ;(this.tails[half] as Tail).add(segment, firstOffset, count, place, length, position, appendMs, eventMs)
  }

  /** Passes over offsets up to `end` and segment bytes up to `size`, whose batches a damaged journal entry held. */
  skipOver(segmentBase: number, end: number, size: number, appendMs: number): void {
    let segment = this.active
    if (segment === null || segment.base !== segmentBase) {
      segment = this.newSegment(segmentBase, appendMs)
      if (this.active) this.active.end = segmentBase
      this.active = segment
      this.#segments.push(segment)
    }
    segment.size = size
    this.acceptedEnd = end
  }

  /** Notes where readers go on behind a damage that ends at `offset`. */
  resumeAt(offset: number, segmentBase: number, position: number): void {
    const last = this.damages.at(-1)
    if (!last || last.to !== offset || last.resumeBase >= 0) return
    this.damages = [...this.damages.slice(0, -1), { ...last, resumeBase: segmentBase, resumePosition: position }]
  }

  /** Offset of the oldest batch that is still in the journal; Infinity when none is. */
  tailStart(): number {
    const [one, two] = this.tails
    const first = one.count > 0 ? (one.firstOffsets[0] as number) : Infinity
    const second = two.count > 0 ? (two.firstOffsets[0] as number) : Infinity
    return Math.min(first, second)
  }

  /** The damage that hides `offset`, if any. */
  damageAt(offset: number): Damage | null {
    for (const damage of this.damages) if (offset >= damage.from && offset < damage.to) return damage
    return null
  }

  /** All segments that are kept, oldest first. Lists the folder at the first call. */
  segments(disk: Disk): readonly Segment[] {
    if (!this.#listed) this.#list(disk)
    return this.#segments
  }

  /** Index of the segment that holds `offset`: the last one whose base is at or below it, or -1. */
  segmentIndex(disk: Disk, offset: number): number {
    const segments = this.segments(disk)
    let low = 0
    let high = segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((segments[middle] as Segment).base <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Takes segments out of the books (retention, trimming) or puts a compacted one in their place. */
  replaceSegments(gone: readonly Segment[], by: Segment | null): void {
    const first = this.#segments.indexOf(gone[0] as Segment)
    assert(first >= 0, 'segments that are replaced are in the list')
    this.#segments.splice(first, gone.length, ...(by ? [by] : []))
    for (const segment of gone) {
      segment.removed = true
      if (segment === this.active) this.active = null
      if (segment === this.filling) this.filling = null
    }
  }

  #list(disk: Disk): void {
    const known = this.#segments
    const before = known[0]?.base ?? this.acceptedEnd
    const names = disk.list(this.folder)
    const { live, obsolete } = resolveSegmentNames(names)
    const indexes = new Set(names.filter((name) => name.endsWith('.index')))
    let older: Segment[] = []
    for (const name of live) {
      if (name.base >= before) continue
      const segment = new Segment(name.base, `${this.folder}/${name.name}`, -1, 0)
      segment.end = name.end
      const last = older.at(-1)
      // A checkpoint gives every segment an index, so only a file without one may be a stray: begun for a request that was then refused.
      if (last && !indexes.has(indexPathOf(name.name)) && name.base < closedEnd(disk, last, this.id)) {
        this.obsolete.push(segment.path)
        continue
      }
      older.push(segment)
    }
    for (const [index, segment] of older.entries()) segment.end ??= older[index + 1]?.base ?? before
    this.obsolete.push(...obsolete.map((name) => `${this.folder}/${name.name}`))
    // A crash between a trim and the removal of its files leaves segments below the start.
    const gone = older.filter((segment) => (segment.end ?? Infinity) <= this.start)
    this.obsolete.push(...gone.map((segment) => segment.path))
    older = older.slice(gone.length)
    this.#segments = [...older, ...known]
    this.#listed = true
  }
}
