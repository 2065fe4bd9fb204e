// How old what can be queried is: the age of the oldest record that is on its way into a table, through every task in front of it.
import type { PipelineStatus, TaskStatus } from '@millrace/core/engine'

/**
 * Seconds, by table. While records are on their way: how long the oldest has waited since its append. Otherwise: how long the newest rows took.
 * Null while nothing has come yet.
 */
export function tableFreshness(pipeline: PipelineStatus, nowMs: number): ReadonlyMap<string, number | null> {
  const byTable = new Map<string, number | null>()
  for (const { name } of pipeline.tables) {
    const own = pipeline.nodes.find(({ kind, target }) => kind === 'to-table' && target === name)?.part ?? ''
    const parts = upstream(own, pipeline)
    const ages = pipeline.tasks.flatMap((task) => {
      const took = task.part === own && task.visibleMs !== null ? [task.visibleMs] : []
      return parts.has(task.part) ? [...took, ...waits(task, pipeline.startedAtMs, nowMs)] : took
    })
    byTable.set(name, ages.length === 0 ? null : Math.max(...ages) / 1000)
  }
  return byTable
}

/** What waits at the inputs of a task. One that does not work has not looked since its last commit. */
function waits({ phase, inputs, lastCommitAtMs }: TaskStatus, startedAtMs: number, nowMs: number): readonly number[] {
  const known = inputs.flatMap(({ waitingMs = 0 }) => (waitingMs > 0 ? [waitingMs] : []))
  const isDown = phase === 'failed' || phase === 'paused' || phase === 'crashed'
  return isDown ? [...known, Math.max(0, nowMs - Math.max(startedAtMs, lastCommitAtMs))] : known
}

/** The part and all that hand rows to it. */
function upstream(part: string, { exchanges }: PipelineStatus): ReadonlySet<string> {
  const parts = new Set([part])
  // What is added while a set is walked is walked, too.
  for (const reader of parts) for (const { from, to } of exchanges) if (to === reader) parts.add(from)
  return parts
}
