// The source side of a task: its source topics, tables before streams, its file tables and its retry partition. Whoever owns it decides what
// a tick is: the binder ends one when its time or bytes are full (binder-loop.ts), a direct sink at its checkpoint (direct-sink-loop.ts).
// Rules cited are ADR 0002's.
import type { SubTopology } from '../../compile/topology.ts'
import type { TaskCore } from '../task/task-core.ts'
import type { CombinedClock } from '../../time/partition-clock.ts'
import type { InputStatus } from '../task-loop.ts'
import type { BoundRange } from '../exchange/progress.ts'
import type { SourcePosition } from '../recovery/commit-state.ts'
import type { SourceHandlers } from './source-input.ts'
import { combineClocks } from '../../time/partition-clock.ts'
import { FileTables } from '../file-tables.ts'
import { keptTicks } from '../replay.ts'
import type { ReplaySettings, ReplayTick } from '../replay.ts'
import { RetryInput } from '../task/retry-input.ts'
import { SourceInput } from './source-input.ts'

/** The event loop gets a turn after this much uninterrupted work. */
const SLICE_MS = 4

interface Source {
  readonly index: number
  readonly input: SourceInput
}

/** Asked after every fetch: true ends the round. */
export type FullCheck = () => boolean | Promise<boolean>

export class SourceInputs {
  readonly #core: TaskCore
  readonly #sources: readonly Source[]
  readonly #byName: ReadonlyMap<string, Source>
  readonly #retry: RetryInput
  readonly #fileTables: FileTables
  readonly #unsubscribe: (() => void)[] = []
  /** In a bounded run: the parts that write a `through` topic which is read here, until all of them have ended. */
  #writers: readonly SubTopology[] = []
  #kept: readonly ReplayTick[] | null = null

  private constructor(core: TaskCore, wake: () => void) {
    const { environment, part, group } = core
    this.#core = core
    const sources: Source[] = []
    for (const [index, spec] of part.inputs.entries()) {
      if (spec.kind !== 'source') continue
      const decoder = environment.compiler.sourceDecoder(environment.plan, spec, environment.codegen)
      const options = {
        group,
        groups: part.groups,
        settings: environment.plan.settings,
        clock: environment.clock,
        startAt: environment.startAt,
        onLost: (partition: number, count: number) =>
          environment.report({ kind: 'records-lost', task: core.name, topic: spec.topic.name, partition, count }),
      }
      const input = new SourceInput(environment.log, spec, decoder, options, core.state.sources)
      const arrived = (): void => {
        input.arrived(environment.log)
        wake()
      }
      sources.push({ index, input })
      this.#unsubscribe.push(environment.log.onAppend(spec.topic.name, arrived))
    }
    // Tables before streams, each in plan order (rule 16).
    this.#sources = [...sources.filter((source) => source.input.spec.table), ...sources.filter((source) => !source.input.spec.table)]
    this.#byName = new Map(sources.map((source) => [source.input.spec.name, source]))
    this.#retry = new RetryInput(core)
    this.#fileTables = new FileTables(core)
    this.#unsubscribe.push(environment.log.onAppend(this.#retry.topic, wake))
  }

  /** Opens the inputs where the newest commit left them. In a bounded run they have an end, which `waitsForWriters` may have to wait for. */
  static async open(core: TaskCore, wake: () => void): Promise<SourceInputs> {
    const inputs = new SourceInputs(core, wake)
    try {
      await inputs.#begin()
      return inputs
    } catch (error) {
      inputs.close()
      throw error
    }
  }

  async #begin(): Promise<void> {
    const { bounded, replay } = this.#core.environment
    if (replay !== null)
      for (const { input } of this.#sources)
        if (!input.spec.table && replay.range.topics.has(input.spec.topic.name)) input.replayOnly(replay.range.eventTimes ?? null)
    // A restart behind the end has nothing left to read.
    if (!bounded || this.#core.state.status === 'ended') return
    this.#writers = this.#throughWriters()
    if (this.#writers.length > 0) return
    if (replay === null) this.#boundNow(null)
    else this.#kept = await this.#keptTicks(replay)
  }

  /** The ticks of a replay that were still to come at the start, oldest first; null when the task makes its own. */
  get kept(): readonly ReplayTick[] | null {
    return this.#kept
  }

  /**
   * A bounded run reads a `through` topic to its end, and where that is shows only when the parts that write it have ended. True while one
   * of them may still write.
   */
  waitsForWriters(): boolean {
    if (this.#writers.length === 0) return false
    const { board, replay } = this.#core.environment
    const haveEnded = this.#writers.every(({ name, groups }) =>
      Array.from({ length: groups }, (_, group) => board.clockOf(name, group)).every(({ status }) => status === 'ended'),
    )
    if (!haveEnded) return true
    this.#writers = []
    this.#boundNow(replay)
    return false
  }

  /** The parts of the pipeline that write the `through` topics which are read here. */
  #throughWriters(): readonly SubTopology[] {
    const { plan, topology } = this.#core.environment
    const through = new Set(plan.nodes.flatMap((node) => (node.kind === 'through' ? [node.topic.name] : [])))
    const read = new Set(this.#sources.map(({ input }) => input.spec.topic.name).filter((name) => through.has(name)))
    return topology.parts.filter((part) => part.outputs.some((output) => output.kind === 'topic' && read.has(output.topic.name)))
  }

  /** The inputs end at their visible ends as of now; in a replay where its range ends. */
  #boundNow(replay: ReplaySettings | null): void {
    const { log } = this.#core.environment
    for (const { input } of this.#sources) {
      const range = replay?.range.topics.get(input.spec.topic.name) ?? []
      for (const { partition, from } of range) input.seek(partition, from)
      const ends = log
        .ends(input.spec.topic.name)
        .map(({ partition, end }) => [partition, range.find((other) => other.partition === partition)?.to ?? end] as const)
      input.boundAt(new Map(ends))
    }
  }

  async #keptTicks(replay: ReplaySettings): Promise<readonly ReplayTick[]> {
    const { environment, part, group, state } = this.#core
    const disorderMs = new Map(this.#sources.map(({ input: { spec } }) => [spec.topic.name, spec.topic.disorderMs]))
    const kept = await keptTicks(environment.log, replay, part.name, group, disorderMs, environment.scheduler)
    for (const { input } of this.#sources)
      for (const { partition, from } of replay.range.topics.get(input.spec.topic.name) ?? []) input.seek(partition, from)
    return kept.filter((tick) => tick.tick > state.through)
  }

  /** Rule 10: the rows of a kept tick, which has been started. `settle`: awaited after each fetch. */
  async replay(tick: ReplayTick, settle: () => Promise<void> | null = (): null => null): Promise<void> {
    for (const source of this.#sources) {
      const handlers = this.#handlers(source)
      for (const range of tick.ranges)
        if (range.topic !== source.input.spec.topic.name) continue
        else if (range.isOutside) source.input.skipTo(range.partition, range.to)
        else await source.input.replayTo(range.partition, range.to, range.refused, handlers, settle)
    }
  }

  /** Nothing will be read any more. */
  endAll(): void {
    for (const { input } of this.#sources) input.endAll()
  }

  get isEmpty(): boolean {
    return this.#sources.length === 0
  }

  get retryNext(): number {
    return this.#retry.next
  }

  hasRetries(): boolean {
    return this.#retry.hasLag()
  }

  hasRows(): boolean {
    return this.#retry.hasLag() || this.lag() > 0
  }

  /** Files that are tables, before the first row of anything else. A tick has been started. */
  readFileTables(): void {
    this.#fileTables.read()
  }

  /**
   * One round over everything: retries, then each partition up to its share of the time and bytes of a tick. Returns the bytes (of
   * retries: letters) taken. A tick has been started.
   */
  async poll(isFull: FullCheck): Promise<number> {
    const { clock, scheduler } = this.#core.environment
    const { commitMsMax, tickBytesMax } = this.#core.environment.plan.settings
    const startedAt = clock.monotonicMs()
    let taken = this.#retry.hasLag() ? await this.#retry.poll(this.#byName) : 0
    let sliceStart = startedAt
    const partitions = this.#sources.reduce((sum, { input }) => sum + input.partitionCount, 0)
    let turn = 0
    for (const source of this.#sources) {
      const handlers = this.#handlers(source)
      for (let partition = 0; partition < source.input.partitionCount; partition++) {
        turn++
        // Each partition may use its share of the tick's time, so that a long backlog in the first does not starve the others.
        const until = startedAt + (commitMsMax * turn) / partitions
        let bytes = 0
        for (;;) {
          const got = await source.input.poll(partition, handlers)
          bytes += got
          const full = isFull()
          if (full === true || (full !== false && (await full))) return taken + bytes
          if (got === 0 || bytes >= tickBytesMax) break
          const now = clock.monotonicMs()
          if (now >= until) break
          if (now - sliceStart >= SLICE_MS) {
            await scheduler.turn()
            sliceStart = clock.monotonicMs()
          }
        }
        taken += bytes
      }
    }
    return taken
  }

  #handlers(source: Source): SourceHandlers {
    return {
      process: (batch) => this.#core.process(source.index, batch),
      reject: (batch, row, error) => this.#core.letters.reject(source.input.spec.name, 0, batch, row, error),
    }
  }

  /** Idle watermarks go on with the wall clock: taken when a tick is made. */
  advanceIdle(wallMs: number): void {
    for (const { input } of this.#sources) input.advanceIdle(wallMs)
  }

  /** Closes the open tick: the ranges that it bound. */
  bind(): readonly BoundRange[] {
    return this.#sources.flatMap(({ input }) => input.bind())
  }

  /** What was read is committed: says how long the oldest of it has waited, where that is known. */
  committed(): void {
    const ages = this.#sources.map(({ input }) => input.committed()).filter((age) => age !== null)
    if (ages.length > 0) this.#core.figures.visibleMs = Math.max(...ages)
  }

  positions(): readonly SourcePosition[] {
    return this.#sources.flatMap(({ input }) => input.positions())
  }

  clock(): CombinedClock {
    return combineClocks(this.#sources.flatMap(({ input }) => input.clocks()))
  }

  /** Looks at the visible ends, and gives the clock as it could be stated now, idle time included. */
  clockNow(wallMs: number): CombinedClock {
    for (const { input } of this.#sources) input.observe(this.#core.environment.log)
    return combineClocks(this.#sources.flatMap(({ input }) => input.clocksNow(wallMs)))
  }

  /** Monotonic time at which the next partition becomes idle, or a jump that nothing confirms is decided. */
  idleDueAt(): number {
    return Math.min(...this.#sources.map(({ input }) => input.idleDueAt()))
  }

  lag(): number {
    return this.#sources.reduce((sum, { input }) => sum + input.lag(this.#core.environment.log), 0)
  }

  status(): readonly InputStatus[] {
    return this.#sources.map(({ input }) => ({
      input: input.spec.name,
      kind: 'source',
      lag: input.lag(this.#core.environment.log),
      waitingMs: input.waitingMs(),
      partitions: input.status(),
      producers: [],
      ...(input.replayed === null ? {} : { replayed: { ...input.replayed } }),
    }))
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    for (const { input } of this.#sources) input.close()
    this.#retry.close()
  }
}
