import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type * as errors from './errors.ts'
import { type ErrorCode, ERRORS, isMillraceError, MillraceError } from './errors.ts'

describe('MillraceError', () => {
  test('takes kind, fix and text from the table', () => {
    const codes = Object.keys(ERRORS) as ErrorCode[]
    for (const code of codes) {
      const error = new MillraceError(code)
      assert.deepEqual(
        [error.code, error.kind, error.fix, error.message],
        [code, ERRORS[code].kind, ERRORS[code].fix, ERRORS[code].summary],
      )
    }
  })

  test('writes the details behind the text, in their order', () => {
    const error = new MillraceError('MR_LOG_FENCED', { message: 'append rejected.', details: { topic: 'orders', partition: 3, newest: 8 } })
    assert.equal(error.message, 'append rejected. topic=`orders`, partition=`3`, newest=`8`')
    assert.deepEqual(error.details, { topic: 'orders', partition: 3, newest: 8 })
  })

  test('a fix of the place replaces the general one', () => {
    assert.equal(new MillraceError('MR_LOG_LOCKED', { fix: 'Stop process 42.' }).fix, 'Stop process 42.')
  })

  test('keeps the cause, and has none when there is none', () => {
    const cause = new Error('EIO')
    assert.equal(new MillraceError('MR_DISK_FAILED', { cause }).cause, cause)
    assert.equal('cause' in new MillraceError('MR_DISK_FAILED'), false)
  })

  test('is known by its brand, also when another copy of the module made it', async () => {
    const copy = (await import(`${import.meta.resolve('./errors.ts')}?copy`)) as typeof errors
    const foreign = new copy.MillraceError('MR_LOG_CLOSED')
    assert.equal(foreign instanceof MillraceError, false)
    assert.ok(isMillraceError(foreign))
    for (const other of [new Error('x'), null, undefined, 'MR_LOG_CLOSED', { code: 'MR_LOG_CLOSED' }])
      assert.equal(isMillraceError(other), false)
  })
})
