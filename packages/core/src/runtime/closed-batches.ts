// The finished batches of a writer on their way into the log. Their memory is lent to a commit and used again for the next one.
//
//   add ... add -> take -> (the commit settles) -> add: the memory of the taken ones goes round
//
// Invariant: between `take` and the next `add` the commit has settled, so that the log holds no reference any more (log/log.ts). A commit that
// fails ends its writer: then nothing is added, and the memory is garbage.
import { type RecordBatchBuilder, reuseBatch } from '../codec/record-batch.ts'
import type { LogPart } from '../log/log.ts'

/** Up to here a copy into shared memory costs less than another buffer for the builder. */
const SMALL_BYTES_MAX = 16 << 10
const SHARED_BYTES = 64 << 10
/** So much shared memory is kept for the next commit: what lies between two commits seldom takes more. */
const SHARED_KEPT = 16

export class ClosedBatches {
  #closed: LogPart[] = []
  /** Batches in the builder's own memory, of the commit that is gathered and of the one before. */
  #large: Uint8Array[] = []
  #taken = false
  readonly #shared: Uint8Array[] = []
  /** Where the next small batch goes: in which piece of shared memory, and at which byte. */
  #piece = 0
  #at = 0

  /** Ends the batch that is being built, which holds at least one record; the builder is ready for the next one. */
  add(topic: string, partition: number, builder: RecordBatchBuilder): void {
    if (this.#taken) this.#reuse()
    this.#closed.push({ topic, partition, batch: builder.bytes <= SMALL_BYTES_MAX ? this.#copyOf(builder) : this.#memoryOf(builder) })
  }

  /** The batches since the last call. */
  take(): readonly LogPart[] {
    const taken = this.#closed
    if (taken.length === 0) return taken
    this.#taken = true
    this.#closed = []
    return taken
  }

  #reuse(): void {
    this.#taken = false
    for (const batch of this.#large) reuseBatch(batch)
    this.#large.length = 0
    this.#shared.length = Math.min(this.#shared.length, SHARED_KEPT)
    this.#piece = 0
    this.#at = 0
  }

  #memoryOf(builder: RecordBatchBuilder): Uint8Array {
    const batch = builder.handOver()
    this.#large.push(batch)
    return batch
  }

  #copyOf(builder: RecordBatchBuilder): Uint8Array {
    const batch = builder.finish({ copy: false })
    if (this.#at + batch.length > SHARED_BYTES) {
      this.#piece++
      this.#at = 0
    }
    const piece = (this.#shared[this.#piece] ??= new Uint8Array(SHARED_BYTES))
    const copy = piece.subarray(this.#at, this.#at + batch.length)
    copy.set(batch)
    this.#at += batch.length
    builder.reset()
    return copy
  }
}
