// The embedded log when the disk or a stranger misbehaves: flipped bits, full disks, failed syncs, second owners, newer formats.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError, type MillraceError } from '../../base/errors.ts'
import { seededRandom } from '../../base/random.ts'
import { batchOf, part, readAll, rejects, textsOf } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { ENTRY_MAGIC } from './entry.ts'
import { fsckFolder } from './fsck.ts'
import type { EmbeddedLogOptions } from './options.ts'
import { openEmbeddedLog } from './open.ts'
import { readUpTo } from './segment.ts'
import { readSlot } from './slot.ts'

const FOLDER = 'data/log'

interface Bench {
  readonly time: VirtualTime
  disk: SimulatedDisk
  open(options?: Partial<EmbeddedLogOptions>): Promise<EmbeddedLog>
  run<T>(promise: Promise<T>): Promise<T>
}

function bench(seed = 1): Bench {
  const time = new VirtualTime()
  const made: Bench = {
    time,
    disk: new SimulatedDisk({ random: seededRandom(seed), scheduler: time, shortReadChance: 0.3 }),
    open: (options = {}) =>
      time.run(
        openEmbeddedLog({
          folder: FOLDER,
          disk: made.disk,
          clock: time,
          scheduler: time,
          journalHalfBytes: 16_384,
          journalHalfBytesMax: 16_384,
          segmentBytes: 8_192,
          referenceBytes: 1_024,
          diskReserveBytes: 0,
          maintainEveryMs: 0,
          ...options,
        }),
      ),
    run: (promise) => time.run(promise),
  }
  return made
}

async function fill(world: Bench, log: EmbeddedLog, from: number, count: number, size = 40, partitions = 1): Promise<void> {
  for (let round = from; round < from + count; round++) {
    const parts = Array.from({ length: partitions }, (_, partition) => part('t', [`${round}`.padEnd(size, '.')], partition))
    await world.run(log.append(parts))
  }
}

/** Positions of the journal's entries. */
function entriesOf(disk: SimulatedDisk, path: string): number[] {
  const file = disk.open(path, 'read')
  const bytes = readUpTo(file, 0, file.size())
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const positions: number[] = []
  for (let at = 0; at + 64 <= bytes.length; at += 8) if (view.getUint32(at, true) === ENTRY_MAGIC) positions.push(at)
  return positions
}

test('a second owner is refused', async () => {
  const world = bench()
  const log = await world.open()
  await rejects(world.open(), 'MR_LOG_LOCKED')
  await rejects(fsckFolder(world.disk, FOLDER), 'MR_LOG_LOCKED')
  await world.run(log.close())
  await world.run((await world.open()).close())
})

test('a newer format is refused and nothing is touched', async () => {
  const world = bench()
  await world.run((await world.open()).close())
  const file = world.disk.open(`${FOLDER}/format`, 'create')
  file.write(new TextEncoder().encode('millrace log 2\n'), 0)
  await rejects(world.open(), 'MR_LOG_FORMAT_NEWER')
})

test('two damaged checkpoint slots are an error with their files, not a new log', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await world.run(log.checkpoint())
  await world.run(log.close())
  for (const slot of [0, 1]) world.disk.flipBit(`${FOLDER}/checkpoint-${slot}`, 40, 1)
  await rejects(world.open(), 'MR_LOG_CORRUPT')
  const report = await world.run(fsckFolder(world.disk, FOLDER))
  assert.deepEqual(
    report.findings.map(({ what }) => what),
    ['checkpoint', 'checkpoint', 'checkpoint'],
  )
})

test('one damaged slot: after an orderly close the older one serves, after a crash behind it the log refuses to guess', async () => {
  const closed = bench()
  const log = await closed.open()
  await closed.run(log.createTopic('t'))
  await fill(closed, log, 0, 20)
  await closed.run(log.close())
  const newest = newestSlotOf(closed.disk)
  closed.disk.flipBit(`${FOLDER}/checkpoint-${newest}`, 60, 1)
  const after = await closed.open()
  assert.equal((await closed.run(textsOf(after, 't'))).length, 20)
  await closed.run(after.close())

  const crashed = bench()
  const dying = await crashed.open()
  await crashed.run(dying.createTopic('t'))
  await fill(crashed, dying, 0, 300)
  crashed.disk = crashed.disk.crash()
  crashed.disk.flipBit(`${FOLDER}/checkpoint-${newestSlotOf(crashed.disk)}`, 60, 1)
  await rejects(crashed.open(), 'MR_LOG_CORRUPT')
})

function newestSlotOf(disk: SimulatedDisk): number {
  const generations = [0, 1].map((slot) => {
    const content = readSlot(disk, FOLDER, slot)
    return content.kind === 'valid' ? content.value.generation : -1
  })
  return (generations[1] ?? -1) > (generations[0] ?? -1) ? 1 : 0
}

test('a flipped bit in the journal with later entries behind it harms its own batch and says where', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t', { partitions: 2 }))
  await fill(world, log, 0, 6, 40, 2)
  const entries = entriesOf(world.disk, `${FOLDER}/journal-0`)
  world.disk = world.disk.crash()
  // The third record's entry: a bit in the first inline batch, behind header and batch header.
  world.disk.flipBit(`${FOLDER}/journal-0`, (entries.at(-4) ?? 0) + 64 + 80, 3)
  const found = await world.run(fsckFolder(world.disk, FOLDER, { clock: world.time, scheduler: world.time }))
  assert.deepEqual(
    found.findings.map(({ what }) => what),
    ['journal batch'],
  )
  const after = await world.open()
  assert.equal(after.recovery.damages.length, 1)
  assert.match(after.recovery.damages[0]?.file ?? '', /journal-0$/)
  assert.equal((await world.run(textsOf(after, 't', 1))).length, 6)
  const error = await world.run(
    readAll(after, 't', 0).then(
      () => null,
      (reason: unknown) => reason as MillraceError,
    ),
  )
  assert.equal(error?.code, 'MR_LOG_CORRUPT')
  assert.equal(error.details.offset, 2)
  assert.equal(await world.run(after.skipCorrupt('t', 0, 2)), 3)
  assert.deepEqual(
    (await world.run(textsOf(after, 't', 0))).map((text) => Number.parseInt(text, 10)),
    [0, 1, 3, 4, 5],
  )
  await world.run(after.close())
})

test('a damaged entry with whole ones behind it is quarantined: later records stay, its own are reported until skipped', async () => {
  for (const place of [8, 30, 60]) {
    const world = bench(place)
    const log = await world.open()
    await world.run(log.createTopic('t', { partitions: 2 }))
    await fill(world, log, 0, 6, 40, 2)
    const entries = entriesOf(world.disk, `${FOLDER}/journal-0`)
    world.disk = world.disk.crash()
    world.disk.flipBit(`${FOLDER}/journal-0`, (entries.at(-4) ?? 0) + place, 1)
    const after = await world.open()
    assert.deepEqual(
      after.recovery.damages.map(({ entries: lost }) => lost),
      [1],
    )
    assert.ok(world.disk.exists(after.recovery.damages[0]?.keptIn ?? ''))
    for (const partition of [0, 1]) {
      const error = await world.run(
        readAll(after, 't', partition).then(
          () => null,
          (reason: unknown) => reason as MillraceError,
        ),
      )
      assert.equal(error?.code, 'MR_LOG_QUARANTINED')
      assert.ok(after.quarantined.some((range) => range.topic === 't' && range.partition === partition && range.from === 2))
      assert.equal(error.details.offset, 2)
      assert.equal(await world.run(after.skipCorrupt('t', partition, 2)), 3)
      assert.ok(after.quarantined.every((range) => range.partition !== partition))
      assert.deepEqual(
        (await world.run(textsOf(after, 't', partition))).map((text) => Number.parseInt(text, 10)),
        [0, 1, 3, 4, 5],
      )
    }
    await fill(world, after, 6, 1, 40, 2)
    await world.run(after.close())
    const again = await world.open()
    assert.equal((await world.run(textsOf(again, 't'))).length, 6, 'the choice to skip is remembered')
    await world.run(again.close())
  }
})

test('fsck names every damaged batch of a segment, and repair lets readers go on', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await fill(world, log, 0, 300)
  await world.run(log.close())
  const folder = `${FOLDER}/topics/t1/0`
  const segments = world.disk.list(folder).filter((name) => name.endsWith('.log'))
  assert.ok(segments.length > 2)
  world.disk.flipBit(`${folder}/${segments[0]}`, 500, 0)
  world.disk.flipBit(`${folder}/${segments[1]}`, 12, 7)
  world.disk.flipBit(`${folder}/${segments[1]?.replace('.log', '.index')}`, 3, 1)
  const report = await world.run(fsckFolder(world.disk, FOLDER, { clock: world.time, scheduler: world.time }))
  assert.deepEqual(report.findings.map(({ what }) => what).sort(), ['index', 'segment batch', 'segment batch'])
  for (const { file, what, topic, from, to } of report.findings) {
    assert.ok(file.startsWith(folder))
    if (what === 'segment batch') assert.deepEqual([topic, to - from], ['t', 1])
  }
  const repaired = await world.run(fsckFolder(world.disk, FOLDER, { repair: true, clock: world.time, scheduler: world.time }))
  assert.equal(repaired.repaired, 3)
  const after = await world.open()
  assert.equal((await world.run(textsOf(after, 't'))).length, 298)
  await world.run(after.close())
})

test('a lost index is rebuilt by walking its segment', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await fill(world, log, 0, 200)
  await world.run(log.close())
  const folder = `${FOLDER}/topics/t1/0`
  for (const name of world.disk.list(folder)) if (name.endsWith('.index')) world.disk.remove(`${folder}/${name}`)
  const after = await world.open()
  for (const offset of [0, 1, 57, 130, 199]) {
    const [seen] = await world.run(readAll(after, 't', 0, offset))
    assert.equal(seen?.offset, offset)
  }
  await fill(world, after, 200, 100)
  assert.equal((await world.run(textsOf(after, 't'))).length, 300)
  await world.run(after.close())
})

test('appends of outsiders stop at the reserve with MR_LOG_FULL; commits of writers, trimming and retention go on, and room resumes everything', async () => {
  const world = bench()
  const log = await world.open({ diskReserveBytes: 100_000 })
  await world.run(log.createTopic('t'))
  const writer = await world.run(log.openWriter('w'))
  await fill(world, log, 0, 10)
  world.disk.setCapacity(world.disk.usedBytes() + 90_000)
  await world.time.advance(1000)
  const refused = await world.run(
    log.append([part('t', ['x'])]).then(
      () => null,
      (reason: unknown) => reason as MillraceError,
    ),
  )
  assert.equal(refused?.code, 'MR_LOG_FULL')
  assert.equal(refused.details.reserve, 100_000)
  await world.run(writer.commit([part('t', ['inside the reserve'])]))
  await world.run(log.checkpoint())
  await world.run(log.trim('t', 0, 5))
  world.disk.setCapacity(2 ** 40)
  await world.run(log.append([part('t', ['room again'])]))
  assert.equal((await world.run(textsOf(log, 't'))).length, 7)
  await world.run(log.close())
})

test('a full disk at a batch by reference refuses that request alone; at a checkpoint it waits for room', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await fill(world, log, 0, 5)
  world.disk.setCapacity(world.disk.usedBytes() + 100)
  await rejects(world.run(log.append([{ topic: 't', partition: 0, batch: batchOf(['x'.repeat(6000)]) }])), 'MR_LOG_FULL')
  assert.equal(log.failure, null)
  await fill(world, log, 5, 5)
  const checkpoint = log.checkpoint()
  await world.time.advance(3000)
  await fill(world, log, 10, 5)
  world.disk.setCapacity(2 ** 40)
  await world.run(checkpoint)
  await fill(world, log, 15, 200)
  assert.equal((await world.run(textsOf(log, 't'))).length, 215)
  await world.run(log.close())
  const after = await world.open()
  assert.equal((await world.run(textsOf(after, 't'))).length, 215)
  await world.run(after.close())
})

test('when both halves wait for the disk requests wait too, in order, up to a limit, and go on when there is room', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  world.disk.setCapacity(world.disk.usedBytes())
  const appends = Array.from({ length: 400 }, (_, round) => log.append([part('t', [`${round}`.padEnd(200, '.')])]))
  await world.time.advance(5000)
  assert.ok(log.stats.waits > 0)
  world.disk.setCapacity(2 ** 40)
  const results = await world.run(Promise.all(appends))
  assert.deepEqual(
    results.map(({ firstOffsets }) => firstOffsets[0]),
    Array.from({ length: 400 }, (_, round) => round),
  )
  await world.run(log.close())
})

test('closing waits for no room on the disk: what waits for it is refused, what was acknowledged is there at the next start', async () => {
  for (const count of [100, 400]) {
    const world = bench()
    const log = await world.open()
    await world.run(log.createTopic('t'))
    world.disk.setCapacity(world.disk.usedBytes())
    const appends = Array.from({ length: count }, (_, round) => log.append([part('t', [`${round}`.padEnd(200, '.')])]))
    const settled = Promise.allSettled(appends)
    await world.time.advance(5000)
    assert.equal(log.stats.waits > 0, count === 400)
    await world.time.run(log.close(), 5000)
    const results = await world.run(settled)
    const acknowledged = results.findLastIndex(({ status }) => status === 'fulfilled') + 1
    assert.equal(acknowledged < count, count === 400)
    for (const [round, result] of results.entries()) {
      if (result.status === 'fulfilled') assert.equal(result.value.firstOffsets[0], round)
      else assert.ok(round >= acknowledged && isMillraceError(result.reason) && result.reason.code === 'MR_LOG_CLOSED')
    }
    world.disk.setCapacity(2 ** 40)
    const after = await world.open()
    assert.equal((await world.run(textsOf(after, 't'))).length, acknowledged)
    await world.run(after.close())
  }
})

test('closing takes in what waits for a half of the journal while there is room on the disk', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  const appends = Array.from({ length: 400 }, (_, round) => log.append([part('t', [`${round}`.padEnd(200, '.')])]))
  assert.ok(log.stats.waits > 0)
  await world.run(log.close())
  assert.equal((await world.run(Promise.all(appends))).length, 400)
  const after = await world.open()
  assert.equal((await world.run(textsOf(after, 't'))).length, 400)
  await world.run(after.close())
})

test('a failed sync poisons the log: what waits and every later call rejects with MR_DISK_FAILED, and nothing is tried again', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await fill(world, log, 0, 3)
  world.disk.failSyncs(1)
  await rejects(world.run(log.append([part('t', ['lost'])])), 'MR_DISK_FAILED')
  const { syncs } = world.disk.counts
  await rejects(world.run(log.append([part('t', ['later'])])), 'MR_DISK_FAILED')
  await rejects(world.run(log.createTopic('u')), 'MR_DISK_FAILED')
  assert.throws(
    () => log.reader(),
    (error: unknown) => isMillraceError(error) && error.code === 'MR_DISK_FAILED',
  )
  assert.ok(isMillraceError(log.failure))
  assert.equal(world.disk.counts.syncs, syncs)
  await world.run(log.close())
  world.disk = world.disk.crash()
  const after = await world.open()
  assert.ok((await world.run(textsOf(after, 't'))).length >= 3)
  await world.run(after.close())
})

test('a failed sync in a checkpoint poisons the log too', async () => {
  const world = bench()
  const log = await world.open()
  await world.run(log.createTopic('t'))
  await fill(world, log, 0, 3)
  const checkpoint = log.checkpoint()
  world.disk.failSyncs(1)
  await rejects(world.run(checkpoint), 'MR_DISK_FAILED')
  await rejects(world.run(log.append([part('t', ['later'])])), 'MR_DISK_FAILED')
  await world.run(log.close())
})

test('compaction across segments keeps the table, drops old deletions, survives a crash between its steps', async () => {
  for (let cut = 0; cut < 60; cut += 3) {
    const world = bench(cut)
    let log = await world.open()
    await world.run(log.createTopic('t', { compacted: true }))
    const expected = new Map<string, string>()
    for (let round = 0; round < 400; round++) {
      const key = `k${(round * 7) % 23}`
      const value = round % 11 === 3 ? '-' : `${round}`.padEnd(50, '.')
      if (value === '-') expected.delete(key)
      else expected.set(key, value)
      await world.run(log.append([part('t', [`${key}:${value}`])]))
    }
    await world.run(log.checkpoint())
    await world.time.advance(2 * 86_400_000)
    world.disk.cutPowerAfter(cut * 12)
    const done = await world.run(
      log.maintain().then(
        () => true,
        () => false,
      ),
    )
    if (!done) {
      world.disk = world.disk.crash()
      await world.run(log.close().catch(() => undefined))
      log = await world.open()
    }
    world.disk.cutPowerAfter(Number.POSITIVE_INFINITY)
    await world.run(log.maintain())
    const table = new Map<string, string>()
    const seen = await world.run(readAll(log, 't'))
    for (const { text } of seen) {
      const colon = text.indexOf(':')
      if (text.endsWith(':-')) table.delete(text.slice(0, colon))
      else table.set(text.slice(0, colon), text.slice(colon + 1))
    }
    assert.deepEqual(Object.fromEntries(table), Object.fromEntries(expected))
    assert.ok(seen.length < 250, `${seen.length} records are left of 400`)
    assert.equal(log.ends('t')[0]?.end, 400)
    await world.run(log.close())
    assert.deepEqual((await world.run(fsckFolder(world.disk, FOLDER, { clock: world.time, scheduler: world.time }))).findings, [])
  }
})
