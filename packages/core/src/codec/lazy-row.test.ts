import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Batch } from './column.ts'
import { columnsOf } from './column-builder.ts'
import { isMillraceError } from '../base/errors.ts'
import { LazyRows } from './lazy-row.ts'
import { fieldsOf, t } from './schema.ts'

const fields = fieldsOf(t.object({ id: t.i64(), name: t.string(), place: t.object({ x: t.f64() }), tags: t.list(t.string()) })) ?? []
const values = [
  { id: 1, name: 'one', place: { x: 1.5 }, tags: ['a'] },
  { id: 2, name: 'two', place: { x: 2.5 }, tags: [] },
]
const batch: Batch = {
  rowCount: 2,
  columns: columnsOf(fields, values),
  times: new Float64Array(2),
  weights: null,
  selected: null,
  selectedCount: 2,
  origin: null,
  originRows: null,
  values: null,
}

function fromText(...texts: string[]): Batch {
  const documents = texts.map((text) => new TextEncoder().encode(text))
  const ends = Int32Array.from(documents.map((_, i) => documents.slice(0, i + 1).reduce((sum, document) => sum + document.length, 0)))
  const starts = ends.map((end, i) => end - (documents[i]?.length ?? 0))
  const none = new Int32Array(texts.length).fill(-1)
  const origin = {
    topic: 't',
    partition: 0,
    bytes: Buffer.concat(documents),
    valueStarts: starts,
    valueEnds: ends,
    keyStarts: none,
    keyEnds: none,
    offsets: new Float64Array(texts.length),
  }
  return { ...batch, rowCount: texts.length, selectedCount: texts.length, columns: fields.map(() => null), origin }
}

test('JSON.stringify, spread, destructuring, `in` and nested values work', () => {
  for (const codegen of [true, false]) {
    const lazy = new LazyRows(fields, { codegen })
    lazy.bind(batch)
    const row = lazy.at(1)
    assert.equal(JSON.stringify(row), JSON.stringify(values[1]))
    const { id, ...rest } = row
    assert.deepEqual([id, rest], [2, { name: 'two', place: { x: 2.5 }, tags: [] }])
    assert.equal('name' in row, true)
    assert.deepEqual(Object.entries(row), Object.entries(values[1] ?? {}))
    assert.equal(lazy.at(0), row, 'one object for all rows')
    assert.equal(row['id'], 1)
    assert.throws(() => Object.assign(row, { id: 3 }), TypeError)
  }
})

for (const [name, options] of Object.entries({ generated: { codegen: true }, interpreted: { codegen: false }, guarded: { guard: true } }))
  test(`user code cannot change what later rows are: ${name}`, () => {
    const changes: readonly ((row: Record<string, unknown>) => unknown)[] = [
      (row) => delete row['name'],
      (row) => Object.defineProperty(row, 'name', { value: 'other' }),
      (row) => Object.defineProperty(row, 'id', { get: () => 7 }),
      (row) => Object.setPrototypeOf(row, { other: 1 }) as unknown,
      (row) => (row['other'] = 1),
    ]
    const lazy = new LazyRows(fields, options)
    for (const change of changes) {
      lazy.bind(batch)
      const row = lazy.at(0) as Record<string, unknown>
      assert.throws(() => change(row), TypeError)
      assert.deepEqual({ ...lazy.at(1) }, values[1])
      Object.freeze(lazy.at(1))
      assert.deepEqual({ ...lazy.at(0) }, values[0])
    }
  })

test('a row that is kept throws in guard mode and says what to do', () => {
  const lazy = new LazyRows(fields, { guard: true })
  lazy.bind(batch)
  const kept = lazy.at(0)
  assert.equal(kept['id'], 1)
  lazy.at(1)
  assert.throws(
    () => kept['id'],
    (error) => isMillraceError(error) && error.code === 'MR_ROW_KEPT' && error.fix.includes('{ ...row }'),
  )
})

test('a field that is refused throws for its row alone, and only when it is read', () => {
  for (const codegen of [true, false]) {
    const lazy = new LazyRows(fields, { codegen })
    lazy.bind(fromText('{"id":1,"name":"a"}', '{"id":"x","name":"b"}', '{"id":3,"name":"c"}'))
    assert.equal(lazy.at(1)['name'], 'b')
    assert.equal(lazy.at(0)['id'], 1)
    assert.throws(
      () => lazy.at(1)['id'],
      (error) => isMillraceError(error) && error.code === 'MR_CODEC_FIELD_TYPE' && error.details['field'] === 'id',
    )
    assert.equal(lazy.at(2)['id'], 3)
    assert.deepEqual(
      [...lazy.wanted].sort((a, b) => a - b),
      [0, 1],
    )
  }
})

test('rows that are JavaScript values come as they are', () => {
  const lazy = new LazyRows(fields)
  const value = { any: 'thing' }
  lazy.bind({ ...batch, values: [value] })
  assert.equal(lazy.at(0), value)
})
