// The batches of one partition that lie in one half of the journal: what the newest reads and the next checkpoint go by.
// Parallel arrays, so that a hundred thousand small batches cost no objects. Emptied when the half is free again.
import type { Segment } from './segment.ts'

/** Place of a batch that was written straight into its segment. */
export const BY_REFERENCE = -1
const EMPTY_FLOATS = new Float64Array(0)
const EMPTY_INTS = new Int32Array(0)

export class Tail {
  count = 0
  firstOffsets: Float64Array = EMPTY_FLOATS
  /** Offsets that each batch takes. */
  counts: Int32Array = EMPTY_INTS
  /** Position in the half's memory, or BY_REFERENCE. */
  places: Int32Array = EMPTY_INTS
  lengths: Int32Array = EMPTY_INTS
  /** Position in the segment. */
  positions: Float64Array = EMPTY_FLOATS
  appendTimes: Float64Array = EMPTY_FLOATS
  /** Largest event time of each batch. */
  eventTimes: Float64Array = EMPTY_FLOATS
  /** Segments in order, and the first batch in each. */
  readonly segments: Segment[] = []
  readonly segmentFrom: number[] = []

  add(
    segment: Segment,
    firstOffset: number,
    count: number,
    place: number,
    length: number,
    position: number,
    appendMs: number,
    eventMs: number,
  ): void {
    if (this.count === this.firstOffsets.length) this.#grow()
    if (this.segments.at(-1) !== segment) {
      this.segments.push(segment)
      this.segmentFrom.push(this.count)
    }
    const at = this.count++
    this.firstOffsets[at] = firstOffset
    this.counts[at] = count
    this.places[at] = place
    this.lengths[at] = length
    this.positions[at] = position
    this.appendTimes[at] = appendMs
    this.eventTimes[at] = eventMs
  }

  /** First batch whose last offset is at or above `offset`; `count` when there is none. */
  find(offset: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.firstOffsets[middle] as number) + (this.counts[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  segmentOf(index: number): Segment {
    let run = this.segmentFrom.length - 1
    while (run > 0 && (this.segmentFrom[run] as number) > index) run--
    return this.segments[run] as Segment
  }

  clear(): void {
    this.count = 0
    this.segments.length = 0
    this.segmentFrom.length = 0
    if (this.firstOffsets.length > 1024) this.#release()
  }

  #release(): void {
    this.firstOffsets = this.positions = this.appendTimes = this.eventTimes = EMPTY_FLOATS
    this.counts = this.places = this.lengths = EMPTY_INTS
  }

  #grow(): void {
    const capacity = Math.max(16, this.count * 2)
    this.firstOffsets = floats(this.firstOffsets, capacity)
    this.positions = floats(this.positions, capacity)
    this.appendTimes = floats(this.appendTimes, capacity)
    this.eventTimes = floats(this.eventTimes, capacity)
    this.counts = ints(this.counts, capacity)
    this.places = ints(this.places, capacity)
    this.lengths = ints(this.lengths, capacity)
  }
}

function floats(values: Float64Array, capacity: number): Float64Array {
  const grown = new Float64Array(capacity)
  grown.set(values)
  return grown
}
function ints(values: Int32Array, capacity: number): Int32Array {
  const grown = new Int32Array(capacity)
  grown.set(values)
  return grown
}
