import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from '@xyflow/react'
import { formatCount, formatRate, formatTimeShort } from '../model/format.ts'
import { usePlan } from './plan-context.ts'

/** Wider for more: one step per factor of ten. */
function strokeWidth(rate: number): number {
  return rate <= 0 ? 1 : 1.25 + Math.min(4, Math.log10(1 + rate) * 0.75)
}

interface Point {
  readonly x: number
  readonly y: number
}

/** A curve that leaves and arrives along the direction of the picture. */
function curve(from: Point, to: Point, down: boolean): string {
  const half = down ? (to.y - from.y) / 2 : (to.x - from.x) / 2
  const [a, b] = down ? [`${from.x} ${from.y + half}`, `${to.x} ${to.y - half}`] : [`${from.x + half} ${from.y}`, `${to.x - half} ${to.y}`]
  return `C${a} ${b} ${to.x} ${to.y}`
}

/** One edge, through the place of its label: how much moves; over the log also how much waits and how far event time has come. */
export function PlanEdge(props: EdgeProps): React.ReactNode {
  const plan = usePlan()
  const edge = plan?.flow.edges.find((each) => each.id === props.id)
  if (plan === null || edge === undefined) return null
  const label = { x: Number(props.data?.['x']), y: Number(props.data?.['y']) }
  const down = props.data?.['direction'] === 'down'
  const from = { x: props.sourceX, y: props.sourceY }
  const path = `M${from.x} ${from.y}${curve(from, label, down)}${curve(label, { x: props.targetX, y: props.targetY }, down)}`
  // A table that was read from a file moves nothing: its rate would say less than the line alone.
  const still = edge.rate === 0 && plan.flow.nodes.get(edge.from)?.node.kind === 'table-source'
  const near = plan.selected === edge.from || plan.selected === edge.to
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
      {!still && (
        <EdgeLabelRenderer>
          <div
            className="plan-label"
            data-over={edge.over}
            style={{ transform: `translate(-50%, -50%) translate(${label.x}px, ${label.y}px)` }}
          >
            <span>{formatRate(edge.rate)}</span>
            {edge.lag !== null && <span className="plan-label-more">lag {formatCount(edge.lag)}</span>}
            {edge.lag !== null && Number.isFinite(edge.watermarkMs) && (
              <span className="plan-label-more" title="watermark, UTC">
                {formatTimeShort(edge.watermarkMs, plan.nowMs)}
              </span>
            )}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  )
}
