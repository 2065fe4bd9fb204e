// What the plant says of itself, in sentences and in one word: phases, freshness, and what holds open windows open.
import type { DiscardAnswer, RetryAnswer } from 'millrace/api'
import type { InputStatus, PipelineStatus, TaskStatus } from '@millrace/core/engine'
import { formatDuration, formatPlural, formatTime } from './format.ts'

export type Tone = 'good' | 'calm' | 'warning' | 'bad'

export function phaseTone(phase: PipelineStatus['phase'] | TaskStatus['phase']): Tone {
  switch (phase) {
    case 'running':
      return 'good'
    case 'degraded':
    case 'paused':
    case 'crashed':
      return 'warning'
    case 'failed':
      return 'bad'
    default:
      return 'calm'
  }
}

/** Milliseconds since the newest commit of any task; null before the first. */
export function freshnessMs(pipeline: PipelineStatus, nowMs: number): number | null {
  const newest = Math.max(0, ...pipeline.tasks.map((task) => task.lastCommitAtMs))
  return newest === 0 ? null : Math.max(0, nowMs - newest)
}

/** How old the records of the newest commits were when they could be queried: the slowest task that is no sink's. Null: not known. */
export function pipelineVisibleMs(pipeline: PipelineStatus): number | null {
  const known = pipeline.tasks.flatMap(({ sink, visibleMs }) => (sink === null && visibleMs !== null ? [visibleMs] : []))
  return known.length === 0 ? null : Math.max(...known)
}

/** Times of the engine's sentences as the page writes them. */
function pageTimes(text: string): string {
  return text.replaceAll(/(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)Z/g, '$1 $2')
}

/** The sentence of a task, as one of its own: a capital letter, a full stop. */
export function sentence(text: string): string {
  const trimmed = pageTimes(text.trim())
  if (trimmed === '') return ''
  const end = /[.!?]$/.test(trimmed) ? '' : '.'
  return `${trimmed[0]?.toUpperCase() ?? ''}${trimmed.slice(1)}${end}`
}

export function isWaiting(task: TaskStatus): boolean {
  return task.openBecause !== null
}

/** One clock that a task waits for: a partition of a source, or a producer behind an exchange. */
export interface Clock {
  readonly name: string
  readonly status: string
  readonly watermarkMs: number
  /** Name of the task, for a producer. */
  readonly producer: string | null
  readonly silentMs: number
  readonly error: string | null
  /** The one that holds the task's watermark. */
  readonly holds: boolean
}

function clocksOf(input: InputStatus): readonly Omit<Clock, 'holds'>[] {
  const partitions = input.partitions.map((partition) => ({
    name: `${input.input} · partition ${partition.partition}`,
    status: partition.status,
    watermarkMs: partition.watermarkMs,
    producer: null,
    silentMs: partition.silentMs,
    error: partition.error,
  }))
  const producers = input.producers.map((producer) => ({
    name: `task ${producer.task}`,
    status: producer.status,
    watermarkMs: producer.watermarkMs,
    producer: producer.task,
    silentMs: 0,
    error: null,
  }))
  return [...partitions, ...producers]
}

/**
 * Clocks of a task, the one that decides first, then the slowest. As in the engine: the slowest active one decides; when all are idle, the
 * furthest of them; ended ones hold nothing back.
 */
export function clocksOfTask(task: TaskStatus): readonly Clock[] {
  const all = task.inputs.filter((input) => input.kind !== 'file-table').flatMap(clocksOf)
  const alive = all.filter((clock) => clock.status !== 'ended')
  const active = alive.filter((clock) => clock.status === 'active')
  const watermark =
    active.length > 0 ? Math.min(...active.map((clock) => clock.watermarkMs)) : Math.max(...alive.map((clock) => clock.watermarkMs))
  const holder = (active.length > 0 ? active : alive).find((clock) => clock.watermarkMs === watermark)
  return all
    .map((clock) => ({ ...clock, holds: clock === holder }))
    .toSorted((a, b) => Number(b.holds) - Number(a.holds) || a.watermarkMs - b.watermarkMs)
}

/** How far behind the awaited time a clock is, in words. */
export function distance(clock: Clock, waitsForMs: number): string {
  if (clock.watermarkMs === Number.NEGATIVE_INFINITY) return 'has not said a time yet'
  if (clock.status === 'ended' || clock.watermarkMs === Number.POSITIVE_INFINITY) return 'has ended'
  if (!Number.isFinite(waitsForMs)) return `is at ${formatTime(clock.watermarkMs)}`
  const missing = waitsForMs - clock.watermarkMs
  return missing <= 0 ? 'has passed it' : `${formatDuration(missing)} to go`
}

/** What became of letters that were sent back in. */
export function retryOutcome({ moved, refused }: RetryAnswer): string {
  const back =
    moved === 0
      ? 'No letter went back in.'
      : `${formatPlural(moved, 'letter')} went back in. What fails again comes back here with its next attempt.`
  return [back, ...refused.map(({ reason, count }) => `${formatPlural(count, 'letter')} stayed: ${sentence(reason)}`)].join(' ')
}

/** What came of discarding. */
export function discardOutcome({ discarded }: DiscardAnswer): string {
  return `${formatPlural(discarded, 'letter')} discarded: kept on the dead-letter topic until its retention, and not shown as open any more.`
}

/** The end of a long path, which is what tells files apart: `…/flights/pipeline.ts:16:42`. */
export function shortPlace(place: string): string {
  const parts = place.split(/[/\\]/)
  return parts.length <= 3 ? place : `…/${parts.slice(-2).join('/')}`
}
