// Law: a table ordered by any field and cut at a limit is the whole table, sorted by that field and then by the key, and cut.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError, pipeline, t, topic } from '../index.ts'
import type { TableRow } from '../runtime/table-reader.ts'
import { testPipeline } from './pipeline-driver.ts'

const orders = topic('orders', { value: t.object({ id: t.i64(), size: t.i32(), note: t.string() }) })

function compare(a: unknown, b: unknown): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : a === b ? 0 : 1
}

/** More than a scan gathers at once, so that it throws rows away on the way. */
const MANY = 5000

test('by, descending and limit give the first rows of the sorted table', async () => {
  const run = await testPipeline(pipeline('order', (mill) => mill.from(orders).toTable('kept', { key: 'id', retentionMs: 1_000_000 })))
  const rows = Array.from({ length: MANY }, (_, id) => ({ id, size: (id * 7919) % 97, note: `n${(id * 31) % 1009}` }))
  await run.feed(orders, rows)
  await run.advance(10_000)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<keyof (typeof rows)[number]>('id', 'size', 'note'),
      fc.boolean(),
      fc.integer({ min: 1, max: MANY + 1 }),
      async (by, descending, limit) => {
        const sign = descending ? -1 : 1
        const wanted: readonly TableRow[] = rows.toSorted((a, b) => sign * (compare(a[by], b[by]) || a.id - b.id)).slice(0, limit)
        assert.deepEqual(await run.table('kept', { by, descending, limit }), wanted)
      },
    ),
    { numRuns: 30 },
  )
  await assert.rejects(run.table('kept', { by: 'weight' }), (error) => isMillraceError(error) && error.code === 'MR_TABLE_FIELD_UNKNOWN')
  await run.stop()
})
