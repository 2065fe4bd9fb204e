import type { PipelineStatus } from '@millrace/core/engine'
import { formatDuration } from '../model/format.ts'
import { dueText, sinksOf, waitingText } from '../model/sinks.ts'
import { Panel } from './panel.tsx'

/** What each sink has yet to publish, and when it will. Not there when the pipeline has none. */
export function Sinks({ pipeline, nowMs }: { readonly pipeline: PipelineStatus; readonly nowMs: number }): React.ReactNode {
  const sinks = sinksOf(pipeline)
  if (sinks.length === 0) return null
  return (
    <Panel id="sinks" title="Sinks" note="rows become visible at checkpoints">
      <ul className="windows">
        {sinks.map((sink) => (
          <li key={sink.name} className="window" data-testid="sink">
            <h3>
              {sink.name}
              <span className="muted">
                {' '}
                {sink.connector} ·{' '}
                {sink.checkpointAtMs === null
                  ? 'no checkpoint since the start'
                  : `last checkpoint ${formatDuration(nowMs - sink.checkpointAtMs)} ago`}
              </span>
            </h3>
            <p>{waitingText(sink)}</p>
            <p className="muted">{dueText(sink)}</p>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
