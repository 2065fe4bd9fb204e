// What this process knows of every task's progress: the newest record of each, and the clock entries that readers still need.
// Reads the progress topics of one pipeline; tasks ask it for frontiers, demand and clocks. Rules cited are ADR 0002's.
import type { FetchedPartition, FetchPosition, Log, LogReader } from '../log/log.ts'
import { must } from '../base/assert.ts'
import { RecordRows } from '../codec/record-rows.ts'
import { combineClocks } from '../time/partition-clock.ts'
import type { CombinedClock } from '../time/partition-clock.ts'
import { decodeProgress } from './progress.ts'
import type { ProgressEntry, ProgressRecord } from './progress.ts'

/** A task in the graph of the pipeline: `part/group`. */
export interface BoardTask {
  readonly part: string
  readonly group: number
}

export interface BoardPart {
  readonly name: string
  readonly groups: number
  readonly progressTopic: string
  /** Parts that write an exchange which this part reads, and the other way round. */
  readonly producers: readonly string[]
  readonly readers: readonly string[]
}

/** Old clock entries are dropped once in so many reads. */
const FORGET_EVERY = 256

class TaskProgress {
  through = 0
  wants = 0
  waitsFor = Number.POSITIVE_INFINITY
  reached: readonly (readonly number[])[] = []
  readonly entries: ProgressEntry[] = []

  apply(record: ProgressRecord): void {
    this.through = Math.max(this.through, record.through)
    this.wants = record.wants
    this.waitsFor = record.waitsFor
    if (record.reached.length > 0) this.reached = record.reached
    this.entries.push(...record.entries)
  }

  /** The entry that holds at `tick` (rule 21); no entry yet: (-Infinity, active). */
  at(tick: number): { readonly watermark: number; readonly wallMs: number; readonly status: CombinedClock['status'] } {
    for (let index = this.entries.length - 1; index >= 0; index--) {
      const entry = this.entries[index] as ProgressEntry
      if (entry.tick <= tick) return entry
    }
    return { watermark: Number.NEGATIVE_INFINITY, wallMs: 0, status: 'active' }
  }

  /** Entries older than the one that holds at `tick` are needed by nobody. */
  forget(tick: number): void {
    let keep = 0
    while (keep + 1 < this.entries.length && (this.entries[keep + 1] as ProgressEntry).tick <= tick) keep++
    if (keep > 64) this.entries.splice(0, keep)
  }
}

export class ProgressBoard {
  readonly #parts = new Map<string, BoardPart>()
  readonly #tasks = new Map<string, TaskProgress>()
  readonly #positions: { topic: string; partition: number; offset: number; task: TaskProgress }[] = []
  readonly #log: Log
  readonly #reader: LogReader
  readonly #rows = new RecordRows()
  readonly #unsubscribe: (() => void)[] = []
  readonly #listeners = new Set<() => void>()
  #stale = true
  #reading: Promise<void> | null = null
  #refreshes = 0

  constructor(log: Log, parts: readonly BoardPart[]) {
    this.#log = log
    this.#reader = log.reader()
    for (const part of parts) {
      this.#parts.set(part.name, part)
      for (let group = 0; group < part.groups; group++) {
        const task = new TaskProgress()
        this.#tasks.set(`${part.name}/${group}`, task)
        this.#positions.push({ topic: part.progressTopic, partition: group, offset: 0, task })
      }
    }
  }

  /** Reads the kept progress of all tasks and goes on listening. `recent`: how many of the newest records to read at the start. */
  async open(recentBytes: number): Promise<void> {
    for (const part of this.#parts.values()) {
      for (const ends of this.#log.ends(part.progressTopic)) {
        const position = must(
          this.#positions.find((other) => other.topic === part.progressTopic && other.partition === ends.partition),
          'progress position',
        )
        // One writer per partition and dense enough records: starting near the end is enough, since each record states everything but old entries.
        position.offset = ends.bytes > recentBytes ? Math.max(ends.start, ends.end - 1024) : ends.start
      }
      this.#unsubscribe.push(
        this.#log.onAppend(part.progressTopic, () => {
          this.#stale = true
          for (const listener of this.#listeners) listener()
        }),
      )
    }
    await this.refresh()
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
        this.#stale = false
        this.#take(fetchNow(this.#wanted()))
        continue
      }
      this.#reading ??= this.#read()
      await this.#reading
    }
  }

  async #read(): Promise<void> {
    try {
      this.#stale = false
      this.#take(await this.#reader.fetch(this.#wanted()))
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
      const position = must(
        this.#positions.find((other) => other.topic === part.topic && other.partition === part.partition),
        'progress position',
      )
      const count = this.#rows.read(part.bytes, part.from)
      for (let row = 0; row < count; row++) {
        position.task.apply(decodeProgress(part.bytes, this.#rows.valueStarts[row] as number, this.#rows.valueEnds[row] as number))
      }
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
      for (let group = 0; group < part.groups; group++) {
        for (const entry of this.#task(name, group).entries) if (entry.tick > after && entry.tick <= upTo) ticks.add(entry.tick)
      }
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
      let passed = Number.POSITIVE_INFINITY
      for (const reader of part.readers) {
        const groups = must(this.#parts.get(reader), `part ${reader}`).groups
        for (let group = 0; group < groups; group++) passed = Math.min(passed, this.#task(reader, group).through)
      }
      for (let group = 0; group < part.groups; group++) this.#task(part.name, group).forget(passed)
    }
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#listeners.clear()
    this.#reader.close()
  }
}
