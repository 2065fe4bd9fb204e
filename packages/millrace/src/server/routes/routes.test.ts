// Every other route, with good and bad input, over real sockets.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { DeadLetterGroup, DeadLetterView, PlantStatus, RetryAnswer, TopicCreated, TopicStatus } from '../../api.ts'
import { decodeJson } from '../../json.ts'
import { errorOf, eventually, PlantUnderTest, temporaryFolder, webPipeline } from '../plant.fixture.ts'
import type { ReplayStatus } from '../pipelines/replay.ts'

interface Page {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  readonly rowCount: number
  readonly watermarkMs: number
}

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 1)

function hit(url: string, minute: number): string {
  return JSON.stringify({ at: START + minute * MINUTE, url })
}

describe('routes of a running plant', () => {
  let plant: PlantUnderTest
  const page = async (query = ''): Promise<Page> => (await plant.get(`/tables/per_minute${query}`)).value as Page

  before(async () => {
    plant = await PlantUnderTest.start({ folder: temporaryFolder(), pipelines: [webPipeline()] })
    const events = ['/a', '/b', '/c'].flatMap((url) => [0, 1, 2, 3].map((minute) => hit(url, minute)))
    await plant.post('/topics/hits', `[${events.join(',')}]`)
    await plant.post('/topics/hits', `{broken\n${hit('/throw', 3)}`)
    await eventually(page, ({ rowCount }) => rowCount === 12)
  })
  after(() => plant.stop())

  test('GET /tables/NAME: all, by key, by prefix, by range, limited, backwards', async () => {
    const all = await page()
    assert.equal(all.rows.length, 12)
    assert.ok(all.watermarkMs > START)
    assert.deepEqual(await page(`?key=/a,${START}`), { ...all, rows: [all.rows[0]] })
    assert.deepEqual((await page(`?key=/a&key=2026-01-01T00:00:00Z`)).rows, [all.rows[0]])
    assert.deepEqual((await page('?key=/z,0')).rows, [])
    assert.deepEqual((await page('?prefix=/b')).rows, all.rows.slice(4, 8))
    assert.deepEqual((await page(`?prefix=/b&from=${START + MINUTE}&to=${START + 3 * MINUTE}`)).rows, all.rows.slice(5, 7))
    assert.deepEqual((await page('?limit=2&descending=true')).rows, all.rows.toReversed().slice(0, 2))
    const newest = all.rows.filter(({ windowStart }) => windowStart === START + 3 * MINUTE)
    assert.deepEqual((await page('?by=windowStart&descending=true&limit=3')).rows, newest.toReversed())
  })

  test('tables: a wrong key, name or parameter says what is right', async () => {
    assert.equal(errorOf(await plant.get('/tables/per_minute?key=/a')).code, 'MR_TABLE_KEY_INVALID')
    assert.equal(errorOf(await plant.get('/tables/per_minute?key=/a,soon')).code, 'MR_TABLE_KEY_INVALID')
    const order = errorOf(await plant.get('/tables/per_minute?by=start'))
    assert.deepEqual([order.code, order.details['fields']], ['MR_TABLE_FIELD_UNKNOWN', 'url,windowStart,windowEnd,hits'])
    const unknown = await plant.get('/tables/perminute')
    assert.deepEqual([unknown.status, errorOf(unknown).details['nearest']], [404, 'per_minute'])
    for (const [query, name] of [
      [`prefix=/a,${START}&from=1`, 'from'],
      [`prefix=/a,${START}&to=soon`, 'to'],
      [`key=/a,${START}&from=1&to=2`, 'from'],
      [`key=/a,${START}&prefix=/b`, 'prefix'],
    ]) {
      const ignored = await plant.get(`/tables/per_minute?${query}`)
      assert.deepEqual([ignored.status, errorOf(ignored).code], [400, 'MR_TABLE_KEY_INVALID'], query)
      assert.match(errorOf(ignored).message, new RegExp(`\`${name}\` can choose nothing more.*per_minute`), query)
    }
    assert.equal((await plant.get('/tables/per_minute?limit=0')).status, 400)
    assert.equal((await plant.get('/tables/per_minute?descending=maybe')).status, 400)
    const list = (await plant.get('/tables')).value as readonly { readonly name: string; readonly pipeline: string }[]
    assert.deepEqual(list.map(({ name, pipeline }) => `${pipeline}/${name}`).toSorted(), ['web/orders', 'web/per_minute'])
  })

  test('GET /topics/NAME: pages go on where the header says, by partition, offset and time', async () => {
    const first = await plant.get('/topics/hits?from=earliest&partition=0&limit=2')
    assert.equal((first.value as readonly unknown[]).length, 2)
    const next = first.headers.get('millrace-next-offset')
    const rest = await plant.get(`/topics/hits?from=${next ?? ''}&partition=0`, { accept: 'application/x-ndjson' })
    const records = rest.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly offset: number })
    assert.equal(records[0]?.offset, Number(next))
    const end = await plant.get('/topics/hits?from=latest&partition=0')
    assert.deepEqual([end.text, end.headers.get('millrace-next-offset')], ['[]', rest.headers.get('millrace-next-offset')])
    assert.equal(((await plant.get('/topics/hits?from=-1h')).value as readonly unknown[]).length, 14)
    assert.equal(((await plant.get('/topics/hits?from=2100-01-01')).value as readonly unknown[]).length, 0)
    for (const query of ['from=soon', 'limit=0', 'limit=x', 'partition=-1', 'waitMs=1e9'])
      assert.equal((await plant.get(`/topics/hits?${query}`)).status, 400, query)
    assert.equal((await plant.get('/topics/hits?partition=7')).status, 404)
    assert.equal((await plant.get('/topics/hist')).status, 404)
  })

  test('GET /topics/NAME waits for what comes, and streams it as events or lines', async () => {
    await plant.plant.log.createTopic('live')
    const waiting = plant.get('/topics/live?from=latest&waitMs=20000')
    const streams = await Promise.all(
      ['text/event-stream', 'application/x-ndjson'].map((accept) =>
        fetch(`${plant.plant.url}/topics/live?from=earliest&follow=true`, { headers: { accept } }),
      ),
    )
    await plant.post('/topics/live', '{"n":1}')
    assert.equal(((await waiting).value as readonly unknown[]).length, 1)
    for (const stream of streams) {
      const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
      const { value } = await reader.read()
      assert.match(Buffer.from(value ?? []).toString(), /^(data: )?\{"partition":0,"offset":0,.*"value":\{"n":1\},"bytes":null\}\n/)
      await reader.cancel()
    }
  })

  test('topics are listed, created, changed and deleted; fixed settings and topics in use are refused', async () => {
    const names = async (query = ''): Promise<readonly string[]> =>
      ((await plant.get(`/topics${query}`)).value as readonly TopicStatus[]).map(({ name }) => name)
    assert.ok((await names()).includes('hits'))
    assert.ok(!(await names()).some((name) => name.startsWith('__')))
    assert.ok((await names('?internal=true')).some((name) => name.startsWith('__')))
    const put = await plant.ask('PUT', '/api/topics/new', '{"partitions":3,"retentionMs":1000}')
    assert.deepEqual([put.status, (put.value as TopicCreated).partitions, (put.value as TopicCreated).created], [200, 3, true])
    const same = await plant.ask('PUT', '/api/topics/new', '{"partitions":3}')
    assert.deepEqual([same.status, (same.value as TopicCreated).partitions, (same.value as TopicCreated).created], [200, 3, false])
    assert.equal((await plant.ask('PUT', '/api/topics/new', '{"partitions":4}')).status, 409)
    assert.equal(((await plant.post('/api/topics/new/settings', '{"retentionMs":null}')).value as TopicStatus).retentionMs, null)
    for (const body of ['{"partitions":9}', '{"retentionMs":-1}', '{"retentionms":1}', '[]', '{'])
      assert.equal((await plant.post('/api/topics/new/settings', body)).status, 400, body)
    assert.match(errorOf(await plant.post('/api/topics/new/settings', '{"retentionms":1}')).message, /did you mean `retentionMs`/)
    assert.equal((await plant.ask('DELETE', '/api/topics/new')).status, 200)
    assert.equal((await plant.ask('DELETE', '/api/topics/new')).status, 404)
    assert.equal((await plant.ask('DELETE', '/api/topics/hits')).status, 403)
    assert.equal((await plant.ask('DELETE', '/api/topics/web.dead-letters')).status, 403)
    assert.equal((await plant.ask('PUT', '/api/topics/__mine', '{}')).status, 403)
    assert.equal((await plant.ask('PUT', `/api/topics/${encodeURIComponent('a/b')}`, '{}')).status, 400)
  })

  test('dead letters are grouped by cause with their bytes, and retried once', async () => {
    const groups = await eventually(
      async () => (await plant.get('/api/dead-letters?pipeline=web')).value as readonly DeadLetterGroup[],
      (found) => found.length === 2,
    )
    assert.deepEqual(
      new Set(groups.map(({ code, operator, count }) => `${code} ${operator} ${count}`)),
      new Set(['MR_CODEC_JSON_INVALID hits 1', 'MR_RUNTIME_USER_THROW known 1']),
    )
    const letters = (await plant.get('/api/dead-letters/web?code=MR_RUNTIME_USER_THROW')).value as readonly DeadLetterView[]
    assert.equal(letters[0]?.text, hit('/throw', 3))
    assert.match(letters[0]?.place ?? '', /plant\.fixture\.ts:\d+/)
    const retried = await plant.post('/api/dead-letters/web/retry', JSON.stringify({ ids: [letters[0]?.id] }))
    assert.deepEqual(retried.value, { moved: 1, refused: [] } satisfies RetryAnswer)
    // It fails again, as a second attempt and a letter of its own.
    const again = await eventually(
      async () => (await plant.get('/api/dead-letters/web?operator=known')).value as readonly DeadLetterView[],
      (found) => found.length === 2,
    )
    assert.deepEqual(
      again.map(({ state, attempt }) => [state, attempt]),
      [
        ['retried', 1],
        ['open', 2],
      ],
    )
    const twice = (await plant.post('/api/dead-letters/web/retry', JSON.stringify({ ids: [letters[0]?.id] }))).value as RetryAnswer
    assert.deepEqual([twice.moved, twice.refused[0]?.count], [0, 1])
    for (const body of ['{}', '{"ids":[-1]}', '{"ids":"1"}', '{"code":1}', '{"cod":"x"}'])
      assert.equal((await plant.post('/api/dead-letters/web/retry', body)).status, 400, body)
    assert.equal((await plant.get('/api/dead-letters/wbe')).status, 404)
  })

  test('dead letters that are discarded are no longer open, stay where they are, and cannot be retried', async () => {
    const discard = async (body: object): Promise<unknown> =>
      (await plant.post('/api/dead-letters/web/discard', JSON.stringify(body))).value
    assert.deepEqual(await discard({ code: 'MR_RUNTIME_USER_THROW', operator: 'known' }), { discarded: 1 })
    assert.deepEqual(await discard({ code: 'MR_RUNTIME_USER_THROW', operator: 'known' }), { discarded: 0 })
    const groups = (await plant.get('/api/dead-letters?pipeline=web')).value as readonly DeadLetterGroup[]
    assert.ok(groups.every(({ operator }) => operator !== 'known'))
    const letters = (await plant.get('/api/dead-letters/web?operator=known')).value as readonly DeadLetterView[]
    assert.deepEqual(
      letters.map(({ state }) => state),
      ['retried', 'discarded'],
    )
    for (const [state, count] of [
      ['open', 0],
      ['retried', 1],
      ['discarded', 1],
    ] as const)
      assert.equal(((await plant.get(`/api/dead-letters/web?operator=known&state=${state}`)).value as readonly unknown[]).length, count)
    assert.equal((await plant.get('/api/dead-letters/web?state=closed')).status, 400)
    const retried = (await plant.post('/api/dead-letters/web/retry', JSON.stringify({ ids: [letters[1]?.id] }))).value
    assert.deepEqual(retried, { moved: 0, refused: [{ reason: 'it was discarded before', count: 1 }] } satisfies RetryAnswer)
    assert.equal((await plant.post('/api/dead-letters/web/discard', '{}')).status, 400)
  })

  test('a replay runs beside the live pipeline and ends', async () => {
    const started = await plant.post('/api/pipelines/web/replays', '{"id":"check"}')
    assert.equal(started.status, 200)
    const done = await eventually(
      async () => (await plant.get('/api/replays/check')).value as ReplayStatus,
      ({ phase }) => phase !== 'running',
    )
    assert.deepEqual([done.phase, done.error], ['finished', null])
    assert.equal(((await plant.get('/api/replays')).value as readonly unknown[]).length, 1)
    assert.equal((await plant.post('/api/pipelines/web/replays', '{"id":"check"}')).status, 409)
    for (const body of ['{"id":"a b"}', '{"from":"soon"}', '{"by":"luck"}', '{"topic":"nope"}', '{"fromOffset":1}', '{"sinks":1}']) {
      assert.equal((await plant.post('/api/pipelines/web/replays', body)).status, 400, body)
    }
    assert.equal((await plant.post('/api/pipelines/wbe/replays', '{}')).status, 404)
    assert.equal((await plant.get('/api/replays/none')).status, 404)
  })

  test('status, its stream, health and the stored plan', async () => {
    const { value } = await plant.get('/api/status')
    const status = value as PlantStatus
    assert.deepEqual(
      status.pipelines.map(({ pipeline, phase }) => [pipeline, phase]),
      [['web', 'running']],
    )
    assert.ok(status.notices.some(({ code, count }) => code === 'MR_CODEC_JSON_INVALID' && count >= 1))
    assert.equal((await plant.get('/health')).status, 200)
    const stream = await fetch(`${plant.plant.url}/api/events`)
    assert.equal(stream.headers.get('content-type'), 'text/event-stream')
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    while (text.split('\n\n').length < 3) text += Buffer.from((await reader.read()).value ?? []).toString()
    const [first, second] = text.split('\n\n').map((event) => decodeJson(event.replace(/^data: /, '') || 'null') as PlantStatus)
    assert.ok((second?.nowMs ?? 0) > (first?.nowMs ?? 0))
    await reader.cancel()
    const plan = (await plant.get('/api/pipelines/web/plan')).value as { readonly plan: { readonly pipeline: string } }
    assert.equal(plan.plan.pipeline, 'web')
    const unknown = await plant.get('/api/pipelines/wep/plan')
    assert.deepEqual([unknown.status, errorOf(unknown).code], [404, 'MR_SERVER_PIPELINE_UNKNOWN'])
    assert.match(errorOf(unknown).message, /did you mean `web`/)
  })

  test('metrics are valid Prometheus text and count what happened', async () => {
    const { text, headers } = await plant.get('/metrics')
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const families = new Set<string>()
    for (const line of text.trimEnd().split('\n')) {
      const [, kind, name] = /^# (HELP|TYPE) (\w+) /.exec(line) ?? []
      if (kind === 'TYPE' && name !== undefined) {
        assert.ok(!families.has(name), `${name} twice`)
        families.add(name)
      } else if (kind === undefined) assert.match(line, /^\w+(\{(\w+="([^"\\\n]|\\.)*",?)+\})? ([-+]?Inf|-?\d+(\.\d+)?(e[-+]?\d+)?)$/)
    }
    for (const name of [
      'task_lag_records',
      'task_watermark_seconds',
      'task_state_bytes',
      'task_commit_seconds',
      'task_dead_letters_total',
      'topic_records_per_second',
      'operator_rows_in_total',
      'table_rows',
      'disk_free_bytes',
    ]) {
      assert.ok(families.has(`millrace_${name}`), name)
    }
    assert.match(text, /millrace_collector_events_total \d\d/)
  })

  test('the description names every route, and what it names is there', async () => {
    const { paths, openapi } = (await plant.get('/openapi.json')).value as {
      readonly openapi: string
      readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    }
    assert.equal(openapi, '3.1.0')
    assert.ok(Object.keys(paths).length >= 18)
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const filled = path.replaceAll(/\{\w+\}/g, 'nothing')
        if (filled === '/api/events') continue
        const answer = await plant.ask(method.toUpperCase(), filled, method === 'get' || method === 'delete' ? undefined : '1')
        assert.notEqual(answer.status, 500, `${method} ${path}: ${answer.text}`)
        if (answer.status === 404) assert.doesNotMatch(errorOf(answer).message, /nothing at this address/)
      }
    }
  })

  test('addresses and methods that do not exist are refused with what there is', async () => {
    const unknown = await plant.get('/topic')
    assert.equal(unknown.status, 404)
    assert.match(errorOf(unknown).message, /did you mean `\/topics`/)
    const method = await plant.ask('DELETE', '/topics/hits')
    assert.deepEqual([method.status, method.headers.get('allow')], [405, 'POST, GET'])
    assert.equal((await plant.get('/%zz')).status, 404)
    assert.equal((await plant.get('/topics/%zz')).status, 404)
    assert.equal((await plant.get('/../../etc/passwd')).status, 404)
  })

  test('the page comes with a policy that lets nothing else in', async () => {
    const answer = await plant.get('/')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'self'/)
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  })
})
