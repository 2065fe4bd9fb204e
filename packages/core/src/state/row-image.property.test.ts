// Row images are the codec's binary rows, and are read by name with another layout.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rowReader } from '../codec/binary-row.ts'
import { columnValue } from '../codec/column-value.ts'
import type { Field, FieldType } from '../codec/column.ts'
import { compareLayouts, layoutOf } from './layout.ts'
import { createTableStore } from './table-store.ts'
import { ChangeList, keyBytes, type ModelRow, LAYOUT, putRow, applyAll } from './table-store.fixture.ts'

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
  const changes = new ChangeList(0)
  store.drainChanges(changes, new Uint8Array(0), 0, Infinity)
  return changes
}

test('an image is read by the codec as the row that it was', () => {
  const reader = rowReader(LAYOUT.value)
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 10 }), (rows) => {
      const changes = drained(rows).changes
      assert.equal(changes.length, rows.length)
      changes.forEach(({ row }, index) => {
        assert(row !== null)
        const columns = reader.decode(row, Int32Array.of(0), Int32Array.of(row.length), 1)
        const expected = rows[index] as ModelRow
        const [count, total, note, open] = columns
        assert(count !== undefined && total !== undefined && note !== undefined && open !== undefined)
        assert.equal(columnValue(count, { kind: 'f64' }, 0), expected.count)
        assert.equal(columnValue(total, { kind: 'i64', big: true }, 0), expected.total)
        assert.equal(columnValue(note, { kind: 'string' }, 0), expected.note)
        assert.equal(columnValue(open, { kind: 'bool' }, 0), expected.open)
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

test('images of another layout are mapped by name', () => {
  fc.assert(
    fc.property(fc.array(rowArbitrary, { maxLength: 10 }), (rows) => {
      const [count, total, note] = LAYOUT.value as readonly [Field, Field, Field]
      const layout = layoutOf('orders', LAYOUT.key, [field('extra', 'string', true), note, total, count])
      const compared = compareLayouts(LAYOUT, layout)
      assert(compared.verdict === 'mapped')
      const store = createTableStore(layout)
      for (const { key, row } of drained(rows).changes) store.apply(key, 0, key.length, row, 0, row?.length ?? 0, compared.mapping)
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

test('an image that is cut off is refused', () => {
  const [change] = drained([{ count: 1, total: 2n, note: 'note', open: true }]).changes
  assert(change !== undefined && change.row !== null)
  for (let length = 0; length < change.row.length; length++) {
    const row = change.row.slice(0, length)
    assert.throws(() => applyAll(createTableStore(LAYOUT), [{ key: change.key, row }]), { code: 'MR_STATE_CHANGELOG_CORRUPT' })
  }
})
