// Replays that run beside the live pipelines of this plant: started by name, looked at until the plant stops.
import {
  codeVersion,
  type Clock,
  compiler,
  type Disk,
  type Log,
  MillraceError,
  type Plan,
  rangeByTime,
  type ReplayRange,
  replayPlan,
  RunningPipeline,
  type Scheduler,
  type TaskEvent,
} from '@millrace/core/engine'

export interface ReplayRequest {
  readonly id: string
  /** Milliseconds; -Infinity and +Infinity for all. Ignored when `offsets` is given. */
  readonly fromMs: number
  readonly toMs: number
  readonly by: 'event' | 'append'
  /** One partition's offsets, from inclusive, to exclusive; other sources replay nothing. */
  readonly offsets: { readonly topic: string; readonly partition: number; readonly from: number; readonly to: number } | null
  readonly sinks: boolean
}

export interface ReplayStatus {
  readonly id: string
  readonly pipeline: string
  readonly phase: 'running' | 'finished' | 'failed'
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  /** Topics that it writes. */
  readonly outputs: readonly string[]
  readonly rowsIn: number
  readonly error: { readonly code: string; readonly message: string; readonly fix: string } | null
}

export interface ReplayEnvironment {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly onEvent: (pipeline: string, event: TaskEvent) => void
}

export interface Replay {
  status(): ReplayStatus
  /** Resolves when it has ended, either way. */
  ended(): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a replay of a live pipeline.
 * @throws {MillraceError} `MR_REPLAY_RUNNING` when the id was used before, `MR_REPLAY_NO_BINDINGS`.
 */
export async function startReplay(environment: ReplayEnvironment, plan: Plan, request: ReplayRequest): Promise<Replay> {
  const { log, clock, scheduler, disk, onEvent } = environment
  const copy = replayPlan(plan, request.id, request.sinks)
  if (log.topic(`${copy.pipeline}.dead-letters`) !== null)
    throw new MillraceError('MR_REPLAY_RUNNING', { details: { id: request.id, pipeline: plan.pipeline } })
  const range = await rangeOf(log, plan, request)
  const startedAtMs = clock.nowMs()
  const running = await RunningPipeline.start(copy, {
    log,
    clock,
    scheduler,
    disk,
    compiler,
    codeVersion: codeVersion(copy),
    replay: { id: request.id, of: plan.pipeline, range },
    onEvent: (event) => onEvent(copy.pipeline, event),
  })
  let phase: ReplayStatus['phase'] = 'running'
  let endedAtMs: number | null = null
  let error: ReplayStatus['error'] = null
  const finish = async (): Promise<void> => {
    try {
      await running.finished()
      phase = 'finished'
    } catch (thrown) {
      phase = 'failed'
      error =
        thrown instanceof MillraceError
          ? { code: thrown.code, message: thrown.message, fix: thrown.fix }
          : { code: 'MR_RUNTIME_TASK_FAILED', message: String(thrown), fix: '' }
    }
    endedAtMs = clock.nowMs()
    await running.stop()
  }
  const ended = finish()
  const outputs = copy.nodes.flatMap((node) => (node.kind === 'to-topic' || node.kind === 'through' ? [node.topic.name] : []))
  return {
    status: () => ({
      id: request.id,
      pipeline: plan.pipeline,
      phase,
      startedAtMs,
      endedAtMs,
      outputs,
      rowsIn: running.status().tasks.reduce((sum, task) => sum + task.rowsIn, 0),
      error,
    }),
    ended: () => ended,
    stop: async () => {
      await running.stop()
      await ended
    },
  }
}

async function rangeOf(log: Log, plan: Plan, request: ReplayRequest): Promise<ReplayRange> {
  const { offsets } = request
  if (offsets === null) return rangeByTime(log, plan, Math.max(0, request.fromMs), request.toMs, request.by)
  const sources = plan.nodes.flatMap((node) => (node.kind === 'source' ? [node.topic.name] : []))
  if (!sources.includes(offsets.topic)) {
    throw new MillraceError('MR_HTTP_BODY_INVALID', {
      message: `the pipeline does not read the topic \`${offsets.topic}\`; it reads: ${sources.join(', ')}.`,
      details: { pipeline: plan.pipeline, topic: offsets.topic },
    })
  }
  const topics = new Map(
    sources.map((topic) => [
      topic,
      log
        .ends(topic)
        .map(({ partition, start }) =>
          topic === offsets.topic && partition === offsets.partition
            ? { partition, from: offsets.from, to: offsets.to }
            : { partition, from: start, to: start },
        ),
    ]),
  )
  return { topics }
}
