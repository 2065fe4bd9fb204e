// What shares an entry of the journal, and which batches stay out of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { openEmbeddedLog } from './open.ts'

const FOLDER = 'data/log'
const KIB = 1024

async function opened(): Promise<{
  readonly time: VirtualTime
  readonly disk: SimulatedDisk
  readonly log: Awaited<ReturnType<typeof openEmbeddedLog>>
}> {
  const time = new VirtualTime()
  const disk = new SimulatedDisk({ random: seededRandom(1), scheduler: time })
  const log = await time.run(
    openEmbeddedLog({
      folder: FOLDER,
      disk,
      clock: time,
      scheduler: time,
      referenceBytes: 64 * KIB,
      diskReserveBytes: 0,
      maintainEveryMs: 0,
    }),
  )
  await time.run(log.createTopic('a'))
  await time.run(log.createTopic('b'))
  return { time, disk, log }
}

function batchOf(bytes: number): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.append(null, new Uint8Array(bytes), 1)
  return builder.finish()
}

test('appends that were gathered are durable without another turn, and those of one turn share an entry', async () => {
  const { time, log } = await opened()
  const before = log.stats.entries
  const turn = time.turn()
  const appends = ['a', 'b'].map(async (topic) => {
    await turn
    return log.append([{ topic, partition: 0, batch: batchOf(10) }], { gathered: true })
  })
  await time.run(Promise.all(appends))
  assert.equal(log.stats.entries - before, 1)
  assert.deepEqual(
    ['a', 'b'].map((topic) => log.ends(topic)[0]?.end),
    [1, 1],
  )
  await time.run(log.close())
})

test('a batch of 64 KiB goes to its segment at once only while entries take four times as much', async () => {
  const { time, disk, log } = await opened()
  const append = (topic: string, kib: number): Promise<unknown> =>
    time.run(log.append([{ topic, partition: 0, batch: batchOf(kib * KIB) }]))
  const hasSegment = (topic: string): boolean => disk.exists(`${FOLDER}/topics/${log.topic(topic)?.id ?? ''}/0`)
  await append('a', 100)
  await append('a', 100)
  assert.equal(hasSegment('a'), false, 'small entries stay in the journal')
  await append('a', 300)
  assert.equal(hasSegment('a'), true, 'a batch that fills an entry by itself goes by reference')
  await append('b', 100)
  assert.equal(hasSegment('b'), true, 'the entry before was large')
  await time.run(log.close())
})
