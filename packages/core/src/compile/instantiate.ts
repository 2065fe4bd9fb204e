// Turns one sub-topology into running operators.
import type { Plan, PlanNode } from '../plan/node.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { FileTableRows } from './file-table.ts'
import type { RecordEncoder } from './record-encoder.ts'
import type { SourceDecoder } from './source-decoder.ts'
import type { InputSpec, InstantiateServices, OutputSpec, StoreSpec, SubTopology, TopologyInstance } from './topology.ts'

/** The compiler as the runtime sees it: handed in, so that tests can put the interpreter in its place. */
export interface Compiler {
  /** Fields of each node's output that somebody downstream reads as columns. */
  neededFields(plan: Plan): ReadonlyMap<number, ReadonlySet<string> | 'all'>
  stores(plan: Plan, node: PlanNode): readonly StoreSpec[]
  instantiate(plan: Plan, part: SubTopology, services: InstantiateServices): TopologyInstance
  sourceDecoder(plan: Plan, input: Extract<InputSpec, { kind: 'source' }>, codegen: boolean): SourceDecoder
  /** The rows of a file table, from the file's bytes. Throws MR_TABLE_FILE; bad lines are among the rows. */
  fileTable(table: FileTable, bytes: Uint8Array): Iterable<FileTableRows>
  recordEncoder(output: Extract<OutputSpec, { kind: 'topic' }>, codegen: boolean): RecordEncoder
}
