// What a checkpoint does when the disk has no room: a refused write is waited for, a failed sync ends the log until it is started again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../base/errors.ts'
import { seededRandom } from '../../base/random.ts'
import { part, textsOf } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { openEmbeddedLog } from './open.ts'

const time = new VirtualTime()
const open = (disk: SimulatedDisk): Promise<EmbeddedLog> =>
  time.run(
    openEmbeddedLog({
      folder: 'log',
      disk,
      clock: time,
      scheduler: time,
      journalHalfBytes: 16_384,
      journalHalfBytesMax: 16_384,
      diskReserveBytes: 0,
      maintainEveryMs: 0,
    }),
  )

for (const code of ['EIO', 'ENOSPC'] as const) {
  test(`a background sync that fails with ${code} ends the log at once, and a restart has everything`, async () => {
    let disk = new SimulatedDisk({ random: seededRandom(3), scheduler: time })
    const log = await open(disk)
    await time.run(log.createTopic('t'))
    for (let round = 0; round < 20; round++) await time.run(log.append([part('t', [`${round}`])]))
    const checkpoint = log.checkpoint()
    disk.failSyncs(1, code)
    const error = await time.run(
      checkpoint.then(
        () => null,
        (reason: unknown) => reason,
      ),
    )
    assert.ok(isMillraceError(error) && error.code === 'MR_DISK_FAILED', String(error))
    assert.equal(error.details['code'], code)
    assert.match(error.fix, /start again: the log recovers to the last commit/)
    await assert.rejects(time.run(log.append([part('t', ['later'])])), { code: 'MR_DISK_FAILED' })
    await time.run(log.close())
    disk = disk.crash()
    const after = await open(disk)
    assert.equal((await time.run(textsOf(after, 't'))).length, 20)
    await time.run(after.close())
  })
}

test('a write that finds no room is tried again until there is some', async () => {
  const disk = new SimulatedDisk({ random: seededRandom(3), scheduler: time })
  const log = await open(disk)
  await time.run(log.createTopic('t'))
  for (let round = 0; round < 20; round++) await time.run(log.append([part('t', [`${round}`])]))
  disk.setCapacity(disk.usedBytes() + 100)
  const checkpoint = log.checkpoint()
  await time.advance(5_000)
  assert.equal(log.failure, null)
  disk.setCapacity(2 ** 40)
  await time.run(checkpoint)
  assert.equal((await time.run(textsOf(log, 't'))).length, 20)
  await time.run(log.close())
})
