// Pages of a topic whose records are large or odd: bounded, complete over several requests, and never an error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TailRecord } from '../../api.ts'
import { PlantUnderTest } from '../plant.fixture.ts'

const COUNT = 14
const PAD = 'x'.repeat(3_000_000)

test('a page of large records is bounded, and the next ones have the rest', async () => {
  const plant = await PlantUnderTest.start()
  await plant.plant.log.createTopic('large')
  for (let n = 0; n < COUNT; n++) await plant.post('/topics/large', JSON.stringify({ n, pad: PAD }))
  const numbers = (value: unknown): readonly number[] => (value as readonly TailRecord[]).map((record) => (record.value as { n: number }).n)
  const seen: number[] = []
  let pages = 0
  for (let from = 'earliest'; seen.length < COUNT; pages++) {
    const { value, headers } = await plant.get(`/topics/large?from=${from}&limit=1000`)
    assert.ok(numbers(value).length > 0)
    seen.push(...numbers(value))
    from = headers.get('millrace-next-offset') ?? ''
  }
  assert.deepEqual(seen, [...Array(COUNT).keys()])
  assert.ok(pages > 1)
  const newest = numbers((await plant.get('/topics/large')).value)
  assert.ok(newest.length > 0 && newest.length < COUNT)
  assert.equal(newest.at(-1), COUNT - 1)
  await plant.stop()
})

test('a record that is nested without end is shown as its bytes', async () => {
  const plant = await PlantUnderTest.start()
  await plant.plant.log.createTopic('deep')
  const deep = `${'['.repeat(100_000)}"[\\"["${']'.repeat(100_000)}`
  await plant.post('/topics/deep', deep)
  await plant.post('/topics/deep', '{"a":"[[[","b":[1]}')
  const { status, value } = await plant.get('/topics/deep?from=earliest')
  const [first, second] = value as readonly TailRecord[]
  assert.equal(status, 200)
  assert.equal(Buffer.from(first?.bytes ?? '', 'base64').toString(), deep)
  assert.deepEqual(second?.value, { a: '[[[', b: [1] })
  await plant.stop()
})
