import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import type { Field } from '../codec/column.ts'
import { layoutOf } from './rows/layout.ts'
import type { TableStore } from './store.ts'
import { createTableStore } from './table-store.ts'
import { contents, keyBytes, LAYOUT, putRow, sorted } from './table-store.fixture.ts'

const SLICE_BYTES = 4096

function filled(rows: number): TableStore {
  const store = createTableStore(LAYOUT)
  for (let i = 0; i < rows; i++) {
    const key = keyBytes(i % 10 === 0 ? `a key that is longer than what fits a row: ${i}` : `k${i}`)
    putRow(store, store.findOrInsert(key, 0, key.length), {
      count: i,
      total: BigInt(i),
      note: i % 3 === 0 ? null : `note ${i}`,
      open: i % 2 === 0,
    })
  }
  store.seal()
  store.committed()
  return store
}

function refuses(slices: readonly Uint8Array[], code: string): void {
  assert.throws(
    () => createTableStore(LAYOUT).restore(slices),
    (error) => isMillraceError(error) && error.code === code,
  )
}

test('a flipped bit, a missing slice, a cut and a foreign slice are refused', () => {
  const slices = [...filled(500).snapshot(SLICE_BYTES)]
  assert.ok(slices.length > 5)
  const random = seededRandom(4)
  for (let round = 0; round < 200; round++) {
    const damaged = slices.map((slice) => slice.slice())
    const slice = random.pick(damaged)
    const at = random.below(slice.length)
    slice[at] = (slice[at] as number) ^ (1 << random.below(8))
    refuses(damaged, 'MR_STATE_SNAPSHOT_CORRUPT')
  }
  for (let missing = 0; missing < slices.length; missing++) {
    refuses(
      slices.filter((_, index) => index !== missing),
      'MR_STATE_SNAPSHOT_CORRUPT',
    )
  }
  for (const slice of slices) refuses([slice.subarray(0, slice.length - 1)], 'MR_STATE_SNAPSHOT_CORRUPT')
  refuses([], 'MR_STATE_SNAPSHOT_CORRUPT')
  refuses([...slices, slices[1] as Uint8Array], 'MR_STATE_SNAPSHOT_CORRUPT')
})

test('a dump of another layout is refused by name', () => {
  const other = createTableStore(layoutOf('orders', LAYOUT.key, LAYOUT.value.slice(1)))
  refuses([...other.snapshot(SLICE_BYTES)], 'MR_STATE_LAYOUT_CHANGED')
})

test('an empty store, and one that held rows before, are replaced by the dump', () => {
  const source = filled(300)
  const slices = [...source.snapshot(SLICE_BYTES)]
  const target = filled(40)
  target.findOrInsert(keyBytes('left over'), 0, 9)
  target.restore(slices)
  assert.deepEqual(sorted(contents(target)), sorted(contents(source)))
  target.restore([...createTableStore(LAYOUT).snapshot(SLICE_BYTES)])
  assert.equal(target.rowCount, 0)
  assert.deepEqual([...contents(target)], [])
})

test('a key that moved to a later slot while it was dumped comes out once', () => {
  const source = filled(400)
  const dump = source.snapshot(SLICE_BYTES)[Symbol.iterator]()
  const slices: Uint8Array[] = []
  const key = keyBytes('a key that is longer than what fits a row: 0')
  for (let next = dump.next(); next.done !== true; next = dump.next()) {
    slices.push(next.value)
    if (slices.length !== 3) continue
    source.delete(source.find(key, 0, key.length))
    source.seal()
    source.committed()
    // Somebody else takes the slot, and the key the next one, which is not dumped yet.
    source.findOrInsert(keyBytes('other'), 0, 5)
    putRow(source, source.findOrInsert(key, 0, key.length), { count: 7, total: null, note: 'moved', open: true })
    source.seal()
    source.committed()
  }
  const target = createTableStore(LAYOUT)
  target.restore(slices)
  // Both images of the key were dumped; what the changelog says comes on top.
  assert.equal(target.rowCount, 400)
  assert.equal(contents(target).size, 400)
})

test('a column promoted in the middle of a dump is whole again', () => {
  const source = filled(400)
  const dump = source.snapshot(SLICE_BYTES)[Symbol.iterator]()
  const slices: Uint8Array[] = []
  for (let next = dump.next(); next.done !== true; next = dump.next()) {
    slices.push(next.value)
    if (slices.length !== 3) continue
    const key = keyBytes('k399')
    source.setInteger(source.find(key, 0, key.length), 1, 2n ** 60n)
    source.seal()
    source.committed()
  }
  const target = createTableStore(LAYOUT)
  target.restore(slices)
  assert.deepEqual(sorted(contents(target)), sorted(contents(source)))
})

test('rows of 70 nullable columns keep every null bit', () => {
  const value = Array.from({ length: 70 }, (_, index): Field => ({
    name: `c${index}`,
    type: { kind: index % 3 === 0 ? 'string' : 'i64' },
    nullable: true,
  }))
  const layout = layoutOf('wide', [{ name: 'k', type: { kind: 'i64' }, nullable: true }], value)
  const random = seededRandom(8)
  const [store, replayed, restored] = [createTableStore(layout), createTableStore(layout), createTableStore(layout)]
  const expected: (string | null)[][] = []
  for (let row = 0; row < 200; row++) {
    const key = keyBytes(String(row))
    const slot = store.findOrInsert(key, 0, key.length)
    expected.push(
      value.map((field, column) => {
        assert.equal(store.read(slot).isNull(column), true)
        if (random.chance(0.5)) return null
        const text = String(random.below(1000))
        if (field.type.kind === 'string') store.setBytes(slot, column, keyBytes(text), 0, text.length)
        else store.setNumber(slot, column, Number(text))
        return text
      }),
    )
  }
  store.seal()
  store.drainChanges(
    { dropped: () => assert.fail('no region was dropped'), rows: (bytes, end) => replayed.applyRows(bytes, 0, end) },
    Infinity,
  )
  store.committed()
  restored.restore(store.snapshot(SLICE_BYTES))
  for (const table of [store, replayed, restored]) {
    expected.forEach((row, index) => {
      const key = keyBytes(String(index))
      const reader = table.read(table.find(key, 0, key.length))
      assert.deepEqual(
        row,
        value.map((field, column) => {
          if (reader.isNull(column)) return null
          return field.type.kind === 'string' ? new TextDecoder().decode(reader.bytes(column)) : String(reader.number(column))
        }),
      )
    })
  }
})
