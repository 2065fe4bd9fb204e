// User code that returns a promise: every such record is a dead letter that says so, and no failure of a promise reaches the process.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { custom, pipeline, t, topic, type Stream } from '../index.ts'
import type { StandardSchemaV1 } from '../codec/standard-schema.ts'
import { testPipeline } from './pipeline-driver.ts'

interface Given {
  readonly k: string
  readonly v: number
}

function schemaOf(validate: (value: unknown) => unknown): StandardSchemaV1<unknown, Given> {
  return { '~standard': { version: 1, vendor: 'test', validate: validate as StandardSchemaV1<unknown, Given>['~standard']['validate'] } }
}

const shape = t.object({ k: t.string(), v: t.f64() })
const given = topic('given', { value: shape })
const made = topic('made', { value: schemaOf((value) => ({ value })) })
const optional = t.object({ k: t.optional(t.string()), v: t.optional(t.f64()) })
const rejected = (): Promise<never> => Promise.reject(new Error('later'))

/** What code gives for the bad record in place of what it should: never, for the types. */
type Bad = () => never
const cast = (value: () => unknown): Bad => value as Bad

const PROMISES: Record<string, Bad> = {
  'a promise that fails': cast(rejected),
  'a promise that holds': cast(() => Promise.resolve({ k: 'x', v: 1 })),
  'a thenable': cast(() => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is tested
    then: () => {
      throw new Error('at once')
    },
  })),
}
const ROWS: Record<string, Bad> = {
  ...PROMISES,
  'a row with promises': cast(() => ({ k: rejected(), v: rejected() })),
  'a row with a list of promises': cast(() => ({ k: [rejected(), rejected()], v: 1 })),
}
const LISTS: Record<string, Bad> = {
  ...PROMISES,
  'a list of promises': cast(() => [rejected(), rejected()]),
  'a list with rows of promises': cast(() => [
    { k: 'x', v: 1 },
    { k: rejected(), v: rejected() },
  ]),
}

const isBad = (row: Given): boolean => row.k === 'x'

type Build = (source: Stream<null, Given>, bad: Bad) => void
const code: readonly (readonly [name: string, values: Record<string, Bad>, build: Build])[] = [
  ['filter', PROMISES, (source, bad) => source.filter((row) => (isBad(row) ? bad() : true)).to(made)],
  ['branch', PROMISES, (source, bad) => source.branch({ one: (row) => (isBad(row) ? bad() : true) }, { name: 'b' }).one.to(made)],
  ['map', ROWS, (source, bad) => source.map((row) => (isBad(row) ? bad() : { ...row }), { name: 'op' }).to(made)],
  [
    'map with a schema of optional fields',
    ROWS,
    (source, bad) => source.map((row) => (isBad(row) ? bad() : { ...row }), { name: 'op', value: optional }).toTable('t', { key: 'k' }),
  ],
  [
    'mapValues',
    ROWS,
    (source, bad) =>
      source
        .keyBy('k')
        .mapValues((row) => (isBad(row) ? bad() : { ...row }), { name: 'op' })
        .to(made),
  ],
  ['flatMap', LISTS, (source, bad) => source.flatMap((row) => (isBad(row) ? bad() : [{ ...row }]), { name: 'op' }).to(made)],
  [
    'flatMap with a schema',
    LISTS,
    (source, bad) =>
      source.flatMap((row) => (isBad(row) ? bad() : [{ ...row }]), { name: 'op', value: optional }).toTable('t', { key: 'k' }),
  ],
  [
    'a key',
    { ...PROMISES, 'a key of promises': cast(() => [rejected(), rejected()]) },
    (source, bad) => source.dedupe({ by: (row) => (isBad(row) ? bad() : row.k), withinMs: 1000, name: 'op' }).to(made),
  ],
  ...(['initial', 'add', 'result'] as const).map(
    (part) =>
      [
        `custom ${part}`,
        { ...PROMISES, 'a state with a promise': cast(() => ({ sum: rejected() })) },
        (source: Stream<null, Given>, bad: Bad): void => {
          let groups = 0
          source
            .groupBy('k')
            .aggregate(
              {
                n: custom({
                  initial: () => (part === 'initial' && ++groups === 2 ? bad() : { sum: 0, k: '' }),
                  add: (state, row: Given) => (part === 'add' && isBad(row) ? bad() : { sum: state.sum + row.v, k: row.k }),
                  result: (state) => (part === 'result' && state.k === 'x' ? bad() : state.sum),
                }),
              },
              { name: 'op' },
            )
            .toTable('t')
        },
      ] as const,
  ),
  [
    'scan',
    {
      ...PROMISES,
      'a state that is a promise': cast(() => ({ state: rejected(), rows: [rejected()] })),
      'rows that are a promise': cast(() => ({ state: 1, rows: rejected() })),
      'rows that are promises': cast(() => ({ state: 1, rows: [rejected(), { k: rejected(), v: rejected() }] })),
    },
    (source, bad) =>
      source
        .scan(
          () => 0,
          (state, row) => (isBad(row) ? bad() : { state: state + 1, rows: [{ ...row }] }),
          { by: 'k', name: 'op' },
        )
        .to(made),
  ],
]

for (const [name, values, build] of code)
  for (const [what, bad] of Object.entries(values))
    test(`${name} that gives ${what}: one dead letter, and the others go on`, async () => {
      const definition = pipeline('p', (mill) => build(mill.from(given), bad))
      const run = await testPipeline(definition)
      for (const k of ['a', 'x', 'b']) await run.feed(given, [{ k, v: 1 }])
      await run.advance(60_000)
      assert.deepEqual(
        (await run.deadLetters()).map((letter) => letter.code),
        ['MR_RUNTIME_USER_ASYNC'],
      )
      const ks =
        name.includes('custom') || definition.plan.nodes.some((node) => node.kind === 'to-table')
          ? await run.table('t')
          : await run.records(made)
      assert.equal(ks.length, 2)
      await run.stop()
    })

for (const [what, bad] of Object.entries({ ...PROMISES, 'a value with a promise': cast(() => ({ value: { k: rejected(), v: 1 } })) }))
  test(`a schema that gives ${what}: one dead letter, and the others go on`, async () => {
    const source = topic('source', { value: schemaOf((value) => (isBad(value as Given) ? bad() : { value })) })
    const run = await testPipeline(pipeline('p', (mill) => mill.from(source).to(made)))
    for (const k of ['a', 'x', 'b']) await run.feed(source, [JSON.stringify({ k, v: 1 })])
    await run.advance(60_000)
    const [letter, ...others] = await run.deadLetters()
    assert.deepEqual([letter?.topic, letter?.offset, others.length], ['source', 1, 0])
    assert.match(letter?.code ?? '', /^MR_(SCHEMA_REFUSED|RUNTIME_USER_ASYNC)$/)
    assert.equal((await run.records(made)).length, 2)
    await run.stop()
  })
