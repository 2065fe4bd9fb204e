// A zod object as the value of a topic, in the whole typed API: validation, field names, groups, tables, topics, over several partitions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { count, expr, isMillraceError, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { collect } from '../connect/memory.ts'
import { testPipeline } from './pipeline-driver.ts'

const MINUTE = 60_000
const order = z.object({
  id: z.int(),
  shop: z.string().min(2),
  amount: z.number(),
  at: z.number(),
  note: z.string().default('none'),
  tags: z.array(z.string()).optional(),
  size: z
    .string()
    .transform((text) => text.length)
    .pipe(z.number()),
})
type Given = z.input<typeof order>
const orders = topic('orders', { value: order, eventTime: 'at', disorderMs: 1000, key: 'shop' })

function ordersOf(length: number): Given[] {
  return Array.from({ length }, (_, id) => ({ id, shop: `s${id % 4}`, amount: id % 9, at: id * 1000, size: 'x'.repeat(id % 3) }))
}

test('a zod object gives the columns of a topic', () => {
  assert.deepEqual(
    orders.fields?.map((field) => field.name),
    ['id', 'shop', 'amount', 'at', 'note', 'tags', 'size'],
  )
  assert.throws(
    () =>
      pipeline('x', (mill) =>
        mill
          .from(orders)
          .select('amuont' as 'amount')
          .toTable('t', { key: 'amount' }),
      ),
    (error) => isMillraceError(error) && error.code === 'MR_PLAN_FIELD_UNKNOWN' && error.message.includes('did you mean `amount`'),
  )
  assert.throws(() => topic('y', { value: order, key: 'shpo' as 'shop' }), /did you mean `shop`/)
})

for (const partitions of [1, 2]) {
  test(`the typed API over a zod object, ${partitions} partitions`, async () => {
    const perShop = topic('per-shop', { value: t.object({ shop: t.string(), n: t.i64(), total: t.f64() }), compacted: true })
    const big = topic('big', { value: z.object({ id: z.int(), shop: z.string(), twice: z.number() }) })
    const copies = topic('copies', { value: order })
    const seen = collect<{ id: number; size: number }>()
    const definition = pipeline('zod', (mill) => {
      const all = mill.from(orders)
      all
        .groupBy('shop')
        .aggregate({ n: count(), total: sum('amount') }, { name: 'per-shop' })
        .to(perShop)
      all
        .filter((one) => one.note === 'none' && one.size >= 1)
        .groupBy('shop')
        .window(tumbling({ sizeMs: MINUTE }))
        .aggregate({ n: count({ where: expr((one) => one.amount.gt(4)) }), sizes: sum('size') }, { name: 'per-minute' })
        .toTable('per_minute')
      all
        .filter(expr((one) => one.amount.gt(6)))
        .select({ id: 'id', shop: 'shop', twice: expr((one) => one.amount.times(2)) })
        .to(big)
      all.dedupe({ by: 'id', withinMs: MINUTE, name: 'once' }).select('id', 'size').to(seen)
      all.filter((one) => one.id < 3).to(copies as never)
      all.toTable('newest', { key: 'shop' })
    })
    const run = await testPipeline(definition, { partitions: { orders: partitions } })
    const list = ordersOf(120)
    await run.feed(orders as never, list as never[])
    await run.feed(
      orders as never,
      ['{"id":"x","shop":"s0","amount":1,"at":1,"size":""}', '{"id":1,"shop":"s","amount":1,"at":1,"size":""}'] as never[],
      { partition: 0 },
    )
    await run.advance(10 * MINUTE)
    const letters = await run.deadLetters()
    assert.deepEqual(
      letters.map((letter) => [letter.code, /id|shop/.exec(letter.message)?.[0]]),
      [
        ['MR_SCHEMA_REFUSED', 'id'],
        ['MR_SCHEMA_REFUSED', 'shop'],
      ],
    )
    const newest = new Map((await run.records(perShop)).map((record) => [record.key, record.value as { n: number; total: number }]))
    for (const shop of ['s0', 's1', 's2', 's3']) {
      const mine = list.filter((one) => one.shop === shop)
      assert.deepEqual(newest.get(shop), { shop, n: 30, total: mine.reduce((all, one) => all + one.amount, 0) })
    }
    const minutes = await run.table('per_minute')
    const counted = list.filter((one) => one.size.length >= 1)
    assert.equal(
      minutes.reduce((all, one) => all + Number(one['n']), 0),
      counted.filter((one) => one.amount > 4).length,
    )
    assert.equal(
      minutes.reduce((all, one) => all + Number(one['sizes']), 0),
      counted.reduce((all, one) => all + one.size.length, 0),
    )
    assert.deepEqual(
      (await run.records(big)).map((record) => record.value as { id: number }).sort((a, b) => a.id - b.id),
      list.filter((one) => one.amount >= 7).map(({ id, shop, amount }) => ({ id, shop, twice: amount * 2 })),
    )
    assert.equal(seen.rows.length, 120)
    assert.equal(seen.rows.find((one) => one.id === 5)?.size, 2)
    // What the schema made of it, not the bytes that came.
    const copy = (await run.records(copies))
      .map((record) => record.value as { id: number; note: string; size: number })
      .find((one) => one.id === 2)
    assert.deepEqual([copy?.note, copy?.size], ['none', 2])
    const table = await run.table('newest', { key: ['s3'] })
    assert.deepEqual([table[0]?.['id'], table[0]?.['note']], [119, 'none'])
    await run.crash()
    assert.equal((await run.table('newest')).length, 4)
    await run.stop()
  })
}
