// Who is let in: Host, Origin, token; on real sockets, because that is where the headers come from.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import type { HealthAnswer } from '../../api.ts'
import { startPlant } from '../plant.ts'
import { type errorOf, PlantUnderTest } from '../plant.fixture.ts'

/** `fetch` does not let anybody choose Host and Origin. */
function raw(
  plant: PlantUnderTest,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ port: plant.plant.port, host: '127.0.0.1', method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    sent.on('error', reject)
    sent.end(method === 'POST' || method === 'PUT' ? '1' : undefined)
  })
}

/** Process and folder that /health names. */
async function placeOf(
  plant: PlantUnderTest,
  headers: Readonly<Record<string, string>>,
): Promise<Pick<HealthAnswer['millrace'], 'pid' | 'folder'>> {
  const { status, text } = await raw(plant, 'GET', '/health', { host: 'localhost', ...headers })
  assert.equal(status, 200)
  const { pid, folder } = (JSON.parse(text) as HealthAnswer).millrace
  return { pid, folder }
}

describe('hosts and origins', () => {
  test('only names of this machine, and those that were configured, are answered', async () => {
    const plant = await PlantUnderTest.start({ hosts: ['Plant.Example'] })
    await plant.plant.log.createTopic('t')
    const { port } = plant.plant
    for (const host of [`127.0.0.1:${port}`, 'localhost', `localhost:${port}`, `[::1]:${port}`, 'plant.example', 'PLANT.example:80']) {
      assert.equal((await raw(plant, 'GET', '/topics', { host })).status, 200, host)
    }
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', '10.0.0.1', '']) {
      for (const [method, path] of [
        ['GET', '/topics'],
        ['POST', '/topics/t'],
        ['GET', '/metrics'],
      ] as const) {
        const { status, text } = await raw(plant, method, path, { host })
        assert.equal(status, host === '' ? status : 403, `${host} ${method} ${path}`)
        if (host !== '') assert.match(text, /MR_HTTP_HOST_REFUSED/)
      }
    }
    // Health is for everybody; where the plant lies is not.
    assert.deepEqual(await placeOf(plant, { host: 'anything' }), { pid: null, folder: null })
    assert.equal((await placeOf(plant, { host: 'plant.example' })).pid, process.pid)
    await plant.stop()
  })

  test('a page of another origin changes nothing; the own page and programs do', async () => {
    const plant = await PlantUnderTest.start()
    await plant.plant.log.createTopic('t')
    const host = `127.0.0.1:${plant.plant.port}`
    const changes = [
      ['POST', '/topics/t'],
      ['PUT', '/api/topics/x'],
      ['DELETE', '/api/topics/t'],
      ['POST', '/api/dead-letters/web/retry'],
      ['POST', '/api/dead-letters/web/discard'],
      ['POST', '/api/topics/t/settings'],
      ['POST', '/api/pipelines/web/replays'],
    ] as const
    for (const [method, path] of changes) {
      for (const headers of [
        { origin: 'http://evil.example' },
        { origin: 'null' },
        { origin: `http://localhost:${plant.plant.port}` },
        { 'sec-fetch-site': 'cross-site' },
      ]) {
        const { status, text } = await raw(plant, method, path, { host, ...(headers as Readonly<Record<string, string>>) })
        assert.equal(status, 403, `${method} ${path} ${JSON.stringify(headers)}`)
        assert.match(text, /MR_HTTP_ORIGIN_REFUSED/)
      }
    }
    assert.deepEqual(await plant.texts('t'), [])
    for (const headers of [{}, { origin: `http://${host}` }, { 'sec-fetch-site': 'same-origin' }]) {
      assert.equal((await raw(plant, 'POST', '/topics/t', { host, ...(headers as Readonly<Record<string, string>>) })).status, 200)
    }
    await plant.stop()
  })
})

describe('tokens', () => {
  test('with a token every request but health and the page needs it', async () => {
    const plant = await PlantUnderTest.start({ token: 'correct horse' })
    await plant.plant.log.createTopic('t')
    assert.deepEqual(await placeOf(plant, {}), { pid: null, folder: null })
    assert.deepEqual(await placeOf(plant, { authorization: 'Bearer wrong' }), { pid: null, folder: null })
    assert.equal((await placeOf(plant, { authorization: 'Bearer correct horse' })).pid, process.pid)
    assert.equal((await plant.get('/')).status, 200)
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic correct horse' }, { authorization: 'Bearer' }]) {
      const answer = await plant.get('/topics', headers as Readonly<Record<string, string>>)
      assert.equal(answer.status, 401)
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
      assert.ok(!answer.text.includes('correct horse'))
      assert.equal((await plant.post('/topics/t', '1', headers as Readonly<Record<string, string>>)).status, 401)
    }
    const right = { authorization: 'Bearer correct horse' }
    assert.equal((await plant.get('/topics', right)).status, 200)
    assert.equal((await plant.post('/topics/t', '1', right)).status, 200)
    await plant.stop()
  })

  test('another address than the loopback one is refused without a token', async () => {
    await assert.rejects(startPlant({ folder: null, pipelines: [], host: '0.0.0.0', port: 0 }), { code: 'MR_SERVER_ADDRESS' })
    const plant = await PlantUnderTest.start({ host: '0.0.0.0', token: 'x' })
    const { status } = await raw(plant, 'GET', '/topics', { host: 'some.name', authorization: 'Bearer x' })
    assert.equal(status, 200)
    await plant.stop()
  })

  test('a key that is no key is refused by name', async () => {
    await assert.rejects(
      startPlant({ folder: null, pipelines: [], port: 0, tls: { key: '/nowhere/key.pem', cert: '/nowhere/cert.pem' } }),
      { code: 'MR_SERVER_TLS' },
    )
  })
})

describe('ports', () => {
  test('a taken port names the millrace that has it', async () => {
    const first = await PlantUnderTest.start()
    await assert.rejects(startPlant({ folder: null, pipelines: [], port: first.plant.port }), (error: unknown) => {
      const { code, details, fix } = error as ReturnType<typeof errorOf>
      assert.equal(code, 'MR_SERVER_PORT_TAKEN')
      assert.equal(details['pid'], process.pid)
      assert.match(fix, /--port/)
      return true
    })
    await first.stop()
  })

  test('one that asks for a token is known for a millrace, and no more; the own token is not sent to whoever is there', async () => {
    const first = await PlantUnderTest.start({ token: 'x' })
    await assert.rejects(startPlant({ folder: null, pipelines: [], port: first.plant.port, token: 'x' }), (error: unknown) => {
      const { code, message, details, fix } = error as ReturnType<typeof errorOf>
      assert.deepEqual([code, details['pid'], details['folder']], ['MR_SERVER_PORT_TAKEN', undefined, undefined])
      assert.match(message, /another millrace/)
      assert.match(fix, /--port/)
      assert.doesNotMatch(fix, /null/)
      return true
    })
    await first.stop()
  })
})
