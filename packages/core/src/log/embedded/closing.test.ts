// A log that is closed has let go of its folder: whatever was under way has ended, and nothing goes on behind the lock.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskFile } from '../../base/disk.ts'
import { seededRandom } from '../../base/random.ts'
import { batchOf, readAll } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { LogBench } from './log-bench.fixture.ts'

class CountingDisk extends SimulatedDisk {
  opened = 0

  override open(...args: Parameters<SimulatedDisk['open']>): DiskFile {
    this.opened++
    return super.open(...args)
  }
}

const LARGE = { segmentBytes: 4 << 20, journalHalfBytes: 1 << 20, journalHalfBytesMax: 1 << 20, referenceBytes: 1 << 20 }

test('a compaction that runs when the log is closed ends with it, wherever it is, and loses nothing', async () => {
  for (let steps = 0; steps < 120; steps += 4) {
    const world = new LogBench()
    const disk = new CountingDisk({ random: seededRandom(1), scheduler: world.time })
    world.disk = disk
    const log = await world.open(LARGE)
    await world.run(log.createTopic('t', { compacted: true }))
    for (let round = 0; round < 45; round++)
      await world.run(log.append([{ topic: 't', partition: 0, batch: batchOf([`k${round % 7}:${round}${'x'.repeat(100_000)}`]) }]))
    await world.run(log.checkpoint())
    const newest = new Map((await world.run(readAll(log, 't'))).map(({ text }) => [text.slice(0, 2), text]))
    const round = log.maintain().catch(() => undefined)
    for (let step = 0; step < steps; step++) await Promise.resolve()
    let openedBefore = 0
    await world.run(log.close().then(() => (openedBefore = disk.opened)))
    await world.run(round)
    assert.equal(disk.opened, openedBefore, `files opened after the close, ${steps} steps into the round`)
    const again = await world.open(LARGE)
    assert.deepEqual(new Map((await world.run(readAll(again, 't'))).map(({ text }) => [text.slice(0, 2), text])), newest)
    await world.run(again.close())
  }
})
