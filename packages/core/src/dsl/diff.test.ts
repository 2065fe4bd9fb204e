// What `millrace plan` says about an edit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, expr, max, pipeline, t, topic, tumbling } from '../index.ts'
import type { Mill, PipelineSettings } from '../index.ts'
import { diffPlans } from '../plan/diff.ts'
import type { TopicKeeping } from '../plan/topic-drift.ts'
import { parseStoredPlan, serializePlan, type StoredPlan } from '../plan/serialize.ts'
import { codeVersion } from '../plan/hash.ts'

const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string(), ip: t.string(), n: t.i64() }), eventTime: 'at' })

const KEPT: TopicKeeping = { partitions: 1, retentionMs: null, compacted: false }

function stored(build: (mill: Mill) => void, settings: Partial<PipelineSettings> = {}): StoredPlan {
  return serializePlan(pipeline('web', build, settings).plan)
}

function changes(before: StoredPlan, after: StoredPlan, topics?: readonly string[]): readonly string[] {
  return diffPlans(before, after, { topics: topics === undefined ? null : new Map(topics.map((name) => [name, KEPT])) })
    .filter((change) => change.kind !== 'state-kept')
    .map((change) => `${change.kind} ${change.message}${change.advice === null ? '' : ` ${change.advice}`}`)
}

const before = stored((mill) =>
  mill
    .from(hits)
    .filter((row) => row.n > 1, { name: 'many' })
    .groupBy('url')
    .aggregate({ n: count() }, { name: 'per-url' })
    .toTable('urls'),
)

test('a stateless operator before a state changes what comes in, and the state is kept', () => {
  const after = stored((mill) =>
    mill
      .from(hits)
      .filter((row) => row.n > 2, { name: 'many' })
      .groupBy('url')
      .aggregate({ n: count() }, { name: 'per-url' })
      .toTable('urls'),
  )
  assert.deepEqual(changes(before, after), [
    'operator-changed the filter `many` changed; rows from the next tick on are treated in the new way.',
  ])
})

test('another aggregate is another layout, another group another exchange', () => {
  const layout = stored((mill) =>
    mill
      .from(hits)
      .filter((row) => row.n > 1, { name: 'many' })
      .groupBy('url')
      .aggregate({ n: count(), most: max('n') }, { name: 'per-url' })
      .toTable('urls'),
  )
  assert.deepEqual(changes(before, layout), [
    'state-rebuilt `per-url` keeps other columns than before: its state must be built again from the input that the log still has.',
    'state-rebuilt `table.urls` keeps other columns than before: its state must be built again from the input that the log still has.',
  ])
  const group = stored((mill) =>
    mill
      .from(hits)
      .filter((row) => row.n > 1, { name: 'many' })
      .groupBy('ip')
      .aggregate({ n: count() }, { name: 'per-url' })
      .toTable('urls'),
  )
  assert.match(changes(before, group)[0] ?? '', /^state-rebuilt `per-url` groups its rows by another key/)
})

test('a key field of another type is another exchange, though its name is the same', () => {
  const other = topic('hits', { value: t.object({ at: t.time(), url: t.i64(), ip: t.string(), n: t.i64() }), eventTime: 'at' })
  const after = stored((mill) =>
    mill
      .from(other)
      .filter((row) => row.n > 1, { name: 'many' })
      .groupBy('url')
      .aggregate({ n: count() }, { name: 'per-url' })
      .toTable('urls'),
  )
  const said = changes(before, after)
  assert.ok(said.some((line) => line.startsWith('state-rebuilt `per-url` groups')))
  assert.ok(
    said.some((line) =>
      line.startsWith(
        'schema-changed the value of the topic `hits` was { at: time, url: string, ip: string, n: i64 } as json and is { at: time, url: i64',
      ),
    ),
  )
})

test('a rename is recognised', () => {
  const after = stored((mill) =>
    mill
      .from(hits)
      .filter((row) => row.n > 1, { name: 'many' })
      .groupBy('url')
      .aggregate({ n: count() }, { name: 'by-url' })
      .toTable('links'),
  )
  assert.deepEqual(changes(before, after), [
    'state-new `by-url` is new and starts with empty state.',
    'state-new `table.links` is new and starts with empty state.',
    "state-lost no operator is named `per-url` any more: its state would be lost. Was it renamed to `by-url`? Then keep the old name: `{ name: 'per-url' }`.",
    'state-lost no operator is named `table.urls` any more: its state would be lost. Was it renamed to `table.links`? Then keep the old name: `toTable("urls")`.',
  ])
})

test('topics that do not exist are named, with the one that may be meant', () => {
  assert.deepEqual(changes(before, before, ['hit', 'urls']), [
    'topic-missing the topic `hits` does not exist; it will be made with 1 partition. Did you mean `hit`?',
  ])
})

test('what the file says of a topic that exists and does not happen is said, with the way out', () => {
  const DAY = 86_400_000
  const kept = (options: Partial<TopicKeeping>): StoredPlan =>
    stored((mill) => {
      const { retentionMs, ...rest } = { ...KEPT, ...options }
      mill
        .from(topic('hits', { value: t.object({ url: t.string() }), ...rest, ...(retentionMs === null ? {} : { retentionMs }) }))
        .toTable('urls', { key: 'url' })
    })
  const said = (was: Partial<TopicKeeping> | null, is: Partial<TopicKeeping>, on: Partial<TopicKeeping>): readonly string[] =>
    diffPlans(was === null ? null : kept(was), kept(is), { topics: new Map([['hits', { ...KEPT, ...on }]]) })
      .filter(({ kind }) => kind !== 'state-kept' && kind !== 'operator-new' && kind !== 'state-new')
      .map(({ kind, message, advice }) => `${kind} ${message} ${advice}`)
  assert.deepEqual(
    said(
      { partitions: 2, retentionMs: DAY },
      { partitions: 4, retentionMs: 2 * DAY, compacted: true },
      { partitions: 2, retentionMs: DAY },
    ),
    [
      'topic-differs the topic `hits` has 2 partitions and keeps them: the file says 4, and the number is fixed when a topic is made. Say `partitions: 2`, or give the topic another name.',
      'topic-differs the topic `hits` goes on keeping its records for 1 d: the file says for 2 d, which counts only when the topic is made. Change it with `npx millrace topics set hits --retention-ms 172800000`.',
      'topic-differs the topic `hits` goes on keeping every record: the file says the newest record of each key, and that is fixed when a topic is made. Say `compacted: false`, or give the topic another name.',
    ],
  )
  assert.match(said({ retentionMs: DAY }, {}, { retentionMs: DAY }).join(), /the file says for ever.*--retention-ms none/)
  assert.deepEqual(said({ retentionMs: DAY }, { retentionMs: 2 * DAY }, { retentionMs: 2 * DAY }), [])
  assert.equal(said({ partitions: 4 }, { partitions: 4 }, { partitions: 2 }).length, 1)
  assert.equal(said(null, { partitions: 4 }, { partitions: 2 }).length, 1)
  // Made by hand: the file never said anything of it.
  assert.deepEqual(said(null, {}, { partitions: 2, retentionMs: DAY }), [])
})

test('groups are fixed, other settings change', () => {
  const build = (mill: Mill): unknown => mill.from(hits).keyBy('url').toTable('urls')
  const [one, two] = [stored(build, { groups: 2, idleMs: 10 }), stored(build, { groups: 4, idleMs: 20 })]
  const said = changes(one, two)
  assert.match(said[0] ?? '', /^setting-changed the setting `idleMs` was 10 and is 20/)
  assert.match(
    said[1] ?? '',
    /^refused the number of task groups is fixed when a pipeline is made \(2\); splitting groups is not there yet/,
  )
})

test('the window decides the layout, the grace does not', () => {
  const windowed = (sizeMs: number, graceMs: number): StoredPlan =>
    stored((mill) =>
      mill.from(hits).groupBy('url').window(tumbling({ sizeMs, graceMs })).aggregate({ n: count() }, { name: 'w' }).toTable('x'),
    )
  assert.deepEqual(changes(windowed(1_000, 0), windowed(1_000, 5)), [])
  assert.match(changes(windowed(1_000, 0), windowed(2_000, 0))[0] ?? '', /^state-rebuilt `w` cuts other windows than before/)
})

test('a first start is new throughout', () => {
  assert.deepEqual(
    diffPlans(null, before).map((change) => `${change.kind} ${change.name}`),
    ['operator-new hits', 'operator-new many', 'state-new per-url', 'state-new table.urls'],
  )
})

test('the code version sees lambdas, expressions and modules, and no places', () => {
  const version = (build: (mill: Mill) => void, modules?: readonly string[]): string => codeVersion(pipeline('web', build).plan, modules)
  const one = (mill: Mill): unknown =>
    mill
      .from(hits)
      .filter((row) => row.n > 1)
      .keyBy('url')
      .toTable('x')
  const moved = (mill: Mill): unknown =>
    mill
      .from(hits)
      .filter((row) => row.n > 1)
      .keyBy('url')
      .toTable('x')
  assert.equal(version(one), version(moved))
  assert.notEqual(
    version(one),
    version((mill) =>
      mill
        .from(hits)
        .filter((row) => row.n > 2)
        .keyBy('url')
        .toTable('x'),
    ),
  )
  const above =
    (limit: number) =>
    (mill: Mill): unknown =>
      mill
        .from(hits)
        .filter(expr((row) => row.n.gt(limit)))
        .keyBy('url')
        .toTable('x')
  assert.notEqual(version(above(1)), version(above(2)))
  assert.notEqual(version(one, ['a']), version(one, ['b']))
  assert.equal(version(one, ['a', 'b']), version(one, ['b', 'a']))
})

test('stored plans that cannot be read are refused', () => {
  assert.throws(() => parseStoredPlan('{'), { code: 'MR_LOG_CORRUPT' })
  assert.throws(() => parseStoredPlan('{"format":1}'), { code: 'MR_LOG_CORRUPT' })
  assert.throws(() => parseStoredPlan('{"format":2,"nodes":[]}'), { code: 'MR_LOG_FORMAT_NEWER' })
})
