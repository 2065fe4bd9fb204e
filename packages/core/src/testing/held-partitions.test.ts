// A partition that was idle and whose new records wait for others to confirm their times is not idle any more.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic, tumbling } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const MINUTE = 60_000
const hits = topic('hits', { value: t.object({ url: t.string(), at: t.time() }), eventTime: 'at', key: 'url' })

test('records that wait in a partition are not late because those of another one did not wait', async () => {
  const definition = pipeline('web', (mill) => {
    mill
      .from(hits)
      .groupBy('url')
      .window(tumbling({ sizeMs: MINUTE }))
      .aggregate({ n: count() }, { name: 'per-minute' })
      .toTable('per_minute')
  })
  const run = await testPipeline(definition, { partitions: { hits: 2 } })
  // Both partitions are idle before the first records come.
  await run.advance(10 * MINUTE)
  const rows = (url: string, number: number): { url: string; at: number }[] =>
    Array.from({ length: number }, (_, minute) => ({ url, at: 1_767_225_600_000 + minute * MINUTE }))
  // Enough here to confirm each other, too few there.
  await run.feed(hits, [...rows('/a', 12), ...rows('/b', 4)])
  assert.ok(
    run.log.ends('hits').every(({ start, end }) => end > start),
    'both partitions have records',
  )
  await run.advance(10 * MINUTE)
  assert.deepEqual(
    (await run.table('per_minute')).map((row) => String(row['url'])).toSorted((a, b) => a.localeCompare(b)),
    [...rows('/a', 12), ...rows('/b', 4)].map((row) => row.url),
  )
  assert.deepEqual(await run.deadLetters(), [])
  await run.stop()
})
