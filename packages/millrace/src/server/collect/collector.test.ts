// POST /topics/NAME over real sockets: what is appended, where, and what is refused with which words.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { partitionOf } from '@millrace/core/engine'
import { errorOf, hits, orders, PlantUnderTest, temporaryFolder, webPipeline } from '../plant.fixture.ts'

interface Collected {
  readonly topic: string
  readonly count: number
  readonly offsets: readonly { readonly partition: number; readonly first: number; readonly count: number }[]
  readonly repeated?: boolean
}

const LIMIT = 64 * 1024
describe('the collector', () => {
  let plant: PlantUnderTest
  before(async () => {
    plant = await PlantUnderTest.start({ pipelines: [webPipeline()], bodyBytesMax: LIMIT })
    for (const name of ['plain', 'gone', 'wide']) await plant.plant.log.createTopic(name, name === 'wide' ? { partitions: 4 } : {})
    await plant.plant.log.createTopic('compact', { compacted: true })
    await plant.plant.log.createTopic('small', { batchBytesMax: 2000 })
  })
  after(() => plant.stop())

  test('one event, an array and lines are kept as the bytes that came', async () => {
    const events = ['{"a": 1.0}', '{"a":1e2,  "b":"é"}', '{"a":[1, 2]}', '[3]']
    const one = await plant.post('/topics/plain', events[0] as string)
    assert.equal(one.status, 200)
    assert.deepEqual(one.value, { topic: 'plain', count: 1, offsets: [{ partition: 0, first: 0, count: 1 }] })
    assert.equal(((await plant.post('/topics/plain', `[${events.slice(1, 3).join(' , ')}]`)).value as Collected).count, 2)
    assert.deepEqual(
      (await plant.post('/topics/plain', `${events[3] as string}\n\nnot json\n`, { 'content-type': 'application/x-ndjson' })).value,
      {
        topic: 'plain',
        count: 2,
        offsets: [{ partition: 0, first: 3, count: 2 }],
      },
    )
    const { value } = await plant.get('/topics/plain?from=earliest')
    const kept = value as readonly { readonly value: unknown; readonly bytes: string | null }[]
    assert.deepEqual(
      kept.map((record) => record.value),
      [{ a: 1 }, { a: 100, b: 'é' }, { a: [1, 2] }, [3], null],
    )
    assert.equal(Buffer.from(kept[4]?.bytes ?? '', 'base64').toString(), 'not json')
  })

  test('what is declared as JSON and begins as an array must be one; an event that is cut off is kept', async () => {
    const json = { 'content-type': 'application/json; charset=utf-8' }
    const before = (await plant.texts('plain')).length
    for (const body of ['[1,2', ' [{"a":1},{"a":', '[1,2] x']) {
      const answer = await plant.post('/topics/plain', body, json)
      assert.equal(answer.status, 400, body)
      assert.equal(errorOf(answer).code, 'MR_HTTP_BODY_INVALID')
      assert.match(errorOf(answer).message, /position \d+/)
    }
    assert.equal((await plant.texts('plain')).length, before)
    assert.equal((await plant.post('/topics/plain', '{"a":', json)).status, 200)
    assert.equal((await plant.post('/topics/plain', '[2026-01-01] a line of a log')).status, 200)
  })

  test('gzip and zstd bodies are unpacked; another encoding and broken ones are refused', async () => {
    for (const [encoding, body] of [
      ['gzip', gzipSync('{"a":1}')],
      ['zstd', zstdCompressSync('{"a":1}')],
    ] as const) {
      assert.equal((await plant.post('/topics/plain', body, { 'content-encoding': encoding })).status, 200)
      assert.equal(
        errorOf(await plant.post('/topics/plain', body.subarray(0, body.length - 3), { 'content-encoding': encoding })).code,
        'MR_HTTP_BODY_INVALID',
      )
    }
    const other = await plant.post('/topics/plain', 'x', { 'content-encoding': 'br' })
    assert.equal(other.status, 415)
    assert.match(errorOf(other).fix, /gzip or zstd/)
  })

  test('a small body that unpacks to a large one is refused before it takes the memory', async () => {
    for (const [encoding, body] of [
      ['gzip', gzipSync(Buffer.alloc(50_000_000))],
      ['zstd', zstdCompressSync(Buffer.alloc(50_000_000))],
    ] as const) {
      assert.ok(body.length < LIMIT, `${body.length}`)
      const before = process.memoryUsage().rss
      const answer = await plant.post('/topics/plain', body, { 'content-encoding': encoding })
      assert.equal(answer.status, 413)
      assert.equal(errorOf(answer).details['bodyBytesMax'], LIMIT)
      assert.ok(process.memoryUsage().rss - before < 30_000_000)
    }
  })

  test('a body above the limit names the limit, announced or in chunks', async () => {
    const body = Buffer.alloc(LIMIT + 1, 32)
    const announced = await plant.post('/topics/plain', body)
    assert.equal(announced.status, 413)
    assert.deepEqual(errorOf(announced).details, { bytes: LIMIT + 1, bodyBytesMax: LIMIT })
    const chunked = await fetch(`${plant.plant.url}/topics/plain`, {
      method: 'POST',
      body: new Blob([body]).stream(),
      duplex: 'half',
    } as RequestInit)
    assert.equal(chunked.status, 413)
  })

  test('an event above the topic limit names its line; nothing of the request is appended', async () => {
    const answer = await plant.post('/topics/small', `{"a":1}\n{"a":"${'x'.repeat(2000)}"}\n`, { 'content-type': 'application/x-ndjson' })
    assert.equal(answer.status, 413)
    assert.equal(errorOf(answer).details['line'], 2)
    assert.deepEqual(await plant.texts('small'), [])
    const many = await plant.post('/topics/small', Array.from({ length: 50 }, (_, n) => `{"n":${n},"x":"${'y'.repeat(100)}"}`).join('\n'))
    assert.equal((many.value as Collected).count, 50)
    assert.ok((many.value as Collected).offsets.length > 1)
  })

  test('an empty body is 400, an empty array appends nothing', async () => {
    for (const body of ['', ' \n']) {
      const answer = await plant.post('/topics/plain', body)
      assert.equal(answer.status, 400)
      assert.equal(errorOf(answer).code, 'MR_HTTP_BODY_EMPTY')
    }
    assert.deepEqual((await plant.post('/topics/plain', '[]')).value, { topic: 'plain', count: 0, offsets: [] })
  })

  test('topics that do not exist are 404 with the nearest name, those of the plant are 403', async () => {
    const unknown = await plant.post('/topics/plian', '{}')
    assert.equal(unknown.status, 404)
    assert.equal(errorOf(unknown).details['nearest'], 'plain')
    assert.match(errorOf(unknown).message, /did you mean `plain`/)
    for (const name of ['__web.hits.progress', '__nothing', 'web.dead-letters'])
      assert.equal((await plant.post(`/topics/${name}`, '{}')).status, 403)
    await plant.plant.log.deleteTopic('gone')
    assert.equal((await plant.post('/topics/gone', '{}')).status, 404)
  })

  test('the key comes from the header, as bytes, or from the field of the topic; it chooses the partition as Kafka does', async () => {
    const wide = (await plant.post('/topics/wide', '[1,2,3]', { 'millrace-key': Buffer.from('schlüssel').toString('latin1') }))
      .value as Collected
    const key = Buffer.from('schlüssel')
    assert.deepEqual(wide.offsets, [{ partition: partitionOf(key, 0, key.length, 4), first: 0, count: 3 }])
    const urls = ['/a', '/b', '/c', '/d', '/é"']
    await plant.post('/topics/hits', JSON.stringify(urls.map((url) => ({ at: 1, url }))))
    const { value } = await plant.get('/topics/hits?from=earliest')
    for (const { key: found, partition, value: event } of value as readonly { key: string; partition: number; value: { url: string } }[]) {
      assert.equal(found, event.url)
      assert.equal(partition, partitionOf(Buffer.from(found), 0, Buffer.byteLength(found), hits.partitions))
    }
  })

  test('without a key requests go round robin, and one request stays together', async () => {
    const partitions = new Set<number>()
    for (let n = 0; n < 8; n++) {
      const { offsets } = (await plant.post('/topics/wide', '[1,2,3]')).value as Collected
      assert.equal(offsets.length, 1)
      partitions.add(offsets[0]?.partition ?? -1)
    }
    assert.equal(partitions.size, 4)
  })

  test('a compacted topic takes no event without a key', async () => {
    const answer = await plant.post('/topics/compact', '{"a":1}')
    assert.equal(answer.status, 400)
    assert.match(errorOf(answer).fix, /Millrace-Key/)
    assert.equal((await plant.post('/topics/compact', '{"a":1}', { 'millrace-key': 'k' })).status, 200)
  })

  test('the time of the records is now, or that of the header', async () => {
    await plant.plant.log.createTopic('timed')
    for (const time of ['12345', '1970-01-01T00:00:12.345Z']) await plant.post('/topics/timed', '1', { 'millrace-time': time })
    const { value } = await plant.get('/topics/timed?from=earliest')
    assert.deepEqual(
      (value as readonly { readonly timeMs: number }[]).map((record) => record.timeMs),
      [12345, 12345],
    )
    for (const time of ['soon', '-5', '']) assert.equal((await plant.post('/topics/timed', '1', { 'millrace-time': time })).status, 400)
  })

  test('a topic that validates refuses the whole batch and names every bad line and field', async () => {
    const body = ['{"id":1,"name":"good"}', '{"id":"x"}', '', '{"id":1.5,"name":"half"}', '{"id":1,', '{"id":2,"name":"also good"}'].join(
      '\n',
    )
    const answer = await plant.post('/topics/orders', body, { 'content-type': 'application/x-ndjson' })
    assert.equal(answer.status, 400)
    const { lines: bad = [], details, code } = errorOf(answer)
    assert.equal(code, 'MR_HTTP_EVENTS_REFUSED')
    assert.deepEqual(details, { topic: 'orders', bad: 3, events: 5 })
    assert.deepEqual(
      bad.map(({ line, field }) => [line, field]),
      [
        [2, 'id'],
        [2, 'name'],
        [4, 'id'],
        [5, null],
      ],
    )
    assert.deepEqual(await plant.texts('orders'), [])
    assert.equal((await plant.post('/topics/orders', '[{"id":1,"name":"good"},{"id":2,"name":"x","note":null}]')).status, 200)
    assert.equal((await plant.texts('orders')).length, 2)
    assert.equal(orders.validate, true)
  })

  test('unknown parameters and values are refused with what was meant', async () => {
    const misspelt = await plant.post('/topics/plain?akc=received', '1')
    assert.equal(misspelt.status, 400)
    assert.match(errorOf(misspelt).message, /did you mean `ack`/)
    assert.equal((await plant.post('/topics/plain?ack=maybe', '1')).status, 400)
    assert.equal((await plant.post('/topics/plain?ack=received', '1')).status, 200)
  })

  test('requests of one moment share batches and get their own offsets', async () => {
    await plant.plant.log.createTopic('together', { partitions: 2 })
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => plant.post('/topics/together', `[${n},${n}]`)))
    const places = answers.flatMap(({ value }, n) => (value as Collected).offsets.map((run) => ({ n, ...run })))
    for (const { n, partition, first, count } of places) {
      const { value } = await plant.get(`/topics/together?partition=${partition}&from=${first}&limit=${count}`)
      assert.deepEqual(
        (value as readonly { readonly value: unknown }[]).map((record) => record.value),
        Array.from({ length: count }, () => n),
      )
    }
  })

  test('bodies above the memory budget are answered 429 with Retry-After', async () => {
    const busy = await PlantUnderTest.start({ memoryBytes: 4 * 100_000 })
    await busy.plant.log.createTopic('t')
    const body = JSON.stringify('x'.repeat(80_000))
    const answers = await Promise.all(Array.from({ length: 12 }, () => busy.post('/topics/t', body)))
    const refused = answers.filter(({ status }) => status === 429)
    assert.ok(refused.length > 0 && refused.length < 12, `${refused.length} refused`)
    assert.equal(refused[0]?.headers.get('retry-after'), '1')
    assert.equal((await busy.post('/topics/t', body)).status, 200)
    await busy.stop()
  })
})

describe('idempotency keys', () => {
  test('a repeat answers the first offsets and appends nothing, across restarts too', async () => {
    const folder = temporaryFolder()
    const answers: Collected[] = []
    for (let run = 0; run < 3; run++) {
      const plant = await PlantUnderTest.start({ folder })
      await plant.plant.log.createTopic('t', { partitions: 3 })
      for (let n = 0; n < 2; n++) answers.push((await plant.post('/topics/t', '[1,2]', { 'idempotency-key': 'once' })).value as Collected)
      assert.equal((await plant.texts('t')).length, 2)
      await plant.stop()
    }
    const [first, ...others] = answers
    assert.equal(first?.repeated, undefined)
    for (const other of others) assert.deepEqual(other, { ...first, repeated: true })
  })

  test('a key that is used for another body, or for a topic that was made anew, hides no events', async () => {
    const plant = await PlantUnderTest.start()
    const headers = { 'idempotency-key': 'k' }
    await plant.plant.log.createTopic('t')
    for (const body of ['{"a":1}', '[{"b":1},{"b":2},{"b":3}]', '{"a":2}'])
      assert.equal(((await plant.post('/topics/t', body, headers)).value as Collected).repeated, undefined)
    assert.equal((await plant.texts('t')).length, 5)
    await plant.plant.log.deleteTopic('t')
    await plant.plant.log.createTopic('t')
    assert.equal(((await plant.post('/topics/t', '{"a":1}', headers)).value as Collected).repeated, undefined)
    assert.equal((await plant.texts('t')).length, 1)
    await plant.stop()
  })

  test('another key of the events is another request: its events belong elsewhere', async () => {
    const plant = await PlantUnderTest.start()
    await plant.plant.log.createTopic('t', { partitions: 3 })
    const collect = async (key: string | null): Promise<Collected> => {
      const headers = { 'idempotency-key': 'k', ...(key === null ? {} : { 'millrace-key': key }) }
      return (await plant.post('/topics/t', '1', headers)).value as Collected
    }
    const keys = [null, '', 'a', 'b', 'c']
    const first: Collected[] = []
    for (const key of keys) first.push(await collect(key))
    assert.ok(first.every(({ repeated }) => repeated === undefined))
    for (const [index, key] of keys.entries()) assert.deepEqual(await collect(key), { ...first[index], repeated: true })
    assert.equal((await plant.texts('t')).length, keys.length)
    await plant.stop()
  })

  test('keys are per topic, and their length is limited', async () => {
    const plant = await PlantUnderTest.start()
    for (const name of ['a', 'b']) {
      await plant.plant.log.createTopic(name)
      assert.equal(((await plant.post(`/topics/${name}`, '1', { 'idempotency-key': 'k' })).value as Collected).repeated, undefined)
    }
    const long = await plant.post('/topics/a', '1', { 'idempotency-key': 'x'.repeat(257) })
    assert.equal(long.status, 400)
    assert.match(errorOf(long).fix, /shorter/)
    await plant.stop()
  })
})

describe('a disk without room', () => {
  test('below the reserve the collector answers 507 and says what is free', async () => {
    const plant = await PlantUnderTest.start({ folder: temporaryFolder(), diskReserveBytes: 2 ** 60 })
    await plant.plant.log.createTopic('t')
    const answer = await plant.post('/topics/t', '1')
    assert.equal(answer.status, 507)
    assert.equal(errorOf(answer).code, 'MR_LOG_FULL')
    assert.equal(errorOf(answer).details['reserve'], 2 ** 60)
    await plant.stop()
  })
})
