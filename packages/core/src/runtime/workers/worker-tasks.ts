// The tasks that run in one worker thread, as the pipeline sees them: starts the thread, passes questions on, and starts it again when it
// has died. Tasks are crash-only, so a dead thread is no more than a crash of all its tasks: what they had not committed is done again.
//
//   starting --ready--> running --close()--> stopped
//      ^                   | exit
//      |                   v
//      +----- backoff <-- died --(refused, or RESTARTS_MAX in a row)--> failed
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { Clock } from '../../base/clock.ts'
import type { Scheduler } from '../../base/scheduler.ts'
import type { Topology } from '../../compile/topology.ts'
import type { Log } from '../../log/log.ts'
import type { Plan } from '../../plan/node.ts'
import type { TaskEnvironment } from '../environment.ts'
import type { TableQuestion, TableSlice, TaskFailure, TaskHost, TaskReport } from '../task-host.ts'
import type { TaskPhase } from '../task-loop.ts'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import { LogServer } from '../../log/remote/log-server.ts'
import { errorFromWire } from '../../log/remote/wire.ts'
import { codeVersion } from '../../plan/hash.ts'
import { statusWithoutCore } from '../status.ts'
import { tableNotReady } from '../table-reader.ts'
import { Wakeup } from '../wakeup.ts'
import type { ModuleExport, WorkerOptions, WorkerOrder, WorkerSettings } from './worker-options.ts'
import { eventOf, failureOf, type FromWorker, type ToWorker } from './worker-wire.ts'

const RESTARTS_MAX = 8
const BACKOFF_MS_MIN = 50
const BACKOFF_MS_MAX = 5000
/** After this long without a death the count of restarts starts over. */
const HEALTHY_MS = 30_000

/** The entry of a worker stands beside this file: as source, and as what was built from it. */
const ENTRY = new URL(`./worker-main${path.extname(fileURLToPath(import.meta.url))}`, import.meta.url)

export interface WorkerContext {
  readonly plan: Plan
  readonly topology: Topology
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly settings: WorkerSettings
  readonly report: TaskEnvironment['report']
}

/** One host per worker. Nothing is started yet. */
export function openWorkers(context: WorkerContext, options: WorkerOptions): readonly TaskHost[] {
  const groups = Math.max(1, ...context.topology.parts.map((part) => part.groups))
  const count = Math.max(1, Math.min(options.count, groups))
  const server = new LogServer(context.log)
  return Array.from({ length: count }, (_, index) => new WorkerTasks(context, { ...options, count }, server, index))
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

class WorkerTasks implements TaskHost {
  readonly #context: WorkerContext
  readonly #options: WorkerOptions
  readonly #server: LogServer
  readonly #index: number
  readonly #name: string
  readonly #wakeup: Wakeup
  readonly #waiting = new Map<number, Waiting>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #nextId = 1
  #worker: Worker | null = null
  #reports: readonly TaskReport[]
  #failures: readonly TaskFailure[] = []
  /** Set when no thread is to be started any more. */
  #over = false
  #done: Promise<void> = Promise.resolve()

  constructor(context: WorkerContext, options: WorkerOptions, server: LogServer, index: number) {
    this.#context = context
    this.#options = options
    this.#server = server
    this.#index = index
    this.#name = `worker ${index}`
    this.#wakeup = new Wakeup(context.scheduler)
    this.#reports = this.#blank('opening', null)
  }

  start(): void {
    this.#done = this.#supervise()
  }
  ready(): Promise<void> {
    return this.#ready.promise
  }
  ended(): Promise<void> {
    return this.#ended.promise
  }
  reports(): readonly TaskReport[] {
    return this.#reports
  }
  failures(): readonly TaskFailure[] {
    return this.#failures
  }

  async readTable(question: TableQuestion): Promise<readonly TableSlice[]> {
    const own = this.#reports.find(({ status }) => status.part === question.part)
    if (own === undefined) return []
    if (this.#worker === null) throw tableNotReady(question.table, own.status.task, own.status.phase)
    return (await this.#ask({ kind: 'table', id: this.#nextId++, question })) as readonly TableSlice[]
  }

  async stop(part: string): Promise<void> {
    this.#finish()
    // A thread that dies now is a crash in the middle of a stop: the next start does the rest.
    await this.#ask({ kind: 'stop', id: this.#nextId++, part }).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#finish()
    await this.#ask({ kind: 'close', id: this.#nextId++ }).catch(() => undefined)
    // What the user's module has left running must not keep the thread.
    await this.#worker?.terminate()
    await this.#done
    this.#setPhase('stopped')
  }

  abandon(): void {
    this.#finish()
    void this.#worker?.terminate()
  }

  #finish(): void {
    this.#over = true
    this.#wakeup.wake()
  }

  async #supervise(): Promise<void> {
    const { clock } = this.#context
    for (let deaths = 0; !this.#over;) {
      const startedAt = clock.monotonicMs()
      const error = await this.#incarnation()
      if (this.#over) break
      if (clock.monotonicMs() - startedAt > HEALTHY_MS) deaths = 0
      deaths++
      if (deaths > RESTARTS_MAX || (isMillraceError(error) && error.kind !== 'transient')) {
        this.#fail(error)
        break
      }
      this.#reports = this.#blank('crashed', error)
      this.#context.report({ kind: 'restarted', task: this.#name, error, attempt: deaths })
      await this.#wakeup.wait(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** deaths))
    }
    this.#ready.resolve()
    this.#ended.resolve()
  }

  #fail(error: Error): void {
    this.#over = true
    this.#reports = this.#blank('failed', error)
    this.#failures = [{ phase: 'failed', error }]
    this.#context.report({ kind: 'failed', task: this.#name, error })
  }

  /** One thread from start to exit. Resolves with the reason of its death. */
  #incarnation(): Promise<Error> {
    const { port1, port2 } = new MessageChannel()
    this.#server.connect(port1)
    const spawn = this.#options.spawn ?? ((entry, options): Worker => new Worker(entry, options))
    const worker = spawn(ENTRY, {
      workerData: this.#order(port2),
      transferList: [port2],
      name: `${this.#context.plan.pipeline} ${this.#index}`,
    })
    this.#worker = worker
    return new Promise((resolve) => {
      let reason: unknown = null
      worker.on('message', (message: FromWorker) => {
        if (message.kind !== 'refused') return this.#take(message)
        reason = errorFromWire(message.error)
        void worker.terminate()
      })
      worker.on('error', (error: unknown) => {
        reason = error
      })
      worker.on('exit', (exitCode) => {
        if (this.#worker === worker) this.#worker = null
        port1.close()
        const died = new MillraceError('MR_WORKER_DIED', {
          details: { worker: this.#index, exitCode },
          ...(reason === null ? {} : { cause: reason }),
        })
        for (const { reject } of this.#waiting.values()) reject(died)
        this.#waiting.clear()
        resolve(isMillraceError(reason) ? reason : died)
      })
    })
  }

  #order(log: WorkerOrder['log']): WorkerOrder {
    const { plan, topology, settings } = this.#context
    const { count, nativeCrc32c } = this.#options
    return {
      name: plan.pipeline,
      pipeline: named(this.#options),
      nativeCrc32c: nativeCrc32c === undefined ? null : named(nativeCrc32c),
      planVersion: codeVersion(plan),
      codeVersion: topology.codeVersion,
      settings,
      index: this.#index,
      count,
      log,
    }
  }

  #take(message: Exclude<FromWorker, { kind: 'refused' }>): void {
    switch (message.kind) {
      case 'ready':
        return this.#ready.resolve()
      case 'ended':
        return this.#ended.resolve()
      case 'event':
        return this.#context.report(eventOf(message.event))
      case 'reports':
        this.#reports = message.reports.map((report) => ({ ...report, status: { ...report.status, worker: this.#index } }))
        this.#failures = message.failures.map(failureOf)
        return
      case 'done':
        return this.#settle(message.id)?.resolve(message.value)
      case 'failed':
        return this.#settle(message.id)?.reject(errorFromWire(message.error))
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  #ask(message: ToWorker): Promise<unknown> {
    const worker = this.#worker
    if (worker === null) return Promise.reject(new MillraceError('MR_WORKER_DIED', { details: { worker: this.#index } }))
    return new Promise((resolve, reject) => {
      this.#waiting.set(message.id, { resolve, reject })
      worker.postMessage(message)
    })
  }

  /** Reports of tasks of which nothing is known. */
  #blank(phase: TaskPhase, error: Error | null): readonly TaskReport[] {
    return this.#context.topology.parts.flatMap((part) =>
      Array.from({ length: part.groups }, (_, group) => group)
        .filter((group) => group % this.#options.count === this.#index)
        .map((group) => ({
          status: { ...statusWithoutCore(part.name, group, phase, error), worker: this.#index },
          operators: [],
          stores: [],
        })),
    )
  }

  #setPhase(phase: TaskPhase): void {
    if (this.#failures.length > 0) return
    this.#reports = this.#reports.map((report) => ({ ...report, status: { ...report.status, phase } }))
  }
}

function named({ module, exportName = 'default' }: ModuleExport): Required<ModuleExport> {
  return { module, exportName }
}
