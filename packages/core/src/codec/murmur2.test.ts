import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2 } from './murmur2.ts'

// The vectors of Kafka's own UtilsTest.testMurmur2.
const VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test('murmur2 equals the Java client on its published vectors', () => {
  for (const [text, expected] of VECTORS) {
    const bytes = new TextEncoder().encode(text)
    assert.equal(murmur2(bytes, 0, bytes.length), expected, text)
  }
})

test('a key in the middle of a buffer hashes like the key alone', () => {
  const bytes = new TextEncoder().encode('xxfoobaryy')
  assert.equal(murmur2(bytes, 2, 8), -790332482)
})
