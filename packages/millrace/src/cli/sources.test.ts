// A file that declares a source beside its pipeline: `plan` shows it, `start` runs it, and every line counts once through growth, rotation
// and a restart.
import assert from 'node:assert/strict'
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { PlantStatus } from '../api.ts'
import { eventually } from '../server/plant.fixture.ts'
import { hitLines, millrace, project, Running } from './cli.fixture.ts'

const PIPELINE = `import { count, fileSource, pipeline, source, t, topic, tumbling } from 'millrace'
const hits = topic('hits', { value: t.object({ at: t.time(), url: t.string() }), eventTime: 'at' })
export default [
  source('access-log', hits, fileSource({ path: 'access.ndjson', tail: true, pollMs: 10, rotateWaitMs: 50 })),
  pipeline('web', (mill) => {
    mill.from(hits).groupBy('url').window(tumbling({ sizeMs: 60_000 })).aggregate({ hits: count() }, { name: 'per-minute' }).toTable('per_minute')
  }, { idleMs: 50 }),
]
`

const sumOf = (out: string): number =>
  out
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + (line === '' ? 0 : (JSON.parse(line) as { readonly hits: number }).hits), 0)

test('a followed file reaches the table line by line, once each, over rotation and restart', async () => {
  const folder = project({ 'pipeline.ts': PIPELINE })
  const file = path.join(folder, 'access.ndjson')
  const planned = await millrace(folder, ['plan', 'pipeline.ts'])
  assert.match(planned.out, /source access-log: file access\.ndjson .*tail=true.* into topic hits, exactly once; begins at the start\n/)

  let plant = new Running(folder, ['start', 'pipeline.ts', '--port', '0'])
  await plant.says(/millrace runs: web/)
  const sum = async (): Promise<number> => sumOf((await millrace(folder, ['table', 'per_minute', '--json'])).out)
  const lines = hitLines(300).split(/(?<=\n)/)
  writeFileSync(file, lines.slice(0, 100).join(''))
  await eventually(sum, (hits) => hits === 100)

  // Half a line waits for its end; a file that was renamed is read to its end before the new one.
  appendFileSync(file, (lines[100] as string).slice(0, 10))
  appendFileSync(file, (lines[100] as string).slice(10))
  renameSync(file, `${file}.1`)
  writeFileSync(file, lines.slice(101, 200).join(''))
  await eventually(sum, (hits) => hits === 200)

  const status = JSON.parse((await millrace(folder, ['status', '--json'])).out) as PlantStatus
  assert.deepEqual(
    status.sources.map(({ name, topic, phase, lag, lagUnit, records }) => ({ name, topic, phase, lag, lagUnit, records })),
    [{ name: 'access-log', topic: 'hits', phase: 'waiting', lag: 0, lagUnit: 'bytes', records: 200 }],
  )
  assert.match((await millrace(folder, ['status'])).out, /source +topic +phase +lag +records\naccess-log +hits +waiting +0 B +200\n/)
  assert.match((await millrace(folder, ['plan', 'pipeline.ts'])).out, /source access-log: .* continues behind its last commit\n/)

  assert.equal(await plant.stop(), 0)
  appendFileSync(file, lines.slice(200).join(''))
  plant = new Running(folder, ['dev', 'pipeline.ts', '--port', '0'])
  await plant.says(/millrace runs: web/)
  await eventually(sum, (hits) => hits === 300)
  assert.equal(await plant.stop(), 0)
})

test('a source that cannot fill its topic, and two of one name, are refused before anything runs', async () => {
  const twice = PIPELINE.replace(
    "  pipeline('web'",
    "  source('access-log', hits, fileSource({ path: 'other.ndjson' })),\n  pipeline('web'",
  )
  const folder = project({ 'twice.ts': twice, 'wrong.ts': PIPELINE.replace("path: 'access.ndjson'", "path: ''") })
  const again = await millrace(folder, ['start', 'twice.ts', '--port', '0'])
  assert.equal(again.code, 1)
  assert.match(again.errors, /MR_PLAN_NAME_TAKEN: two sources have the same name\..*access-log/)
  const wrong = await millrace(folder, ['check', 'wrong.ts'])
  assert.equal(wrong.code, 1)
  assert.match(wrong.errors, /MR_CONNECTOR_SETTING/)
})
