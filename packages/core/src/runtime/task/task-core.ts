// What every task has, whatever it reads: its operators and stores, its outputs, and the commit that puts records, positions, state,
// dead letters and progress into the log in one step.
//
// Invariants: one writer name per task and group, fenced by epoch, so two incarnations cannot both commit. The stores hold exactly what the
// newest commit says plus the open tick. `commit` is called once per tick and awaited: nothing of the next tick is computed before.
import type { Batch, Field } from '../../codec/column.ts'
import type { SubTopology, TopologyInstance } from '../../compile/topology.ts'
import type { LogPart, LogWriter } from '../../log/log.ts'
import type { TableStore } from '../../state/store.ts'
import type { CombinedClock } from '../../time/partition-clock.ts'
import type { TaskEnvironment } from '../environment.ts'
import type { Binding, ProgressEntry } from '../exchange/progress.ts'
import { assert, must } from '../../base/assert.ts'
import { ProgressOutput } from '../exchange/progress-output.ts'
import { ChangelogOutput } from '../recovery/changelog-output.ts'
import { type CommitState, EMPTY_STATE } from '../recovery/commit-state.ts'
import { emptyStores, type RestoredTask, restoreTask, type StoreEntry } from '../recovery/restore.ts'
import { Snapshotter } from '../recovery/snapshot.ts'
import { changelogTopic, progressTopic } from '../topic-names.ts'
import { commitWhenRoom } from '../commit-when-room.ts'
import { type CommitFigures, newFigures } from './commit-figures.ts'
import { letterLayout } from './dead-letter.ts'
import { runningByTopic, TaskOutputs } from './task-outputs.ts'
import { TickLetters } from './tick-letters.ts'

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

/** The operators of a task and where their rows go. */
interface Work {
  readonly figures: CommitFigures
  readonly letters: TickLetters
  readonly outputs: TaskOutputs
  readonly instance: TopologyInstance
}

/** Built over empty stores: indexes are attached to them before the first row is restored. */
function newWork(environment: TaskEnvironment, part: SubTopology, group: number, stores: ReadonlyMap<string, TableStore>): Work {
  const figures = newFigures()
  const letters = new TickLetters(environment, part, group, (operator, input) => fieldsAt(part, instance, operator, input), figures)
  const outputs = new TaskOutputs(environment, part, letters)
  const instance = environment.compiler.instantiate(environment.plan, part, {
    outputs: {
      push: (output, batch) => {
        figures.rowsOut += batch.selectedCount
        outputs.push(output, batch)
      },
    },
    deadLetters: letters,
    store: (name) => must(stores.get(name), `store ${name}`),
    codegen: environment.codegen,
    guardRows: environment.guardRows,
  })
  return { figures, letters, outputs, instance }
}

/** What rows look like at an operator's input, or at the sink. */
function fieldsAt(part: SubTopology, instance: TopologyInstance, operator: string, input: number): readonly Field[] | null {
  return operator === part.sink?.name ? part.sink.fields : instance.fieldsAt(operator, input)
}

export class TaskCore {
  readonly environment: TaskEnvironment
  readonly part: SubTopology
  readonly group: number
  readonly name: string
  readonly figures: CommitFigures
  /** Rows that could not be taken. */
  readonly letters: TickLetters
  readonly outputs: TaskOutputs
  readonly instance: TopologyInstance
  readonly stores: ReadonlyMap<string, StoreEntry>
  readonly #writer: LogWriter
  readonly #changelog: ChangelogOutput
  readonly #progress: ProgressOutput
  readonly #snapshots: Snapshotter
  #state: CommitState
  #tick = 0
  #givenUp = false

  private constructor(
    environment: TaskEnvironment,
    part: SubTopology,
    group: number,
    writer: LogWriter,
    { figures, letters, outputs, instance }: Work,
    restored: RestoredTask,
  ) {
    const { pipeline } = environment.plan
    this.environment = environment
    this.part = part
    this.group = group
    this.name = `${part.name}/${group}`
    this.figures = figures
    this.letters = letters
    this.outputs = outputs
    this.instance = instance
    this.stores = restored.stores
    this.#writer = writer
    this.#state = restored.state ?? EMPTY_STATE
    this.#changelog = new ChangelogOutput(changelogTopic(pipeline, part.name), group, restored)
    this.#progress = new ProgressOutput(progressTopic(pipeline, part.name), group)
    this.#snapshots = new Snapshotter(environment, part.name, group, [...restored.stores.values()])
    outputs.open(group, this.#state)
  }

  /** Fences older incarnations, restores the state of the newest commit, and builds the operators. */
  static async open(environment: TaskEnvironment, part: SubTopology, group: number): Promise<TaskCore> {
    const writer = await environment.log.openWriter(`${environment.plan.pipeline}/${part.name}/${group}`)
    for (const damaged = new Set<number>(); ;) {
      const stores = emptyStores(part)
      const work = newWork(environment, part, group, stores)
      const restored = await restoreTask(environment, part, group, stores, damaged)
      if (restored !== null) return new TaskCore(environment, part, group, writer, work, restored)
    }
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

  /** Lets rows in at an operator, or at the sink, by name. False when there is none of that name. */
  enter(operator: string, input: number, batch: Batch): boolean {
    if (operator !== this.part.sink?.name) return this.instance.enter(operator, input, batch)
    this.outputs.toSink(batch)
    return true
  }

  /** What rows at an operator of the part, or at its sink, look like, as dead letters name it; null when there is none of that name. */
  layoutAt(operator: string, input: number): string | null {
    const isThere = operator === this.part.sink?.name || this.instance.hasDoor(operator, input)
    return isThere ? letterLayout(fieldsAt(this.part, this.instance, operator, input)) : null
  }

  /** True until the first commit of a task that was told to build its state again. */
  get beginsAnew(): boolean {
    return this.#changelog.beginsAnew
  }

  /** `watermarkMs`: before the tick; default: that of the newest commit. */
  startTick(tick: number, wallMs: number, watermarkMs: number = this.#state.watermarkMs): void {
    assert(tick > this.#state.through, () => `tick ${tick} follows ${this.#state.through}`)
    this.#tick = tick
    this.letters.stamp(tick, wallMs)
    this.outputs.startTick(tick)
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
    this.outputs.endTick()
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
    const running = this.outputs.running()
    const state: CommitState = {
      v: 1,
      through,
      watermarkMs,
      status: clock.status,
      wallMs,
      sources: input.sources,
      exchanges: input.exchanges,
      ...runningByTopic(this.#state, this.part, running),
      retryNext: input.retryNext,
      intent: sink === null ? this.#state.intent : sink.intent,
      sinkSequence: sink?.sequence ?? this.#state.sinkSequence,
      codeVersion: this.environment.topology.codeVersion,
      ...(this.#state.rebuiltTick === undefined ? {} : { rebuiltTick: this.#state.rebuiltTick }),
    }
    const progress = {
      passed: input.passed ?? [],
      bindings: input.bindings,
      reached: this.outputs.hasReaders ? running : [],
      waitsFor: this.instance.nextDue(),
      wants: input.wants,
    }
    const isAnew = this.beginsAnew
    if (isAnew) this.#snapshots.noteVoid()
    const parts = [
      ...this.outputs.take(),
      ...this.letters.take(),
      ...this.#changelog.take(state, this.#snapshots.takeComplete()),
      this.#progress.take(state, progress),
      ...(input.extra ?? []),
    ]
    const startedAt = this.environment.clock.monotonicMs()
    await commitWhenRoom(this.#writer, parts, this.environment.scheduler, {
      isOver: () => this.#givenUp,
      full: (error) => this.environment.report({ kind: 'paused', task: this.name, error }),
      resumed: () => this.environment.report({ kind: 'resumed', task: this.name }),
    })
    for (const { store } of this.stores.values()) store.committed()
    this.#state = state
    this.#count(this.environment.clock.monotonicMs() - startedAt)
    if (isAnew) await this.#snapshots.trimVoid()
    await this.#snapshots.advance()
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
