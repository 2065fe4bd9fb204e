// A record that waits for others to confirm its time does not wait for records that have none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64(), at: t.time() }), eventTime: 'at', disorderMs: 1000 })
const ids = topic('ids', { value: t.object({ id: t.i64() }) })
const definition = pipeline('held', (mill) => mill.from(orders).select('id').to(ids), { badShareMax: 1 })

test('a first record is accepted when only unreadable ones follow for as long as silence lasts', async () => {
  const run = await testPipeline(definition)
  await run.feed(orders, [{ id: 1, at: 1000 }])
  for (let second = 0; second < 7; second++) {
    await run.feed(orders, ['{"id":"x"}', '{'])
    await run.advance(1000)
  }
  await run.feed(orders, [{ id: 2, at: 1500 }])
  await run.advance(1000)
  assert.deepEqual(
    (await run.records(ids)).map(({ value }) => value),
    [{ id: 1 }, { id: 2 }],
  )
  assert.equal((await run.deadLetters()).length, 14)
  await run.stop()
})

test('a flood of unreadable records is not kept and read again while a record waits', async () => {
  const run = await testPipeline(definition)
  await run.feed(orders, [{ id: 1, at: 1000 }])
  await run.feed(orders, Array<string>(2000).fill('{"id":"x"}'))
  await run.advance(100)
  assert.equal((await run.records(ids)).length, 1)
  assert.equal((await run.deadLetters()).length, 2000)
  await run.stop()
})
