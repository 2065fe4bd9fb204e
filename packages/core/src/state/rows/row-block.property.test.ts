// Blocks of changed rows are read back as they were.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTableStore } from '../table-store.ts'
import { applyAll, ChangeList, keyBytes, LAYOUT, type ModelRow, putRow, rowOf } from '../table-store.fixture.ts'

const rowArbitrary: fc.Arbitrary<ModelRow> = fc.record({
  count: fc.double({ noNaN: true }),
  total: fc.option(fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger().map(BigInt))),
  note: fc.option(fc.string({ maxLength: 3000 })),
  open: fc.boolean(),
})

function drained(rows: readonly ModelRow[]): ChangeList {
  const store = createTableStore(LAYOUT)
  rows.forEach((row, index) => {
    const key = keyBytes(`${index}`)
    putRow(store, store.findOrInsert(key, 0, key.length), row)
  })
  store.seal()
  const changes = new ChangeList()
  store.drainChanges(changes, Infinity)
  return changes
}

test('rows of a block come back as they were, twice over, whatever the promotion of the reader', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 10 }), fc.boolean(), (rows, promotes) => {
      const store = createTableStore(LAYOUT)
      if (promotes) {
        const slot = store.findOrInsert(keyBytes('other'), 0, 5)
        store.setInteger(slot, 1, 2n ** 60n)
        store.setBytes(slot, 2, keyBytes('note'), 0, 4)
        store.seal()
        store.committed()
      }
      const { changes } = drained(rows)
      applyAll(store, [...changes, ...changes])
      assert.equal(store.rowCount, rows.length + (promotes ? 1 : 0))
      rows.forEach((row, index) => {
        const key = keyBytes(`${index}`)
        assert.deepEqual(rowOf(store.read(store.find(key, 0, key.length))), { ...row })
      })
    }),
  )
})

test('a block that is cut off is refused', () => {
  const [change] = drained([{ count: 1, total: 2n, note: 'note', open: true }]).changes
  assert(change !== undefined && change.kind === 'rows')
  for (let length = 0; length < change.block.length; length++) {
    const block = change.block.slice(0, length)
    assert.throws(() => applyAll(createTableStore(LAYOUT), [{ kind: 'rows', block }]), { code: 'MR_STATE_CHANGELOG_CORRUPT' })
  }
})
