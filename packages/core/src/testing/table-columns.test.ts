// What a reader of a table sees: the user's fields, and nothing that the engine keeps for itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ndjson } from '../connect/index.ts'
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

test('the status says which fields are times, how old a row is when it counts, and what a sink has not published', async () => {
  const definition = pipeline('shown', (mill) => {
    mill.from(orders).toTable('kept', { key: 'id', retentionMs: 1_000_000 })
    mill.from(orders).to(ndjson({ dir: '/archive', rollMs: 60_000 }), { name: 'archive' })
  })
  const run = await testPipeline(definition)
  await run.feed(orders, [{ id: 1, note: 'a', at: 5000 }])
  await run.advance(10_000)
  const { tables, tasks } = run.status()
  assert.deepEqual(tables[0]?.times, ['at'])
  const { visibleMs } = tasks.find((task) => task.sink === null) ?? {}
  assert.ok(typeof visibleMs === 'number' && visibleMs >= 0 && visibleMs <= 10_000, String(visibleMs))
  const sink = tasks.find((task) => task.sink !== null)?.sink
  assert.equal(sink?.rows, 1)
  const { files, bytes, dueMs } = sink.unpublished ?? {}
  assert.ok(files === 1 && bytes !== undefined && bytes > 10 && dueMs !== undefined && dueMs <= 60_000)
  await run.advance(60_000)
  const after = run.status().tasks.find((task) => task.sink !== null)?.sink
  assert.deepEqual(after, { rows: 0, unpublished: null })
  await run.stop()
})
