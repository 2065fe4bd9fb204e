import type { EdgeFlow, NodeFlow } from '../model/flow.ts'
import { titleOf } from '../model/flow.ts'
import { formatBytes, formatCount, formatPlural, formatRate, formatTime, formatWhole } from '../model/format.ts'
import { phaseTone, sentence } from '../model/reasons.ts'
import { NodeIcon } from './node-icon.tsx'
import { Place } from './place.tsx'

interface NodeDetailsProps {
  readonly flow: NodeFlow
  readonly edges: readonly EdgeFlow[]
  readonly close: () => void
}

/** Everything known about one node: where it stands in the user's file, what it counted, the tasks that run it and what they wait for. */
export function NodeDetails({ flow, edges, close }: NodeDetailsProps): React.ReactNode {
  const { node, tasks } = flow
  const arriving = edges.filter((edge) => edge.to === node.id && edge.lag !== null)
  const leaving = edges.filter((edge) => edge.from === node.id && edge.lag !== null && node.inputs.length === 0)
  // A source's readers share one position: what waits before one of them waits before all.
  const lag = arriving.reduce((sum, edge) => sum + (edge.lag ?? 0), 0) + Math.max(0, ...leaving.map((edge) => edge.lag ?? 0))
  return (
    <aside className="details" aria-label={`Details of ${titleOf(node)}`} data-testid="details">
      <header>
        <NodeIcon kind={node.kind} />
        <h3>{titleOf(node)}</h3>
        <button type="button" className="quiet" onClick={close} aria-label="Close the details">
          ✕
        </button>
      </header>
      <dl className="pairs">
        <Pair label="Kind" value={`${node.kind}, ${node.mode === 'append' ? 'append only' : 'updates'}`} />
        {node.name !== titleOf(node) && <Pair label="Name" value={node.name} />}
        {node.target !== null && <Pair label="Stands for" value={node.target} />}
        {node.place !== null && <Pair label="Place" value={<Place place={node.place} />} />}
        <Pair label="Runs in" value={node.part === '' ? 'no task' : node.part} />
        <Pair label="In" value={`${formatWhole(node.counters.rowsIn)} · ${formatRate(flow.rateIn)}`} />
        <Pair label="Out" value={`${formatWhole(node.counters.rowsOut)} · ${formatRate(flow.rateOut)}`} />
        <Pair label="Late" value={formatWhole(node.counters.rowsLate)} />
        <Pair label="Dropped" value={formatWhole(node.counters.rowsDropped)} />
        <Pair label="Lag" value={formatPlural(lag, 'record')} />
      </dl>
      <div className="details-tasks">
        {tasks.map((task) => (
          <div key={task.task} className="details-task">
            <p>
              <strong>{task.task}</strong>
              <span className="pill small" data-tone={phaseTone(task.phase)}>
                {task.phase}
              </span>
              <span className="muted">
                watermark {formatTime(task.watermarkMs)} · lag {formatCount(task.lag)} · state {formatBytes(task.stateBytes)}
              </span>
            </p>
            {task.openBecause !== null && <p className="because">{sentence(task.openBecause)}</p>}
            {task.error !== null && (
              <p className="because" data-tone="bad">
                {task.error.code}: {task.error.message} {task.error.fix}
              </p>
            )}
          </div>
        ))}
      </div>
    </aside>
  )
}

function Pair({ label, value }: { readonly label: string; readonly value: React.ReactNode }): React.ReactNode {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  )
}
