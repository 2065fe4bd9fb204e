// Freshness: small while records flow, and as old as the oldest record that waits when a task in front of the table stands still.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '@millrace/core/engine'
import { count, pipeline } from '@millrace/core'
import { tableFreshness } from './freshness.ts'
import { eventually, hits, PlantUnderTest } from '../plant.fixture.ts'

test('a table is as old as what waits in front of it', async () => {
  let isStuck = false
  const definition = pipeline('web', (mill) => {
    mill
      .from(hits)
      .filter(
        () => {
          // What cannot be a bad record stops the task.
          if (isStuck) throw new MillraceError('MR_DISK_FAILED')
          return true
        },
        { name: 'gate' },
      )
      .groupBy('url')
      .aggregate({ n: count() }, { name: 'n' })
      .toTable('n')
  })
  const plant = await PlantUnderTest.start({ pipelines: [definition] })
  const running = plant.plant.pipelines.get('web')
  const freshness = (laterMs = 0): number => (running && tableFreshness(running.status(), Date.now() + laterMs).get('n')) ?? Number.NaN
  const event = (n: number): string =>
    Array.from({ length: 20 }, (_, at) => `{"at":${1_767_225_600_000 + n + at},"url":"/${at}"}`).join('\n')
  await plant.post('/topics/hits', event(0))
  await eventually(
    async () => (await plant.get('/tables/n')).text,
    (text) => text.includes('"n":1'),
  )
  assert.ok(freshness() < 20, String(freshness()))
  isStuck = true
  await plant.post('/topics/hits', event(100))
  await eventually(
    () => Promise.resolve(running?.status().phase),
    (phase) => phase === 'degraded',
  )
  assert.ok(freshness(3_600_000) >= 3600 - 20, 'a task that has stopped makes the table older and older')
  await plant.stop()
})
