// What the sinks of a pipeline hold that is not visible outside, over all task groups.
import type { PipelineStatus } from '@millrace/core/engine'
import { formatBytes, formatDuration, formatPlural } from './format.ts'

export interface SinkView {
  readonly name: string
  readonly connector: string
  readonly rows: number
  /** Null: the sink says nothing of its files, or has none open. */
  readonly files: { readonly count: number; readonly bytes: number; readonly fullBytes: number; readonly dueMs: number } | null
  /** Wall time of the newest checkpoint; null before the first. */
  readonly checkpointAtMs: number | null
}

export function sinksOf(pipeline: PipelineStatus): readonly SinkView[] {
  return pipeline.nodes
    .filter((node) => node.kind === 'to-sink')
    .map((node) => {
      const tasks = pipeline.tasks.filter((task) => task.part === node.part && task.sink !== null)
      const open = tasks.flatMap(({ sink }) => (sink?.unpublished ? [sink.unpublished] : []))
      const checkpointAtMs = Math.max(0, ...tasks.map((task) => task.lastCommitAtMs))
      const files = {
        count: open.reduce((sum, { files: count }) => sum + count, 0),
        bytes: open.reduce((sum, { bytes }) => sum + bytes, 0),
        fullBytes: Math.min(...open.map(({ fullBytes }) => fullBytes)),
        dueMs: Math.min(...open.map(({ dueMs }) => dueMs)),
      }
      return {
        name: node.name,
        connector: node.target ?? 'sink',
        rows: tasks.reduce((sum, { sink }) => sum + (sink?.rows ?? 0), 0),
        files: open.length === 0 ? null : files,
        checkpointAtMs: checkpointAtMs === 0 ? null : checkpointAtMs,
      }
    })
}

/** What waits. */
export function waitingText({ rows, files }: SinkView): string {
  if (rows === 0) return 'Everything that came is published.'
  const count = formatPlural(rows, 'row')
  return files === null
    ? `${count} not published yet.`
    : `${count} not published yet: ${formatBytes(files.bytes)} in ${formatPlural(files.count, 'open file')}.`
}

/** What publishes it, and when; empty when nothing waits or the sink does not say. */
export function dueText({ rows, files }: SinkView): string {
  if (rows === 0 || files === null) return ''
  return `Published in ${formatDuration(Math.max(1, Math.ceil(files.dueMs / 1000)) * 1000)} at the latest, earlier when a file reaches ${formatBytes(files.fullBytes)}.`
}
