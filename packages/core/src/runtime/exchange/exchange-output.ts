// Writes rows to an internal topic: blocks of columns, in record batches that each start with a head record
// {producer group, tick, running number of this batch in its partition}. One writer per producer group; a reader orders by
// (tick, producer, running number) and skips what it has applied (ADR 0002, rules 15-17).
import type { Batch, Field } from '../../codec/column.ts'
import type { OutputSpec } from '../../compile/topology.ts'
import type { LogPart } from '../../log/log.ts'
import { BlockWriter } from '../../codec/block.ts'
import { type RefuseRow, writeBlocks } from '../task/row-blocks.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { Partitioner } from './partitioner.ts'
import { liveRows } from '../../operators/live-rows.ts'
import { ClosedBatches } from '../closed-batches.ts'

/** A record batch is closed at this size, so that readers fetch in pieces. */
const BATCH_BYTES_TARGET = 512 * 1024
export const HEAD_BYTES = 24
const HEAD_VERSION = 1

export interface ExchangeHead {
  readonly producer: number
  readonly tick: number
  readonly running: number
}

export function writeHead(head: ExchangeHead): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, HEAD_VERSION, true)
  view.setUint32(4, head.producer, true)
  view.setFloat64(8, head.tick, true)
  view.setFloat64(16, head.running, true)
  return bytes
}

export function readHead(bytes: Uint8Array, start: number): ExchangeHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, HEAD_BYTES)
  return { producer: view.getUint32(4, true), tick: view.getFloat64(8, true), running: view.getFloat64(16, true) }
}

/** Bytes of a tick that a reader has not completed yet. */
interface Outstanding {
  readonly tick: number
  bytes: number
}

interface WrittenPartition {
  readonly builder: RecordBatchBuilder
  running: number
  readonly outstanding: Outstanding[]
  outstandingBytes: number
}

export class ExchangeOutput {
  readonly topic: string
  readonly #fields: readonly Field[]
  readonly #group: number
  readonly #partitions: WrittenPartition[] = []
  readonly #partitioner: Partitioner | null
  readonly #ownPartition: number
  readonly #blocks = new BlockWriter()
  readonly #refuse: RefuseRow
  readonly #closed = new ClosedBatches()
  #tick = 0

  /** @param running Running numbers reached per partition, as committed. */
  constructor(spec: Extract<OutputSpec, { kind: 'exchange' }>, group: number, running: readonly number[], refuse: RefuseRow) {
    this.#refuse = refuse
    this.topic = spec.topic
    this.#fields = spec.fields
    this.#group = group
    this.#ownPartition = group % spec.partitions
    this.#partitioner =
      spec.partitionBy === null || spec.partitions === 1 ? null : new Partitioner(spec.fields, spec.partitionBy, spec.partitions)
    for (let partition = 0; partition < spec.partitions; partition++) {
      this.#partitions.push({
        builder: new RecordBatchBuilder(4096),
        running: running[partition] ?? 0,
        outstanding: [],
        outstandingBytes: 0,
      })
    }
  }

  startTick(tick: number): void {
    this.#tick = tick
  }

  push(batch: Batch): void {
    if (batch.selectedCount === 0) return
    const rows = liveRows(batch)
    if (this.#partitioner === null) {
      this.#append(this.#ownPartition, batch, rows, batch.selectedCount)
      return
    }
    const split = this.#partitioner.split(batch, rows, batch.selectedCount)
    for (let partition = 0; partition < this.#partitions.length; partition++) {
      const count = split.counts[partition] as number
      if (count > 0) this.#append(partition, batch, split.rows(partition), count)
    }
  }

  #append(partition: number, batch: Batch, rows: Int32Array, count: number): void {
    writeBlocks(this.#blocks, this.#fields, batch, rows, count, {
      take: (block, first) => this.#appendBlock(partition, block, Math.max(0, batch.times[first] as number)),
      refuse: (row, error) => this.#refuse(batch, row, error),
    })
  }

  #appendBlock(partition: number, block: Uint8Array, timeMs: number): void {
    const written = this.#partitions[partition] as WrittenPartition
    if (written.builder.count === 0) {
      written.running++
      written.builder.append(null, writeHead({ producer: this.#group, tick: this.#tick, running: written.running }), 0)
    }
    written.builder.append(null, block, timeMs)
    if (written.builder.bytes >= BATCH_BYTES_TARGET) this.#close(partition, written)
  }

  #close(partition: number, written: WrittenPartition): void {
    const { bytes } = written.builder
    this.#closed.add(this.topic, partition, written.builder)
    const last = written.outstanding.at(-1)
    if (last !== undefined && last.tick === this.#tick) last.bytes += bytes
    else written.outstanding.push({ tick: this.#tick, bytes })
    written.outstandingBytes += bytes
  }

  /** Ends the tick: a batch never spans two ticks. */
  endTick(): void {
    for (let partition = 0; partition < this.#partitions.length; partition++) {
      const written = this.#partitions[partition] as WrittenPartition
      if (written.builder.count > 0) this.#close(partition, written)
    }
  }

  /** The batches since the last call, for the commit: nothing is written here before it has settled. */
  take(): readonly LogPart[] {
    return this.#closed.take()
  }

  /** Running numbers reached, to be stated and committed. */
  reached(): readonly number[] {
    return this.#partitions.map((written) => written.running)
  }

  /** Rule 25: bytes per partition that its reader has not completed; `completed(partition)` is the reader's `through`. */
  hasRoom(aheadBytes: number, completed: (partition: number) => number): boolean {
    for (let partition = 0; partition < this.#partitions.length; partition++) {
      const written = this.#partitions[partition] as WrittenPartition
      if (written.outstandingBytes === 0) continue
      const through = completed(partition)
      while (written.outstanding.length > 0 && (written.outstanding[0] as Outstanding).tick <= through)
        written.outstandingBytes -= (written.outstanding.shift() as Outstanding).bytes
      if (written.outstandingBytes >= aheadBytes) return false
    }
    return true
  }
}
