// The pipelines of a plant: let through the gate of their state, started together, asked by name.
import {
  type AnyTopic,
  type Clock,
  codeVersion,
  compiler,
  deadLetterTopic,
  type Disk,
  isMillraceError,
  type Log,
  MillraceError,
  nearestWord,
  outputsText,
  OwnedPlaces,
  type PipelineOptions,
  type PipelineStatus,
  type Plan,
  type RowsAgain,
  RunningPipeline,
  type Scheduler,
  type TablePage,
  type TableQuery,
  type Topology,
} from '@millrace/core/engine'
import type { PipelineDefinition } from '@millrace/core'
import type { Notices } from '../watch/notices.ts'
import { planParts, type StartedPlan, storePlan } from './plan-store.ts'
import { passStateGate, type Rebuilt, sourcesText, type StatePolicy } from './state-gate.ts'

export interface PlantPipeline {
  readonly name: string
  readonly plan: Plan
  readonly running: RunningPipeline
}

export interface PipelinesEnvironment {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly notices: Notices
}

/** What all pipelines of a plant are started with. */
export interface PipelinesSettings extends Pick<PipelineOptions, 'startAt' | 'bounded' | 'workers' | 'snapshotBytesMin' | 'aheadBytes'> {
  readonly policy: StatePolicy
  /** Hashes of user modules and the lock file, for the code version. */
  readonly modules: readonly string[]
}

/** A pipeline whose topics are there and whose tasks are still to be started. */
interface PreparedPipeline {
  readonly name: string
  readonly plan: Plan
  readonly topology: Topology
  readonly options: PipelineOptions
  readonly rebuilt: Rebuilt
  readonly again: RowsAgain
}

export class Pipelines {
  /** Topics of users, as the pipelines declare them. */
  readonly declarations: Map<string, AnyTopic> = new Map()
  /** Topics that the plant writes and users may read. */
  readonly reserved: Set<string> = new Set()
  /** What sinks of these pipelines write to alone. */
  readonly places: OwnedPlaces = new OwnedPlaces()
  readonly #environment: PipelinesEnvironment
  readonly #settings: PipelinesSettings
  readonly #prepared: PreparedPipeline[] = []
  readonly #running = new Map<string, PlantPipeline>()
  /** All pipelines are known, running or not. */
  #isReady = false

  constructor(environment: PipelinesEnvironment, settings: PipelinesSettings) {
    this.#environment = environment
    this.#settings = settings
  }

  // Start and stop.

  /** Everything that may refuse a start before anything of the pipeline works, and its topics. */
  async prepare({ name, plan, warnings }: PipelineDefinition): Promise<void> {
    const { log, clock, scheduler, disk, notices } = this.#environment
    if (this.reserved.has(deadLetterTopic(name)))
      throw new MillraceError('MR_PLAN_NAME_TAKEN', { message: 'two pipelines have the same name.', details: { pipeline: name } })
    this.places.takeAll(plan)
    for (const { message, place } of warnings)
      notices.add('warning', name, message, null, `${message}${place === null ? '' : ` (${place})`}`, null)
    const { policy, modules, ...settings } = this.#settings
    const { rebuilt, ignored, again } = await passStateGate(log, plan, policy)
    for (const { message, advice, place } of ignored)
      notices.add('warning', name, message, null, `${message}${place === null ? '' : ` (${place})`}`, advice)
    const options: PipelineOptions = {
      ...settings,
      rebuild: policy.rebuild === true || rebuilt.length > 0,
      stateChanged: rebuilt.length > 0,
      log,
      clock,
      scheduler,
      disk,
      compiler,
      codeVersion: codeVersion(plan, modules),
      onEvent: (event) => notices.take(name, event),
    }
    const topology = await RunningPipeline.prepare(plan, options)
    for (const node of plan.nodes) if ('topic' in node) this.declarations.set(node.topic.name, node.topic)
    for (const node of plan.nodes)
      if (node.kind === 'table-source' && node.from.kind === 'topic') this.declarations.set(node.from.name, node.from)
    this.reserved.add(deadLetterTopic(name))
    this.#prepared.push({ name, plan, topology, options, rebuilt, again })
  }

  /**
   * Starts the tasks of all that are prepared. Resolves when they are restored, or stay failed because stored bytes are damaged: then
   * everything else goes on. It throws any other failure.
   */
  async start(): Promise<void> {
    for (const { name, plan, topology, options, rebuilt, again } of this.#prepared) {
      // One step with the order: a start that is cut off behind it leaves nothing that the next one would take for a change.
      const notedWithOrder =
        options.rebuild === true
          ? await planParts(this.#environment.log, plan, { ...this.#version(topology, options), isRebuilt: true })
          : []
      const running = await RunningPipeline.open(plan, topology, { ...options, notedWithOrder })
      this.#running.set(name, { name, plan, running })
      if (running.isRebuilt) this.#sayRebuilt(plan, rebuilt, again)
    }
    this.#isReady = true
    await Promise.all(this.#prepared.map((prepared) => this.#whenRestored(prepared)))
  }

  async #whenRestored({ name, plan, topology, options }: PreparedPipeline): Promise<void> {
    const { running } = this.of(name)
    const failure = await running.ready()
    if (failure !== null && !(isMillraceError(failure) && failure.kind === 'data')) throw failure
    const version = this.#version(topology, options)
    await storePlan(this.#environment.log, plan, { ...version, ...(running.isRebuilt ? { isRebuilt: true } : {}) })
  }

  #version({ parts }: Topology, { codeVersion: version }: PipelineOptions): Omit<StartedPlan, 'plan'> {
    return { codeVersion: version, atMs: this.#environment.clock.nowMs(), parts: parts.map((part) => part.name) }
  }

  #sayRebuilt(plan: Plan, rebuilt: Rebuilt, again: RowsAgain): void {
    const { log, notices } = this.#environment
    const outputs = outputsText(again)
    const changed = rebuilt.map(({ name }) => `\`${name}\``).join(', ')
    const message = `rebuilt: ${changed === '' ? 'stored state has another layout or is damaged' : `${changed} changed`}; the state is made again from ${sourcesText(log, again.sources)}`
    const sent = outputs === null ? '' : `, whose rows go to ${outputs} again`
    notices.add('info', plan.pipeline, 'rebuilt', null, `${message}${sent}`, null)
  }

  /** Commits and publishes. */
  async stop(): Promise<void> {
    for (const { running } of this.#running.values()) await running.stop()
  }

  // Questions.

  get isReady(): boolean {
    return this.#isReady
  }

  /** Those that run, by name; replays are none of them. */
  get running(): ReadonlyMap<string, PlantPipeline> {
    return this.#running
  }

  statuses(): readonly PipelineStatus[] {
    return Array.from(this.#running.values(), ({ running }) => running.status())
  }

  /** @throws {MillraceError} `MR_SERVER_PIPELINE_UNKNOWN` with the nearest name; `MR_SERVER_STARTING` while more may come. */
  of(name: string): PlantPipeline {
    const found = this.#running.get(name)
    if (found !== undefined) return found
    if (!this.#isReady) throw new MillraceError('MR_SERVER_STARTING')
    const near = nearestWord(name, this.#running.keys())
    throw new MillraceError('MR_SERVER_PIPELINE_UNKNOWN', {
      message: `no pipeline of this name runs${near === null ? '.' : `; did you mean \`${near}\`?`}`,
      details: { pipeline: name.slice(0, 100), running: [...this.#running.keys()].join(', ') },
    })
  }

  /** Answers a table query from the pipeline that has the table. Throws MR_RUNTIME_TABLE_UNKNOWN with the nearest name. */
  table(table: string, query: TableQuery): Promise<TablePage> {
    const names: string[] = []
    for (const { running } of this.#running.values()) {
      for (const known of running.topology.tables) {
        if (known.name === table) return running.table(table, query)
        names.push(known.name)
      }
    }
    if (!this.#isReady) throw new MillraceError('MR_SERVER_STARTING')
    const near = nearestWord(table, names)
    throw new MillraceError('MR_RUNTIME_TABLE_UNKNOWN', {
      message: `no running pipeline has the table \`${table.slice(0, 100)}\`; ${near === null ? `there are: ${names.join(', ') || 'none'}.` : `did you mean \`${near}\`?`}`,
      details: { table: table.slice(0, 100), ...(near === null ? {} : { nearest: near }) },
    })
  }
}
