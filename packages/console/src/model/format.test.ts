import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import * as format from './format.ts'

const UNITS: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 }

describe('numbers', () => {
  test('counts are short, with their unit', () => {
    const said = [0, 0.25, 9.96, 42, 999, 1000, 12_345, 999_499, 999_500, 1_234_567, 5e9, 7.2e13].map(format.formatCount)
    assert.deepEqual(said, ['0', '0.3', '10', '42', '999', '1.0 k', '12.3 k', '999 k', '1.0 M', '1.2 M', '5.0 G', '72.0 T'])
  })

  test('a count read back is within one part in fifteen of what it stands for, and never longer than seven characters', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_000_000_000_000 }), (value) => {
        const text = format.formatCount(value)
        const [digits = '', unit = ''] = text.split(' ')
        const read = Number(digits.replaceAll(',', '')) * (UNITS[unit] ?? 1)
        assert.ok(Math.abs(read - value) <= value / 15, `${value} is said as ${text}`)
        assert.ok(text.length <= 7, text)
      }),
    )
  })

  test('bytes change their unit before they need four digits', () => {
    const said = [0, 512, 1023, 1024, 1_500_000, 536_870_912, 214e9].map(format.formatBytes)
    assert.deepEqual(said, ['0 B', '512 B', '1,023 B', '1.0 KiB', '1.4 MiB', '512 MiB', '199 GiB'])
  })

  test('what is no number is a dash', () => {
    assert.deepEqual(
      [format.formatCount(NaN), format.formatWhole(Infinity), format.formatBytes(NaN), format.formatDuration(Infinity)],
      ['–', '–', '–', '–'],
    )
  })

  test('one is not plural', () => {
    assert.deepEqual([format.formatPlural(1, 'row'), format.formatPlural(1200, 'row')], ['1 row', '1,200 rows'])
  })
})

describe('times', () => {
  test('durations take the unit that fits', () => {
    const said = [0, 0.4, 40, 999.6, 3210, 59_600, 250_000, 3_600_000, 11_100_000, 187_200_000].map(format.formatDuration)
    assert.deepEqual(said, ['0 ms', '0.4 ms', '40 ms', '1.0 s', '3.2 s', '1 min', '4 min 10 s', '1 h', '3 h 5 min', '2 d 4 h'])
  })

  test('times are UTC, whatever the time zone of the browser', () => {
    const at = Date.UTC(2001, 0, 3, 14, 5, 9)
    assert.equal(format.formatTime(at), '2001-01-03 14:05:09')
    assert.equal(format.formatTime(null), 'not known')
    assert.equal(format.formatTime(at + 250), '2001-01-03 14:05:09.250')
    assert.equal(format.formatSecond(at + 250), '2001-01-03 14:05:09')
    assert.equal(format.formatClock(at), '14:05:09')
    assert.equal(format.formatDay(at), '2001-01-03')
    assert.equal(format.formatTimeShort(at, at + 3_600_000), '14:05:09')
    assert.equal(format.formatTimeShort(at, at + 86_400_000), 'Jan 3 14:05')
  })

  test('infinities and impossible dates are words or numbers, never a throw', () => {
    assert.equal(format.formatTime(Number.NEGATIVE_INFINITY), 'not known yet')
    assert.equal(format.formatTime(Number.POSITIVE_INFINITY), 'the end')
    fc.assert(fc.property(fc.double(), (ms) => format.formatTime(ms).length > 0 && format.formatTimeShort(ms, 0).length > 0))
  })
})
