// Sinks of lines of JSON: whole records without a declared shape, and times as people write them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { ndjsonFile } from '../connect/index.ts'
import { readFully } from '../base/disk.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

function textOf(run: PipelineTest, path: string): string {
  const file = run.disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  readFully(file, bytes, 0)
  file.close()
  return new TextDecoder().decode(bytes)
}

test('a topic whose value is t.json() ships its records as they came, filtered by user code', async () => {
  const logs = topic('logs', { value: t.json() })
  const definition = pipeline('ship', (mill) => {
    mill
      .from(logs)
      .filter((record) => (record as { level?: string }).level !== 'debug')
      .to(ndjsonFile({ path: '/out/logs.ndjson' }))
  })
  const run = await testPipeline(definition)
  const lines = ['{"at":"2026-01-01T00:00:00Z","level":"info","extra":{"a":[1,2]}}', '{"other":1}']
  await run.feed('logs', [...lines, '{"level":"debug"}'])
  await run.advance(60_000)
  assert.equal(textOf(run, '/out/logs.ndjson'), `${lines.join('\n')}\n`)
  await run.stop()
})

test('times are milliseconds, or texts when they are asked for', async () => {
  const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
  const definition = pipeline('ship', (mill) => {
    const all = mill.from(hits)
    all.to(ndjsonFile({ path: '/out/ms.ndjson' }))
    all.to(ndjsonFile({ path: '/out/iso.ndjson', times: 'iso' }))
  })
  const run = await testPipeline(definition)
  await run.feed(hits, [{ at: 1_767_225_600_007, url: '/' }])
  await run.advance(60_000)
  assert.equal(textOf(run, '/out/ms.ndjson'), '{"at":1767225600007,"url":"/"}\n')
  assert.equal(textOf(run, '/out/iso.ndjson'), '{"at":"2026-01-01T00:00:00.007Z","url":"/"}\n')
  await run.stop()
})
