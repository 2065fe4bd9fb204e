// One source topic as a task reads it: its partitions' positions, clocks and guard, and the ranges that the open tick binds.
// Only this task reads these partitions for the pipeline, so the bindings it writes are the pipeline's (ADR 0002, rules 5-8, 19).
import type { Batch } from '../../codec/column.ts'
import type { SourceDecoder } from '../../compile/source-decoder.ts'
import type { InputSpec } from '../../compile/topology.ts'
import type { FetchPosition, FetchedPartition, Log, LogReader } from '../../log/log.ts'
import type { PipelineSettings } from '../../plan/node.ts'
import type { CombinedClock } from '../../time/partition-clock.ts'
import type { SourcePosition } from '../recovery/commit-state.ts'
import type { BoundRange } from '../exchange/progress.ts'
import type { InputStatus, ReplayedRows } from '../task-loop.ts'
import { must } from '../../base/assert.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import type { GuardVerdict } from '../../time/clock-guard.ts'
import { INITIAL_CLOCK, PartitionClock } from '../../time/partition-clock.ts'
import { Arrivals } from './arrivals.ts'
import { keptVerdict, PartitionGuard } from './partition-guard.ts'
import { type EventTimes, ReplayRange } from './replay-range.ts'

const FETCH_BYTES = 512 * 1024
/** Milliseconds between two looks at the ends for the sake of arrival times: as exact as anybody asks. */
const ARRIVALS_EVERY_MS = 10

/** What a dead letter keeps of a source's record. */
export interface RetriedRecord {
  readonly original: Uint8Array
  readonly key: Uint8Array | null
  readonly timeMs: number
  readonly partition: number
  readonly offset: number
}

export interface SourceHandlers {
  /** Takes decoded, guarded rows synchronously. */
  readonly process: (batch: Batch) => void
  readonly reject: (batch: Batch, row: number, error: MillraceError) => void
}

class SourcePartition {
  readonly partition: number
  readonly clock: PartitionClock
  readonly guard: PartitionGuard
  readonly arrivals: Arrivals
  next: number
  /** Where the open tick's range began. */
  boundFrom: number
  /** The visible end at the newest fetch. */
  end = 0
  /** Offsets that the guard refused since `boundFrom`. */
  refused: number[] = []
  /** Offsets that retention took away before they were read, since the task began. */
  lost = 0
  /** Set when the partition cannot be read on. */
  error: Error | null = null

  constructor(partition: number, next: number, clock: PartitionClock, guard: PartitionGuard, end: number) {
    this.partition = partition
    this.arrivals = new Arrivals(end)
    this.next = next
    this.boundFrom = next
    this.clock = clock
    this.guard = guard
  }
}

export class SourceInput {
  readonly spec: Extract<InputSpec, { kind: 'source' }>
  readonly #topicId: string
  readonly #reader: LogReader
  readonly #decoder: SourceDecoder
  readonly #partitions: SourcePartition[] = []
  readonly #rows = new RecordRows()
  readonly #times: { monotonicMs(): number; nowMs(): number }
  readonly #onLost: (partition: number, count: number) => void
  #bounded: ReadonlyMap<number, number> | null = null
  #replaying = false
  #replayRefused: ReadonlySet<number> = new Set()
  #replayed: ReplayRange | null = null
  #arrivedAt = Number.NEGATIVE_INFINITY

  constructor(
    log: Log,
    spec: Extract<InputSpec, { kind: 'source' }>,
    decoder: SourceDecoder,
    options: {
      readonly group: number
      readonly groups: number
      readonly settings: PipelineSettings
      readonly clock: { monotonicMs(): number; nowMs(): number }
      readonly startAt: 'earliest' | 'latest'
      /** Told when retention has passed a position. */
      readonly onLost: (partition: number, count: number) => void
    },
    positions: readonly SourcePosition[],
  ) {
    this.spec = spec
    this.#reader = log.reader()
    this.#decoder = decoder
    this.#times = options.clock
    this.#onLost = options.onLost
    const topic = must(log.topic(spec.topic.name), `topic ${spec.topic.name}`)
    this.#topicId = topic.id
    const clockSettings = {
      disorderMs: spec.topic.disorderMs,
      idleMs: options.settings.idleMs,
      closeWhenIdle: options.settings.closeWhenIdle,
    }
    const { clockAheadMs, clockConfirmations, idleMs } = options.settings
    for (const ends of log.ends(spec.topic.name)) {
      if (ends.partition % options.groups !== options.group) continue
      const known = positions.find((position) => position.topicId === topic.id && position.partition === ends.partition)
      const start = options.startAt === 'latest' ? ends.end : ends.start
      this.#partitions.push(
        new SourcePartition(
          ends.partition,
          known?.next ?? start,
          new PartitionClock(clockSettings, known?.clock ?? INITIAL_CLOCK, options.clock.monotonicMs()),
          new PartitionGuard({ aheadMs: clockAheadMs, confirmations: clockConfirmations }, idleMs),
          ends.end,
        ),
      )
    }
  }

  /**
   * Replay: takes one partition to exactly `to`, and moves no clock of its own (the kept binding says what the clocks were).
   * `refused`: offsets that the guard refused then. `settle`: awaited after each fetch.
   */
  async replayTo(
    partitionNumber: number,
    to: number,
    refused: readonly number[],
    handlers: SourceHandlers,
    settle: () => Promise<void> | null,
  ): Promise<number> {
    this.#replaying = true
    this.#replayRefused = new Set(refused)
    const partition = this.#partitions.find((other) => other.partition === partitionNumber)
    if (partition === undefined) return 0
    this.#bounded = new Map([...(this.#bounded ?? []), [partitionNumber, to]])
    let taken = 0
    while (partition.next < to && partition.error === null) {
      const got = await this.poll(this.#partitions.indexOf(partition), handlers)
      taken += got
      await settle()
      if (got === 0 && partition.next < to) partition.next = to
    }
    if (partition.error !== null) throw partition.error
    return taken
  }

  /** Replay: counts the rows of the range, and leaves out those with another event time. */
  replayOnly(eventTimes: EventTimes | null): void {
    this.#replayed = new ReplayRange(eventTimes)
  }

  /** What a replay has made of the records so far; null outside of one. */
  get replayed(): ReplayedRows | null {
    return this.#replayed?.counts ?? null
  }

  /** Nothing will be read any more. */
  endAll(): void {
    for (const partition of this.#partitions) partition.clock.end()
  }

  /** Replay: leaves out what is known to have other event times. */
  skipTo(partitionNumber: number, to: number): void {
    const partition = this.#partitions.find((other) => other.partition === partitionNumber)
    if (partition !== undefined && this.#replayed !== null) this.#replayed.counts.unread += Math.max(0, to - partition.next)
    this.seek(partitionNumber, to)
  }

  /** Replay: where to begin. */
  seek(partitionNumber: number, from: number): void {
    const partition = this.#partitions.find((other) => other.partition === partitionNumber)
    if (partition === undefined || partition.next >= from) return
    partition.next = from
    partition.boundFrom = from
  }

  /** Declares the input bounded: each partition ends at the given offset, and its watermark then goes to the end of time. */
  boundAt(ends: ReadonlyMap<number, number>): void {
    this.#bounded = ends
  }

  get partitionCount(): number {
    return this.#partitions.length
  }

  /**
   * Fetches once from the partition at `index` and processes what came. Returns the bytes taken; 0 when nothing was.
   * A tick takes its partitions one after the other, each to the end of its range: so a replay of the binding sees the same order.
   */
  async poll(index: number, handlers: SourceHandlers): Promise<number> {
    const partition = must(this.#partitions[index], `source partition ${index}`)
    if (partition.error !== null || partition.clock.status === 'ended') return 0
    let fetched = await this.#fetch(partition.partition, partition.next)
    if (this.#passRetention(partition, fetched.error)) fetched = await this.#fetch(partition.partition, partition.next)
    for (;;) {
      const taken = this.#take(fetched, handlers)
      if (taken !== null) return taken
      // The buffer of a fetch lives until the next one.
      const before = { ...fetched, bytes: fetched.bytes.slice() }
      const more = await this.#fetch(partition.partition, fetched.next)
      if (more.error !== null) partition.error = more.error
      if (more.error !== null || more.next === more.from) return 0
      fetched = { ...more, from: before.from, bytes: joined(before.bytes, more.bytes) }
    }
  }

  /**
   * Goes on at the start of the log when retention has removed what was to be read next, counts the gap and says so: it will not come back,
   * and waiting would lose the rest as well. The range that the tick binds covers the gap. True when there is something to fetch again.
   */
  #passRetention(partition: SourcePartition, error: FetchedPartition['error']): boolean {
    const earliest = isMillraceError(error) && error.code === 'MR_LOG_OFFSET_RANGE' ? error.details['earliest'] : undefined
    if (typeof earliest !== 'number' || earliest <= partition.next) return false
    const to = Math.min(earliest, this.#bounded?.get(partition.partition) ?? Number.POSITIVE_INFINITY)
    const count = to - partition.next
    partition.lost += count
    partition.next = to
    partition.guard.release()
    if (count > 0) this.#onLost(partition.partition, count)
    return to === earliest
  }

  async #fetch(partition: number, offset: number): Promise<FetchedPartition> {
    const wanted: readonly FetchPosition[] = [{ topic: this.spec.topic.name, partition, offset }]
    const options = { bytesMax: FETCH_BYTES }
    const answers = this.#reader.fetchNow === null ? await this.#reader.fetch(wanted, options) : this.#reader.fetchNow(wanted, options)
    return must(answers[0], 'fetched partition')
  }

  /** Bytes taken; null when the first record is a jump that needs more records behind it than this fetch gave. */
  #take(fetched: FetchedPartition, handlers: SourceHandlers): number | null {
    const partition = must(
      this.#partitions.find((other) => other.partition === fetched.partition),
      'source partition',
    )
    partition.end = fetched.end
    if (fetched.error !== null) {
      partition.error = fetched.error
      return 0
    }
    const monotonicMs = this.#times.monotonicMs()
    if (fetched.next === fetched.from) {
      partition.clock.observeEmpty(monotonicMs)
      this.#endIfBounded(partition)
      return 0
    }
    const limit = this.#bounded?.get(partition.partition) ?? Number.POSITIVE_INFINITY
    const count = this.#rows.read(fetched.bytes, fetched.from)
    const decoded = this.#decoder.decode(this.#rows, partition.partition)
    const inRange = limit === Number.POSITIVE_INFINITY ? count : firstAtOrAfter(this.#rows.offsets, count, limit)
    const taken = this.#guard(partition, fetched, decoded.batch, inRange, decoded.rejected, handlers, monotonicMs)
    this.#endIfBounded(partition)
    return taken
  }

  /** Applies the clock-ahead guard and hands the decided rows on. */
  #guard(
    partition: SourcePartition,
    fetched: FetchedPartition,
    batch: Batch,
    count: number,
    bad: readonly { readonly row: number; readonly error: MillraceError }[],
    handlers: SourceHandlers,
    monotonicMs: number,
  ): number | null {
    const atEnd = fetched.next >= fetched.end || count < batch.rowCount
    const verdict = this.#verdict(partition, batch.times, count, atEnd, monotonicMs)
    // The partition waits at a jump. A fetch may give less than there is, wherever the log likes to stop.
    if (verdict.taken === 0 && count > 0) {
      partition.clock.wake(monotonicMs)
      return atEnd ? 0 : null
    }
    for (const { row, error } of bad) if (row < verdict.taken && this.#takesBad(row)) handlers.reject(batch, row, error)
    for (const row of verdict.rejected) {
      partition.refused.push(this.#rows.offsets[row] as number)
      if (this.#replayed?.takes(batch.times[row] as number) === false) continue
      handlers.reject(
        batch,
        row,
        new MillraceError('MR_TIME_AHEAD', {
          details: {
            topic: this.spec.topic.name,
            partition: partition.partition,
            offset: this.#rows.offsets[row] as number,
            eventTime: new Date(Math.min(batch.times[row] as number, 8.64e15)).toISOString(),
          },
        }),
      )
    }
    const narrowed = narrow(batch, verdict.taken, verdict.rejected)
    const live = this.#replayed === null ? narrowed : this.#replayed.select(narrowed)
    if (live.selectedCount > 0) handlers.process(live)
    const wholeFetch = verdict.taken === batch.rowCount
    partition.next = wholeFetch ? fetched.next : (this.#rows.offsets[verdict.taken] as number)
    partition.clock.observe(verdict.largestMs, monotonicMs)
    return wholeFetch ? fetched.bytes.length : (this.#rows.valueEnds[Math.max(0, verdict.taken - 1)] as number)
  }

  #verdict(partition: SourcePartition, times: Float64Array, count: number, atEnd: boolean, monotonicMs: number): GuardVerdict {
    if (this.spec.table) return { taken: count, rejected: [], largestMs: Number.NEGATIVE_INFINITY, behind: -1 }
    const { largestMs } = partition.clock
    if (this.#replaying) return keptVerdict(times, this.#rows.offsets, count, largestMs, this.#replayRefused)
    const isLast = atEnd && this.#bounded !== null
    return partition.guard.judge({ times, count, largestMs, atEnd, isLast, wallMs: this.#times.nowMs(), monotonicMs })
  }

  /** A record that could not be decoded has a time when its topic takes that of the record. */
  #takesBad(row: number): boolean {
    if (this.#replayed === null) return true
    return this.spec.topic.eventTime === null ? this.#replayed.takes(this.#rows.times[row] as number) : this.#replayed.takesTimeless()
  }

  #endIfBounded(partition: SourcePartition): void {
    if (this.#replaying) return
    const limit = this.#bounded?.get(partition.partition)
    if (limit !== undefined && partition.next >= limit && partition.clock.status !== 'ended') partition.clock.end()
  }

  /** Looks at the visible ends without fetching: partitions that have nothing become idle in time, and bounded ones end. */
  observe(log: Log): void {
    const monotonicMs = this.#times.monotonicMs()
    for (const ends of log.ends(this.spec.topic.name)) {
      const partition = this.#partitions.find((other) => other.partition === ends.partition)
      if (partition === undefined || partition.error !== null) continue
      if (partition.next >= ends.end) partition.clock.observeEmpty(monotonicMs)
      this.#endIfBounded(partition)
    }
  }

  /** Records may have come: notes when. */
  arrived(log: Log): void {
    const nowMs = this.#times.monotonicMs()
    if (nowMs - this.#arrivedAt < ARRIVALS_EVERY_MS) return
    this.#arrivedAt = nowMs
    for (const { partition, end } of log.ends(this.spec.topic.name))
      this.#partitions.find((other) => other.partition === partition)?.arrivals.arrived(end, nowMs)
  }

  /** What was read is committed. Returns the milliseconds that the oldest of it has waited since its append; null when that is not known. */
  committed(): number | null {
    const nowMs = this.#times.monotonicMs()
    const ages = this.#partitions.map(({ arrivals, next }) => arrivals.passed(next, nowMs)).filter((age) => age !== null)
    return ages.length === 0 ? null : Math.max(...ages)
  }

  /** How long the oldest record that is not committed yet has been there; 0 when nothing waits. */
  waitingMs(): number {
    const nowMs = this.#times.monotonicMs()
    return Math.max(0, ...this.#partitions.map(({ arrivals }) => arrivals.waitingMs(nowMs)))
  }

  /** Decodes one record that comes back from the dead letters and hands it on; it moves no clock and no position. */
  retry(letter: RetriedRecord, handlers: SourceHandlers): void {
    const builder = new RecordBatchBuilder(letter.original.length + 256)
    builder.append(letter.key, letter.original, Math.max(0, letter.timeMs))
    const rows = new RecordRows()
    rows.read(builder.finish(), 0)
    // A record that fails once more is still the one that it was.
    rows.offsets[0] = letter.offset
    const { batch, rejected } = this.#decoder.decode(rows, letter.partition)
    for (const { row, error } of rejected) handlers.reject(batch, row, error)
    if (batch.selectedCount > 0) handlers.process(batch)
  }

  lag(log: Log): number {
    let lag = 0
    for (const ends of log.ends(this.spec.topic.name)) {
      const partition = this.#partitions.find((other) => other.partition === ends.partition)
      if (partition !== undefined && partition.clock.status !== 'ended') lag += Math.max(0, ends.end - partition.next)
    }
    return lag
  }

  /** Idle watermarks go on with the wall clock: taken when a tick is made. */
  advanceIdle(wallMs: number): void {
    for (const partition of this.#partitions) partition.clock.advanceIdle(this.#times.monotonicMs(), wallMs)
  }

  /** Closes the open tick: the ranges it bound, one per partition that moved or changed its clock. */
  bind(): readonly BoundRange[] {
    const ranges: BoundRange[] = []
    for (const partition of this.#partitions) {
      if (partition.next === partition.boundFrom) continue
      ranges.push({
        topic: this.spec.topic.name,
        topicId: this.#topicId,
        partition: partition.partition,
        from: partition.boundFrom,
        to: partition.next,
        watermark: partition.clock.watermarkMs,
        status: partition.clock.status,
        refused: partition.refused,
      })
      partition.boundFrom = partition.next
      partition.refused = []
    }
    return ranges
  }

  /** Clocks of the partitions; tables take no part in the watermark. */
  clocks(): readonly CombinedClock[] {
    if (this.spec.table) return []
    return this.#partitions.map((partition) => ({ watermark: partition.clock.watermarkMs, status: partition.clock.status }))
  }

  /** The same as they could be stated now, idle time included. */
  clocksNow(wallMs: number): readonly CombinedClock[] {
    if (this.spec.table) return []
    const monotonicMs = this.#times.monotonicMs()
    return this.#partitions.map(({ clock }) => ({ watermark: clock.idleWatermark(monotonicMs, wallMs), status: clock.status }))
  }

  /** Monotonic time at which the next partition becomes idle, or a jump that nothing confirms is decided. */
  idleDueAt(): number {
    let due = Number.POSITIVE_INFINITY
    for (const partition of this.#partitions) due = Math.min(due, partition.guard.dueAt() ?? partition.clock.idleDueAt())
    return due
  }

  positions(): readonly SourcePosition[] {
    return this.#partitions.map((partition) => ({
      log: 'home',
      topic: this.spec.topic.name,
      topicId: this.#topicId,
      partition: partition.partition,
      next: partition.next,
      done: [],
      clock: partition.clock.state(),
    }))
  }

  /** What the page shows per partition. */
  status(): InputStatus['partitions'] {
    const monotonicMs = this.#times.monotonicMs()
    return this.#partitions.map(({ partition, next, clock, guard, lost, error }) => {
      const held = guard.held(monotonicMs)
      return {
        partition,
        next,
        largestMs: clock.largestMs,
        watermarkMs: clock.watermarkMs,
        status: clock.status,
        silentMs: monotonicMs - clock.lastDataAt,
        error: error?.message ?? null,
        ...(isMillraceError(error) ? { errorCode: error.code } : {}),
        lost,
        ...(held === null ? {} : { held }),
      }
    })
  }

  close(): void {
    this.#reader.close()
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}

function firstAtOrAfter(offsets: Float64Array, count: number, limit: number): number {
  if (count > 0 && (offsets[count - 1] as number) < limit) return count
  for (let row = 0; row < count; row++) if ((offsets[row] as number) >= limit) return row
  return count
}

/** The first `taken` rows of a batch without the rejected ones. */
function narrow(batch: Batch, taken: number, rejected: readonly number[]): Batch {
  if (taken === batch.rowCount && rejected.length === 0) return batch
  const drop = new Set(rejected)
  const selected = new Int32Array(Math.min(taken, batch.rowCount))
  let count = 0
  if (batch.selected === null) {
    for (let row = 0; row < taken; row++) if (!drop.has(row)) selected[count++] = row
  } else {
    for (let index = 0; index < batch.selectedCount; index++) {
      const row = batch.selected[index] as number
      if (row >= taken) break
      if (!drop.has(row)) selected[count++] = row
    }
  }
  return { ...batch, selected, selectedCount: count }
}
