// A task: one sub-topology of one task group, as a loop that takes ticks and commits them.
//
//   opening --(fenced, restored)--> running --stop()--> stopping --> stopped
//      ^                              |  \--(bad share)--> paused (until it is started again)
//      |                              v
//      +--- backoff <--(any failure)- crashed --(fenced, or RESTARTS_MAX failures in a row)--> failed
//
// Tasks are crash-only: whatever goes wrong, the incarnation is given up and a new one starts from the newest commit.
import type { SubTopology } from '../../compile/topology.ts'
import type { TaskEnvironment } from '../environment.ts'
import { isMillraceError } from '../../base/errors.ts'
import { sleep } from '../../base/scheduler.ts'
import { BinderLoop } from './binder-loop.ts'
import { DirectSinkLoop } from '../sink/direct-sink-loop.ts'
import { ReaderLoop } from './reader-loop.ts'
import { SinkLoop } from '../sink/sink-loop.ts'
import { TaskCore } from './task-core.ts'
import { Wakeup } from '../wakeup.ts'

export type TaskPhase = 'opening' | 'running' | 'paused' | 'stopping' | 'stopped' | 'crashed' | 'failed'

const RESTARTS_MAX = 8
const BACKOFF_MS_MIN = 50
const BACKOFF_MS_MAX = 5000
/** After this long without a failure the count of restarts starts over. */
const HEALTHY_MS = 30_000

/** What a loop does with its core; one implementation per kind of input. */
export interface TaskLoop {
  /** Runs one step: takes and commits a tick when there is one. Returns the milliseconds to wait for the next wake-up; 0 = go on at once. */
  step(): Promise<number>
  /** Records behind, over all inputs. */
  lag(): number
  /** How far event time has come here; a sink is further than its newest checkpoint. */
  watermarkMs(): number
  /** Per source partition or exchange: why the watermark is where it is. */
  inputStatus(): readonly InputStatus[]
  close(): Promise<void>
  /** Before the close of a graceful stop: makes durable and visible what is only written. */
  finish(): Promise<void>
  /** True when a bounded run has nothing left to do. */
  finished(): boolean
}

/** What a replay has made of the records that it read of a source. */
export interface ReplayedRows {
  /** Rows of the range, bad ones included. */
  readonly rows: number
  /** Rows whose event time lies outside the range. */
  readonly outside: number
  /** Records without a usable event time, which are in no range of times. */
  readonly timeless: number
  /** Offsets of records that could only be earlier than the range, and were left out unread. */
  readonly unread: number
}

export interface InputStatus {
  readonly input: string
  readonly kind: 'source' | 'exchange' | 'file-table'
  readonly lag: number
  readonly partitions: readonly {
    readonly partition: number
    readonly next: number
    readonly largestMs: number
    readonly watermarkMs: number
    readonly status: string
    readonly silentMs: number
    readonly error: string | null
    /** Offsets that retention took away before they were read, since the task began. Sources only. */
    readonly lost?: number
    /** Set while the clock guard holds the next record back: its event time, and after how long without another record it is decided. */
    readonly held?: { readonly eventTimeMs: number; readonly forMs: number; readonly untilMs: number }
  }[]
  /** Of a source in a replay. */
  readonly replayed?: ReplayedRows
  /** Exchanges: producers and how far each has come. */
  readonly producers: readonly { readonly task: string; readonly through: number; readonly watermarkMs: number; readonly status: string }[]
}

export class Task {
  readonly name: string
  readonly part: SubTopology
  readonly group: number
  readonly #environment: TaskEnvironment
  readonly #wakeup: Wakeup
  #phase: TaskPhase = 'opening'
  #core: TaskCore | null = null
  #loop: TaskLoop | null = null
  #error: unknown = null
  #stopping = false
  #abandoned = false
  #done: Promise<void> = Promise.resolve()
  #opened: (() => void) | null = null
  readonly #ready: Promise<void>
  #endedResolve: (() => void) | null = null
  readonly #ended: Promise<void>

  constructor(environment: TaskEnvironment, part: SubTopology, group: number) {
    this.#environment = environment
    this.part = part
    this.group = group
    this.name = `${part.name}/${group}`
    this.#wakeup = new Wakeup(environment.scheduler)
    this.#ready = new Promise((resolve) => {
      this.#opened = resolve
    })
    this.#ended = new Promise((resolve) => {
      this.#endedResolve = resolve
    })
  }

  get phase(): TaskPhase {
    return this.#phase
  }
  get error(): unknown {
    return this.#error
  }
  get core(): TaskCore | null {
    return this.#core
  }
  get loop(): TaskLoop | null {
    return this.#loop
  }

  readonly wake = (): void => this.#wakeup.wake()

  start(): void {
    this.#done = this.#run()
  }

  /** Resolves when the task runs for the first time, or has failed. */
  ready(): Promise<void> {
    return this.#ready
  }

  /** Ends the open tick, commits, closes. */
  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#phase === 'running' || this.#phase === 'paused') this.#phase = 'stopping'
    this.#core?.giveUp()
    this.wake()
    await this.#done
  }

  /** Ends without commit, as a crash would. */
  abandon(): void {
    this.#stopping = true
    this.#abandoned = true
    this.#core?.giveUp()
    this.wake()
  }

  /** Resolves when a bounded run has nothing left to do here, or when the task is over. */
  async ended(): Promise<void> {
    await Promise.race([this.#ended, this.#done])
  }

  /** Resolves when the loop is over, for whatever reason. */
  over(): Promise<void> {
    return this.#done
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#stopping) {
      const startedAt = this.#environment.clock.monotonicMs()
      try {
        await this.#incarnation()
        break
      } catch (error) {
        this.#error = error
        if (this.#stopping) break
        if (this.#environment.clock.monotonicMs() - startedAt > HEALTHY_MS) failures = 0
        failures++
        if (this.#mustStay(error, failures)) break
        this.#phase = 'crashed'
        this.#environment.report({ kind: 'restarted', task: this.name, error, attempt: failures })
        await sleep(this.#environment.scheduler, Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** failures))
      } finally {
        await this.#closeIncarnation()
      }
    }
    if (this.#phase !== 'failed' && this.#phase !== 'paused') this.#phase = 'stopped'
    this.#opened?.()
  }

  #mustStay(error: unknown, failures: number): boolean {
    if (isMillraceError(error) && error.code === 'MR_RUNTIME_BAD_SHARE') {
      this.#phase = 'paused'
      this.#environment.report({ kind: 'paused', task: this.name, error })
      return true
    }
    const hopeless =
      isMillraceError(error) &&
      (error.kind === 'fenced' || error.kind === 'closed' || error.kind === 'invalid' || error.kind === 'internal')
    const transient = isMillraceError(error) && error.kind === 'transient'
    if (!hopeless && (transient || failures <= RESTARTS_MAX)) return false
    this.#phase = 'failed'
    this.#environment.report({ kind: 'failed', task: this.name, error })
    return true
  }

  async #incarnation(): Promise<void> {
    this.#phase = 'opening'
    // What came before is closed. It is shown until now, and must not be closed twice when this one cannot be opened.
    this.#core = null
    this.#loop = null
    const core = await TaskCore.open(this.#environment, this.part, this.group)
    this.#core = core
    this.#loop = await this.#openLoop(core)
    if (!this.#stopping) this.#phase = 'running'
    this.#error = null
    this.#opened?.()
    while (!this.#stopping) {
      const waitMs = await this.#loop.step()
      if (this.#stopping) break
      // A task that has nothing left goes on answering the others until the whole pipeline has ended.
      if (this.#loop.finished()) this.#endedResolve?.()
      if (waitMs > 0) await this.#wakeup.wait(waitMs)
      else await this.#environment.scheduler.turn()
    }
    if (!this.#abandoned) await this.#loop.finish()
  }

  async #openLoop(core: TaskCore): Promise<TaskLoop> {
    if (this.part.sink !== null)
      return this.part.sink.output === null ? SinkLoop.open(core, this.wake) : DirectSinkLoop.open(core, this.wake)
    return this.part.inputs.some((input) => input.kind === 'exchange') ? ReaderLoop.open(core, this.wake) : BinderLoop.open(core, this.wake)
  }

  async #closeIncarnation(): Promise<void> {
    const loop = this.#loop
    const core = this.#core
    try {
      await loop?.close()
      await core?.close()
    } catch (error) {
      // The incarnation is over either way; a failure to close must not hide what ended it.
      this.#error ??= error
    }
  }
}
