// The loop of a task that reads source partitions: takes a tick when there is something to bind, answers readers that wait for it, moves
// idle clocks when somebody waits. Rules cited are ADR 0002's.
import type { TaskCore, TaskClock } from './task-core.ts'
import type { InputStatus, TaskLoop } from '../task-loop.ts'
import type { ReplayTick } from '../replay.ts'
import { SourceInputs } from '../source/source-inputs.ts'
import { END_TICK, TickClock } from './tick-clock.ts'

/** Idle clocks move at most this often, and only while a window or timer waits (rule 24). */
const HEARTBEAT_MS = 1000
const IDLE_WAIT_MS_MAX = 60_000
const NEVER_FULL = (): boolean => false

export class BinderLoop implements TaskLoop {
  readonly #core: TaskCore
  readonly #inputs: SourceInputs
  readonly #ticks: TickClock
  readonly #unsubscribe: () => void
  /** The next kept tick of a replay; behind the last one comes the end. */
  #keptAt = 0
  #lastBindAt = Number.NEGATIVE_INFINITY
  #lastHeartbeatAt = Number.NEGATIVE_INFINITY

  private constructor(core: TaskCore, inputs: SourceInputs, wake: () => void) {
    const { environment } = core
    this.#core = core
    this.#inputs = inputs
    this.#ticks = new TickClock(environment.clock, environment.plan.settings.commitMsMin, core.state.through)
    this.#unsubscribe = environment.board.onChange(wake)
  }

  static async open(core: TaskCore, wake: () => void): Promise<BinderLoop> {
    await core.environment.board.refresh()
    return new BinderLoop(core, await SourceInputs.open(core, wake), wake)
  }

  /** Rule 10: the next kept tick, with its ranges and clocks; after the last one the input has ended. */
  async #replayStep(kept: readonly ReplayTick[]): Promise<number> {
    const next = kept[this.#keptAt]
    const last = next === undefined
    const tick = next?.tick ?? END_TICK
    const wallMs = next?.wallMs ?? this.#core.state.wallMs
    this.#keptAt++
    if (last) this.#inputs.endAll()
    // Every change of the clocks is stated, as it was (rule 3): what is late in the next tick depends on it.
    if (!last && next.ranges.length === 0 && next.watermarkMs === this.#core.state.watermarkMs && next.status === this.#core.state.status)
      return 0
    this.#core.startTick(tick, wallMs)
    this.#inputs.readFileTables()
    if (next !== undefined) await this.#inputs.replay(next)
    const clock: TaskClock = last
      ? { watermarkMs: Number.POSITIVE_INFINITY, status: 'ended', wallMs }
      : { watermarkMs: next.watermarkMs, status: next.status, wallMs }
    const ranges = this.#inputs.bind()
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
    const { kept } = this.#inputs
    if (kept !== null && this.#keptAt <= kept.length) return this.#core.outputs.hasRoom() ? this.#replayStep(kept) : HEARTBEAT_MS
    const demanded = board.demandOn(part.name)
    const owed = demanded > this.#core.state.through
    if (this.#inputs.waitsForWriters()) {
      if (owed) await this.#emptyTick(demanded, false)
      return IDLE_WAIT_MS_MAX
    }
    if (!this.#core.outputs.hasRoom()) {
      // Rule 13: without room the answer is an empty tick that leaves the clocks; the board wakes this task when its reader has moved.
      if (owed) await this.#emptyTick(demanded, false)
      return HEARTBEAT_MS
    }
    const sinceBind = clock.monotonicMs() - this.#lastBindAt
    if (this.#inputs.hasRows()) {
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

  /** Binds what is there to one tick: all of it, or what fits into the time and bytes of a tick. False when nothing could be taken. */
  async #rowTick(): Promise<boolean> {
    const { clock, board, topology } = this.#core.environment
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    const tick = this.#ticks.next(board.newest())
    this.#core.startTick(tick, wallMs)
    this.#inputs.readFileTables()
    if ((await this.#inputs.poll(NEVER_FULL)) === 0) return false
    this.#inputs.advanceIdle(wallMs)
    const ranges = this.#inputs.bind()
    await this.#finish(tick, wallMs, ranges.length > 0 ? [{ tick, wallMs, codeVersion: topology.codeVersion, ranges }] : [])
    return true
  }

  /** `demanded`: the tick that a reader waits for; null takes a number of its own (rules 5, 13). */
  async #emptyTick(demanded: number | null, moveClocks = true): Promise<void> {
    const { clock, board } = this.#core.environment
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    const tick = demanded ?? this.#ticks.next(board.newest())
    this.#ticks.atLeast(tick)
    this.#core.startTick(tick, wallMs)
    this.#inputs.readFileTables()
    if (moveClocks) this.#inputs.advanceIdle(wallMs)
    await this.#finish(tick, wallMs, [])
  }

  async #finish(tick: number, wallMs: number, bindings: Parameters<TaskCore['commit']>[2]['bindings']): Promise<void> {
    const combined = this.#inputs.clock()
    await this.#commitTick(tick, { watermarkMs: combined.watermark, status: combined.status, wallMs }, bindings)
  }

  async #commitTick(tick: number, clock: TaskClock, bindings: Parameters<TaskCore['commit']>[2]['bindings']): Promise<void> {
    this.#core.endTick(clock)
    this.#core.letters.checkShare()
    this.#lastBindAt = this.#core.environment.clock.monotonicMs()
    await this.#core.commit(tick, clock, {
      sources: this.#inputs.positions(),
      exchanges: [],
      retryNext: this.#inputs.retryNext,
      bindings,
      wants: 0,
    })
    this.#inputs.committed()
  }

  /** Nothing to read and nothing owed: clocks move only when a window or timer waits for them (rule 24). Returns the wait. */
  async #clockStep(): Promise<number> {
    const { environment, part, state, instance } = this.#core
    const { clock, board } = environment
    const now = clock.monotonicMs()
    const wallMs = clock.nowMs()
    const statable = this.#inputs.clockNow(wallMs)
    if (statable.status === 'ended' && state.status !== 'ended' && !this.#inputs.isEmpty) {
      await this.#emptyTick(null)
      return 0
    }
    const waitsFor = Math.min(board.waitsFor(part.name), instance.nextDue())
    const untilIdle = Math.max(1, this.#inputs.idleDueAt() - now)
    if (waitsFor === Number.POSITIVE_INFINITY) return Math.min(IDLE_WAIT_MS_MAX, this.#inputs.hasRows() ? untilIdle : IDLE_WAIT_MS_MAX)
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
    return this.#inputs.lag()
  }

  inputStatus(): readonly InputStatus[] {
    return this.#inputs.status()
  }

  sinkStatus(): null {
    return null
  }

  finished(): boolean {
    return this.#core.environment.bounded && this.#core.state.status === 'ended' && !this.#inputs.hasRetries()
  }

  async finish(): Promise<void> {
    // Every tick is committed when it ends: nothing is left.
    await Promise.resolve()
  }

  async close(): Promise<void> {
    this.#unsubscribe()
    this.#inputs.close()
    await Promise.resolve()
  }
}
