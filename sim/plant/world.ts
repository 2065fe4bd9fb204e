// The plant of one run: log, disk, clock and the real pipeline, which can be killed at any moment and started again.
import type { Random } from '@millrace/core/connect'
import {
  MemoryLog,
  MemoryStore,
  RunningPipeline,
  codeVersion,
  compiler,
  isMillraceError,
  openEmbeddedLog,
  sleep,
} from '@millrace/core/engine'
import type {
  CommitResult,
  Log,
  LogPart,
  LogWriter,
  PartitionEnds,
  PipelineOptions,
  Plan,
  Scheduler,
  TaskEvent,
} from '@millrace/core/engine'
import { SimulatedDisk, VirtualTime } from '@millrace/core/testing'
import type { Disk } from '@millrace/core/engine'
import { Violation, violated } from './violation.ts'
import type { Rot } from './rot.ts'
import type { SeenRecord } from './rows.ts'
import type { Scenario } from './scenario.ts'
import { FACTORS_CSV, FACTORS_FILE, PRICES } from './steps.ts'

export const LOG_FOLDER = 'log'
const START_LIMIT_MS = 600_000
const ROWS_MAX = 1_000_000

type Row = Readonly<Record<string, unknown>>

/** Columns that a key may have. */
const rowKey = (row: Row): string => JSON.stringify([row['windowStart'], row['id'], row['key'], row['shop']])
/** Each round costs real time even when it finds nothing. */
const MAINTAIN_EVERY_MS = 5_000

/** A deliberate error that the laws must notice. */
export interface Mutant {
  /** Files whose syncs do nothing. */
  readonly unsynced?: RegExp
  /** Changes what the pipeline writes to its log. */
  readonly log?: (log: Log, time: Scheduler) => Log
  /** Another compiler. */
  readonly compiler?: PipelineOptions['compiler']
}

export class World {
  readonly scenario: Scenario
  readonly time: VirtualTime
  readonly trace: string[] = []
  readonly #random: Random
  readonly #mutant: Mutant
  readonly #store = new MemoryStore()
  readonly #codeVersions = new Map<Plan, string>()
  disk: SimulatedDisk
  #cutAt = Number.POSITIVE_INFINITY
  #log: Log | null = null
  #pipeline: RunningPipeline | null = null
  /** Runs beside the live pipeline. */
  replay: RunningPipeline | null = null
  /** Failures of tasks that no injected fault explains. */
  readonly failures: string[] = []
  #fullUntilMs = Number.NEGATIVE_INFINITY
  crashes = 0
  /** Where partitions ended for their readers when the plant died. */
  #visible: readonly PartitionEnds[] = []
  /** Tables as somebody has seen them since the last start. */
  readonly #shown = new Map<string, readonly Row[]>()
  readonly #writers = new Set<string>()
  readonly #stalls = new Map<string, number>()
  rot: Rot | null = null
  /** Records of the sources that retention may have taken meanwhile, by topic. */
  readonly kept = new Map<string, SeenRecord[]>()

  constructor(scenario: Scenario, random: Random, mutant: Mutant) {
    this.scenario = scenario
    this.#random = random
    this.#mutant = mutant
    this.time = new VirtualTime({ random: random.fork() })
    this.disk = new SimulatedDisk({ random: random.fork(), scheduler: this.time })
    this.disk.makeFolder('files')
    const file = this.disk.open(FACTORS_FILE, 'create')
    file.write(new TextEncoder().encode(FACTORS_CSV), 0)
    file.sync()
    file.close()
    this.disk.syncFolder('')
    this.disk.syncFolder('files')
  }

  get log(): Log {
    return this.#log ?? violated('there is no log')
  }

  get pipeline(): RunningPipeline {
    return this.#pipeline ?? violated('there is no pipeline')
  }

  get isDead(): boolean {
    return this.disk.counts.operations >= this.#cutAt
  }

  /** The power goes after that many more operations of the disk. */
  cutPowerAfter(operations: number): void {
    this.#cutAt = this.disk.counts.operations + operations
    this.disk.cutPowerAfter(operations)
  }

  /** Commits of one of the writers that were opened so far wait for that long: a slow task, or a stuck one. */
  stall(random: Random, forMs: number): void {
    if (this.#writers.size > 0) this.#stalls.set(random.pick([...this.#writers]), this.time.monotonicMs() + forMs)
  }

  /** Less than the reserve is free: outsiders are refused, the plant itself is not. */
  squeezeToReserve(): void {
    this.disk.setCapacity(this.disk.usedBytes() + (this.scenario.extras?.reserveBytes ?? 0) / 2)
  }

  squeeze(bytes: number, forMs: number): void {
    this.disk.setCapacity(this.disk.usedBytes() + bytes)
    this.#fullUntilMs = this.time.monotonicMs() + forMs + 60_000
  }

  relax(): void {
    this.disk.setCapacity(2 ** 50)
  }

  /** Starts log and pipeline; false when the power went meanwhile. */
  async start(): Promise<boolean> {
    return (await this.startLog()) && this.startPipeline()
  }

  async startLog(): Promise<boolean> {
    const opened = await this.attempt(this.#openLog())
    if (opened === null) return false
    this.#log = opened
    this.#checkVisible(opened)
    return (await this.attempt(this.#makeTopics(opened))) !== null
  }

  /** Remembers what readers can see now. A log that has failed answers nobody. */
  noteVisible(): void {
    const log = this.#log
    if (log === null || this.isDead) return
    try {
      this.#visible = log.topics().flatMap(({ name }) => log.ends(name))
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'MR_LOG_CLOSED') throw error
    }
  }

  /** What a reader could see before a crash is there behind it. */
  #checkVisible(log: Log): void {
    for (const { topic, partition, end } of this.#visible) {
      const now = log.topic(topic) === null ? undefined : log.ends(topic).find((ends) => ends.partition === partition)
      if (now === undefined || now.end < end)
        violated(`${topic}/${partition} ended at ${end} before a crash, and ends at ${now?.end ?? -1} behind it`)
    }
    this.#visible = []
  }

  async startPipeline(): Promise<boolean> {
    const started = await this.attempt(RunningPipeline.start(this.scenario.definition.plan, this.options(this.scenario.definition.plan)))
    if (started === null) return false
    this.#pipeline = started
    return this.#checkShown()
  }

  /** Reads all tables; false when the power goes first. */
  async look(): Promise<boolean> {
    for (const { name } of this.pipeline.topology.tables) {
      const page = await this.attempt(this.pipeline.table(name, { limit: ROWS_MAX }))
      if (page === null) return false
      this.#shown.set(name, page.rows)
    }
    return true
  }

  /** What a table has shown was durable: no row is gone behind a crash, no count has fallen. */
  async #checkShown(): Promise<boolean> {
    const before = new Map(this.#shown)
    this.#shown.clear()
    if (before.size === 0) return true
    if (!(await this.look())) return false
    for (const [name, rows] of before) {
      const counts = new Map((this.#shown.get(name) ?? []).map((row) => [rowKey(row), Number(row['n'] ?? 0)]))
      for (const row of rows) {
        const now = counts.get(rowKey(row))
        if (now === undefined || now < Number(row['n'] ?? 0))
          violated(`table ${name} has shown ${JSON.stringify(row)}, and behind a crash ${now === undefined ? 'it is gone' : `n is ${now}`}`)
      }
    }
    this.#shown.clear()
    return true
  }

  options(plan: Plan): PipelineOptions {
    const { aheadBytes, snapshotBytesMin } = this.scenario
    const life = this.crashes
    return {
      log: this.#loggedTo(),
      clock: this.time,
      scheduler: this.time,
      disk: this.disk,
      compiler: this.#mutant.compiler ?? compiler,
      codeVersion: this.#codeVersion(plan),
      aheadBytes,
      snapshotBytesMin,
      guardRows: true,
      // What a dead incarnation says of its dead disk is no failure.
      onEvent: (event) => {
        if (life === this.crashes && !this.isDead) this.#note(event)
      },
    }
  }

  /** The log as tasks see it: with writers that can be made to wait. */
  #loggedTo(): Log {
    const log = this.#mutant.log === undefined ? this.log : this.#mutant.log(this.log, this.time)
    return this.scenario.extras === null
      ? log
      : withCommits(log, async (writer, parts) => {
          this.#writers.add(writer.name)
          const untilMs = this.#stalls.get(writer.name) ?? 0
          if (untilMs > this.time.monotonicMs()) await sleep(this.time, untilMs - this.time.monotonicMs())
          return writer.commit(parts)
        })
  }

  /** Hashing a plan is dear, and a run starts the same one many times. */
  #codeVersion(plan: Plan): string {
    const known = this.#codeVersions.get(plan) ?? codeVersion(plan)
    this.#codeVersions.set(plan, known)
    return known
  }

  /** What a promise gives, or null when the power goes first. Failures that have another cause are thrown. */
  async attempt<T>(promise: Promise<T>): Promise<T | null> {
    let outcome: { readonly value: T } | { readonly error: unknown } | null = null
    promise.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    )
    await this.time.until(() => outcome !== null || this.isDead, START_LIMIT_MS)
    const settled = outcome as { readonly value: T } | { readonly error: unknown } | null
    if (this.isDead || settled === null) return null
    if ('error' in settled) throw settled.error
    return settled.value
  }

  async #openLog(): Promise<Log> {
    const { time, disk } = this
    if (this.scenario.log === 'memory')
      return new MemoryLog({ clock: time, scheduler: time, random: this.#random.fork(), gaps: true, store: this.#store })
    return openEmbeddedLog({
      folder: LOG_FOLDER,
      disk: this.#mutant.unsynced === undefined ? disk : forgetful(disk, this.#mutant.unsynced),
      clock: time,
      scheduler: time,
      journalHalfBytes: 32_768,
      journalHalfBytesMax: 262_144,
      segmentBytes: this.scenario.retentionMs === null ? 32_768 : 1_024,
      referenceBytes: 2_048,
      diskReserveBytes: this.scenario.extras?.reserveBytes ?? 0,
      maintainEveryMs: this.#random.chance(0.5) ? MAINTAIN_EVERY_MS : 0,
    })
  }

  async #makeTopics(log: Log): Promise<true> {
    const { retentionMs } = this.scenario
    for (const { name, partitions } of this.scenario.sources)
      if (log.topic(name) === null) await log.createTopic(name, { partitions, ...(retentionMs === null ? {} : { retentionMs }) })
    if (log.topic(PRICES.name) === null) await log.createTopic(PRICES.name, { partitions: this.scenario.pricePartitions, compacted: false })
    return true
  }

  #note(event: TaskEvent): void {
    if (event.kind === 'failed' || event.kind === 'restarted') {
      if (this.time.monotonicMs() < this.#fullUntilMs && isFull(event.error)) return
      this.failures.push(`task ${event.task} ${event.kind}: ${errorText(event.error)}`)
    }
  }

  /** kill -9 and a power cut in one: nothing that is not synced need be there afterwards. Starts again until it runs. */
  async crash(): Promise<void> {
    await this.kill()
    while (!(await this.start())) await this.kill()
  }

  /** The process and the disk's cache are gone. */
  async kill(): Promise<void> {
    this.crashes++
    const log = this.#log
    this.noteVisible()
    this.#pipeline?.abandon()
    this.replay?.abandon()
    this.replay = null
    this.#pipeline = null
    this.#log = null
    this.disk = this.disk.crash()
    this.#cutAt = Number.POSITIVE_INFINITY
    if (log instanceof MemoryLog) log.crash()
    else if (log !== null) await this.#bury(log)
  }

  /** The dead process still has promises and timers: they meet a dead disk. */
  async #bury(log: Log): Promise<void> {
    let over = false
    const end = (): void => void (over = true)
    log.close().then(end, end)
    await this.time.until(() => over, START_LIMIT_MS)
  }

  /** Stops in order and starts again. */
  async restart(): Promise<boolean> {
    return (await this.stop()) && this.start()
  }

  async stop(): Promise<boolean> {
    return (await this.stopPipeline()) && this.closeLog()
  }

  async stopPipeline(): Promise<boolean> {
    const { replay } = this
    this.replay = null
    if (replay !== null && (await this.attempt(replay.stop().then(() => true))) === null) return false
    const stopped = await this.attempt(this.pipeline.stop().then(() => true))
    if (stopped !== null) this.#pipeline = null
    return stopped !== null
  }

  async closeLog(): Promise<boolean> {
    const closed = await this.attempt(this.log.close().then(() => true))
    if (closed !== null) this.#log = null
    return closed !== null
  }

  checkFailures(): void {
    const [first] = this.failures
    if (first !== undefined) throw new Violation(first)
  }
}

function isFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('code' in at && (at.code === 'MR_LOG_FULL' || at.code === 'MR_DISK_FULL')) return true
  return false
}

export function errorText(error: unknown): string {
  const texts: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) texts.push(at.stack ?? at.message)
  return texts.length === 0 ? String(error) : texts.join('\ncaused by ')
}

/** A log whose writers commit in another way. */
export function withCommits(log: Log, commit: (writer: LogWriter, parts: readonly LogPart[]) => Promise<CommitResult>): Log {
  const openWriter: Log['openWriter'] = async (name) => {
    const writer = await log.openWriter(name)
    return { name: writer.name, epoch: writer.epoch, commit: (parts) => commit(writer, parts), close: () => writer.close() }
  }
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'openWriter') return openWriter
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** A disk that says it has synced the files that match, and has not. */
function forgetful(disk: SimulatedDisk, unsynced: RegExp): Disk {
  const open: Disk['open'] = (path, mode) => {
    const file = disk.open(path, mode)
    if (!unsynced.test(path)) return file
    return {
      path,
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      write: (source, position) => file.write(source, position),
      writeAll: (sources, position) => file.writeAll(sources, position),
      truncate: (size) => file.truncate(size),
      sync: () => undefined,
      syncLater: async () => undefined,
      close: () => file.close(),
    }
  }
  return {
    open,
    exists: (path) => disk.exists(path),
    stat: (path) => disk.stat(path),
    list: (path) => disk.list(path),
    makeFolder: (path) => disk.makeFolder(path),
    remove: (path) => disk.remove(path),
    rename: (from, to) => disk.rename(from, to),
    syncFolder: (path) => disk.syncFolder(path),
    freeBytes: (path) => disk.freeBytes(path),
    lock: (path) => disk.lock(path),
  }
}
