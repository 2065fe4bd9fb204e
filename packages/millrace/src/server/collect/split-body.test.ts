// How bodies split: shapes, and what stays whole because it cannot be split without guessing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BodyForm, BodySplitter } from './split-body.ts'

function split(
  text: string,
  form: BodyForm = 'detect',
): { readonly shape: string; readonly events: readonly string[]; readonly lines: readonly number[] } {
  const splitter = new BodySplitter()
  splitter.split(Buffer.from(text), form)
  const rows = Array.from({ length: splitter.count }, (_, row) => row)
  return {
    shape: splitter.shape,
    events: rows.map((row) => splitter.bytes.toString('utf8', splitter.starts[row], splitter.ends[row])),
    lines: rows.map((row) => splitter.lines[row] as number),
  }
}

test('one document is one event, also over several lines, without the white space around it', () => {
  assert.deepEqual(split(' {"a":1} \r\n'), { shape: 'one', events: ['{"a":1}'], lines: [1] })
  assert.deepEqual(split('{\n  "a": 1\n}\n').events, ['{\n  "a": 1\n}'])
})

test('lines are found without a content type, and blank ones are no events', () => {
  assert.deepEqual(split('{"a":1}\r\n\r\n  {"a":2}\n'), { shape: 'lines', events: ['{"a":1}', '{"a":2}'], lines: [1, 3] })
  assert.deepEqual(split('[1]\n[2]').events, ['[1]', '[2]'])
})

test('a broken line does not hide the others', () => {
  assert.deepEqual(split('{"a":\n{"a":2}').events, ['{"a":', '{"a":2}'])
  assert.deepEqual(split('{"a":1}\n{"a":').events, ['{"a":1}', '{"a":'])
  assert.deepEqual(split('{"a":1\n\n{"b', 'lines').lines, [1, 3])
})

test('what is broken and no lines stays whole', () => {
  for (const text of ['{"a":1', '[{"a":1},{bad}]', '{\n "a": 1,\n "b"', 'hello\nworld', '[1,2] 3'])
    assert.deepEqual(split(text).events, [text])
})

test('an array splits into the bytes of its elements; an empty one has none', () => {
  assert.deepEqual(split(' [ {"a":"],["} , [1,[2]] ,"x" ]\n'), {
    shape: 'array',
    events: ['{"a":"],["}', '[1,[2]]', '"x"'],
    lines: [1, 2, 3],
  })
  assert.deepEqual(split('[]'), { shape: 'array', events: [], lines: [] })
})

test('a byte order mark is no part of the first event', () => {
  assert.deepEqual(split('\ufeff{"a":1}').events, ['{"a":1}'])
  assert.deepEqual(split('\ufeff{"a":1}\n{"a":2}', 'lines').events, ['{"a":1}', '{"a":2}'])
})

test('CSV records may hold line ends; `whole` never splits', () => {
  assert.deepEqual(split('1,"a\nb"\n2,c', 'csv'), { shape: 'lines', events: ['1,"a\nb"', '2,c'], lines: [1, 3] })
  assert.deepEqual(split('{"a":1}\n{"a":2}\n', 'whole').events, ['{"a":1}\n{"a":2}\n'])
})

test('nothing is no event', () => {
  for (const form of ['detect', 'lines', 'csv', 'whole'] as const) assert.deepEqual(split('', form).events, [])
  assert.deepEqual(split(' \n \r\n').events, [])
})
