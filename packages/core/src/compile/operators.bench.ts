// What operators do per second on one core, from columns in memory. Run:
//   node --conditions=mr-source packages/core/src/compile/operators.bench.ts [rounds] [name]
// Each line is the median of its rounds, with the lowest and the highest; every result is checked against counts kept in plain arrays.
import assert from 'node:assert/strict'
import { systemClock } from '../base/clock.ts'
import { must } from '../base/assert.ts'
import { seededRandom } from '../base/random.ts'
import type { Batch, Column } from '../codec/column.ts'
import { RecordBatchBuilder } from '../codec/record-batch.ts'
import type { ChangeWriter } from '../state/store.ts'
import type { Plan } from '../plan/node.ts'
import { count, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { Runner } from './harness.fixture.ts'

const BATCH_ROWS = 2000
const ROUND_ROWS = 4_000_000
const TICK_ROWS = 200_000
const ROUNDS = Number(process.argv[2] ?? 5)
const ONLY = process.argv[3] ?? ''
const DRAIN_ROWS = 4096
const WINDOW_MS = 60_000
const ROWS_OF_TABLE = 100_000

interface Source {
  readonly batches: readonly Batch[]
  /** Rows per key. */
  readonly counts: Float64Array
}

const f64 = (values: Float64Array): Column => ({ layout: 'f64', values, validity: null })

function batch(columns: readonly Column[], times: Float64Array): Batch {
  return {
    rowCount: times.length,
    columns,
    times,
    weights: null,
    selected: null,
    selectedCount: times.length,
    origin: null,
    originRows: null,
    values: null,
  }
}

/** Rows (key, price, at); times go on by `stepMs` per row. */
function numbers(keys: number, rows: number, stepMs: number): Source {
  const random = seededRandom(7)
  const counts = new Float64Array(keys)
  let at = 0
  const batches: Batch[] = []
  for (let done = 0; done < rows; done += BATCH_ROWS) {
    const key = Float64Array.from({ length: BATCH_ROWS }, () => random.below(keys))
    for (const each of key) counts[each] = (counts[each] as number) + 1
    const price = Float64Array.from({ length: BATCH_ROWS }, () => random.below(1000))
    const times = Float64Array.from({ length: BATCH_ROWS }, () => Math.floor((at += stepMs)))
    batches.push(batch([f64(key), f64(price), f64(times)], times))
  }
  return { batches, counts }
}

const encoder = new TextEncoder()

/** The same with texts of 14 bytes as keys, each batch with its dictionary, or as bytes. */
function texts(source: Source, layout: 'dictionary' | 'bytes'): Source {
  const batches = source.batches.map((each): Batch => {
    const [key, ...others] = each.columns
    assert(key !== null && key !== undefined && key.layout === 'f64')
    const names = Array.from(key.values, (value) => `user-${String(value).padStart(9, '0')}`)
    if (layout === 'bytes') {
      const column: Column = {
        layout,
        offsets: Int32Array.from({ length: names.length + 1 }, (_, i) => i * 14),
        data: encoder.encode(names.join('')),
        validity: null,
      }
      return batch([column, ...(others as Column[])], each.times)
    }
    const distinct = [...new Set(names)]
    const ids = new Map(distinct.map((name, id) => [name, id]))
    const dictionary = {
      layout: 'bytes' as const,
      offsets: Int32Array.from({ length: distinct.length + 1 }, (_, i) => i * 14),
      data: encoder.encode(distinct.join('')),
      validity: null,
    }
    return batch(
      [
        {
          layout,
          ids: Int32Array.from(names, (name) => must(ids.get(name), 'id')),
          dictionary,
          dictionaryCount: distinct.length,
          validity: null,
        },
        ...(others as Column[]),
      ],
      each.times,
    )
  })
  return { batches, counts: source.counts }
}

function measure(name: string, round: () => number): void {
  if (!name.includes(ONLY)) return
  round()
  const values = Array.from({ length: ROUNDS }, round).toSorted((a, b) => a - b)
  const [low, middle, high] = [values[0], values[ROUNDS >> 1], values.at(-1)].map((value) => ((value as number) / 1e6).toFixed(1))
  console.log(`${name.padEnd(64)} ${(middle as string).padStart(7)} M rows/s  [${low} .. ${high}]`)
}

function planOf(key: 'number' | 'text', emit: 'update' | 'close' | 'unwindowed'): Plan {
  const fields = { key: key === 'number' ? t.i64() : t.string(), price: t.i64(), at: t.time() }
  const input = topic('input', { value: t.object(fields), eventTime: 'at' })
  return pipeline('bench', (mill) => {
    const grouped = mill.from(input).groupBy('key')
    if (emit === 'unwindowed')
      grouped
        .aggregate({ n: count(), total: sum('price') }, { name: 'groups' })
        .to(topic('out', { value: t.object({ n: t.i64() }), compacted: true }))
    else
      grouped
        .window(tumbling({ sizeMs: WINDOW_MS }))
        .aggregate({ n: count() }, { name: 'groups', emit })
        .to(topic('out', { value: t.object({ n: t.i64() }), compacted: true }))
  }).plan
}

/** Runs batches in ticks of `TICK_ROWS` and drains the changelog; `warm` leaves the first run, which makes the groups, out of the figure. */
function aggregate(plan: Plan, source: Source, rows: number, warm = false): number {
  const runner = new Runner(plan, { count: true })
  if (warm) runTicks(runner, source, rows)
  const perSecond = runTicks(runner, source, rows)
  if (warm) check(runner, source, (rows / (source.batches.length * BATCH_ROWS)) * 2)
  return perSecond
}

/** Every key has been counted as often as it stands in the batches, `times` over. */
function check(runner: Runner, source: Source, times: number): void {
  let groups = 0
  for (const row of runner.rows('groups')) {
    assert.equal(row['n'], (source.counts[row['key'] as number] as number) * times)
    groups++
  }
  assert.equal(groups, source.counts.filter((each) => each > 0).length)
}

function runTicks(runner: Runner, source: Source, rows: number): number {
  const builder = new RecordBatchBuilder(4096)
  const key = new Uint8Array(3)
  const writer: ChangeWriter = {
    dropped: () => builder.append(key, null, 0),
    rows: (bytes, end) => builder.appendRange(key, 0, 3, bytes, 0, end, 0),
  }
  const started = systemClock.monotonicMs()
  let watermark = 0
  let at = 0
  for (let done = 0; done < rows;) {
    runner.run(watermark, (process) => {
      for (let inTick = 0; inTick < TICK_ROWS && done < rows; inTick += BATCH_ROWS, done += BATCH_ROWS) {
        const each = source.batches[at++ % source.batches.length] as Batch
        process(0, each)
        watermark = each.times[0] as number
      }
    })
    for (const store of runner.stores.values()) {
      store.seal()
      while (!store.drainChanges(writer, DRAIN_ROWS)) if (builder.bytes > 1 << 20) builder.reset()
      builder.reset()
      store.committed()
    }
  }
  return rows / ((systemClock.monotonicMs() - started) / 1000)
}

/** Made when it is first asked for. */
function lazy<T>(make: () => T): () => T {
  let made: T | null = null
  return () => (made ??= make())
}

const per10k = lazy(() => numbers(10_000, ROUND_ROWS, WINDOW_MS / 1_000_000))
const per1M = lazy(() => numbers(1_000_000, ROUND_ROWS, WINDOW_MS / ROUND_ROWS))
const dictionaries10k = lazy(() => texts(per10k(), 'dictionary'))
const dictionaries300 = lazy(() => texts(numbers(300, ROUND_ROWS, WINDOW_MS / 1_000_000), 'dictionary'))
const texts10k = lazy(() => texts(per10k(), 'bytes'))
const joined = lazy(() => join(numbers(ROWS_OF_TABLE, ROUND_ROWS / 2, 1)))

function joinPlan(): Plan {
  const input = topic('input', { value: t.object({ key: t.i64(), price: t.i64(), at: t.time() }), eventTime: 'at' })
  const table = topic('table', { value: t.object({ id: t.i64(), city: t.string(), lat: t.f64() }), key: 'id' })
  return pipeline('bench', (mill) => {
    mill
      .from(input)
      .join(mill.table(table), { on: { key: 'id' }, name: 'with-city' })
      .to(topic('out', { value: t.object({ key: t.i64() }) }))
  }).plan
}

/** Looks rows up in a table of 100 k rows that knows every second key, and gathers a text and a number. */
function join(source: Source): () => number {
  const runner = new Runner(joinPlan(), { count: true })
  const at = runner.part.inputs.findIndex((each) => each.kind === 'source' && each.table)
  const ids = Float64Array.from({ length: ROWS_OF_TABLE }, (_, row) => row)
  const names = Array.from(ids, (id) => `city-${String(id).padStart(7, '0')}`)
  const city: Column = {
    layout: 'bytes',
    offsets: Int32Array.from({ length: ROWS_OF_TABLE + 1 }, (_, i) => i * 12),
    data: encoder.encode(names.join('')),
    validity: null,
  }
  runner.tick(0, (process) => process(at, batch([f64(ids), city, f64(ids)], new Float64Array(ROWS_OF_TABLE))))
  let expected = 0
  source.counts.forEach((each, key) => (expected += key < ROWS_OF_TABLE ? each : 0))
  return () => {
    runner.emittedCount = 0
    const started = systemClock.monotonicMs()
    runner.tick(0, (process) => {
      for (const each of source.batches) process(1 - at, each)
    })
    const seconds = (systemClock.monotonicMs() - started) / 1000
    assert.equal(runner.emittedCount, expected)
    return (source.batches.length * BATCH_ROWS) / seconds
  }
}

measure('count per key and minute, 10 k keys, numbers, close', () => aggregate(planOf('number', 'close'), per10k(), ROUND_ROWS))
measure('count per key and minute, 10 k keys, numbers, update', () => aggregate(planOf('number', 'update'), per10k(), ROUND_ROWS))
measure('count per key and minute, 10 k keys, dictionary texts, close', () =>
  aggregate(planOf('text', 'close'), dictionaries10k(), ROUND_ROWS),
)
measure('count per key and minute, 300 keys, dictionary texts, close', () =>
  aggregate(planOf('text', 'close'), dictionaries300(), ROUND_ROWS),
)
measure('count per key and minute, 10 k keys, texts, close', () => aggregate(planOf('text', 'close'), texts10k(), ROUND_ROWS))
measure('count, sum per key, 10 k keys, numbers, update', () => aggregate(planOf('number', 'unwindowed'), per10k(), ROUND_ROWS, true))
measure('count, sum per key, 1 M keys, numbers, update', () => aggregate(planOf('number', 'unwindowed'), per1M(), ROUND_ROWS, true))
measure('count, sum per key, 1 M keys, numbers, update, from empty', () => aggregate(planOf('number', 'unwindowed'), per1M(), ROUND_ROWS))
measure('count per key and minute, 1 M keys, numbers, update', () => aggregate(planOf('number', 'update'), per1M(), ROUND_ROWS))
measure('join with a table of 100 k rows, text and number gathered', () => joined()())
