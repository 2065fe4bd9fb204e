// A promise that user code lets go of and that fails ends neither the plant nor its worker threads: it is said with its place, and counted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlantStatus } from '../api.ts'
import { eventually } from '../server/plant.fixture.ts'
import { hitLines, millrace, PIPELINE, project, Running } from './cli.fixture.ts'

const LETS_GO = PIPELINE.replace(
  '.from(hits)',
  ".from(hits).filter((hit) => { void Promise.reject(new Error(`no host for ${typeof hit.url}`)); return true }, { name: 'asks' })",
)

for (const workers of [0, 2]) {
  test(`with ${workers} workers every record is counted, and the notice names the line`, async () => {
    const folder = project({ 'pipeline.ts': LETS_GO })
    const plant = new Running(folder, ['start', 'pipeline.ts', '--port', '0', '--workers', String(workers)])
    await plant.says(/millrace runs: web/)
    await millrace(folder, ['produce', 'hits'], hitLines(120))
    const hits = async (): Promise<number> => {
      const rows = JSON.parse(`[${(await millrace(folder, ['table', 'per_minute', '--json'])).out.trim().replaceAll('\n', ',')}]`)
      return (rows as readonly { readonly hits: number }[]).reduce((sum, row) => sum + row.hits, 0)
    }
    await eventually(hits, (sum) => sum === 120)
    await plant.says(
      /error goes on: a promise failed that nobody waits for: Error: no host for string.*pipeline\.ts:\d+:\d+.*MR_RUNTIME_USER_STRAY/,
    )
    const status = JSON.parse((await millrace(folder, ['status', '--json'])).out) as PlantStatus
    assert.equal(status.notices.find(({ code }) => code === 'MR_RUNTIME_USER_STRAY')?.count, 120)
    assert.ok(status.pipelines.every(({ tasks }) => tasks.every(({ phase }) => phase === 'running')))
    assert.equal(await plant.stop(), 0)
  })
}
