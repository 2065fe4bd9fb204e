import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { count, expr, max, mean, min, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { batchOf, Runner } from './harness.fixture.ts'

const hits = topic('hits', { value: t.object({ url: t.string(), size: t.i64(), at: t.time() }), eventTime: 'at' })

const rows = [
  { url: '/a', size: 10, at: 1_000 },
  { url: '/b', size: 20, at: 2_000 },
  { url: '/a', size: 5, at: 59_000 },
  { url: '/a', size: 7, at: 61_000 },
  { url: '/c', size: 0, at: 62_000 },
]
const batch = batchOf(hits.fields, rows, { times: rows.map((row) => row.at) })

describe('a sub-topology', () => {
  test('filters, projects, counts per window and keeps a table', () => {
    const { plan } = pipeline('web', (mill) => {
      mill
        .from(hits)
        .filter(
          expr((row) => row.size.gt(0)),
          { name: 'positive' },
        )
        .map((row) => ({ url: row.url, size: row.size, kb: row.size / 1000 }), {
          name: 'sized',
          value: t.object({ url: t.string(), size: t.i64(), kb: t.f64() }),
        })
        .groupBy('url')
        .window(tumbling({ sizeMs: 60_000 }))
        .aggregate({ hits: count(), bytes: sum('size'), mean: mean('kb'), least: min('size'), most: max('size') }, { name: 'per-minute' })
        .toTable('per_minute')
    })
    const runner = new Runner(plan, { guardRows: true })
    runner.tick(30_000, (process) => process(0, batch))
    assert.deepEqual(runner.letters, [])
    assert.deepEqual(runner.rows('table.per_minute'), [
      { url: '/a', windowStart: 0, windowEnd: 60_000, hits: 2, bytes: 15, mean: 0.0075, least: 5, most: 10 },
      { url: '/b', windowStart: 0, windowEnd: 60_000, hits: 1, bytes: 20, mean: 0.02, least: 20, most: 20 },
      { url: '/a', windowStart: 60_000, windowEnd: 120_000, hits: 1, bytes: 7, mean: 0.007, least: 7, most: 7 },
    ])
    assert.deepEqual(
      runner.instance.operators.map(({ name, counters }) => [name, counters.rowsIn, counters.rowsOut]),
      [
        ['positive', 5, 4],
        ['sized', 4, 4],
        ['per-minute', 4, 3],
        ['table.per_minute', 3, 0],
      ],
    )
  })

  test('emits closed windows once, and late rows to the dead letters', () => {
    const out = topic('out', { value: t.object({ url: t.string(), windowStart: t.time(), windowEnd: t.time(), hits: t.i64() }) })
    const { plan } = pipeline('web', (mill) => {
      mill
        .from(hits)
        .groupBy('url')
        .window(tumbling({ sizeMs: 60_000, graceMs: 5_000 }))
        .aggregate({ hits: count() }, { name: 'per-minute', emit: 'close' })
        .to(out)
    })
    const runner = new Runner(plan)
    assert.deepEqual(
      runner.tick(64_999, (process) => process(0, batch)),
      [],
    )
    assert.equal(runner.instance.nextDue(), 65_000)
    const closed = runner.tick(65_000, () => {})
    assert.deepEqual(
      closed.map(({ row, timeMs }) => ({ row, timeMs })),
      [
        { row: { url: '/a', windowStart: 0, windowEnd: 60_000, hits: 2 }, timeMs: 59_999 },
        { row: { url: '/b', windowStart: 0, windowEnd: 60_000, hits: 1 }, timeMs: 59_999 },
      ],
    )
    runner.tick(66_000, (process) => process(0, batch))
    assert.equal(runner.letters.length, 3)
    assert.equal((runner.letters[0]?.error as { readonly code?: string } | undefined)?.code, 'MR_TIME_LATE')
    assert.equal(runner.tick(Infinity, () => {}).length, 2)
    assert.equal(runner.instance.nextDue(), Infinity)
  })
})
