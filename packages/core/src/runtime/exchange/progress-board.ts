// What this process knows of every task's progress: the newest record of each, and the clock entries that readers still need.
// Reads the progress topics of one pipeline; tasks ask it for frontiers, demand and clocks. Rules cited are ADR 0002's.
import type { Clock } from '../../base/clock.ts'
import type { FetchedPartition, FetchPosition, Log, LogReader } from '../../log/log.ts'
import { must } from '../../base/assert.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { combineClocks } from '../../time/partition-clock.ts'
import type { CombinedClock } from '../../time/partition-clock.ts'
import { readHead } from './exchange-output.ts'
import { decodeProgress } from './progress.ts'
import { TaskProgress } from './task-progress.ts'

export interface BoardPart {
  readonly name: string
  readonly groups: number
  readonly progressTopic: string
  /** Topics of the exchanges that this part reads. */
  readonly exchanges: readonly string[]
  /** Parts that write an exchange which this part reads, and the other way round. */
  readonly producers: readonly string[]
  readonly readers: readonly string[]
}

/** Old clock entries are dropped once in so many reads. */
const FORGET_EVERY = 256
/** Records that the first look at a task reads; further back it goes in steps that double. */
const LOOK_BACK_RECORDS = 1024
/** Progress and bindings are kept as long as replay is promised, and longer where a reader still needs them. */
const PROGRESS_KEPT_MS = 7 * 86_400_000
const TRIM_EVERY_MS = 3_600_000

/** Who trims: the thread that runs the tasks of a group. */
export interface BoardKeeper {
  readonly clock: Clock
  readonly owns: (group: number) => boolean
}

interface Position {
  readonly topic: string
  readonly partition: number
  readonly part: BoardPart
  readonly task: TaskProgress
  /** Where to read on, and from where on everything was read. */
  offset: number
  readFrom: number
}

export class ProgressBoard {
  readonly #parts = new Map<string, BoardPart>()
  readonly #tasks = new Map<string, TaskProgress>()
  readonly #positions: Position[] = []
  readonly #log: Log
  readonly #keeper: BoardKeeper | null
  #trimmedAtMs = Number.NEGATIVE_INFINITY
  readonly #reader: LogReader
  readonly #rows = new RecordRows()
  readonly #unsubscribe: (() => void)[] = []
  readonly #listeners = new Set<() => void>()
  #stale = true
  #reading: Promise<void> | null = null
  #refreshes = 0

  constructor(log: Log, parts: readonly BoardPart[], keeper: BoardKeeper | null = null) {
    this.#log = log
    this.#keeper = keeper
    this.#reader = log.reader()
    for (const part of parts) {
      this.#parts.set(part.name, part)
      for (let group = 0; group < part.groups; group++) {
        const task = new TaskProgress()
        this.#tasks.set(`${part.name}/${group}`, task)
        this.#positions.push({ topic: part.progressTopic, partition: group, part, task, offset: 0, readFrom: 0 })
      }
    }
  }

  /** Reads the progress of all tasks, back to the clocks that the readers of each still need, and goes on listening. */
  async open(): Promise<void> {
    const starts = new Map<Position, number>()
    for (const part of this.#parts.values()) {
      for (const ends of this.#log.ends(part.progressTopic)) {
        const position = this.#position(part.progressTopic, ends.partition)
        position.readFrom = position.offset = Math.max(ends.start, ends.end - LOOK_BACK_RECORDS)
        starts.set(position, ends.start)
      }
      this.#unsubscribe.push(
        this.#log.onAppend(part.progressTopic, () => {
          this.#stale = true
          for (const listener of this.#listeners) listener()
        }),
      )
    }
    await this.refresh()
    // The newest record of a task states everything but old clocks, so that where each reader stands is known before the clocks are read.
    for (const [position, start] of starts)
      while (position.readFrom > start && position.task.newestOffset < 0) await this.#readBack(position, start)
    for (const part of this.#parts.values()) {
      const needed = await this.#neededOf(part)
      for (const [position, start] of starts)
        if (position.part === part) while (position.readFrom > start && !position.task.knows(needed)) await this.#readBack(position, start)
    }
  }

  #position(topic: string, partition: number): Position {
    return must(
      this.#positions.find((other) => other.topic === topic && other.partition === partition),
      'progress position',
    )
  }

  /** The tick up to which all readers of `part` have come. One that has never committed begins with the oldest batch of its exchanges. */
  async #neededOf(part: BoardPart): Promise<number> {
    let needed = Number.POSITIVE_INFINITY
    for (const name of part.readers) {
      const reader = must(this.#parts.get(name), `part ${name}`)
      let isNew = false
      for (let group = 0; group < reader.groups; group++) {
        const task = this.#task(name, group)
        if (task.newestOffset < 0) isNew = true
        else needed = Math.min(needed, task.through)
      }
      if (isNew) needed = Math.min(needed, await this.#beforeOldestBatch(reader.exchanges))
    }
    return needed
  }

  async #beforeOldestBatch(exchanges: readonly string[]): Promise<number> {
    let oldest = Number.POSITIVE_INFINITY
    const rows = new RecordRows()
    for (const { topic, partition, start } of exchanges.flatMap((exchange) => this.#log.ends(exchange))) {
      const [first] = await this.#reader.fetch([{ topic, partition, offset: start }], { bytesMax: 1 })
      if (first === undefined || first.error !== null) throw must(first?.error, 'what was fetched')
      if (rows.read(first.bytes, start) > 0) oldest = Math.min(oldest, readHead(first.bytes, rows.valueStarts[0] as number).tick)
    }
    return oldest - 1
  }

  /** Reads as many older records again as were read so far. */
  async #readBack(position: Position, start: number): Promise<void> {
    const { topic, partition, task, readFrom } = position
    const from = Math.max(start, readFrom - Math.max(LOOK_BACK_RECORDS, position.offset - readFrom))
    const older = new TaskProgress()
    for (let offset = from; offset < readFrom;) {
      const [part] = await this.#reader.fetch([{ topic, partition, offset }])
      if (part === undefined || part.error !== null) throw must(part?.error, 'what was fetched')
      if (part.next === offset) break
      this.#apply(part, older, readFrom)
      offset = part.next
    }
    task.prepend(older)
    position.readFrom = from
  }

  /** Applies what was fetched, below `end`. */
  #apply(part: FetchedPartition, task: TaskProgress, end: number): void {
    const rows = this.#rows
    const count = rows.read(part.bytes, part.from)
    for (let row = 0; row < count && (rows.offsets[row] as number) < end; row++) {
      const record = decodeProgress(part.bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number)
      task.apply(record, rows.offsets[row] as number)
    }
  }

  /** Calls back whenever some task may have stated something new. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reads what is new. Cheap when nothing is. Tasks that ask while a read is under way wait for it and what came meanwhile. */
  async refresh(): Promise<void> {
    while (this.#stale || this.#reading !== null) {
      const { fetchNow } = this.#reader
      if (fetchNow !== null) {
        this.#takeNow(fetchNow)
        continue
      }
      this.#reading ??= this.#read()
      await this.#reading
    }
    await this.#trimNowAndThen()
  }

  #takeNow(fetchNow: NonNullable<LogReader['fetchNow']>): void {
    this.#stale = false
    try {
      this.#take(fetchNow(this.#wanted()))
    } catch (error) {
      // What was missed may be the last that comes for long: whoever asks next reads it.
      this.#stale = true
      throw error
    }
  }

  async #read(): Promise<void> {
    this.#stale = false
    try {
      this.#take(await this.#reader.fetch(this.#wanted()))
    } catch (error) {
      this.#stale = true
      throw error
    } finally {
      this.#reading = null
    }
  }

  #wanted(): readonly FetchPosition[] {
    return this.#positions.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
  }

  #take(fetched: readonly FetchedPartition[]): void {
    for (const part of fetched) {
      if (part.error !== null) throw part.error
      if (part.next === part.from) continue
      this.#stale = true
      const position = this.#position(part.topic, part.partition)
      this.#apply(part, position.task, Number.POSITIVE_INFINITY)
      position.offset = part.next
    }
    if (++this.#refreshes % FORGET_EVERY === 0) this.#forget()
  }

  #task(part: string, group: number): TaskProgress {
    return must(this.#tasks.get(`${part}/${group}`), `task ${part}/${group}`)
  }

  through(part: string, group: number): number {
    return this.#task(part, group).through
  }

  reached(part: string, group: number, output: number, partition: number): number {
    return this.#task(part, group).reached[output]?.[partition] ?? 0
  }

  /** Running numbers that a task has reached, per output and partition. */
  reachedBy(part: string, group: number): readonly (readonly number[])[] {
    return this.#task(part, group).reached
  }

  /** The newest number seen anywhere (rule 5). */
  newest(): number {
    let newest = 0
    for (const task of this.#tasks.values()) newest = Math.max(newest, task.through, task.wants)
    return newest
  }

  /** Newest tick that all tasks of the given parts have completed (rule 15, first half). */
  frontier(producers: readonly string[]): number {
    let frontier = Number.POSITIVE_INFINITY
    for (const name of producers) {
      const part = must(this.#parts.get(name), `part ${name}`)
      for (let group = 0; group < part.groups; group++) frontier = Math.min(frontier, this.#task(name, group).through)
    }
    return frontier
  }

  /** Combined clock of the producers as it holds at `tick` (rules 20, 21). */
  clockAt(producers: readonly string[], tick: number): CombinedClock & { readonly wallMs: number } {
    const clocks: { watermark: number; status: CombinedClock['status'] }[] = []
    let wallMs = 0
    for (const name of producers) {
      const part = must(this.#parts.get(name), `part ${name}`)
      for (let group = 0; group < part.groups; group++) {
        const clock = this.#task(name, group).at(tick)
        clocks.push(clock)
        wallMs = Math.max(wallMs, clock.wallMs)
      }
    }
    return { ...combineClocks(clocks), wallMs }
  }

  /** Ticks in (after, upTo] at which some producer's clock changed: a reader visits them even when no rows came (rule 3). */
  clockTicks(producers: readonly string[], after: number, upTo: number): readonly number[] {
    const ticks = new Set<number>()
    for (const name of producers) {
      const part = must(this.#parts.get(name), `part ${name}`)
      for (let group = 0; group < part.groups; group++) this.#task(name, group).collectTicks(after, upTo, ticks)
    }
    return [...ticks].sort((a, b) => a - b)
  }

  /** What the readers of `part` need completed (rule 11, transitive); 0 when it has none. */
  demandOnProducersOf(reader: string, seen = new Set<string>()): number {
    if (seen.has(reader)) return 0
    seen.add(reader)
    const part = must(this.#parts.get(reader), `part ${reader}`)
    let demand = 0
    for (let group = 0; group < part.groups; group++) demand = Math.max(demand, this.#task(reader, group).wants)
    for (const producer of part.producers) {
      const producing = must(this.#parts.get(producer), `part ${producer}`)
      for (let group = 0; group < producing.groups; group++) {
        const task = this.#task(producer, group)
        demand = Math.max(demand, task.through, task.wants)
      }
    }
    for (const next of part.readers) demand = Math.max(demand, this.demandOnProducersOf(next, seen))
    return demand
  }

  /** The largest tick that a task of `part` owes an answer for (rule 12). */
  demandOn(part: string): number {
    let demand = 0
    for (const reader of must(this.#parts.get(part), `part ${part}`).readers) demand = Math.max(demand, this.demandOnProducersOf(reader))
    return demand
  }

  /** Earliest event time that this part or one behind it waits for (rule 24). */
  waitsFor(part: string, seen = new Set<string>()): number {
    if (seen.has(part)) return Number.POSITIVE_INFINITY
    seen.add(part)
    const known = must(this.#parts.get(part), `part ${part}`)
    let earliest = Number.POSITIVE_INFINITY
    for (let group = 0; group < known.groups; group++) earliest = Math.min(earliest, this.#task(part, group).waitsFor)
    for (const reader of known.readers) earliest = Math.min(earliest, this.waitsFor(reader, seen))
    return earliest
  }

  /** The same for the parts behind this one alone. */
  waitsForBehind(part: string): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const reader of must(this.#parts.get(part), `part ${part}`).readers) earliest = Math.min(earliest, this.waitsFor(reader))
    return earliest
  }

  /** The newest clock that a task has stated. */
  clockOf(part: string, group: number): CombinedClock {
    return this.#task(part, group).at(Number.POSITIVE_INFINITY)
  }

  /** Drops clock entries that every reader has passed. */
  #forget(): void {
    for (const part of this.#parts.values()) {
      const passed = this.#passedBy(part)
      for (let group = 0; group < part.groups; group++) this.#task(part.name, group).forget(passed)
    }
  }

  /** The tick that every reader of `part` has stated as complete; infinity without readers. */
  #passedBy(part: BoardPart): number {
    let passed = Number.POSITIVE_INFINITY
    for (const reader of part.readers) {
      const { groups } = must(this.#parts.get(reader), `part ${reader}`)
      for (let group = 0; group < groups; group++) passed = Math.min(passed, this.#task(reader, group).through)
    }
    return passed
  }

  /**
   * The log does not drop old progress by itself: the newest record of a task that has long been quiet says how far it is, and a reader that
   * stood still for longer than the retention goes on by clocks that are as old.
   */
  async #trimNowAndThen(): Promise<void> {
    if (this.#keeper === null) return
    const { clock, owns } = this.#keeper
    if (clock.monotonicMs() - this.#trimmedAtMs < TRIM_EVERY_MS) return
    this.#trimmedAtMs = clock.monotonicMs()
    for (const { topic, partition, part, task } of this.#positions) {
      if (!owns(partition) || task.newestOffset < 0) continue
      const old = await this.#log.offsetForTime(topic, partition, clock.nowMs() - PROGRESS_KEPT_MS, 'append')
      await this.#log.trim(topic, partition, Math.min(old, task.neededFrom(this.#passedBy(part))))
    }
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#listeners.clear()
    this.#reader.close()
  }
}
