import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { History, HISTORY_MS } from './history.ts'

describe('history', () => {
  test('keeps five minutes, in the order of the names asked for', () => {
    const history = new History()
    for (let second = 0; second <= 400; second++) {
      history.take(second * 1000, new Map([['a', second], ...(second > 300 ? ([['b', 1]] as const) : [])]))
    }
    const chart = history.chart(['b', 'a'])
    assert.equal(chart.times.at(-1), 400_000)
    assert.equal(chart.times[0], 400_000 - HISTORY_MS)
    assert.deepEqual(
      chart.series.map((series) => series.name),
      ['b', 'a'],
    )
    assert.equal(chart.series[0]?.values[0], null)
    assert.equal(chart.series[1]?.values.at(-1), 400)
    for (const series of chart.series) assert.equal(series.values.length, chart.times.length)
  })

  test('a pause is a gap, the same moment twice is one, and a clock that goes back starts over', () => {
    const history = new History()
    history.take(1000, new Map([['a', 1]]))
    history.take(1000, new Map([['a', 9]]))
    history.take(60_000, new Map([['a', 2]]))
    assert.deepEqual(history.chart(['a']), { times: [1000, 1001, 60_000], series: [{ name: 'a', values: [1, null, 2] }] })
    history.take(500, new Map([['a', 3]]))
    assert.deepEqual(history.chart(['a']).times, [500])
  })
})
