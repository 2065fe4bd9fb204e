// The tick protocol as the runtime speaks it: what tasks write, and that results follow from the bindings alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic } from '../index.ts'
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
    await run.feed(others, Array.from({ length: 10 }, (_, at) => ({ url: '/', at })), { partition: round % 3 })
    await run.advance(round * 7)
  }
  await run.advance(5_000)
  const written = run.log.ends(progressTopic('answers', 'clicks')).reduce((sum, each) => sum + each.end, 0)
  assert.ok(written < 20 * 3 * 3, `${written} progress records for 20 ticks`)
  await run.stop()
})
