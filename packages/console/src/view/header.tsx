import type { PlantStatus } from 'millrace/api'
import type { PipelineStatus } from '@millrace/core/engine'
import type { Connection } from '../feed/plant-feed.ts'
import { formatClock, formatDuration } from '../model/format.ts'
import { freshnessMs, isWaiting, phaseTone } from '../model/reasons.ts'
import { Mark } from './mark.tsx'

interface HeaderProps {
  readonly connection: Connection
  readonly status: PlantStatus | null
  readonly pipeline: PipelineStatus | undefined
  /** Dead letters that are open. */
  readonly letterCount: number
  readonly choose: (pipeline: string) => void
}

const SAID = { connecting: 'connecting', live: 'live', lost: 'connection lost', locked: 'token wanted' } as const
const TONE = { connecting: 'calm', live: 'good', lost: 'bad', locked: 'warning' } as const

/** Who runs, how it is, how fresh what you see is; and the way to each section. */
export function Header({ connection, status, pipeline, letterCount, choose }: HeaderProps): React.ReactNode {
  const fresh = status === null || pipeline === undefined ? null : freshnessMs(pipeline, status.nowMs)
  const lost = connection.state === 'lost'
  return (
    <header className="page-head">
      <div className="page-bar">
        <span className="brand">
          <Mark />
          <span className="wide-only">millrace</span>
        </span>
        {status !== null && pipeline !== undefined && (
          <>
            <PipelineChoice status={status} pipeline={pipeline} choose={choose} />
            <span className="pill" data-tone={lost ? 'calm' : phaseTone(pipeline.phase)} data-testid="phase">
              {lost ? `was ${pipeline.phase}` : pipeline.phase}
            </span>
            <span className="fresh" hidden={lost}>
              {fresh === null ? (
                'nothing committed yet'
              ) : (
                <>
                  <span className="wide-only">committed </span>
                  {formatDuration(fresh)} ago
                </>
              )}
              <span className="wide-only"> · up {formatDuration(status.nowMs - pipeline.startedAtMs)}</span>
            </span>
          </>
        )}
        <span className="spacer" />
        {status !== null && <span className="clock wide-only">{formatClock(status.nowMs)} UTC</span>}
        <span className="pill" data-tone={TONE[connection.state]} data-testid="connection">
          {SAID[connection.state]}
        </span>
      </div>
      {pipeline !== undefined && <Sections pipeline={pipeline} letterCount={letterCount} />}
    </header>
  )
}

function PipelineChoice({
  status,
  pipeline,
  choose,
}: {
  readonly status: PlantStatus
  readonly pipeline: PipelineStatus
  readonly choose: (name: string) => void
}): React.ReactNode {
  if (status.pipelines.length === 1) return <h1 className="pipeline-name">{pipeline.pipeline}</h1>
  return (
    <h1 className="pipeline-name">
      <select aria-label="Pipeline" value={pipeline.pipeline} onChange={(event) => choose(event.target.value)}>
        {status.pipelines.map((each) => (
          <option key={each.pipeline} value={each.pipeline}>
            {each.pipeline}
            {each.phase === 'running' ? '' : ` (${each.phase})`}
          </option>
        ))}
      </select>
    </h1>
  )
}

function Sections({ pipeline, letterCount }: { readonly pipeline: PipelineStatus; readonly letterCount: number }): React.ReactNode {
  const waiting = pipeline.tasks.filter(isWaiting).length
  const sections = [
    ['topology', 'Topology', 0],
    ['throughput', 'Throughput', 0],
    ['windows', 'Open windows', waiting],
    ...(pipeline.nodes.some((node) => node.kind === 'to-sink') ? [['sinks', 'Sinks', 0] as const] : []),
    ['table', 'Table', 0],
    ['tail', 'Tail', 0],
    ['letters', 'Dead letters', letterCount],
    ['notices', 'Notices', 0],
    ['tasks', 'Tasks', 0],
  ] as const
  return (
    <nav className="section-nav" aria-label="Sections">
      {sections.map(([id, label, count]) => (
        <a key={id} href={`#${id}`}>
          {label}
          {count > 0 && (
            <span className="badge" data-tone={id === 'letters' ? 'warning' : 'calm'}>
              {count}
            </span>
          )}
        </a>
      ))}
    </nav>
  )
}
