// The loop of a task that drains one exchange into a sink: whole ticks into the writer, and a checkpoint when the writer wants one or the
// task stops. A sink that only stateless work feeds has no such task: direct-sink-loop.ts.
import type { TaskClock, TaskCore } from '../task/task-core.ts'
import type { InputStatus, SinkStatus, TaskLoop } from '../task-loop.ts'
import { ExchangeInputs, PASSED_OVER_MAX } from '../exchange/exchange-inputs.ts'
import { RetryInput } from '../task/retry-input.ts'
import { SinkOutput } from './sink-output.ts'

/** A writer with unpublished rows is asked at least this often whether it wants a checkpoint. */
const ASK_MS = 250
const WAIT_MS_MAX = 60_000
const SLICE_MS = 4

export class SinkLoop implements TaskLoop {
  readonly #core: TaskCore
  /** The exchange that is drained. */
  readonly #feed: ExchangeInputs
  readonly #sink: SinkOutput
  readonly #retry: RetryInput
  readonly #unsubscribe: (() => void)[] = []
  #seen: number
  #clock: TaskClock
  #passedOver = 0

  private constructor(core: TaskCore, feed: ExchangeInputs, sink: SinkOutput, wake: () => void) {
    const { board, log } = core.environment
    this.#core = core
    this.#feed = feed
    this.#sink = sink
    this.#retry = new RetryInput(core)
    this.#seen = core.state.through
    this.#clock = { watermarkMs: core.state.watermarkMs, status: core.state.status, wallMs: core.state.wallMs }
    this.#unsubscribe.push(board.onChange(wake), ...feed.subscribe(wake), log.onAppend(this.#retry.topic, wake))
  }

  static async open(core: TaskCore, wake: () => void): Promise<SinkLoop> {
    await core.environment.board.refresh()
    const { intent, sinkSequence: sequence } = core.state
    const sink = await SinkOutput.open(core, { intent, sequence })
    try {
      return new SinkLoop(core, new ExchangeInputs(core), sink, wake)
    } catch (error) {
      await sink.close()
      throw error
    }
  }

  async step(): Promise<number> {
    const { board, clock, scheduler } = this.#core.environment
    await board.refresh()
    if (this.#retry.hasLag()) await this.#takeRetries()
    await this.#feed.gather()
    const frontier = this.#feed.frontier()
    let sliceStart = clock.monotonicMs()
    for (let tick = this.#feed.firstTick(); tick <= frontier; tick = this.#feed.firstTick()) {
      await this.#writeTick(tick)
      if (this.#sink.wantsCheckpoint()) break
      if (clock.monotonicMs() - sliceStart >= SLICE_MS) {
        await scheduler.turn()
        sliceStart = clock.monotonicMs()
      }
    }
    if (this.#feed.firstTick() > frontier && frontier > this.#seen) {
      this.#passedOver++
      this.#pass(frontier)
    }
    const ended = this.#clock.status === 'ended'
    if (this.#hasWork() && (this.#sink.wantsCheckpoint() || ended)) {
      await this.checkpoint()
      return 0
    }
    if ((ended && this.#core.state.status !== 'ended') || (this.#passedOver >= PASSED_OVER_MAX && !this.#hasWork())) await this.checkpoint()
    if (this.#feed.firstTick() <= frontier) return 0
    return this.#hasWork() ? ASK_MS : WAIT_MS_MAX
  }

  /** True when a checkpoint would have something to say. */
  #hasWork(): boolean {
    return this.#sink.isDirty || this.#retry.next > this.#core.state.retryNext
  }

  /** Dead letters of this sink come back in as rows of the newest tick. */
  async #takeRetries(): Promise<void> {
    this.#core.stampTick(this.#seen, Math.max(this.#clock.wallMs, this.#core.environment.clock.nowMs()))
    await this.#retry.poll(new Map())
    await this.#sink.settle()
  }

  #pass(tick: number): void {
    this.#seen = tick
    const clock = this.#core.environment.board.clockAt(this.#feed.producers, tick)
    this.#clock = {
      watermarkMs: Math.max(clock.watermark, this.#clock.watermarkMs),
      status: clock.status,
      wallMs: Math.max(clock.wallMs, this.#clock.wallMs),
    }
  }

  async #writeTick(tick: number): Promise<void> {
    this.#pass(tick)
    this.#core.stampTick(tick, this.#clock.wallMs)
    await this.#feed.load(tick)
    for (const { batch } of this.#feed.take(tick)) {
      this.#sink.push(batch)
      this.#core.countRows(batch.selectedCount)
      await this.#sink.settle()
    }
  }

  /** Everything written so far becomes durable and visible. */
  async checkpoint(): Promise<void> {
    this.#passedOver = 0
    await this.#sink.checkpoint(async (state) => {
      const through = Math.max(this.#seen, this.#core.state.through)
      const input = { sources: [], exchanges: this.#feed.positions(), retryNext: this.#retry.next, bindings: [], wants: 0 }
      await this.#core.commit(through, this.#clock, input, state)
    })
    await this.#feed.trim()
  }

  watermarkMs(): number {
    return this.#clock.watermarkMs
  }

  lag(): number {
    return this.#feed.lag()
  }

  inputStatus(): readonly InputStatus[] {
    return [{ input: `${this.#sink.name} feed`, kind: 'exchange', lag: this.lag(), partitions: [], producers: [] }]
  }

  sinkStatus(): SinkStatus {
    return this.#sink.status()
  }

  finished(): boolean {
    return this.#core.environment.bounded && this.#core.state.status === 'ended'
  }

  /** A graceful stop publishes what was written; after a failure the rows are written again from the newest commit. */
  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#feed.close()
    this.#retry.close()
    await this.#sink.close()
  }

  /** The last checkpoint of a graceful stop. */
  async finish(): Promise<void> {
    if (this.#hasWork()) await this.checkpoint()
  }
}
