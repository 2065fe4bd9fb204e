// Builds a plan: appends nodes, derives what follows from them, keeps names unique, freezes the result.
// Invariants: a node is checked when it is appended, with the line of the user's call; ids are positions; inputs come first; what no
// output reads is left out of the frozen plan, and a warning says so. A frozen plan holds data only (and lambdas, topics and sinks as given).
import { isDeepStrictEqual } from 'node:util'
import { assert, must } from '../base/assert.ts'
import type { Field } from '../codec/column.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { AnyTopic } from '../connect/topic.ts'
import { derive, type NodeDraft } from './derive.ts'
import type { Lambda, PipelineSettings, Plan, PlanNode, PlanNodeKind } from './node.ts'
import { OwnedPlaces } from './owned-places.ts'
import { resolveSettings } from './settings.ts'
import { refusePlan, type PlanPlace } from './shape.ts'

/** Something that works but is probably not what its author meant. */
export interface PlanWarning {
  readonly kind: 'not-consumed' | 'unnamed-state'
  readonly operator: string
  readonly place: string | null
  readonly message: string
}

/** Who appends a node, and what they call it. */
export interface AppendOptions {
  /** The user's name; null: derived from the kind and the nearest named node before. */
  readonly name: string | null
  readonly place: string | null
  /** Columns that the user declared for a lambda's result. */
  readonly declared?: readonly Field[] | null
  /** A derived name that does not follow the usual pattern (`table.hourly`). */
  readonly derivedName?: string
  /** Part of a derived name in place of the kind (`to-alerts`). */
  readonly stem?: string
}

/** Not `.` and `..`: clients and proxies take them out of an address, so `/tables/..` would never be asked for. */
const NAME_PATTERN = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/
const OUTPUTS: ReadonlySet<PlanNodeKind> = new Set(['to-table', 'to-topic', 'to-sink'])
const STATEFUL: ReadonlySet<PlanNodeKind> = new Set(['aggregate', 'dedupe', 'scan'])

/** Throws unless `name` may name an operator, a pipeline or a table. */
export function checkName(name: unknown, what: string, at: PlanPlace): asserts name is string {
  if (typeof name !== 'string' || !NAME_PATTERN.test(name))
    refusePlan('MR_PLAN_NAME_INVALID', at, `${what} \`${String(name)}\` is not a valid name.`)
}

/** Appends nodes and freezes the plan. One per pipeline; the front ends share it. */
export class PlanBuilder {
  readonly #pipeline: string
  readonly #settings: PipelineSettings
  readonly #nodes: PlanNode[] = []
  /** Name that derived names after this node start with: the nearest source or name given by the user. */
  readonly #bases: string[] = []
  readonly #ordinals = new Map<string, number>()
  readonly #byName = new Map<string, PlanNode>()
  readonly #tables = new Map<string, PlanNode>()
  readonly #topics = new Map<string, { readonly declared: AnyTopic | FileTable; readonly place: string | null }>()
  readonly #places = new OwnedPlaces()
  readonly #unnamed: number[] = []
  #frozen = false

  constructor(pipeline: string, settings: Partial<PipelineSettings>) {
    checkName(pipeline, 'the pipeline', { operator: 'pipeline', place: null })
    this.#pipeline = pipeline
    this.#settings = resolveSettings(settings, pipeline)
  }

  /** The node of an id, as it was appended. */
  node(id: number): PlanNode {
    return must(this.#nodes[id], `plan node ${id}`)
  }

  /** A fresh derived name: `<base>.<stem>-<n>`, counted per base and stem, so that it depends on nothing else in the plan. */
  deriveName(input: number | null, stem: string): string {
    const base = input === null ? this.#pipeline : must(this.#bases[input], `base of node ${input}`)
    for (;;) {
      const ordinal = (this.#ordinals.get(`${base}/${stem}`) ?? 0) + 1
      this.#ordinals.set(`${base}/${stem}`, ordinal)
      const name = `${base}.${stem}-${ordinal}`
      if (!this.#byName.has(name)) return name
    }
  }

  /**
   * Appends a node and returns it.
   * @throws {MillraceError} `MR_PLAN_*` when the node cannot stand there or its name is taken.
   */
  append(draft: NodeDraft, options: AppendOptions): PlanNode {
    const input = draft.inputs[0] ?? null
    const name = options.name ?? options.derivedName ?? this.deriveName(input, options.stem ?? draft.kind)
    const at: PlanPlace = { operator: name, place: options.place }
    if (this.#frozen) refusePlan('MR_PLAN_FINISHED', at, `\`${name}\` was added after the pipeline \`${this.#pipeline}\` was built.`)
    if (draft.kind === 'to-table') checkName(draft.table, 'the table', at)
    checkName(name, 'the operator', at)
    this.#refuseTakenName(name, at)
    const inputs = draft.inputs.map((id) => this.node(id))
    for (const node of inputs) assert(!OUTPUTS.has(node.kind), () => `an output cannot be an input: ${node.name}`)
    const derived = derive(draft, { inputs, declared: options.declared ?? null, at, below: (id) => this.node(id) })
    if ('topic' in draft) this.declare(draft.topic, at)
    if (draft.kind === 'table-source') this.declare(draft.from, at)
    if (draft.kind === 'to-topic' || draft.kind === 'through') this.#refuseLoop(draft.topic, draft.inputs, at)
    const node = {
      ...draft,
      ...derived,
      id: this.#nodes.length,
      name,
      place: options.place,
      ...(draft.kind === 'aggregate' ? { hasLateOutput: false } : {}),
    } as PlanNode
    if (node.kind === 'to-table') this.#claimTable(node.table, node, at)
    if (node.kind === 'to-sink') this.#places.take(this.#pipeline, node)
    this.#nodes.push(node)
    this.#byName.set(name, node)
    this.#bases.push(options.name !== null || input === null ? name : must(this.#bases[input], 'base of the input'))
    if (options.name === null && STATEFUL.has(draft.kind)) this.#unnamed.push(node.id)
    return node
  }

  #refuseTakenName(name: string, at: PlanPlace): void {
    const taken = this.#byName.get(name)
    if (taken === undefined) return
    refusePlan('MR_PLAN_NAME_TAKEN', at, `the name \`${name}\` is taken by the ${taken.kind} at ${taken.place ?? 'another place'}.`)
  }

  /**
   * Notes a topic or file table: one name has one declaration in a pipeline.
   * @throws {MillraceError} `MR_PLAN_TOPIC_CONFLICT`.
   */
  declare(declared: AnyTopic | FileTable, at: PlanPlace): void {
    const known = this.#topics.get(declared.name)
    if (known === undefined) this.#topics.set(declared.name, { declared, place: at.place })
    else if (known.declared !== declared && !isDeepStrictEqual(known.declared, declared)) {
      refusePlan(
        'MR_PLAN_TOPIC_CONFLICT',
        at,
        `\`${declared.name}\` is used at ${known.place ?? 'another place'} with another declaration.`,
      )
    }
  }

  #claimTable(table: string, node: PlanNode, at: PlanPlace): void {
    const taken = this.#tables.get(table)
    if (taken !== undefined)
      refusePlan('MR_PLAN_NAME_TAKEN', at, `the table \`${table}\` is written at ${taken.place ?? 'another place'} already.`)
    this.#tables.set(table, node)
  }

  #refuseLoop(topic: AnyTopic, inputs: readonly number[], at: PlanPlace): void {
    const open = [...inputs]
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const node = this.node(id)
      const from =
        node.kind === 'source' || node.kind === 'through' ? node.topic.name : node.kind === 'table-source' ? node.from.name : null
      if (from === topic.name) refusePlan('MR_PLAN_TOPIC_LOOP', at, `rows of the topic \`${topic.name}\` are written back to it.`)
      open.push(...node.inputs)
    }
  }

  /** Nearest `keyBy` with a lambda before a node, as long as the key was only carried since; null when there is none. */
  keyLambda(id: number): Lambda | null {
    for (let node = this.node(id); ; node = this.node(must(node.inputs[0], 'input'))) {
      if (node.kind === 'key-by') return typeof node.by === 'function' ? node.by : null
      if (node.kind !== 'filter' && node.kind !== 'branch' && node.kind !== 'dedupe') return null
    }
  }

  /**
   * Ends the building: the frozen plan and the warnings.
   * @throws {MillraceError} `MR_PLAN_EMPTY` when nothing leaves the pipeline.
   */
  freeze(place: string | null = null): { readonly plan: Plan; readonly warnings: readonly PlanWarning[] } {
    this.#frozen = true
    const live = this.#live()
    if (live.size === 0) {
      refusePlan('MR_PLAN_EMPTY', { operator: this.#pipeline, place }, `the pipeline \`${this.#pipeline}\` has no output.`)
    }
    const ids = new Map([...live].sort((a, b) => a - b).map((id, index) => [id, index]))
    const withLate = new Set(this.#nodes.filter((node) => node.kind === 'late' && live.has(node.id)).map((node) => node.inputs[0]))
    const nodes = [...ids].map(([id, index]) => {
      const node = this.node(id)
      const inputs = node.inputs.map((input) => must(ids.get(input), 'live input'))
      return freezeNode(
        node.kind === 'aggregate' ? { ...node, id: index, inputs, hasLateOutput: withLate.has(id) } : { ...node, id: index, inputs },
      )
    })
    const plan: Plan = Object.freeze({ pipeline: this.#pipeline, nodes: Object.freeze(nodes), settings: this.#settings })
    return { plan, warnings: Object.freeze(this.#warnings(live)) }
  }

  /** Ids of the nodes that some output reads, outputs included. */
  #live(): Set<number> {
    const live = new Set<number>()
    for (let id = this.#nodes.length - 1; id >= 0; id--) {
      const node = this.node(id)
      if (OUTPUTS.has(node.kind)) live.add(id)
      if (live.has(id)) for (const input of node.inputs) live.add(input)
    }
    return live
  }

  #warnings(live: ReadonlySet<number>): PlanWarning[] {
    const read = new Set(this.#nodes.flatMap((node) => node.inputs))
    const warnings: PlanWarning[] = []
    for (const node of this.#nodes) {
      // A branch that nobody takes is no mistake: its rows are meant to be dropped.
      if (live.has(node.id) || read.has(node.id) || node.kind === 'branch') continue
      warnings.push({
        kind: 'not-consumed',
        operator: node.name,
        place: node.place,
        message: `nobody reads the stream \`${node.name}\`, so it does no work; end it with \`.to(...)\` or \`.toTable(...)\`, or remove it.`,
      })
    }
    for (const id of this.#unnamed) {
      const node = this.node(id)
      if (!live.has(id)) continue
      warnings.push({
        kind: 'unnamed-state',
        operator: node.name,
        place: node.place,
        message: `the ${node.kind} \`${node.name}\` keeps state under a derived name; give it a \`name\`, so that an edit before it cannot lose that state.`,
      })
    }
    return warnings
  }
}

/** Freezes a node and the plain data in it; topics, sinks and lambdas stay as they were given. */
function freezeNode(node: PlanNode): PlanNode {
  for (const [name, value] of Object.entries(node)) if (name !== 'sink' && name !== 'topic' && name !== 'from') deepFreeze(value)
  return Object.freeze(node)
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
}
