// Request keys against a Map that forgets nothing: what is found is right, what is not found was too old or had to make room, in order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { REQUEST_KEYS_BYTES_MAX, Requests } from './requests.ts'

const KEEP_MS = 1_000
const keys = fc.oneof(
  fc.nat(3_000).map((number) => `topic/${number}`),
  fc.string({ minLength: 1, maxLength: 512, unit: 'grapheme' }).map((text) => text.slice(0, 512)),
)
const adds = fc.array(
  fc.record({
    key: keys,
    offsets: fc.array(fc.nat(2 ** 40), { maxLength: 5 }),
    afterMs: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(400) }),
    copies: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 6_000 }) }),
  }),
  { maxLength: 60 },
)

test('a key that is found has its own offsets; without a lack of room every key of the time is found, with one the newest are', () => {
  fc.assert(
    fc.property(adds, fc.constantFrom(REQUEST_KEYS_BYTES_MAX, 600_000), (list, bytesMax) => {
      const requests = new Requests(KEEP_MS, bytesMax)
      const known = new Map<string, { readonly offsets: readonly number[]; readonly timeMs: number }>()
      let nowMs = 1e12
      for (const { key, offsets, afterMs, copies } of list) {
        nowMs += afterMs
        for (let copy = 0; copy < copies; copy++) {
          const name = copies === 1 ? key : `copies/${copy}`
          requests.add(name, offsets, nowMs)
          known.delete(name)
          known.set(name, { offsets, timeMs: nowMs })
        }
      }
      let missed = 0
      let wasFound = false
      for (const [key, { offsets, timeMs }] of known) {
        const found = requests.find(key, nowMs)
        if (nowMs - timeMs > KEEP_MS) assert.equal(found, null)
        else if (found === null) {
          missed++
          assert.ok(!wasFound, 'the oldest go first')
        } else {
          wasFound = true
          assert.deepEqual(found, offsets)
        }
      }
      assert.ok(missed <= requests.forgottenEarly)
      if (bytesMax === REQUEST_KEYS_BYTES_MAX) assert.equal(missed, 0)
      assert.ok(known.size === 0 || requests.size > 0)
      assert.equal(requests.find('never seen', nowMs), null)
      assert.equal(requests.find('x'.repeat(2_000), nowMs), null)
    }),
    { numRuns: 150 },
  )
})

test('far more keys than there is room for take no more room, and the newest half million are there', () => {
  const requests = new Requests()
  const name = (number: number): string => `orders/${number.toString(16).padStart(8, '0')}-1b2c-4d5e-8f90.${number}`
  for (let number = 0; number < 1_500_000; number++) requests.add(name(number), [number], 1e12 + number)
  assert.ok(requests.size < 1_100_000 && requests.size > 500_000, String(requests.size))
  assert.equal(requests.size + requests.forgottenEarly, 1_500_000)
  for (let number = 1_000_000; number < 1_500_000; number += 777) assert.deepEqual(requests.find(name(number), 1e12 + 1_500_000), [number])
  assert.equal(requests.find(name(0), 1e12 + 1_500_000), null)
})
