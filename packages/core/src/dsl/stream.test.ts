import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, countDistinct, custom, expr, fileTable, isMillraceError, max, pipeline, sum, t, topic, tumbling } from '../index.ts'
import type { ErrorCode, Mill, PipelineDefinition, Sink, Stream } from '../index.ts'
import { ndjson, ndjsonFile } from '../connect/index.ts'
import { describePlan } from '../plan/describe.ts'
import { neededFields } from '../plan/rewrite.ts'

const hits = topic('hits', {
  value: t.object({ at: t.time(), url: t.string(), ip: t.string(), status: t.i32(), price: t.decimal(9, 2), tags: t.list(t.string()) }),
  eventTime: 'at',
  disorderMs: 5_000,
})
const lateHits = topic('late-hits', { value: t.object({ at: t.time(), url: t.string(), ip: t.string() }) })
const counts = topic('counts', { value: t.object({ url: t.string(), n: t.i64() }) })
const latest = topic('latest', { value: t.object({ url: t.string(), n: t.i64() }), compacted: true })
const pages = topic('pages', { value: t.object({ url: t.string(), title: t.string() }), key: 'url', compacted: true })
const airports = fileTable({
  name: 'airports',
  path: 'airports.csv',
  format: 'csv',
  value: t.object({ iata: t.string(), city: t.string(), zone: t.i32() }),
  key: 'iata',
})

function sink(acceptsUpdates: boolean, guarantee: Sink<unknown>['guarantee'] = 'transactional'): Sink<unknown> {
  return {
    kind: 'sink',
    spec: { type: 'memory', summary: '', fields: [], example: '' },
    guarantee,
    acceptsUpdates,
    settings: {},
    check: () => {},
    open: () => Promise.reject(new Error('not opened')),
  }
}

/** What a user of JavaScript may pass. */
const wrong = (value: unknown): never => value as never

type Hits = Stream<null, { at: number; url: string; ip: string; status: number; price: string; tags: string[] }>

function refusal(build: (s: Hits, mill: Mill) => void): { readonly code: ErrorCode; readonly text: string } {
  try {
    pipeline('p', (mill) => build(mill.from(hits), mill))
  } catch (error) {
    if (isMillraceError(error)) return { code: error.code, text: `${error.message} | ${error.fix}` }
    throw error
  }
  throw new Error('the pipeline was accepted')
}

const updates = (s: Hits): ReturnType<typeof grouped> => grouped(s)
function grouped(s: Hits): Stream<{ url: string }, { url: string; n: number }> {
  return s.groupBy('url').aggregate({ n: count() }, { name: 'per-url' })
}

/** What is refused when the plan is built, by which code, and what the message says. */
const REFUSALS: readonly (readonly [what: string, build: (s: Hits, mill: Mill) => void, code: ErrorCode, says: RegExp])[] = [
  ['an empty pipeline', () => {}, 'MR_PLAN_EMPTY', /pipeline `p` has no output.*stream\.test\.ts:\d+/],
  [
    'a sink that may repeat rows, where each must come once',
    (s) => s.to(sink(false, 'at-least-once')),
    'MR_PLAN_GUARANTEE_REFUSED',
    /memory sink may write rows again after a crash.*stream\.test\.ts:\d+.*at-least-once/,
  ],
  [
    'an unknown guarantee',
    (s) => s.to(sink(false), wrong({ guarantee: 'twice' })),
    'MR_PLAN_SETTING_INVALID',
    /exactly-once.*at-least-once/,
  ],
  [
    'updates into an append-only sink',
    (s) => updates(s).to(sink(false)),
    'MR_PLAN_UPDATE_REFUSED',
    /`per-url` gives updates.*memory sink can only add rows.*emit: 'close'/,
  ],
  ['updates into a topic of facts', (s) => updates(s).to(counts), 'MR_PLAN_UPDATE_REFUSED', /keeps facts.*compacted: true/],
  [
    'a window on updates',
    (s) =>
      updates(s)
        .groupBy('url')
        .window(tumbling({ sizeMs: 1 }))
        .aggregate({ m: count() })
        .toTable('x'),
    'MR_PLAN_UPDATE_REFUSED',
    /a window takes facts only/,
  ],
  [
    'dedupe on updates',
    (s) => updates(s).dedupe({ by: 'url', withinMs: 1 }).toTable('x'),
    'MR_PLAN_UPDATE_REFUSED',
    /`dedupe` takes facts only/,
  ],
  [
    'merge on updates',
    (s) =>
      updates(s)
        .merge(updates(s.filter(() => true)))
        .toTable('x'),
    'MR_PLAN_NAME_TAKEN',
    /`per-url` is taken by the aggregate at .*stream\.test\.ts:\d+/,
  ],
  [
    'an aggregate over updates',
    (s) =>
      updates(s)
        .groupBy('n')
        .aggregate({ l: custom({ initial: () => '', add: (a, r) => a + r.url }) })
        .toTable('x'),
    'MR_PLAN_NOT_YET',
    /aggregates over updates of earlier rows are not there yet, and `per-url` gives updates/,
  ],
  [
    'facts without a key in a compacted topic',
    (s) => s.to(topic('newest', { value: t.object({ url: t.string() }), compacted: true })),
    'MR_PLAN_KEY_MISSING',
    /keeps the newest record of each key, and `hits` has no key/,
  ],
  [
    'the key of a lambda in a topic',
    (s) => s.keyBy((hit) => hit.status % 2).to(topic('spread', { value: t.object({ url: t.string() }) })),
    'MR_PLAN_NOT_YET',
    /the topic `spread` would get the keys of the sources/,
  ],
  [
    'updates that lose their key',
    (s) => updates(s).select('n').toTable('x', { key: 'n' }),
    'MR_PLAN_KEY_LOST',
    /`per-url` gives updates by url/,
  ],
  [
    'a table with another key than its updates',
    (s) => updates(s).toTable('x', { key: 'n' }),
    'MR_PLAN_KEY_LOST',
    /by url, and the table's key is n/,
  ],
  ['an unknown field', (s) => s.select(wrong('ulr')).to(sink(false)), 'MR_PLAN_FIELD_UNKNOWN', /no field `ulr`; did you mean `url`\?/],
  [
    'an unknown field that is near to nothing',
    (s) => s.select(wrong('qqqqqqqqqq')).to(sink(false)),
    'MR_PLAN_FIELD_UNKNOWN',
    /it has `at`, `url`, `ip`/,
  ],
  [
    'an unknown field in an expression',
    (s) => s.filter(expr((row) => (row as unknown as { readonly staus: typeof row.status }).staus.gt(1))).to(lateHits),
    'MR_PLAN_FIELD_UNKNOWN',
    /did you mean `status`/,
  ],
  [
    'an unknown option',
    (s) => s.filter(() => true, wrong({ nmae: 'x' })).to(lateHits),
    'MR_PLAN_SETTING_INVALID',
    /`filter` has no option `nmae`; did you mean `name`/,
  ],
  [
    'a sum of texts',
    (s) =>
      s
        .groupBy('url')
        .aggregate({ n: wrong(sum('ip')) })
        .toTable('x'),
    'MR_PLAN_FIELD_TYPE',
    /sum cannot take `ip`, which is string/,
  ],
  [
    'a decimal in an aggregate',
    (s) =>
      s
        .groupBy('url')
        .aggregate({ n: max('price') })
        .toTable('x'),
    'MR_PLAN_FIELD_TYPE',
    /max cannot take `price`, which is decimal\(9, 2\)/,
  ],
  [
    'a list as key',
    (s) => s.keyBy('tags').toTable('x', { key: 'tags' }),
    'MR_PLAN_FIELD_TYPE',
    /`tags` is list\(string\) and cannot be part of a key/,
  ],
  [
    'a comparison of text and number',
    (s) => s.filter(expr((row) => row.url.eq(wrong(1)))).to(lateHits),
    'MR_PLAN_FIELD_TYPE',
    /`equal` compares string with i64/,
  ],
  [
    'a result column of one name twice',
    (s) => s.groupBy('url').aggregate({ url: count() }).toTable('x'),
    'MR_PLAN_FIELD_TAKEN',
    /two columns of the result would be named `url`/,
  ],
  [
    'a join with a wrong key',
    (s, mill) => s.join(mill.table(airports), { on: wrong({ url: 'city' }), select: ['city'] }).to(lateHits),
    'MR_PLAN_JOIN_KEY',
    /names city, and the primary key of `airports` is iata/,
  ],
  [
    'a join of two types',
    (s, mill) => s.join(mill.table(airports), { on: wrong({ status: 'iata' }) }).to(lateHits),
    'MR_PLAN_FIELD_TYPE',
    /compares `status` \(i32\) with `iata` \(string\)/,
  ],
  [
    'a table of a topic without key',
    (s, mill) => s.join(mill.table(wrong(counts)), { on: wrong('url') }).to(sink(false)),
    'MR_PLAN_KEY_MISSING',
    /table `counts.table`|the table `counts` has no key/,
  ],
  ['a table without key', (s) => s.toTable(wrong('x')), 'MR_PLAN_KEY_MISSING', /the table `x` needs a key.*stream\.test\.ts/],
  [
    'two tables of one name',
    (s) => (s.toTable('x', { key: 'url' }), s.toTable('x', { key: 'url' })),
    'MR_PLAN_NAME_TAKEN',
    /`table.x` is taken by the to-table at/,
  ],
  [
    'untyped rows into a sink',
    (s) => s.map((row) => ({ a: row.url })).to(sink(false)),
    'MR_PLAN_SHAPE_OPEN',
    /needs typed columns, and `hits.map-1` gives JavaScript values.*`value` schema/,
  ],
  [
    'a column of unknown type into a sink',
    (s) =>
      s
        .map((row) => ({ a: row.url }))
        .select('a')
        .to(sink(false)),
    'MR_PLAN_SHAPE_OPEN',
    /the type of `a` is not known/,
  ],
  ['a row that does not fit a topic', (s) => s.select('ip').to(wrong(counts)), 'MR_PLAN_SHAPE_MISMATCH', /`counts` needs the field `url`/],
  [
    'merge of different rows',
    (s) => s.merge(wrong(s.select('url'))).to(sink(false)),
    'MR_PLAN_SHAPE_MISMATCH',
    /`hits` and `hits.select-1` differ/,
  ],
  [
    'two declarations of one topic',
    (s, mill) => s.merge(wrong(mill.from(topic('hits', { value: t.object({ url: t.string() }) })))).to(sink(false)),
    'MR_PLAN_TOPIC_CONFLICT',
    /`hits` is used at .*stream\.test\.ts:\d+ with another declaration/,
  ],
  [
    'two sinks on one file',
    (s) => (s.to(ndjsonFile({ path: 'out/hits.ndjson' })), s.to(ndjsonFile({ path: `${process.cwd()}/out/./hits.ndjson` }))),
    'MR_PLAN_PLACE_TAKEN',
    /\/out\/hits\.ndjson` is written by `hits\.ndjson-file-1` at .*stream\.test\.ts:\d+.*`hits\.ndjson-file-2`.*place=.*stream\.test\.ts:\d+/,
  ],
  ['a topic that feeds itself', (s) => s.filter(() => true).to(hits), 'MR_PLAN_TOPIC_LOOP', /rows of the topic `hits` are written back/],
  ['a bad name', (s) => s.filter(() => true, { name: 'a b' }).to(lateHits), 'MR_PLAN_NAME_INVALID', /`a b` is not a valid name/],
  ['a table that no address reaches', (s) => s.toTable('..', { key: 'url' }), 'MR_PLAN_NAME_INVALID', /`\.\.` is not a valid name/],
  [
    'a stream of another pipeline',
    (s) => pipeline('q', (mill) => mill.from(hits).merge(s).to(lateHits)),
    'MR_PLAN_FINISHED',
    /stream of another pipeline/,
  ],
  [
    'scan without a key',
    (s) =>
      s
        .scan(
          wrong(() => 0),
          (state: number) => ({ state, rows: [] }),
        )
        .to(wrong(lateHits)),
    'MR_PLAN_KEY_MISSING',
    /`scan` keeps a state per key/,
  ],
  [
    'close without a window',
    (s) =>
      s
        .groupBy('url')
        .aggregate({ n: count() }, wrong({ emit: 'close' }))
        .toTable('x'),
    'MR_PLAN_SETTING_INVALID',
    /no option `emit`/,
  ],
  ['async lambdas', (s) => s.map(wrong(async (row: unknown) => Promise.resolve(row))).to(sink(false)), 'MR_PLAN_NOT_YET', /async edges/],
  ['joins of two streams', (s) => s.join(wrong(s), { on: wrong('url') }).to(sink(false)), 'MR_PLAN_NOT_YET', /joins of two streams/],
  [
    'joins as of a time',
    (s, mill) => s.join(mill.table(pages), wrong({ on: 'url', asOf: 'at' })).to(sink(false)),
    'MR_PLAN_NOT_YET',
    /joins as of a time/,
  ],
  [
    'other joins',
    (s, mill) => s.join(mill.table(pages), wrong({ on: 'url', type: 'full' })).to(sink(false)),
    'MR_PLAN_NOT_YET',
    /`full` joins/,
  ],
  ['other windows', (s) => s.groupBy('url').window(wrong({ kind: 'session' })), 'MR_PLAN_NOT_YET', /`session` windows/],
  ['generations of a sink', (s) => s.to(sink(false), wrong({ generation: 1 })), 'MR_PLAN_NOT_YET', /generations of a sink/],
  [
    'followers',
    (_s, mill) => mill.from(hits, wrong({ follow: 'other' })).to(lateHits),
    'MR_PLAN_NOT_YET',
    /followers of another pipeline's ticks/,
  ],
]

for (const [what, build, code, says] of REFUSALS) {
  test(`refused: ${what}`, () => {
    const { code: given, text } = refusal(build)
    assert.equal(given, code, text)
    assert.match(text, says)
  })
}

test('an async function and settings that do not exist are refused', () => {
  assert.throws(
    () =>
      pipeline(
        'p',
        wrong(async (mill: Mill) => mill.from(hits).to(lateHits)),
      ),
    { code: 'MR_PLAN_FINISHED' },
  )
  assert.throws(() => pipeline('p', (mill) => mill.from(hits).to(lateHits), wrong({ idelMs: 5 })), /did you mean `idleMs`/)
  assert.throws(() => pipeline('p', (mill) => mill.from(hits).to(lateHits), { badShareMax: 2 }), /from 0 to 1/)
})

test('a stream cannot be used when its pipeline is done', () => {
  let kept: Hits | null = null
  pipeline('p', (mill) => {
    kept = mill.from(hits)
    kept.to(lateHits)
  })
  assert.throws(() => (kept as unknown as Hits).filter(() => true), { code: 'MR_PLAN_FINISHED' })
})

test('derived names follow the nearest named operator, and a filter before an aggregate does not rename its state', () => {
  const names = (build: (s: Hits) => void): string[] => pipeline('p', (mill) => build(mill.from(hits))).plan.nodes.map((node) => node.name)
  assert.deepEqual(
    names((s) =>
      s
        .filter(() => true)
        .filter(() => true)
        .groupBy('url')
        .aggregate({ n: count() })
        .toTable('x'),
    ),
    ['hits', 'hits.filter-1', 'hits.filter-2', 'hits.aggregate-1', 'table.x'],
  )
  assert.deepEqual(
    names((s) => s.groupBy('url').aggregate({ n: count() }).toTable('x')),
    ['hits', 'hits.aggregate-1', 'table.x'],
  )
  assert.deepEqual(
    names((s) => {
      const { bad } = s.branch({ bad: (row) => row.status > 400 }, { name: 'status' })
      bad.map((row) => ({ url: row.url, n: 1 })).to(counts)
      bad.through(lateHits, { name: 'kept' }).keyBy('url').toTable('x')
    }),
    ['hits', 'status.bad', 'status.bad.map-1', 'status.bad.to-counts-1', 'kept', 'kept.key-by-1', 'table.x'],
  )
})

test('what nobody reads is left out, and said', () => {
  const { plan, warnings } = pipeline('p', (mill) => {
    const s = mill.from(hits)
    s.filter(() => true, { name: 'forgotten' })
    s.groupBy('url').aggregate({ n: count() }).toTable('x')
  })
  assert.deepEqual(
    plan.nodes.map((node) => node.name),
    ['hits', 'hits.aggregate-1', 'table.x'],
  )
  assert.deepEqual(
    warnings.map((warning) => [warning.kind, warning.operator]),
    [
      ['not-consumed', 'forgotten'],
      ['unnamed-state', 'hits.aggregate-1'],
    ],
  )
  assert.match(warnings[0]?.place ?? '', /stream\.test\.ts:\d+$/)
})

test('places are the lines of the user', () => {
  const { plan } = pipeline('p', (mill) => {
    const s = mill.from(hits)
    s.mapValues((row) => row, { name: 'mapped', value: t.object({ url: t.string() }) }).toTable('x', { key: 'url' })
  })
  const lines = plan.nodes.map((node) => Number(/stream\.test\.ts:(\d+)$/.exec(node.place ?? '')?.[1]))
  assert.deepEqual(
    lines.map((line) => line - (lines[0] ?? 0)),
    [0, 1, 1],
  )
})

const FLIGHTS: PipelineDefinition = pipeline('flights', (mill) => {
  const flights = topic('flights', {
    value: t.object({ id: t.i64(), at: t.time(), origin: t.string(), delay: t.optional(t.i32()) }),
    eventTime: 'at',
    disorderMs: 60_000,
  })
  const clean = mill
    .from(flights)
    .filter(
      expr((row) => row.delay.isNull().not()),
      { name: 'clean' },
    )
    .dedupe({ by: 'id', withinMs: 3_600_000, name: 'once' })
  const placed = clean.join(mill.table(airports), { on: { origin: 'iata' }, type: 'left', name: 'placed' })
  const hourly = placed
    .groupBy('origin', 'city')
    .window(tumbling({ sizeMs: 3_600_000, graceMs: 60_000 }))
    .aggregate(
      { flights: count(), late: count({ where: expr((row) => row.delay.gte(15)) }), worst: max('delay'), cities: countDistinct('city') },
      {
        name: 'hourly',
        emit: 'close',
        late: (late) => late.select('at', { name: 'late-at' }).to(topic('late', { value: t.object({ at: t.time() }) })),
      },
    )
  hourly.toTable('hourly', { retentionMs: 86_400_000 })
  hourly
    .keyBy('origin')
    .scan(
      () => ({ n: 0 }),
      (state, row) => ({ state: { n: state.n + row.late }, rows: [{ origin: row.origin, n: state.n }] }),
      { name: 'alerts', value: t.object({ origin: t.string(), n: t.i64() }) },
    )
    .to(topic('alerts', { value: t.object({ origin: t.string(), n: t.i64() }) }))
  placed.select({ date: expr((row) => row.at.date()), origin: 'origin' }, { name: 'archived' }).to(sink(false))
})

test('a plan as text', () => {
  assert.equal(
    describePlan(FLIGHTS.plan, { places: false }),
    `pipeline flights
  flights  [source] topic flights, time at, disorder 1 min · { id: i64, at: time, origin: string, delay?: i32 }
    clean  [filter] not delay is null · { id: i64, at: time, origin: string, delay?: i32 }
      once  [dedupe] by id within 1 h · { id: i64, at: time, origin: string, delay?: i32 }
        placed  [stream-table-join] left, on origin = iata · { id: i64, at: time, origin: string, delay?: i32, city?: string, zone?: i32 }
          hourly  [aggregate] by origin, city; tumbling 1 h, grace 1 min; emit close; flights = count(), late = count() where delay >= 15, worst = max(delay), cities = count-distinct(city) · key origin, city, windowStart · { origin: string, city?: string, windowStart: time, windowEnd: time, flights: i64, late: i64, worst?: i32, cities: i64 }
            hourly.late  [late] late records · { id: i64, at: time, origin: string, delay?: i32, city?: string, zone?: i32 }
              late-at  [project] at · { at: time }
                late-at.to-late-1  [to-topic] topic late
            table.hourly  [to-table] table hourly, key origin, city, windowStart, kept 1 d · key origin, city, windowStart
            hourly.key-by-1  [key-by] origin · key origin · { origin: string, city?: string, windowStart: time, windowEnd: time, flights: i64, late: i64, worst?: i32, cities: i64 }
              alerts  [scan] by origin · { origin: string, n: i64 }
                alerts.to-alerts-1  [to-topic] topic alerts
          archived  [project] date = date(at), origin · { date: string, origin: string }
            archived.memory-1  [to-sink] memory, transactional
  airports  [table-source] table in airports.csv · updates · key iata · { iata: string, city: string, zone: i32 }
    -> placed
`,
  )
  assert.deepEqual(FLIGHTS.warnings, [])
})

test('sources decode what somebody needs as columns, and lambdas read lazily', () => {
  const needs = (options?: { lambdas: 'all' | 'none' }): Record<string, unknown> => {
    const found = neededFields(FLIGHTS.plan, options)
    return Object.fromEntries(
      FLIGHTS.plan.nodes
        .map((node) => [node.name, found.get(node.id)])
        .map(([name, need]) => [name, need instanceof Set ? [...(need as ReadonlySet<string>)].toSorted() : need]),
    )
  }
  assert.deepEqual(needs()['flights'], ['at', 'delay', 'id', 'origin'])
  assert.deepEqual(needs()['airports'], ['city', 'iata', 'zone'])
  const { plan } = pipeline('p', (mill) => {
    mill
      .from(hits)
      .filter((row) => row.status < 400)
      .groupBy('url')
      .aggregate({ n: count() }, { name: 'n' })
      .toTable('x')
    mill
      .from(hits)
      .filter(expr((row) => row.status.gt(1)))
      .groupBy('ip')
      .aggregate({ n: count() }, { name: 'm' })
      .toTable('y')
  })
  assert.equal(neededFields(plan).get(0), 'all')
  assert.deepEqual(neededFields(plan, { lambdas: 'none' }).get(0), new Set(['url', 'status', 'ip']))
})

test('updates reach a compacted topic, a table and a sink that takes them', () => {
  const { plan } = pipeline('p', (mill) => {
    const s = updates(mill.from(hits)).filter((row) => row.n > 1)
    s.to(latest)
    s.to(sink(true))
    s.mapValues((row) => ({ url: row.url, n: row.n + 1 })).toTable('x')
  })
  assert.ok(plan.nodes.slice(1).every((node) => node.mode === 'update' && node.key?.join() === 'url'))
})

test('the two sides of a merge may list their fields in any order', () => {
  const { plan } = pipeline('p', (mill) => {
    const s = mill.from(hits)
    s.select('url', 'ip').merge(s.select('ip', 'url')).to(sink(false))
  })
  const aligned = plan.nodes.find((node) => node.name === 'hits.align-1')
  assert.deepEqual(aligned?.shape, {
    fields: [
      { name: 'url', type: { kind: 'string' }, nullable: false },
      { name: 'ip', type: { kind: 'string' }, nullable: false },
    ],
  })
})

test('topics are refused with what is wrong', () => {
  assert.throws(() => topic('a b', { value: t.object({ a: t.string() }) }), { code: 'MR_TOPIC_INVALID' })
  assert.throws(
    () => topic('a', wrong({ value: t.object({ a: t.string() }), evenTime: 'a' })),
    /no option `evenTime`; did you mean `eventTime`/,
  )
  assert.throws(() => topic('a', { value: t.object({ a: t.string() }), key: wrong('b') }), /`key` names `b`/)
  assert.throws(() => topic('a', { value: t.object({ a: t.string() }), eventTime: wrong('a') }), /which is string; declare it `t.time\(\)`/)
  assert.throws(() => topic('a', wrong({ value: {} })), /must be a schema/)
  assert.throws(
    () => topic('a', { value: t.object({ a: t.string() }), partitions: 0 }),
    /`partitions` must be a whole number from 1 to 1024/,
  )
})

test('repeats after a crash are accepted by name, and idempotent sinks need no leave', () => {
  for (const [guarantee, options] of [
    ['at-least-once', { guarantee: 'at-least-once' }],
    ['idempotent', {}],
    ['transactional', { guarantee: 'at-least-once' }],
  ] as const) {
    const { plan } = pipeline('p', (mill) => mill.from(hits).to(sink(false, guarantee), options))
    assert.equal(plan.nodes.at(-1)?.kind, 'to-sink')
  }
})

test('wrong options of windows and sinks have the line of the user', () => {
  const refused = (make: () => unknown, code: string, message: RegExp): void =>
    assert.throws(
      make,
      (error) => isMillraceError(error) && error.code === code && message.test(error.message) && /stream\.test\.ts:\d+/.test(error.message),
    )
  refused(() => tumbling(wrong({ size: 5 })), 'MR_PLAN_SETTING_INVALID', /no option `size`; did you mean `sizeMs`\?/)
  refused(() => tumbling({ sizeMs: 0.5 }), 'MR_PLAN_SETTING_INVALID', /`sizeMs` must be a whole number/)
  refused(() => ndjson(wrong({ dri: 'x' })), 'MR_CONNECTOR_SETTING', /did you mean `dir`\?/)
})

test('what is no option of an aggregate is refused: ignored, it would count other rows', () => {
  const given = expr(wrong((row: { readonly url: { isNull(): unknown } }) => row.url.isNull()))
  for (const options of [given, 'url', { when: given }])
    assert.throws(
      () => count(wrong(options)),
      (error) =>
        isMillraceError(error) &&
        error.code === 'MR_PLAN_SETTING_INVALID' &&
        /`count`/.test(error.message) &&
        /isNull\(\)\.not\(\)/.test(error.fix),
    )
})
