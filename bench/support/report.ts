// From the runs of a case to its bars: medians, spreads, ratios within a run, and whether the answers were right.
import type { Bar, BenchCase, Measured } from './case.ts'
import { median } from './measure.ts'
import type { PhaseResult } from './process.ts'

export interface RunResult {
  readonly own: PhaseResult | undefined
  readonly obvious: PhaseResult | undefined
}

/** What is printed for a bar. */
export interface BarResult {
  readonly name: string
  /** Median over the runs; null when nothing could be measured, with the reason. */
  readonly value: number | null
  /** Smallest and largest value of the runs. */
  readonly spread: readonly [number, number] | null
  readonly unit: string
  readonly must: number
  readonly aim: number
  readonly better: 'more' | 'less'
  /** True when every run gave the answer of the obvious computation. */
  readonly checked: boolean
  readonly baseline: { readonly name: string; readonly value: number; readonly ratio: number } | null
  readonly reason?: string
  readonly missing?: boolean
}

function measured(result: PhaseResult | undefined): Measured | null {
  return result === undefined || 'missing' in result ? null : result
}

function figure(result: PhaseResult | undefined, name: string): number {
  return measured(result)?.figures[name] ?? Number.NaN
}

/** Significant digits that a figure of a noisy machine can claim. */
function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

export function barResults(benchCase: BenchCase, runs: readonly RunResult[]): readonly BarResult[] {
  const answers = runs.map(({ own, obvious }) => [measured(own)?.answer, measured(obvious)?.answer] as const)
  const wrong = answers.find(([own, obvious]) => own === undefined || own !== obvious)
  const bars = benchCase.bars.filter((bar) => bar.optional !== true || runs.some(({ own }) => !Number.isNaN(figure(own, bar.figure))))
  return bars.map((bar) => {
    const result = barResult(bar, runs)
    if (wrong !== undefined) return { ...result, checked: false, reason: `got ${wrong[0] ?? 'nothing'}; expected ${wrong[1] ?? 'nothing'}` }
    if (result.value === null) return { ...result, checked: false, reason: `the case gives no figure \`${bar.figure}\`` }
    return { ...result, checked: true }
  })
}

function barResult(bar: Bar, runs: readonly RunResult[]): Omit<BarResult, 'checked'> {
  const { name, unit, must, aim, better = 'more', baseline } = bar
  const own = runs.map((run) => figure(run.own, bar.figure))
  const ratios = baseline === undefined ? [] : runs.map((run, index) => (own[index] as number) / figure(run.obvious, baseline.figure))
  const values = baseline?.ratio === true ? ratios : own
  const value = median(values)
  return {
    name,
    value: Number.isNaN(value) ? null : rounded(value),
    spread: Number.isNaN(value) ? null : [rounded(Math.min(...values)), rounded(Math.max(...values))],
    unit,
    must,
    aim,
    better,
    baseline:
      baseline === undefined
        ? null
        : {
            name: baseline.name,
            value: rounded(median(runs.map((run) => figure(run.obvious, baseline.figure)))),
            ratio: rounded(median(ratios)),
          },
  }
}

function short(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (size >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** One line for people; `judged` false (--quick) says only whether the result was right. */
export function tableLine(result: BarResult, judged: boolean): string {
  const { name, value, spread, unit, must, aim, better, checked, baseline, reason } = result
  const at = better === 'more' ? '>=' : '<='
  if (value === null) return `${(result.missing === true ? 'MISSING' : 'FAILED').padEnd(8)} ${name.padEnd(28)} ${reason ?? ''}`
  const reached = better === 'more' ? value >= must : value <= must
  const verdict = !checked ? 'WRONG' : reached || !judged ? 'ok' : 'SHORT'
  const range = spread === null ? '' : ` (${short(spread[0])} .. ${short(spread[1])})`
  const beside = baseline === null ? '' : `; ${baseline.name}: ${short(baseline.value)}, ${baseline.ratio.toFixed(2)} times that`
  const why = checked ? '' : `; ${reason ?? ''}`
  return `${verdict.padEnd(8)} ${name.padEnd(28)} ${short(value)} ${unit}${range}; must ${at} ${short(must)}, aim ${short(aim)}${beside}${why}`
}
