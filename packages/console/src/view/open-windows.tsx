import type { PipelineStatus, TaskStatus } from '@millrace/core/engine'
import { formatDuration, formatPlural, formatTime, formatTimeShort } from '../model/format.ts'
import type { Clock } from '../model/reasons.ts'
import { clocksOfTask, distance, isWaiting, sentence } from '../model/reasons.ts'
import { Panel } from './panel.tsx'

/** Why what is open is open: for every task that waits, the sentence and the clocks it waits for. */
export function OpenWindows({ pipeline }: { readonly pipeline: PipelineStatus }): React.ReactNode {
  const waiting = pipeline.tasks.filter(isWaiting)
  return (
    <Panel
      id="windows"
      title="Open windows"
      note={waiting.length === 0 ? 'nothing waits' : `${formatPlural(waiting.length, 'task')} waiting for event time`}
    >
      <ul className="windows">
        {waiting.map((task) => (
          <WaitingTask key={task.task} task={task} lines={linesOf(pipeline, task)} />
        ))}
      </ul>
      {waiting.length === 0 && (
        <p className="empty">
          No window or timer waits for the watermark. Windows that give their result when they close stand here, each with its reason.
        </p>
      )}
    </Panel>
  )
}

interface Line {
  readonly clock: Clock
  /** 1: a partition that the producer above it reads. */
  readonly depth: 0 | 1
}

/** The clocks of a task; below a producer, whose clock is only half of the reason, the partitions that it reads. */
function linesOf(pipeline: PipelineStatus, task: TaskStatus): readonly Line[] {
  return clocksOfTask(task).flatMap((clock) => {
    const producer = pipeline.tasks.find((each) => clock.producer === each.task)
    const below = producer === undefined ? [] : clocksOfTask(producer)
    return [
      { clock, depth: 0 as const },
      ...below.map((each) => ({ clock: { ...each, holds: clock.holds && each.holds }, depth: 1 as const })),
    ]
  })
}

function WaitingTask({ task, lines }: { readonly task: TaskStatus; readonly lines: readonly Line[] }): React.ReactNode {
  return (
    <li className="window" data-testid="window">
      <h3>
        {task.task}
        <span className="muted"> closes at {formatTime(task.waitsForMs)} UTC</span>
      </h3>
      <p className="because">{sentence(task.openBecause ?? '')}</p>
      <table className="grid compact">
        <thead>
          <tr>
            <th>Clock</th>
            <th>Watermark</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ clock, depth }) => (
            <tr key={clock.name} data-holds={clock.holds}>
              <td data-depth={depth}>{clock.name}</td>
              <td>{formatTimeShort(clock.watermarkMs, task.lastCommitAtMs)}</td>
              <td>
                {clock.status}
                {clock.silentMs >= 1000 && `, silent for ${formatDuration(clock.silentMs)}`}
                {clock.error !== null && `, cannot be read: ${clock.error}`}
                <span className="muted">: {distance(clock, task.waitsForMs)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </li>
  )
}
