// Sources on the log in memory: exactly once, backpressure, fencing, failures; and what the file source makes of lines.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError, MillraceError } from '../../base/errors.ts'
import { fileSource, type FileSourceSettings } from '../../connect/file-source.ts'
import type { SourceConnector } from '../../connect/source.ts'
import type { AnyTopic } from '../../connect/topic.ts'
import { FileAppender, fieldsOf, SourceWorld, topicOf } from './source.fixture.ts'
import { runSource } from './source-runner.ts'

function put(world: SourceWorld, path: string, text: string): void {
  const file = new FileAppender(world.disk, path)
  file.write(text)
  file.close()
}

/** What the file gives, read once to its end. */
async function readOnce(text: string, settings: Partial<FileSourceSettings> = {}, topic: AnyTopic = topicOf()) {
  const world = new SourceWorld()
  put(world, '/in/a', text)
  const source = await world.start(fileSource({ path: '/in/a', ...settings }), topic)
  await world.time.run(source.finished())
  assert.equal(source.status().phase, 'ended')
  return world.records()
}

const values = (records: readonly { readonly value: string }[]): readonly string[] => records.map(({ value }) => value)

test('lines are appended byte for byte; blank lines are none, the last needs no end', async () => {
  const records = await readOnce('{"a": 1}\r\n\n  \nnot json\n{"b":2}')
  assert.deepEqual(values(records), ['{"a": 1}', 'not json', '{"b":2}'])
  assert.ok(records.every(({ key, headers }) => key === null && Object.keys(headers).length === 0))
})

test('CSV becomes JSON with the kinds of the topic; what does not fit stays as it is, with the code of the error', async () => {
  const topic = topicOf({ fields: fieldsOf({ id: 'i32', name: 'string' }) })
  const records = await readOnce('name,id,more\nanna,1,x\n"b ""b"" \n c",2,\nbad,x,\ntoo,few\nlast,3,y', { format: 'csv' }, topic)
  assert.deepEqual(
    records.map(({ value, headers }) => [value, headers['millrace.error'] ?? null]),
    [
      ['{"id":1,"name":"anna"}', null],
      ['{"id":2,"name":"b \\"b\\" \\n c"}', null],
      ['bad,x,', 'MR_CODEC_FIELD_TYPE'],
      ['too,few', 'MR_CODEC_CSV_INVALID'],
      ['{"id":3,"name":"last"}', null],
    ],
  )
})

test('CSV without a schema gives texts, another separator is possible, and a key is taken', async () => {
  const records = await readOnce('a;b\n1;x\n2;\n', { format: 'csv', separator: ';', key: 'a' })
  assert.deepEqual(
    records.map(({ key, value }) => [key, value]),
    [
      ['1', '{"a":"1","b":"x"}'],
      ['2', '{"a":"2","b":null}'],
    ],
  )
})

test('the key is the text of the field or its JSON, and decides the partition; a line without it has none', async () => {
  const lines = Array.from({ length: 40 }, (_, n) => `{"n":${n},"k":"k${n % 5}"}`)
  const byText = await readOnce(lines.join('\n'), {}, topicOf({ partitions: 3, keyField: 'k' }))
  for (const { key, value } of byText) assert.equal(key, (JSON.parse(value) as { k: string }).k)
  for (const key of ['k0', 'k1', 'k2', 'k3', 'k4']) {
    const own = byText.filter((record) => record.key === key)
    assert.equal(new Set(own.map(({ partition }) => partition)).size, 1)
    assert.deepEqual(
      values(own),
      lines.filter((line) => line.includes(`"${key}"`)),
    )
  }
  const fields = fieldsOf({ n: 'i32', k: 'string' })
  const byNumber = await readOnce('{"n":7,"k":"x"}\n{"k":"x"}\nnot json', { key: 'n' }, topicOf({ fields }))
  assert.deepEqual(
    byNumber.map(({ key }) => key),
    ['7', null, null],
  )
})

test('a compacted topic takes bad lines, too', async () => {
  const records = await readOnce('{"k":"a"}\nbad\nworse', {}, topicOf({ keyField: 'k', compacted: true }))
  assert.equal(records.length, 3)
  assert.equal(new Set(records.map(({ key }) => key)).size, 3)
})

test('a line beyond the limit is cut off at its place, marked, and not JSON whatever it was', async () => {
  const long = `{"a":"${'ü'.repeat(3000)}"}`
  const records = await readOnce(`{"n":1}\n${long}\n{"n":2}\n{}${' '.repeat(5000)}\n`, { recordBytesMax: 100 })
  assert.deepEqual(
    records.map(({ headers }) => headers['millrace.error'] ?? null),
    [null, 'MR_CODEC_TOO_LARGE', null, 'MR_CODEC_TOO_LARGE'],
  )
  const [, cut, , spaces] = values(records)
  assert.match(cut ?? '', /^\{"a":"ü+ … cut off: line 2 has 6008 bytes$/)
  assert.ok(!cut?.includes('\ufffd'))
  for (const text of [cut, spaces]) assert.throws(() => JSON.parse(text ?? '') as unknown)
})

test('what is larger than a batch of the topic is cut off, even where the line is not', async () => {
  const world = new SourceWorld()
  await world.time.run(world.log.createTopic('lines', { batchBytesMax: 400 }))
  put(world, '/in/a', `k,v\na,1\nb,${'\u0001'.repeat(60)}\nc,2\n`)
  const source = await world.start(fileSource({ path: '/in/a', format: 'csv', key: 'k' }))
  await world.time.run(source.finished())
  assert.deepEqual(
    (await world.records()).map(({ key, headers }) => [key, headers['millrace.error'] ?? null]),
    [
      ['a', null],
      [null, 'MR_CODEC_TOO_LARGE'],
      ['c', null],
    ],
  )
})

test('several files are read in order, and a second run reads nothing', async () => {
  const world = new SourceWorld()
  for (const name of ['b', 'a', 'c']) put(world, `/in/${name}`, `${name}1\n${name}2\n`)
  const connector = fileSource({ path: ['/in/b', '/in/a', '/in/c'] })
  await world.time.run((await world.start(connector)).finished())
  assert.deepEqual(await world.values(), ['b1', 'b2', 'a1', 'a2', 'c1', 'c2'])
  await world.time.run((await world.start(connector)).finished())
  assert.equal((await world.values()).length, 6)
})

test('a file that is not there is waited for when it is followed, and an error when it is not', async () => {
  const world = new SourceWorld()
  const missing = await world.start(fileSource({ path: '/in/none' }))
  assert.equal(missing.status().phase, 'failed')
  assert.equal(missing.status().error?.code, 'MR_SOURCE_FILE_MISSING')
  await assert.rejects(world.time.run(missing.finished()), (error) => isMillraceError(error) && error.code === 'MR_SOURCE_FILE_MISSING')
  const waiting = await world.start(fileSource({ path: '/in/none', tail: true }))
  assert.equal(waiting.status().phase, 'waiting')
  put(world, '/in/none', 'x\ny')
  await world.time.advance(1000)
  assert.deepEqual(await world.values(), ['x'], 'a line without its end waits')
  assert.equal(waiting.status().lag, 1)
  await world.stop()
})

test('a header that lacks a required field stops the source with the reason, until the file is corrected', async () => {
  const world = new SourceWorld()
  put(world, '/in/a', 'idd,name\n1,x\n')
  const source = await world.start(fileSource({ path: '/in/a', format: 'csv' }), topicOf({ fields: fieldsOf({ id: 'i32' }) }))
  assert.equal(source.status().phase, 'retrying')
  assert.match(source.status().error?.message ?? '', /no column `id`; did you mean `idd`/)
  world.disk.remove('/in/a')
  put(world, '/in/a', 'id,name\n1,x\n')
  await world.time.run(source.finished())
  assert.deepEqual(await world.values(), ['{"id":1}'])
})

test('a header that names a column twice stops the source, where its values are wanted', async () => {
  for (const [header, says] of [
    ['a,b,a', /two columns of the header are named `a`/],
    ['a,,', /two columns of the header have no name/],
  ] as const) {
    const world = new SourceWorld()
    put(world, '/in/a', `${header}\n1,2,3\n`)
    const source = await world.start(fileSource({ path: '/in/a', format: 'csv' }), topicOf())
    const { phase, error } = source.status()
    assert.deepEqual([phase, error?.code], ['retrying', 'MR_CODEC_CSV_INVALID'])
    assert.match(error?.message ?? '', says)
    assert.match(error?.fix ?? '', /a name of its own/)
    world.disk.remove('/in/a')
    put(world, '/in/a', 'a,b,c\n1,2,3\n')
    await world.time.run(source.finished())
    assert.deepEqual(await world.values(), ['{"a":"1","b":"2","c":"3"}'])
  }
  const wanted = topicOf({ fields: fieldsOf({ a: 'i32' }) })
  assert.deepEqual(values(await readOnce('a,,\n1,2,3\n', { format: 'csv' }, wanted)), ['{"a":1}'])
})

test('settings and topics that cannot work are refused with the reason', async () => {
  const refused = (given: object, message: RegExp): void =>
    assert.throws(
      () => fileSource(given as FileSourceSettings),
      (error) => isMillraceError(error) && error.code === 'MR_CONNECTOR_SETTING' && message.test(error.message),
    )
  refused({}, /`path` is needed/)
  refused({ path: 'a', tial: true }, /did you mean `tail`/)
  refused({ path: 'a', format: 'json' }, /did you mean `ndjson`/)
  refused({ path: ['a', 'a'] }, /named twice/)
  refused({ path: 'a', separator: 'é' }, /ASCII/)
  const wrongTopic = (settings: FileSourceSettings, topic: AnyTopic, message: RegExp): void =>
    assert.throws(() => fileSource(settings).check(topic), message)
  wrongTopic({ path: 'a', key: 'nam' }, topicOf({ fields: fieldsOf({ name: 'string' }) }), /did you mean `name`/)
  wrongTopic({ path: 'a', format: 'csv' }, topicOf({ format: 'csv' }), /format of the topic/)
  wrongTopic({ path: 'a' }, topicOf({ compacted: true }), /need a key/)
  const world = new SourceWorld()
  const options = { name: 'no/name', clock: world.time, scheduler: world.time, disk: world.disk }
  await assert.rejects(runSource(world.log, fileSource({ path: 'a' }), topicOf(), options), /cannot name a source/)
})

test('a full log is waited for, and nothing is lost or doubled', async () => {
  const world = new SourceWorld(3, 200_000)
  const lines = Array.from({ length: 3000 }, (_, n) => `{"n":${n},"pad":"${'x'.repeat(60)}"}`)
  put(world, '/in/a', `${lines.slice(0, 1500).join('\n')}\n`)
  const source = await world.start(fileSource({ path: '/in/a', tail: true }))
  put(world, '/in/a', `${lines.slice(1500).join('\n')}\n`)
  await world.time.advance(2000)
  assert.equal(source.status().phase, 'full')
  assert.equal(source.status().error?.code, 'MR_LOG_FULL')
  assert.deepEqual(await world.values(), lines.slice(0, 1500))
  // Room comes when the oldest records go.
  await world.time.run(world.log.trim('lines', 0, world.log.ends('lines')[0]?.end ?? 0))
  await world.time.advance(2000)
  assert.deepEqual(await world.values(), lines.slice(1500))
  assert.equal(source.status().phase, 'waiting')
  assert.equal(source.status().error, null)
  assert.deepEqual(
    world.events.map(({ kind }) => kind),
    ['full', 'resumed'],
  )
  await world.stop()
})

test('a second process with the same source fences the first', async () => {
  const world = new SourceWorld()
  put(world, '/in/a', 'one\n')
  const connector = fileSource({ path: '/in/a', tail: true })
  const first = await world.start(connector)
  const second = await world.start(connector)
  put(world, '/in/a', 'two\n')
  await world.time.advance(2000)
  assert.equal(first.status().phase, 'failed')
  assert.equal(first.status().error?.code, 'MR_LOG_FENCED')
  assert.equal(second.status().phase, 'waiting')
  assert.deepEqual(await world.values(), ['one', 'two'])
  await world.stop()
})

/** A source in a few lines: numbers up to `total`, ten per read, with failures. */
function numbers(total: number, fail: (n: number) => Error | null): SourceConnector & { readonly acknowledged: number[] } {
  const acknowledged: number[] = []
  return {
    kind: 'source',
    spec: { type: 'numbers', summary: '', fields: [], example: '' },
    settings: {},
    lagUnit: 'records',
    acknowledged,
    check: () => undefined,
    open(context, position) {
      let next = typeof position === 'number' ? position : 0
      return {
        pollMs: 1000,
        read(into) {
          for (const end = Math.min(total, next + 10); next < end; next++) {
            const error = fail(next)
            if (error !== null) throw error
            into.append(null, new TextEncoder().encode(String(next)), context.clock.nowMs())
          }
          return { position: next, state: next < total ? 'more' : 'ended' }
        },
        lag: () => total - next,
        committed: (done) => void acknowledged.push(Number(done)),
        close: () => undefined,
      }
    },
  }
}

test('a source that fails is opened again from its newest commit', async () => {
  const world = new SourceWorld()
  let left = 5
  const connector = numbers(500, (n) => (n % 97 === 96 && left-- > 0 ? new Error('the other side is gone') : null))
  const source = await world.start(connector)
  await world.time.run(source.finished())
  assert.deepEqual(
    await world.values(),
    Array.from({ length: 500 }, (_, n) => String(n)),
  )
  assert.equal(connector.acknowledged.at(-1), 500)
  assert.deepEqual(
    connector.acknowledged,
    connector.acknowledged.toSorted((a, b) => a - b),
  )
  assert.equal(source.status().records, 500)
})

test('a source that keeps failing says why, and how often it tries is bounded', async () => {
  const world = new SourceWorld()
  let tries = 0
  const source = await world.start(
    numbers(10, () => {
      tries++
      return new MillraceError('MR_DISK_FAILED', { details: { path: '/share' } })
    }),
  )
  await world.time.advance(60_000)
  assert.equal(source.status().phase, 'retrying')
  assert.match(source.status().error?.message ?? '', /`\/share`/)
  assert.ok(tries > 10 && tries < 25, `${tries} tries in a minute`)
  await world.stop()
  assert.equal(source.status().phase, 'stopped')
})

test('the status tells rate, lag and position', async () => {
  const world = new SourceWorld()
  const source = await world.start(fileSource({ path: '/in/a', tail: true }))
  for (let second = 0; second < 10; second++) {
    put(world, '/in/a', '{}\n'.repeat(100))
    await world.time.advance(1000)
  }
  const status = source.status()
  assert.ok(Math.abs(status.recordsPerSecond - 100) <= 25, `${status.recordsPerSecond} per second`)
  assert.deepEqual([status.records, status.lag, status.lagUnit, status.phase], [1000, 0, 'bytes', 'waiting'])
  await world.time.advance(10_000)
  assert.equal(source.status().recordsPerSecond, 0)
  const before = world.log.ends('__source.in.position')[0]?.end
  await world.time.advance(60_000)
  assert.equal(world.log.ends('__source.in.position')[0]?.end, before, 'an idle source writes nothing')
  await world.stop()
})
