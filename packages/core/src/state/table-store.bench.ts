// What stores do per second on one core. Run: node --conditions=mr-source packages/core/src/state/table-store.bench.ts [rounds] [name]
// Each line is the median of its rounds, with the lowest and the highest; every result is checked against counts kept in plain arrays.
import assert from 'node:assert/strict'
import { systemClock } from '../base/clock.ts'
import { seededRandom } from '../base/random.ts'
import type { Column, Field } from '../codec/column.ts'
import { RecordBatchBuilder } from '../codec/record-batch.ts'
import { layoutOf } from './rows/layout.ts'
import type { ChangeWriter, TableStore } from './store.ts'
import { createTableStore } from './table-store.ts'

const BATCH_ROWS = 1000
const ROUND_ROWS = 4_000_000
const DRAIN_ROWS = 5000
const ROUNDS = Number(process.argv[2] ?? 5)
const ONLY = process.argv[3] ?? ''
const SEED = 7

const id: Field = { name: 'id', type: { kind: 'i64' }, nullable: false }
const user: Field = { name: 'user', type: { kind: 'string' }, nullable: false }
const aggregates: readonly Field[] = ['count', 'sum', 'min', 'max', 'last'].map((name) => ({
  name,
  type: { kind: 'f64' },
  nullable: false,
}))

interface Input {
  readonly batches: readonly Column[]
  /** How often each key stands in all batches. */
  readonly counts: Int32Array
}

function numberInput(keys: number): Input {
  const random = seededRandom(SEED)
  const counts = new Int32Array(keys)
  const batches = Array.from({ length: Math.max(200, (keys * 2) / BATCH_ROWS) }, (): Column => {
    const values = Float64Array.from({ length: BATCH_ROWS }, () => random.below(keys))
    for (const value of values) counts[value] = (counts[value] as number) + 1
    return { layout: 'f64', values, validity: null }
  })
  return { batches, counts }
}

/** Keys of 14 bytes. */
function stringInput(keys: number): Input {
  const numbers = numberInput(keys)
  const encoder = new TextEncoder()
  const batches = numbers.batches.map((column): Column => {
    assert(column.layout === 'f64')
    const text = Array.from(column.values, (value) => `user-${String(value).padStart(9, '0')}`).join('')
    return {
      layout: 'bytes',
      data: encoder.encode(text),
      offsets: Int32Array.from({ length: BATCH_ROWS + 1 }, (_, index) => index * 14),
      validity: null,
    }
  })
  return { batches, counts: numbers.counts }
}

/** Median, lowest and highest of `ROUNDS` runs, each returning units per millisecond. */
function measure(name: string, unit: string, round: () => number): void {
  if (!name.includes(ONLY)) return
  round()
  const values = Array.from({ length: ROUNDS }, round).toSorted((a, b) => a - b)
  const [low, middle, high] = [values[0], values[ROUNDS >> 1], values.at(-1)].map((value) => ((value as number) / 1000).toFixed(1))
  console.log(`${name.padEnd(52)} ${(middle as string).padStart(7)} ${unit}  [${low} .. ${high}]`)
}

function timed(units: number, work: () => void): number {
  const start = systemClock.monotonicMs()
  work()
  return units / (systemClock.monotonicMs() - start)
}

function lookups(name: string, field: Field, input: Input): void {
  const store = createTableStore(layoutOf('s', [field], aggregates))
  const slots = new Int32Array(BATCH_ROWS)
  for (const batch of input.batches) store.findOrInsertColumns([batch], null, BATCH_ROWS, slots)
  store.seal()
  store.committed()
  assert.equal(store.rowCount, input.counts.filter((count) => count > 0).length)
  measure(`look-up, ${name}`, 'M/s', () =>
    timed(ROUND_ROWS, () => {
      for (let done = 0, at = 0; done < ROUND_ROWS; done += BATCH_ROWS, at++)
        store.findColumns([input.batches[at % input.batches.length] as Column], null, BATCH_ROWS, slots)
    }),
  )
}

/** count, sum, min, max and last value of each key: what a windowless aggregate does. */
function aggregate(store: TableStore, column: Column, slots: Int32Array): void {
  store.findOrInsertColumns([column], null, BATCH_ROWS, slots)
  store.touchAll(slots, BATCH_ROWS)
  const { floats, pageBits, pageMask, stride } = store.rows
  const first = store.format.laneWord >> 1
  const half = stride >> 1
  for (let i = 0; i < BATCH_ROWS; i++) {
    const slot = slots[i] as number
    const page = floats[slot >>> pageBits] as Float64Array
    const at = (slot & pageMask) * half + first
    const count = (page[at] as number) + 1
    page[at] = count
    page[at + 1] = (page[at + 1] as number) + i
    if (count === 1 || i < (page[at + 2] as number)) page[at + 2] = i
    if (count === 1 || i > (page[at + 3] as number)) page[at + 3] = i
    page[at + 4] = i
  }
}

function updates(name: string, field: Field, input: Input, sealEvery: number, builds: boolean): void {
  const store = createTableStore(layoutOf('s', [field], aggregates))
  const slots = new Int32Array(BATCH_ROWS)
  const key = Uint8Array.of(1, 0, 7)
  let drained = 0
  const builder = new RecordBatchBuilder(1 << 20)
  const dropped = (): void => assert.fail('no region was dropped')
  const into: ChangeWriter = { dropped, rows: (bytes, end) => builder.appendRange(key, 0, 3, bytes, 0, end, 0) }
  const counter: ChangeWriter = { dropped, rows: (_, end) => void (drained += end) }
  let sliceMsMax = 0
  let batchCount = 0
  const commit = (): void => {
    store.seal()
    for (let done = false; !done;) {
      const start = systemClock.monotonicMs()
      done = store.drainChanges(builds ? into : counter, DRAIN_ROWS)
      if (builder.bytes > 1 << 20) {
        builder.finish({ copy: false })
        builder.reset()
      }
      sliceMsMax = Math.max(sliceMsMax, systemClock.monotonicMs() - start)
    }
    store.committed()
  }
  for (const batch of input.batches) aggregate(store, batch, slots)
  batchCount += input.batches.length
  commit()
  sliceMsMax = 0
  measure(`aggregate, ${name}`, 'M/s', () =>
    timed(ROUND_ROWS, () => {
      for (let done = 0; done < ROUND_ROWS; done += BATCH_ROWS) {
        aggregate(store, input.batches[batchCount++ % input.batches.length] as Column, slots)
        if ((done + BATCH_ROWS) % sealEvery === 0) commit()
      }
    }),
  )
  let total = 0
  store.scan(0, Infinity, (slot) => (total += store.read(slot).number(0)))
  assert.equal(total, batchCount * BATCH_ROWS)
  if (name.includes(ONLY))
    console.log(
      `${''.padEnd(10)}rows ${store.rowCount}, ${Math.round(store.bytes() / 1e6)} MB, longest drain of ${DRAIN_ROWS} rows ${sliceMsMax.toFixed(1)} ms`,
    )
}

/** Dump, restore and replay of a changelog: `keys` keys of 16 bytes with three numbers. */
function restores(keys: number): void {
  if (!'restore'.includes(ONLY)) return
  const layout = layoutOf('s', [user], aggregates.slice(0, 3))
  const store = createTableStore(layout)
  const key = new Uint8Array(16)
  const view = new DataView(key.buffer)
  const changes: Uint8Array[] = []
  for (let i = 0; i < keys; i++) {
    view.setUint32(0, Math.imul(i, 0x9e3779b1), true)
    view.setUint32(8, i, true)
    const slot = store.findOrInsert(key, 0, 16)
    for (let column = 0; column < 3; column++) store.setNumber(slot, column, i + column)
  }
  store.seal()
  store.drainChanges(
    { dropped: () => assert.fail('no region was dropped'), rows: (bytes, end) => void changes.push(bytes.slice(0, end)) },
    Infinity,
  )
  store.committed()
  const slices: Uint8Array[] = []
  let pauseMsMax = 0
  const report = (name: string, ms: number): void =>
    console.log(
      `${`${name}, ${keys / 1e6} M keys`.padEnd(52)} ${(ms / 1000).toFixed(2).padStart(7)} s    ${(keys / ms / 1000).toFixed(1)} M/s`,
    )
  const dumpStart = systemClock.monotonicMs()
  for (let slice = store.snapshot(1 << 20)[Symbol.iterator](), last = dumpStart; ;) {
    const next = slice.next()
    const now = systemClock.monotonicMs()
    pauseMsMax = Math.max(pauseMsMax, now - last)
    last = now
    if (next.done === true) break
    slices.push(next.value)
  }
  report('dump', systemClock.monotonicMs() - dumpStart)
  const bytes = slices.reduce((sum, slice) => sum + slice.length, 0)
  console.log(
    `${''.padEnd(10)}${Math.round(bytes / 1e6)} MB, store ${Math.round(store.bytes() / 1e6)} MB, longest slice ${pauseMsMax.toFixed(1)} ms`,
  )
  const restored = createTableStore(layout)
  const restoreStart = systemClock.monotonicMs()
  restored.restore(slices)
  report('restore', systemClock.monotonicMs() - restoreStart)
  slices.length = 0
  const replayed = createTableStore(layout)
  const replayStart = systemClock.monotonicMs()
  for (const block of changes) replayed.applyRows(block, 0, block.length)
  report('replay', systemClock.monotonicMs() - replayStart)
  for (const table of [restored, replayed]) {
    assert.equal(table.rowCount, keys)
    for (let i = 0; i < keys; i += 9973) {
      view.setUint32(0, Math.imul(i, 0x9e3779b1), true)
      view.setUint32(8, i, true)
      const row = table.read(table.find(key, 0, 16))
      assert.deepEqual([row.number(0), row.number(1), row.number(2)], [i, i + 1, i + 2])
    }
  }
}

function inputs(): void {
  if (ONLY === 'restore') return
  const sets = [
    ['10 k keys, numbers', id, numberInput(10_000)],
    ['10 k keys, 14 bytes', user, stringInput(10_000)],
    ['1 M keys, numbers', id, numberInput(1_000_000)],
    ['1 M keys, 14 bytes', user, stringInput(1_000_000)],
  ] as const
  for (const [name, field, input] of sets) lookups(name, field, input)
  for (const [name, field, input] of sets) {
    updates(`${name}, commit per 1 M rows, drained`, field, input, 1_000_000, false)
    updates(`${name}, the same into record batches`, field, input, 1_000_000, true)
  }
}

inputs()
restores(10_000_000)
