import { BaseEdge, EdgeLabelRenderer, getBezierPath, type EdgeProps } from '@xyflow/react'
import { formatCount, formatRate, formatTimeShort } from '../model/format.ts'
import { usePlan } from './plan-context.ts'

/** Wider for more: one pixel per factor of ten. */
function strokeWidth(rate: number): number {
  return rate <= 0 ? 1 : 1.25 + Math.min(4, Math.log10(1 + rate) * 0.75)
}

/** One edge: how much moves; over the log also how much waits, and how far event time has come. */
export function PlanEdge(props: EdgeProps): React.ReactNode {
  const plan = usePlan()
  const edge = plan?.flow.edges.find((each) => each.id === props.id)
  const { sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition } = props
  const [path, middleX, middleY] = getBezierPath({ sourceX, sourceY, sourcePosition, targetX, targetY, targetPosition })
  if (plan === null || edge === undefined) return null
  const near = plan.selected === edge.from || plan.selected === edge.to
  const place = `translate(-50%, -50%) translate(${middleX}px, ${middleY}px)`
  return (
    <>
      <BaseEdge
        id={props.id}
        path={path}
        className="plan-edge"
        data-over={edge.over}
        data-near={near}
        data-idle={edge.rate === 0}
        style={{ strokeWidth: strokeWidth(edge.rate) }}
      />
      <EdgeLabelRenderer>
        <div className="plan-label" data-over={edge.over} style={{ transform: place }}>
          <span>{formatRate(edge.rate)}</span>
          {edge.lag !== null && <span className="plan-label-more">lag {formatCount(edge.lag)}</span>}
          {edge.over === 'topic' && Number.isFinite(edge.watermarkMs) && (
            <span className="plan-label-more" title="watermark, UTC">
              {formatTimeShort(edge.watermarkMs, plan.nowMs)}
            </span>
          )}
        </div>
      </EdgeLabelRenderer>
    </>
  )
}
