// The table of visible ends in shared memory: one 64-bit number per partition, so that worker threads can see how far they may read
// without asking the owner. The owner alone writes, with one atomic store per partition and entry.

const PARTITIONS_MAX = 262_144
const PARTITIONS_START = 1_024

/** What a worker thread is handed once. The memory grows in place; a view made from it sees the growth. */
export interface SharedLog {
  /** BigInt64Array: visible end by partition number. */
  readonly ends: SharedArrayBuffer
}

export class SharedEnds {
  readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(PARTITIONS_START * 8, { maxByteLength: PARTITIONS_MAX * 8 })
  #view = new BigInt64Array(this.buffer)

  /** Makes the end of a partition visible. Partitions beyond the table (262,144) are not shared; their readers ask the owner. */
  publish(partition: number, end: number): void {
    if (partition >= this.#view.length && !this.#grow(partition)) return
    Atomics.store(this.#view, partition, BigInt(end))
  }

  read(partition: number): number {
    return partition < this.#view.length ? Number(Atomics.load(this.#view, partition)) : -1
  }

  #grow(partition: number): boolean {
    if (partition >= PARTITIONS_MAX) return false
    let bytes = this.buffer.byteLength
    while (bytes <= partition * 8) bytes *= 2
    this.buffer.grow(Math.min(bytes, PARTITIONS_MAX * 8))
    this.#view = new BigInt64Array(this.buffer)
    return true
  }
}
