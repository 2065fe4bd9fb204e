// What one tick has changed: for every row changed in it, its slot and a copy of the row as it was before; for a row that the tick made
// there is nothing to copy. A row names its newest change (tick, index); the copy is of the whole row and so names the one before it. From
// these chains come rollback, reads at the last commit and changelogs.
//
// Pages are kept from tick to tick, so a steady load allocates nothing.
import type { RowFormat } from './rows/row-format.ts'

const PAGE_BYTES = 1 << 16
const FIRST_CHANGES = 64

export class TickImages {
  /** Rows changed. */
  count = 0
  /** Of each change, the row's slot. */
  slots: Int32Array = new Int32Array(FIRST_CHANGES)
  /** Of each change, the number of its copy; -1 where the tick made the row. */
  copies: Int32Array = new Int32Array(FIRST_CHANGES)
  copyCount = 0
  /** Slots deleted in the tick, in order; a slot may stand here twice. */
  readonly deleted: number[] = []
  /** Arena blocks (reference, size, ...) that only images of this tick still hold: free once the tick is committed. */
  readonly replaced: number[] = []
  readonly words: Int32Array[] = []
  readonly floats: Float64Array[] = []
  readonly bigs: BigInt64Array[] = []
  readonly #stride: number
  readonly #bits: number
  readonly #mask: number

  constructor(format: RowFormat) {
    this.#stride = format.stride
    this.#bits = Math.max(0, Math.floor(Math.log2(PAGE_BYTES / (this.#stride * 4))))
    this.#mask = (1 << this.#bits) - 1
  }

  /** Notes a change of the row at source[at] and copies it; returns the number of the change. */
  add(slot: number, source: Int32Array, at: number): number {
    const copy = this.copyCount++
    const page = copy >>> this.#bits
    if (page === this.words.length) this.#addPage()
    const words = this.words[page] as Int32Array
    const to = (copy & this.#mask) * this.#stride
    for (let word = 0; word < this.#stride; word++) words[to + word] = source[at + word] as number
    return this.#note(slot, copy)
  }

  /** Notes a row that was not there before the tick. */
  addMade(slot: number): number {
    return this.#note(slot, -1)
  }

  #note(slot: number, copy: number): number {
    const index = this.count++
    if (index === this.slots.length) {
      this.slots = grown(this.slots)
      this.copies = grown(this.copies)
    }
    this.slots[index] = slot
    this.copies[index] = copy
    return index
  }

  /** Whether the tick made the row: it has no copy. */
  isMade(index: number): boolean {
    return (this.copies[index] as number) < 0
  }

  /** Where the copy of a change lies. */
  page(index: number): number {
    return (this.copies[index] as number) >>> this.#bits
  }

  /** The same inside its page, in words. */
  at(index: number): number {
    return ((this.copies[index] as number) & this.#mask) * this.#stride
  }

  /** Where copy number `copy` lies. */
  pageOfCopy(copy: number): number {
    return copy >>> this.#bits
  }

  atOfCopy(copy: number): number {
    return (copy & this.#mask) * this.#stride
  }

  slot(index: number): number {
    return this.slots[index] as number
  }

  /** Forgets the changes. Keeps the memory that this tick used and drops the rest, so that one huge tick is not paid for ever. */
  reset(): void {
    const keep = (this.copyCount >>> this.#bits) + 1
    if (this.words.length > keep) this.words.length = this.floats.length = this.bigs.length = keep
    if (this.slots.length > this.count * 4 + FIRST_CHANGES) {
      this.slots = new Int32Array(this.slots.length >>> 1)
      this.copies = new Int32Array(this.slots.length)
    }
    this.count = 0
    this.copyCount = 0
    this.deleted.length = 0
    this.replaced.length = 0
  }

  bytes(): number {
    return this.words.length * ((this.#mask + 1) * this.#stride * 4) + this.slots.byteLength * 2
  }

  #addPage(): void {
    const buffer = new ArrayBuffer((this.#mask + 1) * this.#stride * 4)
    this.words.push(new Int32Array(buffer))
    this.floats.push(new Float64Array(buffer))
    this.bigs.push(new BigInt64Array(buffer))
  }
}

function grown(values: Int32Array): Int32Array {
  const next = new Int32Array(values.length * 2)
  next.set(values)
  return next
}
