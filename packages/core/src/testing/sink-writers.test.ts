// Whoever opens the writer of a sink closes it, also where the task that wanted it could not begin: an outage may last for days.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../base/errors.ts'
import { collect, failing } from '../connect/memory.ts'
import type { Sink } from '../connect/sink.ts'
import { pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const hits = topic('hits', { value: t.object({ id: t.i32() }) })
interface Hit {
  readonly id: number
}

for (const isDirect of [true, false]) {
  test(`an outage that the newest intent meets leaves no writer open: ${isDirect ? 'direct' : 'with a task of its own'}`, async () => {
    const seen = collect<Hit>()
    let isOut = false
    const broken = failing<Hit>(seen, (call) => (isOut && call === 'publish' ? new MillraceError('MR_LOG_FULL', { message: 'out' }) : null))
    let opened = 0
    let closed = 0
    const counted: Sink<Hit> = {
      ...broken,
      check: () => undefined,
      async open(context, lastIntent) {
        opened++
        const writer = await broken.open(context, lastIntent)
        return {
          write: (rows) => writer.write(rows),
          wantsCheckpoint: () => writer.wantsCheckpoint(),
          prepare: () => writer.prepare(),
          publish: (intent) => writer.publish(intent),
          async close() {
            closed++
            await writer.close()
          },
        }
      },
    }
    const run = await testPipeline(
      pipeline('p', (mill) => {
        const all = mill.from(hits)
        all.to(counted, { name: 'shipped' })
        if (!isDirect) all.toTable('rows', { key: 'id' })
      }),
    )
    assert.equal(
      run.pipeline.topology.parts.some(({ sink }) => sink !== null && sink.output !== null),
      isDirect,
    )
    await run.feed(hits, [{ id: 1 }])
    await run.advance(2000)
    isOut = true
    await run.feed(hits, [{ id: 2 }])
    await run.advance(60_000)
    assert.ok(opened > 5, `${opened} times opened`)
    assert.ok(opened - closed <= 1, `${opened} opened, ${closed} closed`)
    isOut = false
    await run.advance(10_000)
    assert.deepEqual(
      seen.rows.map(({ id }) => id),
      [1, 2],
    )
    await run.stop()
    assert.equal(closed, opened)
  })
}
