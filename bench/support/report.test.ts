import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BenchCase, Measured } from './case.ts'
import { barResults, type RunResult, tableLine } from './report.ts'

const never = (): Promise<Measured> => Promise.reject(new Error('not run here'))
const benchCase: BenchCase = {
  name: 'toy',
  summary: '',
  own: never,
  obvious: never,
  bars: [
    { name: 'toy', figure: 'rate', unit: 'x/s', must: 10, aim: 20 },
    {
      name: 'toy-ratio',
      figure: 'rate',
      unit: '×',
      must: 2,
      aim: 4,
      baseline: { name: 'plain', figure: 'rate', ratio: true },
    },
    { name: 'toy-native', figure: 'native', unit: 'x/s', must: 1, aim: 2, optional: true },
  ],
}

function run(own: number, plain: number, answer = 'same'): RunResult {
  return { own: { figures: { rate: own }, answer }, obvious: { figures: { rate: plain }, answer: 'same' } }
}

describe('bars', () => {
  test('are medians with their spread; ratios are taken within each run', () => {
    const [bar, ratio, ...more] = barResults(benchCase, [run(30, 10), run(20, 4), run(25, 25)])
    assert.deepEqual([bar?.value, bar?.spread, bar?.checked], [25, [20, 30], true])
    assert.deepEqual([ratio?.value, ratio?.spread], [3, [1, 5]])
    assert.deepEqual(ratio?.baseline, { name: 'plain', value: 10, ratio: 3 })
    assert.deepEqual(more, [], 'an optional figure that nobody measured is left out')
  })

  test('of a run with another answer are wrong, and say what was expected', () => {
    const [bar] = barResults(benchCase, [run(30, 10), run(20, 4, 'other')])
    assert.equal(bar?.checked, false)
    assert.equal(bar?.reason, 'got other; expected same')
    assert.match(bar === undefined ? '' : tableLine(bar, false), /^WRONG/)
  })

  test('without a figure are not checked', () => {
    const [bar] = barResults(benchCase, [{ own: { figures: {}, answer: 'same' }, obvious: { figures: {}, answer: 'same' } }])
    assert.deepEqual([bar?.value, bar?.checked], [null, false])
  })

  test('fall short only where figures are judged', () => {
    const [bar] = barResults(benchCase, [run(5, 1)])
    assert.match(bar === undefined ? '' : tableLine(bar, true), /^SHORT/)
    assert.match(bar === undefined ? '' : tableLine(bar, false), /^ok/)
  })
})
