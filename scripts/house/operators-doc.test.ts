// docs/operators.md equals the docstrings of the typed API, and nothing public of it lacks one.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as core from '@millrace/core'
import { t } from '@millrace/core'
import { operatorsDocument } from '../write-operators.ts'
import { readTreeFile } from './source-files.ts'

/** Exports that are no part of a pipeline's text. */
const OTHERS = ['ERRORS', 'MillraceError', 'isMillraceError', 'DEFAULT_SETTINGS', 't']

describe('operators', () => {
  test('docs/operators.md is what the docstrings say', () => {
    assert.ok(
      readTreeFile('docs/operators.md') === operatorsDocument(),
      'docs/operators.md is not what the docstrings say any more: run `npm run errors`',
    )
  })

  test('every function, operator and type of the typed API is there, each with an example where it is an operator', () => {
    const page = operatorsDocument()
    const methods = [...readTreeFile('packages/core/src/dsl/stream.ts').matchAll(/^ {2}([a-z]\w*)(?:<[^(]*)?\((?:.*[{(])?$/gm)].map(
      (match) => match[1],
    )
    const operators = methods.filter((name) => name !== 'constructor')
    assert.ok(operators.length > 10)
    const missing = [
      ...Object.keys(core).filter((name) => !OTHERS.includes(name) && !page.includes(`### ${name}\n`)),
      ...operators.filter((name) => !page.includes(`### stream.${String(name)}\n`)),
      ...Object.keys(t).filter((name) => !page.includes(`| \`t.${name}\` |`)),
    ]
    assert.deepEqual(missing, [])
    const bare = page.split(/^### /m).filter((part) => /^(?:stream|grouped|windowed|mill)\./.test(part) && part.split('```ts').length < 3)
    assert.deepEqual(
      bare.map((part) => part.split('\n')[0]),
      [],
    )
  })
})
