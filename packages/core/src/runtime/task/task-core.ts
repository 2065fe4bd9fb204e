// What every task has, whatever it reads: its operators and stores, its outputs, and the commit that puts records, positions, state,
// dead letters and progress into the log in one step.
//
// Invariants: one writer name per task and group, fenced by epoch, so two incarnations cannot both commit. The stores hold exactly what the
// newest commit says plus the open tick. `commit` is called once per tick and awaited: nothing of the next tick is computed before.
import type { Batch, Field } from '../../codec/column.ts'
import type { InputSpec, OutputSpec, SubTopology, TopologyInstance } from '../../compile/topology.ts'
import type { LogPart, LogWriter } from '../../log/log.ts'
import type { CombinedClock } from '../../time/partition-clock.ts'
import type { ChangeWriter, TableStore } from '../../state/store.ts'
import type { CommitState } from '../recovery/commit-state.ts'
import type { TaskEnvironment } from '../environment.ts'
import type { Binding, ProgressEntry } from '../exchange/progress.ts'
import { assert, must } from '../../base/assert.ts'
import { isMillraceError } from '../../base/errors.ts'
import { sleep } from '../../base/scheduler.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { COMMIT_KEY, RESET_KEY, dropKey, encodeLayout, goneKey, layoutKey, rowsKey } from '../recovery/changelog.ts'
import { EMPTY_STATE, encodeCommitState } from '../recovery/commit-state.ts'
import { letterLayout } from './dead-letter.ts'
import { ExchangeOutput } from '../exchange/exchange-output.ts'
import { encodeProgress } from '../exchange/progress.ts'
import { emptyStores, restoreTask, type StoreEntry } from '../recovery/restore.ts'
import { changelogTopic, progressTopic } from '../topic-names.ts'
import { SNAPSHOT_KEY, Snapshotter, encodeSnapshotRecord } from '../recovery/snapshot.ts'
import { TickLetters } from './tick-letters.ts'
import { TopicOutput } from './topic-output.ts'

const CHANGELOG_BATCH_BYTES = 1024 * 1024
const CHANGELOG_ROWS_PER_DRAIN = 4096
const RETRY_MS = 250
export interface TaskClock {
  readonly watermarkMs: number
  readonly status: CombinedClock['status']
  readonly wallMs: number
}

/** What the input side adds to a commit. */
export interface InputCommit {
  readonly sources: CommitState['sources']
  readonly exchanges: CommitState['exchanges']
  readonly retryNext: number
  readonly bindings: readonly Binding[]
  /** Clocks of ticks since the last commit that had no other effect, oldest first (ADR 0002, rules 3 and 18). */
  readonly passed?: readonly ProgressEntry[]
  /** A tick that the producers should complete (ADR 0002, rule 9); 0 = none. */
  readonly wants: number
  /** What else becomes durable in the same step. */
  readonly extra?: readonly LogPart[]
}

export interface CommitFigures {
  commits: number
  commitMsLast: number
  commitMsMax: number
  rowsIn: number
  rowsOut: number
  deadLetters: number
  /** Wall time at which the newest rows became visible. */
  lastCommitAtMs: number
  /** How long the oldest record of the newest commit had waited since its append; null while that is not known. */
  visibleMs: number | null
}

export class TaskCore {
  readonly environment: TaskEnvironment
  readonly part: SubTopology
  readonly group: number
  readonly name: string
  readonly instance: TopologyInstance
  readonly figures: CommitFigures = {
    commits: 0,
    commitMsLast: 0,
    commitMsMax: 0,
    rowsIn: 0,
    rowsOut: 0,
    deadLetters: 0,
    lastCommitAtMs: 0,
    visibleMs: null,
  }
  /** Rows that could not be taken. */
  readonly letters: TickLetters
  #snapshots: Snapshotter
  #givenUp = false
  readonly #writer: LogWriter
  #entriesByName: ReadonlyMap<string, StoreEntry> = new Map()
  readonly #exchanges = new Map<number, ExchangeOutput>()
  readonly #topics = new Map<number, TopicOutput>()
  readonly #changelog = new RecordBatchBuilder(4096)
  readonly #readerGroups: ReadonlyMap<string, { readonly part: string; readonly groups: number; readonly isSink: boolean }>
  readonly #hasReaders: boolean
  #state: CommitState = EMPTY_STATE
  #statedClock: TaskClock | null = null
  #tick = 0
  #changelogParts: LogPart[] = []
  #voidBelow: number | null = null
  #gone: readonly number[] = []
  #sinkPort: ((batch: Batch) => void) | null = null

  private constructor(
    environment: TaskEnvironment,
    part: SubTopology,
    group: number,
    writer: LogWriter,
    stores: ReadonlyMap<string, TableStore>,
  ) {
    this.environment = environment
    this.part = part
    this.group = group
    this.name = `${part.name}/${group}`
    this.#writer = writer
    this.#snapshots = new Snapshotter(environment, part.name, group, [])
    this.letters = new TickLetters(environment, part, group, (operator, input) => this.#fieldsAt(operator, input), this.figures)
    this.#readerGroups = readersByTopic(environment, part)
    this.#hasReaders = this.#readerGroups.size > 0
    this.instance = environment.compiler.instantiate(environment.plan, part, {
      outputs: { push: (output, batch) => this.#push(output, batch) },
      deadLetters: this.letters,
      store: (name) => must(stores.get(name), `store ${name}`),
      codegen: environment.codegen,
      guardRows: environment.guardRows,
    })
  }

  /** Fences older incarnations, restores the state of the newest commit, and builds the operators. */
  static async open(environment: TaskEnvironment, part: SubTopology, group: number): Promise<TaskCore> {
    const writer = await environment.log.openWriter(`${environment.plan.pipeline}/${part.name}/${group}`)
    for (const damaged = new Set<number>(); ;) {
      const stores = emptyStores(part)
      const core = new TaskCore(environment, part, group, writer, stores)
      const restored = await restoreTask(environment, part, group, stores, damaged)
      if (restored === null) continue
      core.#voidBelow = restored.voidBelow
      core.#gone = restored.gone
      core.#begin(restored.state ?? EMPTY_STATE, restored.stores)
      return core
    }
  }

  #begin(state: CommitState, entries: ReadonlyMap<string, StoreEntry>): void {
    this.#state = state
    this.#entriesByName = entries
    this.#snapshots = new Snapshotter(this.environment, this.part.name, this.group, [...entries.values()])
    for (const [index, output] of this.part.outputs.entries()) this.#openOutput(index, output)
  }

  #openOutput(index: number, output: OutputSpec): void {
    if (output.kind === 'exchange')
      this.#exchanges.set(
        index,
        new ExchangeOutput(output, this.group, runningOf(this.#state, output.topic, index), (batch, row, error) =>
          this.letters.reject(readerOf(this.environment, output.topic), 0, batch, row, error),
        ),
      )
    else if (output.kind === 'topic')
      this.#topics.set(
        index,
        new TopicOutput(
          output,
          this.environment.compiler.recordEncoder(output, this.environment.codegen),
          must(this.environment.log.topic(output.topic.name), output.topic.name).settings.batchBytesMax,
          (batch, row, error) => this.letters.reject(output.name, 0, batch, row, error),
        ),
      )
  }

  /** The newest committed state. */
  get state(): CommitState {
    return this.#state
  }
  /** The tick that was started last. */
  get tick(): number {
    return this.#tick
  }
  get epoch(): number {
    return this.#writer.epoch
  }
  get stores(): ReadonlyMap<string, StoreEntry> {
    return this.#entriesByName
  }

  #push(output: number, batch: Batch): void {
    this.figures.rowsOut += batch.selectedCount
    const exchange = this.#exchanges.get(output)
    if (exchange !== undefined) exchange.push(batch)
    else if (this.part.outputs[output]?.kind === 'sink') this.#toSink(batch)
    else must(this.#topics.get(output), `output ${output}`).push(batch)
  }

  #toSink(batch: Batch): void {
    must(this.#sinkPort, 'the writer of the sink')(batch)
  }

  /** Where rows for the part's sink go, once its writer is open. Their memory is used again when the call returns. */
  openSink(port: (batch: Batch) => void): void {
    this.#sinkPort = port
  }

  /** Lets rows in at an operator, or at the sink, by name. False when there is none of that name. */
  enter(operator: string, input: number, batch: Batch): boolean {
    if (operator !== this.part.sink?.name) return this.instance.enter(operator, input, batch)
    this.#toSink(batch)
    return true
  }

  /** What rows at an operator of the part, or at its sink, look like, as dead letters name it; null when there is none of that name. */
  layoutAt(operator: string, input: number): string | null {
    const isThere = operator === this.part.sink?.name || this.instance.hasDoor(operator, input)
    return isThere ? letterLayout(this.#fieldsAt(operator, input)) : null
  }

  #fieldsAt(operator: string, input: number): readonly Field[] | null {
    return operator === this.part.sink?.name ? this.part.sink.fields : this.instance.fieldsAt(operator, input)
  }

  /** True until the first commit of a task that was told to build its state again. */
  get beginsAnew(): boolean {
    return this.#voidBelow !== null
  }

  /** ADR 0002, rule 25. A sink's feed has no bound but the disk: its outage must stop nothing else. */
  hasRoom(): boolean {
    for (const exchange of this.#exchanges.values()) {
      const reader = must(this.#readerGroups.get(exchange.topic), `reader of ${exchange.topic}`)
      if (reader.isSink) continue
      if (
        !exchange.hasRoom(this.environment.aheadBytes, (partition) =>
          this.environment.board.through(reader.part, partition % reader.groups),
        )
      )
        return false
    }
    return true
  }

  /** False: nobody reads what this task states. */
  get hasReaders(): boolean {
    return this.#hasReaders
  }

  /** `watermarkMs`: before the tick; default: that of the newest commit. */
  startTick(tick: number, wallMs: number, watermarkMs: number = this.#state.watermarkMs): void {
    assert(tick > this.#state.through, () => `tick ${tick} follows ${this.#state.through}`)
    this.#tick = tick
    this.letters.stamp(tick, wallMs)
    for (const exchange of this.#exchanges.values()) exchange.startTick(tick)
    this.instance.startTick({ tick, watermark: watermarkMs, wallMs })
  }

  /** Stamps the dead letters: of a sink, which has no operators, or of a tick that stays open for long. */
  stampTick(tick: number, wallMs: number): void {
    this.#tick = tick
    this.letters.stamp(tick, wallMs)
  }

  countRows(count: number): void {
    this.figures.rowsIn += count
    this.letters.countRows(count)
  }

  process(input: number, batch: Batch): void {
    this.figures.rowsIn += batch.selectedCount
    this.letters.hand(batch.selectedCount)
    try {
      this.instance.process(input, batch)
    } finally {
      this.letters.handBack()
    }
  }

  /** Ends the open tick: windows and timers fire, outputs are closed. `clock`: of the tick itself. */
  endTick(clock: TaskClock): void {
    const watermark = Math.max(clock.watermarkMs, this.#state.watermarkMs)
    this.instance.endTick({ tick: this.#tick, watermark, wallMs: clock.wallMs })
    for (const exchange of this.#exchanges.values()) exchange.endTick()
    for (const topic of this.#topics.values()) topic.endTick()
  }

  /** True when the open tick changed anything that a restart would miss. */
  hasOutput(): boolean {
    if (this.letters.bytes > 0) return true
    for (const exchange of this.#exchanges.values()) if (exchange.rows > 0) return true
    for (const topic of this.#topics.values()) if (topic.rows > 0) return true
    for (const { store } of this.#entriesByName.values()) if (store.changedCount > 0) return true
    return false
  }

  /**
   * Commits everything up to and including tick `through`. Resolves when durable.
   * @throws {MillraceError} `MR_LOG_FENCED` when a newer incarnation exists. A full log is waited for, not thrown.
   */
  async commit(
    through: number,
    clock: TaskClock,
    input: InputCommit,
    sink: { readonly intent: string | null; readonly sequence: number } | null = null,
  ): Promise<void> {
    const watermarkMs = Math.max(clock.watermarkMs, this.#state.watermarkMs)
    const wallMs = Math.max(clock.wallMs, this.#state.wallMs)
    const running = this.part.outputs.map((_, index) => this.#exchanges.get(index)?.reached() ?? [])
    const state: CommitState = {
      v: 1,
      through,
      watermarkMs,
      status: clock.status,
      wallMs,
      sources: input.sources,
      exchanges: input.exchanges,
      ...reachedByTopic(this.#state, this.part, running),
      retryNext: input.retryNext,
      intent: sink === null ? this.#state.intent : sink.intent,
      sinkSequence: sink?.sequence ?? this.#state.sinkSequence,
      codeVersion: this.environment.topology.codeVersion,
      ...(this.#state.rebuiltTick === undefined ? {} : { rebuiltTick: this.#state.rebuiltTick }),
    }
    const stated = { watermarkMs, status: clock.status, wallMs }
    const entries = this.#entries(through, stated, input.passed ?? [])
    const parts = [...this.#collect(state, entries, input, running), ...(input.extra ?? [])]
    const startedAt = this.environment.clock.monotonicMs()
    await this.#commitParts(parts)
    for (const { store } of this.#entriesByName.values()) store.committed()
    this.#state = state
    this.#statedClock = stated
    this.#count(this.environment.clock.monotonicMs() - startedAt)
    await this.#snapshots.advance()
  }

  /** Every change of the clocks up to and including `through`. */
  #entries(through: number, clock: TaskClock, passed: readonly ProgressEntry[]): readonly ProgressEntry[] {
    const last = { tick: through, watermark: clock.watermarkMs, wallMs: clock.wallMs, status: clock.status }
    const entries: ProgressEntry[] = []
    let before = this.#statedClock
    for (const entry of [...passed.filter((other) => other.tick < through), last]) {
      if (before !== null && before.watermarkMs === entry.watermark && before.status === entry.status && before.wallMs === entry.wallMs)
        continue
      entries.push(entry)
      before = { watermarkMs: entry.watermark, status: entry.status, wallMs: entry.wallMs }
    }
    return entries
  }

  #collect(state: CommitState, entries: readonly ProgressEntry[], input: InputCommit, running: CommitState['running']): readonly LogPart[] {
    const parts: LogPart[] = []
    for (const exchange of this.#exchanges.values()) parts.push(...exchange.take())
    for (const topic of this.#topics.values()) parts.push(...topic.take())
    parts.push(...this.letters.take())
    // Ahead of the rows: what lies before this record is not read any more when it is damaged.
    if (this.#voidBelow !== null) this.#changelog.append(RESET_KEY, new TextEncoder().encode(String(this.#voidBelow)), state.wallMs)
    this.#voidBelow = null
    this.#drainStores(state.wallMs)
    for (const store of this.#gone) this.#changelog.append(goneKey(store), null, state.wallMs)
    this.#gone = []
    const snapshot = this.#snapshots.takeComplete()
    if (snapshot !== null) this.#changelog.append(SNAPSHOT_KEY, encodeSnapshotRecord(snapshot), state.wallMs)
    this.#changelog.append(COMMIT_KEY, encodeCommitState(state), state.wallMs)
    this.#closeChangelog()
    parts.push(...this.#changelogParts)
    this.#changelogParts = []
    const waitsFor = this.instance.nextDue()
    const progress = new RecordBatchBuilder(512)
    progress.append(
      null,
      encodeProgress({
        through: state.through,
        entries,
        bindings: input.bindings,
        reached: this.#hasReaders ? running : [],
        waitsFor,
        wants: input.wants,
      }),
      state.wallMs,
    )
    parts.push({ topic: progressTopic(this.environment.plan.pipeline, this.part.name), partition: this.group, batch: progress.finish() })
    return parts
  }

  #drainStores(wallMs: number): void {
    for (const entry of this.#entriesByName.values()) {
      if (!entry.announced) {
        this.#changelog.append(layoutKey(entry.number), encodeLayout(entry.store.layout), wallMs)
        entry.announced = true
      }
      entry.store.seal()
      const key = rowsKey(entry.number)
      const writer: ChangeWriter = {
        dropped: ({ first, second }) => this.#changelog.append(dropKey(entry.number, first, second), null, wallMs),
        rows: (bytes, end) => this.#changelog.appendRange(key, 0, key.length, bytes, 0, end, wallMs),
      }
      while (!entry.store.drainChanges(writer, CHANGELOG_ROWS_PER_DRAIN)) {
        if (this.#changelog.bytes >= CHANGELOG_BATCH_BYTES) this.#closeChangelog()
      }
    }
  }

  #closeChangelog(): void {
    if (this.#changelog.count === 0) return
    this.#changelogParts.push({
      topic: changelogTopic(this.environment.plan.pipeline, this.part.name),
      partition: this.group,
      batch: this.#changelog.finish(),
    })
    this.#changelog.reset()
  }

  /** A full log is the one failure that is waited out: the work is done and nothing else may happen before it is committed. */
  async #commitParts(parts: readonly LogPart[]): Promise<void> {
    let paused = false
    for (;;) {
      try {
        await this.#writer.commit(parts)
        if (paused) this.environment.report({ kind: 'resumed', task: this.name })
        return
      } catch (error) {
        if (!isMillraceError(error) || error.code !== 'MR_LOG_FULL' || this.#givenUp) throw error
        if (!paused) this.environment.report({ kind: 'paused', task: this.name, error })
        paused = true
        await sleep(this.environment.scheduler, RETRY_MS)
      }
    }
  }

  /** The task stops: a commit that waits for room is not waited for any longer, and is done again after the next start. */
  giveUp(): void {
    this.#givenUp = true
  }

  #count(ms: number): void {
    const figures = this.figures
    figures.commits++
    figures.commitMsLast = ms
    figures.commitMsMax = Math.max(figures.commitMsMax, ms)
    figures.lastCommitAtMs = this.environment.clock.nowMs()
    this.letters.announce()
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }
}

/** What a topic's output has reached. Outputs come and go with edits of the pipeline: an exchange is known by its topic. */
function runningOf(state: CommitState, topic: string, index: number): readonly number[] {
  const at = state.outputs === undefined ? index : state.outputs.indexOf(topic)
  return state.running[at] ?? []
}

/**
 * The running numbers with their topics. Those of exchanges that the part no longer writes stay behind: an edit may bring the exchange back,
 * and its reader skips what it has applied.
 */
function reachedByTopic(before: CommitState, part: SubTopology, running: CommitState['running']): Pick<CommitState, 'outputs' | 'running'> {
  const outputs = part.outputs.map((output) => (output.kind === 'exchange' ? output.topic : null))
  const gone = (before.outputs ?? []).flatMap((topic, at) => (topic === null || outputs.includes(topic) ? [] : [at]))
  if (gone.length === 0) return { outputs, running }
  return {
    outputs: [...outputs, ...gone.map((at) => before.outputs?.[at] ?? null)],
    running: [...running, ...gone.map((at) => before.running[at] ?? [])],
  }
}

/** Which part reads each exchange that `part` writes. */
function readersByTopic(
  environment: TaskEnvironment,
  part: SubTopology,
): ReadonlyMap<string, { readonly part: string; readonly groups: number; readonly isSink: boolean }> {
  const own = new Set(part.outputs.flatMap((output) => (output.kind === 'exchange' ? [output.topic] : [])))
  const readers = new Map<string, { readonly part: string; readonly groups: number; readonly isSink: boolean }>()
  for (const other of environment.topology.parts) {
    for (const input of other.inputs)
      if (isExchange(input) && own.has(input.topic))
        readers.set(input.topic, { part: other.name, groups: other.groups, isSink: other.sink !== null })
  }
  return readers
}

/** The operator or sink behind an exchange: what dead letters name when a row cannot be handed on to it. */
function readerOf(environment: TaskEnvironment, topic: string): string {
  for (const part of environment.topology.parts)
    for (const input of part.inputs) if (isExchange(input) && input.topic === topic) return part.sink?.name ?? input.name
  return topic
}

function isExchange(input: InputSpec): input is Extract<InputSpec, { kind: 'exchange' }> {
  return input.kind === 'exchange'
}
