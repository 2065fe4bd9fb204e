// A plant that is told to build state again, and does not get far: what it has ordered is done once.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { count, max, pipeline, type PipelineDefinition, t, topic } from '@millrace/core'
import { ndjsonFile } from '@millrace/core/connect'
import { startPlant } from './plant.ts'
import { eventually, hits, PlantUnderTest, temporaryFolder } from './plant.fixture.ts'

test('a start that fails behind the order of a rebuild leaves one that the next start goes on with', async () => {
  const folder = temporaryFolder()
  const copies = topic('copies', { value: t.object({ at: t.time(), url: t.string() }) })
  const inTheWay = path.join(temporaryFolder(), 'out')
  const version = (isWide: boolean): PipelineDefinition =>
    pipeline('web', (mill) => {
      const all = mill.from(hits)
      all.to(copies, { name: 'copy' })
      const grouped = all.groupBy('url')
      if (isWide) grouped.aggregate({ n: count(), last: max('at') }, { name: 'counted' }).toTable('per_url')
      else grouped.aggregate({ n: count() }, { name: 'counted' }).toTable('per_url')
      if (isWide) all.to(ndjsonFile({ path: path.join(inTheWay, 'hits.ndjson') }), { name: 'file' })
    })
  const copied = (plant: PlantUnderTest) => async (): Promise<number> =>
    plant.plant.log.ends('copies').reduce((sum, { start, end }) => sum + end - start, 0)
  const first = await PlantUnderTest.start({ folder, pipelines: [version(false)] })
  await first.post('/topics/hits', Array.from({ length: 70 }, (_, n) => `{"at":${n},"url":"/${n % 7}"}`).join('\n'))
  await eventually(copied(first), (sum) => sum === 70)
  await first.stop()

  // A file stands where the sink wants a folder.
  writeFileSync(inTheWay, '')
  for (const rebuild of [true, true, false])
    await assert.rejects(startPlant({ folder, pipelines: [version(true)], port: 0, rebuild }), { code: 'MR_DISK_FAILED' })
  rmSync(inTheWay)
  const last = await PlantUnderTest.start({ folder, pipelines: [version(true)] })
  const lines = async (): Promise<number> =>
    !existsSync(inTheWay)
      ? 0
      : readdirSync(inTheWay)
          .filter((name) => name.endsWith('.ndjson'))
          .reduce((sum, name) => sum + readFileSync(path.join(inTheWay, name), 'utf8').split('\n').length - 1, 0)
  await eventually(lines, (sum) => sum === 70)
  await eventually(copied(last), (sum) => sum >= 140)
  assert.equal(await copied(last)(), 140)
  await last.stop()
})
