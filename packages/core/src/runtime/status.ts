// What a running pipeline says of itself: the one source of the page, the metrics and `millrace` on the command line.
import type { OperatorCounters } from '../operators/operator.ts'
import type { PipelineSettings } from '../plan/node.ts'
import { isMillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'
import type { TaskEnvironment } from './environment.ts'
import { isOwnColumn } from './table-reader.ts'
import type { TaskReport } from './task-host.ts'
import type { InputStatus, SinkStatus, TaskPhase } from './task-loop.ts'
import { newFigures } from './task/commit-figures.ts'
import type { Task } from './task/task.ts'

export interface NodeStatus {
  readonly id: number
  readonly name: string
  readonly kind: string
  readonly inputs: readonly number[]
  /** The sub-topology that runs it. */
  readonly part: string
  readonly mode: 'append' | 'update'
  readonly place: string | null
  /** Topic, table or sink that the node stands for; null for operators. */
  readonly target: string | null
  /** Sums over all task groups. */
  readonly counters: OperatorCounters
}

export interface TaskStatus {
  readonly task: string
  readonly part: string
  readonly group: number
  /** Number of the worker thread that runs it; null: the main thread. */
  readonly worker: number | null
  readonly phase: TaskPhase
  readonly error: { readonly code: string; readonly message: string; readonly fix: string } | null
  readonly tick: number
  readonly watermarkMs: number
  readonly clock: 'active' | 'idle' | 'ended'
  /** Records behind, over all inputs. */
  readonly lag: number
  readonly stateRows: number
  readonly stateBytes: number
  readonly commits: number
  readonly commitMsLast: number
  readonly commitMsMax: number
  readonly rowsIn: number
  readonly rowsOut: number
  readonly deadLetters: number
  readonly lastCommitAtMs: number
  /**
   * Milliseconds from the append of the oldest record of the newest commit to that commit: how old a row is when it can be queried. Null
   * before the first record that came while the task ran.
   */
  readonly visibleMs: number | null
  /** Earliest window end or timer that waits for the watermark; +Infinity when none does. */
  readonly waitsForMs: number
  /** One sentence: why what is open is open. Null when nothing is. */
  readonly openBecause: string | null
  readonly inputs: readonly InputStatus[]
  /** What the task's sink has not published yet; null when the task has no sink. */
  readonly sink: SinkStatus | null
}

export interface TableStatus {
  readonly name: string
  readonly primaryKey: readonly string[]
  readonly fields: readonly string[]
  /** Those of the fields that hold times, in milliseconds. */
  readonly times: readonly string[]
  /** Those that hold numbers. A decimal comes as a text, and so does a whole number beyond ±2^53. */
  readonly numbers: readonly string[]
  readonly rows: number
  readonly bytes: number
}

export interface PipelineStatus {
  readonly pipeline: string
  readonly codeVersion: string
  readonly phase: 'running' | 'degraded' | 'stopped' | 'finished'
  readonly startedAtMs: number
  readonly nodes: readonly NodeStatus[]
  /** Edges over internal topics, for the picture. */
  readonly exchanges: readonly {
    readonly topic: string
    readonly from: string
    readonly to: string
    readonly records: number
    readonly bytes: number
  }[]
  readonly tasks: readonly TaskStatus[]
  readonly tables: readonly TableStatus[]
}

function time(ms: number): string {
  if (ms === Number.NEGATIVE_INFINITY) return 'not known yet'
  if (ms === Number.POSITIVE_INFINITY) return 'the end of time'
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

type PartitionStatus = InputStatus['partitions'][number]

/** Why the clock guard does not read a partition on (time/clock-guard.ts). */
function heldText({ held, largestMs }: PartitionStatus): string {
  if (held === undefined) return ''
  const which = largestMs === Number.NEGATIVE_INFINITY ? 'its first record' : `a record that is far ahead of ${time(largestMs)}`
  return `, holds back ${which}, of ${time(held.eventTimeMs)}: decided when others follow, or in ${Math.ceil(held.untilMs / 1000)} s`
}

/** How far a watermark goes while nothing arrives. */
interface IdleClock {
  readonly wallMs: number
  readonly closeWhenIdle: PipelineSettings['closeWhenIdle']
}

function idleClock({ clock, plan }: TaskEnvironment): IdleClock {
  return { wallMs: clock.nowMs(), closeWhenIdle: plan.settings.closeWhenIdle }
}

/** Why waiting alone does not close it: data from the future, such as that of a test whose clock stands earlier, or a setting. */
function idleText({ status, largestMs }: PartitionStatus, { wallMs, closeWhenIdle }: IdleClock): string {
  if (status !== 'idle') return ''
  if (closeWhenIdle === 'never') return '; `closeWhenIdle` is never, so only data moves the watermark'
  return largestMs <= wallMs
    ? ''
    : `; its events are ahead of the wall clock, ${time(wallMs)}, which the watermark does not pass without data`
}

/**
 * Names what holds the watermark back: the slowest partition or producer, and since when it is silent. Also without an open window: a
 * partition that the clock guard does not read on. Null when nothing waits, also for a window that closes with the next tick anyway.
 */
export function whyOpen(waitsForMs: number, watermarkMs: number, inputs: readonly InputStatus[], idle: IdleClock): string | null {
  if (waitsForMs === Number.POSITIVE_INFINITY || waitsForMs <= watermarkMs) {
    for (const { input, partitions } of inputs)
      for (const partition of partitions)
        if (partition.held !== undefined) return `${input} partition ${partition.partition} waits${heldText(partition)}`
    return null
  }
  const lead = `waits for the watermark ${time(waitsForMs)}, it is ${time(watermarkMs)}`
  let slowest: { readonly text: string; readonly watermarkMs: number } | null = null
  for (const input of inputs) {
    for (const partition of input.partitions) {
      if (partition.status === 'ended' || (slowest !== null && partition.watermarkMs >= slowest.watermarkMs)) continue
      const silence = partition.silentMs >= 1000 ? `, silent for ${Math.round(partition.silentMs / 1000)} s` : ''
      const error = partition.error === null ? '' : `, cannot be read: ${partition.error}`
      slowest = {
        watermarkMs: partition.watermarkMs,
        text: `${input.input} partition ${partition.partition} is ${partition.status}${silence}${heldText(partition)}${error}${idleText(partition, idle)}`,
      }
    }
    for (const producer of input.producers) {
      if (producer.status === 'ended' || (slowest !== null && producer.watermarkMs >= slowest.watermarkMs)) continue
      slowest = {
        watermarkMs: producer.watermarkMs,
        text: `producer ${producer.task} is ${producer.status} at ${time(producer.watermarkMs)}`,
      }
    }
  }
  return slowest === null ? lead : `${lead}: ${slowest.text}`
}

const NUMBERS: ReadonlySet<string> = new Set(['i32', 'i64', 'f64', 'decimal'])

/** What a task of this thread says of itself now. */
export function taskReport(task: Task): TaskReport {
  const { core, loop } = task
  const inputs = loop?.inputStatus() ?? []
  const waitsForMs = core?.instance.openUntil() ?? Number.POSITIVE_INFINITY
  const watermarkMs = loop?.watermarkMs() ?? core?.state.watermarkMs ?? Number.NEGATIVE_INFINITY
  const stores = Array.from(core?.stores ?? [], ([name, { store }]) => {
    const fields = [...store.layout.key, ...store.layout.value].filter((field) => !isOwnColumn(field.name))
    return {
      name,
      rows: store.rowCount,
      bytes: store.bytes(),
      fields: fields.map((field) => field.name),
      times: fields.filter(({ type }) => type.kind === 'time').map((field) => field.name),
      numbers: fields.filter(({ type }) => NUMBERS.has(type.kind)).map((field) => field.name),
    }
  })
  const { commits, commitMsLast, commitMsMax, rowsIn, rowsOut, deadLetters, lastCommitAtMs, visibleMs } = core?.figures ?? newFigures()
  const status: TaskStatus = {
    ...statusWithoutCore(task.part.name, task.group, task.phase, task.error),
    tick: core?.state.through ?? 0,
    watermarkMs,
    clock: core?.state.status ?? 'active',
    lag: loop?.lag() ?? 0,
    stateRows: stores.reduce((sum, store) => sum + store.rows, 0),
    stateBytes: stores.reduce((sum, store) => sum + store.bytes, 0),
    commits,
    commitMsLast,
    commitMsMax,
    rowsIn,
    rowsOut,
    deadLetters,
    lastCommitAtMs,
    visibleMs,
    waitsForMs,
    openBecause: core === null ? null : whyOpen(waitsForMs, watermarkMs, inputs, idleClock(core.environment)),
    inputs,
    sink: loop?.sinkStatus() ?? null,
  }
  const operators = (core?.instance.operators ?? []).map(({ name, counters }) => ({ name, counters: { ...counters } }))
  return { status, operators, stores }
}

/** The status of a task that has nothing to show yet. */
export function statusWithoutCore(part: string, group: number, phase: TaskPhase, error: unknown): TaskStatus {
  return {
    task: `${part}/${group}`,
    part,
    group,
    worker: null,
    phase,
    error: errorStatus(error),
    tick: 0,
    watermarkMs: Number.NEGATIVE_INFINITY,
    clock: 'active',
    lag: 0,
    stateRows: 0,
    stateBytes: 0,
    ...newFigures(),
    waitsForMs: Number.POSITIVE_INFINITY,
    openBecause: null,
    inputs: [],
    sink: null,
  }
}

function errorStatus(error: unknown): TaskStatus['error'] {
  if (error === null) return null
  if (isMillraceError(error)) return { code: error.code, message: error.message, fix: error.fix }
  return { code: 'MR_RUNTIME_TASK_FAILED', message: textOf(error), fix: '' }
}
