import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../base/random.ts'
import { layoutOf } from './rows/layout.ts'
import { OrderedIndex, prefixEnd } from './ordered-index.ts'
import { createTableStore } from './table-store.ts'

const LAYOUT = layoutOf(
  's',
  [{ name: 'k', type: { kind: 'bytes' }, nullable: false }],
  [{ name: 'v', type: { kind: 'f64' }, nullable: false }],
)

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

test('ranges, in both directions, are those of a sorted list, over inserts, deletes, commits and rollbacks', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 4, max: 3000 }), (seed, keys) => {
      const random = seededRandom(seed)
      const store = createTableStore(LAYOUT)
      const index = new OrderedIndex(store)
      const key = (): Uint8Array => {
        const n = random.below(keys)
        return Uint8Array.from(n % 5 === 0 ? [255, 255, n & 255] : n % 3 === 0 ? [n >> 8] : [n >> 8, n & 255, 0].slice(0, 2 + (n & 1)))
      }
      let now = new Map<string, Uint8Array>()
      let committed = new Map(now)
      for (let step = 0; step < 1500; step++) {
        const bytes = key()
        const name = bytes.toString()
        const action = random.below(100)
        if (action < 70) {
          store.findOrInsert(bytes, 0, bytes.length)
          now.set(name, bytes)
        } else if (action < 98) {
          const slot = store.find(bytes, 0, bytes.length)
          if (slot >= 0) store.delete(slot)
          now.delete(name)
        } else if (action === 98) {
          store.seal()
          store.committed()
          committed = new Map(now)
        } else {
          store.rollback()
          now = new Map(committed)
        }
      }
      const sorted = [...now.values()].sort(compare)
      for (let probe = 0; probe < 20; probe++) {
        const from = random.chance(0.2) ? null : key()
        const to = random.chance(0.2) ? null : key()
        const expected = sorted.filter((bytes) => (from === null || compare(bytes, from) >= 0) && (to === null || compare(bytes, to) < 0))
        const up: Uint8Array[] = []
        index.range(from, to, (slot) => {
          if (store.isAlive(slot)) up.push(store.read(slot).key())
          return true
        })
        assert.deepEqual(up, expected)
        const down: Uint8Array[] = []
        index.rangeDown(from, to, (slot) => {
          if (store.isAlive(slot)) down.push(store.read(slot).key())
          return down.length < 5
        })
        assert.deepEqual(down, expected.reverse().slice(0, 5))
        const prefix = key().subarray(0, 1)
        const found: Uint8Array[] = []
        index.prefix(prefix, (slot) => {
          if (store.isAlive(slot)) found.push(store.read(slot).key())
          return true
        })
        assert.deepEqual(
          found,
          sorted.filter((bytes) => bytes[0] === prefix[0]),
        )
      }
    }),
    { numRuns: 30 },
  )
})

test('the end of a prefix', () => {
  assert.deepEqual(prefixEnd(Uint8Array.of(1, 2)), Uint8Array.of(1, 3))
  assert.deepEqual(prefixEnd(Uint8Array.of(1, 255, 255)), Uint8Array.of(2))
  assert.equal(prefixEnd(Uint8Array.of(255)), null)
  assert.equal(prefixEnd(Uint8Array.of()), null)
})
