import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c, crc32cByTables, useNativeCrc32c } from './crc32c.ts'
import { FOLD_BLOCK_BYTES, FOLD_DISTANCES, makeFolder, TABLE_COUNT } from './crc32c-fold.ts'
import { seededRandom } from './random.ts'

/** One bit at a time, straight from the definition: the oracle. */
function crcByDefinition(bytes: Uint8Array): number {
  let state = 0xffffffff
  for (const byte of bytes) {
    state ^= byte
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1
  }
  return ~state >>> 0
}

function randomBytes(size: number, seed: number): Uint8Array {
  const random = seededRandom(seed)
  return Uint8Array.from({ length: size }, () => random.below(256))
}

const ascii = (text: string) => new TextEncoder().encode(text)
const whole = (bytes: Uint8Array) => crc32c(bytes, 0, bytes.length)

test('the test vectors of RFC 3720 and of the CRC catalogue', () => {
  assert.equal(whole(ascii('')), 0)
  assert.equal(whole(ascii('a')), 0xc1d04330)
  assert.equal(whole(ascii('123456789')), 0xe3069283)
  assert.equal(whole(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(whole(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
  assert.equal(whole(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e)
  assert.equal(whole(Uint8Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c)
})

test('the polynomial of the fold is a multiple of the generator', () => {
  const powers = [1]
  for (let exponent = 1; exponent <= 290; exponent++) {
    const before = powers[exponent - 1] ?? 0
    powers.push((((before << 1) >>> 0) ^ (before >>> 31 ? 0x1edc6f41 : 0)) >>> 0)
  }
  let sum = powers[290] ?? 0
  for (const distance of FOLD_DISTANCES) sum = (sum ^ (powers[290 - distance] ?? 0)) >>> 0
  assert.equal(sum, 0)
})

test('this machine has the fast path', () => {
  assert.notEqual(makeFolder(new Int32Array(TABLE_COUNT * 256)), null)
})

test('equal to the definition at every length up to 3 KiB', () => {
  const bytes = randomBytes(3 * 1024, 7)
  let state = 0xffffffff
  for (let length = 0; length <= bytes.length; length++) {
    assert.equal(crc32c(bytes, 0, length), ~state >>> 0, `length ${length}`)
    state ^= bytes[length] ?? 0
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1
  }
})

test('equal to the definition around the size of a block, and with any start', () => {
  const bytes = randomBytes(3 * FOLD_BLOCK_BYTES, 8)
  for (const around of [FOLD_BLOCK_BYTES, 2 * FOLD_BLOCK_BYTES]) {
    for (const length of [around - 1, around, around + 1, around + 415, around + 416, around + 417]) {
      for (const start of [0, 1, 13])
        assert.equal(crc32c(bytes, start, start + length), crcByDefinition(bytes.subarray(start, start + length)))
    }
  }
})

test('pieces chain: crc(a + b) is crc(b, seed crc(a)), by the fold and by the tables', () => {
  fc.assert(
    fc.property(fc.nat(60_000), fc.nat(60_000), fc.nat(1000), (first, second, seed) => {
      const bytes = randomBytes(first + second, seed)
      const sum = crc32c(bytes, 0, bytes.length)
      assert.equal(crc32c(bytes, first, bytes.length, crc32c(bytes, 0, first)), sum)
      assert.equal(crc32cByTables(bytes, first, bytes.length, crc32cByTables(bytes, 0, first)), sum)
    }),
    { numRuns: 60 },
  )
})

test('a range outside the bytes is an assertion', () => {
  assert.throws(() => crc32c(new Uint8Array(4), 0, 5), { name: 'AssertionFailure' })
  assert.throws(() => crc32c(new Uint8Array(4), 3, 2), { name: 'AssertionFailure' })
})

test('a native implementation is used when it is right and refused when it is wrong', (t) => {
  t.after(() => useNativeCrc32c(null))
  assert.throws(() => useNativeCrc32c(() => 0), { name: 'AssertionFailure' })
  assert.throws(() => useNativeCrc32c((bytes) => crcByDefinition(bytes)), { name: 'AssertionFailure' }, 'ignores the seed')
  let calls = 0
  useNativeCrc32c((bytes, seed) => {
    calls++
    return crc32cByTables(bytes, 0, bytes.length, seed ?? 0)
  })
  const before = calls
  const bytes = randomBytes(1000, 3)
  assert.equal(crc32c(bytes, 100, 1000), crcByDefinition(bytes.subarray(100)))
  assert.equal(calls, before + 1)
})
