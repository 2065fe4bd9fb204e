// The tick protocol as the runtime speaks it: what tasks write, and that results follow from the bindings alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, fileTable, pipeline, t, topic } from '../index.ts'
import { progressTopic } from '../runtime/topic-names.ts'
import { testPipeline } from './pipeline-driver.ts'

const clicks = topic('clicks', { value: t.object({ url: t.string(), at: t.time() }), eventTime: 'at' })

test('binders answer the demanded tick and no newer one: answers cause no answers', async () => {
  const others = topic('others', { value: t.object({ url: t.string(), at: t.time() }), eventTime: 'at' })
  const definition = pipeline(
    'answers',
    (mill) => {
      mill.from(clicks).merge(mill.from(others)).groupBy('url').aggregate({ n: count() }, { name: 'per-url' }).toTable('per_url')
    },
    { commitMsMin: 1 },
  )
  const run = await testPipeline(definition, { partitions: { clicks: 3, others: 3 } })
  // The first record of a partition waits to be confirmed: these binders have rows that they cannot bind yet.
  for (const partition of [0, 1]) await run.feed(clicks, [{ url: '/', at: 0 }], { partition })
  for (let round = 0; round < 20; round++) {
    await run.feed(
      others,
      Array.from({ length: 10 }, (_, at) => ({ url: '/', at })),
      { partition: round % 3 },
    )
    await run.advance(round * 7)
  }
  await run.advance(5_000)
  const written = run.log.ends(progressTopic('answers', 'clicks')).reduce((sum, each) => sum + each.end, 0)
  assert.ok(written < 20 * 3 * 3, `${written} progress records for 20 ticks`)
  await run.stop()
})

test('a file table behind an exchange is read as well, in every task', async () => {
  const shops = fileTable({
    name: 'shops',
    path: '/shops.csv',
    format: 'csv',
    value: t.object({ url: t.string(), shop: t.string() }),
    key: 'url',
  })
  const sold = topic('sold', { value: t.object({ url: t.string(), at: t.time(), shop: t.optional(t.string()) }) })
  const definition = pipeline('file-behind', (mill) => {
    mill
      .from(clicks)
      .dedupe({ by: 'at', withinMs: 1_000_000, name: 'once' })
      .join(mill.table(shops), { on: 'url', type: 'left', name: 'with-shop' })
      .to(sold)
  })
  const run = await testPipeline(definition, { partitions: { clicks: 2 }, files: { '/shops.csv': 'url,shop\n/a,A\n' } })
  for (let round = 0; round < 3; round++) {
    for (const partition of [0, 1])
      await run.feed(
        clicks,
        Array.from({ length: 10 }, (_, at) => ({ url: at % 2 === 0 ? '/a' : '/b', at: round * 20 + partition * 10 + at })),
        { partition },
      )
    await run.crash()
  }
  await run.advance(60_000)
  const rows = (await run.records(sold)).map((record) => record.value as { readonly url: string; readonly shop: string | null })
  assert.equal(rows.length, 60)
  for (const row of rows) assert.equal(row.shop, row.url === '/a' ? 'A' : null)
  await run.stop()
})
