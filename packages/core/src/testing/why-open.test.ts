// Why something is open, or waits: every window and every held record has a reason in the status.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic, tumbling } from '../index.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const MINUTE = 60_000
const hits = topic('hits', { value: t.object({ url: t.string(), at: t.time() }), eventTime: 'at', disorderMs: 1000 })

function reasons(run: PipelineTest): readonly (string | null)[] {
  return run.status().tasks.map((task) => task.openBecause)
}

for (const emit of ['update', 'close'] as const) {
  test(`an open window says what it waits for: emit ${emit}`, async () => {
    const run = await testPipeline(
      pipeline('why', (mill) => {
        mill
          .from(hits)
          .groupBy('url')
          .window(tumbling({ sizeMs: MINUTE }))
          .aggregate({ n: count() }, { name: 'counted', emit })
          .toTable('counts')
      }),
    )
    assert.deepEqual(reasons(run), [null])
    await run.feed(
      hits,
      Array.from({ length: 12 }, (_, index) => ({ url: '/', at: 1000 * index })),
    )
    await run.advance(2000)
    assert.match(
      reasons(run)[0] ?? '',
      /^waits for the watermark 1970-01-01T00:01:00Z, it is 1970-01-01T00:00:10Z: hits partition 0 is active, silent for 2 s$/,
    )
    assert.equal(run.status().tasks[0]?.waitsForMs, MINUTE)
    await run.feed(hits, [{ url: '/', at: 90_000 }])
    assert.match(reasons(run)[0] ?? '', /^waits for the watermark 1970-01-01T00:02:00Z/)
    await run.stop()
  })
}

test('a window that no waiting closes says so: events ahead of the clock, and `closeWhenIdle: never`', async () => {
  for (const [closeWhenIdle, at, expected] of [
    [
      'rate',
      '2026-01-01T12:00:00Z',
      /is idle, silent for 3600 s; its events are ahead of the wall clock, 2026-01-01T00:59:[^ ]+, which the watermark does not pass without data$/,
    ],
    ['rate', '2026-01-01T00:59:30Z', /is idle, silent for \d+ s$/],
    ['never', '2026-01-01T00:00:00Z', /is idle, silent for 3600 s; `closeWhenIdle` is never, so only data moves the watermark$/],
  ] as const) {
    const run = await testPipeline(
      pipeline(
        'ahead',
        (mill) => {
          const windows = mill
            .from(hits)
            .groupBy('url')
            .window(tumbling({ sizeMs: 60 * MINUTE }))
          windows.aggregate({ n: count() }, { name: 'counted', emit: 'close' }).toTable('counts')
        },
        { closeWhenIdle },
      ),
    )
    await run.feed(
      hits,
      Array.from({ length: 12 }, () => ({ url: '/', at })),
    )
    await run.advance(60 * MINUTE - 100)
    assert.match(reasons(run)[0] ?? '', expected, at)
    await run.stop()
  }
})

test('a partition that the clock guard holds says so, with and without windows', async () => {
  const run = await testPipeline(
    pipeline('held', (mill) => {
      mill.from(hits).toTable('plain', { key: 'url' })
    }),
  )
  await run.feed(hits, [{ url: '/', at: 5000 }])
  assert.match(
    reasons(run)[0] ?? '',
    /^hits partition 0 waits, holds back its first record, of 1970-01-01T00:00:05Z: decided when others follow, or in 5 s$/,
  )
  const held = run.status().tasks[0]?.inputs[0]?.partitions[0]?.held
  assert.equal(held?.eventTimeMs, 5000)
  await run.advance(6000)
  assert.deepEqual(reasons(run), [null])
  assert.equal((await run.table('plain')).length, 1)
  await run.feed(hits, [{ url: '/far', at: 400 * 86_400_000 }])
  assert.match(reasons(run)[0] ?? '', /holds back a record that is far ahead of 1970-01-01T00:00:05Z, of 1971-02-05T00:00:00Z/)
  await run.stop()
})

test('event time comes as far in a group that gets no rows as in the others', async () => {
  const run = await testPipeline(
    pipeline('groups', (mill) => {
      mill.from(hits).groupBy('url').aggregate({ n: count() }, { name: 'counted' }).toTable('counts')
    }),
    { partitions: { hits: 4 } },
  )
  for (let partition = 0; partition < 4; partition++)
    await run.feed(
      hits,
      Array.from({ length: 12 }, (_, index) => ({ url: '/', at: 1000 * index })),
      { partition },
    )
  await run.advance(1000)
  const { tasks } = run.status()
  assert.equal(tasks.filter(({ part, rowsIn }) => part === 'counted' && rowsIn === 0).length, 3)
  assert.deepEqual(
    tasks.map(({ watermarkMs }) => watermarkMs),
    tasks.map(() => 10_000),
  )
  await run.stop()
})
