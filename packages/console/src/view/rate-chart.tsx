import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import type { Chart } from '../model/history.ts'
import { HISTORY_MS } from '../model/history.ts'
import { formatClock, formatCount } from '../model/format.ts'
import { useMedia, useWidth } from './hooks.ts'

interface RateChartProps {
  readonly chart: Chart
  readonly hidden: ReadonlySet<string>
  readonly nowMs: number
  /** Index of the moment under the pointer, or null. */
  readonly onCursor: (index: number | null) => void
}

const HEIGHT = 268
/** The least that the width stands for. */
const SPAN_MS_MIN = 60_000

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

function optionsFor(names: readonly string[], width: number, onCursor: (index: number | null) => void): uPlot.Options {
  const line = { stroke: colour('--line'), width: 1 }
  const axis: uPlot.Axis = { stroke: colour('--muted'), font: `11px ${colour('--font')}`, grid: line, ticks: { show: false } }
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 30, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.left === undefined || plot.cursor.left < 0 ? null : (plot.cursor.idx ?? null))] },
    scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.12)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        space: 72,
        values: (_, splits) => splits.map((split) => formatClock(split)),
        incrs: [5e3, 10e3, 15e3, 30e3, 60e3],
      },
      { ...axis, size: 52, space: 36, values: (_, splits) => splits.map((split) => formatCount(split)) },
    ],
    series: [
      {},
      ...names.map((label, index): uPlot.Series => ({
        label,
        stroke: colour(`--series-${index + 1}`),
        width: 1.75,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  }
}

/** The lines of the chart, on a canvas. It is made anew when its lines, width or colours change; data only moves it. */
export function RateChart({ chart, hidden, nowMs, onCursor }: RateChartProps): React.ReactNode {
  const [ref, width] = useWidth<HTMLDivElement>()
  const plot = useRef<uPlot | null>(null)
  const dark = useMedia('(prefers-color-scheme: dark)')
  const names = JSON.stringify(chart.series.map((series) => series.name))
  useEffect(() => {
    const place = ref.current
    if (place === null || width === 0) return undefined
    plot.current = new uPlot(optionsFor(JSON.parse(names) as string[], width, onCursor), [[]], place)
    return () => {
      plot.current?.destroy()
      plot.current = null
    }
  }, [ref, width, names, dark, onCursor])
  useEffect(() => {
    const current = plot.current
    if (current === null) return
    for (const [index, series] of chart.series.entries()) {
      const show = !hidden.has(series.name)
      if (current.series[index + 1]?.show !== show) current.setSeries(index + 1, { show })
    }
    const first = chart.times[0] ?? nowMs
    // A young page fills its first minute from the left; later the newest moment stands at the right end.
    const max = Math.max(nowMs, first + SPAN_MS_MIN)
    current.batch(() => {
      current.setData([[...chart.times], ...chart.series.map((series) => [...series.values])], false)
      current.setScale('x', { min: Math.max(first, nowMs - HISTORY_MS), max })
    })
  })
  const summary = chart.series.map((series) => `${series.name.slice(2)} ${formatCount(series.values.at(-1) ?? 0)}`).join(', ')
  return <div ref={ref} className="chart" role="img" aria-label={`Records per second now: ${summary}`} style={{ height: HEIGHT }} />
}
