// What every task of a pipeline is given. Components are passed in; nothing here is global.
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Scheduler } from '../base/scheduler.ts'
import type { Compiler } from '../compile/instantiate.ts'
import type { Topology } from '../compile/topology.ts'
import type { Log } from '../log/log.ts'
import type { Plan } from '../plan/node.ts'
import type { ReplaySettings } from './replay.ts'
import type { ProgressBoard } from './exchange/progress-board.ts'

export interface TaskEnvironment {
  readonly log: Log
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly board: ProgressBoard
  readonly plan: Plan
  readonly topology: Topology
  readonly compiler: Compiler
  /** Where a source partition without a position starts. */
  readonly startAt: 'earliest' | 'latest'
  readonly codegen: boolean
  readonly guardRows: boolean
  /** Sources end at their visible end as of the start: bounded runs (tests, replay). */
  readonly bounded: boolean
  /** Go along the kept bindings of another pipeline instead of making own ones. */
  readonly replay: ReplaySettings | null
  /** Bytes of unfinished output per producer and reader (ADR 0002, rule 25). */
  readonly aheadBytes: number
  /** Bytes of changelog below which no snapshot is taken; default 64 MiB. Tests take them sooner. */
  readonly snapshotBytesMin?: number
  readonly report: (event: TaskEvent) => void
}

/** What a task tells its plant; the plant logs it and shows it on the page. */
export type TaskEvent =
  | { readonly kind: 'restored'; readonly task: string; readonly rows: number; readonly ms: number }
  /** The newest snapshot of the state is damaged; an older one, or the changelog alone, has the same state. */
  | { readonly kind: 'snapshot-damaged'; readonly task: string; readonly error: unknown }
  | { readonly kind: 'restarted'; readonly task: string; readonly error: unknown; readonly attempt: number }
  | { readonly kind: 'paused'; readonly task: string; readonly error: unknown }
  | { readonly kind: 'resumed'; readonly task: string }
  | { readonly kind: 'failed'; readonly task: string; readonly error: unknown }
  /** A promise failed that user code had let go of, in a worker thread; on its main thread whoever runs the plant hears of it. */
  | { readonly kind: 'stray'; readonly task: string; readonly error: unknown }
  /** Retention removed records of a source before they were read. */
  | { readonly kind: 'records-lost'; readonly task: string; readonly topic: string; readonly partition: number; readonly count: number }
  | {
      readonly kind: 'dead-letters'
      readonly task: string
      readonly code: string
      readonly operator: string
      readonly count: number
      readonly sample: string
    }
