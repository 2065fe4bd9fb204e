// Laws ST-1 to ST-4 of store.ts over random interleavings, against maps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom, type Random } from '../base/random.ts'
import type { TableStore } from './store.ts'
import { createTableStore } from './table-store.ts'
import {
  applyAll,
  ChangeList,
  type Change,
  committedContents,
  contents,
  keyBytes,
  LAYOUT,
  type Model,
  type ModelRow,
  putRow,
  rowOf,
  sorted,
} from './table-store.fixture.ts'

const LAST_TICKS = 0x7fff_fff0 - 5
const PREFIXES = ['window a', 'window b', 'earlier.']

function randomKey(random: Random, keys: number, hasRegions: boolean): string {
  return hasRegions ? random.pick(PREFIXES) + plainKey(random, Math.ceil(keys / 2)) : plainKey(random, keys)
}

function plainKey(random: Random, keys: number): string {
  const n = random.below(keys)
  if (n === 0) return ''
  return n % 7 === 0 ? `${n}`.padStart(60, 'long key ') : `k${n}`
}

function randomRow(random: Random): ModelRow {
  const total = random.below(40) === 0 ? 2n ** 62n - BigInt(random.below(1000)) : BigInt(random.below(1_000_000) - 500_000)
  const note = random.chance(0.3) ? null : 'n'.repeat(random.below(random.chance(0.1) ? 400 : 12)) + String(random.below(3))
  return { count: random.below(5), total: random.chance(0.3) ? null : total, note, open: random.chance(0.5) }
}

/** Keys whose rows differ, with the newest row. */
function differences(before: Model, after: Model): Map<string, ModelRow | null> {
  const changed = new Map<string, ModelRow | null>()
  for (const [key, row] of after) {
    const old = before.get(key)
    if (old === undefined || JSON.stringify(flat(old)) !== JSON.stringify(flat(row))) changed.set(key, row)
  }
  for (const key of before.keys()) if (!after.has(key)) changed.set(key, null)
  return changed
}

function flat(row: ModelRow): unknown[] {
  return [row.count, row.total?.toString() ?? null, row.note, row.open]
}

/** One run: the store beside three maps (last commit, sealed, now), a compacted changelog, and at most one dump under way. */
class Run {
  readonly random: Random
  readonly keys: number
  readonly hasRegions: boolean
  readonly store: TableStore
  committed: Model = new Map()
  sealed: Model | null = null
  now: Model = new Map()
  drained = new ChangeList()
  isDrained = false
  dump: { slices: Uint8Array[]; source: Iterator<Uint8Array>; tail: Change[]; done: boolean } | null = null

  constructor(seed: number, keys: number) {
    this.random = seededRandom(seed)
    this.keys = keys
    // Now and then the numbers of ticks run out on the way.
    this.hasRegions = this.random.chance(0.5)
    this.store = createTableStore(LAYOUT, { firstTick: this.random.chance(0.3) ? LAST_TICKS : 1, regions: this.hasRegions })
  }

  step(): void {
    const { random } = this
    const action = random.below(100)
    if (action < 45) this.put()
    else if (action < 60) this.remove()
    else if (action < 63) this.touch()
    else if (action < 66) this.drop()
    else if (action < 72) this.seal()
    else if (action < 80) this.drain(random.below(20))
    else if (action < 88) this.commit()
    else if (action < 91) this.rollback()
    else this.dumpStep()
  }

  put(): void {
    const key = randomKey(this.random, this.keys, this.hasRegions)
    const row = randomRow(this.random)
    const bytes = keyBytes(`..${key}`)
    const slot = this.store.findOrInsert(bytes, 2, bytes.length)
    assert.equal(this.store.wasNew, !this.now.has(key))
    if (this.store.wasNew) assert.deepEqual(rowOf(this.store.read(slot)), { count: 0, total: null, note: null, open: false })
    putRow(this.store, slot, row)
    this.now.set(key, row)
  }

  find(key: string): number {
    const bytes = keyBytes(key)
    return this.store.find(bytes, 0, bytes.length)
  }

  remove(): void {
    const key = randomKey(this.random, this.keys, this.hasRegions)
    const slot = this.find(key)
    assert.equal(slot >= 0, this.now.has(key))
    if (slot < 0) return
    this.store.delete(slot)
    this.now.delete(key)
  }

  drop(): void {
    if (this.store.regions.length === 0) return
    const region = this.random.pick(this.store.regions)
    const prefix = new TextDecoder().decode(new Uint8Array(Int32Array.of(region.first, region.second).buffer))
    const keys = [...this.now.keys()].filter((key) => key.startsWith(prefix)).sort()
    const listed = [...this.store.slotsOf(region)].map((slot) => new TextDecoder().decode(this.store.read(slot).key()))
    assert.deepEqual(listed, keys)
    assert.equal(region.rowCount, keys.length)
    this.store.dropRegion(region)
    for (const key of keys) this.now.delete(key)
  }

  touch(): void {
    const slot = this.find(randomKey(this.random, this.keys, this.hasRegions))
    if (slot >= 0) this.store.touch(slot)
  }

  seal(): void {
    if (this.sealed !== null) return
    this.store.seal()
    this.sealed = new Map(this.now)
    this.drained = new ChangeList()
    this.isDrained = false
  }

  drain(rowsMax: number): void {
    if (this.sealed === null || this.isDrained) return
    this.isDrained = this.store.drainChanges(this.drained, rowsMax)
  }

  commit(): void {
    if (this.sealed === null) return
    while (!this.isDrained) this.drain(7)
    this.checkDrained(this.sealed)
    this.store.committed()
    this.committed = this.sealed
    this.sealed = null
    this.dump?.tail.push(...this.drained.changes)
  }

  /** ST-3 */
  checkDrained(sealed: Model): void {
    const expected = differences(this.committed, sealed)
    const drops = this.drained.drops()
    assert.equal(new Set(drops).size, drops.length)
    const isDropped = (key: string): boolean => drops.some((prefix) => key.startsWith(prefix))
    // Keys of a region that is gone are named if they came again, and only then.
    const named = [...expected.keys()].filter((key) => !isDropped(key))
    const again = [...sealed.keys()].filter(isDropped)
    assert.deepEqual(this.drained.names(LAYOUT).sort(), [...named, ...again].sort())
    const reader = createTableStore(LAYOUT, { regions: this.hasRegions })
    for (const [key, row] of this.committed) {
      const bytes = keyBytes(key)
      putRow(reader, reader.findOrInsert(bytes, 0, bytes.length), row)
    }
    reader.seal()
    reader.committed()
    applyAll(reader, this.drained.changes)
    assert.deepEqual(sorted(contents(reader)), sorted(sealed))
  }

  rollback(): void {
    this.store.rollback()
    this.now = new Map(this.committed)
    this.sealed = null
    // ST-1
    assert.deepEqual(sorted(contents(this.store)), sorted(this.committed))
  }

  dumpStep(): void {
    if (this.dump === null) {
      this.dump = { slices: [], source: this.store.snapshot(4096)[Symbol.iterator](), tail: [], done: false }
      return
    }
    if (!this.dump.done) {
      const next = this.dump.source.next()
      if (next.done === true) this.dump.done = true
      else this.dump.slices.push(next.value.slice())
      return
    }
    this.checkDump()
    this.dump = null
  }

  /** ST-2 */
  checkDump(): void {
    if (this.dump === null) return
    const restored = createTableStore(LAYOUT, { hashSeed: 99, regions: this.hasRegions })
    restored.restore(this.dump.slices)
    applyAll(restored, this.dump.tail)
    assert.deepEqual(sorted(contents(restored)), sorted(this.committed))
    assert.equal(restored.rowCount, this.committed.size)
    assert.equal(restored.committedCount, this.committed.size)
  }

  check(): void {
    assert.equal(this.store.rowCount, this.now.size)
    assert.deepEqual(sorted(contents(this.store)), sorted(this.now))
    // ST-4
    assert.equal(this.store.committedCount, this.committed.size)
    assert.deepEqual(sorted(committedContents(this.store)), sorted(this.committed))
    const key = randomKey(this.random, this.keys, this.hasRegions)
    const bytes = keyBytes(key)
    const slot = this.store.findCommitted(bytes, 0, bytes.length)
    const row = slot < 0 ? null : this.store.readCommitted(slot)
    assert.deepEqual(row === null ? undefined : rowOf(row), this.committed.get(key))
    for (let index = 0; index < this.store.changedCount; index++) {
      const name = new TextDecoder().decode(this.store.read(this.store.changedSlot(index)).key())
      const before = this.store.readBefore(index)
      assert.deepEqual(before === null ? undefined : rowOf(before), (this.sealed ?? this.committed).get(name))
    }
  }
}

function run(seed: number, keys: number, steps: number, checkEvery: number): Run {
  const state = new Run(seed, keys)
  for (let step = 0; step < steps; step++) {
    state.step()
    if (step % checkEvery === 0) state.check()
  }
  while (state.dump !== null && !state.dump.done) state.dumpStep()
  state.checkDump()
  state.check()
  return state
}

test('ST-1 to ST-4 hold over random interleavings of few keys', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 2, max: 12 }), (seed, keys) => {
      run(seed, keys, 150, 5)
    }),
    { numRuns: 150 },
  )
})

test('ST-1 to ST-4 hold over random interleavings of many keys', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      run(seed, 600, 2500, 250)
    }),
    { numRuns: 12 },
  )
})

test('the same calls give the same slots in the same order, whatever the hash', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ maxLength: 24 }), fc.boolean()), { maxLength: 300 }), fc.integer(), (calls, hashSeed) => {
      const order = [createTableStore(LAYOUT), createTableStore(LAYOUT, { hashSeed })].map((store) => {
        for (const [key, isDelete] of calls) {
          const bytes = keyBytes(key)
          if (!isDelete) store.findOrInsert(bytes, 0, bytes.length)
          else if (store.find(bytes, 0, bytes.length) >= 0) store.delete(store.find(bytes, 0, bytes.length))
          if (key.length === 3) {
            store.seal()
            store.committed()
          }
        }
        const slots: [number, string][] = []
        store.scan(0, Infinity, (slot) => slots.push([slot, new TextDecoder().decode(store.read(slot).key())]))
        return slots
      })
      assert.deepEqual(order[0], order[1])
    }),
  )
})
