// Which records of a topic were accepted, in which tick, and which had to become dead letters: from the records and the bindings alone.
import type { PipelineSettings } from '@millrace/core'
import type { Binding, Topology } from '@millrace/core/engine'
import type { Progress } from './clocks.ts'
import type { Moves } from './letters.ts'
import { originKey } from './letters.ts'
import { violated } from './violation.ts'
import type { Event, ExpectedLetter, OracleRow, SeenRecord } from './rows.ts'
import type { SeenLetter } from './reading.ts'

interface Range {
  readonly from: number
  readonly to: number
  readonly tick: number
}

/**
 * Ranges of one partition of a topic, checked to go on from each other. Offsets behind a damage that an operator has skipped may stand in
 * none of them; that every record there is stands in one is checked where the records are.
 */
export function rangesOf(topology: Topology, progress: Progress, topic: string, partition: number): readonly Range[] {
  const binder = topology.parts.find((part) => part.inputs.some((input) => input.kind === 'source' && input.topic.name === topic))
  if (binder === undefined) return violated(`nobody binds ${topic}`)
  const bindings: readonly Binding[] = (progress.get(`${binder.name}/${partition % binder.groups}`) ?? []).flatMap(
    (record) => record.bindings,
  )
  const ranges: Range[] = []
  for (const { tick, ranges: bound } of bindings) {
    for (const range of bound) {
      if (range.topic !== topic || range.partition !== partition) continue
      const before = ranges.at(-1)
      if (before !== undefined && (range.from < before.to || tick <= before.tick))
        violated(`bindings of ${topic}/${partition} do not tile: tick ${before.tick} to ${before.to}, tick ${tick} from ${range.from}`)
      ranges.push({ from: range.from, to: range.to, tick })
    }
  }
  return ranges
}

export interface AcceptOptions {
  readonly topology: Topology
  readonly progress: Progress
  readonly settings: PipelineSettings
  /** True: no partition was ever idle, so the guard's decisions follow from the records alone. */
  readonly exactGuard: boolean
  /** The name of the operator that reads the topic. */
  readonly source: string
  readonly letters: readonly SeenLetter[]
  readonly moves: Moves
}

/** Accepted rows of a topic; letters of the others are added to `expected`. */
export function acceptedRows(
  topic: string,
  records: readonly SeenRecord[],
  options: AcceptOptions,
  expected: ExpectedLetter[],
): readonly OracleRow[] {
  const rows: OracleRow[] = []
  for (const [partition, list] of Map.groupBy(records, (record) => record.partition)) {
    const ranges = rangesOf(options.topology, options.progress, topic, partition)
    const decoded = list.map((record) => ({ record, ...decode(record.text ?? '') }))
    const ahead = options.exactGuard
      ? guard(
          decoded.map(({ event }) => event?.at ?? Number.NaN),
          options.settings,
        )
      : aheadOf(topic, partition, decoded, options)
    for (const [index, { record, event, code, subject }] of decoded.entries()) {
      const range = ranges.find((other) => record.offset >= other.from && record.offset < other.to)
      if (range === undefined) violated(`${topic}/${partition} offset ${record.offset} of ${list.length} was never bound`)
      const moved = options.moves.get(originKey(options.source, { topic, partition, offset: record.offset })) ?? 0
      // Bytes that are no event stay so: each time they are sent back they are refused again.
      if (event === null) for (let count = 0; count <= moved; count++) expected.push({ operator: options.source, code, subject })
      else if (ahead.has(index)) {
        expected.push({ operator: options.source, code: 'MR_TIME_AHEAD', subject })
        // Who sends it back vouches for its time.
        if (moved > 0) rows.push({ value: event, tick: range.tick, topic, partition, offset: record.offset, isBack: true })
      } else rows.push({ value: event, tick: range.tick, topic, partition, offset: record.offset })
    }
  }
  return rows
}

function decode(text: string): { readonly event: Event | null; readonly code: string; readonly subject: string } {
  let value: Readonly<Record<string, unknown>>
  try {
    value = JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    return { event: null, code: 'MR_CODEC_JSON_INVALID', subject: text }
  }
  const { at } = value
  if (at === undefined) return { event: null, code: 'MR_CODEC_FIELD_MISSING', subject: text }
  if (typeof at !== 'number') return { event: null, code: 'MR_CODEC_FIELD_TYPE', subject: text }
  const id = Number(value['id'])
  const event = {
    id,
    key: String(value['key']),
    shop: String(value['shop']),
    amount: Number(value['amount']),
    at,
    extra: (value['extra'] ?? null) as number | null,
  }
  return { event, code: '', subject: String(id) }
}

/**
 * What a letter is known by: the event's id, or all of it when the bytes are no event. Null when it has neither: behind an exchange its text
 * is what the row still has.
 */
export function subjectOf(letter: SeenLetter): string | null {
  if (letter.code.startsWith('MR_CODEC_')) return letter.text
  const { id } = JSON.parse(letter.text) as { readonly id?: number }
  return id === undefined ? null : String(id)
}

/** The clock-ahead guard over a whole partition; indexes of the rejected records. */
function guard(times: readonly number[], settings: PipelineSettings): ReadonlySet<number> {
  const rejected = new Set<number>()
  let largest = Number.NEGATIVE_INFINITY
  for (const [index, time] of times.entries()) {
    if (Number.isNaN(time)) continue
    if (time > largest + settings.clockAheadMs || largest === Number.NEGATIVE_INFINITY) {
      const next = times.slice(index + 1).filter((other) => !Number.isNaN(other))
      const confirming = next.slice(0, settings.clockConfirmations)
      if (confirming.some((other) => other < time - settings.clockAheadMs)) {
        rejected.add(index)
        continue
      }
    }
    largest = Math.max(largest, time)
  }
  return rejected
}

/** Where idle time takes part in the decision, the letters are believed, but only for records that are jumps. */
function aheadOf(
  topic: string,
  partition: number,
  decoded: readonly { readonly record: SeenRecord; readonly event: Event | null }[],
  options: AcceptOptions,
): ReadonlySet<number> {
  const offsets = new Set(
    options.letters
      .filter((letter) => letter.code === 'MR_TIME_AHEAD' && letter.topic === topic && letter.partition === partition)
      .map((letter) => letter.offset),
  )
  const rejected = new Set<number>()
  let largest = Number.NEGATIVE_INFINITY
  for (const [index, { record, event }] of decoded.entries()) {
    if (event === null) continue
    if (!offsets.has(record.offset)) {
      largest = Math.max(largest, event.at)
      continue
    }
    if (event.at <= largest + options.settings.clockAheadMs)
      violated(`${topic}/${partition} offset ${record.offset} was refused as ahead, and is not`)
    rejected.add(index)
  }
  return rejected
}
