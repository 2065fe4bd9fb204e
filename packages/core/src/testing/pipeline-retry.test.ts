// Dead letters that are sent back: what fails once more is still the record that it was.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, sum, t, topic, type PipelineDefinition } from '../index.ts'
import { recordBatch } from '../codec/record-batch.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

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

const MINUTE = 60_000
const order = t.object({ id: t.i64(), shop: t.string(), amount: t.f64() })
const orders = topic('orders', { value: order, key: 'shop' })
const passed = topic('passed', { value: order })

function ordersOf(from: number, to: number): { id: number; shop: string; amount: number }[] {
  return Array.from({ length: to - from }, (_, index) => ({ id: from + index, shop: `s${index % 3}`, amount: 1 }))
}

/** Counts what comes in and what a lambda lets through, which refuses every seventh. */
function sevens(isBroken: boolean, more = false): PipelineDefinition {
  return pipeline(
    'sevens',
    (mill) => {
      const all = mill.from(orders).dedupe({ by: 'id', withinMs: MINUTE, name: 'once' })
      all.groupBy('shop').aggregate({ n: count() }, { name: 'seen' }).toTable('seen')
      const good = all.filter(
        isBroken
          ? (row) => {
              if (row.id % 7 === 0) throw new Error('no sevens')
              return true
            }
          : (row) => row.id >= 0,
        { name: 'check' },
      )
      good.to(passed)
      const grouped = good.groupBy('shop')
      if (more) grouped.aggregate({ n: count(), total: sum('amount') }, { name: 'good' }).toTable('good')
      else grouped.aggregate({ n: count() }, { name: 'good' }).toTable('good')
    },
    { badShareMax: 1 },
  )
}

async function total(run: PipelineTest, table: string): Promise<number> {
  return (await run.table(table)).reduce((all, row) => all + Number(row['n']), 0)
}

for (const partitions of [1, 2]) {
  test(`letters enter the operator of another version once its code is corrected, each once: ${partitions} partitions`, async () => {
    const run = await testPipeline(sevens(true), { partitions: { orders: partitions } })
    await run.feed(orders, ordersOf(0, 28))
    await run.advance(MINUTE)
    assert.deepEqual([await total(run, 'seen'), await total(run, 'good'), (await run.deadLetters()).length], [28, 24, 4])
    await run.change(sevens(false))
    await run.retryDeadLetters()
    await run.crash()
    await run.advance(MINUTE)
    assert.deepEqual([await total(run, 'seen'), await total(run, 'good'), (await run.deadLetters()).length], [28, 28, 4])
    const ids = (await run.records(passed)).map(({ value }) => (value as { id: number }).id)
    assert.deepEqual(
      ids.toSorted((a, b) => a - b),
      Array.from({ length: 28 }, (_, id) => id),
    )
    await run.stop()
  })
}

test('letters from before a rebuild stay out, however often they are sent: their records were read again', async () => {
  const run = await testPipeline(sevens(true))
  await run.feed(orders, ordersOf(0, 14))
  await run.advance(MINUTE)
  await run.change(sevens(false, true), { rebuild: true })
  await run.advance(MINUTE)
  assert.equal(await total(run, 'good'), 14)
  for (const attempts of [
    [1, 1, 2, 2],
    [1, 1, 2, 2, 2, 2, 3, 3],
  ]) {
    await run.retryDeadLetters()
    await run.advance(1000)
    assert.equal(await total(run, 'good'), 14)
    const letters = await run.deadLetters()
    assert.deepEqual(
      letters.map(({ attempt }) => attempt),
      attempts,
    )
    assert.equal(letters.at(-1)?.code, 'MR_RUNTIME_RETRY_VERSION')
    assert.match(letters.at(-1)?.message ?? '', /built again since/)
  }
  await run.stop()
})

test('a letter stays out of an operator that is gone or takes other columns, and enters when it is as it was', async () => {
  const version = (build: 'broken' | 'renamed' | 'narrow' | 'corrected'): PipelineDefinition =>
    pipeline(
      'shapes',
      (mill) => {
        const all = mill.from(orders)
        const throwing = (row: { readonly id: number }): boolean => {
          if (build === 'broken' && row.id === 1) throw new Error('one')
          return row.id >= 0
        }
        const name = build === 'renamed' ? 'other' : 'check'
        if (build === 'narrow')
          all
            .select('id')
            .filter(throwing, { name })
            .to(topic('ids', { value: t.object({ id: t.i64() }) }))
        else all.filter(throwing, { name }).to(passed)
      },
      { badShareMax: 1 },
    )
  const run = await testPipeline(version('broken'))
  await run.feed(orders, ordersOf(0, 3))
  await run.advance(MINUTE)
  for (const [build, reason] of [
    ['renamed', /no operator `check`/],
    ['narrow', /takes other columns/],
  ] as const) {
    await run.change(version(build))
    await run.retryDeadLetters()
    const letters = await run.deadLetters()
    assert.match(letters.at(-1)?.message ?? '', reason)
    assert.equal((await run.records(passed)).length, 2)
  }
  await run.change(version('corrected'))
  const letters = (await run.deadLetters()).length
  await run.retryDeadLetters()
  assert.equal((await run.records(passed)).length, 2 + letters)
  await run.stop()
})

test('what could not be decoded re-enters at its source in any version, with its key', async () => {
  const version = (isLoose: boolean): PipelineDefinition =>
    pipeline(
      'loose',
      (mill) => {
        const source = topic('orders', {
          value: isLoose ? t.object({ shop: t.string() }) : t.object({ shop: t.string(), id: t.i64() }),
          key: 'shop',
        })
        mill
          .from(source)
          .select('shop')
          .to(topic('shops', { value: t.object({ shop: t.string() }) }))
      },
      { badShareMax: 1 },
    )
  const run = await testPipeline(version(false))
  await run.feed(orders, [{ id: 1, shop: 'a', amount: 1 }])
  await run.feed<unknown>('orders', ['{"shop":"b"}', '{"shop":3}'])
  await run.time.run(
    run.log.append([
      { topic: 'orders', partition: 0, batch: recordBatch([{ key: Buffer.from('k'), value: Buffer.from('{"shop":"c"}'), timeMs: 0 }]) },
    ]),
  )
  await run.advance(MINUTE)
  assert.deepEqual(
    (await run.deadLetters()).map(({ key }) => key),
    [null, null, 'k'],
  )
  await run.change(version(true))
  await run.retryDeadLetters()
  await run.advance(MINUTE)
  // What is wrong in this version, too, is still the record that it was.
  assert.deepEqual(
    (await run.deadLetters()).slice(3).map(({ text, attempt, offset }) => [text, attempt, offset >= 0]),
    [['{"shop":3}', 2, true]],
  )
  await run.change(version(false))
  await run.retryDeadLetters()
  await run.advance(1000)
  assert.deepEqual(
    (await run.deadLetters()).slice(4).map(({ key }) => key),
    [null, null, 'k', null],
  )
  await run.stop()
})
