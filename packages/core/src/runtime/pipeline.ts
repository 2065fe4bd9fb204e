// A pipeline that runs: makes its topics, plans the topology, starts its tasks, and answers for them.
// It owns the tasks of all groups that this process was given; the log's membership hands them out (all of them, on one machine). They run
// on this thread, or in worker threads when those are asked for.
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { Compiler } from '../compile/instantiate.ts'
import type { Topology } from '../compile/topology.ts'
import type { Log, LogPart } from '../log/log.ts'
import type { Plan, PlanNode } from '../plan/node.ts'
import type { OperatorCounters } from '../operators/operator.ts'
import type { TaskEvent } from './environment.ts'
import type { NodeStatus, PipelineStatus, TableStatus } from './status.ts'
import type { TablePage, TableQuery } from './table-reader.ts'
import { assert, must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { LocalTasks } from './task/local-tasks.ts'
import type { ReplaySettings } from './replay.ts'
import { orderRebuild, rebuildNeed } from './recovery/rebuild.ts'
import { mergeSlices } from './table-reader.ts'
import type { TaskHost, TaskReport } from './task-host.ts'
import { ownTopics } from '../plan/rebuild.ts'
import { checkFileTables, prepareTopology } from './topics.ts'
import type { WorkerOptions } from './workers/worker-options.ts'
import { openWorkers } from './workers/worker-tasks.ts'

export interface PipelineOptions {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly compiler: Compiler
  readonly codeVersion: string
  /** Where a source without a committed position starts. Default earliest. */
  readonly startAt?: 'earliest' | 'latest'
  /** When the layout of stored state has changed, or stored state is damaged: begin again with empty state at the start of the sources, instead of refusing. Topics and sinks get those rows again. */
  readonly rebuild?: boolean
  /** With `rebuild`: the caller knows from the plans that state means something else under the same layout, such as a window of another size. */
  readonly stateChanged?: boolean
  /** With `rebuild`: appended in one step with the order, when one is given. */
  readonly notedWithOrder?: readonly LogPart[]
  readonly codegen?: boolean
  readonly guardRows?: boolean
  /** Ends when everything that is in the sources at the start has been processed. */
  readonly bounded?: boolean
  readonly aheadBytes?: number
  /** Replay beside the live pipeline: plan made by `replayPlan`. */
  readonly replay?: ReplaySettings
  readonly snapshotBytesMin?: number
  /** Runs the tasks in worker threads, which import the pipeline themselves. Default: on this thread. Not with `replay`. */
  readonly workers?: WorkerOptions
  readonly onEvent?: (event: TaskEvent) => void
}

/** Bytes of unfinished output that a task may have ahead of a reader. */
const AHEAD_BYTES = 32 * 1024 * 1024

export class RunningPipeline {
  readonly plan: Plan
  readonly topology: Topology
  /** Whether state was built again by this start. */
  readonly isRebuilt: boolean
  readonly #hosts: readonly TaskHost[]
  readonly #options: PipelineOptions
  readonly #startedAtMs: number
  #stopped = false

  private constructor(plan: Plan, topology: Topology, hosts: readonly TaskHost[], isRebuilt: boolean, options: PipelineOptions) {
    this.plan = plan
    this.isRebuilt = isRebuilt
    this.topology = topology
    this.#hosts = hosts
    this.#options = options
    this.#startedAtMs = options.clock.nowMs()
  }

  /**
   * Starts the pipeline and resolves when every task has been restored and runs.
   * @throws {MillraceError} `MR_RUNTIME_GROUPS_FIXED`, `MR_RUNTIME_STATE_LAYOUT`, `MR_RUNTIME_STATE_DAMAGED`, `MR_RUNTIME_REBUILD_TOPIC`,
   * `MR_TABLE_FILE`, `MR_WORKER_CODE`, `MR_WORKER_MODULE` and the log's errors; nothing runs then.
   */
  static async start(plan: Plan, options: PipelineOptions): Promise<RunningPipeline> {
    const pipeline = await RunningPipeline.open(plan, await RunningPipeline.prepare(plan, options), options)
    const failure = await pipeline.ready()
    if (failure === null) return pipeline
    await pipeline.stop()
    throw failure
  }

  /**
   * Makes the topics that are missing: they take records from here on, long before the tasks are restored.
   * @throws {MillraceError} `MR_RUNTIME_GROUPS_FIXED`, `MR_TABLE_FILE`.
   */
  static prepare(plan: Plan, options: PipelineOptions): Promise<Topology> {
    checkFileTables(plan, options.disk)
    return prepareTopology(plan, options)
  }

  /** Starts the tasks of a prepared pipeline and resolves while they are still being restored. Throws MR_RUNTIME_REBUILD_TOPIC. */
  static async open(plan: Plan, topology: Topology, options: PipelineOptions): Promise<RunningPipeline> {
    const isRebuilt = await rebuildIfNeeded(plan, topology, options)
    const pipeline = new RunningPipeline(plan, topology, await openHosts(plan, topology, options), isRebuilt, options)
    for (const host of pipeline.#hosts) host.start()
    return pipeline
  }

  /** Resolves when every task runs for the first time or has failed: with the first failure, or null. */
  async ready(): Promise<unknown> {
    await Promise.all(this.#hosts.map((host) => host.ready()))
    return this.#failures().find(({ phase }) => phase === 'failed')?.error ?? null
  }

  /** Resolves when a bounded run has processed everything and is stopped, or when all tasks have stopped or failed; throws the first failure. */
  async finished(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.ended()))
    await this.stop()
    const failed = this.#failures()[0]
    if (failed !== undefined) throw failed.error
  }

  /** Commits what is open, publishes what sinks have written, and closes. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    // Producers first, so that sinks see everything that was committed.
    for (const part of this.topology.parts) await Promise.all(this.#hosts.map((host) => host.stop(part.name)))
    await Promise.all(this.#hosts.map((host) => host.close()))
  }

  /** Stops without ceremony, as a crash would: nothing is committed or published any more. For tests. */
  abandon(): void {
    this.#stopped = true
    for (const host of this.#hosts) host.abandon()
  }

  #failures(): ReturnType<TaskHost['failures']> {
    return this.#hosts.flatMap((host) => host.failures())
  }

  /** @throws {MillraceError} `MR_RUNTIME_TABLE_UNKNOWN`, `MR_TABLE_KEY_INVALID`, `MR_TABLE_NOT_READY`. */
  async table(name: string, query: TableQuery = {}): Promise<TablePage> {
    const table = this.topology.tables.find((other) => other.name === name)
    if (table === undefined)
      throw new MillraceError('MR_RUNTIME_TABLE_UNKNOWN', {
        details: { table: name, known: this.topology.tables.map((other) => other.name).join(', ') },
      })
    const question = { table: name, part: table.part, store: table.store, query }
    const slices = await Promise.all(this.#hosts.map((host) => host.readTable(question)))
    return mergeSlices(name, slices.flat(), query)
  }

  status(): PipelineStatus {
    const reports = this.#reports()
    const tasks = reports.map((report) => report.status)
    const bad = tasks.some((task) => task.phase === 'failed' || task.phase === 'paused' || task.phase === 'crashed')
    const over = tasks.every((task) => task.phase === 'stopped')
    return {
      pipeline: this.plan.pipeline,
      codeVersion: this.topology.codeVersion,
      phase: bad ? 'degraded' : over ? (this.#stopped ? 'stopped' : 'finished') : 'running',
      startedAtMs: this.#startedAtMs,
      nodes: this.plan.nodes.map((node) => this.#nodeStatus(node, reports)),
      exchanges: this.topology.parts.flatMap((part) =>
        part.inputs.flatMap((input) => (input.kind === 'exchange' ? [this.#exchangeStatus(input.topic, input.producer, part.name)] : [])),
      ),
      tasks,
      tables: this.topology.tables.map((table) => tableStatus(table, reports)),
    }
  }

  #exchangeStatus(topic: string, from: string, to: string): PipelineStatus['exchanges'][number] {
    let records = 0
    let bytes = 0
    for (const ends of this.#options.log.ends(topic)) {
      records += ends.end
      bytes += ends.bytes
    }
    return { topic, from, to, records, bytes }
  }

  /** Of all hosts, in the order of the topology. */
  #reports(): readonly TaskReport[] {
    const order = new Map(this.topology.parts.map((part, index) => [part.name, index]))
    const rank = ({ status }: TaskReport): number => must(order.get(status.part), `part ${status.part}`)
    const reports = this.#hosts.flatMap((host) => host.reports())
    return reports.toSorted((a, b) => rank(a) - rank(b) || a.status.group - b.status.group)
  }

  #nodeStatus(node: PlanNode, reports: readonly TaskReport[]): NodeStatus {
    const counters: OperatorCounters = { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 }
    const runs = this.topology.parts.find(
      (part) =>
        part.nodes.includes(node.id) ||
        part.inputs.some((input) => input.name === node.name) ||
        part.outputs.some((output) => output.kind === 'topic' && output.name === node.name) ||
        part.sink?.name === node.name,
    )
    const sinkPart = this.topology.parts.find((part) => part.sink?.name === node.name)
    for (const { status, operators } of reports) {
      for (const operator of operators) if (operator.name === node.name) addCounters(counters, operator.counters)
      if (sinkPart?.name === status.part) counters.rowsIn += sinkPart.sink?.output === null ? status.rowsIn : status.rowsOut
    }
    return {
      id: node.id,
      name: node.name,
      kind: node.kind,
      inputs: node.inputs,
      part: runs?.name ?? '',
      mode: node.mode,
      place: node.place,
      target: targetOf(node),
      counters,
    }
  }
}

/** Orders the tasks to begin with empty state at the start of the sources, when that is asked for and needed. Returns whether they will. */
async function rebuildIfNeeded(plan: Plan, topology: Topology, options: PipelineOptions): Promise<boolean> {
  if (options.rebuild !== true) return false
  const { log, clock, scheduler } = options
  const environment = { log, clock, scheduler, plan, topology, report: (): void => undefined }
  const need = await rebuildNeed(environment, options.stateChanged !== true)
  if (need.damage === null && !need.isChanged && options.stateChanged !== true) return false
  const topics = ownTopics(plan)
  if (topics.length > 0)
    throw new MillraceError('MR_RUNTIME_REBUILD_TOPIC', {
      details: { pipeline: plan.pipeline, topics: topics.join(', ') },
      ...(need.damage === null ? {} : { cause: need.damage }),
    })
  if (need.damage !== null || !need.isOrdered) await orderRebuild(environment, options.notedWithOrder ?? [])
  return true
}

/** Where the tasks run: here, or in as many workers as asked for. */
async function openHosts(plan: Plan, topology: Topology, options: PipelineOptions): Promise<readonly TaskHost[]> {
  const { log, clock, scheduler, disk, compiler, replay = null, workers } = options
  const report = options.onEvent ?? ((): void => undefined)
  const settings = {
    startAt: options.startAt ?? 'earliest',
    codegen: options.codegen ?? true,
    guardRows: options.guardRows ?? false,
    bounded: options.bounded ?? options.replay !== undefined,
    aheadBytes: options.aheadBytes ?? AHEAD_BYTES,
    ...(options.snapshotBytesMin === undefined ? {} : { snapshotBytesMin: options.snapshotBytesMin }),
  }
  if (workers === undefined) {
    return [await LocalTasks.open({ log, clock, scheduler, disk, plan, topology, compiler, ...settings, replay, report }, () => true)]
  }
  assert(replay === null, 'a replay runs on the main thread')
  return openWorkers({ plan, topology, log, clock, scheduler, settings, report }, workers)
}

function tableStatus(table: Topology['tables'][number], reports: readonly TaskReport[]): TableStatus {
  let rows = 0
  let bytes = 0
  let fields: readonly string[] = []
  let times: readonly string[] = []
  let numbers: readonly string[] = []
  for (const { status, stores } of reports) {
    const store = status.part === table.part ? stores.find((other) => other.name === table.store) : undefined
    if (store === undefined) continue
    rows += store.rows
    bytes += store.bytes
    fields = store.fields
    times = store.times
    numbers = store.numbers
  }
  return { name: table.name, primaryKey: table.primaryKey, fields, times, numbers, rows, bytes }
}

function addCounters(sum: OperatorCounters, more: OperatorCounters): void {
  sum.rowsIn += more.rowsIn
  sum.rowsOut += more.rowsOut
  sum.rowsLate += more.rowsLate
  sum.rowsDropped += more.rowsDropped
}

function targetOf(node: PlanNode): string | null {
  switch (node.kind) {
    case 'source':
    case 'through':
    case 'to-topic':
      return node.topic.name
    case 'table-source':
      return node.from.name
    case 'to-table':
      return node.table
    case 'to-sink':
      return node.sink.spec.type
    default:
      return null
  }
}
