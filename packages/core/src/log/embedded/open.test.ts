// Opening a folder of which one checkpoint slot is damaged: nothing that was acknowledged may be missing without a word.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rejects, textsOf } from '../../testing/log-conformance-kit.ts'
import type { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { checkpointPath, journalPath } from './format.ts'
import { fsckFolder } from './fsck.ts'
import { LogBench } from './log-bench.fixture.ts'
import { readUpTo } from './segment.ts'
import { readSlot } from './slot.ts'

function slotsByAge(disk: SimulatedDisk, folder: string): readonly number[] {
  const generation = (slot: number): number => {
    const content = readSlot(disk, folder, slot)
    return content.kind === 'valid' ? content.value.generation : -1
  }
  return [0, 1].toSorted((one, two) => generation(one) - generation(two))
}

function contentOf(disk: SimulatedDisk, path: string): Uint8Array {
  const file = disk.open(path, 'read')
  const bytes = readUpTo(file, 0, file.size())
  file.close()
  return bytes
}

function put(disk: SimulatedDisk, path: string, bytes: Uint8Array): void {
  const file = disk.open(path, 'create')
  file.truncate(0)
  file.write(bytes, 0)
  file.sync()
  file.close()
}

/** A log that was closed with 10 records or crashed, and was started again: 20 more. Then the power goes. Also the newest slot of before. */
async function startedTwice(isClosed: boolean, more = 20): Promise<{ readonly world: LogBench; readonly before: Uint8Array }> {
  const world = new LogBench()
  const first = await world.open()
  await world.run(first.createTopic('t'))
  await world.fill(first, 0, 10)
  if (isClosed) await world.run(first.close())
  else world.disk = world.disk.crash()
  const [, newest] = slotsByAge(world.disk, world.folder)
  const before = contentOf(world.disk, checkpointPath(world.folder, newest ?? 0))
  const second = await world.open()
  await world.fill(second, 10, more)
  world.disk = world.disk.crash()
  return { world, before }
}

test('either slot may be damaged after a start: nothing that was acknowledged is missing', async () => {
  for (const isClosed of [true, false]) {
    for (const slot of [0, 1]) {
      const { world } = await startedTwice(isClosed)
      world.disk.flipBit(checkpointPath(world.folder, slot), 60, 1)
      const log = await world.open()
      assert.equal((await world.run(textsOf(log, 't'))).length, 30)
      await world.run(log.close())
      const report = await world.run(fsckFolder(world.disk, world.folder, { clock: world.time, scheduler: world.time }))
      assert.deepEqual(report.findings, [])
    }
  }
})

test('a slot of an earlier start beside a damaged one, and entries of a later start in the journal: refused, and nothing is changed', async () => {
  for (const isClosed of [true, false]) {
    const { world, before } = await startedTwice(isClosed)
    const [older, newest] = slotsByAge(world.disk, world.folder)
    put(world.disk, checkpointPath(world.folder, older ?? 0), before)
    world.disk.flipBit(checkpointPath(world.folder, newest ?? 0), 60, 1)
    const paths = [0, 1].flatMap((index) => [journalPath(world.folder, index), checkpointPath(world.folder, index)])
    const kept = paths.map((path) => contentOf(world.disk, path))
    const report = await world.run(fsckFolder(world.disk, world.folder, { repair: true, clock: world.time, scheduler: world.time }))
    assert.deepEqual(
      report.findings.map(({ what }) => what),
      ['checkpoint', 'checkpoint'],
    )
    assert.equal(report.repaired, 0)
    await rejects(world.open(), 'MR_LOG_CORRUPT')
    await rejects(world.open(), 'MR_LOG_CORRUPT')
    assert.deepEqual(
      paths.map((path) => contentOf(world.disk, path)),
      kept,
    )
  }
})

test('a slot that a power cut tore at the start is no loss: nothing was written behind it', async () => {
  for (const isClosed of [true, false]) {
    const { world, before } = await startedTwice(isClosed, 0)
    const [older, newest] = slotsByAge(world.disk, world.folder)
    put(world.disk, checkpointPath(world.folder, older ?? 0), before)
    world.disk.flipBit(checkpointPath(world.folder, newest ?? 0), 60, 1)
    const log = await world.open()
    assert.equal((await world.run(textsOf(log, 't'))).length, 10)
    await world.run(log.close())
  }
})
