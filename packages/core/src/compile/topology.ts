// The physical topology: sub-topologies of fused operators, cut at internal topics. Data only; `instantiate` turns one sub-topology into
// running operators. The compiler (topology-planner.ts) decides the cuts, the runtime (runtime/task/task.ts) runs one task per sub-topology and group.
//
// Where a plan is cut: at an exchange (a grouping whose key is not the partitioning of its input and more than one partition on either
// side), before a sink whose outage would stop something else, at `through`. Everything between two cuts is one sub-topology.
import type { Batch, Field } from '../codec/column.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { AnySink } from '../connect/sink.ts'
import type { AnyTopic } from '../connect/topic.ts'
import type { DeadLetters, OperatorCounters, TickEnd, TickStart } from '../operators/operator.ts'
import type { ChangeMode, PipelineSettings } from '../plan/node.ts'
import type { TableStore } from '../state/store.ts'

export type InputSpec =
  /** A user's topic: this task binds its partitions to ticks. `needed`: indexes into `topic.fields` of the columns that somebody reads as columns. */
  | {
      readonly kind: 'source'
      readonly name: string
      readonly topic: AnyTopic
      readonly needed: readonly number[]
      readonly table: boolean
      readonly partitions: number
    }
  /** Read to its end, in every task, before the first row of any other input. */
  | { readonly kind: 'file-table'; readonly name: string; readonly table: FileTable }
  /** Rows of other tasks, as blocks, aligned by tick. `open`: fields[0] is `$value` (variant: the row as a JavaScript value), the rest are key fields. */
  | {
      readonly kind: 'exchange'
      readonly name: string
      readonly topic: string
      readonly fields: readonly Field[]
      readonly open: boolean
      readonly mode: ChangeMode
      readonly partitions: number
      readonly producer: string
      readonly producerOutput: number
    }

export type OutputSpec =
  /** Blocks to an internal topic. `partitionBy`: indexes of the key fields; null keeps the task's own partition (group number modulo partitions). */
  | {
      readonly kind: 'exchange'
      readonly topic: string
      readonly fields: readonly Field[]
      readonly open: boolean
      readonly mode: ChangeMode
      readonly partitionBy: readonly number[] | null
      readonly partitions: number
    }
  /** JSON records to a user's topic; key = the stream key's JSON text (a plain string for a single string field), null value deletes. */
  | {
      readonly kind: 'topic'
      readonly name: string
      readonly topic: AnyTopic
      /** Null: rows of open shape, JavaScript values. */
      readonly fields: readonly Field[] | null
      readonly mode: ChangeMode
      readonly key: readonly string[] | null
      readonly partitions: number
      /** The rows are the source's records unchanged (only filtered or split): their bytes are passed on as they are. */
      readonly passThrough: boolean
    }
  /** Rows that the task itself writes into its sink: fields as in `SubTopology.sink`. */
  | { readonly kind: 'sink'; readonly name: string; readonly fields: readonly Field[]; readonly open: boolean }

/** An edge inside a sub-topology, or between an operator and an input or output of it. */
export interface TopologyEdge {
  readonly from: { readonly node: number } | { readonly input: number }
  readonly to: { readonly node: number; readonly input: number } | { readonly output: number }
}

export interface StoreSpec {
  readonly name: string
  readonly operator: string
  readonly key: readonly Field[]
  readonly value: readonly Field[]
  /** Set for the store of a `toTable`: its public name. */
  readonly table: string | null
  /** Keys begin with the start of a window, and the rows of a window leave together. */
  readonly isWindowed: boolean
}

export interface SinkSpec {
  readonly name: string
  readonly sink: AnySink
  readonly fields: readonly Field[]
  /** The rows are JavaScript values: `fields` is `$value` alone. */
  readonly open: boolean
  /** A direct sink: the output that gives it its rows. Null: the sub-topology drains one exchange into it, and has no operators. */
  readonly output: number | null
}

export interface SubTopology {
  /** Stable: derived from the names of the nodes inside, never from a position. */
  readonly name: string
  /** Task groups: partition p belongs to group p % groups. */
  readonly groups: number
  readonly inputs: readonly InputSpec[]
  readonly outputs: readonly OutputSpec[]
  readonly stores: readonly StoreSpec[]
  /** Plan nodes that become operators here, in topological order (sources, table sources, to-topic, to-sink and through are inputs and outputs). */
  readonly nodes: readonly number[]
  readonly edges: readonly TopologyEdge[]
  /** Set when this sub-topology writes into a sink. */
  readonly sink: SinkSpec | null
}

export interface InternalTopic {
  readonly name: string
  readonly partitions: number
}

export interface Topology {
  readonly pipeline: string
  readonly codeVersion: string
  readonly settings: PipelineSettings
  readonly parts: readonly SubTopology[]
  readonly internalTopics: readonly InternalTopic[]
  /** For the picture: which edges run over which topic or table. */
  readonly tables: readonly {
    readonly name: string
    readonly part: string
    readonly store: string
    readonly primaryKey: readonly string[]
    readonly retentionMs: number | null
  }[]
}

/** Receives what leaves the sub-topology: output i of SubTopology.outputs. Rows are copied before push returns. */
export interface OutputPort {
  push(output: number, batch: Batch): void
}

export interface InstantiateServices {
  readonly outputs: OutputPort
  readonly deadLetters: DeadLetters
  readonly store: (name: string) => TableStore
  /** False where `new Function` is forbidden or for the oracle: expressions are interpreted. */
  readonly codegen: boolean
  /** True in the test driver: a lazy row that is kept throws. */
  readonly guardRows: boolean
}

export interface OperatorStatus {
  readonly name: string
  readonly kind: string
  readonly counters: OperatorCounters
}

export interface TopologyInstance {
  /** Hands rows of input i (index in SubTopology.inputs) to the operators that read it. */
  process(input: number, batch: Batch): void
  startTick(start: TickStart): void
  endTick(end: TickEnd): void
  nextDue(): number
  /** Earliest event time at which an open window closes; +Infinity when none is open. */
  openUntil(): number
  /** Enters at an operator by name: retries of dead letters. False when there is no such operator. */
  enter(operator: string, input: number, batch: Batch): boolean
  /** Row layout at an operator's input, to encode and decode dead letters; null for open shapes (JSON). */
  fieldsAt(operator: string, input: number): readonly Field[] | null
  /** Whether rows can enter there. */
  hasDoor(operator: string, input: number): boolean
  readonly operators: readonly OperatorStatus[]
}
