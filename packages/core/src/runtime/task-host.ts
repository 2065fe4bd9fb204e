// Where tasks run: on this thread (task/local-tasks.ts) or in a worker thread (workers/worker-tasks.ts). The pipeline knows no difference.
// Everything that crosses is plain data, so that it can be posted.
import type { OperatorCounters } from '../operators/operator.ts'
import type { TaskStatus } from './status.ts'
import type { Field } from '../codec/column.ts'
import type { TableQuery, TableRow } from './table-reader.ts'
import type { TaskPhase } from './task-loop.ts'

export interface StoreReport {
  readonly name: string
  readonly rows: number
  readonly bytes: number
  readonly fields: readonly string[]
  /** Those of the fields that hold times, in milliseconds. */
  readonly times: readonly string[]
  /** Those that hold numbers. A decimal comes as a text, and so does a whole number beyond ±2^53. */
  readonly numbers: readonly string[]
}

/** What one task says of itself. */
export interface TaskReport {
  readonly status: TaskStatus
  readonly operators: readonly { readonly name: string; readonly counters: OperatorCounters }[]
  readonly stores: readonly StoreReport[]
}

/** A task that has stopped working by itself, and why. */
export interface TaskFailure {
  readonly phase: Extract<TaskPhase, 'failed' | 'paused'>
  readonly error: unknown
}

/** A read of a table, as it is sent to whoever runs the part. */
export interface TableQuestion {
  readonly table: string
  readonly part: string
  readonly store: string
  readonly query: TableQuery
}

/** The answer of one task group: its rows in the order of the key, no more than the query's limit. */
export interface TableSlice {
  readonly rows: readonly TableRow[]
  /** The fields that decide the order of the rows, first the one that counts most. */
  readonly order: readonly Field[]
  readonly rowCount: number
  readonly tick: number
  readonly watermarkMs: number
}

export interface TaskHost {
  start(): void
  /** Resolves when every task has run for the first time, or has failed. */
  ready(): Promise<void>
  /** Resolves when a bounded run has nothing left to do here, or when the tasks are over. */
  ended(): Promise<void>
  /** The newest report of each task. */
  reports(): readonly TaskReport[]
  failures(): readonly TaskFailure[]
  /** @throws {MillraceError} `MR_TABLE_KEY_INVALID`, `MR_TABLE_NOT_READY`, `MR_WORKER_DIED`. */
  readTable(question: TableQuestion): Promise<readonly TableSlice[]>
  /** Graceful end of the tasks of one part: they commit what is open and publish what is written. */
  stop(part: string): Promise<void>
  /** Frees what the tasks had in common, after all parts have stopped. */
  close(): Promise<void>
  /** Ends everything as a crash would, without commit. */
  abandon(): void
}
