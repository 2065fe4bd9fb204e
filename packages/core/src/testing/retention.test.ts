// Retention that is faster than the pipeline: it goes on at what is kept, and says how much it has missed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic } from '../index.ts'
import { recordBatch } from '../codec/record-batch.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const MINUTE = 60_000
const orders = topic('orders', { value: t.object({ id: t.i64() }) })
const passed = topic('passed', { value: t.object({ id: t.i64() }) })
const definition = pipeline('slow', (mill) => {
  const all = mill.from(orders)
  all.groupBy('id').aggregate({ n: count() }, { name: 'seen' }).toTable('seen')
  all.to(passed)
})

/** Appends, and removes what lies before `kept` at once. */
async function append(run: PipelineTest, from: number, to: number, kept: number): Promise<void> {
  const records = Array.from({ length: to - from }, (_, index) => ({ key: null, value: Buffer.from(`{"id":${from + index}}`), timeMs: 0 }))
  const appended = run.log.append([{ topic: 'orders', partition: 0, batch: recordBatch(records) }])
  await run.time.run(appended.then(() => run.log.trim('orders', 0, kept)))
}

function lost(run: PipelineTest): number {
  return run.status().tasks.reduce((sum, task) => sum + task.inputs.reduce((all, input) => all + (input.partitions[0]?.lost ?? 0), 0), 0)
}

async function ids(run: PipelineTest): Promise<readonly number[]> {
  return (await run.records(passed)).map(({ value }) => (value as { readonly id: number }).id)
}

test('a pipeline that stood still for longer than the retention goes on at the first record that is kept', async () => {
  const run = await testPipeline(definition, { gaps: false })
  await run.feed(orders, [{ id: 0 }, { id: 1 }])
  await run.advance(MINUTE)
  await run.stop()
  await append(run, 2, 10, 7)
  await run.start()
  await run.advance(MINUTE)
  assert.deepEqual(await ids(run), [0, 1, 7, 8, 9])
  assert.equal(lost(run), 5)
  const events = run.events.filter((event) => event.kind === 'records-lost')
  assert.deepEqual(events, [{ kind: 'records-lost', task: events[0]?.task, topic: 'orders', partition: 0, count: 5 }])
  // The gap is behind the committed position: a restart does not meet it again.
  await run.crash()
  assert.deepEqual([lost(run), (await ids(run)).length], [0, 5])
  await run.stop()
})

test('a running pipeline that retention overtakes goes on, also when nothing is left', async () => {
  const run = await testPipeline(definition, { gaps: false })
  await run.feed(orders, [{ id: 0 }])
  await run.advance(MINUTE)
  await append(run, 1, 5, 5)
  await run.advance(MINUTE)
  assert.equal(lost(run), 4)
  assert.equal(run.status().tasks[0]?.lag, 0)
  await run.feed(orders, [{ id: 5 }])
  await run.advance(MINUTE)
  assert.deepEqual(await ids(run), [0, 5])
  assert.equal(lost(run), 4)
  await run.stop()
})
