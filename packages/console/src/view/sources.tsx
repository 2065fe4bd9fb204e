import type { PlantStatus } from 'millrace/api'
import { formatBytes, formatRate, formatWhole } from '../model/format.ts'
import { Panel } from './panel.tsx'

type Source = PlantStatus['sources'][number]

const TROUBLE = { failed: 'bad', retrying: 'warning', full: 'warning' } as const

/** What fills topics from elsewhere, and how far each is behind. Not there when nothing does. */
export function Sources({ sources }: { readonly sources: readonly Source[] }): React.ReactNode {
  if (sources.length === 0) return null
  return (
    <Panel id="sources" title="Sources" note="each record once">
      <div className="scroller" role="region" aria-label="Sources" tabIndex={0}>
        <table className="grid" data-testid="sources">
          <thead>
            <tr>
              <th>Source</th>
              <th>Topic</th>
              <th>Phase</th>
              <th data-number="true">Rate</th>
              <th data-number="true">Lag</th>
              <th data-number="true">Records</th>
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <SourceRow key={source.name} source={source} />
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function SourceRow({ source }: { readonly source: Source }): React.ReactNode {
  const { name, connector, topic, phase, recordsPerSecond, lag, lagUnit, records, error } = source
  const tone = phase in TROUBLE ? TROUBLE[phase as keyof typeof TROUBLE] : 'good'
  return (
    <>
      <tr>
        <td data-key="true">
          {name} <span className="muted">{connector}</span>
        </td>
        <td>{topic}</td>
        <td>
          <span className="pill small" data-tone={tone}>
            {phase}
          </span>
        </td>
        <td data-number="true">{formatRate(recordsPerSecond)}</td>
        <td data-number="true">{lag === null ? 'not known' : lagUnit === 'bytes' ? formatBytes(lag) : formatWhole(lag)}</td>
        <td data-number="true">{formatWhole(records)}</td>
      </tr>
      {error !== null && (
        <tr>
          <td colSpan={6}>
            <p className="fault">
              <strong>{error.code}</strong> {error.message} <span className="fix">{error.fix}</span>
            </p>
          </td>
        </tr>
      )}
    </>
  )
}
