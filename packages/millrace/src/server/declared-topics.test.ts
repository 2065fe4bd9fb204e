// What a pipeline file says of topics that exist already.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeline, type PipelineDefinition, t, topic } from '@millrace/core'
import type { PlantStatus } from '../api.ts'
import { PlantUnderTest, temporaryFolder } from './plant.fixture.ts'

const HOUR = 3_600_000

test('a start says what the file wants of a topic that exists and does not get', async () => {
  const folder = temporaryFolder()
  const version = (partitions: number, retentionMs: number): PipelineDefinition =>
    pipeline('web', (mill) => {
      mill.from(topic('visits', { value: t.object({ url: t.string() }), partitions, retentionMs })).toTable('newest', { key: 'url' })
    })
  const notices = async (plant: PlantUnderTest): Promise<readonly string[]> =>
    ((await plant.get('/api/status')).value as PlantStatus).notices.flatMap(({ message, fix }) =>
      message.startsWith('the topic `visits`') ? [`${message} ${fix}`] : [],
    )
  const first = await PlantUnderTest.start({ folder, pipelines: [version(2, HOUR)] })
  assert.deepEqual(await notices(first), [])
  await first.stop()
  for (let life = 0; life < 2; life++) {
    const edited = await PlantUnderTest.start({ folder, pipelines: [version(4, 2 * HOUR)] })
    const [said = '', other = ''] = (await notices(edited)).toSorted()
    assert.match(said, /goes on keeping its records for 1 h: the file says for 2 h.*topics set visits --retention-ms 7200000/)
    assert.match(other, /has 2 partitions and keeps them: the file says 4.*Say `partitions: 2`/)
    await edited.stop()
  }
})
