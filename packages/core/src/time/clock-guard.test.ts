import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { guardTimes } from './clock-guard.ts'

const settings = { aheadMs: 100, confirmations: 3 }
const none = Number.NEGATIVE_INFINITY

function guard(
  times: readonly number[],
  largest: number,
  final = false,
  wallMs = 0,
): { taken: number; rejected: number[]; largestMs: number } {
  const { taken, rejected, largestMs } = guardTimes(Float64Array.from(times), 0, times.length, largest, settings, final, wallMs)
  return { taken, rejected, largestMs }
}

test('records in order pass without being looked at twice', () => {
  assert.deepEqual(guard([10, 50, 120, 40, 200], 0), { taken: 5, rejected: [], largestMs: 200 })
})

test('one wrong clock is rejected and does not move the largest time', () => {
  assert.deepEqual(guard([10, 999_999, 20, 30, 40], 0), { taken: 5, rejected: [1], largestMs: 40 })
})

test('two wrong clocks in a row are both rejected', () => {
  assert.deepEqual(guard([10, 999_999, 999_990, 20, 30, 40], 0), { taken: 6, rejected: [1, 2], largestMs: 40 })
})

test('a jump that the next records confirm is accepted', () => {
  assert.deepEqual(guard([10, 5000, 5010, 4990, 5020], 0), { taken: 5, rejected: [], largestMs: 5020 })
})

test('a jump without enough records behind it waits, and what came before it is taken', () => {
  assert.deepEqual(guard([10, 5000, 5010], 0), { taken: 1, rejected: [], largestMs: 10 })
})

test('the first record of a partition is held like a jump', () => {
  assert.equal(guard([7, 8], none).taken, 0)
  assert.deepEqual(guard([7, 8, 9, 10], none), { taken: 4, rejected: [], largestMs: 10 })
  assert.deepEqual(guard([99_999, 8, 9, 10, 11], none), { taken: 5, rejected: [0], largestMs: 11 })
})

test('at the end of the input a jump is accepted unless it is ahead of the wall clock', () => {
  assert.deepEqual(guard([10, 5000], 0, true, 5000), { taken: 2, rejected: [], largestMs: 5000 })
  assert.deepEqual(guard([10, 5000], 0, true, 4000), { taken: 2, rejected: [1], largestMs: 10 })
})

test('rows without a time are taken and neither jump nor confirm', () => {
  assert.deepEqual(guard([10, Number.NaN, 5000, Number.NaN, 5001, 5002], 0), { taken: 2, rejected: [], largestMs: 10 })
})

test('a partition that waits says how many records with a time are behind the jump, and does not wait for a flood without any', () => {
  const behind = (times: readonly number[]): number => guardTimes(Float64Array.from(times), 0, times.length, 0, settings, false, 0).behind
  assert.equal(behind([5000, Number.NaN, 5001, Number.NaN]), 1)
  assert.equal(behind([10, 5000]), 0)
  assert.equal(behind([10, 20]), -1)
  const flood = Array<number>(1024).fill(Number.NaN)
  assert.equal(guard([5000, ...flood.slice(1)], 0).taken, 0)
  assert.deepEqual(guard([5000, ...flood], 0, false, 5000), { taken: 1025, rejected: [], largestMs: 5000 })
  assert.deepEqual(guard([5000, ...flood], 0, false, 0), { taken: 1025, rejected: [0], largestMs: 0 })
})

test('law: the verdict does not depend on how the rows were split', () => {
  const time = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1000, max: 1200 }) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  )
  fc.assert(
    fc.property(
      fc.array(time, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 }),
      (list, steps) => {
        const times = Float64Array.from(list)
        const whole = guardTimes(times, 0, times.length, none, settings, true, 150)
        const rejected: number[] = []
        let at = 0
        let visible = 0
        let largest = none
        for (let step = 0; at < times.length; step++) {
          visible = Math.min(times.length, visible + (steps[step % steps.length] as number))
          const part = guardTimes(times, at, visible, largest, settings, visible === times.length, 150)
          rejected.push(...part.rejected)
          at += part.taken
          largest = part.largestMs
        }
        assert.deepEqual(rejected, whole.rejected)
        assert.equal(largest, whole.largestMs)
      },
    ),
  )
})
