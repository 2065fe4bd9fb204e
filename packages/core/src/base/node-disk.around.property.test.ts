// Writes around the system's memory of files must leave the file as the usual writes would, at every position and however they are cut up.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { readFully } from './disk.ts'
import { nodeDisk } from './node-disk.ts'

/** Larger than what is gathered for one call. */
const FILE_BYTES = 3 << 20

const writes = fc.array(
  fc.record({
    position: fc.oneof(
      fc.nat(FILE_BYTES - 1),
      fc.nat(15).map((block) => block * 65_536),
    ),
    pieces: fc.array(fc.oneof(fc.nat(700), fc.nat(200_000), fc.constantFrom(4_096, 65_536, 1 << 20)), { minLength: 1, maxLength: 12 }),
    way: fc.constantFrom('around', 'around now', 'usual'),
  }),
  { minLength: 1, maxLength: 12 },
)

function folder(t: TestContext): string {
  const path = fs.mkdtempSync(join(os.tmpdir(), 'millrace-around-'))
  t.after(() => fs.rmSync(path, { recursive: true, force: true }))
  return path
}

test('a file is the same whether its bytes went around the memory of files or through it, at any time it is read', async (t) => {
  const path = join(folder(t), 'file')
  let went = 0
  await fc.assert(
    fc.asyncProperty(writes, async (list) => {
      const file = nodeDisk.open(path, 'create')
      file.truncate(0)
      const expected = new Uint8Array(16 << 20)
      let size = 0
      let fill = 1
      for (const { position, pieces, way } of list) {
        const sources = pieces.map((length) => new Uint8Array(length).fill(fill++))
        if (way === 'around' && (await file.writeAround?.(sources, position))) went++
        else if (way === 'around now' && file.writeAroundNow?.(sources, position)) went++
        else file.writeAll(sources, position)
        let at = position
        for (const source of sources) {
          expected.set(source, at)
          at += source.length
        }
        if (at > position) size = Math.max(size, at)
        const found = new Uint8Array(size)
        assert.ok(readFully(file, found, 0))
        assert.equal(Buffer.compare(found, expected.subarray(0, size)), 0)
      }
      file.sync()
      file.close()
      assert.equal(Buffer.compare(fs.readFileSync(path), expected.subarray(0, size)), 0)
    }),
    { numRuns: 40 },
  )
  t.diagnostic(`${went} writes went around`)
})

test('a file is the image of which ranges were written, also behind usual writes and at an end that fills no block', (t) => {
  const ranges = fc.array(fc.record({ start: fc.nat(300_000), length: fc.nat(1_500_000), usual: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  })
  const path = join(folder(t), 'file')
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1_800_000, max: 1_900_000 }), (list, size) => {
      fs.writeFileSync(path, new Uint8Array(size))
      const file = nodeDisk.open(path, 'write')
      const image = new Uint8Array(size)
      let fill = 1
      for (const { start, length, usual } of list) {
        image.fill(fill++, start, start + length)
        if (usual) file.write(image.subarray(start, start + length), start)
        else file.writeImage?.(image, start, start + length)
        const found = new Uint8Array(size)
        assert.ok(readFully(file, found, 0))
        assert.equal(Buffer.compare(found, image), 0)
      }
      file.close()
      assert.equal(fs.statSync(path).size, size)
    }),
    { numRuns: 30 },
  )
})

test('small writes are left to the usual way', (t) => {
  const file = nodeDisk.open(join(folder(t), 'file'), 'create')
  assert.equal(file.writeAround?.([new Uint8Array(1000)], 0), null)
  assert.equal(file.writeAroundNow?.([new Uint8Array(1000)], 0), false)
  assert.equal(file.size(), 0)
  file.close()
})

test('more files than there are buffers are written at once, and none is closed under a write', async (t) => {
  const dir = folder(t)
  const files = Array.from({ length: 12 }, (_, index) => nodeDisk.open(join(dir, `${index}`), 'create'))
  const bytes = files.map((_, index) => new Uint8Array(FILE_BYTES / 2 + index * 1_001).fill(index + 1))
  const writing = files.map((file, index) => file.writeAround?.([bytes[index] as Uint8Array], index * 13))
  for (const [index, file] of files.entries()) {
    if (writing[index]) assert.throws(() => file.close(), { name: 'AssertionFailure' })
  }
  for (const [index, file] of files.entries()) {
    if (!(await writing[index])) file.write(bytes[index] as Uint8Array, index * 13)
    file.close()
    assert.equal(Buffer.compare(fs.readFileSync(file.path).subarray(index * 13), bytes[index] as Uint8Array), 0)
  }
})

test('where a file cannot be opened once more the bytes go the usual way; what may be otherwise soon is tried again', async (t) => {
  const { openSync } = fs
  const path = join(folder(t), 'file')
  for (const [code, tries] of [
    ['EMFILE', 3],
    ['ENFILE', 3],
    ['EPERM', 3],
    ['EACCES', 1],
  ] as const) {
    let tried = 0
    const mock = t.mock.method(fs, 'openSync', (...[name, ...rest]: Parameters<typeof openSync>) => {
      if (!String(name).startsWith('/proc/self/fd/')) return openSync(name, ...rest)
      tried++
      throw Object.assign(new Error(code), { code })
    })
    const file = nodeDisk.open(path, 'create')
    const bytes = new Uint8Array(FILE_BYTES).fill(code.length)
    assert.equal(await file.writeAround?.([bytes], 0), false)
    assert.equal(file.writeAroundNow?.([bytes], 0), false)
    file.writeImage?.(bytes, 0, bytes.length)
    assert.equal(tried, fs.constants.O_DIRECT === undefined ? 0 : tries)
    assert.equal(Buffer.compare(fs.readFileSync(path), bytes), 0)
    file.close()
    mock.mock.restore()
  }
})
