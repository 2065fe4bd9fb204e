// What a task writes of itself: bounded where it has no state, and not waited for by a task that stops while the log is full.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, pipeline, t, topic } from '../index.ts'
import { changelogTopic } from '../runtime/topic-names.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64() }) })
const passed = topic('passed', { value: t.object({ id: t.i64() }) })
const definition = pipeline('passes', (mill) => mill.from(orders).to(passed))

test('the commit records of a task without state do not pile up, and the newest is always there', async () => {
  const run = await testPipeline(definition)
  let bytesMax = 0
  for (let id = 0; id < 900; id++) {
    await run.feed(orders, [{ id }])
    await run.advance(100)
    if (id % 300 === 299) await run.crash()
    bytesMax = Math.max(bytesMax, run.log.ends(changelogTopic('passes', 'orders'))[0]?.bytes ?? Number.NaN)
  }
  assert.ok(bytesMax < 300_000, `${bytesMax} bytes`)
  assert.ok((run.log.ends(changelogTopic('passes', 'orders'))[0]?.start ?? 0) > 0)
  await run.crash()
  assert.equal((await run.records(passed)).length, 900)
  await run.stop()
})

test('a task that waits for room stops at once, and does the commit again after the next start', async () => {
  const run = await testPipeline(definition)
  await run.stop()
  let isFull = false
  const { log } = run
  const openWriter = log.openWriter.bind(log)
  log.openWriter = async (name) => {
    const writer = await openWriter(name)
    const commit = writer.commit.bind(writer)
    writer.commit = (parts) => (isFull ? Promise.reject(new MillraceError('MR_LOG_FULL')) : commit(parts))
    return writer
  }
  await run.start()
  isFull = true
  await run.feed(orders, [{ id: 1 }])
  await run.advance(10_000)
  assert.equal(run.events.filter((event) => event.kind === 'paused').length, 1)
  await run.stop()
  isFull = false
  await run.start()
  await run.advance(10_000)
  assert.deepEqual(
    (await run.records(passed)).map(({ value }) => value),
    [{ id: 1 }],
  )
  await run.stop()
})
