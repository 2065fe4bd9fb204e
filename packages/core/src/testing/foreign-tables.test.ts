// Tables kept in topics whose schema is another library's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { recordBatch } from '../codec/record-batch.ts'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64(), shop: t.string() }) })
const priced = topic('priced', { value: t.object({ id: t.i64(), factor: t.optional(t.f64()) }) })

test('a record without value deletes its key, one without a usable key is a dead letter', async () => {
  const prices = topic('prices', { value: z.object({ shop: z.string(), factor: z.number() }), key: 'shop' })
  const definition = pipeline('join', (mill) => {
    mill.from(orders).join(mill.table(prices), { on: 'shop', type: 'left', name: 'with-price' }).select('id', 'factor').to(priced)
  })
  const run = await testPipeline(definition)
  const deleteKey = async (key: string | null): Promise<void> => {
    const batch = recordBatch([{ key: key === null ? null : new TextEncoder().encode(key), value: null, timeMs: run.time.nowMs() }])
    await run.time.run(run.log.append([{ topic: 'prices', partition: 0, batch }]))
    await run.advance(60_000)
  }
  await run.feed(prices, [
    { shop: 's0', factor: 2 },
    { shop: 's1', factor: 3 },
  ])
  await run.advance(60_000)
  await run.feed(orders, [{ id: 1, shop: 's0' }])
  await run.advance(60_000)
  await deleteKey('s0')
  await deleteKey(null)
  await run.feed(orders, [
    { id: 2, shop: 's0' },
    { id: 3, shop: 's1' },
  ])
  await run.advance(60_000)
  assert.deepEqual(
    (await run.records(priced)).map((record) => record.value),
    [
      { id: 1, factor: 2 },
      { id: 2, factor: null },
      { id: 3, factor: 3 },
    ],
  )
  assert.deepEqual(
    (await run.deadLetters()).map(({ code }) => code),
    ['MR_CODEC_FIELD_MISSING'],
  )
  await run.stop()
})
