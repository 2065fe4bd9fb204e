// Tasks in real worker threads on a real folder: the same results as on one thread, whatever happens to a thread.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { isMillraceError } from '../../base/errors.ts'
import { nodeDisk } from '../../base/node-disk.ts'
import { type Random, seededRandom } from '../../base/random.ts'
import { sleep, systemScheduler } from '../../base/scheduler.ts'
import { readRecords, recordBatch } from '../../codec/record-batch.ts'
import { compiler } from '../../compile/compiler.ts'
import { openEmbeddedLog } from '../../log/embedded/open.ts'
import type { Log } from '../../log/log.ts'
import { codeVersion } from '../../plan/hash.ts'
import type { Plan } from '../../plan/node.ts'
import type { TaskEvent } from '../environment.ts'
import { type PipelineOptions, RunningPipeline } from '../pipeline.ts'
import { BIG } from './counting.fixture.ts'

const KEYS = 40
const WAIT_MS = 60_000

interface Order {
  readonly id: number
  readonly key: number
  readonly amount: number
}

class Bench {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-workers-'))
  readonly module: string
  readonly threads: Worker[] = []
  readonly events: TaskEvent[] = []
  readonly #random: Random = seededRandom(5)
  readonly sent: Order[] = []
  readonly log: Log
  readonly plan: Plan

  private constructor(log: Log, plan: Plan, folder: string, module: string) {
    fs.rmSync(this.folder, { recursive: true })
    this.folder = folder
    this.module = module
    this.log = log
    this.plan = plan
  }

  static async open(): Promise<Bench> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'millrace-workers-'))
    const log = await openEmbeddedLog({ folder: path.join(folder, 'log'), disk: nodeDisk, clock: systemClock, scheduler: systemScheduler })
    const url = new URL('./counting.fixture.ts', import.meta.url)
    url.searchParams.set('folder', folder)
    const { default: definition } = (await import(url.href)) as { readonly default: { readonly plan: Plan } }
    return new Bench(log, definition.plan, folder, url.href)
  }

  start(workers: number, options: Partial<PipelineOptions> = {}): Promise<RunningPipeline> {
    const spawn: NonNullable<PipelineOptions['workers']>['spawn'] = (entry, threadOptions) => {
      const thread = new Worker(entry, threadOptions)
      this.threads.push(thread)
      return thread
    }
    return RunningPipeline.start(this.plan, {
      log: this.log,
      clock: systemClock,
      scheduler: systemScheduler,
      disk: nodeDisk,
      compiler,
      codeVersion: codeVersion(this.plan, ['a user module']),
      onEvent: (event) => this.events.push(event),
      ...(workers === 0 ? {} : { workers: { count: workers, module: this.module, spawn } }),
      ...options,
    })
  }

  /** Appends random orders to both partitions, in several batches. */
  async feed(count: number): Promise<void> {
    if (this.log.topic('orders') === null) await this.log.createTopic('orders', { partitions: 2 })
    const encoder = new TextEncoder()
    for (let done = 0; done < count; done += 500) {
      const orders = Array.from({ length: Math.min(500, count - done) }, (_, index) => {
        return { id: this.sent.length + index, key: this.#random.below(KEYS), amount: this.#random.below(100) }
      })
      this.sent.push(...orders)
      const records = orders.map((order) => ({ key: null, value: encoder.encode(JSON.stringify(order)), timeMs: 1_000_000 + order.id }))
      await this.log.append([
        { topic: 'orders', partition: 0, batch: recordBatch(records.slice(0, records.length / 2)) },
        { topic: 'orders', partition: 1, batch: recordBatch(records.slice(records.length / 2)) },
      ])
    }
  }

  /** What the table must hold. */
  totals(): readonly object[] {
    const keys = new Map<number, { key: number; orders: number; amount: number }>()
    for (const { key, amount } of this.sent) {
      const total = keys.get(key) ?? { key, orders: 0, amount: 0 }
      total.orders++
      total.amount += amount
      keys.set(key, total)
    }
    return [...keys.values()].sort((a, b) => a.key - b.key)
  }

  bigIds(): readonly number[] {
    return this.sent.filter((order) => order.amount >= BIG).map((order) => order.id)
  }

  async idsInTopic(): Promise<readonly number[]> {
    const ids: number[] = []
    const reader = this.log.reader()
    for (const { partition, start, end } of this.log.ends('big')) {
      for (let offset = start; offset < end;) {
        const [one] = await reader.fetch([{ topic: 'big', partition, offset }])
        assert.ok(one !== undefined && one.error === null && one.next > offset)
        for (const { value } of readRecords(one.bytes, offset))
          ids.push((JSON.parse(new TextDecoder().decode(value ?? undefined)) as Order).id)
        offset = one.next
      }
    }
    return ids.sort((a, b) => a - b)
  }

  idsInFiles(): readonly number[] {
    const files = fs.readdirSync(this.folder).filter((name) => /^big-\d\.ndjson$/.test(name))
    const lines = files.flatMap((name) => fs.readFileSync(path.join(this.folder, name), 'utf8').trimEnd().split('\n'))
    return lines.map((line) => (JSON.parse(line) as Order).id).sort((a, b) => a - b)
  }

  /** Everything that was sent is in the table. */
  async settled(pipeline: RunningPipeline): Promise<void> {
    const until = systemClock.monotonicMs() + WAIT_MS
    for (;;) {
      const counted = await this.#counted(pipeline)
      if (counted === this.sent.length) return
      assert.ok(
        systemClock.monotonicMs() < until,
        `${counted} of ${this.sent.length} after ${WAIT_MS} ms: ${JSON.stringify(pipeline.status().tasks)}`,
      )
      await sleep(systemScheduler, 10)
    }
  }

  async #counted(pipeline: RunningPipeline): Promise<number> {
    try {
      const { rows } = await pipeline.table('totals')
      return rows.reduce((sum, row) => sum + Number(row['orders']), 0)
    } catch (error) {
      // A thread that is on its way back.
      if (isMillraceError(error) && error.kind === 'transient') return -1
      throw error
    }
  }

  async close(): Promise<void> {
    await this.log.close()
    fs.rmSync(this.folder, { recursive: true })
  }
}

test('two workers give what one thread gives: table, topic and files', async () => {
  for (const workers of [2, 0]) {
    const bench = await Bench.open()
    await bench.feed(20_000)
    const pipeline = await bench.start(workers)
    await bench.settled(pipeline)
    assert.deepEqual((await pipeline.table('totals')).rows, bench.totals())
    const page = await pipeline.table('totals', { prefix: [], descending: true, limit: 3 })
    assert.deepEqual([page.rows.length, page.rowCount], [3, KEYS])
    assert.deepEqual(page.rows, bench.totals().toReversed().slice(0, 3))
    assert.deepEqual((await pipeline.table('totals', { key: [7] })).rows, bench.totals().slice(7, 8))
    await assert.rejects(pipeline.table('totals', { key: ['x'] }), { code: 'MR_TABLE_KEY_INVALID' })
    await pipeline.stop()
    assert.equal(bench.threads.length, workers)
    assert.deepEqual(await bench.idsInTopic(), bench.bigIds())
    assert.deepEqual(bench.idsInFiles(), bench.bigIds(), 'a graceful stop publishes what the sinks have written')
    const status = pipeline.status()
    assert.equal(status.phase, 'stopped')
    assert.equal(status.nodes.find((node) => node.kind === 'aggregate')?.counters.rowsIn, 20_000)
    assert.deepEqual(
      status.tasks.map(({ task, phase, lag }) => [task, phase, lag]),
      ['orders', 'per-key', 'to-file'].flatMap((part) => [0, 1].map((group) => [`${part}/${group}`, 'stopped', 0])),
    )
    assert.equal(status.tables[0]?.rows, KEYS)
    await bench.close()
  }
})

test('a bounded run in workers ends by itself', async () => {
  const bench = await Bench.open()
  await bench.feed(5000)
  const pipeline = await bench.start(2, { bounded: true })
  await pipeline.finished()
  assert.equal(pipeline.status().phase, 'stopped')
  assert.deepEqual(await bench.idsInTopic(), bench.bigIds())
  assert.deepEqual(bench.idsInFiles(), bench.bigIds())
  await bench.close()
})

test('the number of workers may change from run to run', async () => {
  const bench = await Bench.open()
  for (const workers of [2, 0, 1, 8]) {
    await bench.feed(3000)
    const pipeline = await bench.start(workers)
    await bench.settled(pipeline)
    assert.deepEqual((await pipeline.table('totals')).rows, bench.totals())
    await pipeline.stop()
  }
  assert.equal(bench.threads.length, 2 + 1 + 2, 'no more threads than groups')
  assert.deepEqual(await bench.idsInTopic(), bench.bigIds())
  assert.deepEqual(bench.idsInFiles(), bench.bigIds())
  await bench.close()
})

test('threads that are killed under load lose nothing and do nothing twice', async () => {
  const bench = await Bench.open()
  const random = seededRandom(3)
  await bench.feed(2000)
  const pipeline = await bench.start(2)
  for (let round = 0; round < 8; round++) {
    await bench.feed(2000 + random.below(4000))
    await sleep(systemScheduler, random.below(60))
    let living: readonly Worker[] = []
    for (; living.length === 0; await sleep(systemScheduler, 5)) living = bench.threads.filter((thread) => thread.threadId > 0)
    await living[random.below(living.length)]?.terminate()
  }
  await bench.settled(pipeline)
  assert.deepEqual((await pipeline.table('totals')).rows, bench.totals())
  const restarts = bench.events.filter((event) => event.kind === 'restarted')
  const died = restarts.filter((event) => isMillraceError(event.error) && event.error.code === 'MR_WORKER_DIED')
  assert.ok(died.length === 8 && died.length === restarts.length, JSON.stringify(restarts))
  await pipeline.stop()
  assert.deepEqual(await bench.idsInTopic(), bench.bigIds())
  assert.deepEqual(bench.idsInFiles(), bench.bigIds())
  await bench.close()
})

test('what a worker cannot run is refused by name, and nothing is left running', async () => {
  const bench = await Bench.open()
  await bench.feed(100)
  const attempts = [
    [{ exportName: 'other' }, 'MR_WORKER_CODE'],
    [{ exportName: 'broken' }, 'MR_WORKER_MODULE'],
    [{ exportName: 'missing' }, 'MR_WORKER_MODULE'],
    [{ module: new URL('./no-such-file.ts', import.meta.url).href }, 'MR_WORKER_MODULE'],
  ] as const
  for (const [wrong, code] of attempts) {
    const workers = { count: 2, module: bench.module, ...wrong }
    await assert.rejects(bench.start(0, { workers }), { code })
  }
  const pipeline = await bench.start(0, { workers: { count: 2, module: bench.module, exportName: 'list' } })
  await bench.settled(pipeline)
  await pipeline.stop()
  await bench.close()
})

test('a worker that dies again and again is given up', async () => {
  const bench = await Bench.open()
  await bench.feed(100)
  const events: TaskEvent[] = []
  const spawn: NonNullable<PipelineOptions['workers']>['spawn'] = (entry, options) => {
    const thread = new Worker(entry, options)
    void thread.terminate()
    return thread
  }
  // The pauses between two starts are the only use that the pipeline itself makes of timers here.
  const scheduler = { ...systemScheduler, after: (_ms: number, run: () => void) => systemScheduler.after(0, run) }
  const options = { scheduler, onEvent: (event: TaskEvent) => void events.push(event), workers: { count: 1, module: bench.module, spawn } }
  await assert.rejects(bench.start(0, options), { code: 'MR_WORKER_DIED', kind: 'transient' })
  assert.deepEqual(
    events.map((event) => event.kind),
    [...Array.from({ length: 8 }, () => 'restarted'), 'failed'],
  )
  await bench.close()
})
