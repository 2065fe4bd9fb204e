// A log that has lost one of its files is refused and left as it is; a log whose making was cut off is made again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { part, rejects, textsOf } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { fsckFolder } from './fsck.ts'
import { openEmbeddedLog } from './open.ts'

const FOLDER = 'data/log'

function world(): { readonly time: VirtualTime; readonly disk: SimulatedDisk; open(): Promise<EmbeddedLog> } {
  const time = new VirtualTime()
  const disk = new SimulatedDisk({ random: seededRandom(1), scheduler: time })
  const options = { folder: FOLDER, disk, clock: time, scheduler: time, journalHalfBytes: 65_536, diskReserveBytes: 0, maintainEveryMs: 0 }
  return { time, disk, open: () => time.run(openEmbeddedLog(options)) }
}

function copyOf(disk: SimulatedDisk, path: string): Uint8Array {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  file.read(bytes, 0)
  file.close()
  return bytes
}

function put(disk: SimulatedDisk, path: string, bytes: Uint8Array): void {
  const file = disk.open(path, 'create')
  file.write(bytes, 0)
  file.sync()
  file.close()
}

for (const name of ['format', 'journal-0', 'journal-1']) {
  for (const isEmpty of name === 'format' ? [false] : [false, true]) {
    test(`a log whose ${name} is ${isEmpty ? 'empty' : 'gone'} is refused, and whole again when the file comes back`, async () => {
      const { time, disk, open } = world()
      let log = await open()
      await time.run(log.createTopic('t', {}))
      for (let round = 0; round < 3; round++) await time.run(log.append([part('t', [`${round}`])]))
      await time.run(log.close())
      const path = `${FOLDER}/${name}`
      const bytes = copyOf(disk, path)
      disk.remove(path)
      if (isEmpty) put(disk, path, new Uint8Array(0))
      for (let again = 0; again < 2; again++) await rejects(open(), 'MR_LOG_CORRUPT')
      assert.ok((await fsckFolder(disk, FOLDER)).findings.length > 0)
      put(disk, path, bytes)
      log = await open()
      assert.deepEqual(await time.run(textsOf(log, 't')), ['0', '1', '2'])
      await time.run(log.close())
    })
  }
}

test('fsck goes on without a lost half of the journal when it is told to repair', async () => {
  const { time, disk, open } = world()
  let log = await open()
  await time.run(log.createTopic('t', {}))
  await time.run(log.append([part('t', ['kept'])]))
  await time.run(log.close())
  disk.remove(`${FOLDER}/journal-1`)
  const report = await time.run(fsckFolder(disk, FOLDER, { repair: true, clock: time, scheduler: time }))
  assert.deepEqual([report.findings.map(({ what }) => what), report.repaired], [['journal half'], 1])
  log = await open()
  assert.deepEqual(await time.run(textsOf(log, 't')), ['kept'])
  await time.run(log.close())
})

test('a folder in which the making of a log was cut off is made again', async () => {
  const { time, disk, open } = world()
  await time.run((await open()).close())
  disk.remove(`${FOLDER}/format`)
  await time.run((await open()).close())
  assert.equal((await fsckFolder(disk, FOLDER)).findings.length, 0)
})
