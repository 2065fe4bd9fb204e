// Rows of lambdas without a schema, and columns whose type is not known, in the sinks that write JSON.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { custom, isMillraceError, pipeline, t, topic, tumbling } from '../index.ts'
import { ndjson } from '../connect/ndjson-sink.ts'
import { ndjsonFile } from '../connect/ndjson-file-sink.ts'
import type { Disk } from '../base/disk.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64(), shop: t.string(), at: t.time() }), eventTime: 'at', disorderMs: 1000 })

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  file.read(bytes, 0)
  file.close()
  return new TextDecoder().decode(bytes)
}

function archived(disk: Disk, folder: string): readonly string[] {
  return disk
    .list(folder)
    .filter((name) => name.endsWith('.ndjson'))
    .flatMap((name) => textOf(disk, `${folder}/${name}`).trimEnd().split('\n'))
}

for (const partitions of [1, 2]) {
  test(`open rows and unknown columns as lines of JSON, over a crash: ${partitions} partitions`, async () => {
    const run = await testPipeline(
      pipeline('open', (mill) => {
        const open = mill.from(orders).map((order) => ({ id: order.id, deep: { shop: order.shop, list: [1, null, 'é'] } }))
        open.to(ndjsonFile({ path: '/out/all.ndjson', rollMs: 100 }), { name: 'file' })
        open.to(ndjson({ dir: '/out/archive', partitionBy: ['date'], rollMs: 100 }), { name: 'archive' })
        mill
          .from(orders)
          .groupBy('shop')
          .window(tumbling({ sizeMs: 60_000 }))
          .aggregate(
            { ids: custom({ initial: () => [] as number[], add: (list, order) => [...list, order.id] }) },
            { name: 'lists', emit: 'close' },
          )
          .select('shop', 'ids')
          .to(ndjson({ dir: '/out/lists', rollMs: 100 }), { name: 'lists-archive' })
      }),
      { partitions: { orders: partitions } },
    )
    const list = Array.from({ length: 40 }, (_, id) => ({ id, shop: `s${id % 2}`, at: 1000 + id * 100 }))
    const half = list.length / 2
    await run.feed(orders, list.slice(0, half), { partition: 0 })
    await run.advance(3000)
    await run.crash()
    await run.feed(orders, list.slice(half), { partition: partitions - 1 })
    await run.advance(120_000)
    const expected = list.map(({ id, shop }) => JSON.stringify({ id, deep: { shop, list: [1, null, 'é'] } })).toSorted()
    const files = partitions === 1 ? ['/out/all.ndjson'] : ['/out/all-0.ndjson', '/out/all-1.ndjson']
    assert.deepEqual(files.flatMap((path) => textOf(run.disk, path).trimEnd().split('\n')).toSorted(), expected)
    assert.deepEqual(archived(run.disk, '/out/archive/date=1970-01-01').toSorted(), expected)
    assert.deepEqual(
      archived(run.disk, '/out/lists')
        .map((line) => JSON.parse(line) as { shop: string; ids: number[] })
        .map(({ shop, ids }) => `${shop} ${ids.length}`)
        .toSorted(),
      ['s0 20', 's1 20'],
    )
    await run.stop()
  })
}

test('folders of open rows can be named by the event time alone', () => {
  assert.throws(
    () =>
      pipeline('x', (mill) =>
        mill
          .from(orders)
          .map((order) => ({ id: order.id }))
          .to(ndjson({ dir: '/out', partitionBy: ['shop'] })),
      ),
    (error) => isMillraceError(error) && error.code === 'MR_SINK_PARTITION',
  )
})
