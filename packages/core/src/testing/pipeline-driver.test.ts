// End to end on the real runtime and virtual time: the thinnest slice through log, decoder, operators, commit, table and topic.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, expr, pipeline, sum, t, topic, tumbling } from '../index.ts'
import { testPipeline } from './pipeline-driver.ts'

const MINUTE = 60_000
const hits = topic('hits', { value: t.object({ url: t.string(), at: t.time(), bytes: t.i32() }), eventTime: 'at', disorderMs: 1000 })
const counts = topic('counts', {
  value: t.object({ url: t.string(), windowStart: t.time(), windowEnd: t.time(), hits: t.i64(), bytes: t.optional(t.i64()) }),
})

const perMinute = pipeline('web', (mill) => {
  const windows = mill
    .from(hits)
    .filter(
      expr((hit) => hit.bytes.gt(0)),
      { name: 'good' },
    )
    .groupBy('url')
    .window(tumbling({ sizeMs: MINUTE }))
  windows.aggregate({ hits: count(), bytes: sum('bytes') }, { name: 'per-minute' }).toTable('per_minute')
  windows.aggregate({ hits: count(), bytes: sum('bytes') }, { name: 'closed', emit: 'close' }).to(counts)
})

/** Ten hits per minute over a few pages; enough that the first record of the partition is confirmed. */
function hitsOf(minutes: number, from = 0): { readonly url: string; readonly at: number; readonly bytes: number }[] {
  return Array.from({ length: minutes * 10 }, (_, index) => ({ url: `/${index % 3}`, at: from * MINUTE + index * 6000, bytes: index % 7 }))
}

function countByHand(
  list: readonly { readonly url: string; readonly at: number; readonly bytes: number }[],
): Map<string, { hits: number; bytes: number }> {
  const result = new Map<string, { hits: number; bytes: number }>()
  for (const hit of list) {
    if (hit.bytes <= 0) continue
    const key = `${hit.url} ${Math.floor(hit.at / MINUTE) * MINUTE}`
    const known = result.get(key) ?? { hits: 0, bytes: 0 }
    known.hits++
    known.bytes += hit.bytes
    result.set(key, known)
  }
  return result
}

function tableAsMap(rows: readonly Readonly<Record<string, unknown>>[]): Map<string, { hits: number; bytes: number }> {
  return new Map(
    rows.map((row) => [`${String(row['url'])} ${String(row['windowStart'])}`, { hits: Number(row['hits']), bytes: Number(row['bytes']) }]),
  )
}

const sorted = <V>(map: Map<string, V>): readonly (readonly [string, V])[] => [...map].sort(([a], [b]) => (a < b ? -1 : 1))

for (const partitions of [1, 3]) {
  test(`counts per key and minute reach the table and, once closed, the topic: ${partitions} partition(s)`, async () => {
    const web = await testPipeline(perMinute, { partitions: { hits: partitions } })
    const list = hitsOf(5)
    for (let at = 0; at < list.length; at += 7) {
      for (const [index, hit] of list.slice(at, at + 7).entries()) await web.feed(hits, [hit], { partition: (at + index) % partitions })
    }
    await web.advance(30_000)
    assert.deepEqual(sorted(tableAsMap(await web.table('per_minute', { limit: 10_000 }))), sorted(countByHand(list)))
    await web.advance(10 * MINUTE)
    const closed = (await web.records(counts)).map((record) => record.value as Readonly<Record<string, unknown>>)
    assert.deepEqual(sorted(tableAsMap(closed)), sorted(countByHand(list)))
    assert.equal(closed.length, countByHand(list).size, 'each window once')
    await web.stop()
  })
}

test('a crash changes nothing: no record lost, none twice', async () => {
  const web = await testPipeline(perMinute, { partitions: { hits: 2 }, seed: 7 })
  const list = hitsOf(6)
  for (let at = 0; at < list.length; at += 10) {
    await web.feed(hits, list.slice(at, at + 5), { partition: 0 })
    await web.feed(hits, list.slice(at + 5, at + 10), { partition: 1 })
    await web.crash()
  }
  await web.advance(20 * MINUTE)
  assert.deepEqual(sorted(tableAsMap(await web.table('per_minute', { limit: 10_000 }))), sorted(countByHand(list)))
  const closed = (await web.records(counts)).map((record) => record.value as Readonly<Record<string, unknown>>)
  assert.deepEqual(sorted(tableAsMap(closed)), sorted(countByHand(list)))
})

test('bad records go to the dead letters with their bytes, the rest goes on', async () => {
  const web = await testPipeline(perMinute)
  const list = hitsOf(3)
  await web.feed(hits, [...list, '{"url":"/x","at":1000', '{"url":1,"at":0,"bytes":1}', '{"at":0,"bytes":1}'])
  await web.advance(MINUTE)
  assert.deepEqual(sorted(tableAsMap(await web.table('per_minute', { limit: 10_000 }))), sorted(countByHand(list)))
  const letters = await web.deadLetters()
  assert.deepEqual(
    letters.map((letter) => letter.code),
    ['MR_CODEC_JSON_INVALID', 'MR_CODEC_FIELD_TYPE', 'MR_CODEC_FIELD_MISSING'],
  )
  assert.equal(letters[0]?.text, '{"url":"/x","at":1000')
})

test('an idle plant writes nothing', async () => {
  const web = await testPipeline(perMinute)
  await web.feed(hits, hitsOf(2))
  await web.advance(30 * MINUTE)
  const ends = (): string => JSON.stringify(web.log.topics().map((known) => web.log.ends(known.name)))
  const before = ends()
  await web.advance(30 * MINUTE)
  assert.equal(ends(), before)
})
