// Sinks that an edit of the pipeline renames or takes out while rows wait for them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, type PipelineDefinition } from '@millrace/core'
import { collect, failing } from '@millrace/core/connect'
import { startPlant } from './plant.ts'
import { eventually, hits, PlantUnderTest, temporaryFolder } from './plant.fixture.ts'

test('a sink that is renamed or gone while rows wait for it is refused; once they are shipped it may go', async () => {
  const folder = temporaryFolder()
  const archive = collect<{ readonly at: number; readonly url: string }>()
  let isDown = true
  const sink = failing(archive, (call) => (isDown && call === 'write' ? new Error('down') : null))
  const version = (name: string | null): PipelineDefinition =>
    pipeline(
      'web',
      (mill) => {
        const stream = mill.from(hits)
        stream.toTable('newest', { key: 'url' })
        if (name !== null) stream.to(sink, { name })
      },
      { idleMs: 50 },
    )
  const first = await PlantUnderTest.start({ folder, pipelines: [version('archive')] })
  await first.post('/topics/hits', Array.from({ length: 5 }, (_, n) => `{"at":${1_767_225_600_000 + n},"url":"/${n}"}`).join('\n'))
  await eventually(
    async () => ((await first.get('/tables/newest')).value as { readonly rows: readonly unknown[] }).rows.length,
    (rows) => rows === 5,
  )
  await first.stop()
  for (const [name, advice] of [
    ['pq', /still wait for it.*renamed to `pq`/],
    [null, /still wait for it/],
  ] as const)
    for (const rebuild of [false, 'unnoticed'] as const)
      await assert.rejects(startPlant({ folder, pipelines: [version(name)], port: 0, rebuild }), {
        code: 'MR_RUNTIME_SINK_FEED',
        message: advice,
      })

  isDown = false
  const again = await PlantUnderTest.start({ folder, pipelines: [version('archive')] })
  await eventually(
    () => Promise.resolve(archive.rows.length),
    (rows) => rows === 5,
  )
  await again.stop()
  const renamed = await PlantUnderTest.start({ folder, pipelines: [version('pq')] })
  await renamed.post('/topics/hits', '{"at":1767225600009,"url":"/9"}')
  await eventually(
    () => Promise.resolve(archive.rows.length),
    (rows) => rows === 6,
  )
  await renamed.stop()
})

for (const way of ['dropState', 'rebuild'] as const)
  test(`rows that wait for a sink which is gone do not hold up a start with ${way}`, async () => {
    const folder = temporaryFolder()
    const archive = collect<{ readonly at: number; readonly url: string }>()
    let isDown = true
    const sink = failing(archive, (call) => (isDown && call === 'write' ? new Error('down') : null))
    const version = (name: string): PipelineDefinition =>
      pipeline(
        'web',
        (mill) => {
          const stream = mill.from(hits)
          stream.toTable('newest', { key: 'url' })
          stream.to(sink, { name })
        },
        { idleMs: 50 },
      )
    const first = await PlantUnderTest.start({ folder, pipelines: [version('archive')] })
    await first.post('/topics/hits', '{"at":1767225600000,"url":"/"}')
    await eventually(
      async () => ((await first.get('/tables/newest')).value as { readonly rows: readonly unknown[] }).rows.length,
      (rows) => rows === 1,
    )
    await first.stop()
    isDown = false
    const second = await PlantUnderTest.start({ folder, pipelines: [version('pq')], [way]: true })
    await second.post('/topics/hits', '{"at":1767225600001,"url":"/new"}')
    const wanted = way === 'rebuild' ? 2 : 1
    await eventually(
      () => Promise.resolve(archive.rows.length),
      (rows) => rows === wanted,
    )
    await second.stop()
    assert.equal(archive.rows.length, wanted)
  })
