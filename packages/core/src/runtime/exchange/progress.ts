// Progress records: what a task states about the ticks that it has completed (ADR 0002, rules 2-3, 8). One topic per sub-topology, one
// partition per task group, one writer each. The text form is JSON: a record is written once per commit, a few hundred per second at most.
import { MillraceError } from '../../base/errors.ts'

export type ClockStatus = 'active' | 'idle' | 'ended'

/** A task's clocks as they hold from `tick` on, until the next entry. */
export interface ProgressEntry {
  readonly tick: number
  readonly watermark: number
  readonly wallMs: number
  readonly status: ClockStatus
}

/** Part of a binding: one source partition's range in one tick. Never changed, kept as long as replay is promised. */
export interface BoundRange {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly from: number
  readonly to: number
  /** Of the partition, at the tick's end. */
  readonly watermark: number
  readonly status: ClockStatus
  /** Offsets of the range that the clock-ahead guard refused: a decision that time took part in, so a replay must be told. */
  readonly refused: readonly number[]
}

export interface Binding {
  readonly tick: number
  readonly wallMs: number
  readonly codeVersion: string
  readonly ranges: readonly BoundRange[]
}

export interface ProgressRecord {
  /** Newest tick complete: this task will never produce anything with a tick at or below it again. */
  readonly through: number
  readonly entries: readonly ProgressEntry[]
  readonly bindings: readonly Binding[]
  /** Running number reached per output (index in SubTopology.outputs) and partition. */
  readonly reached: readonly (readonly number[])[]
  /** Earliest event time that a window or timer of this task waits for. */
  readonly waitsFor: number
  /** A tick that this task wants others to complete (mixed tasks only); 0 = none. */
  readonly wants: number
}

function pack(value: number): number | string {
  if (value === Number.POSITIVE_INFINITY) return '+'
  if (value === Number.NEGATIVE_INFINITY) return '-'
  return value
}

function unpack(value: unknown): number {
  if (value === '+') return Number.POSITIVE_INFINITY
  if (value === '-') return Number.NEGATIVE_INFINITY
  if (typeof value !== 'number')
    throw new MillraceError('MR_RUNTIME_PROGRESS_BROKEN', { message: 'a progress record has a field that is not a number.' })
  return value
}

type PackedEntry = readonly [number, number | string, number, ClockStatus]
type PackedRange = readonly [string, string, number, number, number, number | string, ClockStatus, (readonly number[])?]
interface PackedRecord {
  readonly v: 1
  readonly t: number
  readonly e: readonly PackedEntry[]
  readonly b?: readonly { readonly t: number; readonly w: number; readonly c: string; readonly r: readonly PackedRange[] }[]
  readonly n?: readonly (readonly number[])[]
  readonly d?: number | string
  readonly q?: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeProgress(record: ProgressRecord): Uint8Array {
  const packed: PackedRecord = {
    v: 1,
    t: record.through,
    e: record.entries.map((entry): PackedEntry => [entry.tick, pack(entry.watermark), entry.wallMs, entry.status]),
    ...(record.bindings.length > 0
      ? {
          b: record.bindings.map((binding) => ({
            t: binding.tick,
            w: binding.wallMs,
            c: binding.codeVersion,
            r: binding.ranges.map((range): PackedRange => [
              range.topic,
              range.topicId,
              range.partition,
              range.from,
              range.to,
              pack(range.watermark),
              range.status,
              ...(range.refused.length > 0 ? ([range.refused] as [readonly number[]]) : ([] as [])),
            ]),
          })),
        }
      : {}),
    ...(record.reached.length > 0 ? { n: record.reached } : {}),
    ...(record.waitsFor === Number.POSITIVE_INFINITY ? {} : { d: pack(record.waitsFor) }),
    ...(record.wants === 0 ? {} : { q: record.wants }),
  }
  return encoder.encode(JSON.stringify(packed))
}

export function decodeProgress(bytes: Uint8Array, start: number, end: number): ProgressRecord {
  const packed = JSON.parse(decoder.decode(bytes.subarray(start, end))) as PackedRecord
  if (packed.v !== 1)
    throw new MillraceError('MR_RUNTIME_PROGRESS_BROKEN', {
      message: 'a progress record of an unknown version.',
      details: { version: packed.v },
    })
  return {
    through: packed.t,
    entries: packed.e.map(([tick, watermark, wallMs, status]) => ({ tick, watermark: unpack(watermark), wallMs, status })),
    bindings: (packed.b ?? []).map((binding) => ({
      tick: binding.t,
      wallMs: binding.w,
      codeVersion: binding.c,
      ranges: binding.r.map(([topic, topicId, partition, from, to, watermark, status, refused]) => ({
        topic,
        topicId,
        partition,
        from,
        to,
        watermark: unpack(watermark),
        status,
        refused: refused ?? [],
      })),
    })),
    reached: packed.n ?? [],
    waitsFor: packed.d === undefined ? Number.POSITIVE_INFINITY : unpack(packed.d),
    wants: packed.q ?? 0,
  }
}
