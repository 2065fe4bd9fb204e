// Late records behind an exchange: the letter shows what the row has, says what it has not, and a retry counts the right values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const MINUTE = 60_000
const row = t.object({ id: t.i64(), shop: t.string(), amount: t.f64(), note: t.string(), at: t.time() })
const orders = topic('orders', { value: row, eventTime: 'at', disorderMs: 1000 })

for (const partitions of [1, 2]) {
  test(`a late letter, ${partitions} partitions`, async () => {
    const run = await testPipeline(
      pipeline('late', (mill) => {
        mill
          .from(orders)
          .groupBy('shop')
          .window(tumbling({ sizeMs: MINUTE }))
          .aggregate({ n: count(), total: sum('amount') }, { name: 'per-minute' })
          .toTable('per_minute')
      }),
      { partitions: { orders: partitions } },
    )
    for (let partition = 0; partition < partitions; partition++)
      await run.feed(
        orders,
        Array.from({ length: 20 }, (_, id) => ({ id, shop: 'a', amount: 1, note: 'x', at: 10 * MINUTE + id * 1000 })),
        { partition },
      )
    await run.advance(MINUTE)
    const late = [7, 8, 9].map((id) => ({ id, shop: 'b', amount: id + 0.5, note: `note ${id}`, at: id * 1000 }))
    await run.feed(orders, late, { partition: 0 })
    await run.advance(1000)
    const letters = await run.deadLetters()
    assert.deepEqual(
      letters.map(({ code, operator, timeMs }) => [code, operator, timeMs]),
      late.map(({ at }) => ['MR_TIME_LATE', 'per-minute', at]),
    )
    if (partitions === 1) {
      assert.deepEqual(
        letters.map((letter) => JSON.parse(letter.text) as unknown),
        late,
      )
      assert.ok(letters.every((letter) => letter.lost === undefined))
    } else {
      assert.deepEqual(
        letters.map((letter) => JSON.parse(letter.text) as unknown),
        late.map(({ shop, amount }) => ({ shop, amount })),
      )
      assert.deepEqual(letters[0]?.lost, ['id', 'note', 'at'])
    }
    // Too late again: a retry says so, with the same row.
    await run.retryDeadLetters()
    await run.advance(1000)
    const again = (await run.deadLetters()).slice(letters.length)
    assert.deepEqual(
      again.map(({ text }) => text),
      letters.map(({ text }) => text),
    )
    assert.deepEqual(
      again.map(({ attempt, timeMs }) => [attempt, timeMs]),
      late.map(({ at }) => [2, at]),
    )
    await run.stop()
  })
}
