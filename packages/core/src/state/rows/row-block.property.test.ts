// Blocks of changed rows are read back as they were, and by name with another layout.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Field, FieldType } from '../../codec/column.ts'
import { compareLayouts, layoutOf } from './layout.ts'
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

function field(name: string, kind: 'i32' | 'i64' | 'f64' | 'string' | 'bool', nullable = false): Field {
  return { name, type: { kind } as FieldType, nullable }
}

test('a changed layout is read by name where that loses nothing, and says why where it would', () => {
  const key = [field('id', 'string')]
  const before = layoutOf('s', key, [field('a', 'i32'), field('b', 'string', true), field('c', 'f64')])
  assert.deepEqual(compareLayouts(before, layoutOf('renamed', key, before.value)), { verdict: 'same' })
  const mapped = compareLayouts(
    before,
    layoutOf('s', key, [field('new', 'bool', true), field('b', 'string', true), field('a', 'i64', true)]),
  )
  assert(mapped.verdict === 'mapped')
  assert.deepEqual(mapped.mapping.columns, [-1, 1, 0])
  assert.deepEqual(mapped.changes, ['column `new` is new', 'column `a` widens to i64', 'column `c` is dropped'])
  const reasons = (value: readonly Field[], newKey = key): readonly string[] => {
    const result = compareLayouts(before, layoutOf('s', newKey, value))
    return result.verdict === 'rebuild' ? result.reasons : []
  }
  assert.deepEqual(reasons(before.value, [field('id', 'i64')]), ['the key has other columns or kinds'])
  assert.deepEqual(reasons([field('d', 'f64')]), ['column `d` is new and may not be null'])
  assert.deepEqual(reasons([field('b', 'string')]), ['column `b` may not be null any more'])
  assert.deepEqual(reasons([field('c', 'i64')]), ['column `c` was f64 and is i64'])
})

test('rows of another layout are mapped by name', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 10 }), (rows) => {
      const [count, total, note] = LAYOUT.value as readonly [Field, Field, Field]
      const layout = layoutOf('orders', LAYOUT.key, [field('extra', 'string', true), note, total, count])
      const compared = compareLayouts(LAYOUT, layout)
      assert(compared.verdict === 'mapped')
      const store = createTableStore(layout)
      for (const change of drained(rows).changes) {
        assert(change.kind === 'rows')
        store.applyRows(change.block, 0, change.block.length, compared.mapping)
      }
      rows.forEach((row, index) => {
        const key = keyBytes(`${index}`)
        const reader = store.read(store.find(key, 0, key.length))
        assert.equal(reader.isNull(0), true)
        assert.equal(reader.isNull(1) ? null : new TextDecoder().decode(reader.bytes(1)), row.note)
        assert.equal(reader.isNull(2) ? null : reader.integer(2), row.total)
        assert.equal(reader.number(3), row.count)
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
