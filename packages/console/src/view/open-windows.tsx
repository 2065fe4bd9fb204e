import type { PipelineStatus, TaskStatus } from '@millrace/core/engine'
import { formatDuration, formatPlural, formatTime } from '../model/format.ts'
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
          <WaitingTask key={task.task} task={task} sources={sourceClocks(pipeline, task)} />
        ))}
      </ul>
      {waiting.length === 0 && <p className="empty">No window or timer waits for the watermark.</p>}
    </Panel>
  )
}

/** Behind an exchange the producers' clocks are only half of the reason: these are the partitions that the producers read. */
function sourceClocks(pipeline: PipelineStatus, task: TaskStatus): readonly Clock[] {
  const producers = new Set(task.inputs.flatMap((input) => input.producers.map((producer) => producer.task)))
  return pipeline.tasks.filter((each) => producers.has(each.task)).flatMap(clocksOfTask)
}

function WaitingTask({ task, sources }: { readonly task: TaskStatus; readonly sources: readonly Clock[] }): React.ReactNode {
  const clocks = [...clocksOfTask(task), ...sources]
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
            <th>Watermark, UTC</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {clocks.map((clock) => (
            <tr key={clock.name} data-holds={clock.holds}>
              <td>{clock.name}</td>
              <td>{formatTime(clock.watermarkMs)}</td>
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
