// Random input for the laws of operators: rows in batches in ticks, with watermarks, selections, layouts and failed tries.
import fc from 'fast-check'
import { relayout } from '../codec/arbitrary.fixture.ts'
import type { Batch, BytesColumn, Column, Field } from '../codec/column.ts'
import { batchOf, type Emitted, type Runner, type RunnerOptions } from './harness.fixture.ts'

export interface TimedRow<R> {
  readonly row: R
  readonly timeMs: number
  /** False: the row is in the batch, but not selected. */
  readonly isLive: boolean
}

export interface BatchDraft<R> {
  readonly rows: readonly TimedRow<R>[]
  readonly layout: 'slice' | 'dictionary' | 'compact' | 'bytes'
  /** Integers as 64-bit integers, although they would fit. */
  readonly isBig: boolean
}

export interface TickDraft<R> {
  readonly batches: readonly BatchDraft<R>[]
  /** How far the watermark moves, ms. */
  readonly advanceMs: number
  /** The tick is run, rolled back and run again. */
  readonly isRepeated: boolean
  /** Before the tick the operators are made anew over the stores. */
  readonly isRestarted: boolean
}

export const TIME_MAX = 400

/** Ticks of rows whose times lie in 0 .. TIME_MAX. */
export function ticksOf<R>(row: fc.Arbitrary<R>): fc.Arbitrary<readonly TickDraft<R>[]> {
  const timed = fc.record({
    row,
    timeMs: fc.nat(TIME_MAX),
    isLive: fc.boolean().chain((rarely) => (rarely ? fc.boolean() : fc.constant(true))),
  })
  const batch = fc.record({
    rows: fc.array(timed, { maxLength: 16 }),
    layout: fc.constantFrom('slice' as const, 'dictionary' as const, 'compact' as const, 'bytes' as const),
    isBig: fc.boolean(),
  })
  return fc.array(
    fc.record({
      batches: fc.array(batch, { maxLength: 3 }),
      advanceMs: fc.constantFrom(0, 0, 10, 50, 150),
      isRepeated: fc.boolean(),
      isRestarted: fc.boolean(),
    }),
    { maxLength: 6 },
  )
}

/** The live rows of a tick, in order. */
export function liveOf<R>(tick: TickDraft<R>): readonly TimedRow<R>[] {
  return tick.batches.flatMap((batch) => batch.rows.filter((row) => row.isLive))
}

function layoutOf(draft: BatchDraft<unknown>): (column: Column, field: Field, count: number) => Column {
  return (column, field, count) => {
    if (column.layout === 'bytes') return draft.layout === 'compact' ? compact(column, count) : relayout(column, draft.layout, count)
    if (column.layout !== 'f64' || field.type.kind !== 'i64' || !draft.isBig) return column
    return {
      layout: 'i64',
      values: BigInt64Array.from(column.values.subarray(0, count), (value) => BigInt(value)),
      validity: column.validity,
    }
  }
}

/** Each distinct value is one entry. */
function compact(column: BytesColumn, count: number): Column {
  const texts = Array.from({ length: count }, (_, row) =>
    Buffer.from(column.data.subarray(column.offsets[row], column.offsets[row + 1])).toString('latin1'),
  )
  const entries = [...new Set(texts)]
  const offsets = new Int32Array(entries.length + 1)
  entries.forEach((entry, id) => (offsets[id + 1] = (offsets[id] as number) + entry.length))
  const dictionary: BytesColumn = { layout: 'bytes', offsets, data: Buffer.from(entries.join(''), 'latin1'), validity: null }
  return {
    layout: 'dictionary',
    ids: Int32Array.from(texts, (text) => entries.indexOf(text)),
    dictionary,
    dictionaryCount: entries.length,
    validity: column.validity,
  }
}

/** The batch of a draft; nothing when no row is live. */
export function batchOfDraft(fields: readonly Field[] | null, draft: BatchDraft<unknown>, weights?: readonly number[]): Batch {
  const { rows } = draft
  const selected = rows.flatMap((row, index) => (row.isLive ? [index] : []))
  return batchOf(
    fields,
    rows.map((row) => row.row),
    {
      times: rows.map((row) => row.timeMs),
      ...(selected.length === rows.length ? {} : { selected }),
      ...(weights === undefined ? {} : { weights }),
      relayout: layoutOf(draft),
    },
  )
}

export interface RunResult {
  /** Per tick. */
  readonly emitted: readonly (readonly Emitted[])[]
  readonly letters: readonly { readonly row: unknown; readonly code: string }[]
  readonly runner: Runner
}

export interface RunDraft<R> {
  readonly input?: number
  readonly ticks: readonly TickDraft<R>[]
  readonly options?: RunnerOptions
  readonly make: (options: RunnerOptions) => Runner
  /** False: rolled back ticks are not tried first. */
  readonly repeats?: boolean
}

/** Runs the ticks, then one that ends everything. */
export function runTicks(draft: RunDraft<unknown>): RunResult {
  let runner = draft.make(draft.options ?? {})
  const letters: RunResult['letters'][number][] = []
  const fields = runner.fieldsIn(draft.input ?? 0)
  let watermark = 0
  const emitted: (readonly Emitted[])[] = []
  for (const tick of [...draft.ticks, { batches: [], advanceMs: Infinity, isRepeated: false, isRestarted: true }]) {
    watermark += tick.advanceMs
    if (tick.isRestarted) runner = draft.make({ ...draft.options, after: runner })
    runner.letters.length = 0
    const feed = (process: (input: number, batch: Batch) => void): void => {
      for (const batch of tick.batches) process(draft.input ?? 0, batchOfDraft(fields, batch))
    }
    if (tick.isRepeated && draft.repeats !== false) {
      const rows = runner.emitted.length
      runner.run(watermark, feed)
      runner.rollback()
      runner.emitted.length = rows
      runner.letters.length = 0
    }
    emitted.push(runner.tick(watermark, feed))
    letters.push(...runner.letters.map(({ row, error }) => ({ row, code: codeOf(error) })))
  }
  return { emitted, letters, runner }
}

function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: string }
  return code ?? (error as Error).message
}

/** Watermarks at the start of each tick of `runTicks`. */
export function startMarks(ticks: readonly TickDraft<unknown>[]): readonly number[] {
  const marks = [-Infinity]
  let watermark = 0
  for (const tick of ticks) marks.push((watermark += tick.advanceMs))
  return marks
}
