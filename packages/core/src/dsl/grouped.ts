// Streams on their way to an aggregate: grouped, perhaps windowed. Nothing is in the plan until `aggregate`.

import type { AggregateSpec, Lambda, WindowSpec } from '../plan/node.ts'
import type { PlanBuilder } from '../plan/plan.ts'
import { refusePlan } from '../plan/shape.ts'
import type { AggregateResults, AnyAggregate, CheckedAggregates } from './aggregates.ts'
import { append, checkOptions, lambdaOf, notYet, placeOf, startCall, type Call } from './append.ts'
import type { Caller } from '../base/place-of-call.ts'
import type { Stream } from './stream.ts'
import type { Flat, Named } from './types.ts'

/** Options of a windowed `aggregate`. */
export interface WindowedAggregateOptions<K, V> extends Named {
  /**
   * When results leave. `update` (default): at the end of every tick, each group that changed, as an update of its earlier row: fresh, and
   * only for tables and targets that take updates. `close`: each window once, when the watermark passes its end and grace: a final fact.
   */
  readonly emit?: 'update' | 'close'
  /** Gets the late records, unchanged, as a stream. Without it they are counted and go to the dead letters. */
  readonly late?: (late: Stream<K, V>) => void
}

/** What a group is made of: node to read, names or lambda. */
export interface Grouping {
  readonly builder: PlanBuilder
  readonly input: number
  readonly by: readonly string[] | Lambda
  /** Makes the stream of a node. */
  readonly streamOf: <K, V>(id: number) => Stream<K, V>
}

function specsOf(
  call: Call,
  aggregates: Readonly<Record<string, unknown>>,
): readonly { readonly name: string; readonly spec: AggregateSpec }[] {
  if (typeof aggregates !== 'object' || aggregates === null)
    refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`aggregate` needs an object of aggregates.')
  return Object.entries(aggregates).map(([name, value]) => {
    const one = value as { readonly kind?: unknown; readonly spec?: AggregateSpec } | null | undefined
    if (one?.kind === 'aggregate' && one.spec !== undefined) return { name, spec: one.spec }
    return refusePlan(
      'MR_PLAN_FIELD_TYPE',
      placeOf(call),
      `\`${name}\` is not an aggregate.`,
      'Use count(), sum(...), min(...), max(...), mean(...), countDistinct(...) or custom({ ... }).',
    )
  })
}

/** Rows in groups. `G`: the columns that name a group. */
export class GroupedStream<K, V, G> {
  readonly #grouping: Grouping

  constructor(grouping: Grouping) {
    this.#grouping = grouping
  }

  /**
   * Cuts each group into windows of event time. Takes facts only.
   * @example hits.groupBy('url').window(tumbling({ sizeMs: 60_000 }))
   * @throws {MillraceError} `MR_PLAN_NOT_YET` for windows other than tumbling; `MR_PLAN_UPDATE_REFUSED` (at `aggregate`) on a stream of updates.
   */
  window(window: WindowSpec): WindowedStream<K, V, G> {
    const call = startCall(this.#grouping.builder, this.#grouping.input, 'window', this.window as Caller)
    const kind: unknown = (window as { readonly kind?: unknown } | null | undefined)?.kind
    if (kind !== 'tumbling') notYet(call, `\`${String(kind)}\` windows`, 'Use `tumbling({ sizeMs })`.')
    return new WindowedStream(this.#grouping, window)
  }

  /**
   * One row per group, kept current: the group's columns, then each aggregate under its name. Gives updates: at the end of every tick each
   * group that changed replaces its earlier row. Key: the group's columns. State: one row per group, for ever; window the group to bound it.
   * Exactly once. Behind an exchange where a group's rows lie in several partitions.
   * @example orders.groupBy('country').aggregate({ orders: count(), revenue: sum('amount') }, { name: 'by-country' }).toTable('by_country')
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_FIELD_TYPE`, `MR_PLAN_FIELD_TAKEN`, `MR_PLAN_NAME_TAKEN`.
   */
  aggregate<const A extends Readonly<Record<string, AnyAggregate<V>>>>(
    aggregates: A & CheckedAggregates<V, A>,
    options?: Named,
  ): Stream<G, Flat<G & AggregateResults<V, A>>> {
    const { builder, input, by, streamOf } = this.#grouping
    const call = startCall(builder, input, 'aggregate', this.aggregate as Caller)
    checkOptions(call, options, ['name'])
    const node = append(
      call,
      { kind: 'aggregate', inputs: [input], groupBy: by, window: null, aggregates: specsOf(call, aggregates), emit: 'update' },
      { name: options?.name },
    )
    return streamOf(node.id)
  }
}

/** Rows in groups and windows. */
export class WindowedStream<K, V, G> {
  readonly #grouping: Grouping
  readonly #window: WindowSpec

  constructor(grouping: Grouping, window: WindowSpec) {
    this.#grouping = grouping
    this.#window = window
  }

  /**
   * One row per group and window: the group's columns, `windowStart` and `windowEnd` (milliseconds, end excluded), then each aggregate under
   * its name. Key: the group's columns and `windowStart`. Time of a row: the last millisecond of its window. State: one row per open window
   * and group. Late records are counted and go to `late`, else to the dead letters. Exactly once, the same under replay.
   * @example
   * hits.groupBy('url').window(tumbling({ sizeMs: 60_000 }))
   *   .aggregate({ hits: count(), visitors: countDistinct('ip') }, { name: 'per-minute', emit: 'close', late: (late) => late.to(lateHits) })
   * @throws {MillraceError} `MR_PLAN_UPDATE_REFUSED` on a stream of updates; `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_FIELD_TYPE`, `MR_PLAN_FIELD_TAKEN`.
   */
  aggregate<const A extends Readonly<Record<string, AnyAggregate<V>>>>(
    aggregates: A & CheckedAggregates<V, A>,
    options?: WindowedAggregateOptions<K, V>,
  ): Stream<Flat<G & { windowStart: number }>, Flat<G & { windowStart: number; windowEnd: number } & AggregateResults<V, A>>> {
    const { builder, input, by, streamOf } = this.#grouping
    const call = startCall(builder, input, 'aggregate', this.aggregate as Caller)
    checkOptions(call, options, ['name', 'emit', 'late'])
    const emit = options?.emit ?? 'update'
    if (emit !== 'update' && emit !== 'close')
      refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), `\`emit\` must be 'update' or 'close', not \`${String(emit)}\`.`)
    const node = append(
      call,
      { kind: 'aggregate', inputs: [input], groupBy: by, window: this.#window, aggregates: specsOf(call, aggregates), emit },
      { name: options?.name },
    )
    if (options?.late !== undefined) {
      lambdaOf(call, options.late)
      const late = append(call, { kind: 'late', inputs: [node.id] }, { derivedName: `${node.name}.late` })
      options.late(streamOf(late.id))
    }
    return streamOf(node.id)
  }
}
