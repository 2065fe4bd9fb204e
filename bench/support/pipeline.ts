// Runs a pipeline over a backlog to its end, as `millrace` would: the embedded log on disk, system clock, generated code, durable commits.
import type { PipelineDefinition } from '@millrace/core'
import {
  codeVersion,
  compiler,
  type EmbeddedLog,
  nodeDisk,
  type PipelineOptions,
  RunningPipeline,
  systemClock,
  systemScheduler,
} from '@millrace/core/engine'

export function startPipeline(
  definition: PipelineDefinition,
  log: EmbeddedLog,
  options: Partial<PipelineOptions> = {},
): Promise<RunningPipeline> {
  const { plan } = definition
  return RunningPipeline.start(plan, {
    log,
    clock: systemClock,
    scheduler: systemScheduler,
    disk: nodeDisk,
    compiler,
    codeVersion: codeVersion(plan),
    bounded: true,
    onEvent: (event) => process.stderr.write(`  ${JSON.stringify(event, errorText)}\n`),
    ...options,
  })
}

/** Everything that is in the sources now, processed and committed. */
export async function runToEnd(definition: PipelineDefinition, log: EmbeddedLog): Promise<void> {
  const running = await startPipeline(definition, log)
  // The system scheduler's timers do not keep a process alive, and a benchmark has nothing else.
  const alive = setInterval(() => undefined, 1000)
  try {
    await running.finished()
    await running.stop()
  } finally {
    clearInterval(alive)
  }
}

function errorText(_key: string, value: unknown): unknown {
  return value instanceof Error ? String(value.stack ?? value) : value
}
