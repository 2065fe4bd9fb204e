// docs/connectors.md is what the specs of the connectors say, and the specs keep their own rules.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkSettings, COLLECT_SPEC, FILE_SOURCE_SPEC, NDJSON_FILE_SPEC, NDJSON_SPEC } from '../../packages/core/src/connect/index.ts'
import { PARQUET_SPEC } from '../../packages/parquet/src/index.ts'
import { connectorsDocument } from '../write-connectors.ts'
import { readTreeFile } from './source-files.ts'

const SPECS = [COLLECT_SPEC, FILE_SOURCE_SPEC, NDJSON_FILE_SPEC, NDJSON_SPEC, PARQUET_SPEC]

describe('connectors', () => {
  test('docs/connectors.md is the specs', () => {
    assert.ok(
      readTreeFile('docs/connectors.md') === connectorsDocument(),
      'docs/connectors.md is not the specs any more: run `npm run errors`',
    )
  })

  test('every setting says what it does, in sentences, and its default is legal', () => {
    for (const spec of SPECS) {
      assert.match(spec.summary, /^[A-Z].*\.$/)
      for (const field of spec.fields) assert.match(field.advice, /^[A-Z`].*\.$/s, `${spec.type}: ${field.name}`)
      const needed = Object.fromEntries(spec.fields.filter((field) => field.required === true).map((field) => [field.name, 'x']))
      checkSettings(spec, needed)
    }
  })
})
