// A plant whose tasks run in worker threads: tables answer, the status names the worker, and a restart goes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlantStatus } from '../api.ts'
import { eventually } from '../server/plant.fixture.ts'
import { hitLines, millrace, PIPELINE, project, Running } from './cli.fixture.ts'

const TWO_PARTITIONS = PIPELINE.replace("eventTime: 'at' }", "eventTime: 'at', key: 'url', partitions: 2 }")

test('two workers answer tables, are named by the status, and go on after a restart', async () => {
  const folder = project({ 'pipeline.ts': TWO_PARTITIONS, 'millrace.yaml': 'workers: 2\n' })
  const hits = async (): Promise<number> => {
    const { out } = await millrace(folder, ['table', 'per_minute', '--json'])
    return out
      .trim()
      .split('\n')
      .reduce((sum, line) => sum + (line === '' ? 0 : (JSON.parse(line) as { readonly hits: number }).hits), 0)
  }
  const events = hitLines(240).split(/(?<=\n)/)
  for (const round of [1, 2]) {
    // The second time by flag, over the file.
    const plant = new Running(folder, ['start', 'pipeline.ts', '--port', '0', ...(round === 2 ? ['--workers', '3'] : [])])
    await plant.says(/millrace runs: web/)
    await millrace(folder, ['produce', 'hits'], events.slice(120 * (round - 1), 120 * round).join(''))
    await eventually(hits, (sum) => sum === 120 * round)
    const status = JSON.parse((await millrace(folder, ['status', '--json'])).out) as PlantStatus
    const workers = status.pipelines.flatMap(({ tasks }) => tasks.map(({ group, worker }) => `${group} on ${String(worker)}`))
    assert.deepEqual([...new Set(workers)].toSorted(), ['0 on 0', '1 on 1'])
    assert.match((await millrace(folder, ['status'])).out, /\/1 +worker 1 +running/)
    assert.equal(await plant.stop(), 0)
  }
})
