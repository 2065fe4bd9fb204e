// `pipeline(name, build)`: runs the user's function once, at once, and gives the frozen plan.
import { MillraceError } from '../base/errors.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { AnyTopic, TopicDeclaration } from '../connect/topic.ts'
import type { PipelineSettings, Plan } from '../plan/node.ts'
import type { NodeDraft } from '../plan/derive.ts'
import { PlanBuilder, type PlanWarning } from '../plan/plan.ts'
import { refusePlan } from '../plan/shape.ts'
import { append, notYet, placeOf, startCall, type Call } from './append.ts'
import { placeOfCall, type Caller } from '../base/place-of-call.ts'
import { tablesIn, type TablesOf } from './live-table.ts'
import { Stream } from './stream.ts'
import { Table } from './table.ts'
import type { FileTableDeclaration, KeyedTopic } from './topic.ts'
import type { Flat, MillraceTypeError } from './types.ts'

/** A pipeline as data: what `export default pipeline(...)` exports and the runtime, the tools and the tests take. */
export interface PipelineDefinition<Tables = unknown> {
  readonly kind: 'pipeline'
  readonly name: string
  readonly plan: Plan
  /** What works but is probably not meant: streams that nobody reads, state under a derived name. */
  readonly warnings: readonly PlanWarning[]
  /** By name, the tables that the pipeline's function returns: what tests read them by. */
  readonly tables: Tables
}

/** Type of a table's key. */
type TableKey<V, F> = [F] extends [keyof V] ? Flat<Pick<V, F>> : never

/** The inside of a pipeline: where its streams and tables come from. */
export class Mill {
  readonly #builder: PlanBuilder
  readonly #streams = new Map<string, number>()
  readonly #tables = new Map<string, number>()

  constructor(builder: PlanBuilder) {
    this.#builder = builder
  }

  /**
   * The records of a topic as a stream of facts, from its start unless the runtime is told otherwise. Time: the topic's `eventTime` field,
   * else the record's timestamp. Order: by offset inside a partition. Key: as the records came. Called twice with one topic it gives the
   * same stream. Records that do not fit the schema go to the dead letters.
   * @example const orders = mill.from(orderTopic)
   * @throws {MillraceError} `MR_PLAN_TOPIC_CONFLICT` when the pipeline knows the topic by another declaration.
   */
  from<V>(topic: TopicDeclaration<V>, options?: { readonly follow?: never }): Stream<null, V> {
    const call = startCall(this.#builder, null, 'from', this.from as Caller)
    if ((options as { readonly follow?: unknown } | undefined)?.follow !== undefined)
      notYet(call, "followers of another pipeline's ticks", 'Leave `follow` out: each pipeline binds its own ticks.')
    const declared = topicOf(call, topic)
    return new Stream(
      this.#builder,
      this.#once(call, this.#streams, { kind: 'source', inputs: [], topic: declared }, declared, declared.name),
    )
  }

  /**
   * A table: the newest row per key, from a topic with a `key` or from a file. It changes tick by tick, takes no part in the watermark and
   * is read to its end (a file) or to its end at start (a topic) before the first stream record that joins it. State: one row per key.
   * @example const airports = mill.table(fileTable({ name: 'airports', path: 'airports.csv', format: 'csv', value: airport, key: 'iata' }))
   * @throws {MillraceError} `MR_PLAN_KEY_MISSING` for a topic without `key`; `MR_PLAN_TOPIC_CONFLICT`.
   */
  table<V, F extends string>(
    from: (KeyedTopic<V, F, unknown> | FileTableDeclaration<V, F>) &
      ([F] extends [never] ? MillraceTypeError<"table: the topic has no key; declare it with key: 'field'"> : unknown),
  ): Table<TableKey<V, F>, V> {
    const call = startCall(this.#builder, null, 'table', this.table as Caller)
    const given: unknown = from
    const declared = (given as FileTable | null)?.kind === 'file-table' ? (given as FileTable) : topicOf(call, given)
    const name = declared.kind === 'topic' ? `${declared.name}.table` : declared.name
    return new Table(this.#builder, this.#once(call, this.#tables, { kind: 'table-source', inputs: [], from: declared }, declared, name))
  }

  /** The node of a topic or table: made at the first call, the same after that. */
  #once(call: Call, nodes: Map<string, number>, draft: NodeDraft, declared: AnyTopic | FileTable, name: string): number {
    this.#builder.declare(declared, { operator: name, place: call.place })
    const known = nodes.get(declared.name)
    if (known !== undefined) return known
    const { id } = append(call, draft, { name })
    nodes.set(declared.name, id)
    return id
  }
}

function topicOf(call: Call, given: unknown): AnyTopic {
  if ((given as AnyTopic | null | undefined)?.kind !== 'topic')
    refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), `\`${call.method}\` needs a topic: \`topic(name, { value })\`.`)
  return given as AnyTopic
}

/**
 * Defines a pipeline. The function runs once, at once, and only describes; the runtime reads the plan that comes out. It must not be async.
 *
 * @param build May return its tables, as `toTable` gives them, alone or in a list: they are `tables` of the definition.
 * @param settings Over the defaults of docs/settings.md.
 * @example
 * export default pipeline('web', (mill) => {
 *   return mill.from(hits).groupBy('url').window(tumbling({ sizeMs: 60_000 }))
 *     .aggregate({ hits: count() }, { name: 'per-minute' }).toTable('per_minute')
 * })
 * @throws {MillraceError} `MR_PLAN_*`: everything that can be known to be wrong before anything runs, with the line of the call.
 */
export function pipeline<R = void>(
  name: string,
  build: (mill: Mill) => R,
  settings: Partial<PipelineSettings> = {},
): PipelineDefinition<TablesOf<R>> {
  const place = placeOfCall(pipeline as Caller)
  const builder = new PlanBuilder(name, settings)
  const result = build(new Mill(builder))
  if (typeof (result as { readonly then?: unknown } | null | undefined)?.then === 'function') {
    throw new MillraceError('MR_PLAN_FINISHED', {
      message: `the function of the pipeline \`${name}\` is async.`,
      details: { pipeline: name, ...(place === null ? {} : { place }) },
    })
  }
  const { plan, warnings } = builder.freeze(place)
  return Object.freeze({ kind: 'pipeline', name, plan, warnings, tables: tablesIn(result) })
}

/** The row type of a stream or a table: `type Row = RowOf<typeof big>`. */
export type RowOf<S> = S extends { readonly '~types': { readonly value: infer V } } ? V : never
/** The key type of a stream or a table. */
export type KeyOf<S> = S extends { readonly '~types': { readonly key: infer K } } ? K : never
