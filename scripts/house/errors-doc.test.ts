// docs/errors.md equals the table of codes, and the table keeps its own rules.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorEntry, ERRORS } from '../../packages/core/src/base/errors.ts'
import { errorsDocument } from '../write-errors.ts'
import { readTreeFile } from './source-files.ts'

describe('errors', () => {
  test('docs/errors.md is the table', () => {
    assert.ok(readTreeFile('docs/errors.md') === errorsDocument(), 'docs/errors.md is not the table any more: run `npm run errors`')
  })

  test('every code has an area, a sentence that says what happened and one that says what to do', () => {
    const bad = Object.entries<ErrorEntry>(ERRORS).filter(
      ([code, entry]) =>
        !/^MR_[A-Z0-9]+(_[A-Z0-9]+)+$/.test(code) || !/^[A-Z`'"].*[.)]$/s.test(entry.summary) || !/^[A-Z`'"].*[.)]$/s.test(entry.fix),
    )
    assert.deepEqual(bad, [])
  })
})
