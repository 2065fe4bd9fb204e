import { useEffect, useMemo, useState } from 'react'
import type { PipelineStatus } from '@millrace/core/engine'
import type { Flow } from '../model/flow.ts'
import { NodeDetails } from './node-details.tsx'
import { Panel } from './panel.tsx'
import { PlanContext } from './plan-context.ts'
import { Topology } from './topology.tsx'

interface TopologyPanelProps {
  readonly pipeline: PipelineStatus
  readonly flow: Flow
  readonly nowMs: number
}

/** The picture of the plan and the details of the node that was chosen in it. */
export function TopologyPanel({ pipeline, flow, nowMs }: TopologyPanelProps): React.ReactNode {
  const [selected, select] = useState<number | null>(null)
  const context = useMemo(() => ({ flow, nowMs, selected, select }), [flow, nowMs, selected])
  const details = selected === null ? undefined : flow.nodes.get(selected)
  useEffect(() => {
    const close = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') select(null)
    }
    addEventListener('keydown', close)
    return () => removeEventListener('keydown', close)
  }, [])
  return (
    <Panel id="topology" title="Topology" note={<Legend />}>
      <PlanContext value={context}>
        <Topology pipeline={pipeline} />
      </PlanContext>
      {details !== undefined && <NodeDetails flow={details} edges={flow.edges} close={() => select(null)} />}
    </Panel>
  )
}

function Legend(): React.ReactNode {
  return (
    <span className="legend">
      <span data-over="memory">in memory</span>
      <span data-over="topic">through the log: rate, lag, watermark (UTC)</span>
    </span>
  )
}
