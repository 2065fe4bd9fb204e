// A plant whose state is damaged, or slow to come back: it collects all the same, says what is wrong, and a rebuild gets past it.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { count, pipeline, t, topic } from '@millrace/core'
import { collect } from '@millrace/core/connect'
import { nodeDisk, systemClock, systemScheduler } from '@millrace/core/engine'
import type { PlantStatus } from '../api.ts'
import type { CliContext, Invocation } from '../cli/context.ts'
import { fsck } from '../cli/fsck.ts'
import { logFolder } from './defaults.ts'
import { type PlantOptions, startPlant } from './plant.ts'
import { errorOf, eventually, hits, PlantUnderTest, temporaryFolder, webPipeline } from './plant.fixture.ts'
import { readServerFile } from './server-file.ts'

interface Page {
  readonly rows: readonly { readonly hits: number }[]
}

const EVENTS = 100
const ROUNDS = 12

function events(from: number): string {
  return Array.from({ length: EVENTS }, (_, n) => `{"at":${1_767_225_600_000 + (from + n) * 100},"url":"/${n % 50}"}`).join('\n')
}

async function total(plant: PlantUnderTest): Promise<number> {
  const { value, status } = await plant.get('/tables/per_minute')
  return status === 200 ? (value as Page).rows.reduce((sum, row) => sum + row.hits, 0) : -1
}

/** Flips bits all over the segments of a topic. */
function damage(folder: string, topicId: string): void {
  const root = path.join(logFolder(folder), 'topics', topicId)
  for (const name of readdirSync(root, { recursive: true }) as string[]) {
    if (!name.endsWith('.log')) continue
    const file = path.join(root, name)
    const bytes = readFileSync(file)
    for (let at = 60; at < bytes.length; at += 100) bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(file, bytes)
  }
}

async function runFsck(folder: string, repair: boolean): Promise<string> {
  let said = ''
  const context = { disk: nodeDisk, clock: systemClock, scheduler: systemScheduler, out: (text: string) => (said += text) }
  const invocation = { settings: { data: folder }, options: { repair }, json: false }
  await fsck.run(context as unknown as CliContext, invocation as unknown as Invocation)
  return said
}

async function assertDamaged(options: Partial<PlantOptions>): Promise<void> {
  const plant = await PlantUnderTest.start(options)
  const { pipelines } = (await plant.get('/api/status')).value as PlantStatus
  assert.ok(pipelines[0]?.tasks.some(({ error }) => error?.code === 'MR_RUNTIME_STATE_DAMAGED'))
  await plant.stop()
}

for (const kind of ['snapshot', 'changelog'] as const) {
  test(`a damaged ${kind}: the plant collects, names the place, and a rebuild has every event once`, async () => {
    const folder = temporaryFolder()
    const options = { folder, pipelines: [webPipeline()], snapshotBytesMin: 1 << 20 }
    const first = await PlantUnderTest.start(kind === 'snapshot' ? { ...options, snapshotBytesMin: 1 } : options)
    for (let round = 0; round < ROUNDS; round++) {
      await first.post('/topics/hits', events(round * EVENTS))
      await eventually(
        () => total(first),
        (sum) => sum === (round + 1) * EVENTS,
      )
    }
    const { log } = first.plant
    const ids = log.topics().flatMap(({ name, id }) => (name.startsWith('__web.per-minute') && name.endsWith(`.${kind}`) ? [id] : []))
    assert.ok(ids.length > 0)
    await first.stop()
    for (const id of ids) damage(folder, id)

    const startedAt = Date.now()
    const hurt = await PlantUnderTest.start(options)
    assert.ok(Date.now() - startedAt < 5000, 'a damaged task is not tried again and again')
    const answer = await hurt.post('/topics/hits', events(ROUNDS * EVENTS))
    assert.equal(answer.status, 200)
    assert.deepEqual([(await hurt.get('/health')).status, (await hurt.get('/health?ready')).status], [200, 503])
    const { pipelines } = (await hurt.get('/api/status')).value as PlantStatus
    const failed = pipelines[0]?.tasks.filter((task) => task.phase === 'failed') ?? []
    assert.ok(failed.length > 0)
    for (const { error } of failed) {
      assert.equal(error?.code, 'MR_RUNTIME_STATE_DAMAGED')
      assert.match(error?.message ?? '', new RegExp(`topic=\`__web\\.per-minute\\.${kind}\`, partition=\`\\d\`, offset=\`\\d+\``))
      assert.match(error?.fix ?? '', /--rebuild/)
    }
    await hurt.stop()

    const said = await runFsck(folder, false)
    assert.match(said, new RegExp(`__web\\.per-minute\\.${kind}/\\d offsets \\d+ to \\d+`))
    assert.match(said, /fix: .*`npx millrace start FILE --rebuild`/)
    assert.match(await runFsck(folder, true), /--rebuild/, 'a repair does not let readers of state pass the damage')
    await assertDamaged(options)

    const again = await PlantUnderTest.start({ ...options, rebuild: true })
    await eventually(
      () => total(again),
      (sum) => sum === (ROUNDS + 1) * EVENTS,
    )
    await again.stop()
    const last = await PlantUnderTest.start(options)
    assert.equal(await total(last), (ROUNDS + 1) * EVENTS)
    await last.stop()
    assert.match(await runFsck(folder, false), /sound/)
  })
}

test('a table of a task that has failed says where to look', async () => {
  const folder = temporaryFolder()
  const clicks = topic('clicks', { value: t.object({ url: t.string() }) })
  const definition = pipeline('one', (mill) => {
    mill.from(clicks).groupBy('url').aggregate({ n: count() }, { name: 'n' }).toTable('n')
  })
  const first = await PlantUnderTest.start({ folder, pipelines: [definition] })
  await first.post('/topics/clicks', Array.from({ length: 20 }, (_, n) => `{"url":"/${n}"}`).join('\n'))
  await eventually(
    async () => (await first.get('/tables/n')).text,
    (text) => text.includes('"n":1'),
  )
  const id = first.plant.log.topic('__one.clicks.changelog')?.id ?? ''
  await first.stop()
  damage(folder, id)
  const hurt = await PlantUnderTest.start({ folder, pipelines: [definition] })
  const { code, fix } = errorOf(await hurt.get('/tables/n'))
  assert.deepEqual([code, /millrace status/.test(fix)], ['MR_TABLE_NOT_READY', true])
  await hurt.stop()
})

test('a damaged stored plan: a start is refused with the two ways on, and both lead on', async () => {
  for (const isRepaired of [true, false]) {
    const folder = temporaryFolder()
    const options = { folder, pipelines: [webPipeline()] }
    const first = await PlantUnderTest.start(options)
    await first.post('/topics/hits', events(0))
    await eventually(
      () => total(first),
      (sum) => sum === EVENTS,
    )
    const id = first.plant.log.topic('__web.plan')?.id ?? ''
    await first.stop()
    damage(folder, id)
    await assert.rejects(startPlant({ ...options, port: 0 }), (error: unknown) => {
      const { code, fix, details } = error as { readonly code: string; readonly fix: string; readonly details: Record<string, unknown> }
      assert.deepEqual([code, details['topic'], details['offset']], ['MR_RUNTIME_STATE_DAMAGED', '__web.plan', 0])
      assert.match(fix, /fsck --repair.*--rebuild/)
      return true
    })
    if (isRepaired) await runFsck(folder, true)
    for (let life = 0; life < 2; life++) {
      const again = await PlantUnderTest.start(isRepaired || life > 0 ? options : { ...options, rebuild: true })
      await eventually(
        () => total(again),
        (sum) => sum === EVENTS,
      )
      await again.stop()
    }
  }
})

test('what is sent while tasks are being restored is acknowledged', async () => {
  const folder = temporaryFolder()
  const opened = Promise.withResolvers<void>()
  const seen = collect<{ readonly at: number; readonly url: string }>()
  // A sink that takes its time to open stands for state that takes its time to be read.
  const slow: typeof seen = Object.create(seen, {
    open: { value: async (...given: Parameters<typeof seen.open>) => (await opened.promise, seen.open(...given)) },
  }) as typeof seen
  const definition = pipeline('web', (mill) => {
    const all = mill.from(hits)
    all.to(slow, { name: 'out' })
    all.groupBy('url').aggregate({ n: count() }, { name: 'n' }).toTable('n')
  })
  const starting = startPlant({ folder, pipelines: [definition], port: 0 })
  const url = await eventually(
    async () => readServerFile(folder)?.url ?? '',
    (found) => found !== '',
  )
  const answer = await fetch(`${url}/topics/hits`, { method: 'POST', body: events(0) })
  assert.equal(answer.status, 200)
  opened.resolve()
  await (await starting).stop()
})
