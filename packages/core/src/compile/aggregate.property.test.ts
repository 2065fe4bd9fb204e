// The aggregate against a recount: plain maps of plain rows, in the order of arrival.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { textOf } from '../base/text-of.ts'
import fc from 'fast-check'
import { count, countDistinct, custom, expr, max, mean, min, pipeline, sum, t, topic, tumbling } from '../index.ts'
import type { Plan } from '../plan/node.ts'
import { plainOf, Runner } from './harness.fixture.ts'
import { liveOf, runTicks, startMarks, ticksOf, type TickDraft } from './ticks.fixture.ts'

const schema = t.object({
  key: t.string(),
  id: t.i64(),
  n: t.optional(t.i64()),
  big: t.bigint(),
  x: t.optional(t.f64()),
  s: t.optional(t.string()),
  flag: t.bool(),
})
const input = topic('input', { value: schema })

interface InputRow {
  readonly key: string
  readonly id: number
  readonly n: number | null
  readonly big: bigint
  readonly x: number | null
  readonly s: string | null
  readonly flag: boolean
}

const row: fc.Arbitrary<InputRow> = fc.record({
  key: fc.constantFrom('a', 'b', 'long key that does not lie in the row itself but in the arena', '', 'é\u0000'),
  id: fc.constantFrom(1, 2, -3, 2 ** 40),
  n: fc.option(fc.constantFrom(1, 2, 3, -5, Number.MAX_SAFE_INTEGER), { nil: null }),
  big: fc.constantFrom(1n, -7n, 2n ** 60n, -(2n ** 61n)),
  x: fc.option(fc.constantFrom(0.5, -1.25, 3, 1e300), { nil: null }),
  s: fc.option(fc.constantFrom('x', 'y', 'zz', '', '😀', '\uffee'), { nil: null }),
  flag: fc.boolean(),
})

const aggregates = {
  rows: count(),
  flagged: count({ where: expr<InputRow, boolean | null>((each) => each.flag) }),
  ns: sum('n'),
  bigs: sum('big'),
  xs: sum('x', { where: expr<InputRow, boolean | null>((each) => each.id.gt(0)) }),
  meanX: mean('x'),
  minN: min('n'),
  maxX: max('x'),
  maxBig: max('big'),
  minS: min('s'),
  maxS: max('s'),
  values: countDistinct('s'),
  ids: countDistinct('id'),
  longest: custom({
    initial: () => ({ best: '' }),
    add: (state: { best: string }, each: InputRow) => ((each.s ?? '').length > state.best.length ? { best: each.s ?? '' } : state),
    result: (state) => state.best,
  }),
}

interface Group {
  readonly rows: InputRow[]
}

const numbers = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null)
const least = <T>(values: readonly T[], below: (a: T, b: T) => boolean): T | null =>
  values.length === 0 ? null : values.reduce((a, b) => (below(b, a) ? b : a))
const bytes = (text: string): string => Buffer.from(text).toString('hex')

/** All results of a group, from its rows. */
function resultOf({ rows }: Group): Record<string, unknown> {
  const ns = numbers(rows.map((each) => each.n))
  const xs = numbers(rows.map((each) => each.x))
  const positive = numbers(rows.filter((each) => each.id > 0).map((each) => each.x))
  const texts = rows.map((each) => each.s).filter((value) => value !== null)
  const exact = ns.reduce((total, value) => total + BigInt(value), 0n)
  return {
    rows: rows.length,
    flagged: rows.filter((each) => each.flag).length,
    ns: ns.length === 0 ? null : Number(exact),
    bigs: clamped(rows.map((each) => each.big)),
    xs: positive.length === 0 ? null : positive.reduce((a, b) => a + b, 0),
    meanX: xs.length === 0 ? null : xs.reduce((a, b) => a + b, 0) / xs.length,
    minN: least(ns, (a, b) => a < b),
    maxX: least(xs, (a, b) => a > b),
    maxBig: least(
      rows.map((each) => each.big),
      (a, b) => a > b,
    ),
    minS: least(texts, (a, b) => bytes(a) < bytes(b)),
    maxS: least(texts, (a, b) => bytes(a) > bytes(b)),
    values: new Set(texts).size,
    ids: new Set(rows.map((each) => each.id)).size,
    longest: rows.reduce((best, each) => ((each.s ?? '').length > best.length ? (each.s ?? '') : best), ''),
  }
}

/** A sum stays at the ends of 64 bits. */
function clamped(values: readonly bigint[]): bigint {
  let total = 0n
  for (const value of values) {
    total += value
    if (total > 2n ** 63n - 1n) total = 2n ** 63n - 1n
    if (total < -(2n ** 63n)) total = -(2n ** 63n)
  }
  return total
}

interface Shape {
  readonly by: 'key' | 'id' | 'both' | 'lambda'
  readonly window: { readonly sizeMs: number; readonly graceMs: number; readonly offsetMs: number } | null
  readonly emit: 'update' | 'close'
}

const shape: fc.Arbitrary<Shape> = fc.record({
  by: fc.constantFrom('key' as const, 'id' as const, 'both' as const, 'lambda' as const),
  window: fc.option(fc.record({ sizeMs: fc.constantFrom(20, 100), graceMs: fc.constantFrom(0, 30), offsetMs: fc.constantFrom(0, 7) }), {
    nil: null,
  }),
  emit: fc.constantFrom('update' as const, 'close' as const),
})

function planOf({ by, window, emit }: Shape): Plan {
  const out = topic('out', { value: t.object({ rows: t.i64() }), compacted: true })
  return pipeline('p', (mill) => {
    const stream = mill.from(input)
    const grouped =
      by === 'lambda'
        ? stream.groupBy((each) => ({ of: each.id, tag: each.key }))
        : by === 'both'
          ? stream.groupBy('key', 'id')
          : stream.groupBy(by)
    const target =
      window === null
        ? grouped.aggregate(aggregates, { name: 'groups' })
        : grouped.window(tumbling(window)).aggregate(aggregates, { name: 'groups', emit })
    target.to(out as never)
  }).plan
}

function groupOf(each: InputRow, by: Shape['by']): Record<string, unknown> {
  if (by === 'lambda') return { key: { of: each.id, tag: each.key } }
  if (by === 'both') return { key: each.key, id: each.id }
  return by === 'key' ? { key: each.key } : { id: each.id }
}

interface Expected {
  readonly row: Record<string, unknown>
  readonly timeMs: number
}

interface Known {
  readonly key: Record<string, unknown>
  readonly window: { readonly windowStart: number; readonly windowEnd: number } | null
  readonly group: Group
}

/** What each tick emits, and the late rows, recounted. */
function expected(
  ticks: readonly TickDraft<InputRow>[],
  { by, window, emit }: Shape,
): { readonly emitted: readonly (readonly Expected[])[]; readonly late: readonly InputRow[] } {
  const marks = startMarks(ticks)
  const groups = new Map<string, Known>()
  const late: InputRow[] = []
  const emitted = [...ticks, null].map((tick, index): readonly Expected[] => {
    const changed = new Map<string, number>()
    const watermark = tick === null ? Infinity : (marks[index + 1] as number)
    for (const { row: each, timeMs } of tick === null ? [] : liveOf(tick)) {
      const start = window === null ? 0 : Math.floor((timeMs - window.offsetMs) / window.sizeMs) * window.sizeMs + window.offsetMs
      const place = window === null ? null : { windowStart: start, windowEnd: start + window.sizeMs }
      if (place !== null && place.windowEnd + (window?.graceMs ?? 0) <= (marks[index] as number)) {
        late.push(each)
        continue
      }
      const key = groupOf(each, by)
      const id = JSON.stringify([key, place])
      const known = groups.get(id) ?? { key, window: place, group: { rows: [] } }
      groups.set(id, known)
      known.group.rows.push(each)
      changed.set(id, Math.max(changed.get(id) ?? -Infinity, timeMs))
    }
    const closing = [...groups]
      .filter(([, known]) => known.window !== null && known.window.windowEnd + (window?.graceMs ?? 0) <= watermark)
      .map(([id]) => id)
    const shown = emit === 'close' && window !== null ? closing : [...changed.keys()]
    const rows = shown.map((id): Expected => {
      const known = groups.get(id) as Known
      return {
        row: { ...known.key, ...known.window, ...resultOf(known.group) },
        timeMs: known.window === null ? (changed.get(id) as number) : known.window.windowEnd - 1,
      }
    })
    for (const id of closing) groups.delete(id)
    return rows
  })
  return { emitted, late }
}

/** Windows leave in order of their ends, then of their keys' bytes. */
function byWindow(a: Expected, b: Expected): number {
  if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs
  const [left, right] = [bytes(textOf(a.row['key'] ?? '')), bytes(textOf(b.row['key'] ?? ''))]
  return left === right ? Number(a.row['id'] ?? 0) - Number(b.row['id'] ?? 0) : left < right ? -1 : 1
}

const anyOrder = (a: Expected, b: Expected): number =>
  a.timeMs - b.timeMs || (JSON.stringify(a.row['key']) < JSON.stringify(b.row['key']) ? -1 : 1)

describe('aggregate', () => {
  test('each tick emits what a recount gives; late rows go to the dead letters', () => {
    fc.assert(
      fc.property(ticksOf(row), shape, fc.boolean(), fc.boolean(), (ticks, how, codegen, guardRows) => {
        const plan = planOf(how)
        const result = runTicks({ ticks, make: (options) => new Runner(plan, options), options: { codegen, guardRows } })
        const want = expected(ticks, how)
        const got = result.emitted.map((rows) => plainOf(rows).map(({ row: each, timeMs }) => ({ row: each, timeMs })))
        const isClose = how.emit === 'close' && how.window !== null
        got.forEach((rows, tick) => {
          const wanted = want.emitted[tick] as readonly Expected[]
          if (isClose && how.by === 'lambda') assert.deepEqual(rows.toSorted(anyOrder), wanted.toSorted(anyOrder))
          else assert.deepEqual(rows, isClose ? wanted.toSorted(byWindow) : wanted)
        })
        assert.deepEqual(
          result.letters.map((letter) => letter.code),
          want.late.map(() => 'MR_TIME_LATE'),
        )
        for (const [name, store] of result.runner.stores) if (how.window !== null) assert.equal(store.rowCount, 0, name)
      }),
      { numRuns: 400 },
    )
  })
})
