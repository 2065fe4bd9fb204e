// Replays of plans with `through`: the part behind the topic runs on the replayed rows.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, expr, fileTable, isMillraceError, pipeline, t, topic, tumbling } from '../index.ts'
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import { compiler } from '../compile/compiler.ts'
import { codeVersion } from '../plan/hash.ts'
import { RunningPipeline } from '../runtime/pipeline.ts'
import { rangeByTime, replayPlan, type ReplayRange } from '../runtime/replay.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const MINUTE = 60_000
const order = t.object({ id: t.i64(), shop: t.string(), amount: t.f64(), at: t.time() })
const orders = topic('orders', { value: order, eventTime: 'at', disorderMs: 1000 })
const middle = topic('middle', { value: order, eventTime: 'at', disorderMs: 1000, key: 'shop' })
const later = topic('later', { value: order, eventTime: 'at', disorderMs: 1000, key: 'shop' })
const closed = topic('closed', { value: t.object({ shop: t.string(), windowStart: t.time(), n: t.i64() }) })

function ordersOf(count: number): { id: number; shop: string; amount: number; at: number }[] {
  return Array.from({ length: count }, (_, index) => ({ id: index, shop: `s${index % 4}`, amount: (index % 9) + 0.5, at: index * 1000 }))
}

async function replayOf(run: PipelineTest, definition: PipelineDefinition, chosen: ReplayRange | null = null): Promise<void> {
  const plan = replayPlan(definition.plan, 'r1', false)
  const range = chosen ?? (await rangeByTime(run.log, definition.plan, 0, Number.POSITIVE_INFINITY, 'event'))
  const replay = await run.time.run(
    RunningPipeline.start(plan, {
      log: run.log,
      clock: run.time,
      scheduler: run.time,
      disk: run.disk,
      compiler,
      codeVersion: codeVersion(plan),
      replay: { id: 'r1', of: definition.plan.pipeline, range },
    }),
  )
  await run.time.run(replay.finished())
}

async function valuesOf(run: PipelineTest, name: string): Promise<string[]> {
  return (await run.records(name)).map((record) => JSON.stringify(record.value)).sort()
}

async function feedAll(run: PipelineTest): Promise<void> {
  const list = ordersOf(400)
  const partitions = run.log.ends('orders').length
  for (let at = 0; at < list.length; at += 20) {
    await run.feed(orders, list.slice(at, at + 10), { partition: 0 })
    await run.feed(orders, list.slice(at + 10, at + 20), { partition: partitions - 1 })
    await run.advance(700)
  }
  await run.advance(10 * MINUTE)
}

function twoTopics(least: number): PipelineDefinition {
  return pipeline('live', (mill) => {
    const kept = mill
      .from(orders)
      .filter(expr((row) => row.amount.gt(least)))
      .through(middle)
    kept
      .through(later)
      .groupBy('shop')
      .window(tumbling({ sizeMs: MINUTE }))
      .aggregate({ n: count() }, { name: 'per-minute', emit: 'close' })
      .to(closed)
  })
}

for (const partitions of [1, 2, 3]) {
  test(`over the same code a replay gives behind \`through\` topics what the live run gave: ${partitions} partitions`, async () => {
    const run = await testPipeline(twoTopics(1), { partitions: { orders: partitions, middle: partitions, later: partitions } })
    await feedAll(run)
    const live = await valuesOf(run, 'closed')
    assert.ok(live.length > 20, String(live.length))
    await replayOf(run, twoTopics(1))
    assert.deepEqual(await valuesOf(run, 'middle.replay-r1'), await valuesOf(run, 'middle'))
    assert.deepEqual(await valuesOf(run, 'closed.replay-r1'), live)
    await run.stop()
  })
}

test('a change of the code in front of the topic shows behind it, and rows of others do not', async () => {
  const run = await testPipeline(twoTopics(1), { partitions: { orders: 2 } })
  await feedAll(run)
  await run.feed(middle, [{ id: 1, shop: 'foreign', amount: 8, at: 0 }])
  await replayOf(run, twoTopics(6))
  const rows = (await run.records('closed.replay-r1')).map((record) => record.value as { shop: string; n: number })
  assert.equal(
    rows.reduce((sum, row) => sum + row.n, 0),
    ordersOf(400).filter((row) => row.amount > 6).length,
  )
  assert.ok(rows.every((row) => row.shop !== 'foreign'))
  await run.stop()
})

test('a range of the sources is the range behind the topic', async () => {
  const run = await testPipeline(twoTopics(1))
  await feedAll(run)
  const offsets = new Map((await run.records(orders)).map((record) => [(record.value as { id: number }).id, record.offset]))
  const [from, to] = [offsets.get(100) ?? -1, offsets.get(200) ?? -1]
  await replayOf(run, twoTopics(1), { topics: new Map([['orders', [{ partition: 0, from, to }]]]) })
  const rows = (await run.records('closed.replay-r1')).map((record) => record.value as { n: number })
  assert.equal(
    rows.reduce((sum, row) => sum + row.n, 0),
    ordersOf(400).filter((row) => row.amount > 1 && row.at >= 100_000 && row.at < 200_000).length,
  )
  await run.stop()
})

test('a `through` topic that is merged with another source and joined with a file: all rows, none late', async () => {
  const extras = topic('extras', { value: order, eventTime: 'at', disorderMs: 1000 })
  const shops = fileTable({
    name: 'shops',
    path: '/data/shops.csv',
    format: 'csv',
    value: t.object({ code: t.string(), city: t.string() }),
    key: 'code',
  })
  const definition = pipeline('live', (mill) => {
    mill
      .from(orders)
      .through(middle)
      .merge(mill.from(extras).keyBy('shop'), { name: 'both' })
      .join(mill.table(shops), { on: { shop: 'code' }, name: 'with-city' })
      .groupBy('city')
      .window(tumbling({ sizeMs: MINUTE }))
      .aggregate({ n: count() }, { name: 'per-minute', emit: 'close' })
      .to(topic('cities', { value: t.object({ city: t.string(), windowStart: t.time(), n: t.i64() }) }))
  })
  const run = await testPipeline(definition, {
    files: { '/data/shops.csv': 'code,city\ns0,Rome\ns1,Oslo\ns2,Bern\ns3,Rome\n' },
    partitions: { orders: 2, extras: 2, middle: 2 },
  })
  for (const row of ordersOf(100)) await run.feed(extras, [row], { partition: row.id % 2 })
  await feedAll(run)
  const live = await valuesOf(run, 'cities')
  await replayOf(run, definition)
  const rows = (await run.records('cities.replay-r1')).map((record) => record.value as { n: number })
  assert.equal(
    rows.reduce((sum, row) => sum + row.n, 0),
    500,
  )
  assert.ok(live.length > 0)
  await run.stop()
})

test('a look-up in a table kept in a topic, behind `through`, is refused by name', () => {
  const prices = topic('prices', { value: t.object({ shop: t.string(), factor: t.f64() }), key: 'shop', compacted: true })
  const priced = topic('priced', { value: t.object({ id: t.i64(), factor: t.f64() }) })
  const definition = pipeline('live', (mill) => {
    mill.from(orders).through(middle).join(mill.table(prices), { on: 'shop', name: 'priced' }).select('id', 'factor').to(priced)
  })
  assert.throws(
    () => replayPlan(definition.plan, 'r1', false),
    (error) =>
      isMillraceError(error) &&
      error.code === 'MR_PLAN_NOT_YET' &&
      error.message.includes('`priced`') &&
      error.message.includes('`prices`'),
  )
})
