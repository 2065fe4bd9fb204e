// filter, project, map, flat-map, branch, merge and key-by against plain JavaScript over plain rows.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { expr, pipeline, t, topic } from '../index.ts'
import type { Mill } from '../index.ts'
import type { Plan } from '../plan/node.ts'
import { plainOf, Runner } from './harness.fixture.ts'
import { liveOf, runTicks, ticksOf, type TickDraft } from './ticks.fixture.ts'

const schema = t.object({ id: t.i64(), x: t.optional(t.f64()), s: t.string() })
const input = topic('input', { value: schema })
const out = topic('out', { value: t.object({ id: t.i64() }) })
const others = topic('others', { value: t.object({ id: t.i64() }) })

interface InputRow {
  readonly id: number
  readonly x: number | null
  readonly s: string
}

const row: fc.Arbitrary<InputRow> = fc.record(
  {
    id: fc.integer({ min: 0, max: 20 }),
    x: fc.option(fc.constantFrom(0.5, 2, -1), { nil: null }),
    s: fc.constantFrom('', 'a', 'bb', 'é😀'),
  },
  { noNullPrototype: true },
)

interface Made {
  readonly row: unknown
  readonly timeMs: number
}

const THROWS_AT = 13
const fail = (id: number): void => {
  if (id === THROWS_AT) throw new Error('thirteen')
}

/** The law: what leaves output `output` is `expected` of every live row, in order, at its row's time. */
function law(
  build: (mill: Mill) => void,
  expected: (row: InputRow) => readonly unknown[],
  isRefused: (row: InputRow) => boolean = () => false,
  output = 0,
): void {
  const plan: Plan = pipeline('p', build).plan
  fc.assert(
    fc.property(ticksOf(row), fc.boolean(), fc.boolean(), (ticks: readonly TickDraft<InputRow>[], codegen, guardRows) => {
      const result = runTicks({ ticks, make: (options) => new Runner(plan, options), options: { codegen, guardRows } })
      result.emitted.forEach((emitted, index) => {
        const live = ticks[index] === undefined ? [] : liveOf(ticks[index])
        const want = live.flatMap((each) =>
          isRefused(each.row) ? [] : expected(each.row).map((made): Made => ({ row: made, timeMs: each.timeMs })),
        )
        const got = plainOf(emitted.filter((each) => each.output === output)).map(({ row: made, timeMs }): Made => ({ row: made, timeMs }))
        assert.deepEqual(got, want)
      })
      const refused = ticks.flatMap(liveOf).filter((each) => isRefused(each.row))
      assert.deepEqual(
        result.letters.map((letter) => letter.row),
        refused.map((each) => each.row),
      )
    }),
    { numRuns: 150 },
  )
}

const isThirteen = (each: InputRow): boolean => each.id === THROWS_AT

describe('stateless operators', () => {
  test('filter by expression', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .filter(expr((each) => each.x.gt(0)))
          .to(out),
      (each) => (each.x !== null && each.x > 0 ? [each] : []),
    ))

  test('filter by lambda; a throw makes a dead letter', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .filter((each) => (fail(each.id), each.s !== ''))
          .to(out),
      (each) => (each.s === '' ? [] : [each]),
      isThirteen,
    ))

  test('select picks, renames and computes', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .select({ id: 'id', text: 's', twice: expr((each) => each.x.times(2)) })
          .to(out),
      (each) => [{ id: each.id, text: each.s, twice: each.x === null ? null : each.x * 2 }],
    ))

  test('map to values', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .map((each) => (fail(each.id), { ...each, more: [each.s] }))
          .to(out),
      (each) => [{ ...each, more: [each.s] }],
      isThirteen,
    ))

  test('map that returns its row gives a copy', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .map((each) => each)
          .to(out),
      (each) => [each],
    ))

  test('map with a schema; a result that does not fit makes a dead letter', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .map((each) => ({ id: isThirteen(each) ? 0.5 : each.id, big: BigInt(each.id), s: each.s, list: [each.x] }), {
            value: t.object({ id: t.i64(), big: t.bigint(), s: t.string(), list: t.list(t.optional(t.f64())) }),
          })
          .to(out),
      (each) => [{ id: each.id, big: BigInt(each.id), s: each.s, list: [each.x] }],
      isThirteen,
    ))

  test('flatMap; a throw in the middle leaves nothing of the row', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .flatMap(
            (each) =>
              (function* () {
                for (let part = 0; part < each.id % 3; part++) yield { id: each.id, part }
                fail(each.id)
              })() as unknown as readonly { id: number; part: number }[],
            { value: t.object({ id: t.i64(), part: t.i32() }) },
          )
          .to(out),
      (each) => Array.from({ length: each.id % 3 }, (_, part) => ({ id: each.id, part })),
      isThirteen,
    ))

  test('lambdas over open rows', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .map((each) => ({ id: each.id, s: each.s }))
          .filter((each) => each.id > 3)
          .map((each) => ({ id: each.id, n: each.s.length }), { value: t.object({ id: t.i64(), n: t.i32() }) })
          .to(out),
      (each) => (each.id > 3 ? [{ id: each.id, n: each.s.length }] : []),
    ))

  test('expressions over open rows', () =>
    law(
      (mill) =>
        mill
          .from(input)
          .map((each) => ({ id: each.id, s: each.s }))
          .filter(expr((each) => each.id.gt(3)))
          .select({ id: 'id', upper: expr((each) => each.s.upper()) })
          .to(out),
      (each) => (each.id > 3 ? [{ id: each.id, upper: each.s.toUpperCase() }] : []),
    ))

  const branches = (mill: Mill): void => {
    const { low, middle, rest } = mill
      .from(input)
      .branch({ low: (each) => (fail(each.id), each.id < 5), middle: expr((each) => each.id.lt(10)) }, { name: 'by-id' })
    low.to(out)
    rest.to(topic('rest', { value: t.object({ id: t.i64() }) }))
    middle.to(others)
  }
  test('branch: the first match', () => law(branches, (each) => (each.id < 5 ? [each] : []), isThirteen, 0))
  test('branch: the rest', () => law(branches, (each) => (each.id >= 10 ? [each] : []), isThirteen, 1))
  test('branch: the second match', () => law(branches, (each) => (each.id >= 5 && each.id < 10 ? [each] : []), isThirteen, 2))

  test('merge and keyBy hand rows on, side by side', () =>
    law(
      (mill) => {
        const stream = mill.from(input)
        stream
          .filter(expr((each) => each.id.lt(5)))
          .merge(stream.filter(expr((each) => each.id.lt(0))))
          .keyBy('id')
          .to(out)
      },
      (each) => (each.id < 5 ? [each] : []),
    ))
})
