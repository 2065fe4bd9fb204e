// What /health says: of each part with its reasons, and the status for whoever asks: a load balancer, a deployment, a watchdog.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { HealthAnswer, HealthPart } from '../../api.ts'
import { logFolder } from '../defaults.ts'
import { healthOf } from './health.ts'
import { type Answer, eventually, PlantUnderTest, temporaryFolder, webPipeline } from '../plant.fixture.ts'

async function statuses(plant: PlantUnderTest): Promise<readonly number[]> {
  return Promise.all(['/health', '/health?ready', '/health?live'].map(async (address) => (await plant.get(address)).status))
}

function part(answer: Answer, name: HealthPart['part']): HealthPart | undefined {
  return (answer.value as HealthAnswer).parts.find((other) => other.part === name)
}

test('a plant that works is ok for everybody', async () => {
  const plant = await PlantUnderTest.start({ folder: temporaryFolder(), pipelines: [webPipeline()] })
  assert.deepEqual(await statuses(plant), [200, 200, 200])
  const answer = await plant.get('/health')
  const { status, parts } = answer.value as HealthAnswer
  assert.equal(status, 'ok')
  assert.deepEqual(
    parts.map((one) => [one.part, one.name, one.status, one.reasons.length]),
    [
      ['collector', null, 'ok', 0],
      ['log', null, 'ok', 0],
      ['pipeline', 'web', 'ok', 0],
    ],
  )
  assert.equal((await plant.get('/health?ready=maybe')).status, 400)
  await plant.stop()
})

test('a disk below the reserve takes no events: down, and still alive', async () => {
  const plant = await PlantUnderTest.start({ folder: temporaryFolder(), diskReserveBytes: 2 ** 60 })
  await plant.plant.log.createTopic('t')
  assert.equal((await plant.post('/topics/t', '{}')).status, 507)
  assert.deepEqual(await statuses(plant), [503, 503, 200])
  const answer = await plant.get('/health')
  assert.equal((answer.value as HealthAnswer).status, 'down')
  assert.deepEqual(
    part(answer, 'collector')?.reasons.map(({ code }) => code),
    ['MR_DISK_FULL'],
  )
  await plant.stop()
})

test('a damaged partition that a task cannot read on: events are taken, the place is named', async () => {
  const folder = temporaryFolder()
  const first = await PlantUnderTest.start({ folder })
  await first.plant.log.createTopic('orders')
  await first.post('/topics/orders', Array.from({ length: 20 }, (_, id) => `{"id":${id},"name":"n"}`).join('\n'))
  const id = first.plant.log.topic('orders')?.id ?? ''
  await first.stop()
  const root = path.join(logFolder(folder), 'topics', id)
  for (const name of (readdirSync(root, { recursive: true }) as string[]).filter((one) => one.endsWith('.log'))) {
    const bytes = readFileSync(path.join(root, name))
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] as number) ^ 1
    writeFileSync(path.join(root, name), bytes)
  }
  const plant = await PlantUnderTest.start({ folder, pipelines: [webPipeline()] })
  const answer = await eventually(
    () => plant.get('/health'),
    (found) => part(found, 'pipeline')?.status === 'degraded',
  )
  assert.equal((answer.value as HealthAnswer).status, 'degraded')
  const [reason] = part(answer, 'pipeline')?.reasons ?? []
  assert.deepEqual([reason?.code, reason?.topic, reason?.partition], ['MR_LOG_CORRUPT', 'orders', 0])
  assert.match(reason?.fix ?? '', /fsck/)
  assert.deepEqual(await statuses(plant), [200, 503, 200])
  await plant.stop()
})

test('what is put aside, what is not there yet, and a log that has failed are said', () => {
  const facts = {
    folder: 'f',
    pipelines: [],
    sources: [],
    disk: { freeBytes: 1, reserveBytes: 0 },
    isCollecting: true,
    isStopping: false,
    wanted: [],
    log: {
      directWrites: null,
      journalHalfBytes: 0,
      requestKeys: 0,
      requestKeysForgotten: 0,
      quarantined: [{ topic: 'hits', partition: 1, from: 3, to: 5, file: 'f', position: 0 }],
      error: null,
    },
  }
  const aside = healthOf(facts)
  assert.equal(aside.status, 'degraded')
  assert.deepEqual(
    aside.parts[1]?.reasons.map(({ code, topic, partition }) => [code, topic, partition]),
    [['MR_LOG_QUARANTINED', 'hits', 1]],
  )
  assert.equal(healthOf({ ...facts, log: null, wanted: ['web'] }).parts[2]?.reasons[0]?.code, 'MR_SERVER_STARTING')
  assert.equal(healthOf({ ...facts, isCollecting: false }).status, 'down')
  assert.equal(healthOf({ ...facts, isStopping: true }).status, 'down')
  const error = { code: 'MR_DISK_FAILED', message: '', fix: '' }
  assert.equal(healthOf({ ...facts, log: { ...facts.log, error } }).parts[0]?.reasons[0]?.code, 'MR_DISK_FAILED')
})
