// Bodies over real connections: what is counted is given back, whatever happens to the request.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, createServer, type IncomingMessage, request, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isMillraceError } from '@millrace/core/engine'
import { BodyBudget, readBody, releaseBody } from './body.ts'

const budget = new BodyBudget(400_000)
let server: Server
let reading = 0

before(async () => {
  server = createServer((message, response) => {
    reading++
    readBody(message, response, { bodyBytesMax: 1_000_000, budget }).then(
      (body) => response.end(String(body.length)),
      (error: unknown) => response.writeHead(429).end(isMillraceError(error) ? error.code : String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())

function post(encoding?: string): ClientRequest {
  const { port } = server.address() as AddressInfo
  const headers = encoding === undefined ? {} : { 'content-encoding': encoding }
  return request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false })
}

async function answer(sent: ClientRequest): Promise<{ readonly status: number; readonly text: string }> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !isTrue();) {
    assert.ok(Date.now() < deadline, `still ${budget.bytes} bytes taken`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the budget of bodies', () => {
  test('a body that is refused while it is sent is not counted any more when it goes on', async () => {
    const first = post()
    first.write(Buffer.alloc(300_000))
    await until(() => budget.bytes >= 300_000 - 65_536)
    const second = post()
    second.on('error', () => {})
    const refused = answer(second)
    second.write(Buffer.alloc(250_000))
    assert.deepEqual(await refused, { status: 429, text: 'MR_HTTP_BUSY' })
    first.end()
    assert.equal((await answer(first)).text, '300000')
    second.end(Buffer.alloc(400_000))
    await until(() => budget.bytes === 0)
    assert.equal((await answerOf(Buffer.alloc(350_000))).text, '350000')
    await until(() => budget.bytes === 0)
  })

  test('compressed bodies are counted by what they grow to, few at a time', async () => {
    const small = gzipSync(Buffer.alloc(300_000))
    const answers = await Promise.all(Array.from({ length: 12 }, () => answerOf(small, 'gzip')))
    for (const { status, text } of answers) assert.ok(status === 200 ? text === '300000' : text === 'MR_HTTP_BUSY', text)
    assert.ok(answers.some(({ status }) => status === 200))
    await until(() => budget.bytes === 0)
    assert.equal(reading > 12, true)
  })

  test('all frames of a zstd body count, and none may be missing', async () => {
    const frame = (bytes: number): Buffer => zstdCompressSync(Buffer.alloc(bytes))
    assert.equal((await answerOf(Buffer.concat([frame(10), frame(20)]), 'ZSTD')).text, '30')
    assert.equal((await answerOf(Buffer.concat([frame(10), frame(20).subarray(0, -1)]), 'zstd')).text, 'MR_HTTP_BODY_INVALID')
    assert.equal((await answerOf(Buffer.concat([frame(600_000), frame(600_000)]), 'zstd')).text, 'MR_HTTP_BODY_TOO_LARGE')
    await until(() => budget.bytes === 0)
  })

  test('frames without bytes are bounded: each costs a call, and others wait behind them', async () => {
    const empty = zstdCompressSync(Buffer.alloc(0))
    const frames = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => empty))
    assert.equal((await answerOf(frames(1024), 'zstd')).text, '0')
    assert.equal((await answerOf(frames(1025), 'zstd')).text, 'MR_HTTP_BODY_INVALID')
  })

  test('all members of a gzip body count, and nothing may lie behind them', async () => {
    const member = (bytes: number): Buffer => gzipSync(Buffer.alloc(bytes))
    assert.equal((await answerOf(Buffer.concat([member(10), member(20), member(300_000)]), 'gzip')).text, '300030')
    for (const behind of [Buffer.from([0]), Buffer.alloc(512), Buffer.from('more'), Buffer.concat([Buffer.from([0]), member(1000)])])
      assert.equal((await answerOf(Buffer.concat([member(10), behind]), 'gzip')).text, 'MR_HTTP_BODY_INVALID')
  })
})

function answerOf(body: Buffer, encoding?: string): ReturnType<typeof answer> {
  const sent = post(encoding)
  sent.end(body)
  return answer(sent)
}

test('the memory of a body goes back at once, that which others share never', () => {
  const body = Buffer.from(new Uint8Array(20_000).fill(7).buffer)
  releaseBody(body)
  assert.equal(body.length, 0)
  const shared = new Uint8Array(20_000).fill(7)
  releaseBody(Buffer.from(shared.buffer, 0, 10_000))
  releaseBody(Buffer.from(new SharedArrayBuffer(20_000)) as unknown as Buffer)
  assert.ok(shared.every((byte) => byte === 7))
})
