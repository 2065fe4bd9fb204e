// Buffers against a list of who has which: no buffer is in two hands, and idle ones stay within their bound.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { BatchBuffers } from './batch-buffers.ts'

const MEBIBYTE = 1 << 20
const IDLE_BYTES_MAX = 48 * MEBIBYTE

test('a buffer is in one hand only and large enough, and idle ones are bounded', () => {
  const step = fc.oneof(fc.record({ bytes: fc.oneof(fc.nat(5_000), fc.nat(2 * MEBIBYTE)) }), fc.record({ back: fc.nat() }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const buffers = new BatchBuffers()
      const held: Uint8Array[] = []
      for (const one of steps) {
        if ('bytes' in one) {
          const buffer = buffers.take(one.bytes)
          assert.ok(buffer.length >= one.bytes)
          assert.ok(!held.includes(buffer))
          held.push(buffer)
        } else if (held.length > 0) buffers.give(...(held.splice(one.back % held.length, 1) as [Uint8Array]))
        assert.ok(buffers.idleBytes <= IDLE_BYTES_MAX)
      }
    }),
    { numRuns: 100 },
  )
})

test('what goes around is used again, and what was needed once only is let go', () => {
  const buffers = new BatchBuffers()
  const many = Array.from({ length: 20 }, () => buffers.take(500_000))
  for (const buffer of many) buffers.give(buffer)
  const after = buffers.idleBytes
  assert.ok(after >= 20 * 500_000)
  const again = buffers.take(500_000)
  assert.ok(many.includes(again))
  buffers.give(again)
  assert.equal(buffers.idleBytes, after)
  for (let round = 0; round < 600; round++) buffers.give(buffers.take(500_000))
  assert.ok(buffers.idleBytes < 2_000_000)
})
