// The old images of one tick: for every row changed in it a copy of the row as it was before. A row names its newest image (tick, index);
// the image is a whole copy and so names the one before it. From these chains come rollback, reads at the last commit and changelogs.
//
// Pages are kept from tick to tick, so a steady load allocates nothing.
import type { RowFormat } from './row-format.ts'

const PAGE_BYTES = 1 << 16
/** Words in front of each copied row: its slot, and one that keeps lanes aligned. */
const HEAD_WORDS = 2

export class TickImages {
  count = 0
  /** Slots deleted in the tick, in order; a slot may stand here twice. */
  readonly deleted: number[] = []
  /** Arena blocks (reference, size, ...) that only images of this tick still hold: free once the tick is committed. */
  readonly replaced: number[] = []
  readonly words: Int32Array[] = []
  readonly floats: Float64Array[] = []
  readonly bigs: BigInt64Array[] = []
  readonly #rowStride: number
  readonly #stride: number
  readonly #bits: number
  readonly #mask: number

  constructor(format: RowFormat) {
    this.#rowStride = format.stride
    this.#stride = format.stride + HEAD_WORDS
    this.#bits = Math.max(0, Math.floor(Math.log2(PAGE_BYTES / (this.#stride * 4))))
    this.#mask = (1 << this.#bits) - 1
  }

  /** Copies the row at source[at]; returns the image's index. */
  add(slot: number, source: Int32Array, at: number): number {
    const index = this.count++
    const page = index >>> this.#bits
    if (page === this.words.length) this.#addPage()
    const words = this.words[page] as Int32Array
    let to = (index & this.#mask) * this.#stride
    words[to] = slot
    to += HEAD_WORDS
    for (let word = 0; word < this.#rowStride; word++) words[to + word] = source[at + word] as number
    return index
  }

  page(index: number): number {
    return index >>> this.#bits
  }

  /** Where the copied row starts inside its page, in words. */
  at(index: number): number {
    return (index & this.#mask) * this.#stride + HEAD_WORDS
  }

  slot(index: number): number {
    return (this.words[index >>> this.#bits] as Int32Array)[(index & this.#mask) * this.#stride] as number
  }

  /** Forgets the images. Keeps the pages that this tick used and drops the rest, so that one huge tick is not paid for ever. */
  reset(): void {
    const keep = (this.count >>> this.#bits) + 1
    if (this.words.length > keep) this.words.length = this.floats.length = this.bigs.length = keep
    this.count = 0
    this.deleted.length = 0
    this.replaced.length = 0
  }

  bytes(): number {
    return this.words.length * ((this.#mask + 1) * this.#stride * 4)
  }

  #addPage(): void {
    const buffer = new ArrayBuffer((this.#mask + 1) * this.#stride * 4)
    this.words.push(new Int32Array(buffer))
    this.floats.push(new Float64Array(buffer))
    this.bigs.push(new BigInt64Array(buffer))
  }
}
