// From a file to the dead letters: what a source cannot take keeps its code and its bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileSource } from '../../connect/file-source.ts'
import { collect } from '../../connect/memory.ts'
import { pipeline, t, topic } from '../../index.ts'
import { testPipeline } from '../../testing/index.ts'
import { FileAppender } from './source.fixture.ts'
import { runSource } from './source-runner.ts'

interface Flight {
  readonly id: number
  readonly origin: string
}

test('lines of CSV reach the sink, bad ones the dead letters with the code of the source', async () => {
  const flights = topic('flights', { value: t.object({ id: t.i32(), origin: t.string() }) })
  const seen = collect<Flight>()
  const plant = await testPipeline(
    pipeline('plant', (mill) => {
      mill.from(flights).to(seen)
    }),
  )
  plant.disk.makeFolder('/in')
  const file = new FileAppender(plant.disk, '/in/flights.csv')
  const good = Array.from({ length: 20 }, (_, n) => `ORD,${n + 10}\n`)
  file.write(`origin,id\nSFO,1\nJFK,two\n{"id":3},\n"LAX",4\n${'x'.repeat(500)},5\n${good.join('')}`)
  const options = { name: 'flights', clock: plant.time, scheduler: plant.time, disk: plant.disk }
  const connector = fileSource({ path: '/in/flights.csv', format: 'csv', recordBytesMax: 200 })
  const source = await plant.time.run(runSource(plant.log, connector, flights, options))
  await plant.time.run(source.finished())
  await plant.settle()
  await plant.advance(2000)
  assert.deepEqual(seen.rows, [{ id: 1, origin: 'SFO' }, { id: 4, origin: 'LAX' }, ...good.map((_, n) => ({ id: n + 10, origin: 'ORD' }))])
  assert.deepEqual(
    (await plant.deadLetters()).map(({ code, text }) => [code, text.slice(0, 20)]),
    [
      ['MR_CODEC_FIELD_TYPE', 'JFK,two'],
      ['MR_CODEC_CSV_INVALID', '{"id":3},'],
      ['MR_CODEC_TOO_LARGE', 'x'.repeat(20)],
    ],
  )
  await plant.stop()
})
