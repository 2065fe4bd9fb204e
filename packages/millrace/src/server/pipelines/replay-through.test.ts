// A replay over HTTP of a pipeline with a `through` topic.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { count, pipeline, t, topic, tumbling } from '@millrace/core'
import { eventually, hits, PlantUnderTest } from '../plant.fixture.ts'
import type { ReplayStatus } from './replay.ts'

const clean = topic('clean-hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at', key: 'url', partitions: 2 })
const perMinute = topic('per-minute', { value: t.object({ url: t.string(), windowStart: t.time(), hits: t.i64() }) })

test('a replay of a pipeline with `through` gives behind the topic what the live run gave', async () => {
  const definition = pipeline(
    'web',
    (mill) => {
      mill
        .from(hits)
        .filter((hit) => hit.url !== '/bot')
        .through(clean)
        .groupBy('url')
        .window(tumbling({ sizeMs: 60_000 }))
        .aggregate({ hits: count() }, { name: 'counted', emit: 'close' })
        .to(perMinute)
    },
    { idleMs: 50 },
  )
  const plant = await PlantUnderTest.start({ pipelines: [definition] })
  const lines = Array.from({ length: 300 }, (_, n) => `{"at":${1_767_225_600_000 + n * 1000},"url":"${['/', '/a', '/bot'][n % 3] ?? ''}"}`)
  // The last two, minutes later and one for each partition, close the windows of the rest.
  lines.push(...['/', '/a', '/b', '/c', '/d', '/e'].map((url) => `{"at":${1_767_225_600_000 + 900_000},"url":"${url}"}`))
  await plant.post('/topics/hits', lines.join('\n'))
  const closed = (texts: readonly string[]): readonly string[] => texts.filter((text) => !text.includes('1767226500000')).toSorted()
  const live = await eventually(
    () => plant.texts('per-minute'),
    (texts) => closed(texts).length === 10,
  )
  await plant.post('/api/pipelines/web/replays', '{"id":"again"}')
  await eventually(
    async () => (await plant.get('/api/replays/again')).value as ReplayStatus,
    (status) => status.phase === 'finished',
  )
  assert.deepEqual((await plant.texts('clean-hits.replay-again')).toSorted(), (await plant.texts('clean-hits')).toSorted())
  assert.deepEqual(closed(await plant.texts('per-minute.replay-again')), closed(live))
  await plant.stop()
})
