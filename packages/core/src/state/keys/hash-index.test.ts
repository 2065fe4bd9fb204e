import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { hashKey } from './key-hash.ts'
import { layoutOf } from '../rows/layout.ts'
import type { TableStore } from '../store.ts'
import { createTableStore } from '../table-store.ts'

const encoder = new TextEncoder()
const SEED = 1

function store(hashSeed = SEED): TableStore {
  return createTableStore(
    layoutOf('keys', [{ name: 'k', type: { kind: 'string' }, nullable: false }], [{ name: 'v', type: { kind: 'f64' }, nullable: false }]),
    { hashSeed },
  )
}

function find(table: TableStore, key: Uint8Array): number {
  return table.find(key, 0, key.length)
}

function insert(table: TableStore, key: Uint8Array): number {
  return table.findOrInsert(key, 0, key.length)
}

function commit(table: TableStore): void {
  table.seal()
  table.committed()
}

test('keys of every length from 0 to 64 KiB are found again, and their neighbours are not', () => {
  const table = store()
  const random = seededRandom(5)
  const lengths = [...Array(70).keys(), 255, 256, 4095, 65_535, 65_536]
  const keys = lengths.map((length) => Uint8Array.from({ length }, () => random.below(256)))
  const slots = keys.map((key) => insert(table, key))
  assert.equal(new Set(slots).size, keys.length)
  keys.forEach((key, index) => {
    assert.equal(find(table, key), slots[index])
    assert.deepEqual(table.read(slots[index] as number).key(), key)
    if (key.length === 0) return
    const other = key.slice()
    other[key.length - 1] = (other[key.length - 1] as number) ^ 1
    assert.equal(find(table, other), -1)
    assert.equal(find(table, key.subarray(0, key.length - 1)), lengths.includes(key.length - 1) && key.length === 1 ? slots[0] : -1)
  })
})

test('a key and the key with zeros behind it differ', () => {
  const table = store()
  const slots = new Set<number>()
  for (let length = 0; length < 40; length++) slots.add(insert(table, new Uint8Array(length)))
  assert.equal(slots.size, 40)
})

/** Keys with one and the same 32-bit hash: the step of the hash is a bijection of each word, so for any first word there is a second one
 *  that leads to the same state. */
function collidingKeys(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, first) => {
    const key = new Uint8Array(8)
    const state = Math.imul((SEED << 5) ^ first, 0x9e3779b1)
    new DataView(key.buffer).setInt32(0, first, true)
    new DataView(key.buffer).setInt32(4, ((state << 5) | (state >>> 27)) ^ 0x1234567, true)
    return key
  })
}

test('3,000 keys of one hash are kept apart, deleted and found', () => {
  const table = store()
  const keys = collidingKeys(3000)
  const hashes = new Set(keys.map((key) => hashKey(new DataView(key.buffer), 0, 8, SEED)))
  assert.equal(hashes.size, 1)
  const slots = keys.map((key) => insert(table, key))
  keys.forEach((key, index) => assert.equal(find(table, key), slots[index]))
  keys.forEach((key, index) => {
    if (index % 3 === 0) table.delete(find(table, key))
  })
  commit(table)
  keys.forEach((key, index) => assert.equal(find(table, key), index % 3 === 0 ? -1 : slots[index]))
})

test('growth through many tables loses nothing, and deleting everything gives the memory back', () => {
  const table = store()
  const count = 300_000
  const keys = Array.from({ length: count }, (_, index) => encoder.encode(`key ${index}`))
  for (const key of keys) insert(table, key)
  commit(table)
  assert.equal(table.rowCount, count)
  const full = table.bytes()
  const slots = keys.map((key) => find(table, key))
  assert.equal(new Set(slots).size, count)
  assert.ok(!slots.includes(-1))
  for (let index = 0; index < count; index += 2) table.delete(slots[index] as number)
  commit(table)
  keys.forEach((key, index) => assert.equal(find(table, key), index % 2 === 0 ? -1 : slots[index]))
  for (let index = 1; index < count; index += 2) table.delete(slots[index] as number)
  // Images of a tick are kept for the next but one.
  for (let tick = 0; tick < 3; tick++) commit(table)
  assert.equal(table.rowCount, 0)
  assert.ok(table.bytes() < full / 4, `${table.bytes()} of ${full} bytes are left`)
  for (const key of keys.slice(0, 1000)) insert(table, key)
  assert.equal(table.rowCount, 1000)
})

test('batches give the slots that single calls give, repeats and missing keys included', () => {
  const random = seededRandom(11)
  const [single, batch] = [store(), store()]
  const data = new Uint8Array(200_000)
  const [starts, ends] = [new Int32Array(5000), new Int32Array(5000)]
  let at = 0
  for (let i = 0; i < starts.length; i++) {
    const key = encoder.encode(`${'x'.repeat(random.below(20))}${random.below(1500)}`)
    data.set(key, at)
    starts[i] = at
    ends[i] = at += key.length
  }
  const rows = Int32Array.from({ length: 4000 }, (_, index) => index + (index % 7))
  const expected = Array.from(rows, (row) => single.findOrInsert(data, starts[row] as number, ends[row] as number))
  const slots = new Int32Array(rows.length)
  batch.findOrInsertAll(data, starts, ends, rows, rows.length, slots)
  assert.deepEqual([...slots], expected)
  assert.equal(batch.newCount, new Set(expected).size)
  const found = new Int32Array(starts.length)
  batch.findAll(data, starts, ends, null, starts.length, found)
  found.forEach((slot, row) => assert.equal(slot, single.find(data, starts[row] as number, ends[row] as number)))
})

test('a store of constant size keeps its memory, through updates, deletes, rollbacks and commits', () => {
  const table = createTableStore(
    layoutOf(
      'notes',
      [{ name: 'k', type: { kind: 'string' }, nullable: false }],
      [{ name: 'note', type: { kind: 'string' }, nullable: true }],
    ),
  )
  const random = seededRandom(2)
  const note = new Uint8Array(20_000)
  const churn = (): void => {
    for (let step = 0; step < 400; step++) {
      const key = encoder.encode(`${random.below(60)}`.padEnd(80))
      const slot = insert(table, key)
      if (random.chance(0.2)) table.delete(slot)
      else table.setBytes(slot, 0, note, 0, 10_000 + random.below(10_000))
    }
    if (random.chance(0.3)) table.rollback()
    else commit(table)
  }
  for (let tick = 0; tick < 30; tick++) churn()
  const bytes = table.bytes()
  for (let tick = 0; tick < 90; tick++) churn()
  assert.ok(table.bytes() < bytes * 1.5, `${bytes} bytes grew to ${table.bytes()}`)
})
