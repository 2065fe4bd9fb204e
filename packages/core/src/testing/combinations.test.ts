// Every pair of operators, facts and updates in front, each operator and output behind: it runs and gives what a computation from scratch
// gives, or the plan refuses it with its code, the place and the way out. Nothing may be found out when the pipeline starts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, expr, fileTable, isMillraceError, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { collect } from '../connect/memory.ts'
import type { CollectSink } from '../connect/memory.ts'
import type { Mill, PipelineDefinition } from '../dsl/pipeline.ts'
import type { Stream } from '../dsl/stream.ts'
import { testPipeline } from './pipeline-driver.ts'
import type { PipelineTest } from './pipeline-driver.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const row = t.object({ shop: t.string(), v: t.i64() })
const timed = t.object({ shop: t.string(), v: t.i64(), at: t.time() })
type Row = { readonly shop: string; readonly v: number }
type Rows = Stream<{ readonly shop: string }, Row>
/** A row and its event time: what the computation from scratch works on. */
type Known = Row & { readonly time: number }

const main = topic('main', { value: timed, eventTime: 'at', disorderMs: 1000 })
const other = topic('other', { value: timed, eventTime: 'at', disorderMs: 1000 })
/** Gets the rows of several partitions, one request behind the other. */
const middle = topic('middle', { value: row, disorderMs: MINUTE, key: 'shop' })
const facts = topic('facts', { value: row })
const upserts = topic('upserts', { value: row, compacted: true })
const cities = fileTable({
  name: 'cities',
  path: '/data/cities.csv',
  format: 'csv',
  value: t.object({ code: t.string(), city: t.string() }),
  key: 'code',
})
/** Behind every window when it comes. */
const LATE: Known = { shop: 's1', v: 7, time: 0 }
const ROWS: readonly Known[] = Array.from({ length: 120 }, (_, index) => ({
  shop: `s${index % 3}`,
  v: (index * 7) % 11,
  time: HOUR + index * 2000,
}))
const OTHERS: readonly Known[] = ROWS.slice(0, 30).map((known) => ({ ...known, v: known.v + 20 }))

interface Step {
  readonly name: string
  readonly build: (rows: Rows, mill: Mill) => unknown
  readonly oracle: (rows: readonly Known[]) => readonly Known[]
}

const same = (rows: readonly Known[]): readonly Known[] => rows
const total = (rows: readonly Known[]): number => rows.reduce((all, one) => all + one.v, 0)

function grouped(rows: readonly Known[], by: (known: Known) => string, value: (of: readonly Known[]) => number): readonly Known[] {
  const groups = new Map<string, Known[]>()
  for (const known of rows) groups.set(by(known), [...(groups.get(by(known)) ?? []), known])
  return [...groups.values()].map((of) => ({
    shop: (of[0] as Known).shop,
    v: value(of),
    time: Math.floor((of[0] as Known).time / MINUTE) * MINUTE + MINUTE - 1,
  }))
}

const inTime = (rows: readonly Known[]): readonly Known[] => rows.filter((known) => known.time !== LATE.time)
const perShop = (rows: readonly Known[]): readonly Known[] => grouped(rows, (known) => known.shop, total)
const perMinute = (rows: readonly Known[]): readonly Known[] =>
  grouped(inTime(rows), (known) => `${known.shop} ${Math.floor(known.time / MINUTE)}`, total)
const minute = tumbling({ sizeMs: MINUTE })
const retyped = { value: row }

/** What may stand in the middle of a pipeline. */
const STEPS: readonly Step[] = [
  {
    name: 'filter by expression',
    build: (rows) => rows.filter(expr((known) => known.v.gt(4))),
    oracle: (rows) => rows.filter((known) => known.v > 4),
  },
  { name: 'filter by lambda', build: (rows) => rows.filter((known) => known.v > 4), oracle: (rows) => rows.filter((known) => known.v > 4) },
  {
    name: 'map',
    build: (rows) => rows.map(({ shop, v }) => ({ shop, v: v + 1 }), retyped),
    oracle: (rows) => rows.map((known) => ({ ...known, v: known.v + 1 })),
  },
  {
    name: 'mapValues',
    build: (rows) => rows.mapValues(({ shop, v }) => ({ shop, v: v + 1 }), retyped),
    oracle: (rows) => rows.map((known) => ({ ...known, v: known.v + 1 })),
  },
  { name: 'map to open rows', build: (rows) => rows.mapValues(({ shop, v }) => ({ shop, v })), oracle: same },
  {
    name: 'flatMap',
    build: (rows) =>
      rows.flatMap(
        ({ shop, v }) => [
          { shop, v },
          { shop, v: -v },
        ],
        retyped,
      ),
    oracle: (rows) => rows.flatMap((known) => [known, { ...known, v: -known.v }]),
  },
  { name: 'select', build: (rows) => rows.select('shop', 'v'), oracle: same },
  {
    name: 'branch',
    build: (rows) => rows.branch({ odd: (known) => known.v % 2 === 1 }).rest,
    oracle: (rows) => rows.filter((known) => known.v % 2 !== 1),
  },
  {
    name: 'merge with itself',
    build: (rows) => rows.select('shop', 'v').merge(rows.select('shop', 'v')),
    oracle: (rows) => [...rows, ...rows],
  },
  {
    name: 'merge with a source',
    build: (rows, mill) => rows.select('shop', 'v').merge(mill.from(other).select('shop', 'v')),
    oracle: (rows) => [...rows, ...OTHERS],
  },
  { name: 'keyBy', build: (rows) => rows.keyBy('shop'), oracle: same },
  { name: 'keyBy with a lambda', build: (rows) => rows.keyBy((known) => known.v), oracle: same },
  {
    name: 'aggregate',
    build: (rows) => rows.groupBy('shop').aggregate({ v: sum('v') }),
    oracle: perShop,
  },
  {
    name: 'aggregate by a lambda',
    build: (rows) =>
      rows
        .groupBy((known) => known.shop)
        .aggregate({ v: sum('v') })
        .select({ shop: 'key', v: 'v' } as never),
    oracle: perShop,
  },
  {
    name: 'aggregate in windows',
    build: (rows) =>
      rows
        .groupBy('shop')
        .window(minute)
        .aggregate({ v: sum('v') }),
    oracle: perMinute,
  },
  {
    name: 'aggregate in windows that close',
    build: (rows) =>
      rows
        .groupBy('shop')
        .window(minute)
        .aggregate({ v: sum('v') }, { emit: 'close' }),
    oracle: perMinute,
  },
  {
    name: 'late records',
    build: (rows) => {
      const late: Rows[] = []
      rows
        .groupBy('shop')
        .window(minute)
        .aggregate({ v: count() }, { late: (stream) => late.push(stream as never) })
      return late[0]
    },
    oracle: (rows) => rows.filter((known) => known.time === LATE.time),
  },
  { name: 'through', build: (rows) => rows.through(middle), oracle: same },
  {
    name: 'dedupe',
    build: (rows) => rows.dedupe({ by: ['shop', 'v'], withinMs: 100 * HOUR }),
    oracle: (rows) => [...new Map(rows.toReversed().map((known) => [`${known.shop} ${known.v}`, known])).values()],
  },
  {
    name: 'scan',
    build: (rows) =>
      rows.scan(
        (() => ({ n: 0 })) as never,
        ((state: { n: number }, known: Row) => ({ state: { n: state.n + 1 }, rows: [{ shop: known.shop, v: known.v }] })) as never,
        { by: 'shop', ...retyped } as never,
      ),
    oracle: same,
  },
  {
    name: 'join with a file',
    build: (rows, mill) => rows.join(mill.table(cities), { on: { shop: 'code' } }),
    oracle: (rows) => rows.filter((known) => known.shop !== 's2'),
  },
]

/** Into what a pipeline may end. */
type End = Step & {
  readonly keepsNewest: boolean
  readonly read: (run: PipelineTest, sinks: Sinks) => Promise<readonly Row[]> | readonly Row[]
}
const ENDS: readonly End[] = [
  {
    name: 'to a topic',
    build: (rows) => rows.to(facts),
    oracle: same,
    keepsNewest: false,
    read: async (run) => (await run.records(facts)).map((record) => record.value as Row),
  },
  { name: 'to a compacted topic', build: (rows) => rows.to(upserts), oracle: same, keepsNewest: true, read: (run) => newest(run) },
  {
    name: 'to a table',
    build: (rows) => rows.toTable('table'),
    oracle: same,
    keepsNewest: true,
    read: async (run) => (await run.table('table', { limit: 10_000 })) as unknown as readonly Row[],
  },
  { name: 'to a sink that takes updates', build: () => null, oracle: same, keepsNewest: false, read: (_run, sinks) => sinks.updates.rows },
  { name: 'to a sink that adds rows', build: () => null, oracle: same, keepsNewest: false, read: (_run, sinks) => sinks.facts.rows },
]

interface Sinks {
  readonly updates: CollectSink<Row>
  readonly facts: CollectSink<Row>
}

async function newest(run: PipelineTest): Promise<readonly Row[]> {
  const last = new Map<string, Row | null>()
  const unkeyed: Row[] = []
  for (const { key, value } of await run.records(upserts)) {
    if (key === null) unkeyed.push(value as Row)
    else last.set(key, value as Row | null)
  }
  return [...unkeyed, ...[...last.values()].filter((value) => value !== null)]
}

interface Outcome {
  readonly refused: string | null
}

/** Steps that give updates of earlier rows, and those that take them. */
const UPDATING = new Set(['aggregate', 'aggregate by a lambda', 'aggregate in windows'])
const TAKES_UPDATES = new Set(['filter by expression', 'filter by lambda', 'mapValues', 'map to open rows', 'select', 'branch'])
/** What else cannot be: other columns on each side, a lost key, rows that no end can take. */
const UNFIT = new Set([
  'map to open rows -> merge with a source',
  'join with a file -> join with a file',
  'aggregate in windows -> mapValues',
  'aggregate in windows -> select',
  'through -> through',
  'aggregate in windows that close -> mapValues',
])

function build(chain: readonly Step[], end: End, sinks: Sinks): PipelineDefinition {
  return pipeline('pairs', (mill) => {
    let rows = mill.from(main).keyBy('shop') as unknown as Rows
    for (const step of chain) rows = step.build(rows, mill) as Rows
    if (end.name === 'to a sink that takes updates') rows.to(sinks.updates as never)
    else if (end.name === 'to a sink that adds rows') rows.to(sinks.facts as never)
    else end.build(rows, mill)
  })
}

function checkRows(label: string, got: readonly Row[], expected: readonly Row[], keepsNewest: boolean): void {
  const text = (rows: readonly Row[]): readonly string[] => rows.map(({ shop, v }) => `${shop} ${v}`).sort()
  // Of facts a table or a compacted topic keeps the newest of each key: which of them that is depends on the order of rows.
  if (!keepsNewest || got.length === expected.length) return assert.deepEqual(text(got), text(expected), label)
  const known = new Set(text(expected))
  assert.deepEqual(
    text(got).filter((one) => !known.has(one)),
    [],
    label,
  )
  const shops = (rows: readonly Row[]): readonly string[] => [...new Set(rows.map((one) => one.shop))].sort()
  assert.deepEqual(shops(got), shops(expected), label)
}

async function outcome(chain: readonly Step[], end: End, partitions: number): Promise<Outcome> {
  const label = [...chain, end].map((step) => step.name).join(' -> ')
  const sinks = { updates: collect<Row>(), facts: collect<Row>({ acceptsUpdates: false }) }
  let definition: PipelineDefinition
  try {
    definition = build(chain, end, sinks)
  } catch (error) {
    if (!isMillraceError(error)) throw error
    assert.match(error.code, /^MR_PLAN_/, `${label}: ${error.message}`)
    assert.match(String(error.details['place']), /combinations\.test\.ts:\d+/, label)
    assert.ok(error.fix.length > 10, label)
    return { refused: error.code }
  }
  const run = await testPipeline(definition, {
    files: { '/data/cities.csv': 'code,city\ns0,Rome\ns1,Oslo\n' },
    partitions: { main: partitions, other: partitions, middle: partitions },
  })
  const feed = async (of: typeof main, list: readonly Known[]): Promise<void> => {
    for (let partition = 0; partition < partitions; partition++) {
      const mine = list.filter((known) => Number(known.shop.slice(1)) % partitions === partition)
      await run.feed(
        of,
        mine.map(({ shop, v, time }) => ({ shop, v, at: time })),
        { partition },
      )
    }
  }
  for (let at = 0; at < ROWS.length; at += 20) await feed(main, ROWS.slice(at, at + 20))
  if (run.log.topic('other') !== null) await feed(other, OTHERS)
  await run.advance(4 * MINUTE)
  await feed(main, [LATE])
  await run.advance(4 * MINUTE)
  let expected: readonly Known[] = [...ROWS, LATE]
  for (const step of chain) expected = step.oracle(expected)
  const got = await end.read(run, sinks)
  const failed = run.events.find((event) => event.kind === 'failed' || event.kind === 'restarted')
  assert.equal(failed, undefined, label)
  checkRows(label, got, expected, end.keepsNewest)
  await run.stop()
  return { refused: null }
}

for (const partitions of [1, 2]) {
  for (const first of [...STEPS, null]) {
    test(`pairs behind ${first === null ? 'a source' : first.name}, ${partitions} partitions`, async () => {
      const problems: string[] = []
      const check = async (chain: readonly Step[], end: End): Promise<string | null> => {
        try {
          return (await outcome(chain, end, partitions)).refused
        } catch (error) {
          problems.push((error as Error).message)
          return null
        }
      }
      const chain = first === null ? [] : [first]
      for (const end of ENDS) await check(chain, end)
      // Behind a pair the first end that takes its rows is as good as any.
      for (const second of STEPS) {
        let taken = false
        for (const end of ENDS) if (!taken) taken = (await check([...chain, second], end)) === null
        const pair = `${first?.name ?? 'a source'} -> ${second.name}`
        const expected = !UPDATING.has(first?.name ?? '') || TAKES_UPDATES.has(second.name)
        if (taken !== (expected && !UNFIT.has(pair))) problems.push(`${pair} ${taken ? 'runs' : 'is refused'}`)
      }
      assert.deepEqual(problems, [])
    })
  }
}
