// What a `t.object` schema promises: every field of every record is held to it, whatever the pipeline reads.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expr, pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const hits = topic('hits', { value: t.object({ id: t.i64(), url: t.string(), size: t.i32() }) })
const LINES = [
  '{"id":1,"url":"/","size":7}',
  '{"id":2,"url":"/","size":"seven"}',
  '{"id":3,"url":"/"}',
  '{"id":"4","url":"/","size":7}',
  '{"id":5,',
]

for (const read of [['id'], ['url'], ['id', 'url', 'size']] as const) {
  test(`a record is good or bad whoever reads it: ${read.join()}`, async () => {
    const value = t.object({ id: t.optional(t.i64()), url: t.optional(t.string()), size: t.optional(t.i32()) })
    const copies = topic('copies', { value })
    const run = await testPipeline(
      pipeline('reads', (mill) =>
        mill
          .from(hits)
          .select(...read)
          .to(copies),
      ),
    )
    await run.feed(hits, LINES)
    await run.advance(10_000)
    assert.equal((await run.records(copies)).length, 1)
    assert.deepEqual(
      (await run.deadLetters()).map((letter) => letter.text),
      LINES.slice(1),
    )
    await run.stop()
  })
}

test('what is passed on as it came has been checked', async () => {
  const copies = topic('copies', { value: t.object({ id: t.i64(), url: t.string(), size: t.i32() }) })
  const run = await testPipeline(
    pipeline('passes', (mill) => {
      mill
        .from(hits)
        .filter(
          expr((hit) => hit.id.gt(0)),
          { name: 'all' },
        )
        .to(copies)
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
