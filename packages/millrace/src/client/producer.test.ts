// The producer client: batches, order, retries without duplicates, bounded memory, errors that name what was refused.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { t, topic } from '@millrace/core'
import { seededRandom } from '@millrace/core/engine'
import { VirtualTime } from '@millrace/core/testing'
import { orders, PlantUnderTest, webPipeline } from '../server/plant.fixture.ts'
import { createProducer, type Producer } from './producer.ts'

interface Sent {
  readonly url: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

type Answer = { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> } | 'lost' | 'broken'

/** A producer on virtual time whose requests are answered by a script: `lost` is appended but its answer never comes. */
function scripted(answers: readonly Answer[], options: Partial<Parameters<typeof createProducer>[0]> = {}) {
  const time = new VirtualTime({ random: seededRandom(1) })
  const sent: Sent[] = []
  const appended = new Map<string, string>()
  const send = async (url: unknown, init: RequestInit = {}): Promise<Response> => {
    const headers = init.headers as Readonly<Record<string, string>>
    const body = init.body as string
    const answer = answers[sent.length] ?? { status: 200 }
    sent.push({ url: String(url), body, headers })
    if (answer === 'broken') throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })
    if (answer === 'lost' || answer.status === 200) appended.set(headers['idempotency-key'] ?? '', body)
    if (answer === 'lost') throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } })
    return new Response(answer.body ?? '{}', {
      status: answer.status,
      ...(answer.headers === undefined ? {} : { headers: answer.headers }),
    })
  }
  const producer = createProducer({ url: 'http://x/', topic: 't', clock: time, scheduler: time, fetch: send as typeof fetch, ...options })
  return { time, sent, appended, producer }
}

/** A server that takes everything. */
function answering(): { readonly sent: string[]; readonly fetch: typeof globalThis.fetch } {
  const sent: string[] = []
  const take = (_url: unknown, init: RequestInit = {}): Promise<Response> => {
    sent.push(init.body as string)
    return Promise.resolve(new Response('{}'))
  }
  return { sent, fetch: take as typeof globalThis.fetch }
}

/** Lets virtual time pass until the promise settles. */
async function settled<T>(time: VirtualTime, promise: Promise<T>): Promise<T> {
  return time.run(promise)
}

describe('batches', () => {
  test('a topic gives `send` the type that its schema takes: optional fields may be left out, others may not', async () => {
    const visits = topic('visits', { value: t.object({ at: t.time(), url: t.string(), took: t.optional(t.f64()) }), eventTime: 'at' })
    const { sent, fetch } = answering()
    const producer = createProducer({ url: 'http://x/', topic: visits, fetch })
    await producer.send({ at: '2026-01-01T12:00:00Z', url: '/' })
    // @ts-expect-error the field `url` is missing
    await producer.send({ at: '2026-01-01T12:00:00Z' })
    // @ts-expect-error no such field
    await producer.send({ at: 1, url: '/', port: 80 })
    await producer.close()
    assert.deepEqual(sent, [
      '{"at":"2026-01-01T12:00:00Z","url":"/"}\n',
      '{"at":"2026-01-01T12:00:00Z"}\n',
      '{"at":1,"url":"/","port":80}\n',
    ])
  })

  test('events of one moment travel together, in order, after the linger', async () => {
    const { time, sent, producer } = scripted([])
    const all = Promise.all([1, 2, 3].map((n) => producer.send({ n })))
    assert.equal(sent.length, 0)
    await settled(time, all)
    assert.deepEqual(
      sent.map(({ body, url }) => [url, body]),
      [['http://x/topics/t?ack=durable', '{"n":1}\n{"n":2}\n{"n":3}\n']],
    )
    assert.equal(producer.figures().acknowledged, 3)
  })

  test('a full batch goes at once, and keys never share one', async () => {
    const { time, sent, producer } = scripted([], { batchBytes: 20, lingerMs: 1000 })
    for (let n = 0; n < 6; n++) void producer.send(n.toString().repeat(5))
    void producer.send('k', { key: 'ä' })
    await settled(time, producer.close())
    assert.deepEqual(
      sent.map(({ body }) => body.trim().split('\n').length),
      [2, 2, 2, 1],
    )
    assert.equal(Buffer.from(sent[3]?.headers['millrace-key'] ?? '', 'latin1').toString(), 'ä')
    assert.equal(new Set(sent.map(({ headers }) => headers['idempotency-key'])).size, 4)
  })
})

describe('retries', () => {
  test('429, 503, a lost answer and a refused connection are tried again under the same key, once appended', async () => {
    const { time, sent, appended, producer } = scripted([
      { status: 429, headers: { 'retry-after': '2' } },
      'broken',
      { status: 503 },
      'lost',
      { status: 200 },
    ])
    const begun = time.monotonicMs()
    await settled(time, producer.send('x'))
    assert.equal(sent.length, 5)
    assert.equal(appended.size, 1)
    assert.ok(time.monotonicMs() - begun >= 2000, 'Retry-After was kept')
    assert.equal(producer.figures().retries, 4)
  })

  test('a batch that waits for its retry is not overtaken', async () => {
    const { time, sent, producer } = scripted([{ status: 503 }, { status: 200 }, { status: 200 }], { batchBytes: 4 })
    void producer.send('a')
    void producer.send('b')
    await settled(time, producer.close())
    assert.deepEqual(
      sent.map(({ body }) => body.trim()),
      ['"a"', '"a"', '"b"'],
    )
  })

  test('out of time it gives up with the last reason, and goes on with what comes behind', async () => {
    const { time, producer } = scripted(
      Array.from({ length: 5 }, (): Answer => 'broken'),
      { deliveryMs: 500, batchBytes: 4 },
    )
    const first = producer.send('a')
    const second = producer.send('b')
    const failed = await settled(
      time,
      first.then(
        () => null,
        (error: unknown) =>
          error as { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> },
      ),
    )
    assert.equal(failed?.code, 'MR_CLIENT_GAVE_UP')
    assert.match(failed?.message ?? '', /ECONNREFUSED/)
    assert.equal(failed?.details['events'], 1)
    await settled(time, second)
    assert.deepEqual([producer.figures().failed, producer.figures().acknowledged], [1, 1])
  })

  test('a refusal is final and names what was refused', async () => {
    const body = JSON.stringify({
      error: {
        code: 'MR_HTTP_EVENTS_REFUSED',
        message: 'no',
        fix: 'mend it',
        details: { topic: 't' },
        lines: [{ line: 2, field: 'id', code: 'MR_CODEC_FIELD_TYPE', message: 'expected a whole number' }],
      },
    })
    const { time, sent, producer } = scripted([{ status: 400, body }])
    const error = (await settled(
      time,
      producer.send(1).catch((thrown: unknown) => thrown),
    )) as { readonly code: string; readonly message: string; readonly fix: string }
    assert.equal(error.code, 'MR_CLIENT_REFUSED')
    assert.match(error.message, /event 2, field `id`: expected a whole number/)
    assert.equal(error.fix, 'mend it')
    assert.equal(sent.length, 1)
  })
})

describe('memory', () => {
  test('what does not fit is refused, and ready() waits for room', async () => {
    const { time, producer } = scripted([{ status: 503 }], { batchBytes: 100, bufferBytes: 300 })
    const value = 'x'.repeat(90)
    for (let n = 0; n < 3; n++) void producer.send(value)
    await assert.rejects(producer.send(value), { code: 'MR_CLIENT_FULL' })
    let isReady = false
    const ready = producer.ready().then(() => (isReady = true))
    await time.advance(1)
    assert.equal(isReady, false)
    await settled(time, ready)
    await settled(time, producer.send(value))
    assert.equal(producer.figures().failed, 0)
  })

  test('after close nothing can be sent; a value without JSON is refused', async () => {
    const { time, producer } = scripted([])
    await assert.rejects(producer.send(undefined), { code: 'MR_CLIENT_REFUSED' })
    await settled(time, producer.close())
    await assert.rejects(producer.send(1), { code: 'MR_CLIENT_CLOSED' })
  })
})

describe('against a real plant', () => {
  test('everything arrives once and in order, through connections that break at random', async () => {
    const plant = await PlantUnderTest.start()
    await plant.plant.log.createTopic('t')
    const proxy = await flakyProxy(plant.plant.port)
    const producer = createProducer<number>({ url: proxy.url, topic: 't', batchBytes: 200, lingerMs: 0, bufferBytes: 2000 })
    const all: Promise<void>[] = []
    for (let n = 0; n < 1000; n++) {
      await producer.ready()
      all.push(producer.send(n))
    }
    await Promise.all(all)
    await producer.close()
    assert.ok(producer.figures().retries > 0, 'the proxy broke nothing')
    assert.deepEqual(
      await plant.texts('t'),
      Array.from({ length: 1000 }, (_, n) => String(n)),
    )
    proxy.close()
    await plant.stop()
  })

  test('the declaration of a topic types what is sent, and its schema refuses the rest', async () => {
    const plant = await PlantUnderTest.start({ pipelines: [webPipeline()] })
    const producer: Producer<{ id: number; name: string; note: string | null }> = createProducer({ url: plant.plant.url, topic: orders })
    await producer.send({ id: 1, name: 'a', note: null })
    const bad = producer.send({ id: 1.5, name: 'b', note: null })
    await assert.rejects(bad, (error: unknown) => {
      assert.match((error as Error).message, /field `id`/)
      return true
    })
    await producer.close()
    await plant.stop()
  })
})

/** Forwards requests and loses every third answer after the request was carried out. */
function flakyProxy(port: number): Promise<{ readonly url: string; close(): void }> {
  let count = 0
  return new Promise((resolve) => {
    const server: Server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const headers = Object.fromEntries(['content-type', 'idempotency-key'].map((name) => [name, String(request.headers[name])]))
        void fetch(`http://127.0.0.1:${port}${request.url ?? ''}`, { method: 'POST', headers, body: Buffer.concat(chunks) }).then(
          async (answer) => {
            const text = await answer.text()
            if (++count % 3 === 0) request.socket.destroy()
            else response.writeHead(answer.status).end(text)
          },
        )
      })
    })
    server.listen(0, '127.0.0.1', () => {
      resolve({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() })
    })
  })
}
