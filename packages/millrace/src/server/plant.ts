// A plant: one process that collects, keeps, processes, ships and shows. It opens the log, starts the pipelines, and answers over HTTP.
//
//   log opened (folder locked) -> pipelines started -> HTTP listens -> running
//   stop: HTTP takes nothing new -> pipelines commit and publish -> log closed
import {
  type AnyTopic,
  type Clock,
  codeVersion,
  compiler,
  deadLetterTopic,
  type Disk,
  type EmbeddedLog,
  type Log,
  MemoryLog,
  MillraceError,
  nodeDisk,
  isMillraceError,
  openEmbeddedLog,
  type PipelineOptions,
  type Plan,
  outputsText,
  rowsAgain,
  RunningPipeline,
  type Scheduler,
  seededRandom,
  systemClock,
  systemScheduler,
  type Timer,
  type Topology,
  type WorkerOptions,
} from '@millrace/core/engine'
import type { PipelineDefinition } from '@millrace/core'
import type { LogStatus, PlantStatus } from '../api.ts'
import type { SourceDefinition } from '../source.ts'
import { VERSION } from '../version.ts'
import { errorOf } from './answers.ts'
import { BodyBudget } from './collect/body.ts'
import { Collector } from './collect/collector.ts'
import { ConsoleFiles, consoleFolder } from './console-files.ts'
import { type PlantContext, type PlantPipeline, pipelineStatuses, replayOf } from './context.ts'
import { LetterBoxes } from './letter-boxes.ts'
import { BODY_BYTES_MAX, DEFAULT_HOST, DEFAULT_PORT, DISK_RESERVE_BYTES, logFolder, MEMORY_BYTES } from './defaults.ts'
import { healthOf } from './health.ts'
import { type HttpServer, listen, type TlsFiles } from './http-server.ts'
import { type LogLines, silentLog } from './log-lines.ts'
import { Notices } from './notices.ts'
import { storePlan } from './plan-store.ts'
import { askPortOwner } from './port-owner.ts'
import { Rates } from './rates.ts'
import { deleteReplayTopics, type Replay, type ReplayRequest, replaysLeft, startReplay } from './replays.ts'
import { Router } from './router.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { pipelineRoutes } from './routes/pipelines.ts'
import { statusRoutes } from './routes/status.ts'
import { tableRoutes } from './routes/tables.ts'
import { topicRoutes, topicStatuses } from './routes/topics.ts'
import { isLoopback, Security } from './security.ts'
import { removeServerFile, writeServerFile } from './server-file.ts'
import { Sources } from './sources.ts'
import { passStateGate, type Rebuilt, sourcesText } from './state-gate.ts'
import { Streams } from './streams.ts'

const SECOND_MS = 1000
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
  /** Graceful: takes nothing new, commits, publishes sinks, closes the log. */
  stop(): Promise<void>
}

/**
 * Starts a plant and resolves when every pipeline runs; it listens and collects before, while state is restored. A task that cannot be restored
 * because stored bytes are damaged stays failed, with the reason in the status, and everything else runs.
 * @throws {MillraceError} `MR_LOG_LOCKED`, `MR_LOG_FORMAT_NEWER`, `MR_SERVER_PORT_TAKEN`, `MR_SERVER_ADDRESS`, `MR_SERVER_TLS`,
 * `MR_RUNTIME_STATE_LAYOUT`, `MR_RUNTIME_STATE_LOST`, `MR_RUNTIME_GROUPS_FIXED`; nothing is left running then.
 * @example
 * const plant = await startPlant({ folder: 'millrace-data', pipelines: [definition] })
 */
export async function startPlant(options: PlantOptions): Promise<Plant> {
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
  disk.makeFolder(folder)
  // The journal's two halves are the largest part of the log's memory; they grow with the budget.
  const journalHalfBytesMax = Math.max(8 << 20, Math.min(64 << 20, Math.floor(memoryBytes / 8)))
  return openEmbeddedLog({ folder: logFolder(folder), disk, clock, scheduler, diskReserveBytes, journalHalfBytesMax })
}

/** A pipeline whose topics are there and whose tasks are still to be started. */
interface PreparedPipeline {
  readonly name: string
  readonly plan: Plan
  readonly topology: Topology
  readonly options: PipelineOptions
  readonly rebuilt: Rebuilt
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
  readonly #declarations = new Map<string, AnyTopic>()
  readonly #reserved = new Set<string>()
  readonly #pipelines = new Map<string, PlantPipeline>()
  readonly #replays = new Map<string, Replay>()
  readonly #letters: LetterBoxes
  readonly #sources: Sources
  readonly #seconds = new Set<() => void>()
  #timer: Timer | null = null
  #saidForgottenKeys = false
  #server: HttpServer | null = null
  #stopping: Promise<void> | null = null
  /** Topics are there and the collector answers. */
  #isCollecting = false
  /** All pipelines are known, running or not. */
  #isReady = false
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
    this.#notices = new Notices(clock, this.#lines)
    this.#sources = new Sources({ log, clock, scheduler, disk: this.#disk }, this.#notices)
    this.#topicRates = new Rates(clock)
    this.#nodeRates = new Rates(clock)
    this.#collector = new Collector({
      log,
      clock,
      scheduler,
      declarations: this.#declarations,
      reserved: this.#reserved,
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
    return new Map(Array.from(this.#pipelines, ([name, { running }]) => [name, running]))
  }

  async start(): Promise<void> {
    this.#sayRecovery()
    // The port first: when it is taken, no pipeline has begun to work.
    await this.#listen()
    const { folder, announce = true, pipelines, sources = [] } = this.#options
    const prepared: PreparedPipeline[] = []
    for (const definition of pipelines) prepared.push(await this.#prepare(definition))
    for (const { topic } of sources) this.#declarations.set(topic.name, topic)
    // What is sent from here on is kept, however long the tasks take to restore their state, and when one cannot.
    this.#isCollecting = true
    if (folder !== null && announce)
      writeServerFile(folder, { pid: process.pid, url: this.url, startedAtMs: this.#startedAtMs, version: VERSION })
    this.#tick()
    const opened: (() => Promise<void>)[] = []
    for (const one of prepared) opened.push(await this.#open(one))
    this.#isReady = true
    await Promise.all(opened.map((whenRestored) => whenRestored()))
    for (const definition of sources) await this.#sources.start(definition)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  status(): PlantStatus {
    const { folder, memoryBytes = MEMORY_BYTES } = this.#options
    const { rss, heapUsed } = process.memoryUsage()
    return {
      version: VERSION,
      nowMs: this.#clock.nowMs(),
      startedAtMs: this.#startedAtMs,
      folder,
      pipelines: pipelineStatuses({ pipelines: this.#pipelines }),
      sources: this.#sources.statuses(),
      topics: topicStatuses({ log: this.log }, true),
      memory: { residentBytes: rss, heapBytes: heapUsed, budgetBytes: memoryBytes },
      disk: this.#room(),
      log: logStatus(this.log),
      rates: { topics: this.#topicRates.read(), nodes: this.#nodeRates.read() },
      notices: this.#notices.list(),
    }
  }

  #room(): PlantStatus['disk'] {
    const { folder, diskReserveBytes = DISK_RESERVE_BYTES } = this.#options
    return folder === null ? { freeBytes: 0, reserveBytes: 0 } : { freeBytes: this.#disk.freeBytes(folder), reserveBytes: diskReserveBytes }
  }

  /** Everything that may refuse a start before anything of the pipeline works, and its topics. */
  async #prepare({ name, plan, warnings }: PipelineDefinition): Promise<PreparedPipeline> {
    if (this.#reserved.has(deadLetterTopic(name)))
      throw new MillraceError('MR_PLAN_NAME_TAKEN', { message: 'two pipelines have the same name.', details: { pipeline: name } })
    for (const { message, place } of warnings)
      this.#notices.add('warning', name, message, null, `${message}${place === null ? '' : ` (${place})`}`, null)
    const { startAt, rebuild = false, dropState = false, bounded, workers = null, snapshotBytesMin, modules = [] } = this.#options
    const { memoryBytes = MEMORY_BYTES } = this.#options
    const rebuilt = await passStateGate(this.log, plan, { rebuild, dropState })
    const options: PipelineOptions = {
      rebuild: rebuild === true || rebuilt.length > 0,
      stateChanged: rebuilt.length > 0,
      log: this.log,
      clock: this.#clock,
      scheduler: this.#scheduler,
      disk: this.#disk,
      compiler,
      codeVersion: codeVersion(plan, modules),
      aheadBytes: Math.floor(memoryBytes / 8),
      ...(startAt === undefined ? {} : { startAt }),
      ...(bounded === undefined ? {} : { bounded }),
      ...(workers === null ? {} : { workers }),
      ...(snapshotBytesMin === undefined ? {} : { snapshotBytesMin }),
      onEvent: (event) => this.#notices.take(name, event),
    }
    const topology = await RunningPipeline.prepare(plan, options)
    for (const node of plan.nodes) if ('topic' in node) this.#declarations.set(node.topic.name, node.topic)
    for (const node of plan.nodes)
      if (node.kind === 'table-source' && node.from.kind === 'topic') this.#declarations.set(node.from.name, node.from)
    this.#reserved.add(deadLetterTopic(name))
    return { name, plan, topology, options, rebuilt }
  }

  /**
   * Starts the tasks. What it returns resolves when they are restored, or stay failed because stored bytes are damaged: then everything else
   * goes on. It throws any other failure.
   */
  async #open({ name, plan, topology, options, rebuilt }: PreparedPipeline): Promise<() => Promise<void>> {
    const running = await RunningPipeline.open(plan, topology, options)
    this.#pipelines.set(name, { name, plan, running })
    const { isRebuilt } = running
    if (isRebuilt) this.#sayRebuilt(plan, rebuilt)
    return async () => {
      const failure = await running.ready()
      if (failure !== null && !(isMillraceError(failure) && failure.kind === 'data')) throw failure
      const parts = topology.parts.map((part) => part.name)
      const version = { codeVersion: options.codeVersion, atMs: this.#clock.nowMs(), parts }
      await storePlan(this.log, plan, { ...version, ...(isRebuilt ? { isRebuilt } : {}) })
    }
  }

  #sayRebuilt(plan: Plan, rebuilt: Rebuilt): void {
    const again = rowsAgain(plan)
    const outputs = outputsText(again)
    const changed = rebuilt.map(({ name }) => `\`${name}\``).join(', ')
    const message = `rebuilt: ${changed === '' ? 'stored state has another layout or is damaged' : `${changed} changed`}; the state is made again from ${sourcesText(this.log, again.sources)}`
    this.#notices.add(
      'info',
      plan.pipeline,
      'rebuilt',
      null,
      outputs === null ? message : `${message}, whose rows go to ${outputs} again`,
      null,
    )
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
    const router: Router = new Router(this.#routes(() => router.routes))
    const page = new ConsoleFiles(this.#options.page ?? consoleFolder())
    try {
      this.#server = await listen({
        host,
        port,
        tls,
        router,
        security: new Security({ host, hosts: hosts.map((name) => name.toLowerCase()), token }),
        limits: { bodyBytesMax, budget: new BodyBudget(Math.floor(memoryBytes / 4)) },
        log: this.#lines,
        isReady: () => this.#isCollecting,
        fallback: (path, request, response) => page.answer(path, request, response),
      })
    } catch (error) {
      throw await withOwner(error, host, port)
    }
  }

  #routes(all: () => Router['routes']): Router['routes'] {
    const context: PlantContext = {
      folder: this.#options.folder,
      isReady: () => this.#isReady,
      health: () =>
        healthOf({
          folder: this.#options.folder,
          pipelines: pipelineStatuses({ pipelines: this.#pipelines }),
          sources: this.#sources.statuses(),
          disk: this.#room(),
          log: logStatus(this.log),
          isCollecting: this.#isCollecting,
          isStopping: this.#stopping !== null,
          wanted: this.#options.pipelines.map(({ name }) => name),
        }),
      log: this.log,
      clock: this.#clock,
      scheduler: this.#scheduler,
      collector: this.#collector,
      streams: this.#streams,
      pipelines: this.#pipelines,
      letters: this.#letters,
      sources: () => this.#sources.statuses(),
      replays: this.#replays,
      reserved: this.#reserved,
      status: () => this.status(),
      deleteReplay: (id) => this.#deleteReplay(id),
      startReplay: (pipeline, request) => this.#startReplay(pipeline, request),
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

  async #startReplay({ plan, running }: PlantPipeline, request: ReplayRequest): Promise<Replay> {
    const environment = {
      log: this.log,
      clock: this.#clock,
      scheduler: this.#scheduler,
      disk: this.#disk,
      onEvent: (name: string, event: Parameters<Notices['take']>[1]) => this.#notices.take(name, event),
    }
    const replay = await startReplay(environment, plan, running.topology.codeVersion, request)
    this.#replays.set(request.id, replay)
    return replay
  }

  async #deleteReplay(id: string): Promise<readonly string[]> {
    const pipelines = [
      ...[...this.#replays.values()].map((replay) => replay.status()),
      ...replaysLeft(this.log, new Set(this.#replays.keys())),
    ]
    const found = pipelines.find((status) => status.id === id)
    if (found === undefined) replayOf({ replays: this.#replays }, id)
    else await this.#letters.forget(`${found.pipeline}.replay-${id}`)
    await this.#replays.get(id)?.stop()
    this.#replays.delete(id)
    return deleteReplayTopics(this.log, id)
  }

  #sayRecovery(): void {
    const recovery = (this.log as Partial<EmbeddedLog>).recovery
    for (const damage of recovery?.damages ?? []) {
      this.#notices.add(
        'error',
        'log',
        JSON.stringify(damage),
        'MR_LOG_CORRUPT',
        `the log is damaged: ${JSON.stringify(damage)}`,
        'Run `millrace fsck`.',
      )
    }
  }

  /** Once: it goes on like that until fewer requests have keys. */
  #sayForgottenKeys(): void {
    if (this.#saidForgottenKeys || ((this.log as Partial<EmbeddedLog>).stats?.requestKeysForgotten ?? 0) === 0) return
    this.#saidForgottenKeys = true
    this.#notices.add(
      'warning',
      'log',
      'request keys',
      null,
      'more requests have an `Idempotency-Key` than the log can remember for 24 hours: a late repeat of an old one would be appended again',
      'Send larger batches, each with one key.',
    )
  }

  /** Each second: rates, those who follow the status, and a look whether the log still works. */
  #tick(): void {
    this.#timer = this.#scheduler.after(SECOND_MS, () => this.#tick())
    const failure = (this.log as Partial<EmbeddedLog>).failure ?? null
    if (failure !== null) return this.#fail(failure)
    this.#sayForgottenKeys()
    const topics = new Map<string, number>()
    for (const topic of this.log.topics())
      topics.set(
        topic.name,
        this.log.ends(topic.name).reduce((sum, ends) => sum + ends.end, 0),
      )
    this.#topicRates.sample(topics)
    const nodes = new Map<string, number>()
    for (const { nodes: own } of pipelineStatuses({ pipelines: this.#pipelines }))
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
    for (const replay of this.#replays.values()) await replay.stop()
    for (const { running } of this.#pipelines.values()) await running.stop()
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

function logStatus(log: Log): LogStatus | null {
  const { stats, quarantined = [], failure = null } = log as Partial<EmbeddedLog>
  if (stats === undefined) return null
  const { directWrites, journalHalfBytes, requestKeys, requestKeysForgotten } = stats
  const error = failure === null ? null : errorOf(failure)
  return {
    directWrites,
    journalHalfBytes,
    requestKeys,
    requestKeysForgotten,
    quarantined,
    error: error === null ? null : { code: error.code, message: error.message, fix: error.fix },
  }
}

/** A taken port: says who has it. */
async function withOwner(error: unknown, host: string, port: number): Promise<unknown> {
  if (!(error instanceof MillraceError) || error.code !== 'MR_SERVER_PORT_TAKEN') return error
  const owner = await askPortOwner(host, port)
  if (owner === null)
    return new MillraceError('MR_SERVER_PORT_TAKEN', {
      message: 'the port is taken by another program.',
      details: { host, port },
      cause: error,
    })
  return new MillraceError('MR_SERVER_PORT_TAKEN', {
    message: 'the port is taken by another millrace.',
    details: { host, port, pid: owner.pid, folder: owner.folder },
    fix: `Stop it (\`kill ${owner.pid}\`), or choose another port with \`--port N\`.`,
    cause: error,
  })
}
