// Sinks of one plant that would write to one file, where only one may.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pipeline, type PipelineDefinition } from '@millrace/core'
import { ndjson, ndjsonFile } from '@millrace/core/connect'
import { startPlant } from '../plant.ts'
import { errorOf, hits, PlantUnderTest, temporaryFolder } from '../plant.fixture.ts'

function toFile(name: string, file: string): PipelineDefinition {
  return pipeline(name, (mill) => mill.from(hits).to(ndjsonFile({ path: file }), { name: `${name}-file` }), { idleMs: 50 })
}

test('two pipelines with one file are refused before one of them works, with the lines of both', async () => {
  const folder = temporaryFolder()
  const file = path.join(folder, 'out', 'hits.ndjson')
  const relative = path.relative(process.cwd(), file)
  await assert.rejects(startPlant({ folder: null, pipelines: [toFile('a', file), toFile('b', relative)], port: 0 }), (error) => {
    assert.ok(error instanceof Error && 'code' in error && 'details' in error)
    assert.equal(error.code, 'MR_PLAN_PLACE_TAKEN')
    assert.match(error.message, /hits\.ndjson` is written by `a-file` of the pipeline `a` at .*shared-places\.test\.ts:\d+.*`b-file`/)
    assert.match(JSON.stringify(error.details), /"operator":"b-file","place":".*shared-places\.test\.ts:\d+/)
    return true
  })
  assert.ok(!existsSync(path.dirname(file)))
})

test('a replay whose file is that of a live pipeline is refused', async () => {
  const folder = temporaryFolder()
  const pipelines = [toFile('a', path.join(folder, 'hits.ndjson')), toFile('b', path.join(folder, 'hits.replay-r1.ndjson'))]
  const plant = await PlantUnderTest.start({ pipelines })
  await plant.post('/topics/hits', '{"at":1767225600000,"url":"/"}')
  const replay = (id: string) => plant.post('/api/pipelines/a/replays', JSON.stringify({ id, sinks: true }))
  const refused = await replay('r1')
  assert.deepEqual([refused.status, errorOf(refused).code], [400, 'MR_PLAN_PLACE_TAKEN'])
  assert.match(errorOf(refused).message, /hits\.replay-r1\.ndjson` is written by `b-file` of the pipeline `b`/)
  const other = await replay('r2')
  assert.equal(other.status, 200, other.text)
  await plant.stop()
})

test('pipelines may share the folder of an archive', async () => {
  const folder = temporaryFolder()
  const archive = (name: string): PipelineDefinition =>
    pipeline(name, (mill) => mill.from(hits).to(ndjson({ dir: folder })), { idleMs: 50 })
  const plant = await PlantUnderTest.start({ pipelines: [archive('a'), archive('b')] })
  await plant.stop()
})
