// A plant that stops and starts again: nothing that was acknowledged is lost, nothing is counted twice, nobody else gets in.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { count, max, pipeline, type PipelineDefinition, t, topic, tumbling } from '@millrace/core'
import type { DeadLetterView, RetryAnswer } from '../api.ts'
import { startPlant } from './plant.ts'
import { eventually, hits, PlantUnderTest, temporaryFolder, webPipeline } from './plant.fixture.ts'
import { readServerFile } from './server-file.ts'

interface Page {
  readonly rows: readonly { readonly hits: number }[]
}

async function total(plant: PlantUnderTest): Promise<number> {
  const { value } = await plant.get('/tables/per_minute')
  return (value as Page).rows.reduce((sum, row) => sum + row.hits, 0)
}

test('sums are exact over three lives of one folder', async () => {
  const folder = temporaryFolder()
  for (let life = 1; life <= 3; life++) {
    const plant = await PlantUnderTest.start({ folder, pipelines: [webPipeline()] })
    const events = Array.from({ length: 50 }, (_, n) => `{"at":${1_767_225_600_000 + n * 1000},"url":"/${n % 5}"}`)
    await plant.post('/topics/hits', events.join('\n'))
    await eventually(
      () => total(plant),
      (sum) => sum === life * 50,
    )
    await plant.stop()
  }
})

test('one folder has one plant, and says where it is', async () => {
  const folder = temporaryFolder()
  const plant = await PlantUnderTest.start({ folder })
  assert.equal(readServerFile(folder)?.url, plant.plant.url)
  await assert.rejects(startPlant({ folder, pipelines: [], port: 0 }), { code: 'MR_LOG_LOCKED' })
  await plant.stop()
  assert.ok(!existsSync(path.join(folder, 'server.json')))
  assert.equal(readServerFile(folder), null)
  await (await PlantUnderTest.start({ folder })).stop()
})

test('a letter that was retried stays so after a restart, and letters can be read without their pipeline', async () => {
  const folder = temporaryFolder()
  const first = await PlantUnderTest.start({ folder, pipelines: [webPipeline()] })
  await first.post('/topics/hits', `{broken\n${Array.from({ length: 9 }, () => '{"at":1767225600000,"url":"/"}').join('\n')}`)
  const letters = (plant: PlantUnderTest) => async (): Promise<readonly DeadLetterView[]> =>
    ((await plant.get('/api/dead-letters/web')).value ?? []) as readonly DeadLetterView[]
  const [letter] = await eventually(letters(first), (found) => found.length === 1)
  await first.stop()

  const alone = await PlantUnderTest.start({ folder })
  const moved = (await alone.post('/api/dead-letters/web/retry', JSON.stringify({ ids: [letter?.id] }))).value as RetryAnswer
  assert.equal(moved.moved, 1)
  await alone.stop()

  const again = await PlantUnderTest.start({ folder, pipelines: [webPipeline()] })
  const found = await eventually(letters(again), (list) => list.length === 2)
  assert.deepEqual(
    found.map(({ state, attempt }) => [state, attempt]),
    [
      ['retried', 1],
      ['open', 2],
    ],
  )
  await again.stop()
})

test('stopping ends streams and answers what was begun', async () => {
  const plant = await PlantUnderTest.start()
  await plant.plant.log.createTopic('t')
  const stream = await fetch(`${plant.plant.url}/api/events`)
  const answers = Promise.all(Array.from({ length: 20 }, () => plant.post('/topics/t', '1')))
  await answers
  await plant.stop()
  assert.match(await stream.text(), /^data: /)
  await assert.rejects(plant.get('/health'))
})

test('a pipeline that reads a topic which it writes says that it cannot be built again', async () => {
  const folder = temporaryFolder()
  const middle = topic('middle', { value: t.object({ at: t.time(), url: t.string() }) })
  const version = (isWide: boolean): PipelineDefinition =>
    pipeline('web', (mill) => {
      const grouped = mill.from(hits).through(middle).groupBy('url')
      if (isWide) grouped.aggregate({ n: count(), last: max('at') }, { name: 'counted' }).toTable('per_url')
      else grouped.aggregate({ n: count() }, { name: 'counted' }).toTable('per_url')
    })
  await (await PlantUnderTest.start({ folder, pipelines: [version(false)] })).stop()
  for (const rebuild of [false, 'unnoticed'] as const)
    await assert.rejects(startPlant({ folder, pipelines: [version(true)], port: 0, rebuild }), {
      code: 'MR_RUNTIME_STATE_LAYOUT',
      message: /cannot be built again, because the pipeline reads `middle`, which it writes itself/,
    })
  await assert.rejects(startPlant({ folder, pipelines: [version(true)], port: 0, rebuild: true }), { code: 'MR_RUNTIME_REBUILD_TOPIC' })
})

test('a letter enters the corrected code, and one that was discarded stays so', async () => {
  const folder = temporaryFolder()
  const version = (isBroken: boolean, name = 'check'): PipelineDefinition =>
    pipeline(
      'web',
      (mill) => {
        const checked = mill.from(hits).filter(
          isBroken
            ? (hit) => {
                if (hit.url.startsWith('/bad')) throw new Error('bad')
                return true
              }
            : () => true,
          { name },
        )
        checked
          .groupBy('url')
          .window(tumbling({ sizeMs: 60_000 }))
          .aggregate({ hits: count() }, { name: 'counted' })
          .toTable('per_minute')
      },
      { idleMs: 50, badShareMax: 1 },
    )
  const line = (url: string): string => `{"at":1767225600000,"url":"${url}"}`
  const first = await PlantUnderTest.start({ folder, pipelines: [version(true)] })
  await first.post('/topics/hits', ['/', '/bad1', '/bad2', '/bad3'].map(line).join('\n'))
  const letters = async (plant: PlantUnderTest): Promise<readonly DeadLetterView[]> =>
    ((await plant.get('/api/dead-letters/web')).value ?? []) as readonly DeadLetterView[]
  const found = await eventually(
    () => letters(first),
    (list) => list.length === 3,
  )
  const discarded = await first.post('/api/dead-letters/web/discard', JSON.stringify({ ids: [found.at(-1)?.id] }))
  assert.deepEqual(discarded.value, { discarded: 1 })
  await first.stop()

  const renamed = await PlantUnderTest.start({ folder, pipelines: [version(false, 'other')] })
  const refused = (await renamed.post('/api/dead-letters/web/retry', '{"operator":"check"}')).value as RetryAnswer
  assert.deepEqual(
    new Map(refused.refused.map(({ reason, count: letterCount }) => [reason, letterCount])),
    new Map([
      ['the pipeline has no operator `check` any more', 2],
      ['it was discarded before', 1],
    ]),
  )
  await renamed.stop()

  const fixed = await PlantUnderTest.start({ folder, pipelines: [version(false)] })
  const moved = (await fixed.post('/api/dead-letters/web/retry', '{"operator":"check"}')).value as RetryAnswer
  assert.deepEqual(moved, { moved: 2, refused: [{ reason: 'it was discarded before', count: 1 }] })
  await eventually(
    () => total(fixed),
    (sum) => sum === 3,
  )
  assert.deepEqual(
    (await letters(fixed)).map(({ state }) => state),
    ['retried', 'retried', 'discarded'],
  )
  await fixed.stop()
})

test('state that means something else is refused by name, and built again when asked for', async () => {
  const folder = temporaryFolder()
  const sized = (sizeMs: number): PipelineDefinition =>
    pipeline(
      'web',
      (mill) => {
        mill.from(hits).groupBy('url').window(tumbling({ sizeMs })).aggregate({ hits: count() }, { name: 'counted' }).toTable('per_minute')
      },
      { idleMs: 50 },
    )
  const first = await PlantUnderTest.start({ folder, pipelines: [sized(60_000)] })
  await first.post('/topics/hits', Array.from({ length: 60 }, (_, n) => `{"at":${1_767_225_600_000 + n * 1000},"url":"/"}`).join('\n'))
  await eventually(
    () => total(first),
    (sum) => sum === 60,
  )
  await first.stop()
  await assert.rejects(startPlant({ folder, pipelines: [sized(30_000)], port: 0 }), (error: unknown) => {
    const { code, details } = error as { readonly code: string; readonly details: Readonly<Record<string, unknown>> }
    assert.deepEqual([code, String(details['operators']).split(', ')[0]], ['MR_RUNTIME_STATE_LAYOUT', 'counted'])
    return true
  })
  const again = await PlantUnderTest.start({ folder, pipelines: [sized(30_000)], rebuild: true })
  await eventually(
    async () => ((await again.get('/tables/per_minute')).value as Page).rows.map((row) => row.hits),
    (counts) => counts.length === 2 && counts.every((each) => each === 30),
  )
  await again.stop()
})
