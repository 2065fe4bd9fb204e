import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assert as check, AssertionFailure, must, unreachable } from './assert.ts'

describe('assert', () => {
  test('a true condition builds no message', () => {
    let built = 0
    check(true, () => {
      built += 1
      return 'never'
    })
    assert.equal(built, 0)
  })

  test('a false condition throws its message, given or built', () => {
    assert.throws(() => check(false, 'offset moved back'), { name: 'AssertionFailure', message: 'offset moved back' })
    assert.throws(() => check(false, () => `offset ${3}`), { name: 'AssertionFailure', message: 'offset 3' })
  })

  test('must keeps every value but null and undefined', () => {
    for (const value of [0, '', false, Number.NaN]) assert.ok(Object.is(must(value, 'value'), value))
    for (const value of [null, undefined]) assert.throws(() => must(value, 'the index'), { message: 'missing: the index' })
  })

  test('unreachable names what it met', () => {
    assert.throws(() => unreachable('hopping' as never, 'window'), { name: 'AssertionFailure', message: 'unexpected window: "hopping"' })
  })

  test('an assertion is an error of its own kind', () => {
    assert.ok(new AssertionFailure('x') instanceof Error)
  })
})
