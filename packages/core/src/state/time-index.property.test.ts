import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../base/random.ts'
import type { KeyRanges, TableStore } from './store.ts'
import { compareKeyBytes, keyOrder } from './keys/key-order.ts'
import { layoutOf } from './rows/layout.ts'
import { SeenKeys, seenKeysLayout } from './seen-keys.ts'
import { createTableStore } from './table-store.ts'
import { TimeIndex, timeColumn } from './time-index.ts'
import { applyAll, ChangeList, keyBytes } from './table-store.fixture.ts'

const KEY = [{ name: 'k', type: { kind: 'string' }, nullable: false }] as const
const LAYOUT = layoutOf('windows', KEY, [{ name: 'end', type: { kind: 'time' }, nullable: true }])

function keyText(store: TableStore, slot: number): string {
  return new TextDecoder().decode(store.read(slot).key())
}

test('rows come due once, in order of time and key, whatever was rolled back, deleted or restored', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(0, 7), (seed, stretchMs) => {
      const random = seededRandom(seed)
      let store = createTableStore(LAYOUT)
      let index = new TimeIndex(store, timeColumn(store, 0), stretchMs)
      let now = new Map<string, number>()
      let committed = new Map(now)
      let watermark = 0
      const put = (key: string, end: number): void => {
        const bytes = keyBytes(key)
        const slot = store.findOrInsert(bytes, 0, bytes.length)
        store.setNumber(slot, 0, end)
        index.note(slot, end)
        now.set(key, end)
      }
      for (let step = 0; step < 400; step++) {
        const action = random.below(100)
        if (action < 75) put(`k${random.below(60)}`.repeat(1 + random.below(2)), watermark + random.below(40))
        else if (action < 88) {
          assert.equal(index.next(), now.size === 0 ? Infinity : Math.min(...now.values()))
          watermark += random.below(10)
          const expected = [...now].filter(([, end]) => end <= watermark).sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
          const due = [...index.takeDue(watermark)]
          assert.deepEqual(
            due.map((slot) => keyText(store, slot)),
            expected.map(([key]) => key),
          )
          for (const slot of due) store.delete(slot)
          for (const [key] of expected) now.delete(key)
        } else if (action < 94) {
          store.seal()
          store.committed()
          committed = new Map(now)
        } else if (action < 97) {
          store.rollback()
          now = new Map(committed)
        } else {
          const slices = [...store.snapshot(4096)]
          store = createTableStore(LAYOUT)
          index = new TimeIndex(store, timeColumn(store, 0), stretchMs)
          store.restore(slices)
          now = new Map(committed)
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('keys in order: common prefixes, ended keys, runs of ties', () => {
  const part = fc.constantFrom('', 'a', 'prefix', 'prefix-', '\0', '\0\0', 'zz')
  fc.assert(
    fc.property(fc.array(fc.tuple(part, part, fc.integer({ min: 0, max: 400 })), { maxLength: 300 }), (rows) => {
      const encoded = rows.map(([a, b, n]) => keyBytes(`${a}${b}${n % 3 === 0 ? '' : n}`))
      const bytes = new Uint8Array(encoded.flatMap((key) => [...key]))
      const starts = new Int32Array(rows.length)
      const ends = new Int32Array(rows.length)
      let at = 0
      encoded.forEach((key, index) => {
        starts[index] = at
        ends[index] = at += key.length
      })
      const keys: KeyRanges = { bytes, starts, ends }
      const expected = rows
        .map((_, index) => index)
        .sort((a, b) => Buffer.compare(encoded[a] as Uint8Array, encoded[b] as Uint8Array) || a - b)
      assert.deepEqual([...keyOrder(keys, rows.length)], expected)
      for (let i = 1; i < expected.length; i++) {
        const [a, b] = [expected[i - 1] as number, expected[i] as number]
        assert.ok(compareKeyBytes(bytes, starts[a] as number, ends[a] as number, bytes, starts[b] as number, ends[b] as number) <= 0)
      }
    }),
  )
})

test('seen keys: exact inside the horizon, forgotten behind it, also after a restart from the changelog', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 60 }), (seed, withinMs, disorderMs) => {
      const random = seededRandom(seed)
      const layout = seenKeysLayout('seen', [{ name: 'k', type: { kind: 'i64' }, nullable: false }])
      let store = createTableStore(layout)
      let seen = new SeenKeys(store, withinMs)
      const accepted = new Map<number, number[]>()
      const changelog = new ChangeList()
      let time = 1000
      for (let tick = 0; tick < 40; tick++) {
        const watermark = time - disorderMs
        seen.expire(watermark)
        const count = random.below(30)
        const keys = Float64Array.from({ length: count }, () => random.below(12))
        // Out of order by up to twice what the watermark allows: some rows are late.
        const times = Float64Array.from({ length: count }, () => {
          time += random.below(4)
          return time - random.below(disorderMs * 2)
        })
        const rows = new Int32Array(count)
        const acceptedCount = seen.accept([{ layout: 'f64', values: keys, validity: null }], times, null, count, rows)
        const expected: number[] = []
        for (let row = 0; row < count; row++) {
          const before = accepted.get(keys[row] as number) ?? []
          const at = times[row] as number
          if (before.some((other) => Math.abs(at - other) <= withinMs && other + withinMs >= watermark)) continue
          expected.push(row)
          accepted.set(keys[row] as number, [...before, at])
        }
        assert.deepEqual([...rows.subarray(0, acceptedCount)], expected)
        store.seal()
        store.drainChanges(changelog, Infinity)
        store.committed()
        // A late row may have made a key that is forgotten with the next tick.
        const remembered = [...accepted.values()].filter((all) => Math.max(...all) + withinMs >= watermark).length
        assert.ok(store.rowCount >= remembered && store.rowCount <= accepted.size)
        if (random.chance(0.1)) {
          store = createTableStore(layout)
          seen = new SeenKeys(store, withinMs)
          applyAll(store, changelog.changes)
        }
      }
      seen.expire(Infinity)
      assert.equal(store.rowCount, 0)
    }),
    { numRuns: 60 },
  )
})
