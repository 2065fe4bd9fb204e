// Tables in files: a bad line harms itself alone, a file that is not there refuses the start.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileTable, isMillraceError, pipeline, t, topic } from '../index.ts'
import type { PipelineDefinition } from '../dsl/pipeline.ts'
import { testPipeline } from './pipeline-driver.ts'

const click = topic('clicks', { value: t.object({ id: t.i64(), campaign: t.string() }) })
const out = topic('out', { value: t.object({ id: t.i64(), budget: t.optional(t.f64()) }) })
const campaigns = fileTable({
  name: 'campaigns',
  path: '/data/campaigns.csv',
  format: 'csv',
  value: t.object({ campaign: t.string(), title: t.string(), budget: t.f64() }),
  key: 'campaign',
})

function joined(): PipelineDefinition {
  return pipeline('ads', (mill) => {
    mill.from(click).join(mill.table(campaigns), { on: 'campaign', type: 'left', name: 'with-campaign' }).select('id', 'budget').to(out)
  })
}

test('a bad line is one dead letter for all task groups, and the other lines are there', async () => {
  const files = { '/data/campaigns.csv': 'campaign,title,budget\nc1,Summer,10\nc2,Winter,lots\nc3,Spring,30\n' }
  const run = await testPipeline(joined(), { files, partitions: { clicks: 3 } })
  for (const partition of [0, 1, 2])
    await run.feed(
      click,
      [1, 2, 3].map((number) => ({ id: partition * 10 + number, campaign: `c${number}` })),
      { partition },
    )
  await run.advance(60_000)
  const budgets = async (): Promise<readonly unknown[]> =>
    (await run.records(out)).map((record) => record.value as { id: number; budget: number | null }).toSorted((a, b) => a.id - b.id)
  const expected = [0, 1, 2].flatMap((partition) => [10, null, 30].map((budget, at) => ({ id: partition * 10 + at + 1, budget })))
  assert.deepEqual(await budgets(), expected)
  const letters = await run.deadLetters()
  assert.deepEqual(
    letters.map(({ code, text }) => [code, text]),
    [['MR_CODEC_FIELD_TYPE', 'c2,Winter,lots']],
  )
  assert.match(letters[0]?.message ?? '', /file=`\/data\/campaigns\.csv`, line=`3`/)
  assert.ok(run.events.every(({ kind }) => kind !== 'restarted' && kind !== 'failed'))
  await run.stop()
})

test('a missing file refuses the start, and says where a test has its files', async () => {
  await assert.rejects(testPipeline(joined(), { files: { '/data/other.csv': '' } }), (error) => {
    assert.ok(isMillraceError(error))
    assert.equal(error.code, 'MR_TABLE_FILE')
    assert.match(error.message, /`campaigns`: there is no such file in the `files` of this test/)
    assert.match(error.fix, /testPipeline\(definition, \{ files: \{ '\/data\/campaigns\.csv': text \} \}\)/)
    return true
  })
})

test('a file that is there and is no such table is refused as it would be outside of a test', async () => {
  await assert.rejects(
    testPipeline(joined(), { files: { '/data/campaigns.csv': 'a,b\n1,2\n' } }),
    (error) => isMillraceError(error) && error.code === 'MR_TABLE_FILE' && error.message.includes('`campaigns`: no column'),
  )
})
