import { useState } from 'react'
import type { PlantStatus } from 'millrace/api'
import type { Flow } from '../model/flow.ts'
import type { History } from '../model/history.ts'
import type { ChartOf } from '../model/series.ts'
import { formatRate } from '../model/format.ts'
import { seriesChoices } from '../model/series.ts'
import { Choice } from './choice.tsx'
import { Panel } from './panel.tsx'
import { RateChart } from './rate-chart.tsx'

interface ThroughputProps {
  readonly history: History
  readonly status: PlantStatus
  readonly pipeline: string
  readonly flow: Flow
}

/** Records per second over the last five minutes, by topic or by operator. The legend switches lines on and off and shows their values. */
export function Throughput({ history, status, pipeline, flow }: ThroughputProps): React.ReactNode {
  const [of, setOf] = useState<ChartOf>('topics')
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [cursor, setCursor] = useState<number | null>(null)
  const choices = seriesChoices(status, pipeline, flow, of)
  const chart = history.chart(choices.map((choice) => choice.key))
  const toggle = (key: string): void =>
    setHidden((old) => (old.has(key) ? new Set([...old].filter((each) => each !== key)) : new Set([...old, key])))
  const tools = (
    <Choice
      label="Lines"
      value={of}
      options={[
        ['topics', 'Topics'],
        ['operators', 'Operators'],
      ]}
      choose={setOf}
    />
  )
  return (
    <Panel id="throughput" title="Throughput" note="records per second, last 5 minutes, UTC" tools={tools}>
      <RateChart chart={chart} hidden={hidden} nowMs={status.nowMs} onCursor={setCursor} />
      <ul className="chart-legend">
        {choices.map((choice, index) => {
          const values = chart.series[index]?.values ?? []
          const value = (cursor === null ? undefined : values[cursor]) ?? (cursor === null ? values.at(-1) : null)
          return (
            <li key={choice.key}>
              <button type="button" className="quiet" aria-pressed={!hidden.has(choice.key)} onClick={() => toggle(choice.key)}>
                <span className="swatch" data-series={index} />
                <span className="legend-name">{choice.label}</span>
                <span className="legend-value">{value === null || value === undefined ? '–' : formatRate(value)}</span>
              </button>
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}
