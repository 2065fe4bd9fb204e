import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../base/errors.ts'
import { checkSettings, type ConnectorSpec } from './spec.ts'

const spec: ConnectorSpec = {
  type: 'box',
  summary: 'A box.',
  example: 'box()',
  fields: [
    { name: 'dir', type: 'string', unit: null, default: null, required: true, advice: 'Where it stands.' },
    { name: 'shape', type: 'string', unit: null, default: 'round', choices: ['round', 'square'], advice: '' },
    { name: 'key', type: 'string', unit: null, default: null, advice: '' },
    { name: 'rollBytes', type: 'bytes', unit: 'bytes', default: 1024, advice: '' },
    { name: 'rollMs', type: 'duration', unit: 'ms', default: 1000, advice: '' },
    { name: 'level', type: 'number', unit: null, default: 1, min: 0, max: 9, advice: '' },
    { name: 'open', type: 'boolean', unit: null, default: false, advice: '' },
    { name: 'names', type: 'strings', unit: null, default: [], advice: '' },
  ],
}

test('defaults are filled in, and every field is there', () => {
  const settings = { dir: 'a', shape: 'round', key: null, rollBytes: 1024, rollMs: 1000, level: 1, open: false, names: [] }
  assert.deepEqual(checkSettings(spec, { dir: 'a' }), settings)
  assert.deepEqual(checkSettings(spec, { dir: 'a', key: undefined, level: 0 }), { ...settings, level: 0 })
})

test('bytes, durations and lists may be written as people write them', () => {
  const settings = checkSettings(spec, { dir: 'a', rollBytes: '1.5 MiB', rollMs: '5min', names: 'one' })
  assert.deepEqual([settings['rollBytes'], settings['rollMs'], settings['names']], [1_572_864, 300_000, ['one']])
})

test('what is wrong is named, with what was meant', () => {
  const wrong: readonly [object, RegExp][] = [
    [{}, /`dir` is needed: Where it stands/],
    [{ dir: '' }, /`dir` must be a text/],
    [{ dir: 'a', rolBytes: 5 }, /no setting `rolBytes`; did you mean `rollBytes`/],
    [{ dir: 'a', zzzzzzzzzz: 5 }, /there are dir, shape/],
    [{ dir: 'a', shape: 'sqare' }, /one of round, square.*did you mean `square`/],
    [{ dir: 'a', rollBytes: 0 }, /whole number of bytes, 1 or more, or text such as `64 MiB`, not `0`/],
    [{ dir: 'a', rollBytes: '5 parsecs' }, /not `5 parsecs`/],
    [{ dir: 'a', rollMs: Number.NaN }, /not `NaN`/],
    [{ dir: 'a', level: 10 }, /0 to 9/],
    [{ dir: 'a', open: 'yes' }, /true or false/],
    [{ dir: 'a', names: [1] }, /must be a text/],
    [{ dir: 'a', names: 1 }, /list of texts/],
  ]
  for (const [given, message] of wrong)
    assert.throws(
      () => checkSettings(spec, given),
      (error) => isMillraceError(error) && error.code === 'MR_CONNECTOR_SETTING' && message.test(error.message),
      JSON.stringify(given),
    )
})
