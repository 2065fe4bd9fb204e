// What routes may use of the plant.
import type { IncomingMessage } from 'node:http'
import type { Clock, Log, Scheduler, SourceStatus } from '@millrace/core/engine'
import type { HealthAnswer, PlantStatus } from '../../api.ts'
import type { Collector } from '../collect/collector.ts'
import type { LetterBoxes } from '../letters/letter-boxes.ts'
import type { Pipelines } from '../pipelines/pipelines.ts'
import type { Replays } from '../pipelines/replays.ts'
import type { Streams } from '../http/streams.ts'

export interface PlantContext {
  /** Data folder; null: in memory. */
  readonly folder: string | null
  readonly health: () => HealthAnswer
  /** True for a request from an allowed host, with the token where there is one. */
  readonly mayRead: (request: IncomingMessage) => boolean
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly collector: Collector
  readonly streams: Streams
  readonly pipelines: Pipelines
  readonly letters: LetterBoxes
  readonly sources: () => readonly SourceStatus[]
  readonly replays: Replays
  /** Topics that the plant writes and users may read. */
  readonly reserved: ReadonlySet<string>
  readonly status: () => PlantStatus
  /** Calls back each second. Returns the unsubscribe. */
  readonly eachSecond: (run: () => void) => () => void
}
