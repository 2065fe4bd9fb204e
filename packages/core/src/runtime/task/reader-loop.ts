// The loop of a task behind exchanges: applies whole ticks only, in order, and commits each (ADR 0002, rules 13-18, 24).
import type { TaskClock, TaskCore } from './task-core.ts'
import type { ProgressEntry } from '../exchange/progress.ts'
import type { InputStatus, TaskLoop } from '../task-loop.ts'
import { ExchangeInputs, PASSED_OVER_MAX } from '../exchange/exchange-inputs.ts'
import { FileTables } from '../file-tables.ts'
import { RetryInput } from './retry-input.ts'

const WAIT_MS_MAX = 60_000
/** Clock entries that may wait for a commit (rule 24). */
const ENTRIES_MAX = 64

export class ReaderLoop implements TaskLoop {
  readonly #core: TaskCore
  readonly #exchanges: ExchangeInputs
  readonly #producers: readonly string[]
  readonly #retry: RetryInput
  readonly #fileTables: FileTables
  readonly #unsubscribe: (() => void)[] = []
  /** Ticks up to here were looked at: those without effect moved the clocks in memory only (rule 18). */
  #seen: number
  /** At the end of `#seen`; never goes back. */
  #watermark: number
  /** The clocks of ticks looked at since the last commit, which states them all (rule 3). */
  #passed: ProgressEntry[] = []
  #wanted = 0
  #passedOver = 0

  private constructor(core: TaskCore, wake: () => void) {
    this.#core = core
    this.#exchanges = new ExchangeInputs(core)
    this.#producers = this.#exchanges.producers
    this.#retry = new RetryInput(core)
    this.#fileTables = new FileTables(core)
    this.#seen = core.state.through
    this.#watermark = core.state.watermarkMs
    const { log, board } = core.environment
    this.#unsubscribe.push(board.onChange(wake), log.onAppend(this.#retry.topic, wake), ...this.#exchanges.subscribe(wake))
  }

  static async open(core: TaskCore, wake: () => void): Promise<ReaderLoop> {
    await core.environment.board.refresh()
    return new ReaderLoop(core, wake)
  }

  async step(): Promise<number> {
    const { environment, part } = this.#core
    const { board } = environment
    await board.refresh()
    await this.#exchanges.gather()
    const frontier = this.#exchanges.frontier()
    if (frontier > this.#seen && this.#core.outputs.hasRoom()) {
      const tick = this.#nextTick(frontier)
      if (tick !== null) {
        await this.#applyTick(tick)
        await this.#exchanges.trim()
        return 0
      }
    }
    const through = this.#core.state.through
    const complete = Math.min(frontier, this.#seen)
    const owed = board.demandOn(part.name) > through
    const full = this.#passedOver >= PASSED_OVER_MAX || this.#passed.length >= ENTRIES_MAX
    if (complete > through && (owed || full || this.#clockWanted(complete))) {
      await this.#commit(complete, this.#clockAt(complete), 0)
      return 0
    }
    if (this.#retry.hasLag()) return this.#wantTick()
    return WAIT_MS_MAX
  }

  /** The next tick with an effect; ticks without one are passed over in memory. Null when none is left up to the frontier. */
  #nextTick(frontier: number): number | null {
    const firstRows = this.#exchanges.firstTick()
    const due = this.#core.instance.nextDue()
    if (due < Number.POSITIVE_INFINITY) {
      for (const tick of this.#core.environment.board.clockTicks(this.#producers, this.#seen, Math.min(frontier, firstRows - 1))) {
        if (this.#core.environment.board.clockAt(this.#producers, tick).watermark >= due) return tick
      }
    }
    if (firstRows <= frontier) return firstRows
    if (this.#retry.hasLag() && frontier > this.#core.state.through) return frontier
    const ended = this.#core.environment.board.clockAt(this.#producers, frontier).status === 'ended'
    if (ended && this.#core.state.status !== 'ended') return frontier
    if (frontier > this.#seen) this.#passedOver++
    this.#look(frontier)
    return null
  }

  /** Takes the clocks of the ticks up to and including `tick`. */
  #look(tick: number): void {
    for (const changed of this.#core.environment.board.clockTicks(this.#producers, this.#seen, tick)) {
      const clock = this.#clockAt(changed)
      this.#watermark = Math.max(this.#watermark, clock.watermarkMs)
      if (this.#core.outputs.hasReaders)
        this.#passed.push({ tick: changed, watermark: this.#watermark, wallMs: clock.wallMs, status: clock.status })
    }
    this.#seen = Math.max(this.#seen, tick)
  }

  #clockAt(tick: number): TaskClock {
    const clock = this.#core.environment.board.clockAt(this.#producers, tick)
    return {
      watermarkMs: Math.max(clock.watermark, this.#watermark),
      status: clock.status,
      wallMs: Math.max(clock.wallMs, this.#core.state.wallMs),
    }
  }

  async #applyTick(tick: number): Promise<void> {
    // Lateness counts from the watermark before the tick, whatever ticks without rows lie between (rule 22).
    this.#look(tick - 1)
    const clock = this.#clockAt(tick)
    await this.#exchanges.load(tick)
    this.#core.startTick(tick, clock.wallMs, this.#watermark)
    this.#fileTables.read()
    if (this.#retry.hasLag()) await this.#retry.poll(new Map())
    for (const { index, batch } of this.#exchanges.take(tick)) this.#core.process(index, batch)
    this.#core.endTick(clock)
    this.#core.letters.checkShare()
    this.#look(tick)
    await this.#commit(tick, clock, 0)
    // The tick's wall time is when its source was read, some milliseconds behind the append.
    this.#core.figures.visibleMs = Math.max(0, this.#core.environment.clock.nowMs() - clock.wallMs)
  }

  async #commit(through: number, clock: TaskClock, wants: number): Promise<void> {
    await this.#core.commit(through, clock, {
      sources: [],
      exchanges: this.#exchanges.positions(),
      retryNext: this.#retry.next,
      bindings: [],
      passed: this.#passed,
      wants,
    })
    this.#passed = []
    this.#passedOver = 0
  }

  /** Rule 24: somebody behind waits for a time that this task could state by now. */
  #clockWanted(complete: number): boolean {
    const { environment, part, state } = this.#core
    const waitsFor = environment.board.waitsForBehind(part.name)
    return waitsFor < Number.POSITIVE_INFINITY && waitsFor > state.watermarkMs && this.#clockAt(complete).watermarkMs >= waitsFor
  }

  /** Letters wait to come back in, but the producers are quiet: asks them once to complete a new tick (rule 9). */
  async #wantTick(): Promise<number> {
    const wants = this.#core.state.through + 1
    if (this.#wanted >= wants) return WAIT_MS_MAX
    this.#wanted = wants
    await this.#commit(
      this.#core.state.through,
      { watermarkMs: this.#core.state.watermarkMs, status: this.#core.state.status, wallMs: this.#core.state.wallMs },
      wants,
    )
    return 0
  }

  /** Ticks without an effect here are in no commit, and event time has come as far all the same. */
  watermarkMs(): number {
    return Math.max(this.#watermark, this.#core.state.watermarkMs)
  }

  lag(): number {
    return this.#exchanges.lag()
  }

  inputStatus(): readonly InputStatus[] {
    return this.#exchanges.status()
  }

  sinkStatus(): null {
    return null
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
    this.#exchanges.close()
    this.#retry.close()
    await Promise.resolve()
  }
}
