import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { changedRows, columnDigits, compareCells, defaultSorting, formatCell, isTimeCell, rowKey, sortRows } from './table-rows.ts'

const AT = Date.UTC(2001, 0, 3, 14)

describe('cells', () => {
  test('a time is told by its name and its size together', () => {
    assert.ok(isTimeCell('windowStart', AT))
    assert.ok(isTimeCell('created_at', AT))
    assert.ok(!isTimeCell('start', 12))
    assert.ok(!isTimeCell('total', AT))
    assert.ok(!isTimeCell('windowStart', String(AT)))
    assert.equal(formatCell('windowStart', AT, 0), '2001-01-03 14:00:00')
  })

  test('numbers of a column have the same digits behind the point', () => {
    const rows = [{ mean: 8.6453 }, { mean: 15 }, { mean: null }]
    const digits = columnDigits(rows, 'mean')
    assert.deepEqual(
      rows.map((row) => formatCell('mean', row.mean, digits)),
      ['8.65', '15.00', '–'],
    )
    assert.equal(columnDigits([{ n: 1 }, { n: 20_000 }], 'n'), 0)
  })

  test('lists and objects are shown as JSON, text as it is', () => {
    assert.equal(formatCell('tags', ['a', 1], 0), '["a",1]')
    assert.equal(formatCell('name', 'a "b"', 0), 'a "b"')
  })
})

describe('sorting', () => {
  test('any two cells have one order, and sorting keeps every row', () => {
    const cell = fc.oneof(fc.integer(), fc.double({ noNaN: true }), fc.string(), fc.boolean(), fc.constant(null))
    fc.assert(
      fc.property(fc.array(cell), fc.boolean(), (cells, descending) => {
        const rows = cells.map((value, index) => ({ value, index }))
        const sorted = sortRows(rows, { field: 'value', descending })
        assert.deepEqual(new Set(sorted), new Set(rows))
      }),
    )
    fc.assert(
      fc.property(
        cell,
        cell,
        (a, b) => Math.sign(compareCells(a, b)) === -Math.sign(compareCells(b, a)) || Object.is(a, -0) || Object.is(b, -0),
      ),
    )
  })

  test('numbers are in order of size, nulls first', () => {
    const sorted = sortRows([{ n: 10 }, { n: null }, { n: 9 }, { n: -1 }], { field: 'n', descending: false })
    assert.deepEqual(
      sorted.map((row) => row['n']),
      [null, -1, 9, 10],
    )
  })

  test('without a wish the newest come first, where there is a time', () => {
    assert.deepEqual(defaultSorting(['airport', 'windowStart'], { airport: 'A', windowStart: AT }), {
      field: 'windowStart',
      descending: true,
    })
    assert.equal(defaultSorting(['airport'], { airport: 'A' }), null)
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
