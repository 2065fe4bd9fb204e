// Tables that the function of a pipeline returns are read by what it gives: a wrong name or field is a compile error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i32(), country: t.string(), amount: t.decimal(9, 2) }) })

const list = pipeline('shop', (mill) => {
  const shop = mill.from(orders)
  return [
    shop.toTable('orders', { key: 'id' }),
    shop.groupBy('country').aggregate({ orders: count() }, { name: 'by-country' }).toTable('by_country'),
  ]
})
const one = pipeline('one', (mill) => mill.from(orders).toTable('orders', { key: 'id' }))
const none = pipeline('none', (mill) => {
  mill.from(orders).toTable('orders', { key: 'id' })
})

test('one table, or a list of them, and none', () => {
  assert.deepEqual(
    [list, one, none].map(({ tables }) => Object.keys(tables)),
    [['orders', 'by_country'], ['orders'], []],
  )
  assert.deepEqual(one.tables.orders, { kind: 'live-table', name: 'orders' })
  // @ts-expect-error -- there is no such table
  assert.equal(list.tables.by_land, undefined)
})

test('rows have the fields of the stream', async () => {
  const run = await testPipeline(list)
  await run.feed(orders, [
    { id: 1, country: 'de', amount: '1.50' },
    { id: 2, country: 'de', amount: '2.50' },
  ])
  await run.advance(10_000)
  const rows = await run.table(list.tables.by_country)
  assert.equal(
    rows.reduce((sum, row) => sum + row.orders, 0),
    2,
  )
  // @ts-expect-error -- the row has no such field
  assert.equal(rows[0]?.amount, undefined)
  assert.deepEqual(
    (await run.table(list.tables.orders, { descending: true, limit: 1 })).map(({ id, country }) => [id, country]),
    [[2, 'de']],
  )
  assert.deepEqual(await run.table('by_country'), rows)
  await run.stop()
})
