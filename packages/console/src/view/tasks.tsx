import type { PipelineStatus, TaskStatus } from '@millrace/core/engine'
import { formatBytes, formatCount, formatDuration, formatPlural, formatTime, formatWhole } from '../model/format.ts'
import { phaseTone } from '../model/reasons.ts'
import { Panel } from './panel.tsx'

const COLUMNS = [
  'Task',
  'Thread',
  'Phase',
  'Watermark, UTC',
  'Lag',
  'Rows in',
  'Rows out',
  'State',
  'Commits',
  'Commit time',
  'Last commit',
] as const
const NUMBERS: ReadonlySet<string> = new Set(['Lag', 'Rows in', 'Rows out', 'State', 'Commits', 'Commit time', 'Last commit'])

/** Every task of the pipeline: whether it runs, how far it has come, what it holds and what its commits cost. */
export function Tasks({ pipeline, nowMs }: { readonly pipeline: PipelineStatus; readonly nowMs: number }): React.ReactNode {
  return (
    <Panel id="tasks" title="Tasks" note={`${formatPlural(pipeline.tasks.length, 'task')}, code version ${pipeline.codeVersion}`}>
      <div className="scroller" role="region" aria-label="Tasks" tabIndex={0}>
        <table className="grid" data-testid="tasks">
          <thead>
            <tr>
              {COLUMNS.map((column) => (
                <th key={column} data-number={NUMBERS.has(column)}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {pipeline.tasks.map((task) => (
              <TaskRow key={task.task} task={task} nowMs={nowMs} />
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function TaskRow({ task, nowMs }: { readonly task: TaskStatus; readonly nowMs: number }): React.ReactNode {
  return (
    <>
      <tr>
        <td data-key="true" title={`tick ${task.tick}`}>
          {task.task}
        </td>
        <td>{task.worker === null ? 'main' : `worker ${task.worker}`}</td>
        <td>
          <span className="pill small" data-tone={phaseTone(task.phase)}>
            {task.phase}
          </span>
        </td>
        <td>{formatTime(task.watermarkMs)}</td>
        <td data-number="true">{formatWhole(task.lag)}</td>
        <td data-number="true">{formatWhole(task.rowsIn)}</td>
        <td data-number="true">{formatWhole(task.rowsOut)}</td>
        <td data-number="true">
          {formatBytes(task.stateBytes)} <span className="muted">{formatCount(task.stateRows)} rows</span>
        </td>
        <td data-number="true">{formatWhole(task.commits)}</td>
        <td data-number="true">
          {formatDuration(task.commitMsLast)} <span className="muted">max {formatDuration(task.commitMsMax)}</span>
        </td>
        <td data-number="true">{task.lastCommitAtMs === 0 ? 'none yet' : `${formatDuration(nowMs - task.lastCommitAtMs)} ago`}</td>
      </tr>
      {task.error !== null && (
        <tr>
          <td colSpan={COLUMNS.length}>
            <p className="fault">
              <strong>{task.error.code}</strong> {task.error.message} <span className="fix">{task.error.fix}</span>
            </p>
          </td>
        </tr>
      )}
    </>
  )
}
