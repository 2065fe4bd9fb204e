// The journal: two halves, written one after the other, one entry per group of requests, one write and one sync per entry.
//
//   half A: |e1|e2|e3|...|en|      half B: |en+1|en+2| ...
//            being checkpointed             being written
//
// A half is overwritten only when a durable checkpoint slot says that nothing in it is needed (Half.free). The open entry is built in the
// memory of the active half; `place` copies a batch there once and `seal` completes it.
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'
import { align8, ENTRY_HEADER_BYTES, ENTRY_ROW_BYTES, type Run, RowTable, sealEntry } from './entry.ts'
import type { Half } from './half.ts'

/** Where the chain of entries goes on. */
export interface ChainPlace {
  readonly run: Run
  readonly half: number
  readonly position: number
  readonly sequence: number
  readonly previousCrc: number
}

export class Journal {
  readonly halves: readonly [Half, Half]
  readonly run: Run
  active: Half
  /** Of the next entry. */
  sequence: number
  previousCrc: number
  readonly rows: RowTable = new RowTable()
  /** Bytes of inline batches in the open entry. */
  inlineBytes = 0

  constructor(halves: readonly [Half, Half], place: ChainPlace) {
    this.halves = halves
    this.run = place.run
    this.active = place.half === 0 ? halves[0] : halves[1]
    this.active.position = place.position
    this.active.free = false
    this.sequence = place.sequence
    this.previousCrc = place.previousCrc
  }

  get other(): Half {
    return this.active === this.halves[0] ? this.halves[1] : this.halves[0]
  }

  get place(): ChainPlace {
    return {
      run: this.run,
      half: this.active.index,
      position: this.active.position,
      sequence: this.sequence,
      previousCrc: this.previousCrc,
    }
  }

  /** Each half grows by itself: what must fit whichever is active is measured by the smaller. */
  get smallestHalfBytes(): number {
    return Math.min(this.halves[0].bytes, this.halves[1].bytes)
  }

  /** True when the open entry still fits the active half with this much more in it. */
  fits(inlineBytes: number, rowCount: number, metaBytes: number): boolean {
    return this.active.position + entryBytes(this.inlineBytes + inlineBytes, this.rows.count + rowCount, metaBytes) <= this.active.bytes
  }

  /** True when an entry with nothing else in it could ever be written to an empty half of the present size. */
  canHold(inlineBytes: number, rowCount: number, metaBytes: number): boolean {
    return entryBytes(inlineBytes, rowCount, metaBytes) <= this.smallestHalfBytes
  }

  /** Copies a batch, bytes[from .. from + length), into the open entry and returns its position in the half's memory. */
  placeBatch(bytes: Uint8Array, from: number, length: number): number {
    const at = this.active.position + ENTRY_HEADER_BYTES + this.inlineBytes
    this.active.memory.set(length === bytes.length ? bytes : bytes.subarray(from, from + length), at)
    this.inlineBytes += length
    return at
  }

  /** Completes the open entry in memory and returns the range to write. */
  seal(meta: Uint8Array, timeMs: number): { readonly start: number; readonly end: number } {
    const half = this.active
    const start = half.position
    assert(this.fits(0, 0, meta.length), 'the open entry fits its half')
    const place = { run: this.run, sequence: this.sequence, previousCrc: this.previousCrc, timeMs }
    const { crc, end } = sealEntry(half.memory, half.view, start, this.inlineBytes, this.rows, meta, place)
    this.sequence++
    this.previousCrc = crc
    half.position = end
    this.rows.clear()
    this.inlineBytes = 0
    return { start, end }
  }

  /** Goes on in the other half, which must be free. No entry may be open. */
  switchHalf(): void {
    assert(this.rows.count === 0 && this.inlineBytes === 0, 'halves are switched between entries')
    assert(this.other.free, 'only a free half is overwritten')
    const next = this.other
    next.restart()
    next.free = false
    this.active = next
  }
}

function entryBytes(inlineBytes: number, rowCount: number, metaBytes: number): number {
  return ENTRY_HEADER_BYTES + align8(inlineBytes) + rowCount * ENTRY_ROW_BYTES + align8(metaBytes)
}

/** The link that the first entry of a run names as its predecessor. */
export function chainSeed(run: Run): number {
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, run.number, true)
  view.setUint32(4, run.salt, true)
  return crc32c(bytes, 0, 8)
}
