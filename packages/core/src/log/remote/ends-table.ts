// The ends of all partitions in shared memory, so that worker threads see how far they may read without asking: three 64-bit numbers per
// partition (start, end, bytes). One thread writes, many read.
//
// What a commit moves must be seen together (LOG-2), so a sequence lock stands in front: odd while the writer is inside, and a reader that
// saw it change looks again (Lamport 1977; all accesses are atomic, so that no machine reorders them).
import { assert } from '../../base/assert.ts'
import type { PartitionEnds } from '../log.ts'

const HEADER_WORDS = 1
const ROW_WORDS = 3
const WORD_BYTES = 8
const ROWS_START = 1_024
const ROWS_MAX = 1_048_576

function bytesFor(rows: number): number {
  return (HEADER_WORDS + rows * ROW_WORDS) * WORD_BYTES
}

/** The writer's side. */
export class EndsTable {
  /** Grows in place; views that track its length see the growth. */
  readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(bytesFor(ROWS_START), { maxByteLength: bytesFor(ROWS_MAX) })
  readonly #words = new BigInt64Array(this.buffer)
  #rows = 0

  /** First row of a new topic. Rows of a deleted topic are not used again: a reader may still look at them. */
  add(partitions: number): number {
    const row = this.#rows
    this.#rows += partitions
    assert(this.#rows <= ROWS_MAX, () => `the table of ends has room for ${ROWS_MAX} partitions`)
    let bytes = this.buffer.byteLength
    while (bytes < bytesFor(this.#rows)) bytes = Math.min(bytes * 2, bytesFor(ROWS_MAX))
    if (bytes > this.buffer.byteLength) this.buffer.grow(bytes)
    return row
  }

  /** Readers see all that `write` stores, or nothing of it. */
  change(write: () => void): void {
    Atomics.add(this.#words, 0, 1n)
    try {
      write()
    } finally {
      Atomics.add(this.#words, 0, 1n)
    }
  }

  /** Inside `change`. */
  store(row: number, ends: PartitionEnds): void {
    const at = HEADER_WORDS + row * ROW_WORDS
    Atomics.store(this.#words, at, BigInt(ends.start))
    Atomics.store(this.#words, at + 1, BigInt(ends.end))
    Atomics.store(this.#words, at + 2, BigInt(ends.bytes))
  }
}

/** The readers' side. */
export class EndsView {
  readonly #words: BigInt64Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer)
  }

  /** What `look` finds at one moment; it may be called several times and must only read. */
  stable<T>(look: () => T): T {
    for (;;) {
      const before = Atomics.load(this.#words, 0)
      if ((before & 1n) === 1n) continue
      const seen = look()
      if (Atomics.load(this.#words, 0) === before) return seen
    }
  }

  start(row: number): number {
    return Number(Atomics.load(this.#words, HEADER_WORDS + row * ROW_WORDS))
  }
  end(row: number): number {
    return Number(Atomics.load(this.#words, HEADER_WORDS + row * ROW_WORDS + 1))
  }
  bytes(row: number): number {
    return Number(Atomics.load(this.#words, HEADER_WORDS + row * ROW_WORDS + 2))
  }
}
