// A stage that stood still while its producers went on: a restart of the process before it goes on changes nothing of what it counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { MillraceError } from '../base/errors.ts'
import { count, pipeline, t, topic, tumbling } from '../index.ts'
import type { TableRow } from '../runtime/table-reader.ts'
import { PipelineTest } from './pipeline-driver.ts'

const TICKS = 1_200
const clicks = topic('clicks', { value: t.object({ url: t.string(), at: t.time() }), eventTime: 'at', disorderMs: 0 })
const definition = pipeline(
  'behind',
  (mill) => {
    mill
      .from(clicks)
      .groupBy('url')
      .window(tumbling({ sizeMs: 1_000 }))
      .aggregate({ n: count() }, { name: 'per-url' })
      .toTable('per_url')
  },
  { commitMsMin: 1 },
)

/** Refuses the commits of every task behind an exchange while `isStalled`. */
function stallReaders(context: TestContext, run: PipelineTest, isStalled: () => boolean): void {
  const open = run.log.openWriter.bind(run.log)
  context.mock.method(run.log, 'openWriter', async (name: string) => {
    const writer = await open(name)
    if (name.startsWith('behind/clicks/')) return writer
    const commit = writer.commit.bind(writer)
    context.mock.method(writer, 'commit', (parts: Parameters<typeof commit>[0]) =>
      isStalled() ? Promise.reject(new MillraceError('MR_LOG_FULL')) : commit(parts),
    )
    return writer
  })
}

async function result(context: TestContext, restart: boolean): Promise<readonly TableRow[]> {
  const run = new PipelineTest(definition, { partitions: { clicks: 2 }, gaps: false })
  let stalled = true
  stallReaders(context, run, () => stalled)
  await run.start()
  for (let tick = 0; tick < TICKS; tick++) {
    // Every tenth record comes later than its window: only the clock of its own tick tells.
    const at = tick * 100 - (tick % 10 === 9 ? 5_000 : 0)
    await run.feed(clicks, [{ url: `/${tick % 3}`, at: Math.max(0, at) }], { partition: tick % 2 })
    await run.advance(2)
  }
  stalled = false
  if (restart) await run.crash()
  await run.advance(120_000)
  const rows = await run.table('per_url', { limit: 1_000 })
  await run.stop()
  return rows
}

test('a reader that is 1,200 ticks behind counts the same after a restart as without one', async (context) => {
  const without = await result(context, false)
  const restarted = await result(context, true)
  const counted = without.reduce((sum, row) => sum + Number(row['n']), 0)
  assert.ok(counted > TICKS / 2 && counted < TICKS - 50, `${counted} rows counted, the late ones not`)
  assert.deepEqual(restarted, without)
})
