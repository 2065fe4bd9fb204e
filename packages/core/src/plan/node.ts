// Frozen plan nodes: what a pipeline means, as data. Both front ends build them, rewrites work on them, the compiler reads them.
// Invariants: a node refers to its inputs by id, ids are the index in `Plan.nodes`, inputs come before their readers (topological order);
// `name` is unique in the plan and is the stable identity of state, metrics and dead letters; nothing here holds a live resource.
// Lambdas are the one exception to "data only": their source text takes part in the code version.
import type { Field } from '../codec/column.ts'
import type { AnySink } from '../connect/sink.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { AnyTopic } from '../connect/topic.ts'
import type { Expression } from './expression.ts'

export type Lambda = (...args: never[]) => unknown

/** What rows look like. `fields`: typed columns. `open`: JavaScript values made by a lambda without a schema; only the user's types know their fields. */
export type RowShape = { readonly fields: readonly Field[] } | { readonly open: true }

/** append: rows are facts, inserts only. update: rows replace earlier rows of the same stream key. */
export type ChangeMode = 'append' | 'update'

interface NodeBase {
  readonly id: number
  readonly name: string
  readonly inputs: readonly number[]
  readonly shape: RowShape
  readonly mode: ChangeMode
  /** Names of the fields that form the stream key (`keyBy`, group keys); null when the record key is carried as it came. */
  readonly key: readonly string[] | null
  /** `file:line` of the user's call, for messages. */
  readonly place: string | null
}

export interface SourceNode extends NodeBase {
  readonly kind: 'source'
  readonly topic: AnyTopic
}
/** A table: latest value per key, from a compacted topic or a file. Takes no part in the watermark. */
export interface TableSourceNode extends NodeBase {
  readonly kind: 'table-source'
  readonly from: AnyTopic | FileTable
}
export interface FilterNode extends NodeBase {
  readonly kind: 'filter'
  readonly predicate: Lambda | Expression
}
/** One row to one row (`map`, `mapValues`) by a lambda. The shape is open when the user gave no `value` schema. */
export interface MapNode extends NodeBase {
  readonly kind: 'map'
  readonly lambda: Lambda
  readonly keepsKey: boolean
}
export interface FlatMapNode extends NodeBase {
  readonly kind: 'flat-map'
  readonly lambda: Lambda
}
/** Picks, renames and computes fields: `select` and expression maps. */
export interface ProjectNode extends NodeBase {
  readonly kind: 'project'
  readonly columns: readonly { readonly name: string; readonly value: Expression }[]
}
/** One output of a `branch`: rows whose first matching predicate is number `index`; index = predicates.length takes the rest. */
export interface BranchNode extends NodeBase {
  readonly kind: 'branch'
  readonly predicates: readonly (Lambda | Expression)[]
  readonly index: number
}
export interface MergeNode extends NodeBase {
  readonly kind: 'merge'
}
/** Sets the stream key. Physical re-partitioning happens only where an operator or a topic downstream needs it. */
export interface KeyByNode extends NodeBase {
  readonly kind: 'key-by'
  readonly by: readonly string[] | Lambda
}
/** Through a user's topic and back: a tick ends here, order and guarantee hold. */
export interface ThroughNode extends NodeBase {
  readonly kind: 'through'
  readonly topic: AnyTopic
}

export interface WindowSpec {
  readonly kind: 'tumbling'
  readonly sizeMs: number
  readonly graceMs: number
  /** Windows start at multiples of sizeMs plus this. */
  readonly offsetMs: number
}

export type AggregateSpec =
  | { readonly kind: 'count'; readonly where: Expression | null }
  | { readonly kind: 'sum' | 'min' | 'max' | 'mean' | 'count-distinct'; readonly of: Expression; readonly where: Expression | null }
  | {
      readonly kind: 'custom'
      readonly initial: Lambda
      readonly add: Lambda
      readonly remove: Lambda | null
      readonly result: Lambda | null
    }

/** groupBy [+ window] + aggregate. Behind an exchange where groups span partitions. Output rows: group fields, windowStart and
 *  windowEnd (time) when windowed, then the aggregates by name. */
export interface AggregateNode extends NodeBase {
  readonly kind: 'aggregate'
  readonly groupBy: readonly string[] | Lambda
  readonly window: WindowSpec | null
  readonly aggregates: readonly { readonly name: string; readonly spec: AggregateSpec }[]
  /** update: changed groups at each tick's end. close: each window once, when the watermark passes its end + grace (append-only). */
  readonly emit: 'update' | 'close'
  /** True when a `late` output reads this node's late records. */
  readonly hasLateOutput: boolean
}
/** The late records of a windowed aggregate, unchanged. Input: the aggregate node; rows: those of the aggregate's input. */
export interface LateNode extends NodeBase {
  readonly kind: 'late'
}
/** Drops rows whose key was seen within the horizon of event time. Exact inside the horizon. */
export interface DedupeNode extends NodeBase {
  readonly kind: 'dedupe'
  readonly by: readonly string[] | Lambda
  readonly withinMs: number
}
/** Per key, in order: state and row in, new state and rows out. Append-only. `initial()` gives the state of a new key; `step(state, row)`
 *  gives `{ state, rows }`. State is JSON; a null state forgets the key. */
export interface ScanNode extends NodeBase {
  readonly kind: 'scan'
  readonly by: readonly string[] | Lambda
  readonly initial: Lambda
  readonly step: Lambda
}
/** Each stream row looks up the table's row with the same key, as the table is at that tick. inputs = [stream, table]. */
export interface StreamTableJoinNode extends NodeBase {
  readonly kind: 'stream-table-join'
  readonly on: readonly { readonly stream: string; readonly table: string }[]
  /** inner: rows without a match are dropped and counted. left: they go on with nulls. */
  readonly type: 'inner' | 'left'
  /** Output columns, always listed; or a lambda that gets (row, tableRow or null). */
  readonly output: Lambda | readonly { readonly name: string; readonly from: 'stream' | 'table'; readonly field: string }[]
  /** Place for joins as of a time; null is the only legal value yet: the table as it is at the row's tick. */
  readonly asOf?: null
}
export interface ToTableNode extends NodeBase {
  readonly kind: 'to-table'
  readonly table: string
  readonly primaryKey: readonly string[]
  /** Rows older than this behind the watermark are dropped from the table; null keeps for ever. */
  readonly retentionMs: number | null
}
export interface ToTopicNode extends NodeBase {
  readonly kind: 'to-topic'
  readonly topic: AnyTopic
}
export interface ToSinkNode extends NodeBase {
  readonly kind: 'to-sink'
  readonly sink: AnySink
  /** What the user wants to hold, or has accepted. */
  readonly guarantee: 'exactly-once' | 'at-least-once'
  /** Rises with every rebuild into the sink; 0 is the only legal value yet. */
  readonly generation?: 0
}

export type PlanNode =
  | SourceNode
  | TableSourceNode
  | FilterNode
  | MapNode
  | FlatMapNode
  | ProjectNode
  | BranchNode
  | MergeNode
  | KeyByNode
  | ThroughNode
  | AggregateNode
  | LateNode
  | DedupeNode
  | ScanNode
  | StreamTableJoinNode
  | ToTableNode
  | ToTopicNode
  | ToSinkNode

export type PlanNodeKind = PlanNode['kind']

/** Per pipeline; each default and its reason stands in docs/settings.md. */
export interface PipelineSettings {
  /** Silence of a source partition after which it no longer holds the watermark back. Default 5,000 ms. */
  readonly idleMs: number
  /** `rate`: when all inputs are idle the watermark goes on with the wall clock. `never`: only data moves it. Default rate. */
  readonly closeWhenIdle: 'rate' | 'never'
  /** A first or single jump of event time further ahead than this is held back until confirmed. Default 86,400,000 ms. */
  readonly clockAheadMs: number
  /** Records that must confirm a jump. Default 8. */
  readonly clockConfirmations: number
  /** Share of bad records among the newest `badShareWindow` that pauses the task. Default 0.5 of 10,000. */
  readonly badShareMax: number
  readonly badShareWindow: number
  /** Most bytes of one partition in one tick. Default 64 MiB. */
  readonly tickBytesMax: number
  /** Cadence of commits under load and when little happens. Defaults 100 and 5 ms. */
  readonly commitMsMax: number
  readonly commitMsMin: number
  /** Task groups; null: the smaller of the partitions and 16. Fixed at creation. */
  readonly groups: number | null
}

export interface Plan {
  readonly pipeline: string
  readonly nodes: readonly PlanNode[]
  readonly settings: PipelineSettings
}
