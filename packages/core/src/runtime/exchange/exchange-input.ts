// Reads an exchange as one task group: gathers the batches of its partitions, orders them by (tick, producer, running number) and hands
// over whole ticks only (ADR 0002, rules 15-17). Batches that were applied before a restart are skipped by their running number.
//
// Bytes are held up to a credit. The batch that completes the oldest tick may lie behind more than that: every producer may be `aheadBytes`
// ahead (rule 25). So gathering goes on over the credit while no tick is complete, and keeps of what it finds the heads alone; the bytes are
// read again when their tick is applied.
import type { InputSpec } from '../../compile/topology.ts'
import type { FetchPosition, FetchedPartition, Log, LogReader } from '../../log/log.ts'
import type { ProgressBoard } from './progress-board.ts'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import { batchByteLength, readBatchHeader } from '../../codec/record-batch.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { BatchQueue } from './batch-queue.ts'
import type { GatheredBatch } from './batch-queue.ts'
import { HEAD_BYTES, readHead } from './exchange-output.ts'
import type { ExchangeHead } from './exchange-output.ts'

/** Bytes asked for at once when batches are read again: more would be read in vain when there is no credit to hold it. */
const REREAD_BYTES = 1024 * 1024

/** One record batch of a tick; `bytes` is a copy, the reader's buffer is reused. */
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

interface GatheredPartition {
  readonly partition: number
  fetchOffset: number
  /** Per producer: running number and tick of the newest batch gathered, and the running number applied. */
  readonly running: number[]
  readonly tick: number[]
  readonly applied: number[]
  /** Per producer: what is gathered and not applied. */
  readonly pending: readonly BatchQueue[]
}

export class ExchangeInput {
  readonly spec: Extract<InputSpec, { kind: 'exchange' }>
  readonly #reader: LogReader
  readonly #board: ProgressBoard
  readonly #producerGroups: number
  readonly #output: number
  readonly #partitions: GatheredPartition[] = []
  readonly #rows = new RecordRows()
  readonly #creditBytes: number
  readonly #skipThrough: number
  #heldBytes = 0
  /** Gathered batches of which only the head is held. */
  #headsOnly = 0
  /** The partition that is asked for first; moves on, so that a full first one does not use up every fetch. */
  #firstPartition = 0

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
      /** Batches of ticks up to here are left out: the producers send their rows again. Default 0. */
      readonly skipThrough?: number
    },
    positions: readonly ExchangePosition[],
  ) {
    this.spec = spec
    this.#reader = log.reader()
    this.#board = board
    this.#producerGroups = options.producerGroups
    this.#output = options.producerOutput
    this.#creditBytes = options.creditBytes
    this.#skipThrough = options.skipThrough ?? 0
    const starts = new Map(log.ends(spec.topic).map((ends) => [ends.partition, ends.start]))
    for (let partition = options.group; partition < spec.partitions; partition += options.groups) {
      const known = positions.find((position) => position.partition === partition)
      const applied = Array.from({ length: options.producerGroups }, (_, producer) => known?.applied[producer] ?? 0)
      this.#partitions.push({
        partition,
        fetchOffset: Math.max(known?.offset ?? 0, starts.get(partition) ?? 0),
        running: [...applied],
        tick: applied.map(() => 0),
        applied,
        pending: applied.map(() => new BatchQueue()),
      })
    }
  }

  get producerGroups(): number {
    return this.#producerGroups
  }

  /** Bytes of gathered batches in memory. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Gathers what is there, up to the credit, and over it until a tick is complete. Returns true when something new came. */
  async gather(): Promise<boolean> {
    let any = false
    while ((this.#heldBytes < this.#creditBytes && this.#headsOnly === 0) || this.firstTick() > this.frontier()) {
      const wanted = this.#wanted()
      const answers = this.#reader.fetchNow === null ? await this.#reader.fetch(wanted) : this.#reader.fetchNow(wanted)
      let more = false
      for (const fetched of answers) {
        if (fetched.error !== null) throw fetched.error
        if (fetched.next > fetched.from) {
          this.#take(fetched)
          more = true
        }
      }
      if (!more) return any
      any = true
    }
    return any
  }

  #wanted(): readonly FetchPosition[] {
    const first = this.#firstPartition
    this.#firstPartition = (first + 1) % Math.max(1, this.#partitions.length)
    const inTurn = [...this.#partitions.slice(first), ...this.#partitions.slice(0, first)]
    return inTurn.map(({ partition, fetchOffset }) => ({ topic: this.spec.topic, partition, offset: fetchOffset }))
  }

  #take(fetched: FetchedPartition): void {
    const gathered = must(
      this.#partitions.find((other) => other.partition === fetched.partition),
      'exchange partition',
    )
    for (const { offset, lastOffset, bytes } of batchesIn(fetched.bytes))
      if (lastOffset >= gathered.fetchOffset) this.#gatherBatch(gathered, bytes, offset)
    gathered.fetchOffset = fetched.next
  }

  #gatherBatch(gathered: GatheredPartition, bytes: Uint8Array, offset: number): void {
    const rows = this.#rows
    rows.read(bytes, 0)
    const start = rows.valueStarts[0] as number
    if (rows.count < 1 || start < 0 || (rows.valueEnds[0] as number) - start !== HEAD_BYTES)
      throw new MillraceError('MR_LOG_CORRUPT', {
        message: 'an exchange batch without head record.',
        details: { topic: this.spec.topic, partition: gathered.partition, offset },
      })
    const { producer, tick, running } = readHead(bytes, start)
    if (producer >= this.#producerGroups)
      throw new MillraceError('MR_LOG_CORRUPT', {
        message: 'an exchange batch of an unknown producer.',
        details: { topic: this.spec.topic, partition: gathered.partition, offset, producer },
      })
    // A batch at or below the applied running number was applied before a restart.
    if (running <= (gathered.running[producer] as number)) return
    gathered.running[producer] = running
    gathered.tick[producer] = tick
    if (tick <= this.#skipThrough) {
      gathered.applied[producer] = running
      return
    }
    const batch: GatheredBatch = { tick, running, offset, length: bytes.length, bytes: null }
    this.#headsOnly++
    if (this.#heldBytes < this.#creditBytes) this.#hold(batch, bytes)
    queueOf(gathered, producer).push(batch)
  }

  #hold(batch: GatheredBatch, bytes: Uint8Array): void {
    batch.bytes = bytes.slice()
    this.#heldBytes += batch.length
    this.#headsOnly--
  }

  /** Newest tick that is complete here: every producer has completed it and all of its batches are gathered. */
  frontier(): number {
    let frontier = Number.POSITIVE_INFINITY
    for (let producer = 0; producer < this.#producerGroups; producer++) {
      const through = this.#board.through(this.spec.producer, producer)
      for (const gathered of this.#partitions) {
        const all =
          (gathered.running[producer] as number) >= this.#board.reached(this.spec.producer, producer, this.#output, gathered.partition)
        frontier = Math.min(frontier, all ? through : (gathered.tick[producer] as number) - 1)
      }
    }
    return frontier
  }

  /** The oldest tick that has batches here; infinity when nothing is gathered. */
  firstTick(): number {
    let first = Number.POSITIVE_INFINITY
    // A producer's ticks ascend within a partition: its first batch is of its oldest tick.
    for (const gathered of this.#partitions)
      for (const queue of gathered.pending) if (queue.first !== null) first = Math.min(first, queue.first.tick)
    return first
  }

  /** Reads the batches of the oldest tick of which only the heads are held. To be awaited before that tick is taken. */
  async load(tick: number): Promise<void> {
    if (this.#headsOnly === 0) return
    for (const gathered of this.#partitions) {
      const missing = gathered.pending.flatMap((queue) => queue.upTo(tick).filter(({ bytes }) => bytes === null))
      missing.sort((a, b) => a.offset - b.offset)
      for (const batch of missing) if (batch.bytes === null) await this.#reread(gathered, batch)
    }
  }

  /** Reads a batch again, and those behind it as far as the credit goes. */
  async #reread(gathered: GatheredPartition, batch: GatheredBatch): Promise<void> {
    const wanted: readonly FetchPosition[] = [{ topic: this.spec.topic, partition: gathered.partition, offset: batch.offset }]
    const bytesMax = Math.max(batch.length, Math.min(REREAD_BYTES, this.#creditBytes - this.#heldBytes))
    const options = { bytesMax }
    const [fetched] = this.#reader.fetchNow === null ? await this.#reader.fetch(wanted, options) : this.#reader.fetchNow(wanted, options)
    if (fetched === undefined || fetched.error !== null)
      throw fetched?.error ?? new MillraceError('MR_LOG_CORRUPT', { details: { ...wanted[0] } })
    for (const { offset, bytes } of batchesIn(fetched.bytes)) {
      const known = this.#find(gathered, offset, bytes)
      if (known !== null && known.bytes === null && (known === batch || this.#heldBytes < this.#creditBytes)) this.#hold(known, bytes)
    }
    must(batch.bytes, 'the bytes of a gathered batch')
  }

  #find(gathered: GatheredPartition, offset: number, bytes: Uint8Array): GatheredBatch | null {
    this.#rows.read(bytes, 0)
    return queueOf(gathered, readHead(bytes, this.#rows.valueStarts[0] as number).producer).at(offset)
  }

  /** Hands over the batches of the oldest tick in order and counts them as applied. */
  take(tick: number): readonly PendingBatch[] {
    const taken: PendingBatch[] = []
    for (let producer = 0; producer < this.#producerGroups; producer++) {
      for (const gathered of this.#partitions) {
        const queue = queueOf(gathered, producer)
        for (let batch = queue.first; batch !== null && batch.tick <= tick; batch = queue.first) {
          queue.dropFirst()
          const { running, offset, length } = batch
          taken.push({
            producer,
            tick: batch.tick,
            running,
            partition: gathered.partition,
            offset,
            bytes: must(batch.bytes, 'loaded bytes'),
          })
          gathered.applied[producer] = running
          this.#heldBytes -= length
        }
      }
    }
    return taken
  }

  /** To be committed. */
  positions(): readonly ExchangePosition[] {
    return this.#partitions.map((gathered) => {
      let offset = gathered.fetchOffset
      for (const { first } of gathered.pending) if (first !== null) offset = Math.min(offset, first.offset)
      return { partition: gathered.partition, offset, applied: [...gathered.applied] }
    })
  }

  /** Records not yet gathered, for the lag. */
  lag(log: Log): number {
    let lag = 0
    for (const ends of log.ends(this.spec.topic)) {
      const gathered = this.#partitions.find((other) => other.partition === ends.partition)
      if (gathered !== undefined) lag += Math.max(0, ends.end - gathered.fetchOffset)
    }
    return lag
  }

  /** How long the oldest tick that is gathered and not applied has waited, ms: the number of a tick is the wall time in µs when it was taken. */
  waitingMs(nowMs: number): number {
    const tick = this.firstTick()
    return tick === Number.POSITIVE_INFINITY ? 0 : Math.max(0, nowMs - tick / 1000)
  }

  close(): void {
    this.#reader.close()
  }
}

function queueOf(gathered: GatheredPartition, producer: number): BatchQueue {
  return gathered.pending[producer] as BatchQueue
}

function* batchesIn(bytes: Uint8Array): Generator<{ readonly offset: number; readonly lastOffset: number; readonly bytes: Uint8Array }> {
  for (let at = 0; at < bytes.length;) {
    const length = batchByteLength(bytes, at)
    if (length < 0) return
    const { baseOffset: offset, lastOffset } = readBatchHeader(bytes, at)
    yield { offset, lastOffset, bytes: bytes.subarray(at, at + length) }
    at += length
  }
}
