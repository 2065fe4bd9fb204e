// The operator contract: synchronous, over batches; no promise, closure or allocation per record.
//
// A task calls, per tick: startTick(start) on every operator in topological order, then process() for each batch of the tick in the order
// of "order inside a tick" (ADR 0002, rule 16), then endTick(end) in topological order. Lateness is judged by the watermark before the
// tick (start.watermark); windows and timers fire in endTick by the watermark of the tick itself (end.watermark), after all rows, in order
// of (time, key) (rule 22). Changed groups are emitted in endTick too, consolidated: one row per key and tick. What an operator emits in
// endTick reaches the next operator's process() before that one's endTick, so a chain of windows settles inside one tick.
// An operator hands rows on by `output.push`, synchronously; the batch is valid until push returns.
// Law: the rows emitted for a sequence of ticks equal those computed from scratch over the same records (each operator's property test).
import type { Batch } from '../codec/column.ts'
import type { TableStore } from '../state/store.ts'

export interface TickStart {
  readonly tick: number
  /** Watermark before the tick, ms; -Infinity before the first, +Infinity after the end of all inputs. */
  readonly watermark: number
  /** Wall time recorded in the binding, ms; never goes back. */
  readonly wallMs: number
}

export interface TickEnd {
  readonly tick: number
  /** Watermark of the tick: what may fire now. */
  readonly watermark: number
  readonly wallMs: number
}

export interface Output {
  push(batch: Batch): void
}

/** A row that an operator could not process. The row's bytes and position come from the batch's origin, or are encoded from its columns. */
export interface DeadLetters {
  reject(operator: string, input: number, batch: Batch, row: number, error: unknown): void
}

/** Counters are plain numbers; the metrics page reads them. */
export interface OperatorCounters {
  rowsIn: number
  rowsOut: number
  rowsLate: number
  rowsDropped: number
}

export interface OperatorContext {
  readonly name: string
  readonly output: Output
  /** Second output where there is one (late rows); null when nobody reads it. */
  readonly lateOutput: Output | null
  readonly deadLetters: DeadLetters
  readonly counters: OperatorCounters
  /** The operator's stores by the name it declared. */
  store(name: string): TableStore
}

export interface Operator {
  process(input: number, batch: Batch): void
  startTick(start: TickStart): void
  endTick(end: TickEnd): void
  /** Earliest event time (ms) at which a watermark would fire something here; +Infinity when nothing waits. Decides heartbeats. */
  nextDue(): number
  /** Earliest event time (ms) at which an open window closes, whether that fires something or only forgets; +Infinity when none is open. For the status. */
  openUntil?(): number
}
