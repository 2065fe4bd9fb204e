// Replays that run beside the live pipelines of this plant: started by name, looked at until the plant stops.
import {
  codeVersion,
  type Clock,
  compiler,
  type Disk,
  type Log,
  isMillraceError,
  MillraceError,
  nearestWord,
  type OwnedPlaces,
  type Plan,
  rangeByTime,
  type ReplayRange,
  type ReplayedRows,
  replayPlan,
  RunningPipeline,
  type Scheduler,
  type TablePage,
  type TableQuery,
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
  /** `left`: it ran before the server was started; its topics are still there, its tables are not. */
  readonly phase: 'running' | 'finished' | 'failed' | 'left'
  /** Null of one that is left. */
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  /** Topics that it writes. */
  readonly outputs: readonly string[]
  /** Tables that it keeps, readable until it is deleted or the server stops. */
  readonly tables: readonly string[]
  /** Rows of the range, bad ones included. */
  readonly rowsIn: number
  /** Records without a usable event time, which are in no range of times. */
  readonly rowsTimeless: number
  readonly error: { readonly code: string; readonly message: string; readonly fix: string } | null
}

export interface ReplayEnvironment {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  /** What sinks of the live pipelines write to alone. */
  readonly places: OwnedPlaces
  readonly onEvent: (pipeline: string, event: TaskEvent) => void
}

export interface Replay {
  status(): ReplayStatus
  /** Rows of a table as it computes them, also when it has ended. Throws as `RunningPipeline.table` does. */
  table(name: string, query: TableQuery): Promise<TablePage>
  /** Fields of a table's key; 1 when there is no such table. */
  keyFields(table: string): number
  /** Resolves when it has ended, either way. */
  ended(): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a replay of a live pipeline. Its tables stay in memory until somebody lets go of it.
 * @param liveVersion Code version of the live pipeline.
 * @throws {MillraceError} `MR_REPLAY_RUNNING` when the id was used before, `MR_REPLAY_EMPTY` when no record is in the range, `MR_PLAN_PLACE_TAKEN` when
 * a sink of it would write where a live one writes.
 * What stops it later is in its status: `MR_REPLAY_DAMAGED` where a stored batch is damaged.
 */
export async function startReplay(
  environment: ReplayEnvironment,
  plan: Plan,
  liveVersion: string,
  request: ReplayRequest,
): Promise<Replay> {
  const { log, clock, scheduler, disk, onEvent } = environment
  const copy = copyBeside(environment, plan, request)
  const range = await rangeOf(log, plan, request)
  requireRecords(log, plan, range)
  const startedAtMs = clock.nowMs()
  // Tasks that read what a failed one writes would wait for its end for ever.
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined)
  const running = await RunningPipeline.start(copy, {
    log,
    clock,
    scheduler,
    disk,
    compiler,
    codeVersion: codeVersion(copy),
    replay: { id: request.id, of: plan.pipeline, range, codeVersion: liveVersion },
    onEvent: (event) => {
      onEvent(copy.pipeline, event)
      if (event.kind === 'failed') failure.reject(event.error)
    },
  }).catch((thrown: unknown) => {
    throw told(thrown)
  })
  let phase: ReplayStatus['phase'] = 'running'
  let endedAtMs: number | null = null
  let error: ReplayStatus['error'] = null
  const finish = async (): Promise<void> => {
    try {
      await Promise.race([running.finished(), failure.promise])
      requireRows(plan, request, rowsOf(running))
      phase = 'finished'
    } catch (thrown) {
      phase = 'failed'
      error = errorOf(told(thrown))
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
      tables: running.topology.tables.map((table) => table.name),
      rowsIn: rowsOf(running).rows,
      rowsTimeless: rowsOf(running).timeless,
      error,
    }),
    table: (name, query) => running.table(name, query),
    keyFields: (table) => running.topology.tables.find((one) => one.name === table)?.primaryKey.length ?? 1,
    ended: () => ended,
    stop: async () => {
      await running.stop()
      await ended
    },
  }
}

/** The plan of the replay, when nothing that it writes is there or written by a live pipeline. */
function copyBeside({ log, places }: ReplayEnvironment, plan: Plan, { id, sinks }: ReplayRequest): Plan {
  const copy = replayPlan(plan, id, sinks)
  if (log.topic(`${copy.pipeline}.dead-letters`) !== null)
    throw new MillraceError('MR_REPLAY_RUNNING', { details: { id, pipeline: plan.pipeline } })
  places.check(copy)
  return copy
}

/** The failure as the one who asked for the replay can act on it. */
function told(error: unknown): unknown {
  if (!isMillraceError(error) || (error.code !== 'MR_LOG_CORRUPT' && error.code !== 'MR_LOG_QUARANTINED')) return error
  return new MillraceError('MR_REPLAY_DAMAGED', { details: error.details, cause: error })
}

function errorOf(error: unknown): NonNullable<ReplayStatus['error']> {
  if (!isMillraceError(error)) return { code: 'MR_RUNTIME_TASK_FAILED', message: String(error), fix: '' }
  return { code: error.code, message: error.message, fix: error.fix }
}

function rowsOf(running: RunningPipeline): ReplayedRows {
  const sum = { rows: 0, outside: 0, timeless: 0, unread: 0 }
  for (const { inputs } of running.status().tasks) {
    for (const { replayed } of inputs) {
      sum.rows += replayed?.rows ?? 0
      sum.outside += replayed?.outside ?? 0
      sum.timeless += replayed?.timeless ?? 0
      sum.unread += replayed?.unread ?? 0
    }
  }
  return sum
}

/** Nothing to replay is most often a wrong range: said before topics are made for it. */
function requireRecords(log: Log, plan: Plan, { topics }: ReplayRange): void {
  const kept: string[] = []
  for (const [topic, list] of topics) {
    for (const { partition, start, end } of log.ends(topic)) {
      const wanted = list.find((other) => other.partition === partition)
      if (wanted !== undefined && Math.min(wanted.to, end) > Math.max(wanted.from, start)) return
      kept.push(`${topic}/${partition} from ${start} to ${end}`)
    }
  }
  throw new MillraceError('MR_REPLAY_EMPTY', {
    message: `no record is in the range; kept offsets: ${kept.join(', ')}.`,
    details: { pipeline: plan.pipeline },
  })
}

function requireRows(plan: Plan, { by }: ReplayRequest, { rows, outside, timeless }: ReplayedRows): void {
  if (rows > 0) return
  const without = timeless === 0 ? '' : `, ${timeless} have no usable event time`
  throw new MillraceError('MR_REPLAY_EMPTY', {
    message:
      outside + timeless > 0
        ? `no row has an event time in the range: ${outside} of those read lie outside${without}.`
        : by === 'event'
          ? 'no row has an event time in the range: all that are kept are earlier.'
          : 'no record was in the range.',
    details: { pipeline: plan.pipeline },
  })
}

/** Replays of which only the topics are left: of an earlier run of the server. */
export function replaysLeft(log: Log, known: ReadonlySet<string>): readonly ReplayStatus[] {
  return log.topics().flatMap(({ name }): readonly ReplayStatus[] => {
    const [, pipeline, id] = LETTERS_OF.exec(name) ?? []
    if (pipeline === undefined || id === undefined || known.has(id)) return []
    const outputs = topicsOf(log, id).filter((topic) => topic.endsWith(`.replay-${id}`))
    const nothing = { startedAtMs: null, endedAtMs: null, tables: [], rowsIn: 0, rowsTimeless: 0, error: null }
    return [{ id, pipeline, phase: 'left', outputs, ...nothing }]
  })
}

const LETTERS_OF = /^(.+)\.replay-([A-Za-z0-9_-]{1,40})\.dead-letters$/

/** Topics of a replay: what it writes, its dead letters and its internal ones. */
function topicsOf(log: Log, id: string): readonly string[] {
  const suffix = `.replay-${id}`
  return log
    .topics()
    .map(({ name }) => name)
    .filter(
      (name) => name.endsWith(suffix) || name.endsWith(`${suffix}.dead-letters`) || (name.startsWith('__') && name.includes(`${suffix}.`)),
    )
}

/** Deletes the topics of a replay that does not run. Returns their names. */
export async function deleteReplayTopics(log: Log, id: string): Promise<readonly string[]> {
  const topics = topicsOf(log, id)
  for (const topic of topics) await log.deleteTopic(topic)
  return topics.filter((topic) => !topic.startsWith('__'))
}

async function rangeOf(log: Log, plan: Plan, request: ReplayRequest): Promise<ReplayRange> {
  const { offsets } = request
  if (offsets === null) return rangeByTime(log, plan, Math.max(0, request.fromMs), request.toMs, request.by)
  const sources = plan.nodes.flatMap((node) => (node.kind === 'source' ? [node.topic.name] : []))
  if (!sources.includes(offsets.topic)) {
    const near = nearestWord(offsets.topic, sources)
    throw new MillraceError('MR_HTTP_BODY_INVALID', {
      message: `the pipeline does not read the topic \`${offsets.topic}\`; ${near === null ? `it reads: ${sources.join(', ')}.` : `did you mean \`${near}\`?`}`,
      details: { member: 'topic', pipeline: plan.pipeline, topic: offsets.topic },
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
