// A pipeline that runs: makes its topics, plans the topology, starts its tasks, and answers for them.
// It owns the tasks of all groups that this process was given; the log's membership hands them out (all of them, on one machine).
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { Compiler } from '../compile/instantiate.ts'
import type { Topology } from '../compile/topology.ts'
import type { AnyTopic } from '../connect/topic.ts'
import type { Log } from '../log/log.ts'
import type { Plan, PlanNode } from '../plan/node.ts'
import type { OperatorCounters } from '../operators/operator.ts'
import type { TaskEnvironment, TaskEvent } from './environment.ts'
import type { NodeStatus, PipelineStatus, TableStatus, TaskStatus } from './status.ts'
import type { TablePage, TableQuery } from './table-reader.ts'
import { must } from '../base/assert.ts'
import { MillraceError, isMillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'
import { planTopology } from '../compile/topology-planner.ts'
import { ProgressBoard } from './progress-board.ts'
import type { ReplaySettings } from './replay.ts'
import type { BoardPart } from './progress-board.ts'
import { whyOpen } from './status.ts'
import { readTable } from './table-reader.ts'
import { Task } from './task.ts'
import { changelogTopic, deadLetterTopic, progressTopic, retryTopic, snapshotTopic } from './topic-names.ts'

export interface PipelineOptions {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly compiler: Compiler
  readonly codeVersion: string
  /** Where a source without a committed position starts. Default earliest. */
  readonly startAt?: 'earliest' | 'latest'
  readonly rebuild?: boolean
  readonly codegen?: boolean
  readonly guardRows?: boolean
  /** Ends when everything that is in the sources at the start has been processed. */
  readonly bounded?: boolean
  readonly aheadBytes?: number
  /** Replay beside the live pipeline: plan made by `replayPlan`. */
  readonly replay?: ReplaySettings
  readonly snapshotBytesMin?: number
  readonly onEvent?: (event: TaskEvent) => void
}

/** Bytes of unfinished output that a task may have ahead of a reader. */
const AHEAD_BYTES = 32 * 1024 * 1024
/** Progress and bindings are kept as long as replay is promised. */
const PROGRESS_RETENTION_MS = 7 * 86_400_000
const DEAD_LETTER_RETENTION_MS = 30 * 86_400_000
const PROGRESS_READ_BYTES = 4 * 1024 * 1024
const INTERNAL_BATCH_BYTES_MAX = 256 * 1024 * 1024

export class RunningPipeline {
  readonly plan: Plan
  readonly topology: Topology
  readonly tasks: readonly Task[]
  readonly #options: PipelineOptions
  readonly #board: ProgressBoard
  readonly #startedAtMs: number
  #stopped = false

  private constructor(plan: Plan, topology: Topology, tasks: readonly Task[], board: ProgressBoard, options: PipelineOptions) {
    this.plan = plan
    this.topology = topology
    this.tasks = tasks
    this.#board = board
    this.#options = options
    this.#startedAtMs = options.clock.nowMs()
  }

  /**
   * Starts the pipeline and resolves when every task has been restored and runs.
   * @throws {MillraceError} `MR_RUNTIME_GROUPS_FIXED`, `MR_RUNTIME_STATE_LAYOUT` and the log's errors; nothing runs then.
   */
  static async start(plan: Plan, options: PipelineOptions): Promise<RunningPipeline> {
    const topology = await prepareTopology(plan, options)
    const board = new ProgressBoard(options.log, boardParts(topology))
    await board.open(PROGRESS_READ_BYTES)
    const environment: TaskEnvironment = {
      log: options.log,
      clock: options.clock,
      scheduler: options.scheduler,
      disk: options.disk,
      board,
      plan,
      topology,
      compiler: options.compiler,
      startAt: options.startAt ?? 'earliest',
      rebuild: options.rebuild ?? false,
      codegen: options.codegen ?? true,
      guardRows: options.guardRows ?? false,
      bounded: options.bounded ?? options.replay !== undefined,
      replay: options.replay ?? null,
      aheadBytes: options.aheadBytes ?? AHEAD_BYTES,
      ...(options.snapshotBytesMin === undefined ? {} : { snapshotBytesMin: options.snapshotBytesMin }),
      report: options.onEvent ?? (() => undefined),
    }
    const tasks = topology.parts.flatMap((part) => Array.from({ length: part.groups }, (_, group) => new Task(environment, part, group)))
    const pipeline = new RunningPipeline(plan, topology, tasks, board, options)
    for (const task of tasks) task.start()
    await Promise.all(tasks.map((task) => task.ready()))
    const failed = tasks.find((task) => task.phase === 'failed')
    if (failed !== undefined) {
      await pipeline.stop()
      throw failed.error
    }
    return pipeline
  }

  /** Resolves when a bounded run has processed everything and is stopped, or when all tasks have stopped or failed; throws the first failure. */
  async finished(): Promise<void> {
    await Promise.all(this.tasks.map((task) => task.ended()))
    await this.stop()
    const failed = this.tasks.find((task) => task.phase === 'failed' || task.phase === 'paused')
    if (failed !== undefined) throw failed.error
  }

  /** Commits what is open, publishes what sinks have written, and closes. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    // Producers first, so that sinks see everything that was committed.
    for (const task of this.tasks) await task.stop()
    this.#board.close()
  }

  /** Stops without ceremony, as a crash would: nothing is committed or published any more. For tests. */
  abandon(): void {
    this.#stopped = true
    for (const task of this.tasks) task.abandon()
    this.#board.close()
  }

  /** @throws {MillraceError} `MR_RUNTIME_TABLE_UNKNOWN`, `MR_TABLE_KEY_INVALID`, `MR_TABLE_NOT_READY`. */
  async table(name: string, query: TableQuery = {}): Promise<TablePage> {
    const table = this.topology.tables.find((other) => other.name === name)
    if (table === undefined)
      throw new MillraceError('MR_RUNTIME_TABLE_UNKNOWN', {
        details: { table: name, known: this.topology.tables.map((other) => other.name).join(', ') },
      })
    const { scheduler } = this.#options
    return readTable(
      { name, store: table.store, tasks: this.tasks.filter((task) => task.part.name === table.part), turn: () => scheduler.turn() },
      query,
    )
  }

  status(): PipelineStatus {
    const tasks = this.tasks.map((task) => this.#taskStatus(task))
    const bad = tasks.some((task) => task.phase === 'failed' || task.phase === 'paused' || task.phase === 'crashed')
    const over = this.tasks.every((task) => task.phase === 'stopped')
    return {
      pipeline: this.plan.pipeline,
      codeVersion: this.topology.codeVersion,
      phase: bad ? 'degraded' : over ? (this.#stopped ? 'stopped' : 'finished') : 'running',
      startedAtMs: this.#startedAtMs,
      nodes: this.plan.nodes.map((node) => this.#nodeStatus(node)),
      exchanges: this.topology.parts.flatMap((part) =>
        part.inputs.flatMap((input) => (input.kind === 'exchange' ? [this.#exchangeStatus(input.topic, input.producer, part.name)] : [])),
      ),
      tasks,
      tables: this.topology.tables.map((table) => this.#tableStatus(table)),
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

  #taskStatus(task: Task): TaskStatus {
    const { core, loop } = task
    const inputs = loop?.inputStatus() ?? []
    const waitsForMs = core?.instance.nextDue() ?? Number.POSITIVE_INFINITY
    const watermarkMs = loop?.watermarkMs() ?? core?.state.watermarkMs ?? Number.NEGATIVE_INFINITY
    let stateRows = 0
    let stateBytes = 0
    for (const entry of core?.stores.values() ?? []) {
      stateRows += entry.store.rowCount
      stateBytes += entry.store.bytes()
    }
    const error = task.error
    return {
      task: task.name,
      part: task.part.name,
      group: task.group,
      phase: task.phase,
      error:
        error === null
          ? null
          : isMillraceError(error)
            ? { code: error.code, message: error.message, fix: error.fix }
            : { code: 'MR_RUNTIME_TASK_FAILED', message: textOf(error), fix: '' },
      tick: core?.state.through ?? 0,
      watermarkMs,
      clock: core?.state.status ?? 'active',
      lag: loop?.lag() ?? 0,
      stateRows,
      stateBytes,
      commits: core?.figures.commits ?? 0,
      commitMsLast: core?.figures.commitMsLast ?? 0,
      commitMsMax: core?.figures.commitMsMax ?? 0,
      rowsIn: core?.figures.rowsIn ?? 0,
      rowsOut: core?.figures.rowsOut ?? 0,
      deadLetters: core?.figures.deadLetters ?? 0,
      lastCommitAtMs: core?.figures.lastCommitAtMs ?? 0,
      waitsForMs,
      openBecause: whyOpen(waitsForMs, watermarkMs, inputs),
      inputs,
    }
  }

  #nodeStatus(node: PlanNode): NodeStatus {
    const counters: OperatorCounters = { rowsIn: 0, rowsOut: 0, rowsLate: 0, rowsDropped: 0 }
    let partName = ''
    for (const task of this.tasks) {
      const mine =
        task.part.nodes.includes(node.id) ||
        task.part.inputs.some((input) => input.name === node.name) ||
        task.part.outputs.some((output) => output.kind === 'topic' && output.name === node.name) ||
        task.part.sink?.name === node.name
      if (mine && partName === '') partName = task.part.name
      for (const operator of task.core?.instance.operators ?? []) if (operator.name === node.name) addCounters(counters, operator.counters)
      if (task.part.sink?.name === node.name && task.core !== null) counters.rowsIn += task.core.figures.rowsIn
    }
    return {
      id: node.id,
      name: node.name,
      kind: node.kind,
      inputs: node.inputs,
      part: partName,
      mode: node.mode,
      place: node.place,
      target: targetOf(node),
      counters,
    }
  }

  #tableStatus(table: Topology['tables'][number]): TableStatus {
    let rows = 0
    let bytes = 0
    let fields: readonly string[] = []
    for (const task of this.tasks) {
      if (task.part.name !== table.part) continue
      const store = task.core?.stores.get(table.store)?.store
      if (store === undefined) continue
      rows += store.rowCount
      bytes += store.bytes()
      fields = [...store.layout.key, ...store.layout.value].map((field) => field.name)
    }
    return { name: table.name, primaryKey: table.primaryKey, fields, rows, bytes }
  }
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

function boardParts(topology: Topology): readonly BoardPart[] {
  return topology.parts.map((part) => ({
    name: part.name,
    groups: part.groups,
    progressTopic: progressTopic(topology.pipeline, part.name),
    producers: [...new Set(part.inputs.flatMap((input) => (input.kind === 'exchange' ? [input.producer] : [])))],
    readers: topology.parts
      .filter((other) => other.inputs.some((input) => input.kind === 'exchange' && input.producer === part.name))
      .map((other) => other.name),
  }))
}

/** Makes the topics that are missing and plans the topology over what is there. */
async function prepareTopology(plan: Plan, options: PipelineOptions): Promise<Topology> {
  const { log } = options
  for (const node of plan.nodes) {
    if (node.kind === 'source' || node.kind === 'to-topic' || node.kind === 'through') await ensureTopic(log, node.topic)
    if (node.kind === 'table-source' && node.from.kind === 'topic') await ensureTopic(log, node.from)
  }
  const topology = planTopology(plan, {
    codeVersion: options.codeVersion,
    partitions: (topic) => must(log.topic(topic.name), `topic ${topic.name}`).settings.partitions,
    needed: options.compiler.neededFields(plan),
    stores: (node) => options.compiler.stores(plan, node),
  })
  for (const part of topology.parts) {
    const changelog = changelogTopic(plan.pipeline, part.name)
    const known = log.topic(changelog)
    if (known !== null && known.settings.partitions !== part.groups) {
      throw new MillraceError('MR_RUNTIME_GROUPS_FIXED', {
        details: { pipeline: plan.pipeline, part: part.name, groups: known.settings.partitions, wanted: part.groups },
      })
    }
    await ensureInternal(log, changelog, part.groups, null)
    await ensureInternal(log, snapshotTopic(plan.pipeline, part.name), part.groups, null)
    await ensureInternal(log, progressTopic(plan.pipeline, part.name), part.groups, PROGRESS_RETENTION_MS)
    await ensureInternal(log, retryTopic(plan.pipeline, part.name), part.groups, DEAD_LETTER_RETENTION_MS)
  }
  for (const topic of topology.internalTopics) await ensureInternal(log, topic.name, topic.partitions, null)
  if (log.topic(deadLetterTopic(plan.pipeline)) === null) {
    await log.createTopic(deadLetterTopic(plan.pipeline), {
      partitions: 1,
      retentionMs: DEAD_LETTER_RETENTION_MS,
      batchBytesMax: INTERNAL_BATCH_BYTES_MAX,
    })
  }
  return topology
}

async function ensureTopic(log: Log, topic: AnyTopic): Promise<void> {
  if (log.topic(topic.name) !== null) return
  await log.createTopic(topic.name, { partitions: topic.partitions, retentionMs: topic.retentionMs, compacted: topic.compacted })
}

async function ensureInternal(log: Log, name: string, partitions: number, retentionMs: number | null): Promise<void> {
  if (log.topic(name) !== null) return
  await log.createTopic(name, { partitions, retentionMs, retentionBytes: null, internal: true, batchBytesMax: INTERNAL_BATCH_BYTES_MAX })
}
