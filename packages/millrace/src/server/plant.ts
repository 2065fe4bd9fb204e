// A plant: one process that collects, keeps, processes, ships and shows. It opens the log, starts the pipelines, and answers over HTTP.
//
//   log opened (folder locked) -> pipelines started -> HTTP listens -> running
//   stop: HTTP takes nothing new -> pipelines commit and publish -> log closed
import {
  type Clock,
  type Disk,
  type Log,
  MemoryLog,
  MillraceError,
  nodeDisk,
  openEmbeddedLog,
  type RunningPipeline,
  type Scheduler,
  seededRandom,
  systemClock,
  strayFailure,
  systemScheduler,
  type Timer,
  type WorkerOptions,
} from '@millrace/core/engine'
import type { PipelineDefinition } from '@millrace/core'
import type { PlantStatus } from '../api.ts'
import type { SourceDefinition } from '../source.ts'
import { VERSION } from '../version.ts'
import { BodyBudget } from './http/body.ts'
import { Collector } from './collect/collector.ts'
import { ConsoleFiles, consoleFolder } from './http/console-files.ts'
import type { PlantContext } from './routes/context.ts'
import { LetterBoxes } from './letters/letter-boxes.ts'
import {
  BODY_BYTES_MAX,
  CLOCK_FIX,
  CLOCK_LEAST_MS,
  DEFAULT_HOST,
  DEFAULT_PORT,
  DISK_RESERVE_BYTES,
  logFolder,
  MEMORY_BYTES,
} from './defaults.ts'
import { healthOf } from './watch/health.ts'
import { type HttpServer, listen, type TlsFiles } from './http/http-server.ts'
import { type LogLines, silentLog } from './watch/log-lines.ts'
import { LogWatch } from './watch/log-watch.ts'
import { Notices } from './watch/notices.ts'
import { Pipelines, type PipelinesSettings } from './pipelines/pipelines.ts'
import { withOwner } from './port-owner.ts'
import { requireOptions } from './options-check.ts'
import { Rates } from './watch/rates.ts'
import { Replays } from './pipelines/replays.ts'
import { Router } from './http/router.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { statusRoutes } from './routes/status.ts'
import { tableRoutes } from './routes/tables.ts'
import { topicRoutes, topicStatuses } from './routes/topics.ts'
import { isLoopback, Security } from './http/security.ts'
import { removeServerFile, writeServerFile } from './server-file.ts'
import { Sources } from './sources.ts'
import { Streams } from './http/streams.ts'

const SECOND_MS = 1000
/**
 * What is collected goes through the journal, also in large batches: pipelines that follow read it from the journal's memory, and new pages of
 * a growing segment cost more CPU than the second write (measured, ADR 0003).
 */
const REFERENCE_BYTES = 512 << 10
/** Time that requests and streams get to end when the plant stops. */
const STOP_HTTP_MS = 5000

export interface PlantOptions {
  /** Data folder, made when missing. Null: everything in memory, gone at the end. */
  readonly folder: string | null
  readonly pipelines: readonly PipelineDefinition[]
  /** What fills topics by itself, made with `source`. Default none. */
  readonly sources?: readonly SourceDefinition[]
  /** Address to listen on. Default 127.0.0.1; another than a loopback one needs a token. */
  readonly host?: string
  /** Default 4410; 0 takes a free one. */
  readonly port?: number
  /** Every request but /health and the page itself must carry it. */
  readonly token?: string | null
  readonly tls?: TlsFiles | null
  /** Further host names under which clients reach the server. */
  readonly hosts?: readonly string[]
  /** Largest request body, before and after decompression. Default 32 MiB. */
  readonly bodyBytesMax?: number
  /** Memory of the log, of requests in flight and of what tasks write ahead of their readers (ADR 0012). Default 256 MiB. */
  readonly memoryBytes?: number
  /** Free disk space below which the collector answers 507. Default 256 MiB. */
  readonly diskReserveBytes?: number
  /** Hashes of user modules and the lock file, for the code version. */
  readonly modules?: readonly string[]
  /**
   * Builds state again that has changed. Default false: such a start is refused. `unnoticed`: only where no topic and no sink would get rows
   * a second time and the log still has every record.
   */
  readonly rebuild?: boolean | 'unnoticed'
  /** Gives up the state of operators that the pipelines no longer have. Default false: such a start is refused. */
  readonly dropState?: boolean
  /** Where sources without a position start. Default earliest. */
  readonly startAt?: 'earliest' | 'latest'
  /** Ends the pipelines when what is in the sources at the start is processed. */
  readonly bounded?: boolean
  /**
   * Runs the tasks of each pipeline in so many worker threads, which import `module` themselves and must find the same pipelines there.
   * Default: everything on the main thread, which has no messages to pay for.
   */
  readonly workers?: WorkerOptions | null
  /** Bytes of a task's changelog between two snapshots of its state. Fewer: faster starts, more writing. Default: 64 MiB, and as much as the state has. */
  readonly snapshotBytesMin?: number
  /** Folder of the built page. Default: the one that comes with the package. */
  readonly page?: string
  readonly log?: LogLines
  readonly clock?: Clock
  readonly scheduler?: Scheduler
  readonly disk?: Disk
  /** Writes `server.json` into the folder, by which commands find the server. Default true. */
  readonly announce?: boolean
  /** Called once when the log fails and the process must end: nothing can be made durable any more. */
  readonly onFatal?: (error: unknown) => void
}

/** A running plant. */
export interface Plant {
  readonly url: string
  readonly port: number
  readonly log: Log
  readonly pipelines: ReadonlyMap<string, RunningPipeline>
  status(): PlantStatus
  /**
   * Takes the reason of an unhandled rejection of this process. True when the user's code has let go of a promise that failed: that is noted, on
   * the page too. False: millrace's own code failed, and the process should end.
   */
  takeRejection(reason: unknown): boolean
  /** Graceful: takes nothing new, commits, publishes sinks, closes the log. */
  stop(): Promise<void>
}

/**
 * Starts a plant and resolves when every pipeline runs; it listens and collects before, while state is restored. A task that cannot be restored
 * because stored bytes are damaged stays failed, with the reason in the status, and everything else runs.
 * @throws {MillraceError} `MR_LOG_LOCKED`, `MR_LOG_FORMAT_NEWER`, `MR_SERVER_PORT_TAKEN`, `MR_SERVER_ADDRESS`, `MR_SERVER_TLS`,
 * `MR_SETTINGS_INVALID`, `MR_RUNTIME_STATE_LAYOUT`, `MR_RUNTIME_STATE_LOST`, `MR_RUNTIME_GROUPS_FIXED`; nothing is left running then.
 * @example
 * const plant = await startPlant({ folder: 'millrace-data', pipelines: [definition] })
 */
export async function startPlant(options: PlantOptions): Promise<Plant> {
  requireOptions(options)
  requireSafeAddress(options)
  const { clock = systemClock, scheduler = systemScheduler } = options
  const log = await openLog(options, clock, scheduler)
  const plant = new RunningPlant(options, log, clock, scheduler)
  try {
    await plant.start()
  } catch (error) {
    await plant.stop()
    throw error
  }
  return plant
}

function requireSafeAddress({ host = DEFAULT_HOST, token = null }: PlantOptions): void {
  if (!isLoopback(host) && token === null) throw new MillraceError('MR_SERVER_ADDRESS', { details: { host } })
}

async function openLog(options: PlantOptions, clock: Clock, scheduler: Scheduler): Promise<Log> {
  const { folder, disk = nodeDisk, memoryBytes = MEMORY_BYTES, diskReserveBytes = DISK_RESERVE_BYTES } = options
  if (folder === null) return new MemoryLog({ clock, scheduler, random: seededRandom(clock.nowUs()), gaps: false })
  // Whoever may read it may read every event; a folder that is there keeps the rights that its owner gave it.
  disk.makeFolder(folder, 'private')
  // The journal's two halves are the largest part of the log's memory; they grow with the budget.
  const journalHalfBytesMax = Math.max(8 << 20, Math.min(64 << 20, Math.floor(memoryBytes / 8)))
  return openEmbeddedLog({
    folder: logFolder(folder),
    disk,
    clock,
    scheduler,
    diskReserveBytes,
    journalHalfBytesMax,
    referenceBytes: REFERENCE_BYTES,
  })
}

function pipelinesSettings(options: PlantOptions): PipelinesSettings {
  const { startAt, rebuild = false, dropState = false, bounded, workers = null, snapshotBytesMin, modules = [] } = options
  return {
    policy: { rebuild, dropState },
    modules,
    aheadBytes: Math.floor((options.memoryBytes ?? MEMORY_BYTES) / 8),
    ...(startAt === undefined ? {} : { startAt }),
    ...(bounded === undefined ? {} : { bounded }),
    ...(workers === null ? {} : { workers }),
    ...(snapshotBytesMin === undefined ? {} : { snapshotBytesMin }),
  }
}

class RunningPlant implements Plant {
  readonly log: Log
  readonly #options: PlantOptions
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #disk: Disk
  readonly #lines: LogLines
  readonly #startedAtMs: number
  readonly #notices: Notices
  readonly #topicRates: Rates
  readonly #nodeRates: Rates
  readonly #streams = new Streams()
  readonly #collector: Collector
  readonly #logWatch: LogWatch
  readonly #pipelines: Pipelines
  readonly #replays: Replays
  readonly #letters: LetterBoxes
  readonly #sources: Sources
  readonly #seconds = new Set<() => void>()
  #timer: Timer | null = null
  #server: HttpServer | null = null
  #stopping: Promise<void> | null = null
  /** Topics are there and the collector answers. */
  #isCollecting = false
  #fatal = false

  constructor(options: PlantOptions, log: Log, clock: Clock, scheduler: Scheduler) {
    this.log = log
    this.#options = options
    this.#clock = clock
    this.#scheduler = scheduler
    this.#disk = options.disk ?? nodeDisk
    this.#lines = options.log ?? silentLog
    this.#startedAtMs = clock.nowMs()
    this.#letters = new LetterBoxes(log, clock)
    this.#notices = new Notices(clock, this.#lines, options.folder)
    const environment = { log, clock, scheduler, disk: this.#disk, notices: this.#notices }
    this.#logWatch = new LogWatch(log, this.#notices)
    this.#pipelines = new Pipelines(environment, pipelinesSettings(options))
    this.#replays = new Replays(
      { ...environment, places: this.#pipelines.places, onEvent: (name, event) => this.#notices.take(name, event) },
      this.#letters,
    )
    this.#sources = new Sources({ log, clock, scheduler, disk: this.#disk }, this.#notices)
    this.#topicRates = new Rates(clock)
    this.#nodeRates = new Rates(clock)
    this.#collector = new Collector({
      log,
      clock,
      scheduler,
      declarations: this.#pipelines.declarations,
      reserved: this.#pipelines.reserved,
      inFlightBytesMax: Math.floor((options.memoryBytes ?? MEMORY_BYTES) / 4),
    })
  }

  get url(): string {
    return this.#server?.url ?? ''
  }

  get port(): number {
    return this.#server?.port ?? 0
  }

  get pipelines(): ReadonlyMap<string, RunningPipeline> {
    return new Map(Array.from(this.#pipelines.running, ([name, { running }]) => [name, running]))
  }

  async start(): Promise<void> {
    this.#logWatch.sayRecovery()
    if (this.#clock.nowMs() < CLOCK_LEAST_MS)
      this.#notices.add(
        'warning',
        'clock',
        'early',
        null,
        `the clock of the machine says ${new Date(this.#clock.nowMs()).toISOString()}`,
        CLOCK_FIX,
      )
    // The port first: when it is taken, no pipeline has begun to work.
    await this.#listen()
    const { folder, announce = true, pipelines, sources = [] } = this.#options
    for (const definition of pipelines) await this.#pipelines.prepare(definition)
    for (const { topic } of sources) this.#pipelines.declarations.set(topic.name, topic)
    // What is sent from here on is kept, however long the tasks take to restore their state, and when one cannot.
    this.#isCollecting = true
    if (folder !== null && announce)
      writeServerFile(folder, { pid: process.pid, url: this.url, startedAtMs: this.#startedAtMs, version: VERSION })
    this.#tick()
    await this.#pipelines.start()
    for (const definition of sources) await this.#sources.start(definition)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  takeRejection(reason: unknown): boolean {
    const error = strayFailure(reason)
    if (error !== null) this.#notices.failure('error', 'user code', 'goes on', error)
    return error !== null
  }

  status(): PlantStatus {
    const { folder, memoryBytes = MEMORY_BYTES } = this.#options
    const { rss, heapUsed } = process.memoryUsage()
    return {
      version: VERSION,
      nowMs: this.#clock.nowMs(),
      startedAtMs: this.#startedAtMs,
      folder,
      pipelines: this.#pipelines.statuses(),
      sources: this.#sources.statuses(),
      topics: topicStatuses({ log: this.log }, true),
      memory: { residentBytes: rss, heapBytes: heapUsed, budgetBytes: memoryBytes },
      disk: this.#room(),
      log: this.#logWatch.status(),
      rates: { topics: this.#topicRates.read(), nodes: this.#nodeRates.read() },
      notices: this.#notices.list(),
    }
  }

  #room(): PlantStatus['disk'] {
    const { folder, diskReserveBytes = DISK_RESERVE_BYTES } = this.#options
    return folder === null ? { freeBytes: 0, reserveBytes: 0 } : { freeBytes: this.#disk.freeBytes(folder), reserveBytes: diskReserveBytes }
  }

  async #listen(): Promise<void> {
    const {
      host = DEFAULT_HOST,
      port = DEFAULT_PORT,
      token = null,
      tls = null,
      hosts = [],
      bodyBytesMax = BODY_BYTES_MAX,
      memoryBytes = MEMORY_BYTES,
    } = this.#options
    const security = new Security({ host, hosts: hosts.map((name) => name.toLowerCase()), token })
    const router: Router = new Router(this.#routes(() => router.routes, security))
    const page = new ConsoleFiles(this.#options.page ?? consoleFolder())
    try {
      this.#server = await listen({
        host,
        port,
        tls,
        router,
        security,
        limits: { bodyBytesMax, budget: new BodyBudget(Math.floor(memoryBytes / 4)) },
        log: this.#lines,
        isReady: () => this.#isCollecting,
        fallback: (path, request, response) => page.answer(path, request, response),
      })
    } catch (error) {
      throw await withOwner(error, host, port)
    }
  }

  #routes(all: () => Router['routes'], security: Security): Router['routes'] {
    const context: PlantContext = {
      folder: this.#options.folder,
      health: () =>
        healthOf({
          folder: this.#options.folder,
          pipelines: this.#pipelines.statuses(),
          sources: this.#sources.statuses(),
          disk: this.#room(),
          log: this.#logWatch.status(),
          isCollecting: this.#isCollecting,
          isStopping: this.#stopping !== null,
          wanted: this.#options.pipelines.map(({ name }) => name),
        }),
      mayRead: (request) => security.mayRead(request),
      log: this.log,
      clock: this.#clock,
      scheduler: this.#scheduler,
      collector: this.#collector,
      streams: this.#streams,
      pipelines: this.#pipelines,
      letters: this.#letters,
      sources: () => this.#sources.statuses(),
      replays: this.#replays,
      reserved: this.#pipelines.reserved,
      status: () => this.status(),
      eachSecond: (run) => {
        this.#seconds.add(run)
        return () => this.#seconds.delete(run)
      },
    }
    return [
      ...topicRoutes(context),
      ...tableRoutes(context),
      ...deadLetterRoutes(context),
      ...pipelineRoutes(context),
      ...statusRoutes(context, all),
    ]
  }

  /** Each second: rates, those who follow the status, and a look whether the log still works. */
  #tick(): void {
    this.#timer = this.#scheduler.after(SECOND_MS, () => this.#tick())
    const { failure } = this.#logWatch
    if (failure !== null) return this.#fail(failure)
    this.#logWatch.sayForgottenKeys()
    const topics = new Map<string, number>()
    for (const topic of this.log.topics())
      topics.set(
        topic.name,
        this.log.ends(topic.name).reduce((sum, ends) => sum + ends.end, 0),
      )
    this.#topicRates.sample(topics)
    const nodes = new Map<string, number>()
    for (const { nodes: own } of this.#pipelines.statuses())
      for (const node of own) nodes.set(node.name, Math.max(node.counters.rowsIn, node.counters.rowsOut))
    this.#nodeRates.sample(nodes)
    this.#notices.flush()
    for (const run of this.#seconds) run()
  }

  #fail(error: unknown): void {
    if (this.#fatal) return
    this.#fatal = true
    this.#options.onFatal?.(error)
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel()
    this.#streams.stop()
    await this.#stopServer()
    await this.#sources.stop()
    await this.#replays.stop()
    await this.#pipelines.stop()
    await this.#letters.close()
    const { folder, announce = true } = this.#options
    if (folder !== null && announce && this.#server !== null) removeServerFile(folder)
    await this.log.close()
  }

  async #stopServer(): Promise<void> {
    const server = this.#server
    if (server === null) return
    const late = this.#scheduler.after(STOP_HTTP_MS, () => server.destroy())
    await server.stop()
    late.cancel()
  }
}
