// Reads an exchange as one task group: gathers the batches of its partitions, orders them by (tick, producer, running number) and hands
// over whole ticks only (ADR 0002, rules 15-17). Batches that were applied before a restart are skipped by their running number.
import type { InputSpec } from '../compile/topology.ts'
import type { FetchPosition, FetchedPartition, Log, LogReader } from '../log/log.ts'
import type { ProgressBoard } from './progress-board.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { batchByteLength, readBatchHeader } from '../codec/record-batch.ts'
import { RecordRows } from '../codec/record-rows.ts'
import { HEAD_BYTES, readHead } from './exchange-output.ts'
import type { ExchangeHead } from './exchange-output.ts'

/** One gathered record batch; `bytes` is a copy, the reader's buffer is reused. */
export interface PendingBatch extends ExchangeHead {
  readonly partition: number
  readonly offset: number
  readonly bytes: Uint8Array
}

export interface ExchangePosition {
  readonly partition: number
  /** Lowest offset of an unapplied batch. */
  readonly offset: number
  /** Per producer group: running number applied. */
  readonly applied: readonly number[]
}

interface Lane {
  readonly partition: number
  fetchOffset: number
  /** Per producer: running number and tick of the newest batch gathered, and the running number applied. */
  readonly gatheredRunning: number[]
  readonly gatheredTick: number[]
  readonly applied: number[]
  readonly pending: PendingBatch[]
}

export class ExchangeInput {
  readonly spec: Extract<InputSpec, { kind: 'exchange' }>
  readonly #reader: LogReader
  readonly #board: ProgressBoard
  readonly #producerGroups: number
  readonly #output: number
  readonly #lanes: Lane[] = []
  readonly #rows = new RecordRows()
  readonly #creditBytes: number
  #pendingBytes = 0

  constructor(
    log: Log,
    board: ProgressBoard,
    spec: Extract<InputSpec, { kind: 'exchange' }>,
    options: {
      readonly group: number
      readonly groups: number
      readonly producerGroups: number
      readonly producerOutput: number
      readonly creditBytes: number
    },
    positions: readonly ExchangePosition[],
  ) {
    this.spec = spec
    this.#reader = log.reader()
    this.#board = board
    this.#producerGroups = options.producerGroups
    this.#output = options.producerOutput
    this.#creditBytes = options.creditBytes
    const starts = new Map(log.ends(spec.topic).map((ends) => [ends.partition, ends.start]))
    for (let partition = options.group; partition < spec.partitions; partition += options.groups) {
      const known = positions.find((position) => position.partition === partition)
      const applied = Array.from({ length: options.producerGroups }, (_, producer) => known?.applied[producer] ?? 0)
      this.#lanes.push({
        partition,
        fetchOffset: Math.max(known?.offset ?? 0, starts.get(partition) ?? 0),
        gatheredRunning: [...applied],
        gatheredTick: applied.map(() => 0),
        applied,
        pending: [],
      })
    }
  }

  get producerGroups(): number {
    return this.#producerGroups
  }

  /** Gathers what is there, up to the credit. Returns true when something new came. */
  async gather(): Promise<boolean> {
    let any = false
    while (this.#pendingBytes < this.#creditBytes) {
      const wanted: readonly FetchPosition[] = this.#lanes.map((lane) => ({
        topic: this.spec.topic,
        partition: lane.partition,
        offset: lane.fetchOffset,
      }))
      const fetched = this.#reader.fetchNow === null ? await this.#reader.fetch(wanted) : this.#reader.fetchNow(wanted)
      let more = false
      for (const part of fetched) {
        if (part.error !== null) throw part.error
        if (part.next > part.from) {
          this.#take(part)
          more = true
        }
      }
      if (!more) return any
      any = true
    }
    return any
  }

  #take(part: FetchedPartition): void {
    const lane = must(
      this.#lanes.find((other) => other.partition === part.partition),
      'exchange partition',
    )
    for (let at = 0; at < part.bytes.length;) {
      const length = batchByteLength(part.bytes, at)
      if (length < 0) break
      const header = readBatchHeader(part.bytes, at)
      if (header.lastOffset >= lane.fetchOffset) {
        const bytes = part.bytes.slice(at, at + length)
        this.#gatherBatch(lane, bytes, header.baseOffset)
      }
      at += length
    }
    lane.fetchOffset = part.next
  }

  #gatherBatch(lane: Lane, bytes: Uint8Array, offset: number): void {
    const rows = this.#rows
    rows.read(bytes, 0)
    const start = rows.valueStarts[0] as number
    if (rows.count < 1 || start < 0 || (rows.valueEnds[0] as number) - start !== HEAD_BYTES)
      throw new MillraceError('MR_LOG_CORRUPT', {
        message: 'an exchange batch without head record.',
        details: { topic: this.spec.topic, partition: lane.partition, offset },
      })
    const { producer, tick, running } = readHead(bytes, start)
    if (producer >= this.#producerGroups)
      throw new MillraceError('MR_LOG_CORRUPT', {
        message: 'an exchange batch of an unknown producer.',
        details: { topic: this.spec.topic, partition: lane.partition, offset, producer },
      })
    // A batch at or below the applied running number was applied before a restart.
    if (running <= (lane.gatheredRunning[producer] as number)) return
    lane.gatheredRunning[producer] = running
    lane.gatheredTick[producer] = tick
    lane.pending.push({ producer, tick, running, partition: lane.partition, offset, bytes })
    this.#pendingBytes += bytes.length
  }

  /** Newest tick that is complete here: every producer has completed it and all of its batches are gathered. */
  frontier(): number {
    let frontier = Number.POSITIVE_INFINITY
    for (let producer = 0; producer < this.#producerGroups; producer++) {
      const through = this.#board.through(this.spec.producer, producer)
      for (const lane of this.#lanes) {
        const all =
          (lane.gatheredRunning[producer] as number) >= this.#board.reached(this.spec.producer, producer, this.#output, lane.partition)
        frontier = Math.min(frontier, all ? through : (lane.gatheredTick[producer] as number) - 1)
      }
    }
    return frontier
  }

  /** Ticks up to `upTo` that have batches here, ascending. */
  ticks(upTo: number): readonly number[] {
    const ticks = new Set<number>()
    for (const lane of this.#lanes) for (const batch of lane.pending) if (batch.tick <= upTo) ticks.add(batch.tick)
    return [...ticks].sort((a, b) => a - b)
  }

  /** Hands over the batches of one tick in order and counts them as applied. */
  take(tick: number): readonly PendingBatch[] {
    const taken: PendingBatch[] = []
    for (const lane of this.#lanes) {
      for (let index = 0; index < lane.pending.length;) {
        const batch = lane.pending[index] as PendingBatch
        if (batch.tick === tick) {
          taken.push(batch)
          lane.pending.splice(index, 1)
          lane.applied[batch.producer] = batch.running
          this.#pendingBytes -= batch.bytes.length
        } else index++
      }
    }
    return taken.sort((a, b) => a.producer - b.producer || a.partition - b.partition || a.running - b.running)
  }

  /** To be committed. */
  positions(): readonly ExchangePosition[] {
    return this.#lanes.map((lane) => {
      let offset = lane.fetchOffset
      for (const batch of lane.pending) offset = Math.min(offset, batch.offset)
      return { partition: lane.partition, offset, applied: [...lane.applied] }
    })
  }

  /** Records not yet gathered, for the lag. */
  lag(log: Log): number {
    let lag = 0
    for (const ends of log.ends(this.spec.topic)) {
      const lane = this.#lanes.find((other) => other.partition === ends.partition)
      if (lane !== undefined) lag += Math.max(0, ends.end - lane.fetchOffset)
    }
    return lag
  }

  close(): void {
    this.#reader.close()
  }
}
