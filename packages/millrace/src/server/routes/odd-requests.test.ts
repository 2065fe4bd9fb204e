// Requests as nobody sends them by mistake: each gets an answer that says what is wrong, and nothing is appended.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { MillraceError } from '@millrace/core/engine'
import { statusOf } from '../http/answers.ts'
import { startPlant } from '../plant.ts'
import { errorOf, eventually, PlantUnderTest, webPipeline } from '../plant.fixture.ts'

let plant: PlantUnderTest
before(async () => {
  plant = await PlantUnderTest.start({ pipelines: [webPipeline()] })
  await plant.plant.log.createTopic('free')
})
after(() => plant.stop())

function recordsOf(topic: string): number {
  return plant.plant.log.ends(topic).reduce((sum, { start, end }) => sum + end - start, 0)
}

/** What a server answers to bytes that no client library would send. */
function raw(head: readonly string[], body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(plant.plant.port, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
    socket.write(`${head.join('\r\n')}\r\nconnection: close\r\n\r\n`)
    socket.write(body)
  })
}

function chunked(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])
}

describe('bodies', () => {
  test('transfer codings but chunked are refused: the bytes would be taken for events', async () => {
    for (const coding of ['gzip, chunked', 'gzip,chunked', 'deflate, chunked', 'chunked, chunked', 'identity, chunked', 'x, Chunked']) {
      const head = ['POST /topics/free HTTP/1.1', 'host: localhost', `transfer-encoding: ${coding}`]
      const answer = await raw(head, chunked(gzipSync('{"a":1}')))
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, `${coding}: ${answer.slice(0, 100)}`)
    }
    const head = ['POST /topics/free HTTP/1.1', 'host: localhost', 'transfer-encoding: gzip', 'transfer-encoding: chunked']
    assert.match(await raw(head, chunked(gzipSync('{"a":1}'))), /^HTTP\/1\.1 4\d\d /)
    assert.equal(recordsOf('free'), 0)
    const good = await raw(['POST /topics/free HTTP/1.1', 'host: localhost', 'transfer-encoding: Chunked'], chunked(Buffer.from('{"a":1}')))
    assert.match(good, /^HTTP\/1\.1 200 /)
    assert.equal(recordsOf('free'), 1)
  })

  test('nothing at all is no event, in any coding; an empty text is one, and a schema refuses it', async () => {
    const before = recordsOf('free')
    for (const body of ['', '\n', ' \n\t\n'])
      assert.equal(errorOf(await plant.post('/topics/free', body)).code, 'MR_HTTP_BODY_EMPTY', JSON.stringify(body))
    assert.equal(errorOf(await plant.post('/topics/free', gzipSync(''), { 'content-encoding': 'gzip' })).code, 'MR_HTTP_BODY_EMPTY')
    for (const encoding of ['gzip, zstd', 'gzip, gzip', 'br'])
      assert.equal(errorOf(await plant.post('/topics/free', gzipSync('{}'), { 'content-encoding': encoding })).code, 'MR_CODEC_UNSUPPORTED')
    assert.equal(recordsOf('free'), before)
    for (const body of ['""', '{"data":""}', '[""]']) {
      const answer = await plant.post('/topics/orders', body)
      assert.deepEqual([answer.status, errorOf(answer).code], [400, 'MR_HTTP_EVENTS_REFUSED'], body)
    }
    assert.equal(recordsOf('orders'), 0)
  })
})

describe('answers', () => {
  test('the answer to HEAD ends, also where that to GET goes on', async () => {
    for (const address of ['/api/events', '/topics/free?follow=true', '/topics/free'])
      assert.match(await raw([`HEAD ${address} HTTP/1.1`, 'host: localhost'], Buffer.alloc(0)), /^HTTP\/1\.1 200 /, address)
  })

  test('a time that no calendar has is refused', async () => {
    for (const time of ['2026-02-30', '2026-02-30T00:00:00Z', '2025-02-29T12:00', '2026-13-01', '2026-01-01T24:00:01Z']) {
      const answer = await plant.post('/topics/free', '1', { 'millrace-time': time })
      assert.deepEqual([answer.status, errorOf(answer).code], [400, 'MR_HTTP_QUERY_INVALID'], time)
    }
    assert.equal((await plant.post('/topics/free', '1', { 'millrace-time': '2024-02-29' })).status, 200)
  })

  test('the coding of a body is named in any case', async () => {
    for (const encoding of ['Identity', 'IDENTITY', 'identity'])
      assert.equal((await plant.post('/topics/free', '1', { 'content-encoding': encoding })).status, 200, encoding)
  })

  test('damage of the own data is no mistake of the client', () => {
    for (const code of ['MR_LOG_CORRUPT', 'MR_LOG_QUARANTINED', 'MR_CODEC_BATCH_CORRUPT', 'MR_RUNTIME_STATE_DAMAGED'] as const)
      assert.equal(statusOf(new MillraceError(code)), 500, code)
    assert.equal(statusOf(new MillraceError('MR_CODEC_JSON_INVALID')), 400)
  })
})

describe('dead letters', () => {
  test('more ids than one request may name are refused', async () => {
    for (const action of ['retry', 'discard']) {
      const address = `/api/dead-letters/web/${action}`
      const ids = (count: number): string => JSON.stringify({ ids: Array.from({ length: count }, (_, id) => id) })
      const answer = await plant.post(address, ids(200_000))
      assert.deepEqual([answer.status, errorOf(answer).code, errorOf(answer).details['member']], [400, 'MR_HTTP_BODY_INVALID', 'ids'])
      assert.equal((await plant.post(address, ids(10_000))).status, 200)
    }
  })
})

describe('queries', () => {
  test('a parameter without a value, twice, or of another form is refused by name', async () => {
    for (const address of [
      '/topics/hits?partition=',
      '/topics/hits?partition=0&partition=1',
      '/topics/hits?partition=0x1',
      '/topics/hits?partition=1e0',
      '/topics/hits?partition=+1',
      '/topics/hits?limit=',
      '/topics/hits?waitMs=',
      '/topics/hits?from=',
      '/topics/hits?from=earliest&from=latest',
      '/topics/hits?follow=yes',
      '/tables/per_minute?limit=',
      '/tables/per_minute?by=',
      '/tables/per_minute?replay=',
      '/tables/per_minute?descending=1',
      '/api/dead-letters?pipeline=',
      '/api/dead-letters/web?code=',
      '/api/dead-letters/web?operator=',
      '/api/dead-letters/web?from=',
      '/health?ready=1',
    ]) {
      const answer = await plant.get(address)
      assert.equal(answer.status, 400, address)
      const { code, details, fix } = errorOf(answer)
      assert.equal(code, 'MR_HTTP_QUERY_INVALID', address)
      assert.ok(address.includes(`${String(details['parameter'])}=`), address)
      assert.notEqual(fix, '')
    }
    assert.equal(errorOf(await plant.post('/topics/free?ack=', '{}')).code, 'MR_HTTP_QUERY_INVALID')
  })
})

describe('keys of tables', () => {
  test('what a key field cannot hold is refused: rounded, it would find the row of another', async () => {
    await plant.post('/topics/orders', '[{"id":0,"name":"zero"},{"id":1,"name":"one"}]')
    const answer = await eventually(
      () => plant.get('/tables/orders?key=0'),
      ({ value }) => (value as { readonly rows?: readonly unknown[] }).rows?.length === 1,
    )
    assert.equal(answer.status, 200)
    for (const text of ['', '%20', 'Infinity', '1e400', '18446744073709551616', '1.5', 'x'])
      for (const parameter of ['key', 'prefix', 'from', 'to']) {
        const refused = await plant.get(`/tables/orders?${parameter}=${text}`)
        assert.deepEqual([refused.status, errorOf(refused).code, errorOf(refused).details['field']], [400, 'MR_TABLE_KEY_INVALID', 'id'])
      }
  })
})

describe('options of a plant', () => {
  test('what cannot be meant is refused before anything is opened, with the name of the option', async () => {
    for (const [name, options] of [
      ['token', { token: '' }],
      ['token', { token: ' ' }],
      ['token', { token: 'padded ' }],
      ['token', { token: '\u00e4' }],
      ['memoryBytes', { memoryBytes: 1 }],
      ['memoryBytes', { memoryBytes: -1 }],
      ['memoryBytes', { memoryBytes: Number.NaN }],
      ['memoryBytes', { memoryBytes: Number.POSITIVE_INFINITY }],
      ['bodyBytesMax', { bodyBytesMax: 0 }],
      ['bodyBytesMax', { bodyBytesMax: 2 ** 40 }],
      ['diskReserveBytes', { diskReserveBytes: -1 }],
      ['snapshotBytesMin', { snapshotBytesMin: 0 }],
      ['port', { port: 70_000 }],
      ['folder', { folder: '' }],
    ] as const) {
      await assert.rejects(startPlant({ folder: null, pipelines: [], port: 0, ...options }), (error: unknown) => {
        const { code, details, fix } = error as {
          readonly code: string
          readonly details: Readonly<Record<string, unknown>>
          readonly fix: string
        }
        assert.deepEqual([code, details['setting']], ['MR_SETTINGS_INVALID', name])
        assert.notEqual(fix, '')
        return true
      })
    }
  })
})
