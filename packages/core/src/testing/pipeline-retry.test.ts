// Dead letters that are sent back: what fails once more is still the record that it was.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

test('a record that cannot be decoded keeps its place, however often it is sent back', async () => {
  const numbers = topic('numbers', { value: t.object({ id: t.i64() }) })
  const copies = topic('copies', { value: t.object({ id: t.i64() }) })
  const definition = pipeline(
    'retry',
    (mill) =>
      mill
        .from(numbers)
        .filter((row) => row.id > 0, { name: 'positive' })
        .to(copies),
    { badShareMax: 1 },
  )
  const run = await testPipeline(definition)
  await run.feed(numbers, ['{"id":1}', '{"id":2}', '{"id":'])
  // Records that may be ahead of the clock are held until the partition is idle.
  await run.advance(60_000)
  await run.retryDeadLetters()
  const letters = await run.deadLetters()
  assert.deepEqual(
    letters.map(({ attempt }) => attempt),
    [1, 2],
  )
  assert.equal(new Set(letters.map(({ topic: name, partition, offset }) => `${name}/${partition}@${offset}`)).size, 1)
  assert.notEqual(letters[0]?.offset, 0)
  await run.stop()
})
