// What a `t.object` schema promises of the fields that a pipeline does not read: see `value` of a topic. They are passed on as they came.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const hits = topic('hits', { value: t.object({ id: t.i64(), url: t.string(), size: t.i32() }) })
const copies = topic('copies', { value: t.object({ id: t.i64(), url: t.string(), size: t.i32() }) })
const ids = topic('ids', { value: t.object({ id: t.i64() }) })
const LINES = [
  '{"id":1,"url":"/","size":7}',
  '{"id":2,"url":"/","size":"seven"}',
  '{"id":3,"url":"/"}',
  '{"id":"4","url":"/","size":7}',
  '{"id":5,',
]

test('a wrong type is a dead letter where the field is read; broken JSON always', async () => {
  const run = await testPipeline(
    pipeline('reads-id', (mill) => {
      mill.from(hits).select('id').to(ids)
    }),
  )
  await run.feed(hits, LINES)
  await run.advance(10_000)
  assert.deepEqual(
    (await run.records(ids)).map((record) => (record.value as { id: number }).id),
    [1, 2, 3],
  )
  assert.deepEqual(
    (await run.deadLetters()).map((letter) => letter.text),
    LINES.slice(3),
  )
  await run.stop()
})

test('whoever reads all fields gets all of them checked', async () => {
  const run = await testPipeline(
    pipeline('reads-all', (mill) => {
      mill.from(hits).select('id', 'url', 'size').to(copies)
    }),
  )
  await run.feed(hits, LINES)
  await run.advance(10_000)
  assert.deepEqual(
    (await run.records(copies)).map((record) => record.value),
    [{ id: 1, url: '/', size: 7 }],
  )
  assert.equal((await run.deadLetters()).length, 4)
  await run.stop()
})
