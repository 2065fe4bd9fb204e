import { Handle, Position, type NodeProps } from '@xyflow/react'
import type { NodeFlow } from '../model/flow.ts'
import { isOutput, titleOf } from '../model/flow.ts'
import { formatRate } from '../model/format.ts'
import { NodeIcon } from './node-icon.tsx'
import { usePlan } from './plan-context.ts'

/** What a node moves per second: what it takes in, and what of it goes on where that differs. */
function rateText(flow: NodeFlow): string {
  const { node, rateIn, rateOut } = flow
  if (node.kind === 'table-source' && rateOut === 0) return 'read once'
  if (node.kind === 'source' || isOutput(node.kind) || node.kind === 'through') return formatRate(Math.max(rateIn, rateOut))
  return `${formatRate(rateIn)} → ${formatRate(rateOut)}`
}

/** One node of the plan: a button that opens its details. */
export function PlanNode({ id, data }: NodeProps): React.ReactNode {
  const plan = usePlan()
  const flow = plan?.flow.nodes.get(Number(id))
  if (plan === null || flow === undefined) return null
  const { node } = flow
  const down = data['direction'] === 'down'
  const pressed = plan.selected === node.id
  return (
    <>
      <Handle type="target" position={down ? Position.Top : Position.Left} isConnectable={false} />
      <button
        type="button"
        className="plan-node nopan"
        data-direction={down ? 'down' : 'right'}
        data-trouble={flow.trouble}
        aria-pressed={pressed}
        aria-label={`${titleOf(node)}, ${node.kind}, ${rateText(flow)}`}
        onClick={() => plan.select(pressed ? null : node.id)}
      >
        <NodeIcon kind={node.kind} />
        <span className="plan-node-name" title={node.name}>
          {titleOf(node)}
        </span>
        <span className="plan-node-kind">
          {node.kind === 'to-sink' && node.target !== null ? `${node.kind} · ${node.target}` : node.kind}
        </span>
        <span className="plan-node-rate">{rateText(flow)}</span>
      </button>
      <Handle type="source" position={down ? Position.Bottom : Position.Right} isConnectable={false} />
    </>
  )
}
