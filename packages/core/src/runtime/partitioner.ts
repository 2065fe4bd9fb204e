// Splits a batch by the partition of its key: murmur2 over the key's canonical bytes, as in Kafka's Java client.
import type { Batch, Column, Field } from '../codec/column.ts'
import { must, unreachable } from '../base/assert.ts'
import { partitionOf } from '../codec/murmur2.ts'

export interface Split {
  readonly counts: Int32Array
  rows(partition: number): Int32Array
}

export class Partitioner {
  readonly #keys: readonly number[]
  readonly #partitions: number
  readonly #counts: Int32Array
  readonly #starts: Int32Array
  #rowsBuffer = new Int32Array(4096)
  #partitionOfRow = new Int32Array(4096)
  #scratch = new Uint8Array(256)
  #view = new DataView(this.#scratch.buffer)
  #size = 0

  constructor(fields: readonly Field[], keys: readonly number[], partitions: number) {
    for (const key of keys) must(fields[key], `key field ${key}`)
    this.#keys = keys
    this.#partitions = partitions
    this.#counts = new Int32Array(partitions)
    this.#starts = new Int32Array(partitions + 1)
  }

  /** Groups the rows by partition, keeping their order. Valid until the next call. */
  split(batch: Batch, rows: Int32Array, count: number): Split {
    if (this.#rowsBuffer.length < count) {
      this.#rowsBuffer = new Int32Array(count * 2)
      this.#partitionOfRow = new Int32Array(count * 2)
    }
    const counts = this.#counts.fill(0)
    const single = this.#keys.length === 1 ? (batch.columns[this.#keys[0] as number] ?? null) : null
    const cache = single !== null && single.layout === 'dictionary' && single.validity === null ? this.#dictionaryPartitions(single) : null
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number
      const partition = cache === null || single === null || single.layout !== 'dictionary' ? this.#partitionOf(batch, row) : (cache[single.ids[row] as number] as number)
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
      this.#rowsBuffer[target] = rows[i] as number
      at[partition] = target + 1
    }
    return { counts, rows: (partition) => this.#rowsBuffer.subarray(starts[partition], starts[partition + 1]) }
  }

  #dictionaryPartitions(column: Extract<Column, { layout: 'dictionary' }>): Int32Array {
    const partitions = new Int32Array(column.dictionaryCount)
    const { offsets, data } = column.dictionary
    for (let id = 0; id < column.dictionaryCount; id++) {
      this.#size = 0
      this.#bytes(data, offsets[id] as number, offsets[id + 1] as number)
      partitions[id] = partitionOf(this.#scratch, 0, this.#size, this.#partitions)
    }
    return partitions
  }

  #partitionOf(batch: Batch, row: number): number {
    this.#size = 0
    for (const key of this.#keys) this.#value(must(batch.columns[key], 'key column'), row)
    return partitionOf(this.#scratch, 0, this.#size, this.#partitions)
  }

  #reserve(more: number): void {
    if (this.#size + more <= this.#scratch.length) return
    const grown = new Uint8Array((this.#size + more) * 2)
    grown.set(this.#scratch.subarray(0, this.#size))
    this.#scratch = grown
    this.#view = new DataView(grown.buffer)
  }

  /** A tag byte per value keeps null, text and number apart; the layout a value happens to lie in must not matter. */
  #value(column: Column, row: number): void {
    if (column.validity !== null && column.validity[row] !== 1) return this.#tag(0)
    switch (column.layout) {
      case 'bytes':
        return this.#bytes(column.data, column.offsets[row] as number, column.offsets[row + 1] as number)
      case 'slice':
        return this.#bytes(column.data, column.starts[row] as number, column.ends[row] as number)
      case 'dictionary': {
        const id = column.ids[row] as number
        return this.#bytes(column.dictionary.data, column.dictionary.offsets[id] as number, column.dictionary.offsets[id + 1] as number)
      }
      case 'bool':
        this.#tag(2)
        return this.#tag(column.values[row] as number)
      case 'i32':
      case 'f64':
        return this.#number(column.values[row] as number)
      case 'i64':
        return this.#bigint(column.values[row] as bigint)
      case 'variant':
        return this.#variant(column.values[row])
      case 'list':
      case 'struct':
        throw new TypeError('a list or struct cannot be a key')
      default:
        unreachable(column, 'column layout')
    }
  }

  #variant(value: unknown): void {
    if (value === null || value === undefined) return this.#tag(0)
    if (typeof value === 'boolean') {
      this.#tag(2)
      return this.#tag(value ? 1 : 0)
    }
    if (typeof value === 'number') return this.#number(value)
    if (typeof value === 'bigint') return this.#bigint(value)
    const text = new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
    this.#bytes(text, 0, text.length)
  }

  #tag(tag: number): void {
    this.#reserve(1)
    this.#scratch[this.#size++] = tag
  }

  #number(value: number): void {
    this.#reserve(9)
    this.#scratch[this.#size++] = 3
    // -0 and 0 are one key.
    this.#view.setFloat64(this.#size, value + 0, true)
    this.#size += 8
  }

  #bigint(value: bigint): void {
    const number = Number(value)
    if (BigInt(number) === value) return this.#number(number)
    this.#reserve(9)
    this.#scratch[this.#size++] = 4
    this.#view.setBigInt64(this.#size, value, true)
    this.#size += 8
  }

  #bytes(data: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#reserve(length + 5)
    this.#scratch[this.#size++] = 1
    if (this.#keys.length > 1) {
      this.#view.setUint32(this.#size, length, true)
      this.#size += 4
    }
    for (let at = start; at < end; at++) this.#scratch[this.#size++] = data[at] as number
  }
}
