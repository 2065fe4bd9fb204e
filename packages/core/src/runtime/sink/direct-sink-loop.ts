// The loop of a task that reads sources and writes into its sink by itself, with stateless operators between (ADR 0008). Nobody reads what
// this task states, so its ticks need not be short: a tick lasts from one checkpoint to the next. Its rows go to the writer as they come;
// at the checkpoint {positions, binding, intent, dead letters} are one commit. A crash throws away what came since, and it is bound anew.
import type { TaskCore } from '../task/task-core.ts'
import type { InputStatus, SinkStatus, TaskLoop } from '../task-loop.ts'
import type { ReplayTick } from '../replay.ts'
import { sinkRecord, takeOverSink } from './sink-handover.ts'
import { SinkOutput } from './sink-output.ts'
import { SourceInputs } from '../source/source-inputs.ts'
import { END_TICK, TickClock } from '../task/tick-clock.ts'

/** A writer with unpublished rows is asked at least this often whether it wants a checkpoint. */
const ASK_MS = 250
const WAIT_MS_MAX = 60_000
/** Rows that all were filtered out move the positions, too, this often: a restart must not read hours of them again. */
const POSITIONS_MS = 1000
/** Dead letters wait in memory for the checkpoint: at most so many bytes. */
const LETTER_BYTES_MAX = 4 * 1024 * 1024
/** Somebody looks for the first ones soon; but where they keep coming, each must not end the files of an archive. */
const LETTERS_MS = 1000
const LETTERS_EVERY_MS = 60_000

export class DirectSinkLoop implements TaskLoop {
  readonly #core: TaskCore
  readonly #inputs: SourceInputs
  readonly #sink: SinkOutput
  readonly #ticks: TickClock
  readonly #unsubscribe: () => void
  /** The tick that is open: its number and the wall time at its start. */
  #open: { readonly tick: number; readonly wallMs: number } | null = null
  /** Something was taken since the last commit. */
  #moved = false
  #keptAt = 0
  #polledAt = Number.NEGATIVE_INFINITY
  #committedAt: number
  /** When the oldest dead letter that waits was noticed; null: none waits. */
  #lettersSince: number | null = null
  #lettersShownAt = Number.NEGATIVE_INFINITY

  private constructor(core: TaskCore, inputs: SourceInputs, sink: SinkOutput, wake: () => void) {
    const { board, clock, plan } = core.environment
    this.#core = core
    this.#inputs = inputs
    this.#sink = sink
    this.#ticks = new TickClock(clock, plan.settings.commitMsMin, core.state.through)
    this.#committedAt = clock.monotonicMs()
    this.#unsubscribe = board.onChange(wake)
  }

  static async open(core: TaskCore, wake: () => void): Promise<DirectSinkLoop> {
    await core.environment.board.refresh()
    const sink = await SinkOutput.open(core, await takeOverSink(core))
    try {
      return new DirectSinkLoop(core, await SourceInputs.open(core, wake), sink, wake)
    } catch (error) {
      await sink.close()
      throw error
    }
  }

  async step(): Promise<number> {
    const { clock, plan, board } = this.#core.environment
    await board.refresh()
    const { kept } = this.#inputs
    if (kept !== null && this.#keptAt <= kept.length) return this.#replayStep(kept)
    if (this.#inputs.waitsForWriters()) return WAIT_MS_MAX
    if (this.#isDue()) {
      await this.#checkpoint()
      return 0
    }
    if (this.#inputs.hasRows()) {
      const sincePoll = clock.monotonicMs() - this.#polledAt
      if (sincePoll < plan.settings.commitMsMin) return Math.max(1, plan.settings.commitMsMin - sincePoll)
      if (await this.#take()) return 0
    }
    return this.#rest()
  }

  /** Takes what is there, up to the bytes and time of a round or to a checkpoint. False when nothing could be taken. */
  async #take(): Promise<boolean> {
    const { clock } = this.#core.environment
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    this.#begin(wallMs)
    this.#core.stampTick(this.#core.tick, wallMs)
    const taken = await this.#inputs.poll(() => this.#isFull())
    await this.#sink.settle()
    this.#core.letters.checkShare()
    this.#polledAt = clock.monotonicMs()
    if (this.#core.letters.bytes > 0) this.#lettersSince ??= this.#polledAt
    if (taken === 0) return false
    this.#moved = true
    return true
  }

  /** Asked after every fetch: its rows must have left the decoder's memory, and the writer must have room, before the next one. */
  #isFull(): boolean | Promise<boolean> {
    const settled = this.#sink.settle()
    const isFull = (): boolean => this.#sink.wantsCheckpoint() || this.#core.letters.bytes >= LETTER_BYTES_MAX
    return settled === null ? isFull() : settled.then(isFull)
  }

  /** Opens a tick unless one is open. */
  #begin(wallMs: number): void {
    if (this.#open !== null) return
    const tick = this.#ticks.next(this.#core.environment.board.newest())
    this.#open = { tick, wallMs }
    this.#core.startTick(tick, wallMs)
    this.#inputs.readFileTables()
  }

  #isDue(): boolean {
    if (!this.#moved) return false
    const now = this.#core.environment.clock.monotonicMs()
    if (this.#core.letters.bytes >= LETTER_BYTES_MAX) return true
    if (!this.#sink.isDirty) return now - this.#committedAt >= POSITIONS_MS
    if (this.#sink.wantsCheckpoint()) return true
    return this.#lettersSince !== null && now - this.#lettersSince >= LETTERS_MS && now - this.#lettersShownAt >= LETTERS_EVERY_MS
  }

  /** Nothing to read: the end of bounded inputs is one more checkpoint. Returns the wait. */
  async #rest(): Promise<number> {
    const { clock } = this.#core.environment
    const wallMs = Math.max(clock.nowMs(), this.#core.state.wallMs)
    const { status } = this.#inputs.clockNow(wallMs)
    if (status === 'ended' && this.#core.state.status !== 'ended' && !this.#inputs.isEmpty) {
      await this.#checkpoint()
      return 0
    }
    const untilIdle = this.#inputs.hasRows() ? Math.max(1, this.#inputs.idleDueAt() - clock.monotonicMs()) : WAIT_MS_MAX
    return Math.min(untilIdle, this.#moved ? ASK_MS : WAIT_MS_MAX)
  }

  /** Ends the open tick: everything since the last commit becomes durable and visible. */
  async #checkpoint(): Promise<void> {
    const { clock } = this.#core.environment
    this.#begin(Math.max(clock.nowMs(), this.#core.state.wallMs))
    const { tick, wallMs } = this.#open ?? { tick: this.#core.tick, wallMs: this.#core.state.wallMs }
    this.#inputs.advanceIdle(wallMs)
    const { watermark, status } = this.#inputs.clock()
    await this.#commitTick(tick, { watermarkMs: watermark, status, wallMs })
    this.#open = null
    this.#moved = false
    if (this.#lettersSince !== null) this.#lettersShownAt = clock.monotonicMs()
    this.#lettersSince = null
  }

  async #commitTick(tick: number, taskClock: Parameters<TaskCore['endTick']>[0]): Promise<void> {
    const core = this.#core
    const { clock, topology } = core.environment
    core.endTick(taskClock)
    await this.#sink.settle()
    core.letters.checkShare()
    const ranges = this.#inputs.bind()
    const { wallMs } = taskClock
    await this.#sink.checkpoint((state) =>
      core.commit(tick, taskClock, {
        sources: this.#inputs.positions(),
        exchanges: [],
        retryNext: this.#inputs.retryNext,
        bindings: ranges.length > 0 ? [{ tick, wallMs, codeVersion: topology.codeVersion, ranges }] : [],
        wants: 0,
        extra: [sinkRecord(core, tick, wallMs, state)],
      }),
    )
    this.#committedAt = clock.monotonicMs()
    this.#inputs.committed()
  }

  /** ADR 0002, rule 10: the next kept tick, whose end is a checkpoint here as it was then; after the last one the input has ended. */
  async #replayStep(kept: readonly ReplayTick[]): Promise<number> {
    const next = kept[this.#keptAt]
    const { state } = this.#core
    this.#keptAt++
    if (next === undefined) {
      this.#inputs.endAll()
      this.#core.startTick(END_TICK, state.wallMs)
      this.#inputs.readFileTables()
      await this.#commitTick(END_TICK, { watermarkMs: Number.POSITIVE_INFINITY, status: 'ended', wallMs: state.wallMs })
      return 0
    }
    const { tick, wallMs, watermarkMs, status } = next
    if (next.ranges.length === 0 && watermarkMs === state.watermarkMs && status === state.status) return 0
    this.#core.startTick(tick, wallMs)
    this.#inputs.readFileTables()
    await this.#inputs.replay(next, () => this.#sink.settle())
    await this.#commitTick(tick, { watermarkMs, status, wallMs })
    return 0
  }

  watermarkMs(): number {
    return Math.max(this.#inputs.clock().watermark, this.#core.state.watermarkMs)
  }

  lag(): number {
    return this.#inputs.lag()
  }

  inputStatus(): readonly InputStatus[] {
    return this.#inputs.status()
  }

  sinkStatus(): SinkStatus {
    return this.#sink.status()
  }

  finished(): boolean {
    return this.#core.environment.bounded && this.#core.state.status === 'ended' && !this.#inputs.hasRetries()
  }

  /** The last checkpoint of a graceful stop. */
  async finish(): Promise<void> {
    if (this.#moved) await this.#checkpoint()
  }

  async close(): Promise<void> {
    this.#unsubscribe()
    this.#inputs.close()
    await this.#sink.close()
  }
}
