// The groups found through the memo are those of a plain map, also when the numbers of the memo's entries begin anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Column, Field, FieldType } from '../codec/column.ts'
import { layoutOf } from '../state/rows/layout.ts'
import { createTableStore } from '../state/table-store.ts'
import type { TableStore } from '../state/store.ts'
import { GroupSlots } from './window-groups.ts'

function field(name: string, kind: 'i64' | 'time' | 'string' | 'f64'): Field {
  const type: FieldType = { kind }
  return { name, type, nullable: false }
}

function storeOf(key: Field): TableStore {
  return createTableStore(layoutOf('s', [field('start', 'time'), key], [field('v', 'f64')]), { regions: true })
}

const encoder = new TextEncoder()
const WORDS = ['', 'a', 'b', 'four', 'a longer text']

/** A dictionary of all words, or each row's own bytes. */
function words(keys: readonly number[], asDictionary: boolean): Column {
  const texts = (asDictionary ? WORDS.map((_, id) => id) : keys).map((id) => encoder.encode(WORDS[id] as string))
  const offsets = new Int32Array(texts.length + 1)
  texts.forEach((text, index) => (offsets[index + 1] = (offsets[index] as number) + text.length))
  const bytes = {
    layout: 'bytes' as const,
    offsets,
    data: new Uint8Array([...texts.flatMap((text) => [...text]), 0, 0, 0, 0]),
    validity: null,
  }
  if (!asDictionary) return bytes
  return { layout: 'dictionary', ids: Int32Array.from(keys), dictionary: bytes, dictionaryCount: WORDS.length, validity: null }
}

const rows = fc.array(fc.record({ start: fc.nat(3), key: fc.nat(4) }), { maxLength: 40 })

test('groups are those of a map, for any largest number', () => {
  const kinds = fc.constantFrom('number' as const, 'dictionary' as const, 'bytes' as const)
  fc.assert(
    fc.property(kinds, fc.integer({ min: 1, max: 12 }), fc.array(rows, { maxLength: 12 }), (kind, epochsMax, batches) => {
      const key = field('key', kind === 'number' ? 'i64' : 'string')
      const groups = new GroupSlots(storeOf(key), true, [key], epochsMax)
      const known = new Map<string, number>()
      for (const batch of batches) {
        const starts = Float64Array.from(batch, ({ start }) => start * 1000)
        const keys = batch.map((row) => row.key)
        const column: Column =
          kind === 'number' ? { layout: 'f64', values: Float64Array.from(keys), validity: null } : words(keys, kind === 'dictionary')
        const order = Int32Array.from(batch, (_, index) => index)
        const slots = new Int32Array(batch.length)
        groups.find(starts, [column], order, batch.length, slots)
        for (const [index, row] of batch.entries()) {
          const name = `${row.start} ${row.key}`
          const slot = known.get(name) ?? (slots[index] as number)
          assert.ok(known.has(name) || ![...known.values()].includes(slot), 'a group of its own')
          known.set(name, slot)
          assert.equal(slots[index], slot)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('the memo goes on to answer when the numbers of its entries are used up', (t) => {
  const key = field('key', 'i64')
  const store = storeOf(key)
  const lookups = t.mock.method(store, 'findOrInsertPairs')
  const groups = new GroupSlots(store, true, [key], 8)
  const find = (start: number): number => {
    const before = lookups.mock.callCount()
    groups.find(
      Float64Array.of(start),
      [{ layout: 'f64', values: Float64Array.of(7), validity: null }],
      Int32Array.of(0),
      1,
      new Int32Array(1),
    )
    return lookups.mock.callCount() - before
  }
  for (let start = 0; start < 100; start++) assert.deepEqual([find(start), find(start)], [1, 0], `window ${start}`)
})
