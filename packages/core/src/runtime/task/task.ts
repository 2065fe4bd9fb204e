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
import type { TaskLoop, TaskPhase } from '../task-loop.ts'
import { isMillraceError } from '../../base/errors.ts'
import { sleep } from '../../base/scheduler.ts'
import { isDamage } from '../recovery/damage.ts'
import { BinderLoop } from './binder-loop.ts'
import { DirectSinkLoop } from '../sink/direct-sink-loop.ts'
import { ReaderLoop } from './reader-loop.ts'
import { SinkLoop } from '../sink/sink-loop.ts'
import { TaskCore } from './task-core.ts'
import { Wakeup } from '../wakeup.ts'

const RESTARTS_MAX = 8
const BACKOFF_MS_MIN = 50
const BACKOFF_MS_MAX = 5000
/** After this long without a failure the count of restarts starts over. */
const HEALTHY_MS = 30_000

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
      (error.code === 'MR_RUNTIME_STATE_DAMAGED' ||
        error.kind === 'fenced' ||
        error.kind === 'closed' ||
        error.kind === 'invalid' ||
        error.kind === 'internal')
    // Somebody waits for a replay to end, and the bytes do not get well. A live task waits for whoever mends them.
    const isHurtReplay = this.#environment.replay !== null && isDamage(error)
    const transient = isMillraceError(error) && error.kind === 'transient'
    if (!hopeless && !isHurtReplay && (transient || failures <= RESTARTS_MAX)) return false
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
