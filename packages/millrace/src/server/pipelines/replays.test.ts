// Replays over HTTP: their range, what they have in tables, and how they go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryLog, must, nodeDisk, OwnedPlaces, systemClock, systemScheduler } from '@millrace/core/engine'
import type { PlantStatus } from '../../api.ts'
import { LetterBoxes } from '../letters/letter-boxes.ts'
import { errorOf, eventually, PlantUnderTest, webPipeline } from '../plant.fixture.ts'
import type { PlantPipeline } from './pipelines.ts'
import type { ReplayRequest, ReplayStatus } from './replay.ts'
import { Replays } from './replays.ts'

const START_MS = 1_767_225_600_000

async function webPlant(): Promise<PlantUnderTest> {
  const plant = await PlantUnderTest.start({ pipelines: [webPipeline()] })
  const lines = Array.from({ length: 10 }, (_, n) => `{"at":${START_MS + n * 60_000},"url":"/${n % 2}"}`)
  await plant.post('/topics/hits', [...lines, '{"url":"/without"}'].join('\n'))
  await eventually(
    async () => (await plant.get('/tables/per_minute')).value as { readonly rows: readonly unknown[] },
    ({ rows }) => rows.length === 10,
  )
  return plant
}

async function ended(plant: PlantUnderTest, id: string): Promise<ReplayStatus> {
  return eventually(
    async () => (await plant.get(`/api/replays/${id}`)).value as ReplayStatus,
    (status) => status.phase !== 'running',
  )
}

test('a range of event time is that of the rows, and the table of the replay can be read until it is deleted', async () => {
  const plant = await webPlant()
  const started = await plant.post(
    '/api/pipelines/web/replays',
    JSON.stringify({ id: 'a', from: START_MS + 120_000, to: START_MS + 300_000 }),
  )
  assert.equal(started.status, 200, started.text)
  const status = await ended(plant, 'a')
  assert.equal(status.error, null)
  assert.deepEqual([status.rowsIn, status.rowsTimeless, status.tables], [3, 1, ['per_minute', 'orders']])
  const page = (await plant.get('/tables/per_minute?replay=a')).value as { readonly rows: readonly { readonly windowStart: number }[] }
  assert.deepEqual(
    page.rows.map(({ windowStart }) => windowStart).toSorted((a, b) => a - b),
    [2, 3, 4].map((n) => START_MS + n * 60_000),
  )
  assert.equal(((await plant.get('/tables/per_minute')).value as { readonly rows: readonly unknown[] }).rows.length, 10)
  assert.equal((await plant.get('/tables/per_minute?replay=a&prefix=/1')).status, 200)
  assert.equal((await plant.get('/tables/none?replay=a')).status, 404)
  assert.equal(errorOf(await plant.get('/tables/per_minute?replay=b')).code, 'MR_REPLAY_UNKNOWN')

  assert.equal((await plant.ask('DELETE', '/api/replays/a')).status, 200)
  assert.equal(errorOf(await plant.get('/tables/per_minute?replay=a')).code, 'MR_REPLAY_UNKNOWN')
  assert.equal(errorOf(await plant.ask('DELETE', '/api/replays/a')).code, 'MR_REPLAY_UNKNOWN')
  assert.deepEqual((await plant.get('/api/replays')).value, [])
  const topics = (await plant.get('/topics?internal=true')).value as readonly { readonly name: string }[]
  assert.deepEqual(
    topics.filter(({ name }) => name.includes('replay')),
    [],
  )
  // The id is free again.
  assert.equal((await plant.post('/api/pipelines/web/replays', '{"id":"a"}')).status, 200)
  await ended(plant, 'a')
  await plant.stop()
})

test('of two replays that are asked for at once under one id, one runs; a start that is refused leaves the id free', async () => {
  const plant = await webPlant()
  const { log } = plant.plant
  const running = must(plant.plant.pipelines.get('web'), 'pipeline')
  const web: PlantPipeline = { name: 'web', plan: running.plan, running }
  const onEvent = (): void => undefined
  const environment = { log, clock: systemClock, scheduler: systemScheduler, disk: nodeDisk, places: new OwnedPlaces(), onEvent }
  const replays = new Replays(environment, new LetterBoxes(log, systemClock))
  const request: ReplayRequest = { id: 'twin', fromMs: 0, toMs: Number.POSITIVE_INFINITY, by: 'event', offsets: null, sinks: false }
  const first = replays.start(web, request)
  await assert.rejects(replays.start(web, request), { code: 'MR_REPLAY_RUNNING' })
  assert.deepEqual(replays.statuses(), [], 'it is not taken for one that an earlier server left')
  await (await first).ended()
  assert.deepEqual([replays.statusOf('twin').phase, replays.statusOf('twin').error], ['finished', null])
  const offsets = { topic: 'hits', partition: 0, from: 300, to: 500 }
  for (let time = 0; time < 2; time++)
    await assert.rejects(replays.start(web, { ...request, id: 'none', offsets }), { code: 'MR_REPLAY_EMPTY' })
  await replays.stop()
  await plant.stop()
})

test('a range that holds nothing is said', async () => {
  const plant = await webPlant()
  const beyond = await plant.post('/api/pipelines/web/replays', '{"topic":"hits","fromOffset":300,"toOffset":500}')
  assert.deepEqual([beyond.status, errorOf(beyond).code], [400, 'MR_REPLAY_EMPTY'])
  assert.match(errorOf(beyond).message, /hits\/0 from 0 to \d/)
  await plant.post('/api/pipelines/web/replays', '{"id":"late","from":"2027-01-01"}')
  const { phase, error } = await ended(plant, 'late')
  assert.deepEqual([phase, error?.code], ['failed', 'MR_REPLAY_EMPTY'])
  assert.match(error?.message ?? '', /all that are kept are earlier/)
  await plant.stop()
})

test('a damaged batch in the range ends the replay at once, with its place and what to do', async () => {
  const plant = await webPlant()
  const { log } = plant.plant
  assert.ok(log instanceof MemoryLog)
  const [partition] = log.ends('hits').flatMap(({ partition: each, end }) => (end > 0 ? [each] : []))
  log.damage('hits', partition ?? 0, 0)
  await plant.post('/api/pipelines/web/replays', '{"id":"hurt"}')
  const startedAt = Date.now()
  const { phase, error } = await ended(plant, 'hurt')
  assert.ok(Date.now() - startedAt < 3000, 'it is not tried again and again')
  assert.deepEqual([phase, error?.code], ['failed', 'MR_REPLAY_DAMAGED'])
  assert.match(error?.message ?? '', new RegExp(`topic=\`hits\`, partition=\`${partition}\`, offset=\`\\d+\``))
  assert.match(error?.fix ?? '', /--from-offset.*fsck --repair/)
  const { notices } = (await plant.get('/api/status')).value as PlantStatus
  assert.deepEqual(
    notices.filter(({ message }) => message.includes('was restarted')),
    [],
  )
  await plant.stop()
})
