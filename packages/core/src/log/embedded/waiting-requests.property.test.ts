// Requests that wait leave in the order in which they came, within a limit of bytes, however many come and go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMillraceError } from '../../base/errors.ts'
import type { Request } from './request.ts'
import { WaitingRequests } from './waiting-requests.ts'

const MIB = 1 << 20
const BYTES_MAX = 64 * MIB
/** Many requests share bytes: only their length counts here. */
const BYTES = new Uint8Array(80 * MIB)

function requestOf(mib: number): Request {
  const batch = BYTES.subarray(0, mib * MIB)
  return { parts: [{ topic: 't', partition: 0, batch }], writer: null, requestKey: null, early: false, gathered: false }
}

test('as a list does: first come, first out; what would exceed the limit is refused, unless nothing waits', () => {
  const mib = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 80 }))
  const step = fc.record({ mib, times: fc.nat(3_000), drops: fc.nat(3_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const waiting = new WaitingRequests()
      const expected: Request[] = []
      let bytes = 0
      for (const one of steps) {
        for (let count = one.times; count > 0; count--) {
          const request = requestOf(one.mib)
          const refusals: unknown[] = []
          waiting.add({ request, resolve: () => assert.fail(), reject: (error) => refusals.push(error) })
          const fits = expected.length === 0 || bytes + one.mib * MIB <= BYTES_MAX
          assert.deepEqual(
            refusals.map((error) => isMillraceError(error) && error.code),
            fits ? [] : ['MR_LOG_FULL'],
          )
          if (!fits) continue
          expected.push(request)
          bytes += one.mib * MIB
        }
        for (let count = one.drops; count > 0; count--) {
          bytes -= expected.shift()?.parts[0]?.batch.length ?? 0
          waiting.dropFirst()
          assert.equal(waiting.first?.request, expected[0])
        }
        assert.equal(waiting.first?.request, expected[0])
        assert.equal(waiting.isEmpty, expected.length === 0)
      }
    }),
    { numRuns: 60 },
  )
})

test('all that wait are rejected with the error that ended the log, once', () => {
  const waiting = new WaitingRequests()
  const reasons: unknown[] = []
  for (let index = 0; index < 5; index++)
    waiting.add({ request: requestOf(0), resolve: () => assert.fail(), reject: (error) => reasons.push([index, error]) })
  waiting.dropFirst()
  waiting.rejectAll('gone')
  waiting.rejectAll('gone again')
  assert.deepEqual(
    reasons,
    [1, 2, 3, 4].map((index) => [index, 'gone']),
  )
  assert.ok(waiting.isEmpty)
})
