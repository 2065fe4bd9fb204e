// What a task is to its loop and to who looks at it: the loop's contract, the phases, the state of its inputs.
import type { Unpublished } from '../connect/sink.ts'

export type TaskPhase = 'opening' | 'running' | 'paused' | 'stopping' | 'stopped' | 'crashed' | 'failed'

/** What a loop does with its core; one implementation per kind of input. */
export interface TaskLoop {
  /** Runs one step: takes and commits a tick when there is one. Returns the milliseconds to wait for the next wake-up; 0 = go on at once. */
  step(): Promise<number>
  /** Records behind, over all inputs. */
  lag(): number
  /** How far event time has come here; a sink is further than its newest checkpoint. */
  watermarkMs(): number
  /** Per source partition or exchange: why the watermark is where it is. */
  inputStatus(): readonly InputStatus[]
  /** What the task's sink has not published yet; null when the task has no sink. */
  sinkStatus(): SinkStatus | null
  close(): Promise<void>
  /** Before the close of a graceful stop: makes durable and visible what is only written. */
  finish(): Promise<void>
  /** True when a bounded run has nothing left to do. */
  finished(): boolean
}

/** Rows that were handed to a sink and are not visible outside. */
export interface SinkStatus {
  readonly rows: number
  /** What the writer says of them; null when there are none, or it says nothing. */
  readonly unpublished: Unpublished | null
}

/** What a replay has made of the records that it read of a source. */
export interface ReplayedRows {
  /** Rows of the range, bad ones included. */
  readonly rows: number
  /** Rows whose event time lies outside the range. */
  readonly outside: number
  /** Records without a usable event time, which are in no range of times. */
  readonly timeless: number
  /** Offsets of records that could only be earlier than the range, and were left out unread. */
  readonly unread: number
}

export interface InputStatus {
  readonly input: string
  readonly kind: 'source' | 'exchange' | 'file-table'
  readonly lag: number
  /** How long the oldest record that waits here has been in the log, ms; 0 when none waits, or when it came before the task began to look. */
  readonly waitingMs?: number
  readonly partitions: readonly {
    readonly partition: number
    readonly next: number
    readonly largestMs: number
    readonly watermarkMs: number
    readonly status: string
    readonly silentMs: number
    readonly error: string | null
    /** Code of that error. Sources only. */
    readonly errorCode?: string
    /** Offsets that retention took away before they were read, since the task began. Sources only. */
    readonly lost?: number
    /** Set while the clock guard holds the next record back: its event time, and after how long without another record it is decided. */
    readonly held?: { readonly eventTimeMs: number; readonly forMs: number; readonly untilMs: number }
  }[]
  /** Of a source in a replay. */
  readonly replayed?: ReplayedRows
  /** Exchanges: producers and how far each has come. */
  readonly producers: readonly { readonly task: string; readonly through: number; readonly watermarkMs: number; readonly status: string }[]
}
