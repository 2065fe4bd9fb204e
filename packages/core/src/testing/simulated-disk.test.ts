import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DiskFile, readFully } from '../base/disk.ts'
import { seededRandom } from '../base/random.ts'
import { SECTOR_BYTES, SimulatedDisk, type SimulatedDiskOptions, SimulatedPowerCut } from './simulated-disk.ts'
import { VirtualTime } from './virtual-time.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const disk = (seed = 1, options: Partial<SimulatedDiskOptions> = {}) =>
  new SimulatedDisk({ random: seededRandom(seed), scheduler: new VirtualTime(), ...options })

function contentOf(on: SimulatedDisk, path: string): Uint8Array {
  const file = on.open(path, 'read')
  const content = new Uint8Array(file.size())
  assert.ok(readFully(file, content, 0))
  return content
}

/** A file that is known to be safe. */
function safeFile(on: SimulatedDisk, path: string, content: Uint8Array): DiskFile {
  const file = on.open(path, 'create')
  file.write(content, 0)
  file.sync()
  on.syncFolder('')
  return file
}

test('without a crash it is a disk like others', () => {
  const on = disk()
  on.makeFolder('/a/b')
  const file = on.open('/a/b/f', 'create')
  file.writeAll([ascii('hel'), ascii(''), ascii('lo')], 2)
  file.truncate(6)
  assert.deepEqual(contentOf(on, 'a/b/f'), ascii('\0\0hell'))
  on.rename('/a/b/f', '/a/b/g')
  file.write(ascii('!'), 6)
  assert.deepEqual(contentOf(on, '/a/b/g'), ascii('\0\0hell!'))
  on.open('/a/b/e', 'create')
  assert.deepEqual(
    [on.list('/a/b'), on.list('/a'), on.list('/none'), on.exists('/a'), on.exists('/a/b/f')],
    [['e', 'g'], ['b'], [], true, false],
  )
  on.remove('/a')
  assert.deepEqual([on.exists('/a/b/g'), on.list('')], [false, []])
  for (const wrong of [
    () => on.open('x', 'read'),
    () => on.open('x', 'write'),
    () => on.open('no/x', 'create'),
    () => on.syncFolder('no'),
    () => on.rename('x', 'y'),
  ]) {
    assert.throws(wrong, { code: 'MR_DISK_FAILED' })
  }
})

test('what was synced survives every crash, what was written after may be there sector by sector', () => {
  let kept = 0
  let lost = 0
  for (let seed = 0; seed < 200; seed++) {
    const on = disk(seed)
    const file = safeFile(on, 'f', new Uint8Array(4 * SECTOR_BYTES).fill(1))
    file.write(new Uint8Array(2 * SECTOR_BYTES).fill(2), SECTOR_BYTES)
    const after = contentOf(on.crash(), 'f')
    const sectors = [0, 1, 2, 3].map((sector) => new Set(after.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)))
    for (const sector of sectors) assert.equal(sector.size, 1, 'a sector is old or new, never both')
    const values = sectors.map((sector) => [...sector][0])
    assert.deepEqual([values[0], values[3]], [1, 1])
    for (const value of values.slice(1, 3)) {
      if (value === 2) kept++
      else lost++
    }
  }
  assert.ok(kept > 100 && lost > 100, `${kept} kept, ${lost} lost`)
})

test('an extension that was not synced may be gone, zeros, or there in part', () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const on = disk(seed)
    const file = safeFile(on, 'f', ascii('safe'))
    file.write(new Uint8Array(1000).fill(7), 4)
    const after = contentOf(on.crash(), 'f')
    assert.deepEqual(after.subarray(0, 4), ascii('safe'))
    seen.add(
      after.length === 4 ? 'gone' : after.length < 1004 ? 'shorter' : after.subarray(4).every((byte) => byte === 7) ? 'whole' : 'torn',
    )
  }
  assert.deepEqual([...seen].sort(), ['gone', 'shorter', 'torn', 'whole'])
})

test('a name is safe only after syncFolder: creations vanish, renames and removals are undone', () => {
  const seen = { created: new Set<boolean>(), renamed: new Set<string>(), removed: new Set<boolean>() }
  for (let seed = 0; seed < 60; seed++) {
    const on = disk(seed)
    safeFile(on, 'old', ascii('old'))
    safeFile(on, 'removed', ascii('x'))
    const created = on.open('created', 'create')
    created.write(ascii('content'), 0)
    created.sync()
    on.rename('created', 'old')
    on.remove('removed')
    const after = on.crash()
    seen.created.add(after.exists('created'))
    seen.renamed.add(new TextDecoder().decode(contentOf(after, 'old')))
    seen.removed.add(after.exists('removed'))
    if (!after.exists('removed'))
      assert.equal(new TextDecoder().decode(contentOf(after, 'old')), 'content', 'changes of one folder survive in order')
  }
  assert.deepEqual([seen.created.size, [...seen.renamed].sort(), seen.removed.size], [2, ['content', 'old'], 2])
  const on = disk()
  safeFile(on, 'old', ascii('old'))
  safeFile(on, 'new', ascii('new'))
  on.rename('new', 'old')
  on.syncFolder('')
  const after = on.crash()
  assert.deepEqual([contentOf(after, 'old'), after.exists('new')], [ascii('new'), false])
})

test('a folder that is not safe takes its files with it', () => {
  const on = disk()
  on.makeFolder('a')
  const file = on.open('a/f', 'create')
  file.sync()
  on.syncFolder('a')
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 20; seed++) {
    const other = disk(seed)
    other.makeFolder('a')
    other.open('a/f', 'create').sync()
    other.syncFolder('a')
    outcomes.add(other.crash().list('').join())
  }
  assert.deepEqual([...outcomes].sort(), ['', 'a'])
  on.syncFolder('')
  assert.deepEqual(on.crash().list('a'), ['f'])
})

test('reads are short now and then, never empty before the end', () => {
  const on = disk(1, { shortReadChance: 0.5 })
  const file = safeFile(on, 'f', new Uint8Array(100).fill(5))
  const counts = Array.from({ length: 100 }, () => file.read(new Uint8Array(50), 20))
  assert.ok(counts.every((count) => count >= 1 && count <= 50) && counts.includes(50) && counts.some((count) => count < 50))
  assert.deepEqual(contentOf(on, 'f'), new Uint8Array(100).fill(5))
  assert.equal(file.read(new Uint8Array(5), 100), 0)
})

test('a full disk stops a write in the middle; room that exists can be written again', () => {
  const on = disk(1, { capacityBytes: 1000 })
  const file = safeFile(on, 'f', new Uint8Array(900))
  assert.equal(on.freeBytes(''), 100)
  assert.throws(() => file.write(new Uint8Array(200).fill(1), 850), { code: 'MR_DISK_FULL' })
  assert.equal(file.size(), 1000)
  file.write(new Uint8Array(1000).fill(2), 0)
  assert.throws(() => on.open('g', 'create').write(ascii('x'), 0), { code: 'MR_DISK_FULL' })
  on.setCapacity(2000)
  on.open('g', 'create').write(ascii('x'), 0)
  assert.equal(on.usedBytes(), 1001)
})

test('after a failed sync the handle refuses everything, and a later sync of another handle saves nothing of it', () => {
  const on = disk(3)
  const file = safeFile(on, 'f', new Uint8Array(10 * SECTOR_BYTES).fill(1))
  file.write(new Uint8Array(10 * SECTOR_BYTES).fill(2), 0)
  on.failSyncs(1)
  assert.throws(() => file.sync(), { code: 'MR_DISK_FAILED' })
  assert.throws(() => file.sync(), { code: 'MR_DISK_FAILED' })
  assert.throws(() => file.write(ascii('x'), 0), { code: 'MR_DISK_FAILED' })
  const other = on.open('f', 'write')
  other.sync()
  assert.ok(contentOf(on.crash(), 'f').includes(1), 'the kernel has forgotten that the sectors were dirty')
})

test('syncLater makes safe what was written before the call, when it has resolved and not before', async () => {
  const time = new VirtualTime()
  const on = disk(1, { scheduler: time })
  const file = safeFile(on, 'f', new Uint8Array(SECTOR_BYTES * 20).fill(1))
  file.write(new Uint8Array(SECTOR_BYTES * 20).fill(2), 0)
  const syncing = file.syncLater()
  file.write(new Uint8Array(SECTOR_BYTES * 10).fill(3), 0)
  await time.run(syncing)
  const after = contentOf(on.crash(), 'f')
  assert.ok(!after.includes(1))
  assert.ok(after.includes(2) && after.includes(3))
  for (let seed = 0; seed < 30; seed++) {
    const raced = disk(seed, { scheduler: time })
    const both = safeFile(raced, 'f', new Uint8Array(SECTOR_BYTES).fill(1))
    both.write(new Uint8Array(SECTOR_BYTES).fill(2), 0)
    const late = both.syncLater()
    both.write(new Uint8Array(SECTOR_BYTES + 1).fill(3), 0)
    both.sync()
    await time.run(late)
    assert.deepEqual(contentOf(raced.crash(), 'f'), new Uint8Array(SECTOR_BYTES + 1).fill(3), 'a late sync takes nothing back')
  }
  const failing = disk(1, { scheduler: time })
  const bad = safeFile(failing, 'f', ascii('x'))
  failing.failSyncs(1)
  await assert.rejects(time.run(bad.syncLater()), { code: 'MR_DISK_FAILED' })
  assert.throws(() => bad.size(), { code: 'MR_DISK_FAILED' })
})

test('the power goes at the n-th operation, and the disk after the crash works', () => {
  const on = disk()
  const file = safeFile(on, 'f', ascii('abc'))
  on.cutPowerAfter(2)
  file.write(ascii('x'), 0)
  file.size()
  assert.throws(() => file.sync(), SimulatedPowerCut)
  assert.throws(() => on.exists('f'), SimulatedPowerCut)
  const after = on.crash()
  assert.deepEqual(contentOf(after, 'f').subarray(1), ascii('bc'))
  after.open('g', 'create')
  assert.deepEqual(after.list(''), ['f', 'g'])
})

test('a lock has one owner and dies with the crash', () => {
  const on = disk()
  const lock = on.lock('')
  assert.throws(() => on.lock('/'), { code: 'MR_LOG_LOCKED' })
  lock.release()
  on.lock('')
  on.crash().lock('')
})

test('a flipped bit is seen at once and stays', () => {
  const on = disk()
  safeFile(on, 'f', new Uint8Array([0, 0, 0]))
  on.flipBit('f', 1, 3)
  assert.deepEqual(contentOf(on, 'f'), new Uint8Array([0, 8, 0]))
  assert.deepEqual(contentOf(on.crash(), 'f'), new Uint8Array([0, 8, 0]))
})

const step = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    file: fc.nat(2),
    at: fc.nat(3000),
    size: fc.integer({ min: 1, max: 1500 }),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ kind: fc.constant('sync' as const), file: fc.nat(2) }),
  fc.record({ kind: fc.constant('truncate' as const), file: fc.nat(2), at: fc.nat(3000) }),
)

test('property: after any crash each file is safe content with some unsynced sectors; the same seed gives the same disk', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), fc.nat(), (steps, seed) => {
      const run = () => {
        const on = disk(seed)
        const files = [0, 1, 2].map((index) => safeFile(on, `f${index}`, new Uint8Array(0)))
        // Per file and byte: every value that a crash may show. Bytes behind the end read as 0.
        const may = files.map(() => Array.from({ length: 4600 }, () => new Set([0])))
        const live = files.map(() => new Uint8Array(4600))
        for (const one of steps) {
          const [file, bytes, values] = [files[one.file], live[one.file], may[one.file]]
          assert.ok(file && bytes && values)
          if (one.kind === 'write') {
            file.write(new Uint8Array(one.size).fill(one.byte), one.at)
            bytes.fill(one.byte, one.at, one.at + one.size)
          } else if (one.kind === 'truncate') {
            file.truncate(one.at)
            bytes.fill(0, one.at)
          } else file.sync()
          for (const [at, set] of values.entries()) {
            if (one.kind === 'sync') set.clear()
            set.add(bytes[at] ?? 0)
          }
        }
        const sizes = files.map((file) => file.size())
        const after = on.crash()
        return { may, contents: files.map((_, index) => contentOf(after, `f${index}`)), sizes }
      }
      const { may, contents } = run()
      for (const [index, content] of contents.entries()) {
        for (const [at, byte] of content.entries()) assert.ok(may[index]?.[at]?.has(byte), `file ${index} byte ${at} is ${byte}`)
      }
      assert.deepEqual(run().contents, contents)
    }),
    { numRuns: 60 },
  )
})

test('a file keeps its identity through renames and restarts, and its time moves with every write', () => {
  const on = disk()
  assert.equal(on.stat('f'), null)
  safeFile(on, 'f', ascii('abc'))
  const before = on.stat('f')
  assert.equal(before?.size, 3)
  on.rename('f', 'g')
  assert.deepEqual(on.stat('g'), before)
  on.syncFolder('')
  safeFile(on, 'f', ascii('d'))
  assert.notEqual(on.stat('f')?.identity, before?.identity)
  assert.ok((on.stat('f')?.modifiedMs ?? 0) > (before?.modifiedMs ?? 0))
  const after = on.crash()
  assert.deepEqual(after.stat('g'), before)
})
