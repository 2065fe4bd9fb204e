// Replays of a range of event time: the rows with a time in the range, whenever they were collected.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { max, pipeline, t, topic } from '../index.ts'
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import { compiler } from '../compile/compiler.ts'
import { codeVersion } from '../plan/hash.ts'
import { RunningPipeline } from '../runtime/pipeline.ts'
import { rangeByTime, replayPlan } from '../runtime/replay.ts'
import type { ReplayedRows } from '../runtime/task-loop.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const hit = t.object({ id: t.i64(), at: t.time() })
const hits = topic('hits', { value: hit, eventTime: 'at', disorderMs: 5000 })
const timeless = topic('hits', { value: hit })
const out = topic('out', { value: t.object({ id: t.i64() }) })

function copied(from: typeof hits): PipelineDefinition {
  return pipeline('live', (mill) => {
    mill.from(from).select('id').to(out)
  })
}

interface Replayed {
  readonly ids: readonly number[]
  readonly rows: ReplayedRows
  readonly letters: number
}

async function replayOf(
  run: PipelineTest,
  { plan }: PipelineDefinition,
  id: string,
  range: readonly [number, number],
  by: 'event' | 'append',
): Promise<Replayed> {
  const copy = replayPlan(plan, id, false)
  const chosen = await rangeByTime(run.log, plan, range[0], range[1], by)
  const replay = await run.time.run(
    RunningPipeline.start(copy, {
      log: run.log,
      clock: run.time,
      scheduler: run.time,
      disk: run.disk,
      compiler,
      codeVersion: codeVersion(copy),
      replay: { id, of: 'live', range: chosen, codeVersion: codeVersion(plan) },
    }),
  )
  await run.time.run(replay.finished())
  const { tasks } = replay.status()
  const all = tasks.flatMap((task) => task.inputs.flatMap(({ replayed }) => replayed ?? []))
  const sum = (name: keyof ReplayedRows): number => all.reduce((total, rows) => total + rows[name], 0)
  return {
    ids: (await run.records(`out.replay-${id}`)).map((record) => (record.value as { id: number }).id).sort((a, b) => a - b),
    rows: { rows: sum('rows'), outside: sum('outside'), timeless: sum('timeless'), unread: sum('unread') },
    letters: tasks.reduce((total, task) => total + task.deadLetters, 0),
  }
}

test('rows collected at one moment are chosen by their own times, and those without a time are said', async () => {
  const definition = copied(hits)
  const run = await testPipeline(definition)
  await run.feed(hits, [...Array.from({ length: 10 }, (_, id) => ({ id, at: 1000 * (id + 1) })), 'broken', '{"id":7}'])
  await run.advance(60_000)
  assert.deepEqual(await replayOf(run, definition, 'a', [4000, 8000], 'event'), {
    ids: [3, 4, 5, 6],
    rows: { rows: 4, outside: 6, timeless: 2, unread: 0 },
    letters: 0,
  })
  assert.deepEqual((await replayOf(run, definition, 'b', [4000, Number.POSITIVE_INFINITY], 'event')).ids, [3, 4, 5, 6, 7, 8, 9])
  assert.deepEqual((await replayOf(run, definition, 'c', [0, 4000], 'event')).ids, [0, 1, 2])
  await run.stop()
})

test('a topic without an event time is replayed by the times of its records, bad ones of the range to the dead letters', async () => {
  const definition = copied(timeless)
  const run = await testPipeline(definition)
  for (const [id, timeMs] of [5000, 2000, 3000, 9000].entries()) await run.feed(timeless, [{ id, at: 0 }, 'broken'], { timeMs })
  await run.advance(60_000)
  assert.deepEqual(await replayOf(run, definition, 'a', [2500, 6000], 'event'), {
    ids: [0, 2],
    rows: { rows: 4, outside: 4, timeless: 0, unread: 0 },
    letters: 2,
  })
  await run.stop()
})

test('over random times, partitions and ticks a replay has exactly the rows of its range', async () => {
  const row = fc.record({ at: fc.nat(60_000), partition: fc.nat(1), wait: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 40 }), fc.nat(60_000), fc.nat(40_000), async (rows, fromMs, length) => {
      const definition = copied(hits)
      const run = await testPipeline(definition, { partitions: { hits: 2 } })
      for (const [id, { at, partition, wait }] of rows.entries()) {
        await run.feed(hits, [{ id, at }], { partition })
        if (wait === 0) await run.advance(700)
      }
      await run.advance(60_000)
      const expected = rows.flatMap(({ at }, id) => (at >= fromMs && at < fromMs + length ? [id] : []))
      const { ids, rows: figures } = await replayOf(run, definition, 'r', [fromMs, fromMs + length], 'event')
      assert.deepEqual(ids, expected)
      assert.equal(figures.rows, expected.length)
      await run.stop()
    }),
    { numRuns: 60 },
  )
})

test('what lies below the watermark is not read again', async () => {
  const definition = copied(hits)
  const run = await testPipeline(definition)
  for (let id = 0; id < 50; id++) {
    await run.feed(hits, [{ id, at: id * 10_000 }])
    await run.advance(100)
  }
  await run.advance(60_000)
  const { ids, rows } = await replayOf(run, definition, 'r', [450_000, 470_000], 'event')
  assert.deepEqual(ids, [45, 46])
  assert.ok(rows.outside < 10 && rows.unread >= 40, JSON.stringify(rows))
  await run.stop()
})

test('by time of append the range is one of offsets', async () => {
  const definition = copied(hits)
  const run = await testPipeline(definition)
  const startMs = run.time.nowMs()
  for (let id = 0; id < 4; id++) {
    await run.feed(hits, [{ id, at: 5 }])
    await run.advance(10_000)
  }
  assert.deepEqual((await replayOf(run, definition, 'r', [startMs + 5000, startMs + 25_000], 'append')).ids, [1, 2])
  await run.stop()
})

for (const [what, rebuild] of [
  ['restarts', false],
  ['rebuilds', true],
] as const)
  test(`a replay goes over ${what} of the live pipeline without a restart of its own, and counts its rows`, async () => {
    // Each version keeps other columns than the one before.
    const version = (count: number): PipelineDefinition =>
      pipeline('live', (mill) => {
        const read = mill.from(hits)
        const columns = Object.fromEntries(Array.from({ length: rebuild ? count : 1 }, (_, index) => [`last${index}`, max('id')]))
        read.groupBy('at').aggregate(columns, { name: 'last' }).toTable('last')
        read.select('id').to(out)
      })
    const run = await testPipeline(version(1))
    const ids: number[] = []
    for (let round = 1; round <= 3; round++) {
      const fresh = Array.from({ length: 10 }, (_, index) => 10 * round + index)
      ids.push(...fresh)
      await run.feed(
        hits,
        fresh.map((id) => ({ id, at: 1000 * id })),
      )
      await run.advance(7000)
      await run.change(version(round + 1), { rebuild })
    }
    const again = await replayOf(run, version(4), 'again', [0, Number.POSITIVE_INFINITY], 'event')
    assert.deepEqual(again, { ids, rows: { rows: 30, outside: 0, timeless: 0, unread: 0 }, letters: 0 })
    await run.stop()
  })
