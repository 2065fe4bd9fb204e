// What a test of a typed pipeline may write without a cast: the type check of this file is half of the test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const items = topic('items', {
  value: t.object({
    id: t.i32(),
    name: t.string(),
    price: t.decimal(18, 2),
    serial: t.bigint(),
    picture: t.bytes(),
    note: t.optional(t.string()),
    tags: t.list(t.string()),
    isNew: t.bool(),
  }),
})
const kept = topic('kept', { value: t.object({ name: t.string(), price: t.decimal(18, 2), note: t.optional(t.string()) }) })
const shop = pipeline('shop', (mill) => {
  const rows = mill.from(items)
  rows.select('name', 'price', 'note').to(kept)
  return [
    rows.toTable('by_id', { key: 'id' }),
    rows.map(({ id, serial, picture }) => ({ id, serial, picture })).toTable('open', { key: 'id' }),
  ]
})

const ITEM = '{"id":1,"name":"tea","price":"1.50","serial":"9007199254740993","picture":"AQI=","note":null,"tags":["a"],"isNew":true}'

test('rows of a table and records of a topic have the types that they read as', async () => {
  const run = await testPipeline(shop)
  await run.feed(items, [ITEM])
  await run.advance(10_000)
  const [row] = await run.table(shop.tables.by_id)
  assert.ok(row !== undefined)
  assert.equal(row.name.length + row.price.length, 7)
  const serial: number | string = row.serial
  const note: string | null = row.note
  const picture: string = row.picture
  const isNew: boolean = row.isNew
  assert.deepEqual([serial, note, picture, isNew], ['9007199254740993', null, 'AQI=', true])
  // @ts-expect-error -- what is neither a number, a text, true/false nor null has no type
  assert.equal(row.tags.length, 1)
  const [open] = await run.table(shop.tables.open)
  assert.deepEqual(open, { id: 1, serial: '9007199254740993', picture: 'AQI=' })
  const [record] = await run.records(kept)
  assert.equal(record?.value?.name.toUpperCase(), 'TEA')
  assert.equal(record?.value?.price, '1.50')
  // @ts-expect-error -- the topic has no such field
  assert.equal(record?.value?.serial, undefined)
  assert.deepEqual((await run.records('kept'))[0]?.value, record?.value)
  await run.stop()
})

const sent = topic('sent', {
  value: t.object({
    id: t.i32(),
    at: t.time(),
    price: t.decimal(9, 2),
    serial: t.bigint(),
    picture: t.bytes(),
    note: t.optional(t.string()),
  }),
})
const gathered = pipeline('gathered', (mill) => mill.from(sent).toTable('sent', { key: 'id' }))

test('fed rows are what producers may send, one beside the other', async () => {
  const run = await testPipeline(gathered)
  const at = '2026-01-01T00:00:00Z'
  const picture = Uint8Array.of(1, 2)
  await run.feed(sent, [
    { id: 1, at, price: 1.5, serial: 2n ** 53n + 1n, picture },
    { id: 2, at: Date.parse(at), price: '1.50', serial: '9007199254740993', picture: Buffer.from(picture), note: null },
    '{"id":3,"at":0,"price":0,"serial":1,"picture":"","note":"x"}',
  ])
  // @ts-expect-error -- a field that is not optional is missing: the error names the row, not the topic
  const refused = run.feed(sent, [{ id: 4, at, price: 1.5, serial: 1 }])
  await refused
  await run.advance(10_000)
  const rows = await run.table(gathered.tables.sent)
  assert.deepEqual(
    rows.map(({ id, price, serial, picture, note }) => [id, price, serial, picture, note]),
    [
      [1, '1.50', '9007199254740993', 'AQI=', null],
      [2, '1.50', '9007199254740993', 'AQI=', null],
      [3, '0.00', 1, '', 'x'],
    ],
  )
  assert.equal((await run.deadLetters()).length, 1)
  await run.stop()
})
