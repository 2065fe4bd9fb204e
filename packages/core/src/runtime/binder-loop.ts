// The loop of a task that reads source partitions: takes a tick when there is something to bind, answers readers that wait for it, moves
// idle clocks when somebody waits. Rules cited are ADR 0002's.
import type { TaskCore, TaskClock } from './task-core.ts'
import type { InputStatus, TaskLoop } from './task.ts'
import { combineClocks } from '../time/partition-clock.ts'
import { FileTables } from './file-tables.ts'
import { keptTicks } from './replay.ts'
import type { ReplaySettings, ReplayTick } from './replay.ts'
import { RetryInput } from './retry-input.ts'
import { SourceInput } from './source-input.ts'
import type { SourceHandlers } from './source-input.ts'
import { END_TICK, TickClock } from './tick-clock.ts'

/** Idle clocks move at most this often, and only while a window or timer waits (rule 24). */
const HEARTBEAT_MS = 1000
/** The event loop gets a turn after this much uninterrupted work. */
const SLICE_MS = 4
const IDLE_WAIT_MS_MAX = 60_000

interface Source {
  readonly index: number
  readonly input: SourceInput
}

export class BinderLoop implements TaskLoop {
  readonly #core: TaskCore
  readonly #sources: readonly Source[]
  readonly #byName: ReadonlyMap<string, Source>
  readonly #retry: RetryInput
  readonly #ticks: TickClock
  readonly #fileTables: FileTables
  readonly #unsubscribe: (() => void)[] = []
  /** Set in a replay: the ticks still to come. */
  #kept: readonly ReplayTick[] | null = null
  /** The next of them; behind the last one comes the end. */
  #keptAt = 0
  #lastBindAt = Number.NEGATIVE_INFINITY
  #lastHeartbeatAt = Number.NEGATIVE_INFINITY

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
      }
      sources.push({ index, input: new SourceInput(environment.log, spec, decoder, options, core.state.sources) })
      this.#unsubscribe.push(environment.log.onAppend(spec.topic.name, wake))
    }
    // Tables before streams, each in plan order (rule 16).
    this.#sources = [...sources.filter((source) => source.input.spec.table), ...sources.filter((source) => !source.input.spec.table)]
    this.#byName = new Map(sources.map((source) => [source.input.spec.name, source]))
    this.#retry = new RetryInput(core)
    this.#fileTables = new FileTables(core)
    this.#ticks = new TickClock(environment.clock, environment.plan.settings.commitMsMin, core.state.through)
    this.#unsubscribe.push(environment.log.onAppend(this.#retry.topic, wake), environment.board.onChange(wake))
  }

  static async open(core: TaskCore, wake: () => void): Promise<BinderLoop> {
    const loop = new BinderLoop(core, wake)
    await core.environment.board.refresh()
    const { log, bounded, replay } = core.environment
    if (replay !== null) await loop.#openReplay(replay)
    else if (bounded)
      for (const { input } of loop.#sources)
        input.boundAt(new Map(log.ends(input.spec.topic.name).map((ends) => [ends.partition, ends.end])))
    return loop
  }

  async #openReplay(replay: ReplaySettings): Promise<void> {
    const { log } = this.#core.environment
    // A restart behind the end has nothing left to replay.
    if (this.#core.state.status === 'ended') return
    const kept = await keptTicks(log, replay, this.#core.part.name, this.#core.group)
    this.#kept = kept.filter((tick) => tick.tick > this.#core.state.through)
    for (const { input } of this.#sources)
      for (const { partition, from } of replay.range.topics.get(input.spec.topic.name) ?? []) input.seek(partition, from)
  }

  /** Rule 10: the next kept tick, with its ranges and clocks; after the last one the input has ended. */
  async #replayStep(kept: readonly ReplayTick[]): Promise<number> {
    const next = kept[this.#keptAt]
    const last = next === undefined
    const tick = next?.tick ?? END_TICK
    const wallMs = next?.wallMs ?? this.#core.state.wallMs
    this.#keptAt++
    if (last) for (const { input } of this.#sources) input.endAll()
    // Every change of the clocks is stated, as it was (rule 3): what is late in the next tick depends on it.
    if (!last && next.ranges.length === 0 && next.watermarkMs === this.#core.state.watermarkMs && next.status === this.#core.state.status)
      return 0
    this.#core.startTick(tick, wallMs)
    this.#fileTables.read()
    for (const source of this.#sources) {
      const handlers = this.#handlers(source)
      for (const range of next?.ranges ?? [])
        if (range.topic === source.input.spec.topic.name) await source.input.replayTo(range.partition, range.to, range.refused, handlers)
    }
    const clock: TaskClock = last
      ? { watermarkMs: Number.POSITIVE_INFINITY, status: 'ended', wallMs }
      : { watermarkMs: next.watermarkMs, status: next.status, wallMs }
    const ranges = this.#sources.flatMap(({ input }) => input.bind())
    await this.#commitTick(
      tick,
      clock,
      ranges.length > 0 ? [{ tick, wallMs, codeVersion: this.#core.environment.topology.codeVersion, ranges }] : [],
    )
    return 0
  }

  async step(): Promise<number> {
    const { environment, part } = this.#core
    const { clock, plan, board } = environment
    await board.refresh()
    if (this.#kept !== null && this.#keptAt <= this.#kept.length) return this.#core.hasRoom() ? this.#replayStep(this.#kept) : HEARTBEAT_MS
    const demanded = board.demandOn(part.name)
    const owed = demanded > this.#core.state.through
    if (!this.#core.hasRoom()) {
      // Rule 13: without room the answer is an empty tick that leaves the clocks; the board wakes this task when its reader has moved.
      if (owed) await this.#emptyTick(demanded, false)
      return HEARTBEAT_MS
    }
    const sinceBind = clock.monotonicMs() - this.#lastBindAt
    if (this.#hasRows()) {
      if (sinceBind < plan.settings.commitMsMin) return Math.max(1, plan.settings.commitMsMin - sinceBind)
      if (await this.#rowTick()) return 0
    }
    if (owed) {
      // The demanded number itself: a newer one would be a demand on the others, and their answers one on this task.
      await this.#emptyTick(demanded)
      return 0
    }
    return this.#clockStep()
  }

  #hasRows(): boolean {
    if (this.#retry.hasLag()) return true
    const { log } = this.#core.environment
    return this.#sources.some(({ input }) => input.lag(log) > 0)
  }

  /** Binds what is there to one tick: all of it, or what fits into the time and bytes of a tick. False when nothing could be taken. */
  async #rowTick(): Promise<boolean> {
    const { clock, plan, board, topology } = this.#core.environment
    const startedAt = clock.monotonicMs()
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    const tick = this.#ticks.next(board.newest())
    this.#core.startTick(tick, wallMs)
    this.#fileTables.read()
    let taken = this.#retry.hasLag() ? await this.#retry.poll(this.#byName) : 0
    let sliceStart = startedAt
    const lanes = this.#sources.reduce((sum, { input }) => sum + input.partitionCount, 0)
    let lane = 0
    for (const source of this.#sources) {
      const handlers = this.#handlers(source)
      for (let partition = 0; partition < source.input.partitionCount; partition++) {
        lane++
        // Each partition may use its share of the tick's time, so that a long backlog in the first does not starve the others.
        const until = startedAt + (plan.settings.commitMsMax * lane) / lanes
        let bytes = 0
        for (;;) {
          const got = await source.input.poll(partition, handlers)
          bytes += got
          if (got === 0 || bytes >= plan.settings.tickBytesMax) break
          const now = clock.monotonicMs()
          if (now >= until) break
          if (now - sliceStart >= SLICE_MS) {
            await this.#core.environment.scheduler.turn()
            sliceStart = clock.monotonicMs()
          }
        }
        taken += bytes
      }
    }
    if (taken === 0) return false
    for (const { input } of this.#sources) input.advanceIdle(wallMs)
    const ranges = this.#sources.flatMap(({ input }) => input.bind())
    await this.#finish(tick, wallMs, ranges.length > 0 ? [{ tick, wallMs, codeVersion: topology.codeVersion, ranges }] : [])
    return true
  }

  #handlers(source: Source): SourceHandlers {
    return {
      process: (batch) => this.#core.process(source.index, batch),
      reject: (batch, row, error) => this.#core.reject(source.input.spec.name, 0, batch, row, error),
    }
  }

  /** `demanded`: the tick that a reader waits for; null takes a number of its own (rules 5, 13). */
  async #emptyTick(demanded: number | null, moveClocks = true): Promise<void> {
    const { clock, board } = this.#core.environment
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    const tick = demanded ?? this.#ticks.next(board.newest())
    this.#ticks.atLeast(tick)
    this.#core.startTick(tick, wallMs)
    this.#fileTables.read()
    if (moveClocks) for (const { input } of this.#sources) input.advanceIdle(wallMs)
    await this.#finish(tick, wallMs, [])
  }

  async #finish(tick: number, wallMs: number, bindings: Parameters<TaskCore['commit']>[2]['bindings']): Promise<void> {
    const combined = combineClocks(this.#sources.flatMap(({ input }) => input.clocks()))
    await this.#commitTick(tick, { watermarkMs: combined.watermark, status: combined.status, wallMs }, bindings)
  }

  async #commitTick(tick: number, clock: TaskClock, bindings: Parameters<TaskCore['commit']>[2]['bindings']): Promise<void> {
    this.#core.endTick(clock)
    this.#core.checkBadShare()
    this.#lastBindAt = this.#core.environment.clock.monotonicMs()
    await this.#core.commit(tick, clock, {
      sources: this.#sources.flatMap(({ input }) => input.positions()),
      exchanges: [],
      retryNext: this.#retry.next,
      bindings,
      wants: 0,
    })
  }

  /** Nothing to read and nothing owed: clocks move only when a window or timer waits for them (rule 24). Returns the wait. */
  async #clockStep(): Promise<number> {
    const { environment, part, state, instance } = this.#core
    const { clock, board, log } = environment
    const now = clock.monotonicMs()
    const wallMs = clock.nowMs()
    for (const { input } of this.#sources) input.observe(log)
    const statable = combineClocks(this.#sources.flatMap(({ input }) => input.clocksNow(wallMs)))
    if (statable.status === 'ended' && state.status !== 'ended' && this.#sources.length > 0) {
      await this.#emptyTick(null)
      return 0
    }
    const waitsFor = Math.min(board.waitsFor(part.name), instance.nextDue())
    const idleDue = Math.min(...this.#sources.map(({ input }) => input.idleDueAt()))
    const untilIdle = Math.max(1, idleDue - now)
    if (waitsFor === Number.POSITIVE_INFINITY) return Math.min(IDLE_WAIT_MS_MAX, this.#hasRows() ? untilIdle : IDLE_WAIT_MS_MAX)
    const reaches = waitsFor > state.watermarkMs && statable.watermark >= waitsFor
    const becameIdle = state.status === 'active' && statable.status === 'idle'
    if ((reaches || becameIdle) && now - this.#lastHeartbeatAt >= HEARTBEAT_MS) {
      this.#lastHeartbeatAt = now
      await this.#emptyTick(null)
      return 0
    }
    return Math.min(untilIdle, HEARTBEAT_MS)
  }

  watermarkMs(): number {
    return this.#core.state.watermarkMs
  }

  lag(): number {
    return this.#sources.reduce((sum, { input }) => sum + input.lag(this.#core.environment.log), 0)
  }

  inputStatus(): readonly InputStatus[] {
    return this.#sources.map(({ input }) => ({
      input: input.spec.name,
      kind: 'source',
      lag: input.lag(this.#core.environment.log),
      partitions: input.status(),
      producers: [],
    }))
  }

  finished(): boolean {
    return this.#core.environment.bounded && this.#core.state.status === 'ended' && !this.#retry.hasLag()
  }

  async finish(): Promise<void> {
    // Every tick is committed when it ends: nothing is left.
    await Promise.resolve()
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    for (const { input } of this.#sources) input.close()
    this.#retry.close()
    await Promise.resolve()
  }
}
