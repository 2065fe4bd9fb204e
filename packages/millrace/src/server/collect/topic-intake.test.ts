// What the collector asks a topic: keys, and what does not fit, for every format.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { t, topic } from '@millrace/core'
import type { AnyTopic, Topic } from '@millrace/core/engine'
import { z } from 'zod'
import { LinesError } from '../http/answers.ts'
import { BodySplitter } from './split-body.ts'
import { TopicIntake } from './topic-intake.ts'

const settings = { partitions: 4, retentionMs: null, retentionBytes: null, compacted: false, internal: false, batchBytesMax: 1 << 20 }

function intakeOf(declared: AnyTopic | null): TopicIntake {
  const known: Topic = { name: declared?.name ?? 'free', id: '1', settings }
  return new TopicIntake(known, declared)
}

function split(intake: TopicIntake, body: string, type: string | null = null): BodySplitter {
  const splitter = new BodySplitter()
  splitter.split(Buffer.from(body), intake.form(type))
  return splitter
}

function keysOf(declared: AnyTopic, body: string): readonly (string | null)[] | null {
  const intake = intakeOf(declared)
  const splitter = split(intake, body)
  const keys = intake.keys(splitter)
  if (keys === null) return null
  return Array.from({ length: splitter.count }, (_, row) => {
    const start = keys.starts[row] as number
    return start < 0 || keys.bytes === null ? null : Buffer.from(keys.bytes.subarray(start, keys.ends[row])).toString()
  })
}

test('the media type and the format of the topic say how a body splits', () => {
  const free = intakeOf(null)
  assert.deepEqual(
    [null, 'application/json', 'application/x-ndjson; charset=utf-8', 'application/jsonl', 'application/octet-stream', 'text/plain'].map(
      (type) => free.form(type),
    ),
    ['detect', 'detect', 'lines', 'lines', 'whole', 'detect'],
  )
  assert.equal(intakeOf(topic('c', { value: t.object({ a: t.i32() }), format: 'csv' })).form('application/json'), 'csv')
  assert.equal(intakeOf(topic('b', { value: t.object({ a: t.i32() }), format: 'bytes' })).form('application/x-ndjson'), 'whole')
})

test('keys are the text of the field; an event without a readable one has none', () => {
  const text = topic('k', { value: t.object({ id: t.string(), n: t.optional(t.i32()) }), key: 'id' })
  assert.deepEqual(keysOf(text, '[{"id":"a"},{"id":"b\\n"},{"id":"é"}]'), ['a', 'b\n', 'é'])
  assert.deepEqual(keysOf(text, '{"id":"a"}\n{"id":\n{"n":1}\n{"id":""}'), ['a', null, null, ''])
  const whole = topic('n', { value: t.object({ id: t.i64() }), key: 'id' })
  assert.deepEqual(keysOf(whole, '[{"id":1},{"id":-20},{"id":"x"}]'), ['1', '-20', null])
  const big = topic('big', { value: t.object({ id: t.bigint() }), key: 'id' })
  assert.deepEqual(keysOf(big, '[{"id":9007199254740993},{"id":"7"}]'), ['9007199254740993', '7'])
  const maybe = topic('m', { value: t.object({ id: t.optional(t.string()) }), key: 'id' })
  assert.deepEqual(keysOf(maybe, '[{"id":null},{"id":"x"},{}]'), [null, 'x', null])
  assert.equal(keysOf(topic('none', { value: t.object({ id: t.string() }) }), '{"id":"a"}'), null)
  const foreign = topic('z', { value: z.object({ id: z.string().transform((id) => id) }), key: 'id' })
  assert.deepEqual(keysOf(foreign, '[{"id":"a"},7,{"id":null}]'), ['a', null, null])
})

test('CSV is checked by its columns', async () => {
  const intake = intakeOf(topic('lines', { value: t.object({ a: t.i32(), b: t.string() }), format: 'csv', validate: true, key: 'b' }))
  const { lines, total } = await intake.problems(split(intake, '1,"x\ny"\ntwo,z\n3,w'))
  assert.equal(total, 1)
  assert.deepEqual(
    lines.map(({ line, field }) => [line, field]),
    [[3, 'a']],
  )
})

test('a schema of another library validates by itself, also when it answers later', async () => {
  for (const value of [
    z.object({ name: z.string().min(2), age: z.number() }),
    z.object({ name: z.string().refine(async (name) => name.length >= 2), age: z.number() }),
  ]) {
    const intake = intakeOf(topic('people', { value, validate: true }))
    const { lines, total } = await intake.problems(split(intake, '[{"name":"ab","age":3},{"name":"a","age":"x"},7]'))
    assert.equal(total, 2)
    assert.deepEqual(new Set(lines.map(({ line, field }) => `${line} ${field ?? '-'}`)), new Set(['2 name', '2 age', '3 -']))
  }
})

/** A schema that says nothing of its fields. */
function face(validate: (value: unknown) => unknown): never {
  return { '~standard': { version: 1, vendor: 'own', validate } } as never
}

test('what a schema of another library throws is a bad line, without its text', async () => {
  const circular: { readonly issues: unknown[] } = { issues: [] }
  circular.issues.push(circular)
  for (const validate of [
    () => {
      throw new Error('secret')
    },
    () => {
      throw Object.create(null)
    },
    () => Promise.reject(new Error('secret')),
    () => undefined,
    () => null,
    () => ({ issues: 5 }),
    () => ({ issues: [null] }),
    () => ({ issues: [{ message: 5, path: 5 }] }),
    () => ({ issues: [{ message: 'x', path: [Object.create(null)] }] }),
    () => ({
      issues: [
        {
          get message(): string {
            throw new Error('secret')
          },
        },
      ],
    }),
    () => circular,
  ]) {
    const intake = intakeOf(topic('odd', { value: face(validate), validate: true }))
    const { lines, total } = await intake.problems(split(intake, '[{"a":1},{"a":2}]'))
    assert.equal(total, 2, String(validate))
    for (const { code, message } of lines) {
      assert.equal(code, 'MR_SCHEMA_REFUSED')
      assert.equal(typeof message, 'string')
      assert.doesNotMatch(message, /secret/)
    }
  }
})

test('a key that is nested deeper than can be written is a bad line', () => {
  const foreign = topic('deep', { value: face((value) => ({ value })), key: 'id' as never })
  const depth = 200_000
  assert.deepEqual(keysOf(foreign, '[{"id":"a"},{"id":[1]}]'), ['a', '[1]'])
  assert.throws(
    () => keysOf(foreign, `{"id":${'['.repeat(depth)}${']'.repeat(depth)}}`),
    (error) =>
      error instanceof LinesError &&
      error.code === 'MR_HTTP_EVENTS_REFUSED' &&
      error.lines.length === 1 &&
      error.lines[0]?.line === 1 &&
      error.lines[0].field === 'id',
  )
})

test('bytes have no fields to check, and a topic that does not validate has no problems', async () => {
  const bytes = intakeOf(topic('b', { value: t.object({ a: t.i32() }), format: 'bytes', validate: true }))
  assert.deepEqual(await bytes.problems(split(bytes, 'anything')), { lines: [], total: 0 })
  const open = intakeOf(topic('o', { value: t.object({ a: t.i32() }) }))
  assert.deepEqual(await open.problems(split(open, '{bad')), { lines: [], total: 0 })
})
