// Rewrites that pay: which fields each node's rows must have as columns, so that sources decode and exchanges carry no more than that.
// Law: a node computes the same over rows that have only the needed fields (checked against the interpreter by the compiler's tests).
import type { Expression } from './expression.ts'
import { eachField } from './expression-type.ts'
import type { Lambda, Plan, PlanNode } from './node.ts'
import { visit, type PlanVisitor } from './visitor.ts'

/** Fields of a node's rows that somebody behind it reads; `all` of them. */
export type NeededFields = ReadonlySet<string> | 'all'

export interface NeededOptions {
  /**
   * What a lambda over the row needs. `all` (default): it may read any field, so all must be there, as behind an exchange. `none`: lambdas
   * read lazily from the record's own bytes, as in the task that reads the source, and need no column.
   */
  readonly lambdas?: 'all' | 'none'
}

/** Collects what the readers of each node need; nodes are visited from the outputs to the sources. */
class Needs {
  readonly #needs: (Set<string> | 'all')[]
  readonly lambdasNeedAll: boolean

  constructor(plan: Plan, lambdasNeedAll: boolean) {
    this.#needs = plan.nodes.map(() => new Set<string>())
    this.lambdasNeedAll = lambdasNeedAll
  }

  of(id: number): NeededFields {
    return this.#needs[id] ?? 'all'
  }

  /** The rows of `id` need `fields`. */
  add(id: number | undefined, fields: Iterable<string> | 'all'): void {
    if (id === undefined) return
    const known = this.#needs[id]
    if (known === undefined || known === 'all') return
    if (fields === 'all') this.#needs[id] = 'all'
    else for (const field of fields) known.add(field)
  }

  addExpression(id: number | undefined, expression: Expression): void {
    eachField(expression, (field) => this.add(id, [field]))
  }

  addLambda(id: number | undefined): void {
    if (this.lambdasNeedAll) this.add(id, 'all')
  }

  /** A predicate or a key: names, an expression or a lambda. */
  addReader(id: number | undefined, reader: Lambda | Expression | readonly string[]): void {
    if (typeof reader === 'function') this.addLambda(id)
    else if ('kind' in reader) this.addExpression(id, reader)
    else this.add(id, reader)
  }
}

const nothing = (): void => {}

const NEEDS: PlanVisitor<void, readonly [needs: Needs, plan: Plan]> = {
  source: nothing,
  'table-source': nothing,
  filter: (node, needs) => {
    needs.add(node.inputs[0], needs.of(node.id))
    needs.addReader(node.inputs[0], node.predicate)
  },
  map: (node, needs) => needs.addLambda(node.inputs[0]),
  'flat-map': (node, needs) => needs.addLambda(node.inputs[0]),
  project: (node, needs) => {
    for (const column of node.columns) needs.addExpression(node.inputs[0], column.value)
  },
  branch: (node, needs) => {
    needs.add(node.inputs[0], needs.of(node.id))
    for (const predicate of node.predicates) needs.addReader(node.inputs[0], predicate)
  },
  merge: (node, needs) => {
    for (const input of node.inputs) needs.add(input, needs.of(node.id))
  },
  'key-by': (node, needs) => {
    needs.add(node.inputs[0], needs.of(node.id))
    needs.addReader(node.inputs[0], node.by)
  },
  // The topic keeps whole rows, whatever is read from it afterwards.
  through: (node, needs) => needs.add(node.inputs[0], 'all'),
  aggregate: (node, needs) => {
    needs.addReader(node.inputs[0], node.groupBy)
    for (const { spec } of node.aggregates) {
      if (spec.kind === 'custom') needs.addLambda(node.inputs[0])
      else {
        if (spec.kind !== 'count') needs.addExpression(node.inputs[0], spec.of)
        if (spec.where !== null) needs.addExpression(node.inputs[0], spec.where)
      }
    }
  },
  // Late rows are rows of the aggregate's input.
  late: (node, needs, plan) => needs.add(plan.nodes[node.inputs[0] ?? -1]?.inputs[0], needs.of(node.id)),
  dedupe: (node, needs) => {
    needs.add(node.inputs[0], needs.of(node.id))
    needs.addReader(node.inputs[0], node.by)
  },
  scan: (node, needs) => {
    needs.addReader(node.inputs[0], node.by)
    needs.addLambda(node.inputs[0])
  },
  'stream-table-join': (node, needs, plan) => {
    const [stream, table] = node.inputs
    for (const pair of node.on) {
      needs.add(stream, [pair.stream])
      needs.add(table, [pair.table])
    }
    needs.add(table, plan.nodes[table ?? -1]?.key ?? [])
    if (typeof node.output === 'function') {
      needs.addLambda(stream)
      // The table is kept as columns: a lambda reads its rows from there.
      needs.add(table, 'all')
    } else for (const column of node.output) needs.add(column.from === 'stream' ? stream : table, [column.field])
  },
  'to-table': (node, needs) => needs.add(node.inputs[0], 'all'),
  'to-topic': (node, needs) => needs.add(node.inputs[0], 'all'),
  'to-sink': (node, needs) => needs.add(node.inputs[0], 'all'),
}

/**
 * For each node, the fields of its rows that somebody behind it needs. Event time and the key of update streams are included where an
 * operator uses them; a source's own `eventTime` is its decoder's business.
 */
export function neededFields(plan: Plan, options: NeededOptions = {}): ReadonlyMap<number, NeededFields> {
  const needs = new Needs(plan, options.lambdas !== 'none')
  for (const node of [...plan.nodes].reverse()) visit(NEEDS, node, needs, plan)
  return new Map(plan.nodes.map((node: PlanNode) => [node.id, needs.of(node.id)]))
}
