// The sink contract. A sink is written by the task that reads the source when nothing else hangs on that task (ADR 0008), else by a task of
// its own that drains an internal topic: either way its outage stops nothing else.
//
// Protocol, per checkpoint: write(batch)* -> prepare() -> the runtime commits {positions, intent} in one step -> publish(intent).
// After open() the runtime publishes the newest committed intent again, before anything else; a writer need not do it by itself.
// Laws:
//  SINK-1 Nothing is visible outside before publish; after prepare() everything written survives a crash.
//  SINK-2 publish(intent) is idempotent: after a crash the newest committed intent is published again before anything else.
//  SINK-3 What was prepared but not committed leaves no trace after open(): open() removes strays.
//  SINK-4 Content is a function of the rows between two checkpoints; row order is the order of write.
//  SINK-5 write() has taken what it needs of the batch when it returns: the memory is used again at once. A promise says when there is room
//         for more; no other call comes before it is settled.
import type { Batch, Field } from '../codec/column.ts'
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { ConnectorSpec } from './spec.ts'

/** transactional: rows appear exactly once. idempotent: the store refuses older versions, so repeats are harmless. at-least-once: repeats after a crash. */
export type Guarantee = 'transactional' | 'idempotent' | 'at-least-once'

/** Rows for a sink, with what it needs to refuse older versions. generation is 0 in this version. */
export interface SinkBatch {
  readonly batch: Batch
  readonly generation: number
  readonly tick: number
  /** Running number of the batch's first row within the sink's input partition. */
  readonly sequence: number
}

export interface SinkContext {
  readonly pipeline: string
  readonly name: string
  readonly group: number
  /** Task groups that write into the sink, each with a writer of its own. */
  readonly groups: number
  readonly fields: readonly Field[]
  /** Epoch of the task that writes: an older one must be fenced where the store can. */
  readonly epoch: number
  readonly clock: Clock
  readonly disk: Disk
  /** Hands a single bad row of the batch that is being written to the dead letters, before `write` returns; the rest goes on. */
  readonly reject: (row: number, error: Error) => void
}

/** What a writer holds that is not visible yet, and what will make it visible: for whoever looks on. */
export interface Unpublished {
  /** Files, requests or whatever else the sink writes at once. */
  readonly files: number
  readonly bytes: number
  /** A file of so many bytes is full. */
  readonly fullBytes: number
  /** Milliseconds until everything becomes visible, full or not. */
  readonly dueMs: number
}

export interface SinkWriter {
  /** Takes the selected rows before it returns (SINK-5). May buffer. Throws MillraceError: `transient` is retried with backoff from the last checkpoint, others pause the sink. */
  write(rows: SinkBatch): Promise<void> | void
  /** True when the sink wants a checkpoint now (size, time or memory reached). Asked after every write and at least once a second. */
  wantsCheckpoint(): boolean
  /** Null when nothing waits. Asked once a second or so; a writer need not have it. */
  unpublished?(): Unpublished | null
  /** Makes everything written since the last checkpoint durable but not visible; the returned bytes are the intent, null when nothing was written. */
  prepare(): Promise<Uint8Array | null>
  /** Makes the prepared rows visible. Idempotent. */
  publish(intent: Uint8Array): Promise<void>
  close(): Promise<void>
}

export interface Sink<V> {
  readonly kind: 'sink'
  readonly spec: ConnectorSpec
  readonly guarantee: Guarantee
  /** False: append-only; the planner refuses streams with updates. */
  readonly acceptsUpdates: boolean
  /**
   * True: takes rows without typed columns too. Their one field is `$value`, of kind variant (OPEN_ROW), and single fields may be variants.
   * Default false: the planner asks for a schema.
   */
  readonly acceptsOpenRows?: boolean
  /** Settings as given, validated by the spec. */
  readonly settings: Readonly<Record<string, unknown>>
  /**
   * Places that no other sink may write to, for example absolute paths of files: two sinks that name the same one are refused when the
   * pipeline is built or the plant starts. Left out where sinks of different names keep apart by themselves.
   */
  readonly owns?: readonly string[]
  /** Refuses at plan time what cannot work (unknown partition field, open shape ...). Throws MillraceError `invalid`. */
  check(fields: readonly Field[]): void
  /** `lastIntent`: the newest committed intent, null at the first start. What it names stays, because it is published next; other strays go. */
  open(context: SinkContext, lastIntent: Uint8Array | null): Promise<SinkWriter>
  /**
   * The same sink with `suffix` in the name of where it writes, for a replay beside the live pipeline. Left out where two pipelines may write to
   * the same place.
   */
  beside?(suffix: string): Sink<V>
  readonly '~types'?: { readonly row: (row: V) => void }
}

export type AnySink = Sink<never>

/** The one field of rows that are JavaScript values: the value itself. */
export const OPEN_ROW: Field = Object.freeze({ name: '$value', type: Object.freeze({ kind: 'variant' as const }), nullable: true })

/** True for the fields of rows that are JavaScript values. */
export function areOpenRows(fields: readonly Field[]): boolean {
  return fields.length === 1 && fields[0]?.name === OPEN_ROW.name && fields[0].type.kind === 'variant'
}
