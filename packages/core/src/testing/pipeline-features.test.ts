// The runtime end to end, feature by feature: joins, scans, dead letters and retry, snapshots, replay, late records, through.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, expr, fileTable, isMillraceError, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { compiler } from '../compile/compiler.ts'
import { codeVersion } from '../plan/hash.ts'
import { RunningPipeline } from '../runtime/pipeline.ts'
import { rangeByTime, replayPlan } from '../runtime/replay.ts'
import { testPipeline } from './pipeline-driver.ts'

const MINUTE = 60_000
const order = t.object({ id: t.i64(), shop: t.string(), amount: t.f64(), at: t.time() })
const orders = topic('orders', { value: order, eventTime: 'at', disorderMs: 1000 })

function ordersOf(count: number, from = 0): { id: number; shop: string; amount: number; at: number }[] {
  return Array.from({ length: count }, (_, index) => ({
    id: from + index,
    shop: `s${index % 4}`,
    amount: (index % 9) + 0.5,
    at: (from + index) * 1000,
  }))
}

test('a table from a file is read to its end before the first record, and joins every task', async () => {
  const shops = fileTable({
    name: 'shops',
    path: '/data/shops.csv',
    format: 'csv',
    value: t.object({ code: t.string(), city: t.string() }),
    key: 'code',
  })
  const enriched = topic('enriched', { value: t.object({ id: t.i64(), city: t.optional(t.string()) }) })
  const definition = pipeline('join-file', (mill) => {
    mill
      .from(orders)
      .join(mill.table(shops), { on: { shop: 'code' }, type: 'left', name: 'with-city' })
      .select('id', 'city')
      .to(enriched)
  })
  const run = await testPipeline(definition, {
    files: { '/data/shops.csv': 'code,city\ns0,Rome\ns1,Oslo\ns2,Bern\n' },
    partitions: { orders: 2 },
  })
  await run.feed(orders, ordersOf(20), { partition: 0 })
  await run.feed(orders, ordersOf(20, 20), { partition: 1 })
  await run.advance(MINUTE)
  await run.crash()
  const got = (await run.records(enriched)).map((record) => record.value as { id: number; city: string | null }).sort((a, b) => a.id - b.id)
  assert.equal(got.length, 40)
  for (const row of got)
    assert.equal(row.city, { s0: 'Rome', s1: 'Oslo', s2: 'Bern', s3: null }[`s${(row.id % 20) % 4}` as 's0'], `order ${row.id}`)
  await run.stop()
})

test('a table from a topic changes with time, and deletes', async () => {
  const prices = topic('prices', { value: t.object({ shop: t.string(), factor: t.f64() }), key: 'shop', compacted: true })
  const priced = topic('priced', { value: t.object({ id: t.i64(), factor: t.optional(t.f64()) }) })
  const definition = pipeline('join-topic', (mill) => {
    mill.from(orders).join(mill.table(prices), { on: 'shop', type: 'left', name: 'with-price' }).select('id', 'factor').to(priced)
  })
  const run = await testPipeline(definition)
  await run.feed(prices, [
    { shop: 's0', factor: 2 },
    { shop: 's1', factor: 3 },
  ])
  await run.feed(orders, ordersOf(12))
  await run.feed(prices, [{ shop: 's0', factor: 5 }])
  await run.feed(orders, ordersOf(4, 12))
  const got = new Map(
    (await run.records(priced)).map((record) => [(record.value as { id: number }).id, (record.value as { factor: number | null }).factor]),
  )
  assert.equal(got.get(0), 2)
  assert.equal(got.get(1), 3)
  assert.equal(got.get(2), null)
  assert.equal(got.get(12), 5)
  assert.equal(got.get(13), 3)
})

test('scan keeps a state per key over crashes, with lambdas over lazy rows', async () => {
  const totals = topic('totals', { value: t.object({ shop: t.string(), total: t.f64() }) })
  const definition = pipeline('scan', (mill) => {
    mill
      .from(orders)
      .filter((row) => row.amount > 1, { name: 'large' })
      .scan(
        () => 0,
        (total, row) => ({ state: total + row.amount, rows: [{ shop: row.shop, total: total + row.amount }] }),
        { by: 'shop', name: 'running', value: t.object({ shop: t.string(), total: t.f64() }) },
      )
      .to(totals)
  })
  const run = await testPipeline(definition, { partitions: { orders: 3 } })
  const list = ordersOf(60)
  for (let at = 0; at < list.length; at += 20) {
    for (const row of list.slice(at, at + 20)) await run.feed(orders, [row], { partition: row.id % 3 })
    await run.advance(MINUTE)
    await run.crash()
  }
  const last = new Map<string, number>()
  for (const { value } of await run.records(totals)) {
    const { shop, total } = value as { shop: string; total: number }
    assert.ok(total > (last.get(shop) ?? 0), 'running totals grow')
    last.set(shop, total)
  }
  const expected = new Map<string, number>()
  for (const row of list) if (row.amount > 1) expected.set(row.shop, (expected.get(row.shop) ?? 0) + row.amount)
  assert.deepEqual(last, expected)
})

test('a lambda that throws sends its record to the dead letters with the place; retry lets it in again', async () => {
  const passed = topic('passed', { value: order })
  let broken = true
  const definition = pipeline('retry', (mill) => {
    mill
      .from(orders)
      .filter(
        (row) => {
          if (broken && row.id === 7) throw new Error('no sevens')
          return true
        },
        { name: 'sevens' },
      )
      .to(passed)
  })
  const run = await testPipeline(definition)
  await run.feed(orders, ordersOf(20))
  await run.advance(MINUTE)
  assert.equal((await run.records(passed)).length, 19)
  const [letter] = await run.deadLetters()
  assert.equal(letter?.code, 'MR_RUNTIME_USER_THROW')
  assert.equal(letter?.operator, 'sevens')
  assert.match(letter?.message ?? '', /no sevens/)
  assert.match(letter?.place ?? '', /pipeline-features\.test\.ts:\d+/)
  assert.equal((JSON.parse(letter?.text ?? '') as { id: number }).id, 7)
  broken = false
  await run.retryDeadLetters()
  await run.advance(MINUTE)
  assert.deepEqual(
    (await run.records(passed)).map((record) => (record.value as { id: number }).id).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, index) => index),
  )
  assert.equal((await run.deadLetters()).length, 1)
})

test('dedupe drops repeats, late records go where they are sent', async () => {
  const lateOrders = topic('late-orders', { value: order })
  const definition = pipeline('dedupe', (mill) => {
    mill
      .from(orders)
      .dedupe({ by: 'id', withinMs: MINUTE, name: 'once' })
      .groupBy('shop')
      .window(tumbling({ sizeMs: MINUTE }))
      .aggregate(
        { n: count(), total: sum('amount'), big: count({ where: expr((row) => row.amount.gt(4)) }) },
        { name: 'per-minute', late: (late) => late.to(lateOrders) },
      )
      .toTable('per_minute')
  })
  const run = await testPipeline(definition)
  const list = ordersOf(180)
  await run.feed(orders, [...list, ...list.slice(170)])
  await run.feed(orders, [{ id: 9999, shop: 's0', amount: 1, at: 500 }])
  await run.advance(MINUTE)
  const rows = await run.table('per_minute')
  assert.equal(
    rows.reduce((all, row) => all + Number(row['n']), 0),
    180,
  )
  assert.equal(
    rows.reduce((all, row) => all + Number(row['big']), 0),
    list.filter((row) => row.amount > 4).length,
  )
  assert.deepEqual(
    (await run.records(lateOrders)).map((record) => (record.value as { id: number }).id),
    [9999],
  )
})

test('state survives through snapshots as through the changelog alone', async () => {
  const definition = pipeline('snapshots', (mill) => {
    mill
      .from(orders)
      .groupBy('id')
      .aggregate({ n: count(), total: sum('amount') }, { name: 'per-order' })
      .toTable('per_order')
  })
  const run = await testPipeline(definition, { snapshotBytesMin: 2000 })
  for (let round = 0; round < 8; round++) {
    await run.feed(orders, ordersOf(50, round * 25))
    if (round % 3 === 2) await run.crash()
  }
  const changelog = run.log.ends('__snapshots.orders.changelog')[0]
  assert.ok((changelog?.start ?? 0) > 0, 'the changelog was trimmed behind a snapshot')
  await run.crash()
  const rows = await run.table('per_order', { limit: 10_000 })
  const expected = new Map<number, number>()
  for (let round = 0; round < 8; round++) for (const row of ordersOf(50, round * 25)) expected.set(row.id, (expected.get(row.id) ?? 0) + 1)
  assert.deepEqual(new Map(rows.map((row) => [Number(row['id']), Number(row['n'])])), expected)
})

test('a replay goes along the kept bindings beside the live pipeline and computes the same', async () => {
  const closed = topic('closed', { value: t.object({ shop: t.string(), windowStart: t.time(), windowEnd: t.time(), n: t.i64() }) })
  const definition = pipeline('live', (mill) => {
    mill
      .from(orders)
      .groupBy('shop')
      .window(tumbling({ sizeMs: MINUTE }))
      .aggregate({ n: count() }, { name: 'per-minute', emit: 'close' })
      .to(closed)
  })
  const run = await testPipeline(definition, { partitions: { orders: 2 } })
  const list = ordersOf(200)
  for (let at = 0; at < list.length; at += 20) {
    await run.feed(orders, list.slice(at, at + 10), { partition: 0 })
    await run.feed(orders, list.slice(at + 10, at + 20), { partition: 1 })
    await run.advance(700)
  }
  await run.advance(10 * MINUTE)
  const live = (await run.records(closed)).map((record) => JSON.stringify(record.value))
  assert.ok(live.length > 8)
  const plan = replayPlan(definition.plan, 'r1', false)
  const range = await rangeByTime(run.log, definition.plan, 0, Number.POSITIVE_INFINITY, 'event')
  const replay = await run.time.run(
    RunningPipeline.start(plan, {
      log: run.log,
      clock: run.time,
      scheduler: run.time,
      disk: run.disk,
      compiler,
      codeVersion: codeVersion(plan),
      replay: { id: 'r1', of: 'live', range },
    }),
  )
  await run.time.run(replay.finished())
  assert.deepEqual((await run.records('closed.replay-r1')).map((record) => JSON.stringify(record.value)).sort(), [...live].sort())
})

test('through a topic: order and guarantee hold, over crashes', async () => {
  const middle = topic('middle', { value: order, eventTime: 'at', disorderMs: 1000 })
  const out = topic('out', { value: t.object({ id: t.i64() }) })
  const definition = pipeline('through', (mill) => {
    mill
      .from(orders)
      .filter(expr((row) => row.amount.gt(1)))
      .through(middle)
      .select('id')
      .to(out)
  })
  const run = await testPipeline(definition)
  const list = ordersOf(90)
  for (let at = 0; at < list.length; at += 30) {
    await run.feed(orders, list.slice(at, at + 30))
    await run.crash()
  }
  await run.advance(MINUTE)
  assert.deepEqual(
    (await run.records(out)).map((record) => (record.value as { id: number }).id),
    list.filter((row) => row.amount > 1).map((row) => row.id),
  )
})

test('a changed layout is refused, or the whole pipeline runs over its sources again', async () => {
  const version = (more: boolean): ReturnType<typeof pipeline> =>
    pipeline('changed', (mill) => {
      const grouped = mill.from(orders).groupBy('shop')
      if (more) grouped.aggregate({ n: count(), total: sum('amount') }, { name: 'per-shop' }).toTable('per_shop')
      else grouped.aggregate({ n: count() }, { name: 'per-shop' }).toTable('per_shop')
    })
  const run = await testPipeline(version(false), { partitions: { orders: 2 } })
  await run.feed(orders, ordersOf(40), { partition: 0 })
  await run.feed(orders, ordersOf(40, 40), { partition: 1 })
  await run.advance(MINUTE)
  await assert.rejects(run.change(version(true)), (error) => isMillraceError(error) && error.code === 'MR_RUNTIME_STATE_LAYOUT')
  await run.change(version(true), { rebuild: true })
  await run.advance(MINUTE)
  const check = async (): Promise<void> => {
    const rows = await run.table('per_shop')
    assert.equal(
      rows.reduce((all, row) => all + Number(row['n']), 0),
      80,
    )
    assert.equal(
      rows.reduce((all, row) => all + Number(row['total']), 0),
      [...ordersOf(40), ...ordersOf(40, 40)].reduce((all, row) => all + row.amount, 0),
    )
  }
  await check()
  await run.crash()
  await check()
  await run.change(version(true), { rebuild: true })
  await check()
})

test('a rebuild that is done is not ordered again while one group has had nothing to commit', async () => {
  const copies = topic('copies', { value: order })
  const version = (isWide: boolean): ReturnType<typeof pipeline> =>
    pipeline('idle-group', (mill) => {
      const all = mill.from(orders)
      // One shop is left, and the other group of the exchange is idle.
      const some = isWide ? all.filter((row) => row.shop === 's0', { name: 'one-shop' }) : all
      some.to(copies, { name: 'copy' })
      const grouped = some.groupBy('shop')
      if (isWide) grouped.aggregate({ n: count(), total: sum('amount') }, { name: 'per-shop' }).toTable('per_shop')
      else grouped.aggregate({ n: count() }, { name: 'per-shop' }).toTable('per_shop')
    })
  const run = await testPipeline(version(false), { partitions: { orders: 2 } })
  await run.feed(orders, ordersOf(40), { partition: 0 })
  await run.feed(orders, ordersOf(40, 40), { partition: 1 })
  await run.advance(MINUTE)
  const copied = async (): Promise<number> => (await run.records(copies)).length
  const before = await copied()
  assert.equal(before, 80)
  await run.change(version(true), { rebuild: true })
  await run.advance(MINUTE)
  const rebuilt = await copied()
  assert.ok(rebuilt > before)
  for (let life = 0; life < 3; life++) {
    await run.change(version(true), { rebuild: true })
    await run.advance(MINUTE)
    assert.deepEqual([run.pipeline.isRebuilt, await copied()], [false, rebuilt])
    assert.equal(Number((await run.table('per_shop'))[0]?.['n']), rebuilt - before)
  }
})

test('a pipeline that reads a topic which it writes is not built again: it would count twice what the topic has kept', async () => {
  const copies = topic('copies', { value: order })
  const version = (more: boolean): ReturnType<typeof pipeline> =>
    pipeline('own-topic', (mill) => {
      const grouped = mill.from(orders).through(copies).groupBy('shop')
      if (more) grouped.aggregate({ n: count(), total: sum('amount') }, { name: 'per-shop' }).toTable('per_shop')
      else grouped.aggregate({ n: count() }, { name: 'per-shop' }).toTable('per_shop')
    })
  const run = await testPipeline(version(false))
  await run.feed(orders, ordersOf(10))
  await run.advance(MINUTE)
  await assert.rejects(
    run.change(version(true), { rebuild: true }),
    (error) => isMillraceError(error) && error.code === 'MR_RUNTIME_REBUILD_TOPIC' && error.details['topics'] === 'copies',
  )
})

test('an operator that was gone for a while comes back with empty state, not with one that has missed rows', async () => {
  const version = (both: boolean): ReturnType<typeof pipeline> =>
    pipeline('back', (mill) => {
      const all = mill.from(orders)
      all.groupBy('shop').aggregate({ n: count() }, { name: 'kept' }).toTable('kept')
      if (both) all.groupBy('shop').aggregate({ n: count() }, { name: 'per-shop' }).toTable('per_shop')
    })
  for (const snapshotBytesMin of [1, 1 << 20]) {
    const run = await testPipeline(version(true), { snapshotBytesMin })
    const total = async (table: string): Promise<number> => (await run.table(table)).reduce((all, row) => all + Number(row['n']), 0)
    await run.feed(orders, ordersOf(10))
    await run.advance(MINUTE)
    await run.change(version(false))
    await run.feed(orders, ordersOf(5, 10))
    await run.advance(MINUTE)
    await run.change(version(true))
    await run.feed(orders, ordersOf(3, 15))
    await run.advance(MINUTE)
    assert.deepEqual([await total('kept'), await total('per_shop')], [18, 3])
    await run.crash()
    assert.deepEqual([await total('kept'), await total('per_shop')], [18, 3])
    await run.stop()
  }
})
