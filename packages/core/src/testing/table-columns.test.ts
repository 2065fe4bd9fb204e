// What a reader of a table sees: the user's fields, and nothing that the engine keeps for itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64(), note: t.string(), at: t.time() }), eventTime: 'at' })

test('columns that the engine adds are hidden in rows and in the status; open rows show their own fields', async () => {
  const definition = pipeline('columns', (mill) => {
    mill.from(orders).toTable('kept', { key: 'id', retentionMs: 1_000_000 })
    mill
      .from(orders)
      .map((order) => ({ id: order.id, deep: { note: order.note } }))
      .toTable('open', { key: 'id', retentionMs: 1_000_000 })
  })
  const run = await testPipeline(definition)
  await run.feed(orders, [{ id: 1, note: 'a', at: 5000 }])
  await run.advance(10_000)
  assert.deepEqual(await run.table('kept'), [{ id: 1, note: 'a', at: 5000 }])
  assert.deepEqual(await run.table('open'), [{ id: 1, deep: { note: 'a' } }])
  assert.deepEqual(await run.table('open', { key: [1] }), [{ id: 1, deep: { note: 'a' } }])
  for (const { name, fields } of run.status().tables)
    assert.ok(
      fields.every((field) => !field.startsWith('$')),
      `${name}: ${fields.join(', ')}`,
    )
  await run.stop()
})
