// Turns a sub-topology into running operators: makes them in plan order, connects them along the edges, and drives them tick by tick.
import type { Batch, Field } from '../codec/column.ts'
import type { DeadLetters, Operator, OperatorContext, Output, TickEnd, TickStart } from '../operators/operator.ts'
import type { Plan, PlanNode, RowShape } from '../plan/node.ts'
import type { InstantiateServices, OperatorStatus, OutputSpec, SubTopology, TopologyEdge, TopologyInstance } from './topology.ts'
import { must } from '../base/assert.ts'
import { fieldsOfShape } from '../plan/shape.ts'
import { lambdaRows, OperatorFactory } from './operator-factory.ts'
import { retriedBatch } from './retried-row.ts'
import { keySource, LAMBDA_KEY } from './row-access.ts'
import { exchangeTopic } from './topology-planner.ts'
import { ExchangeReader, ExchangeWriter, FanOut, KEY_SOURCE, newCounters, OperatorInput, PortOutput, ROW_SOURCE } from './wiring.ts'

/** The operators of `part`, with their state where `services.store` left it. */
export function instantiate(plan: Plan, part: SubTopology, services: InstantiateServices): TopologyInstance {
  return new Instance(plan, part, services)
}

interface Entry {
  readonly node: PlanNode
  readonly context: OperatorContext
  readonly output: FanOut
  readonly late: FanOut | null
  readonly operator: Operator
}

type BranchNode = Extract<PlanNode, { kind: 'branch' }>

class Instance implements TopologyInstance {
  readonly operators: readonly OperatorStatus[]
  readonly #plan: Plan
  readonly #part: SubTopology
  readonly #services: InstantiateServices
  readonly #deadLetters: DeadLetters
  readonly #factory: OperatorFactory
  readonly #entries = new Map<number, Entry>()
  /** Each operator once, in plan order. */
  readonly #order: Operator[] = []
  readonly #inputs: readonly FanOut[]
  /** Ways in for dead letters: operators, and exchanges whose key could not be made, by the reader's name. */
  readonly #doors = new Map<string, { readonly shapes: readonly RowShape[]; readonly inputs: readonly Output[] }>()

  constructor(plan: Plan, part: SubTopology, services: InstantiateServices) {
    this.#plan = plan
    this.#part = part
    this.#services = services
    this.#deadLetters = services.deadLetters
    this.#factory = new OperatorFactory(plan, services)
    for (const id of part.nodes) this.#add(must(plan.nodes[id], `node ${id}`))
    this.#inputs = part.inputs.map(() => new FanOut(null))
    for (const edge of part.edges) this.#connect(edge)
    this.operators = [...this.#entries.values()].map(({ node, context }) => ({
      name: node.name,
      kind: node.kind,
      counters: context.counters,
    }))
  }

  #add(node: PlanNode): void {
    const counters = newCounters()
    const output = new FanOut(counters)
    const late = node.kind === 'aggregate' && node.hasLateOutput ? new FanOut(null) : null
    const context: OperatorContext = {
      name: node.name,
      output,
      lateOutput: late,
      deadLetters: this.#deadLetters,
      counters,
      store: this.#services.store,
    }
    const twin = node.kind === 'branch' ? this.#twinOf(node) : undefined
    const operator = twin?.operator ?? (node.kind === 'branch' ? this.#makeBranch(node, context) : this.#factory.make(node, context))
    if (twin === undefined) this.#order.push(operator)
    this.#entries.set(node.id, {
      node,
      context: node.kind === 'branch' ? must(this.#branchContexts.get(node.id), 'branch') : context,
      output: node.kind === 'branch' ? must(this.#branchOutputs.get(node.id), 'branch') : output,
      late,
      operator,
    })
    const shapes = node.inputs.map((input) => this.#shapeInto(node, input))
    this.#doors.set(node.name, {
      shapes,
      inputs: shapes.map((_, index) => new OperatorInput(operator, index, node.kind === 'branch' ? null : counters)),
    })
  }

  // Branches of one call.

  readonly #branchContexts = new Map<number, OperatorContext>()
  readonly #branchOutputs = new Map<number, FanOut>()

  #isTwin(a: BranchNode, b: PlanNode): b is BranchNode {
    return (
      b.kind === 'branch' &&
      b.inputs[0] === a.inputs[0] &&
      b.predicates.length === a.predicates.length &&
      b.predicates.every((predicate, index) => predicate === a.predicates[index])
    )
  }

  #twinOf(node: BranchNode): Entry | undefined {
    return [...this.#entries.values()].find((entry) => this.#isTwin(node, entry.node))
  }

  #makeBranch(node: BranchNode, context: OperatorContext): Operator {
    const branches: (OperatorContext | null)[] = Array.from({ length: node.predicates.length + 1 }, () => null)
    for (const id of this.#part.nodes) {
      const other = must(this.#plan.nodes[id], `node ${id}`)
      if (!this.#isTwin(node, other)) continue
      const counters = newCounters()
      const output = new FanOut(counters)
      const own = { ...context, name: other.name, counters, output }
      this.#branchContexts.set(id, own)
      this.#branchOutputs.set(id, output)
      branches[other.index] = own
    }
    return this.#factory.branch(node, context, branches)
  }

  // Edges.

  /** The shape of the rows that reach `node` from `input`; late rows are those of the aggregate's input. */
  #shapeInto(node: PlanNode, input: number): RowShape {
    return node.kind === 'late' ? node.shape : must(this.#plan.nodes[input], `node ${input}`).shape
  }

  #connect({ from, to }: TopologyEdge): void {
    if ('node' in to) return this.#connectOperator(from, to)
    const spec = must(this.#part.outputs[to.output], `output ${to.output}`)
    const port = new PortOutput(this.#services.outputs, to.output)
    const node = this.#nodeOf(from)
    // A topic refuses rows that it cannot hold: they come back in where they failed.
    if (spec.kind === 'topic') this.#doors.set(spec.name, { shapes: [node.shape], inputs: [port] })
    this.#fanOut(from, false).targets.push(this.#outputTarget(spec, node, port))
  }

  #outputTarget(spec: OutputSpec, node: PlanNode, port: Output): Output {
    if (spec.kind === 'exchange') return this.#exchangeWriter(spec, node, port)
    // Sinks know columns only: open rows come as the values of one.
    return spec.kind === 'sink' && spec.open ? new ExchangeWriter(port, [ROW_SOURCE], null) : port
  }

  #connectOperator(from: TopologyEdge['from'], to: { readonly node: number; readonly input: number }): void {
    const { node, operator } = must(this.#entries.get(to.node), `operator ${to.node}`)
    const first = [...this.#entries.values()].find((entry) => entry.operator === operator)
    // Of the branches of a call one stands for all.
    if (first?.node !== node) return
    const door = must(this.#doors.get(node.name)?.inputs[to.input], `input ${to.input} of ${node.name}`)
    const spec = 'input' in from ? this.#part.inputs[from.input] : undefined
    const shape = fieldsOfShape(this.#shapeInto(node, must(node.inputs[to.input], 'input')))
    const isCarried = spec?.kind === 'exchange' && shape !== null
    this.#fanOut(from, node.kind === 'late').targets.push(isCarried ? new ExchangeReader(door, spec.fields, shape, LAMBDA_KEY) : door)
  }

  #fanOut(from: TopologyEdge['from'], isLate: boolean): FanOut {
    if ('input' in from) return must(this.#inputs[from.input], `input ${from.input}`)
    const entry = must(this.#entries.get(from.node), `operator ${from.node}`)
    return isLate ? must(entry.late, 'late output') : entry.output
  }

  /** The plan node whose rows leave over an edge. */
  #nodeOf(from: TopologyEdge['from']): PlanNode {
    if ('node' in from) return must(this.#plan.nodes[from.node], `node ${from.node}`)
    const { name } = must(this.#part.inputs[from.input], `input ${from.input}`)
    return must(
      this.#plan.nodes.find((node) => node.name === name),
      `source ${name}`,
    )
  }

  #exchangeWriter(spec: Extract<OutputSpec, { kind: 'exchange' }>, node: PlanNode, port: Output): Output {
    const fields = fieldsOfShape(node.shape)
    const known = fields?.map((field) => field.name) ?? ['$value']
    const missing = spec.fields.filter((field) => !known.includes(field.name))
    const keys = missing.length === 0 ? null : this.#carriedKey(spec, node, missing, port)
    const sources = spec.fields.map((field) => {
      const at = missing.indexOf(field)
      if (at >= 0) return KEY_SOURCE - at
      return fields === null ? ROW_SOURCE : known.indexOf(field.name)
    })
    const writer = new ExchangeWriter(port, sources, keys?.source ?? null)
    if (keys !== null) this.#doors.set(keys.reader, { shapes: [node.shape], inputs: [writer] })
    return writer
  }

  /** The key that the reader of an exchange asks for: a lambda, or properties of open rows. */
  #carriedKey(
    spec: Extract<OutputSpec, { kind: 'exchange' }>,
    node: PlanNode,
    missing: readonly Field[],
    _port: Output,
  ): { readonly source: ReturnType<typeof keySource>; readonly reader: string } {
    const reader = must(
      this.#plan.nodes.find((other) =>
        other.inputs.some((input, index) => input === node.id && exchangeTopic(this.#plan.pipeline, other.name, index) === spec.topic),
      ),
      `reader of ${spec.topic}`,
    )
    const lambda =
      'groupBy' in reader && typeof reader.groupBy === 'function'
        ? reader.groupBy
        : 'by' in reader && typeof reader.by === 'function'
          ? reader.by
          : null
    const by = missing.some((field) => field.name === LAMBDA_KEY) ? must(lambda, 'the key as a lambda') : missing.map((field) => field.name)
    return {
      source: keySource(node.shape, by, lambdaRows(node.shape, this.#services), {
        operator: reader.name,
        input: 0,
        deadLetters: this.#deadLetters,
      }),
      reader: reader.name,
    }
  }

  // Running.

  process(input: number, batch: Batch): void {
    if (batch.selectedCount > 0) must(this.#inputs[input], `input ${input}`).push(batch)
  }

  startTick(start: TickStart): void {
    for (const operator of this.#order) operator.startTick(start)
  }

  endTick(end: TickEnd): void {
    for (const operator of this.#order) operator.endTick(end)
  }

  nextDue(): number {
    let due = Infinity
    for (const operator of this.#order) due = Math.min(due, operator.nextDue())
    return due
  }

  openUntil(): number {
    let until = Infinity
    for (const operator of this.#order) until = Math.min(until, operator.openUntil?.() ?? operator.nextDue())
    return until
  }

  enter(operator: string, input: number, batch: Batch): boolean {
    const door = this.#doors.get(operator)
    const target = door?.inputs[input]
    const shape = door?.shapes[input]
    if (target === undefined || shape === undefined) return false
    const entering = retriedBatch(batch, fieldsOfShape(shape), (row, error) =>
      this.#services.deadLetters.reject(operator, input, batch, row, error),
    )
    if (entering !== null) target.push(entering)
    return true
  }

  hasDoor(operator: string, input: number): boolean {
    return this.#doors.get(operator)?.inputs[input] !== undefined
  }

  fieldsAt(operator: string, input: number): readonly Field[] | null {
    const shape = this.#doors.get(operator)?.shapes[input]
    return shape === undefined ? null : fieldsOfShape(shape)
  }
}
