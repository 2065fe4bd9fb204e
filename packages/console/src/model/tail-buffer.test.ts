import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { TailRecord } from 'millrace/api'
import { EMPTY_TAIL, jumpToEnd, matchesFilter, recordText, TAIL_RECORDS_MAX, TAIL_START, takeAnswer } from './tail-buffer.ts'

function record(partition: number, offset: number, value: unknown = { offset }): TailRecord {
  return { partition, offset, timeMs: 0, key: `key ${offset}`, value, bytes: null }
}

function answer(partition: number, from: number, to: number): { readonly records: readonly TailRecord[]; readonly next: number } {
  return { records: Array.from({ length: to - from }, (_, index) => record(partition, from + index)), next: to }
}

describe('tail', () => {
  test('shows each record once, the newest first, however requests overlap', () => {
    const step = fc.record({
      partition: fc.integer({ min: 0, max: 2 }),
      back: fc.integer({ min: 0, max: 5 }),
      more: fc.integer({ min: 0, max: 30 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let state = EMPTY_TAIL
        for (const { partition, back, more } of steps) {
          const known = state.next.get(partition) ?? 0
          state = takeAnswer(state, partition, answer(partition, Math.max(0, known - back), known + more))
        }
        assert.ok(state.records.length <= TAIL_RECORDS_MAX)
        for (const partition of [0, 1, 2]) {
          const offsets = state.records.filter((each) => each.partition === partition).map((each) => each.offset)
          assert.deepEqual(
            offsets,
            [...new Set(offsets)].toSorted((a, b) => b - a),
          )
        }
      }),
    )
  })

  test('starts a little before the end, and nothing counts as skipped then', () => {
    const state = jumpToEnd(EMPTY_TAIL, 0, 1000)
    assert.equal(state.next.get(0), 1000 - TAIL_START)
    assert.equal(state.skipped, 0)
    assert.equal(jumpToEnd(EMPTY_TAIL, 0, 3).next.get(0), 0)
  })

  test('a jump over records counts them, and never goes back', () => {
    const state = takeAnswer(EMPTY_TAIL, 0, answer(0, 0, 100))
    const far = jumpToEnd(state, 0, 5000)
    assert.equal(far.next.get(0), 5000 - TAIL_START)
    assert.equal(far.skipped, 4900 - TAIL_START)
    assert.equal(jumpToEnd(state, 0, 101).next.get(0), 100)
    assert.equal(jumpToEnd(state, 0, 101).skipped, 0)
  })

  test('the filter wants every word, in key or value, in any case', () => {
    const jfk = record(0, 7, { origin: 'JFK', delay: 20 })
    assert.ok(matchesFilter(jfk, ''))
    assert.ok(matchesFilter(jfk, 'jfk 20'))
    assert.ok(matchesFilter(jfk, 'KEY 7'))
    assert.ok(!matchesFilter(jfk, 'jfk sfo'))
  })

  test('bytes that are no JSON are said by their number', () => {
    assert.equal(recordText({ ...record(0, 0, null), bytes: 'AAEC' }), '(3 bytes)')
  })
})
