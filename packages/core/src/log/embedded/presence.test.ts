// A log that has lost one of its files is refused and left as it is; a log whose making was cut off is made again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readFully } from '../../base/disk.ts'
import { seededRandom } from '../../base/random.ts'
import { part, rejects, textsOf } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { fsckFolder } from './fsck.ts'
import { openEmbeddedLog } from './open.ts'

const FOLDER = 'data/log'

function world(): { readonly time: VirtualTime; readonly disk: SimulatedDisk; open(from?: SimulatedDisk): Promise<EmbeddedLog> } {
  const time = new VirtualTime()
  const disk = new SimulatedDisk({ random: seededRandom(1), scheduler: time })
  const options = { folder: FOLDER, disk, clock: time, scheduler: time, journalHalfBytes: 65_536, diskReserveBytes: 0, maintainEveryMs: 0 }
  return { time, disk, open: (from = disk) => time.run(openEmbeddedLog({ ...options, disk: from })) }
}

function copyOf(disk: SimulatedDisk, path: string): Uint8Array {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  assert.ok(readFully(file, bytes, 0))
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

/** A log whose halves have grown, with entries in the part that came later. */
async function grownLog(): Promise<ReturnType<typeof world> & { readonly texts: readonly string[] }> {
  const made = world()
  const { time, open } = made
  const log = await open()
  await time.run(log.createTopic('t', {}))
  const texts: string[] = []
  const round = async (count: number): Promise<void> => {
    const more = Array.from({ length: count }, (_, at) => `${texts.length + at}`.padEnd(12_000, '.'))
    texts.push(...more)
    await time.run(Promise.all(more.map((text) => log.append([part('t', [text])]))))
  }
  for (let again = 0; again < 6; again++) await round(40)
  return { ...made, texts }
}

test('a half that is cut short anywhere is refused, also in the part that it grew by, and whole again when the bytes come back', async () => {
  const { time, disk, open, texts } = await grownLog()
  const sizes = [0, 1].map((index) => disk.stat(`${FOLDER}/journal-${index}`)?.size ?? 0)
  assert.ok(Math.max(...sizes) > 65_536, `a half has grown: ${sizes.join(', ')}`)
  const cut = disk.crash()
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 1 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      async (index, share) => {
        const path = `${FOLDER}/journal-${index}`
        const bytes = copyOf(cut, path)
        const size = bytes.length
        assert.equal(size, sizes[index], 'a power cut leaves the size')
        const file = cut.open(path, 'write')
        file.truncate(Math.floor(share * size))
        file.sync()
        file.close()
        await rejects(open(cut), 'MR_LOG_CORRUPT')
        assert.deepEqual(
          (await fsckFolder(cut, FOLDER)).findings.map(({ what, file: found }) => [what, found]),
          [['journal half', path]],
        )
        put(cut, path, bytes)
      },
    ),
    { numRuns: 40 },
  )
  const log = await open(cut)
  const numbers = (list: readonly string[]): readonly number[] => list.map(Number.parseFloat)
  assert.deepEqual(numbers(await time.run(textsOf(log, 't'))), numbers(texts))
  await time.run(log.close())
})

test('fsck repairs a half that was cut short to what its bytes still hold', async () => {
  const { time, disk, open, texts } = await grownLog()
  const cut = disk.crash()
  const path = `${FOLDER}/journal-0`
  const size = cut.stat(path)?.size ?? 0
  const file = cut.open(path, 'write')
  file.truncate(20_000)
  file.sync()
  file.close()
  const report = await time.run(fsckFolder(cut, FOLDER, { repair: true, clock: time, scheduler: time }))
  assert.ok(report.repaired > 0)
  assert.equal(cut.stat(path)?.size, size)
  assert.equal((await fsckFolder(cut, FOLDER)).findings.length, 0)
  const log = await open(cut)
  const kept = await time.run(textsOf(log, 't'))
  assert.deepEqual(kept, texts.slice(0, kept.length))
  await time.run(log.close())
})

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
