// Sinks that the task of the source writes by itself (ADR 0008): exactly once over crashes, outages and edits of the pipeline.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { MillraceError, isMillraceError } from '../base/errors.ts'
import { collect, failing } from '../connect/memory.ts'
import type { CollectSink } from '../connect/memory.ts'
import type { Sink, SinkWriter } from '../connect/sink.ts'
import { compiler } from '../compile/compiler.ts'
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import { count, expr, fileTable, pipeline, t, topic } from '../index.ts'
import { diffPlans } from '../plan/diff.ts'
import { codeVersion } from '../plan/hash.ts'
import { serializePlan } from '../plan/serialize.ts'
import { RunningPipeline } from '../runtime/pipeline.ts'
import { rangeByTime, replayPlan } from '../runtime/replay.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const MINUTE = 60_000
const hits = topic('hits', { value: t.object({ id: t.i32(), user: t.string() }) })
interface Hit {
  readonly id: number
  readonly user: string
}

const hitsOf = (from: number, to: number): readonly Hit[] =>
  Array.from({ length: to - from }, (_, index) => ({ id: from + index, user: `u${(from + index) % 5}` }))
const ids = (sink: CollectSink<Hit>): readonly number[] => sink.rows.map((row) => row.id).toSorted((a, b) => a - b)
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, id) => id)
const numbers = (from: number, to: number): readonly number[] => upTo(to).slice(from)

/** The writer of `sink` asks for a checkpoint when it has `rows` rows or the oldest is a minute old, and answers late. */
function slow(sink: Sink<Hit>, rows: number): Sink<Hit> {
  return {
    ...sink,
    acceptsUpdates: sink.acceptsUpdates,
    check: () => undefined,
    async open(context, lastIntent): Promise<SinkWriter> {
      const writer = await sink.open(context, lastIntent)
      let written = 0
      let since = 0
      let writing = false
      return {
        write(batch) {
          assert.ok(!writing, 'no call comes before the promise of the write is settled')
          if (written === 0) since = context.clock.monotonicMs()
          written += batch.batch.selectedCount
          writing = true
          return Promise.resolve(writer.write(batch)).finally(() => {
            writing = false
          })
        },
        wantsCheckpoint: () => written >= rows || (written > 0 && context.clock.monotonicMs() - since >= MINUTE),
        prepare() {
          written = 0
          return writer.prepare()
        },
        publish: (intent) => writer.publish(intent),
        close: () => writer.close(),
      }
    },
  }
}

function partsOf(run: PipelineTest): readonly string[] {
  return run.pipeline.topology.parts.map((part) => (part.sink === null ? part.name : `${part.name} > ${part.sink.name}`))
}

test('a sink is direct when stateless work alone feeds it and nothing else hangs on that work', async () => {
  const sink = collect<Hit>()
  const users = fileTable({
    name: 'users',
    path: '/users.csv',
    format: 'csv',
    key: 'user',
    value: t.object({ user: t.string(), plan: t.string() }),
  })
  const out = topic('out', { value: t.object({ id: t.i32(), user: t.string() }) })
  const cases: readonly (readonly [readonly string[], PipelineDefinition])[] = [
    [['hits > to'], pipeline('p', (mill) => mill.from(hits).to(sink, { name: 'to' }))],
    [
      ['hits > to'],
      pipeline('p', (mill) =>
        mill.from(hits).join(mill.table(users), { on: 'user', name: 'j' }).select('id', 'user').to(sink, { name: 'to' }),
      ),
    ],
    [
      ['hits', 'out', 'out > to'].slice(0, 1).concat('middle > to'),
      pipeline('p', (mill) => mill.from(hits).through(out, { name: 'middle' }).to(sink, { name: 'to' })),
    ],
    [
      ['hits', 'to > to'],
      pipeline('p', (mill) =>
        mill
          .from(hits)
          .dedupe({ by: ['id'], withinMs: 1000 })
          .to(sink, { name: 'to' }),
      ),
    ],
    [
      ['hits', 'to > to'],
      pipeline('p', (mill) => {
        const stream = mill.from(hits)
        stream.to(sink, { name: 'to' })
        stream.filter(expr((hit) => hit.id.gt(3))).to(out)
      }),
    ],
    [
      ['hits', 'one > one', 'two > two'],
      pipeline('p', (mill) => {
        const stream = mill.from(hits)
        stream.to(sink, { name: 'one' })
        stream.to(collect<Hit>(), { name: 'two' })
      }),
    ],
    [
      ['hits', 'to > to'],
      pipeline('p', (mill) => {
        const stream = mill.from(hits)
        stream.groupBy('user').aggregate({ n: count() }).toTable('per_user')
        stream.to(sink, { name: 'to' })
      }),
    ],
  ]
  for (const [expected, definition] of cases) {
    const run = await testPipeline(definition, { files: { '/users.csv': 'user,plan\nu1,free\n' } })
    assert.deepEqual(partsOf(run), expected)
    await run.stop()
  }
})

for (const partitions of [1, 3]) {
  test(`every row is in the sink once, in the order of its partition, over crashes and outages: ${partitions} partitions`, async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seededRandom(seed)
      const seen = collect<Hit>()
      const broken = failing<Hit>(seen, (call) =>
        random.chance(0.04) ? new MillraceError('MR_LOG_FULL', { message: `no ${call}` }) : null,
      )
      const definition = pipeline('p', (mill) => {
        mill
          .from(hits)
          .flatMap((hit) => (hit.id % 7 === 0 ? [] : [hit, { ...hit, id: hit.id + 1000 }]), {
            value: t.object({ id: t.i32(), user: t.string() }),
          })
          .to(slow(broken, 1 + random.below(60)), { name: 'to' })
      })
      const run = await testPipeline(definition, { seed, partitions: { hits: partitions } })
      for (let id = 0; id < 300;) {
        const next = Math.min(300, id + 1 + random.below(40))
        await run.feed(hits, hitsOf(id, next), { partition: random.below(partitions) })
        if (random.chance(0.3)) await run.advance(random.below(5000))
        if (random.chance(0.2)) await run.crash()
        id = next
      }
      await run.advance(10 * MINUTE)
      const expected = upTo(300).filter((id) => id % 7 !== 0)
      assert.deepEqual(ids(seen), [...expected, ...expected.map((id) => id + 1000)], `seed ${seed}`)
      if (partitions === 1)
        assert.deepEqual(
          seen.rows.map((row) => row.id),
          expected.flatMap((id) => [id, id + 1000]),
          `seed ${seed}`,
        )
      await run.stop()
    }
  })
}

test('rows that are filtered out move the positions, and an idle task writes nothing', async () => {
  const seen = collect<Hit>()
  const run = await testPipeline(
    pipeline('p', (mill) =>
      mill
        .from(hits)
        .filter(expr((hit) => hit.id.gt(1000)))
        .to(seen, { name: 'to' }),
    ),
  )
  await run.feed(hits, hitsOf(0, 100))
  await run.advance(2000)
  const positions = (): number => run.pipeline.status().tasks.reduce((sum, task) => sum + task.commits, 0)
  assert.equal(positions(), 1)
  await run.advance(10 * MINUTE)
  assert.equal(positions(), 1)
  await run.crash()
  assert.equal(run.pipeline.status().tasks[0]?.rowsIn, 0, 'nothing is read again')
  await run.stop()
})

test('the first dead letters are shown soon, though the sink waits; where they keep coming, once a minute', async () => {
  const seen = collect<Hit>()
  const run = await testPipeline(pipeline('p', (mill) => mill.from(hits).to(slow(seen, 1_000_000), { name: 'to' })))
  await run.feed(hits, [...hitsOf(0, 100), '{"id":"no"}'])
  await run.advance(1500)
  assert.equal((await run.deadLetters()).length, 1)
  const before = run.pipeline.status().tasks[0]?.commits ?? 0
  for (let at = 0; at < 60; at++) {
    await run.feed(hits, [...hitsOf(100 + at * 30, 130 + at * 30), '{"id":"no"}'])
    await run.advance(950)
  }
  assert.ok((run.pipeline.status().tasks[0]?.commits ?? 0) - before <= 2)
  await run.advance(2 * MINUTE)
  assert.equal((await run.deadLetters()).length, 61)
  await run.stop()
})

for (const isDirect of [true, false]) {
  test(`dead letters come back at the operator and at the ${isDirect ? 'direct' : 'fed'} sink that refused them`, async () => {
    const seen = collect<Hit>()
    let picky = true
    const refusing: Sink<Hit> = {
      ...seen,
      acceptsUpdates: true,
      check: () => undefined,
      async open(context, lastIntent) {
        const writer = await seen.open(context, lastIntent)
        return {
          write({ batch, ...rest }) {
            const rows = Array.from({ length: batch.selectedCount }, (_, index) =>
              batch.selected === null ? index : (batch.selected[index] as number),
            )
            const idOf = (row: number): number => (batch.columns[0] as unknown as { values: Int32Array }).values[row] as number
            const good = rows.filter((row) => !picky || idOf(row) % 10 !== 0)
            for (const row of rows)
              if (!good.includes(row)) context.reject(row, new MillraceError('MR_SINK_FOLDER_LONG', { message: 'not this one' }))
            return writer.write({ ...rest, batch: { ...batch, selected: Int32Array.from(good), selectedCount: good.length } })
          },
          wantsCheckpoint: () => writer.wantsCheckpoint(),
          prepare: () => writer.prepare(),
          publish: (intent) => writer.publish(intent),
          close: () => writer.close(),
        }
      },
    }
    const definition = pipeline(
      'p',
      (mill) => {
        const mapped = mill.from(hits).mapValues(
          (hit) => {
            if (picky && hit.id % 10 === 1) throw new Error('not yet')
            return { id: hit.id, user: hit.user }
          },
          { name: 'mapped', value: t.object({ id: t.i32(), user: t.string() }) },
        )
        mapped.to(refusing, { name: 'to' })
        if (!isDirect) mapped.to(topic('copies', { value: t.object({ id: t.i32(), user: t.string() }) }))
      },
      { badShareMax: 1 },
    )
    const run = await testPipeline(definition)
    await run.feed(hits, hitsOf(0, 50))
    await run.advance(3000)
    assert.deepEqual(
      ids(seen),
      upTo(50).filter((id) => id % 10 > 1),
    )
    const letters = await run.deadLetters()
    assert.equal(letters.filter((letter) => letter.operator === 'mapped').length, 5)
    assert.equal(letters.filter((letter) => letter.operator === 'to').length, 5)
    picky = false
    await run.retryDeadLetters()
    await run.crash()
    await run.advance(3000)
    assert.deepEqual(ids(seen), upTo(50))
    await run.stop()
  })
}

function edited(seen: Sink<Hit>, isDirect: boolean): PipelineDefinition {
  return pipeline('p', (mill) => {
    const stream = mill.from(hits)
    const kept = isDirect ? stream : stream.dedupe({ by: ['id'], withinMs: MINUTE, name: 'once' })
    kept.to(seen, { name: 'to' })
  })
}

for (const partitions of [1, 2]) {
  test(`an edit that gives the sink a task of its own, or takes it, loses no row and doubles none: ${partitions} partitions`, async () => {
    const seen = collect<Hit>()
    const run = await testPipeline(edited(seen, true), { partitions: { hits: partitions } })
    let id = 0
    for (const isDirect of [false, true, true, false, true]) {
      await run.feed(hits, hitsOf(id, id + 20), { partition: id % partitions })
      await run.advance(2000)
      await run.crash()
      await run.feed(hits, hitsOf(id + 20, id + 25), { partition: 0 })
      id += 25
      await run.advance(2000)
      await run.change(edited(seen, isDirect))
      assert.equal(partsOf(run).includes('hits > to'), isDirect)
    }
    await run.feed(hits, hitsOf(id, id + 20))
    await run.advance(2000)
    await run.crash()
    await run.advance(2000)
    assert.deepEqual(ids(seen), upTo(id + 20))
    await run.stop()
  })

  test(`a crash between commit and publish is mended when the sink changes hands: ${partitions} partitions`, async () => {
    for (const wasDirect of [true, false]) {
      const seen = collect<Hit>()
      let fails = false
      const broken = failing<Hit>(seen, (call, done) => (fails && call === 'publish' && !done ? new MillraceError('MR_LOG_FULL') : null))
      const run = await testPipeline(edited(broken, wasDirect), { partitions: { hits: partitions } })
      await run.feed(hits, hitsOf(0, 20))
      await run.advance(1000)
      fails = true
      await run.feed(hits, hitsOf(20, 30))
      await run.advance(100)
      assert.deepEqual(ids(seen), upTo(20))
      await run.stop()
      fails = false
      await run.change(edited(seen, !wasDirect))
      await run.advance(2000)
      assert.deepEqual(ids(seen), upTo(30))
      await run.stop()
    }
  })

  test(`an edit that leaves rows on their way to the sink is refused, and the pipeline as it was delivers them: ${partitions} partitions`, async () => {
    const seen = collect<Hit>()
    let down = true
    const broken = failing<Hit>(seen, (call) => (down && call === 'write' ? new MillraceError('MR_LOG_FULL') : null))
    const run = await testPipeline(edited(broken, false), { partitions: { hits: partitions } })
    await run.feed(hits, hitsOf(0, 20))
    await run.advance(5000)
    down = false
    await assert.rejects(run.change(edited(seen, true)), (error) => isMillraceError(error) && error.code === 'MR_RUNTIME_SINK_FEED')
    await run.change(edited(seen, false))
    await run.advance(5000)
    await run.change(edited(seen, true))
    await run.feed(hits, hitsOf(20, 40))
    await run.advance(2000)
    assert.deepEqual(ids(seen), upTo(40))
    await run.stop()
  })
}

test('`plan` says when a sink gets a task of its own, and what matters when it loses it', () => {
  const seen = collect<Hit>()
  const [direct, fed] = [serializePlan(edited(seen, true).plan), serializePlan(edited(seen, false).plan)]
  const said = (before: typeof direct, after: typeof direct): readonly string[] =>
    diffPlans(before, after).flatMap((change) => (change.name === 'to' ? [`${change.message} ${change.advice ?? ''}`] : []))
  assert.match(said(direct, fed).join(), /gets a task of its own/)
  assert.match(said(fed, direct).join(), /loses its own task.*refused while rows are still on their way/)
  assert.deepEqual(said(fed, fed), [])
})

test('a replay with its sinks gives the rows again, at the same checkpoints', async () => {
  const seen = collect<Hit>()
  const definition = pipeline('p', (mill) => mill.from(hits).to(slow(seen, 30), { name: 'to' }))
  const run = await testPipeline(definition, { partitions: { hits: 2 } })
  for (let id = 0; id < 200; id += 10) {
    await run.feed(hits, hitsOf(id, id + 10), { partition: (id / 10) % 2 })
    await run.advance(3000)
  }
  await run.advance(2 * MINUTE)
  await run.stop()
  const live = [...seen.changes]
  assert.equal(live.length, 200)
  const again = collect<Hit>()
  const copy = pipeline('p', (mill) => mill.from(hits).to(slow(again, 1), { name: 'to' }))
  const plan = replayPlan(copy.plan, 'r1', true)
  const range = await rangeByTime(run.log, definition.plan, 0, Number.POSITIVE_INFINITY, 'event')
  const replay = await run.time.run(
    RunningPipeline.start(plan, {
      log: run.log,
      clock: run.time,
      scheduler: run.time,
      disk: run.disk,
      compiler,
      codeVersion: codeVersion(plan),
      replay: { id: 'r1', of: 'p', range },
    }),
  )
  await run.time.run(replay.finished())
  const byTick = (rows: readonly { readonly tick: number; readonly row: Hit }[]): readonly string[] =>
    rows.map(({ tick, row }) => `${tick} ${row.id}`).toSorted()
  assert.deepEqual(byTick(again.changes), byTick(live))
  assert.deepEqual(ids(again), numbers(0, 200))
})
