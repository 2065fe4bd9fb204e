// Law: a table gives decimals and 64-bit numbers digit for digit, and orders, finds and cuts them by their amount.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError, pipeline, t, topic } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const SCALE = 2
const amounts = topic('amounts', { value: t.object({ id: t.i32(), amount: t.decimal(18, SCALE), size: t.bigint() }) })
const definition = pipeline('money', (mill) => {
  const rows = mill.from(amounts)
  rows.toTable('by_id', { key: 'id' })
  rows.toTable('by_amount', { key: 'amount' })
  rows.toTable('by_size', { key: 'size' })
})

const CENTS = 10n ** 18n - 1n
const cents = fc.oneof(fc.bigInt(-CENTS, CENTS), fc.bigInt(-2000n, 2000n), fc.constantFrom(900719925474099301n, -900719925474099301n))
const size = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-20n, 20n), fc.constantFrom(2n ** 53n, 2n ** 53n + 1n))

function text(amount: bigint): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(SCALE + 1, '0')
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -SCALE)}.${digits.slice(-SCALE)}`
}

const read = (whole: bigint): number | string => (Number.isSafeInteger(Number(whole)) ? Number(whole) : String(whole))
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

test('decimals and 64-bit numbers of a table are exact, in rows, orders, keys, prefixes and ranges', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ cents, size }), { minLength: 1, maxLength: 20, selector: ({ cents: amount }) => amount }),
      fc.boolean(),
      async (given, descending) => {
        const unique = given.filter((one, index) => given.findIndex((other) => other.size === one.size) === index)
        const rows = unique.map((one, id) => ({ id, ...one }))
        const shown = rows.map((row) => ({ id: row.id, amount: text(row.cents), size: read(row.size) }))
        const sorted = (field: 'cents' | 'size'): unknown[] => {
          const order = rows.toSorted((a, b) => (descending ? -1 : 1) * compare(a[field], b[field]))
          return order.map(({ id }) => shown[id])
        }
        const run = await testPipeline(definition)
        await run.feed(
          amounts,
          rows.map((row) => JSON.stringify({ id: row.id, amount: text(row.cents), size: String(row.size) })),
        )
        await run.advance(10_000)
        assert.deepEqual(await run.table('by_id'), shown)
        assert.deepEqual(await run.table('by_id', { by: 'amount', descending }), sorted('cents'))
        assert.deepEqual(await run.table('by_id', { by: 'size', descending }), sorted('size'))
        for (const [table, field, first] of [
          ['by_amount', 'cents', text(rows[0]?.cents ?? 0n)],
          ['by_size', 'size', String(rows[0]?.size)],
        ] as const) {
          const inOrder = sorted(field).map((row) => ({ ...(row as object) }))
          assert.deepEqual(await run.table(table, { descending }), inOrder)
          assert.deepEqual(await run.table(table, { key: [first] }), [shown[0]])
          assert.deepEqual(await run.table(table, { prefix: [first] }), [shown[0]])
          const at = inOrder.findIndex((row) => (row as { readonly id: number }).id === 0)
          assert.deepEqual(await run.table(table, { from: first, descending }), descending ? inOrder.slice(0, at + 1) : inOrder.slice(at))
          assert.deepEqual(await run.table(table, { to: first, descending }), descending ? inOrder.slice(at + 1) : inOrder.slice(0, at))
        }
        await run.stop()
      },
    ),
    { numRuns: 25 },
  )
})

test('a decimal is asked for in any spelling of its amount; what is none is refused', async () => {
  const run = await testPipeline(definition)
  await run.feed(amounts, ['{"id":1,"amount":"1.50","size":1}'])
  await run.advance(10_000)
  for (const spelling of ['1.5', '1.50', '01.500', '15e-1', 1.5])
    assert.equal((await run.table('by_amount', { key: [spelling] })).length, 1)
  for (const wrong of ['', 'x', '1.505', '1e30'])
    await assert.rejects(
      run.table('by_amount', { prefix: [wrong] }),
      (error) => isMillraceError(error) && error.code === 'MR_TABLE_KEY_INVALID',
      wrong,
    )
  for (const wrong of ['', ' ', '1.5', 'x', String(2n ** 63n)])
    await assert.rejects(
      run.table('by_size', { key: [wrong] }),
      (error) => isMillraceError(error) && error.code === 'MR_TABLE_KEY_INVALID',
      wrong,
    )
  await run.stop()
})
