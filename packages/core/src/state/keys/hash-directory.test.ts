import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { HashDirectory, TRAILER_WORDS } from './hash-directory.ts'

/** Slots of all tables, in order. */
function slots(directory: HashDirectory): number[] {
  const found: number[] = []
  for (const table of new Set(directory.tables)) {
    for (let at = 0; at < table.length - TRAILER_WORDS; at += 2) if (table[at] !== 0) found.push((table[at] as number) - 1)
  }
  return found.sort((a, b) => a - b)
}

for (const expected of [0, 1_000_000]) {
  test(`keys of one hash among many others, ${expected} keys expected: none is lost, and room is made for them alone`, () => {
    const random = seededRandom(3)
    const directory = new HashDirectory()
    directory.expected = expected
    const hashes = new Map<number, number>()
    const add = (hash: number): void => {
      directory.add(hashes.size, hash)
      hashes.set(hashes.size, hash)
    }
    // One more than a table of the largest size takes, so that it must grow beyond.
    for (let i = 0; i < 42_000; i++) add(0x1234567)
    for (let i = 0; i < 200_000; i++) add(random.below(2 ** 32) | 0)
    assert.equal(directory.count, hashes.size)
    assert.deepEqual(slots(directory), [...hashes.keys()])
    assert.ok(directory.bytes() < 64 * hashes.size + (expected > 0 ? 16 * 8 * 2 * hashes.size : 0))
    for (const [slot, hash] of [...hashes].reverse()) if (slot % 10 !== 0) directory.remove(slot, hash)
    assert.deepEqual(
      slots(directory),
      [...hashes.keys()].filter((slot) => slot % 10 === 0),
    )
  })
}

test('tables that growing leaves over are kept for those that share a list of them, and for nobody else', () => {
  const random = seededRandom(5)
  const fill = (directory: HashDirectory): void => {
    for (let slot = 0; slot < 400_000; slot++) directory.add(slot, random.below(2 ** 32) | 0)
    assert.equal(slots(directory).length, 400_000)
  }
  const alone = new HashDirectory()
  fill(alone)
  assert.equal(alone.spare, null)
  const shared: Int32Array[] = []
  const one = new HashDirectory()
  one.spare = shared
  fill(one)
  const left = new Set(shared)
  assert.ok(left.size > 0 && left.size === shared.length)
  const other = new HashDirectory()
  other.spare = shared
  fill(other)
  assert.ok(other.tables.some((table) => left.has(table)))
  assert.ok(!other.tables.some((table) => one.tables.includes(table) || shared.includes(table)))
})
