// Damaged bytes of a task's state: passed where nothing there is needed, told with their place where something is, and built again on request.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { count, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { isMillraceError } from '../base/errors.ts'
import { recordBatch } from '../codec/record-batch.ts'
import { collect } from '../connect/memory.ts'
import { testPipeline } from './pipeline-driver.ts'
import type { PipelineTest } from './pipeline-driver.ts'

const order = t.object({ id: t.i64(), shop: t.string(), amount: t.i64() })
const orders = topic('orders', { value: order, partitions: 2 })

type Order = { readonly id: number; readonly shop: string; readonly amount: number }

function ordersOf(from: number, length: number): Order[] {
  return Array.from({ length }, (_, n) => ({ id: from + n, shop: `shop-${(from + n) % 7}`, amount: from + n }))
}

/** Counted behind an exchange of two groups, and before one. */
const definition = pipeline('shops', (mill) => {
  const all = mill.from(orders)
  all
    .groupBy('shop')
    .aggregate({ n: count(), total: sum('amount') }, { name: 'per-shop' })
    .toTable('per_shop')
  all.groupBy('id').aggregate({ n: count() }, { name: 'per-id' }).toTable('per_id')
})

function stateTopics(run: PipelineTest): readonly string[] {
  return run.log
    .topics()
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.changelog') || name.endsWith('.snapshot'))
}

interface Place {
  readonly topic: string
  readonly partition: number
  readonly batch: number
}

/** Every stored batch of state. */
function places(run: PipelineTest, suffix = ''): readonly Place[] {
  return stateTopics(run)
    .filter((name) => name.endsWith(suffix))
    .flatMap((name) =>
      (run.log.store.topics.get(name)?.partitions ?? []).flatMap(({ batches }, partition) =>
        batches.map((_, batch) => ({ topic: name, partition, batch })),
      ),
    )
}

function damage(run: PipelineTest, place: Place | undefined, at = 0): void {
  const batch = run.log.store.topics.get(place?.topic ?? '')?.partitions[place?.partition ?? 0]?.batches[place?.batch ?? 0]
  assert.ok(batch !== undefined, 'a batch to damage')
  const index = 21 + (at % (batch.bytes.length - 21))
  batch.bytes[index] = (batch.bytes[index] as number) ^ 1
}

async function check(run: PipelineTest, all: readonly Order[]): Promise<void> {
  const shops = await run.table('per_shop')
  const total = (rows: readonly Readonly<Record<string, unknown>>[], field: string): number =>
    rows.reduce((sumOf, row) => sumOf + Number(row[field]), 0)
  assert.equal(total(shops, 'n'), all.length)
  assert.equal(
    total(shops, 'total'),
    all.reduce((sumOf, row) => sumOf + row.amount, 0),
  )
  const ids = await run.table('per_id')
  assert.equal(ids.length, all.length)
  assert.ok(ids.every((row) => Number(row['n']) === 1))
}

test('a task whose state is damaged fails at once with the place, and a rebuild gets past it', async () => {
  for (const suffix of ['.snapshot', '.changelog']) {
    const run = await testPipeline(definition, { snapshotBytesMin: 300 })
    for (let round = 0; round < 12; round++) await run.feed(orders, ordersOf(round * 10, 10), { partition: round % 2 })
    const all = ordersOf(0, 120)
    await check(run, all)
    await run.stop()
    const place = places(run, suffix).at(-1)
    damage(run, place, 40)
    const before = run.time.monotonicMs()
    await assert.rejects(run.start(), (error) => {
      assert.ok(isMillraceError(error))
      assert.equal(error.code, 'MR_RUNTIME_STATE_DAMAGED')
      assert.deepEqual([error.details['topic'], error.details['partition']], [place?.topic, place?.partition])
      assert.equal(typeof error.details['offset'], 'number')
      assert.match(error.fix, /--rebuild/)
      return true
    })
    assert.ok(run.time.monotonicMs() - before < 1000, 'nothing was tried again')
    await run.start({ rebuild: true })
    await run.settle()
    await check(run, all)
    assert.ok(run.pipeline.isRebuilt)
    await run.crash()
    await check(run, all)
    await run.stop()
    await run.start({ rebuild: true })
    assert.ok(!run.pipeline.isRebuilt, 'what is whole is not built again')
    await check(run, all)
    await run.stop()
  }
})

test('a damaged snapshot costs nothing while the changelog in front of it is still there', async () => {
  const run = await testPipeline(definition, { snapshotBytesMin: 300 })
  run.log.trim = () => Promise.resolve()
  for (let round = 0; round < 12; round++) await run.feed(orders, ordersOf(round * 10, 10), { partition: round % 2 })
  await run.stop()
  for (const place of places(run, '.snapshot')) damage(run, place, 40)
  run.events.length = 0
  await run.start()
  await check(run, ordersOf(0, 120))
  assert.ok(run.events.some(({ kind }) => kind === 'snapshot-damaged'))
  await run.stop()
})

test('the intents of a sink that the source writes are state, too', async () => {
  const sink = collect<Order>()
  const run = await testPipeline(
    pipeline('ship', (mill) =>
      mill
        .from(orders)
        .filter(() => true, { name: 'all' })
        .to(sink, { name: 'out' }),
    ),
  )
  await run.feed(orders, ordersOf(0, 20), { partition: 0 })
  await run.advance(20_000)
  await run.stop()
  for (const place of places(run)) if (place.topic === '__ship.out.changelog') damage(run, place, 40)
  await assert.rejects(run.start(), { code: 'MR_RUNTIME_STATE_DAMAGED' })
  await run.start({ rebuild: true })
  await run.feed(orders, ordersOf(20, 20), { partition: 0 })
  await run.advance(20_000)
  await run.stop()
  assert.equal(new Set(sink.rows.map(({ id }) => id)).size, 40)
})

test('damage on the way between two tasks: a rebuild leaves it behind', async () => {
  const run = await testPipeline(definition)
  // Nothing is given back, so that what was applied is still there to be damaged.
  run.log.trim = () => Promise.resolve()
  for (let round = 0; round < 4; round++) await run.feed(orders, ordersOf(round * 10, 10), { partition: round % 2 })
  run.pipeline.abandon()
  Reflect.deleteProperty(run.log, 'trim')
  const batches = run.log.store.topics.get('__shops.per-shop.exchange')?.partitions.flatMap((partition) => partition.batches) ?? []
  assert.ok(batches.length > 0)
  for (const { bytes } of batches) bytes[40] = (bytes[40] as number) ^ 1
  await run.start({ rebuild: true })
  assert.ok(run.pipeline.isRebuilt)
  await run.advance(20_000)
  await check(run, ordersOf(0, 40))
  await run.crash()
  await check(run, ordersOf(0, 40))
  await run.stop()
})

test('what is read again in a rebuild is not late by the clocks of before', async () => {
  const clicks = topic('clicks', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at', partitions: 2 })
  const windowed = pipeline('windows', (mill) => {
    mill
      .from(clicks)
      .groupBy('url')
      .window(tumbling({ sizeMs: 10_000 }))
      .aggregate({ n: count() }, { name: 'counted' })
      .toTable('counted')
  })
  for (let seed = 1; seed <= 10; seed++) {
    const run = await testPipeline(windowed, { seed })
    const startMs = run.time.nowMs()
    for (const partition of [0, 1])
      await run.feed(
        clicks,
        Array.from({ length: 300 }, (_, n) => ({ at: startMs + n * 100, url: `/${n % 5}` })),
        { partition },
      )
    await run.advance(60_000)
    await run.stop()
    damage(run, places(run, '.changelog').at(-1), 40)
    await run.start({ rebuild: true })
    await run.advance(60_000)
    const rows = await run.table('counted')
    assert.equal(
      rows.reduce((sumOf, row) => sumOf + Number(row['n']), 0),
      600,
      `seed ${seed}`,
    )
    assert.deepEqual(await run.deadLetters(), [])
    await run.stop()
  }
})

test('wherever state is damaged: the tables are right, or the start says where, and a rebuild makes them right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 1, max: 1 << 30 }),
        feeds: fc.array(fc.record({ length: fc.integer({ min: 1, max: 30 }), isCut: fc.boolean() }), { minLength: 1, maxLength: 8 }),
        flips: fc.array(fc.tuple(fc.nat(1 << 20), fc.nat(1 << 20)), { minLength: 1, maxLength: 3 }),
        isTrimmed: fc.boolean(),
        again: fc.integer({ min: 0, max: 20 }),
      }),
      async ({ seed, feeds, flips, isTrimmed, again }) => {
        const run = await testPipeline(definition, { seed, snapshotBytesMin: 200 })
        if (!isTrimmed) run.log.trim = () => Promise.resolve()
        const all: Order[] = []
        for (const [index, { length, isCut }] of feeds.entries()) {
          const more = ordersOf(all.length, length)
          all.push(...more)
          await run.feed(orders, more, { partition: index % 2 })
          if (isCut) await run.crash()
        }
        // Killed with batches on their way between the tasks.
        const late = ordersOf(all.length, again)
        all.push(...late)
        for (let at = 0; at < late.length; at++) await run.time.run(run.log.append([batchOf(late[at] as Order, at % 2, run.time.nowMs())]))
        await run.time.advance(again)
        run.pipeline.abandon()
        const stored = places(run)
        for (const [which, at] of stored.length === 0 ? [] : flips) damage(run, stored[which % stored.length], at)
        let isStarted = false
        try {
          await run.start()
          isStarted = true
        } catch (error) {
          assert.ok(isMillraceError(error) && error.code === 'MR_RUNTIME_STATE_DAMAGED', String(error))
        }
        if (!isStarted) await run.start({ rebuild: true })
        // The first record of a partition waits for others, for as long as the partition is not idle.
        await run.advance(20_000)
        await check(run, all)
        await run.crash()
        await check(run, all)
        await run.stop()
      },
    ),
    { numRuns: 30 },
  )
})

function batchOf(value: Order, partition: number, timeMs: number): { topic: string; partition: number; batch: Uint8Array } {
  return { topic: 'orders', partition, batch: recordBatch([{ key: null, value: new TextEncoder().encode(JSON.stringify(value)), timeMs }]) }
}
