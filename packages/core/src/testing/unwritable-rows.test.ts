// Rows that cannot be written: each goes to the dead letters, and the task and every other row go on, over a restart too.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { count, custom, pipeline, t, topic } from '../index.ts'
import { type Disk, readFully } from '../base/disk.ts'
import { collect } from '../connect/memory.ts'
import { ndjsonFile } from '../connect/ndjson-file-sink.ts'
import { FLAT_MAP_BYTES_MAX, FLAT_MAP_ROWS_MAX } from '../operators/flat-map.ts'
import { testPipeline, type PipelineTest } from './pipeline-driver.ts'

const given = topic('given', { value: t.object({ k: t.string() }) })
const made = topic('made', { value: t.object({ k: t.string(), r: t.optional(t.json()) }), key: 'k', compacted: true })

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

function cycle(): unknown {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

function boom(): never {
  throw new Error('boom')
}

const BAD: Readonly<Record<string, () => unknown>> = {
  cycle: () => ({ k: 'cycle', r: cycle() }),
  deep: () => ({ k: 'deep', r: nested(100_000) }),
  'deep-ish': () => ({ k: 'deep-ish', r: nested(600) }),
  'to-json': () => ({ k: 'to-json', r: { toJSON: boom } }),
  getter: () => ({
    get k() {
      return boom()
    },
  }),
  proxy: () => new Proxy({}, { get: boom, ownKeys: boom }),
  nothing: () => undefined,
  null: () => null,
  text: () => 'abc',
  list: () => [1],
  number: () => ({ k: 5 }),
  surrogate: () => ({ k: '\uD800' }),
  large: () => ({ k: 'large', r: 'x'.repeat(20 * 1024 * 1024) }),
}

function rowOf(k: string): { k: string; r: unknown } {
  const bad = BAD[k]
  return (bad === undefined ? { k, r: null } : bad()) as { k: string; r: unknown }
}

async function feedAll(run: PipelineTest): Promise<void> {
  const all = Object.keys(BAD).flatMap((k, index) => [{ k: `good${index}` }, { k }])
  await run.feed(given, [...all, { k: 'last' }])
  await run.advance(60_000)
}

function goodKeys(): string[] {
  return [...Object.keys(BAD).map((_, index) => `good${index}`), 'last']
}

function assertNothingFailed(run: PipelineTest): void {
  assert.deepEqual(
    run.events.filter((event) => event.kind === 'failed' || event.kind === 'restarted'),
    [],
  )
}

for (const partitions of [1, 2]) {
  test(`bad rows of a map do not reach its topic, and harm no other: ${partitions} partitions`, async () => {
    const definition = pipeline('rows', (mill) =>
      mill
        .from(given)
        .map((row) => rowOf(row.k))
        .to(made),
    )
    const run = await testPipeline(definition, { partitions: { given: partitions } })
    await feedAll(run)
    assertNothingFailed(run)
    assert.deepEqual(new Set((await run.records(made)).map((record) => record.key)), new Set(goodKeys()))
    const letters = await run.deadLetters()
    assert.equal(letters.length, Object.keys(BAD).length)
    await run.crash()
    await run.feed(given, [{ k: 'after' }])
    await run.advance(60_000)
    assert.equal((await run.records(made)).at(-1)?.key, 'after')
    assertNothingFailed(run)
    await run.stop()
  })

  test(`bad rows on their way to a group, ${partitions} partitions`, async () => {
    const definition = pipeline('rows', (mill) =>
      mill
        .from(given)
        .map((row) => rowOf(row.k))
        .groupBy((row) => (typeof row === 'object' && 'k' in row ? row.k.length : 0))
        .aggregate({ n: count(), all: custom({ initial: () => 0, add: (n: number) => n + 1 }) }, { name: 'groups' })
        .toTable('groups'),
    )
    const run = await testPipeline(definition, { partitions: { given: partitions } })
    await feedAll(run)
    assertNothingFailed(run)
    const rows = (await run.table('groups')).reduce((sum, row) => sum + Number(row['n']), 0)
    assert.ok(rows >= goodKeys().length)
    assert.equal(rows + (await run.deadLetters()).length, goodKeys().length + Object.keys(BAD).length)
    // What never came as far as the group cannot be tried again there: the letter says so, and what to do.
    for (const { isUndelivered, fix } of await run.deadLetters()) if (isUndelivered === true) assert.match(fix, /cannot be retried/)
    const undelivered = (await run.deadLetters()).filter((letter) => letter.isUndelivered === true).length
    assert.equal(undelivered > 0, partitions > 1)
    await run.retryDeadLetters()
    const refused = (await run.deadLetters()).filter(({ message }) => message.includes('could not be handed on to `groups`'))
    assert.equal(refused.length, undelivered)
    for (const { code, message } of refused) {
      assert.equal(code, 'MR_RUNTIME_RETRY_VERSION')
      assert.match(message, /correct what makes the row, send what is missing .*discard the letter/)
    }
    await run.stop()
  })
}

test('bad open rows in a file of lines', async () => {
  for (const isShared of [false, true]) {
    const definition = pipeline('rows', (mill) => {
      const rows = mill.from(given).map((row) => rowOf(row.k))
      rows.to(ndjsonFile({ path: 'out/rows.ndjson' }))
      if (isShared)
        rows
          .groupBy((row) => typeof row)
          .aggregate({ n: count() }, { name: 'n' })
          .toTable('n')
    })
    const run = await testPipeline(definition)
    await feedAll(run)
    assertNothingFailed(run)
    const lines = textOf(run.disk, 'out/rows.ndjson').trimEnd().split('\n')
    const keys = lines.map((line) => (JSON.parse(line) as { k?: unknown } | null)?.k)
    assert.deepEqual(
      keys.filter((k) => goodKeys().includes(k as string)),
      goodKeys(),
    )
    await run.stop()
  }
})

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  readFully(file, bytes, 0)
  file.close()
  return new TextDecoder().decode(bytes)
}

test('a record of a foreign schema that is nested too deep is a dead letter', async () => {
  const source = topic('foreign', { value: z.object({ k: z.string(), z: z.unknown() }) })
  const copy = topic('copy', { value: z.object({ k: z.string(), z: z.unknown() }) })
  const run = await testPipeline(pipeline('foreign', (mill) => mill.from(source).to(copy)))
  const deep = `{"k":"a","z":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`
  await run.feed(source as never, [{ k: 'x', z: [[1]] }, deep, { k: 'y', z: 2 }] as never[])
  await run.advance(60_000)
  assertNothingFailed(run)
  assert.deepEqual(
    (await run.records(copy)).map((record) => record.value),
    [
      { k: 'x', z: [[1]] },
      { k: 'y', z: 2 },
    ],
  )
  const [letter] = await run.deadLetters()
  assert.deepEqual([letter?.code, letter?.text], ['MR_CODEC_JSON_INVALID', deep])
  await run.stop()
})

test('a flatMap whose few rows are too large together is a letter, and the next record goes on', async () => {
  const text = 'x'.repeat(1 << 20)
  const seen = collect<{ k: string }>()
  for (const value of [t.object({ k: t.string() }), undefined]) {
    const definition = pipeline('large', (mill) => {
      const large = (row: { readonly k: string }): readonly { k: string }[] =>
        row.k === 'large' ? Array.from({ length: 100 }, (_, n) => ({ k: `${n}${text}` })) : [{ k: row.k }, { k: row.k }]
      const from = mill.from(given)
      const made = value === undefined ? from.flatMap(large) : from.flatMap(large, { value })
      made.to(seen)
    })
    const run = await testPipeline(definition)
    await run.feed(given, [{ k: 'a' }, { k: 'large' }, { k: 'b' }])
    await run.advance(60_000)
    assert.deepEqual(
      seen.rows.map((row) => row.k),
      value === undefined ? ['a', 'a', 'b', 'b', 'a', 'a', 'b', 'b'] : ['a', 'a', 'b', 'b'],
    )
    const [letter] = await run.deadLetters()
    assert.equal(letter?.code, 'MR_RUNTIME_ROWS_ENDLESS')
    assert.ok(letter.message.includes(`bytesMax=\`${FLAT_MAP_BYTES_MAX}\``))
    assertNothingFailed(run)
    await run.stop()
  }
})

test('a flatMap that never ends is cut off, its iterator closed, and the next record goes on', async () => {
  let closed = 0
  function* endless(): Generator<{ k: string }> {
    try {
      for (;;) yield { k: 'again' }
    } finally {
      closed++
    }
  }
  const seen = collect<{ k: string }>()
  const definition = pipeline('endless', (mill) =>
    mill
      .from(given)
      .flatMap((row) => (row.k === 'endless' ? endless() : [{ k: row.k }]) as readonly { k: string }[], {
        value: t.object({ k: t.string() }),
      })
      .to(seen),
  )
  const run = await testPipeline(definition)
  await run.feed(given, [{ k: 'a' }, { k: 'endless' }, { k: 'b' }])
  await run.advance(60_000)
  assert.deepEqual(
    seen.rows.map((row) => row.k),
    ['a', 'b'],
  )
  const [letter] = await run.deadLetters()
  assert.deepEqual([letter?.code, closed], ['MR_RUNTIME_ROWS_ENDLESS', 1])
  assert.ok(letter?.message.includes(String(FLAT_MAP_ROWS_MAX)))
  await run.stop()
})

for (const [share, isPaused] of [
  [0.6, true],
  [0.4, false],
] as const)
  test(`a lambda that throws on ${share} of the rows, at most half may be bad`, async () => {
    const rows = 1000
    let seen = 0
    const definition = pipeline(
      'share',
      (mill) =>
        mill
          .from(given)
          .map((row) => (seen++ % 10 < share * 10 ? boom() : { k: row.k, r: null }))
          .to(made),
      { badShareMax: 0.5 },
    )
    const run = await testPipeline(definition)
    await run.feed(
      given,
      Array.from({ length: rows }, (_, id) => ({ k: `k${id}` })),
    )
    await run.advance(60_000)
    assert.equal(
      run.events.some((event) => event.kind === 'paused'),
      isPaused,
    )
    await run.stop()
  })

test('a sink whose folder was removed makes it again and goes on', async () => {
  const run = await testPipeline(pipeline('folder', (mill) => mill.from(given).to(ndjsonFile({ path: 'out/deep/rows.ndjson' }))))
  await run.feed(given, [{ k: 'a' }])
  await run.advance(60_000)
  for (const name of run.disk.list('out/deep')) run.disk.remove(`out/deep/${name}`)
  run.disk.remove('out/deep')
  await run.feed(given, [{ k: 'b' }])
  await run.advance(60_000)
  assert.deepEqual(
    run.events.filter((event) => event.kind === 'failed'),
    [],
  )
  assert.equal(textOf(run.disk, 'out/deep/rows.ndjson'), '{"k":"b"}\n')
  await run.stop()
})

test('a row that its topic refused comes back in at the topic', async () => {
  const numbers = topic('numbers', { value: t.object({ k: t.i64() }) })
  const run = await testPipeline(
    pipeline('again', (mill) =>
      mill
        .from(given)
        .map((row) => ({ k: row.k as unknown as number }), { name: 'm' })
        .to(numbers, { name: 'out' }),
    ),
  )
  await run.feed(given, [{ k: 'a' }])
  await run.advance(60_000)
  assert.deepEqual(
    (await run.deadLetters()).map(({ operator, code, attempt }) => [operator, code, attempt]),
    [['out', 'MR_CODEC_FIELD_TYPE', 1]],
  )
  await run.retryDeadLetters()
  await run.advance(60_000)
  const last = (await run.deadLetters()).at(-1)
  assert.deepEqual([last?.operator, last?.code, last?.attempt], ['out', 'MR_CODEC_FIELD_TYPE', 2])
  await run.stop()
})
