// Splits a batch by the partition of its key: murmur2 over the key's canonical bytes, as in Kafka's Java client (a single text key is its own bytes).
import type { Batch, Column, Field } from '../../codec/column.ts'
import { must } from '../../base/assert.ts'
import { KeyWriter } from '../../codec/key-bytes.ts'
import { partitionOf } from '../../codec/murmur2.ts'

export interface Split {
  readonly counts: Int32Array
  rows(partition: number): Int32Array
}

export class Partitioner {
  readonly #keys: readonly number[]
  readonly #keyWriter: KeyWriter
  readonly #partitions: number
  readonly #counts: Int32Array
  readonly #starts: Int32Array
  #rows = new Int32Array(4096)
  #partitionOfRow = new Int32Array(4096)

  constructor(fields: readonly Field[], keys: readonly number[], partitions: number) {
    this.#keyWriter = new KeyWriter(keys.map((key) => must(fields[key], `key field ${key}`)))
    this.#keys = keys
    this.#partitions = partitions
    this.#counts = new Int32Array(partitions)
    this.#starts = new Int32Array(partitions + 1)
  }

  /** Groups the rows by partition, keeping their order. Valid until the next call. */
  split(batch: Batch, rows: Int32Array, count: number): Split {
    if (this.#rows.length < count) {
      this.#rows = new Int32Array(count * 2)
      this.#partitionOfRow = new Int32Array(count * 2)
    }
    const columns = this.#keys.map((key): Column => must(batch.columns[key], 'key column'))
    this.#keyWriter.encode(columns, rows, count)
    const { bytes, offsets } = this.#keyWriter
    const counts = this.#counts.fill(0)
    for (let i = 0; i < count; i++) {
      const partition = partitionOf(bytes, offsets[i] as number, offsets[i + 1] as number, this.#partitions)
      this.#partitionOfRow[i] = partition
      counts[partition] = (counts[partition] as number) + 1
    }
    const starts = this.#starts
    starts[0] = 0
    for (let p = 0; p < this.#partitions; p++) starts[p + 1] = (starts[p] as number) + (counts[p] as number)
    const at = starts.slice(0, this.#partitions)
    for (let i = 0; i < count; i++) {
      const partition = this.#partitionOfRow[i] as number
      const target = at[partition] as number
      this.#rows[target] = rows[i] as number
      at[partition] = target + 1
    }
    return { counts, rows: (partition) => this.#rows.subarray(starts[partition], starts[partition + 1]) }
  }
}
