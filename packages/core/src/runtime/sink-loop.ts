// The loop of a task that drains one exchange into a sink: whole ticks into the writer, and a checkpoint (prepare, commit of positions and
// intent in one step, publish) when the writer wants one or the task stops. Laws SINK-1 to SINK-4: connect/sink.ts.
import type { SinkWriter } from '../connect/sink.ts'
import type { ExchangeLane } from './reader-loop.ts'
import type { TaskClock, TaskCore } from './task-core.ts'
import type { InputStatus, TaskLoop } from './task.ts'
import { must } from '../base/assert.ts'
import type { Batch } from '../codec/column.ts'
import { exchangeRows } from './exchange-rows.ts'
import { ExchangeTrimmer, openExchanges } from './reader-loop.ts'

/** A writer with unpublished rows is asked at least this often whether it wants a checkpoint. */
const ASK_MS = 250
const WAIT_MS_MAX = 60_000
const SLICE_MS = 4

export class SinkLoop implements TaskLoop {
  readonly #core: TaskCore
  readonly #lane: ExchangeLane
  readonly #writer: SinkWriter
  readonly #sinkName: string
  readonly #trimmer: ExchangeTrimmer
  readonly #unsubscribe: (() => void)[] = []
  readonly #rejected: { readonly rows: { batch: Batch | null } }
  #sequence: number
  #seen: number
  #dirty = false
  #clock: TaskClock

  private constructor(
    core: TaskCore,
    lane: ExchangeLane,
    writer: SinkWriter,
    rejected: { readonly rows: { batch: Batch | null } },
    wake: () => void,
  ) {
    this.#core = core
    this.#lane = lane
    this.#writer = writer
    this.#rejected = rejected
    this.#sinkName = must(core.part.sink, 'sink').name
    this.#trimmer = new ExchangeTrimmer(core)
    this.#sequence = core.state.sinkSequence
    this.#seen = core.state.through
    this.#clock = { watermarkMs: core.state.watermarkMs, status: core.state.status, wallMs: core.state.wallMs }
    this.#unsubscribe.push(core.environment.board.onChange(wake), core.environment.log.onAppend(lane.input.spec.topic, wake))
  }

  static async open(core: TaskCore, wake: () => void): Promise<SinkLoop> {
    const { environment, part, group, state } = core
    await environment.board.refresh()
    const lane = must(openExchanges(core)[0], 'the exchange of a sink')
    const { name, sink, fields } = must(part.sink, 'sink')
    const rejected = { rows: { batch: null as Batch | null } }
    const lastIntent = state.intent === null ? null : Uint8Array.from(Buffer.from(state.intent, 'base64'))
    const writer = await sink.open(
      {
        pipeline: environment.plan.pipeline,
        name,
        group,
        groups: part.groups,
        fields,
        epoch: core.epoch,
        clock: environment.clock,
        disk: environment.disk,
        reject: (row, error) => core.reject(name, 0, must(rejected.rows.batch, 'batch of the rejected row'), row, error),
      },
      lastIntent,
    )
    // The crash may have come between the commit and the end of publish.
    if (lastIntent !== null) await writer.publish(lastIntent)
    return new SinkLoop(core, lane, writer, rejected, wake)
  }

  async step(): Promise<number> {
    const { board, clock, scheduler } = this.#core.environment
    await board.refresh()
    await this.#lane.input.gather()
    const frontier = this.#lane.input.frontier()
    let sliceStart = clock.monotonicMs()
    for (const tick of this.#lane.input.ticks(frontier)) {
      await this.#writeTick(tick)
      if (this.#writer.wantsCheckpoint()) break
      if (clock.monotonicMs() - sliceStart >= SLICE_MS) {
        await scheduler.turn()
        sliceStart = clock.monotonicMs()
      }
    }
    if (this.#lane.input.ticks(frontier).length === 0 && frontier > this.#seen) this.#pass(frontier)
    if (this.#dirty && (this.#writer.wantsCheckpoint() || this.#clock.status === 'ended')) {
      await this.checkpoint()
      return 0
    }
    if (this.#clock.status === 'ended' && this.#core.state.status !== 'ended') await this.checkpoint()
    if (this.#lane.input.ticks(frontier).length > 0) return 0
    return this.#dirty ? ASK_MS : WAIT_MS_MAX
  }

  #pass(tick: number): void {
    this.#seen = tick
    const clock = this.#core.environment.board.clockAt([this.#lane.input.spec.producer], tick)
    this.#clock = {
      watermarkMs: Math.max(clock.watermark, this.#clock.watermarkMs),
      status: clock.status,
      wallMs: Math.max(clock.wallMs, this.#clock.wallMs),
    }
  }

  async #writeTick(tick: number): Promise<void> {
    this.#pass(tick)
    this.#core.startSinkTick(tick, this.#clock.wallMs)
    for (const pending of this.#lane.input.take(tick)) {
      for (const batch of exchangeRows(this.#lane.input.spec, pending.bytes)) {
        this.#rejected.rows.batch = batch
        await this.#writer.write({ batch, generation: 0, tick, sequence: this.#sequence })
        this.#sequence += batch.selectedCount
        this.#core.countRows(batch.selectedCount)
        this.#dirty = true
      }
    }
  }

  /** prepare, commit, publish. A crash between the last two is mended by open(), where the newest committed intent is published again. */
  async checkpoint(): Promise<void> {
    const intent = await this.#writer.prepare()
    const text =
      intent === null ? this.#core.state.intent : Buffer.from(intent.buffer, intent.byteOffset, intent.byteLength).toString('base64')
    const exchanges = [{ topic: this.#lane.input.spec.topic, positions: this.#lane.input.positions() }]
    const through = Math.max(this.#seen, this.#core.state.through)
    await this.#core.commit(
      through,
      this.#clock,
      { sources: [], exchanges, retryNext: this.#core.state.retryNext, bindings: [], wants: 0 },
      { intent: text, sequence: this.#sequence },
    )
    this.#dirty = false
    if (intent !== null) await this.#writer.publish(intent)
    await this.#trimmer.trim([this.#lane])
  }

  watermarkMs(): number {
    return this.#clock.watermarkMs
  }

  lag(): number {
    return this.#lane.input.lag(this.#core.environment.log)
  }

  inputStatus(): readonly InputStatus[] {
    return [{ input: `${this.#sinkName} feed`, kind: 'exchange', lag: this.lag(), partitions: [], producers: [] }]
  }

  finished(): boolean {
    return this.#core.environment.bounded && this.#core.state.status === 'ended'
  }

  /** A graceful stop publishes what was written; after a failure the rows are written again from the newest commit. */
  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#lane.input.close()
    await this.#writer.close()
  }

  /** The last checkpoint of a graceful stop. */
  async finish(): Promise<void> {
    if (this.#dirty) await this.checkpoint()
  }
}
