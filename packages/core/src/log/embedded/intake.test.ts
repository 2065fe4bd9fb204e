// What the intake does when it refuses and when it is overloaded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOf, part, rejects, textsOf } from '../../testing/log-conformance-kit.ts'
import { fsckFolder } from './fsck.ts'
import { segmentName } from './format.ts'
import { LogBench } from './log-bench.fixture.ts'

/** So long that what appends leave of a half is too little for it. */
const WRITER = 'w'.repeat(400)
const LARGE = 'x'.repeat(6_000)

function large(): { topic: string; partition: number; batch: Uint8Array } {
  return { topic: 't', partition: 0, batch: batchOf([LARGE]) }
}

test('a request that a full disk refuses leaves no segment behind: healthy data stays readable over restarts and crashes', async () => {
  for (const room of [0, 3_000, 6_300, 9_000]) {
    for (const crashes of [false, true]) {
      const world = new LogBench()
      let log = await world.open()
      await world.run(log.createTopic('t'))
      await world.fill(log, 0, 30)
      await world.run(log.checkpoint())
      world.disk.setCapacity(world.disk.usedBytes() + room)
      await rejects(world.run(log.append([large(), large()])), 'MR_LOG_FULL')
      world.disk.setCapacity(2 ** 40)
      await world.fill(log, 30, 300)
      const live = await world.run(textsOf(log, 't'))
      assert.equal(live.length, 330)
      if (crashes) world.disk = world.disk.crash()
      else await world.run(log.close())
      log = await world.open()
      assert.deepEqual(await world.run(textsOf(log, 't')), live)
      await world.run(log.close())
      const report = await world.run(fsckFolder(world.disk, world.folder, { clock: world.time, scheduler: world.time }))
      assert.deepEqual(report.findings, [])
    }
  }
})

test('a refused request keeps what an accepted one of the same entry put into a new segment', async () => {
  const world = new LogBench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await world.fill(log, 0, 30)
  await world.run(log.checkpoint())
  world.disk.setCapacity(world.disk.usedBytes() + 9_000)
  const accepted = log.append([large()])
  const refused = log.append([large(), large()])
  await rejects(world.run(refused), 'MR_LOG_FULL')
  await world.run(accepted)
  world.disk = world.disk.crash()
  world.disk.setCapacity(2 ** 40)
  const after = await world.open()
  const texts = await world.run(textsOf(after, 't'))
  assert.equal(texts.length, 31)
  assert.equal(texts.at(-1), LARGE)
  await world.run(after.close())
})

test('a file whose name lies inside another segment is no segment, also when an older version left it there', async () => {
  for (const [round, keepsIndexes] of [true, false].entries()) {
    const world = new LogBench(round)
    let log = await world.open()
    const { id } = await world.run(log.createTopic('t'))
    await world.fill(log, 0, 400)
    await world.run(log.close())
    const folder = `${world.folder}/topics/${id}/0`
    const bases = world.disk
      .list(folder)
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number.parseInt(name, 10))
    const second = bases.toSorted((a, b) => a - b)[1] ?? 0
    const stray = world.disk.open(`${folder}/${segmentName(second + 3)}`, 'create')
    stray.write(batchOf([LARGE]).subarray(0, 3_000), 0)
    stray.sync()
    stray.close()
    if (!keepsIndexes) for (const name of world.disk.list(folder)) if (name.endsWith('.index')) world.disk.remove(`${folder}/${name}`)
    log = await world.open()
    assert.equal((await world.run(textsOf(log, 't'))).length, 400)
    await world.run(log.maintain())
    assert.equal(world.disk.exists(`${folder}/${segmentName(second + 3)}`), false)
    await world.run(log.close())
  }
})

test('fencing and trimming go into the first half that gets free, before the appends that wait for it', async () => {
  const world = new LogBench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  const before = log.stats.checkpoints
  const appends = Array.from({ length: 3_000 }, () => log.append([part('t', ['.'])]))
  assert.ok(log.stats.waits > 0)
  const checkpoints: number[] = []
  const note = (): unknown => checkpoints.push(log.stats.checkpoints - before)
  await world.run(Promise.all([...appends, log.openWriter(WRITER).then(note), log.trim('t', 0, 1).then(note)]))
  assert.ok(log.stats.checkpoints - before > 10)
  assert.deepEqual(checkpoints, [1, 1])
  await world.run(log.close())
})
