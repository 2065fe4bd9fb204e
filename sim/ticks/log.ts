/**
 * The log of the model: exchange channels, one `progress` partition per task, one last commit per task. A commit is one step and is fenced
 * by epoch. With `gradual` visibility its partitions are shown one at a time, in any order, as Kafka shows a transaction.
 */
import type { Entry, PartitionClock } from './clock.ts'
import { NEVER_READ, NOT_HEARD } from './clock.ts'
import { copyOperator, emptyState } from './operators.ts'
import type { OperatorState, Row } from './operators.ts'
import type { Scenario, TaskPlan } from './plan.ts'

/** Rows of one tick from one producer to one reader; `number` runs without gaps per pair. */
export interface Batch {
  readonly producer: number
  readonly tick: number
  readonly number: number
  readonly rows: Row[]
}

/** Rule 8. One range and clock per owned partition, in the task's order. */
export interface Binding {
  readonly tick: number
  readonly wall: number
  readonly parts: { readonly from: number; readonly to: number; readonly clock: PartitionClock }[]
}

/** Rule 2. `digest` is the model's own: it lets the laws compare the view at `through` with the oracle's. */
export interface ProgressRecord {
  readonly through: number
  readonly entries: Entry[]
  readonly bindings: Binding[]
  readonly reached: number[]
  readonly waitsFor: number
  readonly wants: number
  readonly digest: number
}

/** What a commit makes durable of a task, and all that a new incarnation starts from. */
export interface TaskState {
  /** Own last: the newest tick applied; equal to the stated `through` in every commit. */
  applied: number
  wants: number
  /** The clock at `applied`, and the one stated last. */
  clock: Entry
  stated: Entry
  positions: number[]
  clocks: PartitionClock[]
  /** Running number reached per pair. */
  numbers: number[]
  /** How many bindings were made: where a replay goes on in the kept ones. */
  bound: number
  /** Own batches that readers have not finished yet, per pair. */
  outstanding: { tick: number; rows: number }[][]
  /** Per feed: next progress record, running number applied, entry in force. */
  feeds: { record: number; number: number; entry: Entry }[]
  /** Per distinct channel: lowest offset of an unapplied batch. */
  fetch: number[]
  operator: OperatorState
}

export interface Commit {
  readonly task: number
  readonly epoch: number
  readonly batches: { readonly channel: number; readonly batch: Batch }[]
  readonly record: ProgressRecord | undefined
  readonly state: TaskState | undefined
}

export interface Log {
  readonly epochs: number[]
  readonly durable: TaskState[]
  readonly progress: ProgressRecord[][]
  readonly progressShown: number[]
  readonly channels: Batch[][]
  readonly channelsShown: number[]
  writes: number
}

/** The distinct channels of a task, in the order of `TaskState.fetch`. */
export function channelsOf(plan: TaskPlan): number[] {
  return [...new Set(plan.feeds.map((feed) => feed.channel))]
}

function emptyTask(plan: TaskPlan): TaskState {
  return {
    applied: 0,
    wants: 0,
    clock: NOT_HEARD,
    stated: NOT_HEARD,
    positions: plan.owned.map(() => 0),
    clocks: plan.owned.map(() => NEVER_READ),
    numbers: plan.pairs.map(() => 0),
    bound: 0,
    outstanding: plan.pairs.map(() => []),
    feeds: plan.feeds.map(() => ({ record: 0, number: 0, entry: NOT_HEARD })),
    fetch: channelsOf(plan).map(() => 0),
    operator: emptyState(),
  }
}

export function copyTask(state: TaskState): TaskState {
  return {
    ...state,
    positions: state.positions.slice(),
    clocks: state.clocks.slice(),
    numbers: state.numbers.slice(),
    outstanding: state.outstanding.map((list) => list.slice()),
    feeds: state.feeds.map(({ record, number, entry }) => ({ record, number, entry })),
    fetch: state.fetch.slice(),
    operator: copyOperator(state.operator),
  }
}

export function emptyLog(scenario: Scenario): Log {
  const perTask = scenario.tasks
  return {
    epochs: perTask.map(() => 1),
    durable: perTask.map(emptyTask),
    progress: perTask.map(() => []),
    progressShown: perTask.map(() => 0),
    channels: Array.from({ length: scenario.channelCount }, () => []),
    channelsShown: Array.from({ length: scenario.channelCount }, () => 0),
    writes: 0,
  }
}

/** Rule 1: all of it or, from an older epoch, nothing. */
export function applyCommit(log: Log, commit: Commit, fenced: boolean): boolean {
  if (fenced && commit.epoch < (log.epochs[commit.task] ?? 0)) return false
  for (const { channel, batch } of commit.batches) log.channels[channel]?.push(batch)
  if (commit.record !== undefined) log.progress[commit.task]?.push(commit.record)
  if (commit.state !== undefined) log.durable[commit.task] = commit.state
  log.writes++
  return true
}

/** Shows what is committed: one partition (progress first, then channels), or all when `index` is negative. */
export function show(log: Log, index: number): void {
  const partitions = log.progress.length + log.channels.length
  const first = index < 0 ? 0 : index % partitions
  const last = index < 0 ? partitions - 1 : first
  for (let at = first; at <= last; at++) {
    const channel = at - log.progress.length
    if (channel < 0) log.progressShown[at] = log.progress[at]?.length ?? 0
    else log.channelsShown[channel] = log.channels[channel]?.length ?? 0
  }
}
