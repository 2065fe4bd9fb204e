// The order that pipelines promise: the rows of one source partition keep their order on every way through a pipeline, and a key's rows do so
// behind an exchange by that key. An exchange by another key (a dedupe by other fields, over several partitions) ends it. Rows of two ways that meet again (merge), and of two partitions, have no order among themselves inside a tick; between
// ticks they have. `scan` numbers the rows of each key as it sees them, which shows the order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { expr, pipeline, t, topic } from '../index.ts'
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import { testPipeline } from './pipeline-driver.ts'

const row = t.object({ key: t.string(), partition: t.i64(), seq: t.i64(), pick: t.i64(), at: t.time() })
const seen = t.object({ key: t.string(), partition: t.i64(), seq: t.i64(), pick: t.i64(), n: t.i64() })
const a = topic('a', { value: row, eventTime: 'at', disorderMs: 1000 })
const b = topic('b', { value: row, eventTime: 'at', disorderMs: 1000 })
const out = topic('out', { value: seen })
type Seen = { readonly key: string; readonly partition: number; readonly seq: number; readonly pick: number; readonly n: number }

type Way = 'straight' | 'dedupe' | 'branch and merge' | 'two sources' | 'branch, map and merge'

function definitionOf(way: Way): PipelineDefinition {
  return pipeline('order', (mill) => {
    const rows = mill.from(a)
    const { odd, rest } = rows.branch({ odd: expr((one) => one.pick.eq(1)) })
    const same = { value: row }
    const ways = {
      straight: rows.filter((one) => one.pick < 3),
      dedupe: rows.dedupe({ by: ['key', 'partition', 'seq'], withinMs: 3_600_000, name: 'once' }),
      'branch and merge': odd.merge(rest),
      'two sources': rows.merge(mill.from(b)),
      'branch, map and merge': odd.map((one) => ({ ...one }), same).merge(rest.map((one) => ({ ...one }), same)),
    }
    ways[way]
      .scan(
        () => ({ n: 0 }),
        (state, { key, partition, seq, pick }) => ({ state: { n: state.n + 1 }, rows: [{ key, partition, seq, pick, n: state.n + 1 }] }),
        { by: 'key', value: seen, name: 'numbered' },
      )
      .to(out)
  })
}

/** Rows that came the same way from the same partition. */
function sameWay(way: Way, one: Seen): string {
  return way.startsWith('branch') ? `${one.key} ${one.partition} ${one.pick === 1}` : `${one.key} ${one.partition}`
}

const batches = fc.array(
  fc.record({
    second: fc.boolean(),
    partition: fc.integer({ min: 0, max: 2 }),
    rows: fc.array(fc.record({ key: fc.constantFrom('x', 'y', 'z'), pick: fc.integer({ min: 0, max: 2 }) }), {
      minLength: 1,
      maxLength: 12,
    }),
    waitMs: fc.constantFrom(0, 20, 200),
  }),
  { minLength: 1, maxLength: 12 },
)

for (const way of ['straight', 'dedupe', 'branch and merge', 'two sources', 'branch, map and merge'] as const) {
  test(`rows of one partition and key that go one way keep their order, and ticks theirs: ${way}`, async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: way === 'dedupe' ? 1 : 3 }), async (list, partitions) => {
        const run = await testPipeline(definitionOf(way), { partitions: { a: partitions, b: partitions } })
        let seq = 0
        for (const { second, partition, rows, waitMs } of list) {
          const topicOf = second && way === 'two sources' ? b : a
          const at = partition % partitions
          const values = rows.map(({ key, pick }) => ({ key, pick, partition: at + (topicOf === b ? 10 : 0), seq: seq++, at: 1000 + seq }))
          // A repeat that dedupe drops.
          await run.feed(topicOf, way === 'dedupe' ? [...values, ...values] : values, { partition: at })
          await run.advance(waitMs)
        }
        await run.advance(20_000)
        const got = (await run.records(out)).map((record) => record.value as Seen)
        assert.equal(got.length, seq)
        const byWay = new Map<string, Seen[]>()
        for (const one of got.toSorted((x, y) => x.n - y.n)) byWay.set(sameWay(way, one), [...(byWay.get(sameWay(way, one)) ?? []), one])
        for (const [name, rows] of byWay)
          for (let i = 1; i < rows.length; i++) assert.ok((rows[i - 1] as Seen).seq < (rows[i] as Seen).seq, `${way}: ${name}`)
        await run.stop()
      }),
      { numRuns: 25 },
    )
  })
}
