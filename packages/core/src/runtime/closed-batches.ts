// The finished batches of a writer on their way into the log. Their memory is lent to a commit and used again for the next one.
//
//   add ... add -> take -> (the commit settles) -> add: the memory of the taken ones goes round
//
// Invariant: between `take` and the next `add` the commit has settled, so that the log holds no reference any more (log/log.ts). A commit that
// fails ends its writer: then nothing is added, and the memory is garbage.
import { type RecordBatchBuilder, reuseBatch } from '../codec/record-batch.ts'
import type { LogPart } from '../log/log.ts'

export class ClosedBatches {
  #closed: LogPart[] = []
  #taken: readonly LogPart[] = []

  /** Ends the batch that is being built, which holds at least one record. */
  add(topic: string, partition: number, builder: RecordBatchBuilder): void {
    for (const { batch } of this.#taken) reuseBatch(batch)
    this.#taken = []
    this.#closed.push({ topic, partition, batch: builder.handOver() })
  }

  /** The batches since the last call. */
  take(): readonly LogPart[] {
    if (this.#closed.length === 0) return []
    this.#taken = this.#closed
    this.#closed = []
    return this.#taken
  }
}
