// The suite must be able to fail: sinks that break one law each, and the laws that notice.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect, type CollectSink } from '../connect/memory.ts'
import type { AnySink, Sink, SinkWriter } from '../connect/sink.ts'
import { type ConformanceRow, sinkLaws, type SinkUnderTest } from './sink-conformance.ts'

/** A collecting sink whose writers are changed. */
function broken(
  change: (writer: SinkWriter, world: { lastIntent: Uint8Array | null; inner: CollectSink<ConformanceRow> }) => Partial<SinkWriter>,
): () => SinkUnderTest {
  return () => {
    const inner = collect<ConformanceRow>()
    const sink: Sink<ConformanceRow> = {
      ...inner,
      kind: 'sink',
      spec: inner.spec,
      guarantee: 'transactional',
      acceptsUpdates: true,
      settings: inner.settings,
      check: () => undefined,
      async open(context, lastIntent) {
        const writer = await inner.open(context, lastIntent)
        const own: SinkWriter = {
          write: (rows) => writer.write(rows),
          wantsCheckpoint: () => writer.wantsCheckpoint(),
          prepare: () => writer.prepare(),
          publish: (intent) => writer.publish(intent),
          close: () => writer.close(),
        }
        return { ...own, ...change(writer, { lastIntent, inner }) }
      },
    }
    return { sink: sink as AnySink, visible: async () => [inner.rows], strays: () => [] }
  }
}

async function failingLaws(open: () => SinkUnderTest): Promise<readonly string[]> {
  const failed: string[] = []
  for (const { law, run } of sinkLaws({ usesDisk: false, seeds: 5 })) await run(open).catch(() => failed.push(law))
  return failed
}

const MUTANTS: readonly { readonly name: string; readonly open: () => SinkUnderTest; readonly noticedBy: RegExp }[] = [
  {
    name: 'publishes in prepare',
    open: broken((writer) => ({
      async prepare() {
        const intent = await writer.prepare()
        if (intent !== null) await writer.publish(intent)
        return intent
      },
    })),
    noticedBy: /SINK-1 nothing is visible before publish/,
  },
  {
    name: 'publishes a second time',
    open: broken((writer, { inner }) => ({
      async publish(intent) {
        const before = inner.changes.length
        await writer.publish(intent)
        if (inner.changes.length === before && before > 0) (inner.changes as unknown[]).push(inner.changes[0])
      },
    })),
    noticedBy: /SINK-2/,
  },
  {
    name: 'does not prepare what it has written last',
    open: broken((writer) => ({ write: (rows) => (rows.sequence > 100 ? undefined : writer.write(rows)) })),
    noticedBy: /SINK-1/,
  },
  {
    name: 'ignores the selection',
    open: broken((writer) => ({
      write: (rows) => writer.write({ ...rows, batch: { ...rows.batch, selected: null, selectedCount: rows.batch.rowCount } }),
    })),
    noticedBy: /SINK-4/,
  },
  {
    name: 'never publishes',
    open: broken(() => ({ publish: async () => undefined })),
    noticedBy: /SINK-1/,
  },
]

for (const { name, open, noticedBy } of MUTANTS) {
  test(`the suite notices a sink that ${name}`, async () => {
    const failed = await failingLaws(open)
    assert.ok(
      failed.some((law) => noticedBy.test(law)),
      `failed only: ${failed.join('; ')}`,
    )
  })
}

test('the suite finds nothing wrong with a sound sink', async () => {
  assert.deepEqual(await failingLaws(broken(() => ({}))), [])
})
