import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, countDistinct, custom, expr, fileTable, max, mean, min, pipeline, sum, t, topic, tumbling, when } from '../index.ts'
import type { KeyOf, RowOf, Sink, StandardSchemaV1 } from '../index.ts'

type Equal<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false
const yes = <_T extends true>(): void => {}

const hitSchema = t.object({
  at: t.time(),
  url: t.string(),
  ip: t.string(),
  agent: t.string(),
  status: t.i32(),
  took: t.optional(t.f64()),
  id: t.bigint(),
})
const hits = topic('hits', { value: hitSchema, eventTime: 'at', disorderMs: 5_000 })
const late = topic('late', { value: hitSchema })
const people = topic('people', {
  value: t.object({ ip: t.string(), name: t.string(), age: t.optional(t.i32()) }),
  key: 'ip',
  compacted: true,
})
const airports = fileTable({
  name: 'airports',
  path: 'airports.csv',
  format: 'csv',
  value: t.object({ iata: t.string(), city: t.string(), url: t.optional(t.string()) }),
  key: 'iata',
})
const archive: Sink<unknown> = {
  kind: 'sink',
  spec: { type: 'memory', summary: '', fields: [], example: '' },
  guarantee: 'transactional',
  acceptsUpdates: false,
  settings: {},
  check: () => {},
  open: () => Promise.reject(new Error('not opened')),
}
const isCrawler = (agent: string): boolean => agent.includes('bot')

interface Hit {
  at: number
  url: string
  ip: string
  agent: string
  status: number
  took: number | null
  id: bigint
}

test('the sketch of the design compiles as written', () => {
  const web = pipeline('web', (mill) => {
    const people = mill.from(hits).filter((hit) => !isCrawler(hit.agent), { name: 'people' })
    people
      .groupBy('url')
      .window(tumbling({ sizeMs: 60_000 }))
      .aggregate({ hits: count(), visitors: countDistinct('ip') }, { name: 'per-minute' })
      .toTable('per_minute')
    people.to(archive)
  })
  assert.deepEqual(
    web.plan.nodes.map((node) => node.name),
    ['hits', 'people', 'per-minute', 'table.per_minute', 'people.memory-1'],
  )
})

test('rows and keys infer', () => {
  pipeline('types', (mill) => {
    const source = mill.from(hits)
    yes<Equal<RowOf<typeof source>, Hit>>()
    yes<Equal<KeyOf<typeof source>, null>>()
    const picked = source.select('url', 'status', { name: 'picked' })
    yes<Equal<RowOf<typeof picked>, { url: string; status: number }>>()
    const built = source.select({
      link: 'url',
      slow: expr((row) => row.took.gt(100)),
      twice: expr((row) => row.took.times(2)),
      shout: expr((row) => row.url.upper()),
      kind: expr((row) => when(row.status.gte(500), 'bad').otherwise('good')),
    })
    yes<Equal<RowOf<typeof built>, { link: string; slow: boolean | null; twice: number | null; shout: string; kind: string }>>()
    const keyed = source.keyBy('ip', 'url')
    yes<Equal<KeyOf<typeof keyed>, { ip: string; url: string }>>()
    const lambdaKeyed = source.keyBy((row) => row.ip.length)
    yes<Equal<KeyOf<typeof lambdaKeyed>, number>>()
    const kept = keyed.select('ip', 'url', 'status')
    yes<Equal<KeyOf<typeof kept>, { ip: string; url: string }>>()
    const lost = keyed.select('ip')
    yes<Equal<KeyOf<typeof lost>, null>>()
    const mapped = source.map((row) => ({ url: row.url, n: 1 }))
    yes<Equal<RowOf<typeof mapped>, { url: string; n: number }>>()
    const typed = source.map((row) => ({ url: row.url, n: 1 }), { value: t.object({ url: t.string(), n: t.optional(t.f64()) }) })
    yes<Equal<RowOf<typeof typed>, { url: string; n: number | null }>>()
    const values = keyed.mapValues((row) => ({ ip: row.ip, url: row.url, x: 1 }))
    yes<Equal<KeyOf<typeof values>, { ip: string; url: string }>>()
    const flat = source.flatMap((row) => [{ a: row.url }, { a: 'x' }])
    yes<Equal<RowOf<typeof flat>, { a: string }>>()
    const split = source.branch({ good: (row) => row.status < 400, bad: expr((row) => row.status.gte(500)) })
    yes<Equal<RowOf<typeof split.good>, Hit>>()
    yes<Equal<keyof typeof split, 'good' | 'bad' | 'rest'>>()
    const both = split.good.merge(split.rest)
    yes<Equal<RowOf<typeof both>, Hit>>()
    const through = source.through(late)
    yes<Equal<RowOf<typeof through>, Hit>>()
    const once = source.dedupe({ by: 'id', withinMs: 1_000 })
    yes<Equal<RowOf<typeof once>, Hit>>()
    const windowed = source
      .groupBy('url')
      .window(tumbling({ sizeMs: 60_000 }))
      .aggregate({
        n: count(),
        good: count({ where: expr((row) => row.status.lt(400)) }),
        total: sum('status'),
        big: sum('id'),
        took: mean('took'),
        worst: max('took'),
        first: min('url'),
        ips: countDistinct('ip'),
        part: sum('status', { where: expr((row) => row.status.gt(1)) }),
        twice: sum(expr((row) => row.status.times(2))),
        longest: custom({ initial: () => '', add: (best, row) => (row.url.length > best.length ? row.url : best) }),
      })
    yes<
      Equal<
        RowOf<typeof windowed>,
        {
          url: string
          windowStart: number
          windowEnd: number
          n: number
          good: number
          total: number
          big: bigint
          took: number | null
          worst: number | null
          first: string
          ips: number
          part: number | null
          twice: number
          longest: string
        }
      >
    >()
    yes<Equal<KeyOf<typeof windowed>, { url: string; windowStart: number }>>()
    const grouped = source.groupBy((row) => row.url.length).aggregate({ n: count() })
    yes<Equal<RowOf<typeof grouped>, { key: number; n: number }>>()
    const scanned = source.keyBy('ip').scan(
      () => ({ n: 0 }),
      (state, row) => ({ state: { n: state.n + 1 }, rows: [{ ip: row.ip, n: state.n }] }),
    )
    yes<Equal<RowOf<typeof scanned>, { ip: string; n: number }>>()
    const table = mill.table(people)
    yes<Equal<KeyOf<typeof table>, { ip: string }>>()
    const joined = source.join(table, { on: 'ip' })
    yes<Equal<RowOf<typeof joined>, Hit & { name: string; age: number | null } extends infer J ? { [N in keyof J]: J[N] } : never>>()
    const left = source.select('ip', 'url').join(mill.table(airports), { on: { ip: 'iata' }, type: 'left', select: { town: 'city' } })
    yes<Equal<RowOf<typeof left>, { ip: string; url: string; town: string | null }>>()
    const listed = source.select('ip').join(mill.table(airports), { on: { ip: 'iata' }, select: ['city'] })
    yes<Equal<RowOf<typeof listed>, { ip: string; city: string }>>()
    source.to(late)
  })
})

test('a foreign schema gives its output type, and is checked like our own', () => {
  interface Event {
    readonly kind: 'click' | 'buy'
    readonly at: Date
    readonly user?: string | undefined
  }
  const schema: StandardSchemaV1<unknown, Event> = {
    '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Event }) },
  }
  const events = topic('events', { value: schema, eventTime: 'at', key: 'user' })
  // @ts-expect-error -- `kind` is a text, not a time
  const bad = (): unknown => topic('bad', { value: schema, eventTime: 'kind' })
  assert.equal(typeof bad, 'function')
  pipeline('foreign', (mill) => {
    const source = mill.from(events)
    yes<Equal<RowOf<typeof source>, Event>>()
    source
      .keyBy('kind')
      .groupBy('kind')
      .aggregate({ n: count(), users: countDistinct('user') })
      .toTable('kinds')
  })
  assert.equal(events.fields, null)
  assert.equal(events.foreignSchema, schema)
})

test('a predicate narrows a union for what follows', () => {
  type Event = { readonly type: 'click'; readonly url: string } | { readonly type: 'buy'; readonly price: number }
  const schema: StandardSchemaV1<unknown, Event> = {
    '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Event }) },
  }
  pipeline('union', (mill) => {
    const bought = mill.from(topic('events', { value: schema })).filter((event) => event.type === 'buy')
    yes<Equal<RowOf<typeof bought>, { readonly type: 'buy'; readonly price: number }>>()
    bought
      .groupBy('type')
      .aggregate({ revenue: sum('price') })
      .toTable('revenue')
  })
})
