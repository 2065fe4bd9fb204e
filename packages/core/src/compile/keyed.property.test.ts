// dedupe, scan, to-table and the stream-table join against plain maps of plain rows.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fileTable, pipeline, t, topic } from '../index.ts'
import type { Plan } from '../plan/node.ts'
import { plainOf, Runner, type RunnerOptions } from './harness.fixture.ts'
import { batchOfDraft, liveOf, runTicks, startMarks, ticksOf, type TickDraft, type TimedRow } from './ticks.fixture.ts'

const schema = t.object({
  id: t.i64(),
  s: t.optional(t.string()),
  x: t.optional(t.f64()),
  big: t.bigint(),
  flag: t.bool(),
  tags: t.list(t.string()),
  any: t.json(),
})
const input = topic('input', { value: schema })
const out = topic('out', { value: t.object({ id: t.i64() }) })

interface InputRow {
  readonly id: number
  readonly s: string | null
  readonly x: number | null
  readonly big: bigint
  readonly flag: boolean
  readonly tags: readonly string[]
  readonly any: unknown
}

const row: fc.Arbitrary<InputRow> = fc.record(
  {
    id: fc.integer({ min: 0, max: 6 }),
    s: fc.option(fc.constantFrom('', 'a', 'é😀', 'a text that is longer than a key lies inline, by far'), { nil: null }),
    x: fc.option(fc.constantFrom(0.5, -2, 1e300), { nil: null }),
    big: fc.constantFrom(1n, -(2n ** 62n)),
    flag: fc.boolean(),
    tags: fc.array(fc.constantFrom('p', 'q'), { maxLength: 2 }),
    any: fc.constantFrom(null, { deep: [1, null] }, 'text', 3),
  },
  { noNullPrototype: true },
)

const both = fc.record({ codegen: fc.boolean(), guardRows: fc.boolean() })

function run(plan: Plan, ticks: readonly TickDraft<InputRow>[], options: RunnerOptions): ReturnType<typeof runTicks> {
  return runTicks({ ticks, options, make: (given) => new Runner(plan, given) })
}

/** Rows and times per tick, as they left. */
const left = (result: ReturnType<typeof runTicks>): unknown =>
  result.emitted.map((rows) => plainOf(rows).map((each) => ({ row: each.row, timeMs: each.timeMs })))

describe('dedupe', () => {
  const withinMs = 60
  const plans = {
    field: pipeline('p', (mill) => mill.from(input).dedupe({ by: 'id', withinMs, name: 'once' }).to(out)).plan,
    optional: pipeline('p', (mill) => mill.from(input).keyBy('s').dedupe({ by: 's', withinMs, name: 'once' }).to(out)).plan,
    open: pipeline('p', (mill) =>
      mill
        .from(input)
        .map((each) => ({ id: each.id, s: each.s }))
        .dedupe({ by: 's', withinMs, name: 'once' })
        .to(out),
    ).plan,
  }
  test('drops a row iff its key was kept within the horizon, before or after, and is not forgotten', () => {
    fc.assert(
      fc.property(ticksOf(row), both, fc.constantFrom('field' as const, 'optional' as const, 'open' as const), (ticks, options, kind) => {
        const marks = startMarks(ticks)
        const kept = new Map<unknown, number[]>()
        const want = ticks.map((tick, index) =>
          liveOf(tick)
            .filter((each) => {
              const key = kind === 'field' ? each.row.id : each.row.s
              const before = (kept.get(key) ?? []).filter((time) => (marks[index] as number) <= time + withinMs)
              if (before.some((time) => Math.abs(time - each.timeMs) <= withinMs)) return false
              kept.set(key, [...before, each.timeMs])
              return true
            })
            .map((each) => ({ row: kind === 'open' ? { id: each.row.id, s: each.row.s } : each.row, timeMs: each.timeMs })),
        )
        const result = run(plans[kind], ticks, options)
        assert.deepEqual(left(result), [...want, []])
      }),
      { numRuns: 200 },
    )
  })
})

describe('scan', () => {
  const sums = (plan: 'field' | 'lambda'): Plan =>
    pipeline('p', (mill) => {
      const stream = mill.from(input)
      const keyed = plan === 'field' ? stream.keyBy('id') : stream.keyBy((each) => ({ s: each.s }))
      keyed
        .scan(
          () => ({ n: 0, last: null as number | null }),
          (state, each) => {
            state.n++
            if (each.x === 1e300) throw new Error('too large')
            const gives = state.n % 2 === 0 ? [{ id: each.id, n: state.n, last: state.last }] : []
            state.last = each.x
            return each.x === -2 ? { state: null, rows: gives } : { state, rows: gives }
          },
          { name: 'fold', value: t.object({ id: t.i64(), n: t.i32(), last: t.optional(t.f64()) }) },
        )
        .to(out)
    }).plan
  const plans = { field: sums('field'), lambda: sums('lambda') }

  test('folds per key in order; a throw changes nothing, a null state forgets', () => {
    fc.assert(
      fc.property(ticksOf(row), both, fc.constantFrom('field' as const, 'lambda' as const), (ticks, options, kind) => {
        const states = new Map<unknown, { n: number; last: number | null }>()
        const refused: InputRow[] = []
        const want = ticks.map((tick) =>
          liveOf(tick).flatMap((each) => {
            const key = kind === 'field' ? each.row.id : each.row.s
            const state = states.get(key) ?? { n: 0, last: null }
            if (each.row.x === 1e300) {
              refused.push(each.row)
              return []
            }
            const n = state.n + 1
            const gives = n % 2 === 0 ? [{ row: { id: each.row.id, n, last: state.last }, timeMs: each.timeMs }] : []
            if (each.row.x === -2) states.delete(key)
            else states.set(key, { n, last: each.row.x })
            return gives
          }),
        )
        const result = run(plans[kind], ticks, options)
        assert.deepEqual(left(result), [...want, []])
        assert.deepEqual(
          result.letters.map((letter) => letter.row),
          refused,
        )
        assert.equal(result.runner.stores.get('fold')?.rowCount, states.size)
      }),
      { numRuns: 200 },
    )
  })
})

const sorted = (rows: readonly unknown[]): readonly string[] =>
  rows.map((each) => JSON.stringify(each, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))).toSorted()
const asStored = (each: InputRow): Record<string, unknown> => ({
  id: each.id,
  s: each.s,
  x: each.x,
  big: each.big,
  flag: each.flag,
  tags: each.tags,
  any: each.any,
})

describe('to-table', () => {
  const retentionMs = 100
  const plans = {
    keeps: pipeline('p', (mill) => mill.from(input).toTable('rows', { key: 'id' })).plan,
    forgets: pipeline('p', (mill) => mill.from(input).toTable('rows', { key: ['id', 's'], retentionMs })).plan,
  }
  test('holds the newest row per key; rows leave with the retention', () => {
    fc.assert(
      fc.property(ticksOf(row), both, fc.constantFrom('keeps' as const, 'forgets' as const), (ticks, options, kind) => {
        const table = new Map<string, TimedRow<InputRow>>()
        let watermark = 0
        for (const tick of ticks) {
          watermark += tick.advanceMs
          for (const each of liveOf(tick))
            table.set(kind === 'keeps' ? String(each.row.id) : JSON.stringify([each.row.id, each.row.s]), each)
          if (kind === 'forgets') for (const [key, each] of table) if (each.timeMs <= watermark - retentionMs) table.delete(key)
        }
        const { runner } = run(plans[kind], ticks, options)
        const want = [...table.values()].map((each) => {
          const stored = asStored(each.row)
          const { id, s, ...others } = stored
          return kind === 'keeps' ? stored : { id, s, ...others, $time: each.timeMs }
        })
        assert.deepEqual(sorted(runner.rows('table.rows')), sorted(want))
      }),
      { numRuns: 200 },
    )
  })

  test('weights: above 0 upserts, below 0 deletes by key, in order', () => {
    const weighted = fc.array(
      fc.array(fc.record({ row, timeMs: fc.constant(0), isLive: fc.boolean(), weight: fc.constantFrom(1, -1) }), { maxLength: 12 }),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(weighted, fc.constantFrom('slice' as const, 'dictionary' as const), (batches, layout) => {
        const runner = new Runner(plans.keeps)
        const table = new Map<number, InputRow>()
        for (const rows of batches) {
          const live = rows.filter((each) => each.isLive)
          for (const each of live) {
            if (each.weight > 0) table.set(each.row.id, each.row)
            else table.delete(each.row.id)
          }
          const batch = batchOfDraft(
            runner.fieldsIn(0),
            { rows, layout, isBig: false },
            rows.map((each) => each.weight),
          )
          if (live.length > 0) runner.tick(0, (process) => process(0, batch))
        }
        assert.deepEqual(sorted(runner.rows('table.rows')), sorted([...table.values()].map(asStored)))
      }),
      { numRuns: 200 },
    )
  })
})

const places = topic('places', {
  value: t.object({ code: t.i32(), city: t.optional(t.string()), lat: t.optional(t.f64()), area: t.bigint() }),
  key: 'code',
})

interface PlaceRow {
  readonly code: number
  readonly city: string | null
  readonly lat: number | null
  readonly area: bigint
}

const place: fc.Arbitrary<PlaceRow> = fc.record(
  {
    code: fc.integer({ min: 0, max: 8 }),
    city: fc.option(fc.constantFrom('', 'Oslo', 'Malmö'), { nil: null }),
    lat: fc.option(fc.constantFrom(59.9, 0), { nil: null }),
    area: fc.constantFrom(7n, 2n ** 60n),
  },
  { noNullPrototype: true },
)

describe('stream-table join', () => {
  const planOf = (type: 'inner' | 'left', kind: 'fields' | 'open'): Plan =>
    pipeline('p', (mill) => {
      const table = mill.table(places)
      const select = { city: 'city', lat: 'lat', area: 'area', code: 'code' } as const
      const stream = mill.from(input)
      if (kind === 'fields')
        stream
          .select('id', 's')
          .join(table, { on: { id: 'code' }, type, select, name: 'with-place' })
          .to(out)
      else
        stream
          .map((each) => ({ id: each.id, s: each.s }))
          .join(table, { on: { id: 'code' }, type, select, name: 'with-place' })
          .to(out)
    }).plan
  const plans = {
    inner: { fields: planOf('inner', 'fields'), open: planOf('inner', 'open') },
    left: { fields: planOf('left', 'fields'), open: planOf('left', 'open') },
  }
  const changes = fc.array(fc.record({ row: place, timeMs: fc.constant(0), isLive: fc.boolean(), weight: fc.constantFrom(1, 1, -1) }), {
    maxLength: 8,
  })
  const steps = fc.array(
    fc.record({
      changes,
      tick: ticksOf(row).map((ticks) => ticks[0] ?? { batches: [], advanceMs: 0, isRepeated: false, isRestarted: false }),
    }),
    { maxLength: 5 },
  )

  test('each row meets the table as it is', () => {
    fc.assert(
      fc.property(
        steps,
        both,
        fc.constantFrom('inner' as const, 'left' as const),
        fc.constantFrom('fields' as const, 'open' as const),
        (ticks, options, type, kind) => {
          const runner = new Runner(plans[type][kind], options)
          const tableInput = runner.part.inputs.findIndex((each) => each.kind === 'source' && each.table)
          const table = new Map<number, PlaceRow>()
          for (const { changes: rows, tick } of ticks) {
            const live = rows.filter((each) => each.isLive)
            for (const each of live) {
              if (each.weight > 0) table.set(each.row.code, each.row)
              else table.delete(each.row.code)
            }
            const tableBatch = batchOfDraft(
              runner.fieldsIn(tableInput),
              { rows, layout: 'slice', isBig: false },
              rows.map((each) => each.weight),
            )
            const feed = (process: Parameters<Parameters<Runner['run']>[1]>[0]): void => {
              process(tableInput, tableBatch)
              for (const batch of tick.batches) process(1 - tableInput, batchOfDraft(runner.fieldsIn(1 - tableInput), batch))
            }
            if (tick.isRepeated) {
              runner.run(0, feed)
              runner.rollback()
              runner.emitted.length = 0
            }
            const got = plainOf(runner.tick(0, feed)).map(({ row: each }) => each)
            const want = liveOf(tick).flatMap((each) => {
              const match = table.get(each.row.id)
              if (match === undefined && type === 'inner') return []
              return [
                {
                  id: each.row.id,
                  s: each.row.s,
                  city: match?.city ?? null,
                  lat: match?.lat ?? null,
                  area: match?.area ?? null,
                  code: match?.code ?? null,
                },
              ]
            })
            assert.deepEqual(got, want)
          }
          assert.deepEqual(runner.letters, [])
        },
      ),
      { numRuns: 300 },
    )
  })

  test('a table from a file is what the file says now', () => {
    const file = fileTable({
      name: 'places',
      path: 'places.json',
      format: 'json',
      key: 'code',
      value: t.object({ code: t.i64(), city: t.string() }),
    })
    const plan = pipeline('p', (mill) =>
      mill
        .from(input)
        .select('id')
        .join(mill.table(file), { on: { id: 'code' }, type: 'left', name: 'with-place' })
        .to(out),
    ).plan
    const first = new Runner(plan)
    const at = first.part.inputs.findIndex((each) => each.kind === 'file-table')
    const rowsOf = (rows: readonly unknown[]): TickDraft<unknown>['batches'][number] => ({
      rows: rows.map((each) => ({ row: each, timeMs: 0, isLive: true })),
      layout: 'bytes',
      isBig: false,
    })
    const tick = (runner: Runner, table: readonly unknown[], ids: readonly number[]): unknown =>
      plainOf(
        runner.tick(0, (process) => {
          process(at, batchOfDraft(runner.fieldsIn(at), rowsOf(table)))
          process(
            1 - at,
            batchOfDraft(
              runner.fieldsIn(1 - at),
              rowsOf(ids.map((id) => ({ id, s: null, x: null, big: 0n, flag: false, tags: [], any: null }))),
            ),
          )
        }),
      ).map(({ row: each }) => each)
    assert.deepEqual(
      tick(
        first,
        [
          { code: 1, city: 'Oslo' },
          { code: 2, city: 'Malmö' },
        ],
        [1, 2, 3],
      ),
      [
        { id: 1, city: 'Oslo' },
        { id: 2, city: 'Malmö' },
        { id: 3, city: null },
      ],
    )
    const second = new Runner(plan, { after: first })
    assert.deepEqual(tick(second, [{ code: 2, city: 'Lund' }], [1, 2]), [
      { id: 1, city: null },
      { id: 2, city: 'Lund' },
    ])
  })
})
