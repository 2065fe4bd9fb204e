import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { changedRows, columnDigits, defaultSorting, formatCell, rowKey, shownText, timeDigits } from './table-rows.ts'

const AT = Date.UTC(2001, 0, 3, 14)

describe('cells', () => {
  test('times of a column are shown to the minute where none needs more', () => {
    const rows = [{ at: AT }, { at: AT + 60_000 }, { at: null }]
    assert.equal(timeDigits(rows, 'at'), 'minute')
    assert.equal(timeDigits([...rows, { at: AT + 1000 }], 'at'), 'second')
    assert.equal(formatCell(AT, 'minute'), '2001-01-03 14:00')
    assert.equal(formatCell(AT, 'second'), '2001-01-03 14:00:00')
    assert.equal(formatCell(null, 'minute'), '–')
  })

  test('numbers of a column have the same digits behind the point', () => {
    const rows = [{ mean: 8.6453 }, { mean: 15 }, { mean: null }]
    const digits = columnDigits(rows, 'mean')
    assert.deepEqual(
      rows.map((row) => formatCell(row.mean, digits)),
      ['8.65', '15.00', '–'],
    )
    assert.equal(columnDigits([{ n: 1 }, { n: 20_000 }], 'n'), 0)
  })

  test('lists and objects are shown as JSON, text as it is', () => {
    assert.equal(formatCell(['a', 1], 0), '["a",1]')
    assert.equal(formatCell('a "b"', 0), 'a "b"')
  })
})

describe('order', () => {
  test('the newest first, by a time of the key before any other', () => {
    assert.deepEqual(defaultSorting({ times: ['seenAt', 'windowStart'], primaryKey: ['origin', 'windowStart'] }), {
      field: 'windowStart',
      descending: true,
    })
    assert.deepEqual(defaultSorting({ times: ['seenAt'], primaryKey: ['id'] }), { field: 'seenAt', descending: true })
    assert.deepEqual(defaultSorting({ times: [], primaryKey: ['id'] }), { field: null, descending: false })
  })

  test('a part of the rows says which part', () => {
    const newest = { rows: 200, limit: 200, all: 6163, filtered: false, byTime: true, sorting: { field: 'at', descending: true } }
    assert.equal(shownText(newest), 'newest 200 of 6,163 rows')
    assert.equal(shownText({ ...newest, sorting: { field: 'at', descending: false } }), 'oldest 200 of 6,163 rows')
    assert.equal(shownText({ ...newest, filtered: true }), 'newest 200 of those that match, 6,163 rows in all')
    assert.equal(shownText({ ...newest, filtered: true, rows: 9 }), '9 of 6,163 rows')
    assert.equal(
      shownText({ ...newest, byTime: false, sorting: { field: 'flights', descending: true } }),
      'first 200 by flights of 6,163 rows',
    )
    assert.equal(shownText({ ...newest, byTime: false, sorting: { field: null, descending: false } }), 'first 200 by key of 6,163 rows')
    assert.equal(shownText({ ...newest, rows: 1, all: 1 }), '1 row')
  })
})

describe('changes', () => {
  test('nothing glows at the first sight; later what is new or different does', () => {
    const before = new Map([
      ['a', '1'],
      ['b', '1'],
    ])
    assert.deepEqual(changedRows(null, before), new Set())
    const now = new Map([
      ['a', '1'],
      ['b', '2'],
      ['c', '1'],
    ])
    assert.deepEqual(changedRows(before, now), new Set(['b', 'c']))
  })

  test('the key of a row does not confuse values that look alike', () => {
    assert.notEqual(rowKey({ a: 1, b: 2 }, ['a', 'b']), rowKey({ a: 12, b: null }, ['a', 'b']))
    assert.notEqual(rowKey({ a: '1' }, ['a']), rowKey({ a: 1 }, ['a']))
  })
})
