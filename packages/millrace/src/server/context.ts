// What routes may use of the plant.
import type {
  Clock,
  Log,
  PipelineStatus,
  Plan,
  RunningPipeline,
  Scheduler,
  SourceStatus,
  TablePage,
  TableQuery,
} from '@millrace/core/engine'
import { MillraceError, nearestWord } from '@millrace/core/engine'
import type { HealthAnswer, PlantStatus } from '../api.ts'
import type { Collector } from './collect/collector.ts'
import type { LetterBoxes } from './letter-boxes.ts'
import type { Replay, ReplayRequest } from './replays.ts'
import type { Streams } from './streams.ts'

export interface PlantPipeline {
  readonly name: string
  readonly plan: Plan
  readonly running: RunningPipeline
}

export interface PlantContext {
  /** Data folder; null: in memory. */
  readonly folder: string | null
  /** All pipelines are known, running or not. */
  readonly isReady: () => boolean
  readonly health: () => HealthAnswer
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly collector: Collector
  readonly streams: Streams
  readonly pipelines: ReadonlyMap<string, PlantPipeline>
  readonly letters: LetterBoxes
  readonly sources: () => readonly SourceStatus[]
  readonly replays: Map<string, Replay>
  /** Ends it when it runs, and deletes its topics and tables. Returns the topics that users saw. Throws MR_REPLAY_UNKNOWN. */
  readonly deleteReplay: (id: string) => Promise<readonly string[]>
  readonly startReplay: (pipeline: PlantPipeline, request: ReplayRequest) => Promise<Replay>
  /** Topics that the plant writes and users may read. */
  readonly reserved: ReadonlySet<string>
  readonly status: () => PlantStatus
  /** Calls back each second. Returns the unsubscribe. */
  readonly eachSecond: (run: () => void) => () => void
}

/** @throws {MillraceError} `MR_SERVER_PIPELINE_UNKNOWN` with the nearest name. */
export function pipelineOf(context: PlantContext, name: string): PlantPipeline {
  const found = context.pipelines.get(name)
  if (found !== undefined) return found
  if (!context.isReady()) throw new MillraceError('MR_SERVER_STARTING')
  const near = nearestWord(name, context.pipelines.keys())
  throw new MillraceError('MR_SERVER_PIPELINE_UNKNOWN', {
    message: `no pipeline of this name runs${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { pipeline: name.slice(0, 100), running: [...context.pipelines.keys()].join(', ') },
  })
}

/** @throws {MillraceError} `MR_REPLAY_UNKNOWN` with the nearest id. */
export function replayOf(context: Pick<PlantContext, 'replays'>, id: string): Replay {
  const found = context.replays.get(id)
  if (found !== undefined) return found
  const near = nearestWord(id, context.replays.keys())
  throw new MillraceError('MR_REPLAY_UNKNOWN', {
    message: `no replay of this id has run since the server started${near === null ? '.' : `; did you mean \`${near}\`?`}`,
    details: { id: id.slice(0, 40) },
  })
}

/** Answers a table query from the pipeline that has the table. Throws MR_RUNTIME_TABLE_UNKNOWN with the nearest name. */
export function readTableOf(context: PlantContext, table: string, query: TableQuery): Promise<TablePage> {
  const names: string[] = []
  for (const { running } of context.pipelines.values()) {
    for (const known of running.topology.tables) {
      if (known.name === table) return running.table(table, query)
      names.push(known.name)
    }
  }
  if (!context.isReady()) throw new MillraceError('MR_SERVER_STARTING')
  const near = nearestWord(table, names)
  throw new MillraceError('MR_RUNTIME_TABLE_UNKNOWN', {
    message: `no running pipeline has the table \`${table.slice(0, 100)}\`; ${near === null ? `there are: ${names.join(', ') || 'none'}.` : `did you mean \`${near}\`?`}`,
    details: { table: table.slice(0, 100), ...(near === null ? {} : { nearest: near }) },
  })
}

/** Status of all pipelines, those of replays left out. */
export function pipelineStatuses(context: Pick<PlantContext, 'pipelines'>): readonly PipelineStatus[] {
  return Array.from(context.pipelines.values(), ({ running }) => running.status())
}
