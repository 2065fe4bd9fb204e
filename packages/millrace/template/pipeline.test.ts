import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testPipeline } from 'millrace/testing'
import definition, { hits } from './pipeline.ts'

const NOON = Date.UTC(2026, 0, 1, 12)

test('hits are counted per minute, each once, through a crash', async () => {
  const web = await testPipeline(definition)
  await web.feed(hits, [{ at: NOON, url: '/', ip: '10.0.0.1' }])
  await web.crash()
  await web.feed(hits, [{ at: NOON + 59_999, url: '/', ip: '10.0.0.2' }])
  await web.advance(60_000)
  const rows = await web.table(definition.tables.per_minute)
  assert.deepEqual(
    rows.map((row) => [row.url, row.hits]),
    [['/', 2]],
  )
  await web.stop()
})
