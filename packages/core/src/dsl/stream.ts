// The fluent stream. Every method notes the user's line, appends one plan node and returns a new stream; nothing runs, nothing is changed.
// `K` is the key: null as the records came, an object of the key fields, or the value of a `keyBy` lambda. `V` is the row.
import type { LiveTable } from './live-table.ts'
import type { ObjectSchema } from '../codec/schema.ts'
import type { AnySink, Sink } from '../connect/sink.ts'
import type { AnyTopic, TopicDeclaration } from '../connect/topic.ts'
import type { Expression } from '../plan/expression.ts'
import { fieldsOfShape, refusePlan } from '../plan/shape.ts'
import type { PlanBuilder } from '../plan/plan.ts'
import {
  append,
  byOf,
  checkOptions,
  declaredFields,
  expressionOf,
  lambdaOf,
  millisecondsOf,
  namesOf,
  notYet,
  placeOf,
  predicateOf,
  refuseForeign,
  startCall,
  type Call,
} from './append.ts'
import type {
  ByArguments,
  CheckedJoin,
  CheckedNames,
  CheckedSelect,
  GroupFrom,
  JoinAdded,
  JoinEverything,
  JoinOn,
  JoinSelect,
  KeyFrom,
  Predicate,
  SelectArguments,
  Selected,
} from './arguments.ts'
import type { Expr } from './expression.ts'
import { GroupedStream } from './grouped.ts'
import { joinOutput, joinPairs } from './join.ts'
import type { Caller } from '../base/place-of-call.ts'
import { Table } from './table.ts'
import type { FieldName, Flat, KeptKey, MaybeBoolean, MillraceTypeError, Named, Sync } from './types.ts'

/** Options of an operator whose lambda makes new rows. */
export interface ValueOption<O> extends Named {
  /** Columns of the result, `t.object({...})`. Without it rows are JavaScript values: slower, and refused by targets that need types. */
  readonly value?: ObjectSchema<O, unknown>
}

/** The declared row where there is one, else what the lambda returns. */
type Made<R, O> = unknown extends O ? R : O

/** What one step of `scan` gives: the new state of the key (null forgets it) and rows for the result. */
export interface ScanStep<S, R> {
  readonly state: S | null
  readonly rows: readonly R[]
}

/** A sentence when a row does not fit the topic it is written to. */
type Accepts<V, W> = [V] extends [W]
  ? unknown
  : MillraceTypeError<'the row does not fit the value of this topic: a field is missing or has another type'>

/** A sentence when two rows do not have the same fields. */
type SameRow<V, W> = [V] extends [W]
  ? SameNames<V, W>
  : [W] extends [V]
    ? SameNames<V, W>
    : MillraceTypeError<'merge: the rows differ; bring them to the same fields with select or map'>
type SameNames<V, W> = [keyof V, keyof W] extends [keyof W, keyof V]
  ? unknown
  : MillraceTypeError<'merge: one side has fields that the other lacks; bring them to the same fields with select or map'>

/** A sentence when neither the stream nor the options have a key. */
type NeedsKey<K, F, At extends string> = [K] extends [object]
  ? unknown
  : [F] extends [never]
    ? MillraceTypeError<`${At}: the stream has no key; name one in the options, or put keyBy before`>
    : unknown

/** An endless sequence of rows of type `V`, keyed by `K`. Immutable: every method gives another stream. */
export class Stream<in out K, in out V> {
  declare readonly '~types': { readonly key: K; readonly value: V }
  readonly #builder: PlanBuilder
  readonly #id: number

  constructor(builder: PlanBuilder, id: number) {
    this.#builder = builder
    this.#id = id
  }

  #start(method: string, callee: Caller): Call {
    return startCall(this.#builder, this.#id, method, callee)
  }

  #next<K2, V2>(id: number): Stream<K2, V2> {
    return new Stream(this.#builder, id)
  }

  /**
   * Keeps the rows for which the predicate is true; null and false drop them. Shape, key, order and time unchanged. State: none.
   * A lambda gets a lazy row that is reused: read it, do not keep it. `(row) => row.type === 'click'` narrows a union for what follows.
   * @example hits.filter((hit) => hit.status < 400, { name: 'good' })
   * @example hits.filter(expr((hit) => hit.status.lt(400)))
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_FIELD_TYPE`, `MR_PLAN_NAME_TAKEN`. A throw at run time sends the row to the dead letters.
   */
  filter<W extends V = V>(
    predicate: ((row: V) => row is W) | ((row: V) => boolean) | Expr<V, MaybeBoolean>,
    options?: Named,
  ): Stream<K, W> {
    const call = this.#start('filter', this.filter as Caller)
    checkOptions(call, options, ['name'])
    return this.#next(
      append(call, { kind: 'filter', inputs: [this.#id], predicate: predicateOf(call, predicate) }, { name: options?.name }).id,
    )
  }

  /**
   * One row for each row, made by a lambda. The key is lost: use `mapValues` to keep it. Order and time unchanged. State: none.
   * Give a `value` schema to get typed columns: faster downstream, and needed by sinks. A row that returns nothing or null is a dead letter:
   * leave rows out with `filter`. Without a schema `.to(topic)` holds each row to the topic's fields and refuses those that do not fit.
   * @example hits.map((hit) => ({ url: hit.url, ms: hit.took * 1000 }), { name: 'short', value: t.object({ url: t.string(), ms: t.f64() }) })
   * @throws {MillraceError} `MR_PLAN_NOT_YET` for an async lambda; `MR_PLAN_KEY_LOST` on a stream of updates. A throw at run time sends the row to the dead letters.
   */
  map<R extends O, O = unknown>(lambda: (row: V) => R & Sync<R>, options?: ValueOption<O>): Stream<null, Made<R, O>> {
    return this.#map('map', this.map as Caller, lambda, options, false)
  }

  /**
   * One row for each row, made by a lambda; the key stays. Where the key is made of fields, the result must have them, unchanged.
   * Order and time unchanged. State: none.
   * @example hits.keyBy('url').mapValues((hit) => ({ url: hit.url, size: hit.bytes / 1024 }))
   * @throws {MillraceError} `MR_PLAN_KEY_LOST` when the `value` schema lacks a key field; `MR_PLAN_NOT_YET` for an async lambda.
   */
  mapValues<R extends O & ([K] extends [object] ? K : unknown), O = unknown>(
    lambda: (row: V) => R & Sync<R>,
    options?: ValueOption<O>,
  ): Stream<K, Made<R, O>> {
    return this.#map('mapValues', this.mapValues as Caller, lambda, options, true)
  }

  #map<K2, V2>(
    method: string,
    callee: Caller,
    lambda: unknown,
    options: ValueOption<unknown> | undefined,
    keepsKey: boolean,
  ): Stream<K2, V2> {
    const call = this.#start(method, callee)
    checkOptions(call, options, ['name', 'value'])
    const draft = { kind: 'map', inputs: [this.#id], lambda: lambdaOf(call, lambda), keepsKey } as const
    return this.#next(append(call, draft, { name: options?.name, declared: declaredFields(call, options?.value) }).id)
  }

  /**
   * Any number of rows for each row: a list made by a lambda. The rows follow each other in the list's order, with the time of their origin.
   * The key is lost. State: none. Takes facts only. A list of more than 1,000,000 rows or about 64 MiB, such as that of a generator which
   * never ends, is a dead letter (`MR_RUNTIME_ROWS_ENDLESS`).
   * @example orders.flatMap((order) => order.lines.map((line) => ({ orderId: order.id, ...line })))
   * @throws {MillraceError} `MR_PLAN_UPDATE_REFUSED` on a stream of updates; `MR_PLAN_NOT_YET` for an async lambda.
   */
  flatMap<R extends O, O = unknown>(lambda: (row: V) => readonly R[], options?: ValueOption<O>): Stream<null, Made<R, O>> {
    const call = this.#start('flatMap', this.flatMap as Caller)
    checkOptions(call, options, ['name', 'value'])
    const draft = { kind: 'flat-map', inputs: [this.#id], lambda: lambdaOf(call, lambda) } as const
    return this.#next(append(call, draft, { name: options?.name, declared: declaredFields(call, options?.value) }).id)
  }

  /**
   * Picks fields, or builds columns: `{ column: 'field' }` renames, `{ column: expr(...) }` computes. The key stays when its fields are
   * picked under their names. Order and time unchanged. State: none.
   * @example orders.select('id', 'amount')
   * @example orders.select({ id: 'id', fee: expr((row) => row.amount.times(0.02)) }, { name: 'fees' })
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN` with the nearest field; `MR_PLAN_KEY_LOST` on a stream of updates.
   */
  select<const A extends SelectArguments<V>>(...columns: A & CheckedSelect<V, A>): Stream<KeptKey<K, Selected<V, A>>, Selected<V, A>> {
    const call = this.#start('select', this.select as Caller)
    const [first, ...rest] = columns as readonly unknown[]
    const { names, options } = splitOptions(call, typeof first === 'string' ? [first, ...rest] : rest)
    const list: readonly { readonly name: string; readonly value: Expression }[] =
      typeof first === 'string' ? names.map((name) => ({ name, value: { kind: 'field', name } })) : columnsOf(call, first)
    return this.#next(append(call, { kind: 'project', inputs: [this.#id], columns: list }, { name: options?.name, stem: 'select' }).id)
  }

  /**
   * Splits by predicates: each row goes to the first whose predicate is true, else to `rest`. Shape, key and time unchanged, order too inside
   * each branch; `merge` does not put the rows of two branches back into the order they had. State: none.
   * @example const { paid, rest } = orders.branch({ paid: (order) => order.status === 'paid' }, { name: 'status' })
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_NAME_TAKEN`.
   */
  branch<const B extends { readonly [label: string]: Predicate<V> } & { readonly rest?: never }>(
    cases: B,
    options?: Named,
  ): { readonly [L in keyof B | 'rest']: Stream<K, V> } {
    const call = this.#start('branch', this.branch as Caller)
    checkOptions(call, options, ['name'])
    const labels = Object.keys(cases)
    if (labels.includes('rest')) refusePlan('MR_PLAN_NAME_TAKEN', placeOf(call), '`rest` is the name of the rows that no predicate takes.')
    const predicates = labels.map((label) => predicateOf(call, cases[label]))
    const base = options?.name ?? this.#builder.deriveName(this.#id, 'branch')
    const outputs = [...labels, 'rest'].map((label, index): readonly [string, Stream<K, V>] => {
      const naming = options?.name === undefined ? { derivedName: `${base}.${label}` } : { name: `${base}.${label}` }
      return [label, this.#next(append(call, { kind: 'branch', inputs: [this.#id], predicates, index }, naming).id)]
    })
    return Object.fromEntries(outputs) as { readonly [L in keyof B | 'rest']: Stream<K, V> }
  }

  /**
   * The rows of this stream and of others, which must have the same fields (their order does not matter). The order inside each input
   * stays. Between inputs there is none inside a tick: also rows of one partition that a `branch` sent different ways may pass each other.
   * What is read in an earlier tick comes first. State: none. Takes facts only.
   * @example web.merge(mobile, { name: 'all' })
   * @throws {MillraceError} `MR_PLAN_SHAPE_MISMATCH`, `MR_PLAN_UPDATE_REFUSED`.
   */
  merge<K2, V2>(
    others: (Stream<K2, V2> | readonly Stream<K2, V2>[]) & SameRow<V, V2>,
    options?: Named,
  ): Stream<[K, K2] extends [K2, K] ? K : null, [V] extends [V2] ? V2 : V> {
    const call = this.#start('merge', this.merge as Caller)
    checkOptions(call, options, ['name'])
    const list: readonly unknown[] = Array.isArray(others) ? others : [others]
    const inputs = list.map((other) => {
      if (!(other instanceof Stream))
        return refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`merge` needs a stream, or a list of streams.')
      refuseForeign(call, other.#builder)
      return this.#aligned(call, other.#id)
    })
    return this.#next(append(call, { kind: 'merge', inputs: [this.#id, ...inputs] }, { name: options?.name }).id)
  }

  /** The other side of a merge with its fields in the order of this one: columns have no names at run time. */
  #aligned(call: Call, id: number): number {
    const mine = fieldsOfShape(this.#builder.node(this.#id).shape)
    const theirs = fieldsOfShape(this.#builder.node(id).shape)
    if (
      mine === null ||
      theirs === null ||
      mine.length !== theirs.length ||
      mine.every((field, index) => field.name === theirs[index]?.name)
    )
      return id
    if (!mine.every((field) => theirs.some((other) => other.name === field.name))) return id
    const columns = mine.map(({ name }) => ({ name, value: { kind: 'field', name } as const }))
    return append({ ...call, input: id }, { kind: 'project', inputs: [id], columns }, { stem: 'align' }).id
  }

  /**
   * Sets the key: one or more fields, or the value of a lambda. Rows of one key that come from one partition stay in order as long as no
   * operator behind groups them by something else. Nothing moves yet: rows are re-partitioned only where an operator or a topic behind needs
   * it. The key of a lambda serves operators; a topic takes fields. Shape and time unchanged. State: none. Takes facts only.
   * @example hits.keyBy('ip')
   * @example hits.keyBy((hit) => hit.ip.split('.')[0])
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_FIELD_TYPE` for a field that cannot be a key.
   */
  keyBy<const A extends ByArguments<V>>(...by: A & CheckedNames<V, A, 'keyBy'>): Stream<KeyFrom<V, A>, V> {
    const call = this.#start('keyBy', this.keyBy as Caller)
    const { names, options, lambda } = splitOptions(call, by)
    return this.#next(append(call, { kind: 'key-by', inputs: [this.#id], by: lambda ?? namesOf(call, names) }, { name: options?.name }).id)
  }

  /**
   * Through a topic and back: the rows are kept there, others may read them, and what follows can be restarted and replayed on its own.
   * A tick ends here unless the topic is `private`; the order of a partition and the guarantee hold. Rows come back as the topic's value.
   * State: none. Takes facts only.
   * @example cleaned.through(cleanHits).groupBy('url')
   * @throws {MillraceError} `MR_PLAN_SHAPE_MISMATCH`, `MR_PLAN_UPDATE_REFUSED`, `MR_PLAN_TOPIC_LOOP`.
   */
  through<W>(topic: TopicDeclaration<W> & Accepts<V, W>, options?: Named): Stream<KeptKey<K, W>, W> {
    const call = this.#start('through', this.through as Caller)
    checkOptions(call, options, ['name'])
    const declaration = topic as AnyTopic
    if (declaration?.kind !== 'topic') refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`through` needs a topic.')
    return this.#next(
      append(
        call,
        { kind: 'through', inputs: [this.#id], topic: declaration },
        { name: options?.name, stem: `through-${declaration.name}` },
      ).id,
    )
  }

  /**
   * Puts rows into groups by fields or by the value of a lambda (the column `key` of the result); follow with `window` or `aggregate`.
   * @example flights.groupBy('origin', 'carrier').aggregate({ flights: count() })
   * @throws {MillraceError} at `aggregate`: `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_FIELD_TYPE`.
   */
  groupBy<const A extends readonly [by: string | ((row: V) => unknown), ...more: readonly string[]]>(
    ...by: A & CheckedNames<V, A, 'groupBy'>
  ): GroupedStream<K, V, GroupFrom<V, A>> {
    const call = this.#start('groupBy', this.groupBy as Caller)
    const { names, lambda } = splitOptions(call, by)
    return new GroupedStream({
      builder: this.#builder,
      input: this.#id,
      by: lambda ?? namesOf(call, names),
      streamOf: (id) => this.#next(id),
    })
  }

  /**
   * Drops rows whose `by` was seen in the last `withinMs` of event time; exact inside that horizon, forgetful outside it. Of equal rows the
   * one that is read first stays; between partitions that is the one of the earlier tick, inside a tick either. Shape, key and time
   * unchanged. Order unchanged with one partition; with several the rows go through an exchange by `by`, and rows of different `by` may pass
   * each other. State: one entry per value seen in the horizon. Takes facts only.
   * @param options.withinMs Milliseconds. Higher: later repeats are caught, more memory.
   * @example orders.dedupe({ by: 'id', withinMs: 3_600_000, name: 'once' })
   * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN`, `MR_PLAN_SETTING_INVALID`, `MR_PLAN_UPDATE_REFUSED`.
   */
  dedupe<F extends FieldName<V>>(
    options: Named & { readonly by: F | readonly F[] | ((row: V) => unknown); readonly withinMs: number },
  ): Stream<K, V> {
    const call = this.#start('dedupe', this.dedupe as Caller)
    if (options === undefined) refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`dedupe` needs `by` and `withinMs`.')
    checkOptions(call, options, ['name', 'by', 'withinMs'])
    const withinMs = millisecondsOf(call, 'withinMs', options.withinMs, 1)
    return this.#next(append(call, { kind: 'dedupe', inputs: [this.#id], by: byOf(call, options.by), withinMs }, { name: options.name }).id)
  }

  /**
   * Goes over the rows of each key in order with a state of one's own: `step(state, row)` gives the new state and rows for the result.
   * The key is that of the stream, or `by`. Key of the result: none. Order per key and time of the origin unchanged. State: one JSON value
   * per key, for ever; a null state forgets the key. Must be deterministic. Takes facts only.
   * @example
   * perHour.keyBy('origin').scan(() => ({ before: 0 }), (state, row) => ({
   *   state: { before: row.late },
   *   rows: row.late > 2 * state.before ? [{ origin: row.origin, late: row.late }] : [],
   * }), { name: 'alerts', value: t.object({ origin: t.string(), late: t.f64() }) })
   * @throws {MillraceError} `MR_PLAN_KEY_MISSING` without a key; `MR_PLAN_UPDATE_REFUSED`; `MR_PLAN_NOT_YET` for an async lambda.
   */
  scan<S, R extends O, O = unknown, F extends FieldName<V> = never>(
    initial: (() => S) & NeedsKeyToScan<K, F>,
    step: (state: S, row: V) => ScanStep<S, R>,
    options?: ValueOption<O> & { readonly by?: F | readonly F[] },
  ): Stream<null, Made<R, O>> {
    const call = this.#start('scan', this.scan as Caller)
    checkOptions(call, options, ['name', 'value', 'by'])
    const by =
      options?.by === undefined ? (this.#builder.node(this.#id).key ?? this.#builder.keyLambda(this.#id)) : namesOf(call, options.by)
    if (by === null) refusePlan('MR_PLAN_KEY_MISSING', placeOf(call), '`scan` keeps a state per key, and the stream has no key.')
    const draft = { kind: 'scan', inputs: [this.#id], by, initial: lambdaOf(call, initial), step: lambdaOf(call, step) } as const
    return this.#next(append(call, draft, { name: options?.name, declared: declaredFields(call, options?.value) }).id)
  }

  /**
   * Looks up each row in a table, as the table is at that tick, and adds the table's columns: all but its key, or those of `select`.
   * `type: 'inner'` (default) drops and counts rows without a match; `'left'` keeps them with nulls. Key, order and time unchanged.
   * State: the table. Tables from files are read to their end first. Takes facts only. For another result put `map` behind it.
   * @param options.on The stream's field for each field of the table's primary key: `'code'` where both have the name, else `{ origin: 'code' }`.
   * @param options.select Columns of the table to add: names, or `{ newName: 'tableField' }`.
   * @example flights.join(airports, { on: { origin: 'iata' }, type: 'left', select: { originCity: 'city' }, name: 'with-airport' })
   * @throws {MillraceError} `MR_PLAN_JOIN_KEY`, `MR_PLAN_FIELD_TYPE`, `MR_PLAN_FIELD_TAKEN`; `MR_PLAN_NOT_YET` for joins of two streams and as-of joins.
   */
  join<TK, T, const S extends JoinSelect<T> = JoinEverything, const Type extends 'inner' | 'left' = 'inner'>(
    table: Table<TK, T>,
    options: JoinOptions<V, TK, S, Type> & CheckedJoin<V, JoinAdded<TK, T, S, Type>>,
  ): Stream<K, Flat<V & JoinAdded<TK, T, S, Type>>> {
    const call = this.#start('join', this.join as Caller)
    const given: JoinOptions<V, TK, S, Type> & { readonly asOf?: unknown } = options
    if (given?.asOf !== undefined) notYet(call, 'joins as of a time', 'Leave `asOf` out: rows meet the table as it is at their tick.')
    if ((table as unknown) instanceof Stream) notYet(call, 'joins of two streams', 'Join with a table: `mill.table(topic)`.')
    if (!(table instanceof Table))
      refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`join` needs a table: `mill.table(topic or fileTable)`.')
    checkOptions(call, given, ['name', 'on', 'type', 'select', 'asOf'])
    const type: string = given.type ?? 'inner'
    if (type !== 'inner' && type !== 'left') notYet(call, `\`${type}\` joins`, "Use `type: 'inner'` or `'left'`.")
    const other = Table.nodeOf(table)
    refuseForeign(call, other.builder)
    const on = joinPairs(call, given.on)
    const output = joinOutput(call, this.#builder.node(this.#id), this.#builder.node(other.id), given.select)
    const draft = { kind: 'stream-table-join', inputs: [this.#id, other.id], on, type, output, asOf: null } as const
    return this.#next(append(call, draft, { name: given.name, stem: 'join' }).id)
  }

  /**
   * Keeps the newest row per key as a table that HTTP, the command line and the console can read. Ends the stream.
   * State: one row per key, for `retentionMs` of event time or for ever. Exactly once. Return what it gives from the function of `pipeline`,
   * alone or in a list, and it is `tables.NAME` of the definition: `run.table(web.tables.per_minute)` in a test knows name and fields.
   * @param options.key Fields of the primary key; default: the key of the stream.
   * @param options.retentionMs Milliseconds behind the watermark after which rows leave the table; default: they stay. Lower: less memory.
   * @example perMinute.toTable('per_minute', { retentionMs: 86_400_000 })
   * @throws {MillraceError} `MR_PLAN_KEY_MISSING`, `MR_PLAN_KEY_LOST`, `MR_PLAN_SHAPE_OPEN`, `MR_PLAN_NAME_TAKEN` for a second table of one name.
   */
  toTable<F extends FieldName<V> = never, N extends string = string>(
    name: N & NeedsKey<K, F, 'toTable'>,
    options?: { readonly key?: F | readonly F[]; readonly retentionMs?: number },
  ): LiveTable<N, V> {
    const call = this.#start('toTable', this.toTable as Caller)
    checkOptions(call, options, ['key', 'retentionMs'])
    const primaryKey = options?.key === undefined ? this.#builder.node(this.#id).key : namesOf(call, options.key)
    if (primaryKey === null)
      refusePlan(
        'MR_PLAN_KEY_MISSING',
        placeOf(call),
        `the table \`${String(name)}\` needs a key, and the stream has none.`,
        "Name it: `toTable(name, { key: 'field' })`.",
      )
    const retentionMs = options?.retentionMs === undefined ? null : millisecondsOf(call, 'retentionMs', options.retentionMs, 1)
    append(call, { kind: 'to-table', inputs: [this.#id], table: name, primaryKey, retentionMs }, { derivedName: `table.${String(name)}` })
    return Object.freeze({ kind: 'live-table', name })
  }

  /**
   * Writes the rows to a topic (its `key` field, else the stream's key, becomes the record key) or drains them into a sink, which has its own
   * position and guarantee, and whose outage stops nothing else. Ends the stream. Updates go only where updates are taken: a compacted
   * topic, or a sink that says so.
   * @example alerts.to(alertTopic)
   * @param options.guarantee Of a sink. `exactly-once`, the default, is refused when the sink cannot hold it; `at-least-once` accepts that rows
   *   come again after a crash, and changes nothing where the sink can do better.
   * @example hits.to(parquet({ dir: 'archive/hits', partitionBy: ['date'] }), { name: 'archive' })
   * @throws {MillraceError} `MR_PLAN_UPDATE_REFUSED`, `MR_PLAN_GUARANTEE_REFUSED`, `MR_PLAN_SHAPE_OPEN`, `MR_PLAN_SHAPE_MISMATCH`, `MR_PLAN_TOPIC_LOOP`, `MR_PLAN_PLACE_TAKEN`.
   */
  to<W>(target: Sink<V> | (TopicDeclaration<W> & Accepts<V, W>), options?: ToOptions): void {
    const call = this.#start('to', this.to as Caller)
    const generation = (options as { readonly generation?: unknown } | undefined)?.generation
    if (generation !== undefined && generation !== 0) notYet(call, 'generations of a sink', 'Leave `generation` out.')
    checkOptions(call, options, ['name', 'generation', 'guarantee'])
    const guarantee = options?.guarantee ?? 'exactly-once'
    if (guarantee !== 'exactly-once' && guarantee !== 'at-least-once')
      refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`guarantee` is `exactly-once` or `at-least-once`.')
    const given = target as AnySink | AnyTopic
    if (given?.kind === 'topic')
      append(call, { kind: 'to-topic', inputs: [this.#id], topic: given }, { name: options?.name, stem: `to-${given.name}` })
    else if (given?.kind === 'sink')
      append(
        call,
        { kind: 'to-sink', inputs: [this.#id], sink: given, guarantee, generation: 0 },
        { name: options?.name, stem: given.spec.type },
      )
    else refusePlan('MR_PLAN_SETTING_INVALID', placeOf(call), '`to` needs a topic or a sink.')
  }
}

/** A sentence when `scan` has no key to keep its state by. */
type NeedsKeyToScan<K, F> = [K] extends [null]
  ? [F] extends [never]
    ? MillraceTypeError<"scan: the stream has no key; put keyBy before, or name it: { by: 'field' }">
    : unknown
  : unknown

/** Options of `to`. */
export interface ToOptions extends Named {
  readonly guarantee?: 'exactly-once' | 'at-least-once'
}

/** Options of `join`. */
export interface JoinOptions<V, TK, S, Type> extends Named {
  readonly on: JoinOn<V, TK>
  readonly type?: Type
  /** Columns of the table to add: names, or `{ newName: 'tableField' }`. Default: all but the key. */
  readonly select?: S
}

function splitOptions(
  call: Call,
  list: readonly unknown[],
): { readonly names: readonly string[]; readonly options: Named | undefined; readonly lambda: ReturnType<typeof lambdaOf> | null } {
  const last = list.at(-1)
  const options = typeof last === 'object' && last !== null && !Array.isArray(last) ? last : undefined
  checkOptions(call, options, ['name'])
  const names = options === undefined ? list : list.slice(0, -1)
  const lambda = typeof names[0] === 'function' ? lambdaOf(call, names[0]) : null
  if (lambda === null)
    for (const name of names)
      if (typeof name !== 'string')
        refusePlan('MR_PLAN_FIELD_UNKNOWN', placeOf(call), `\`${call.method}\` takes names of fields, not \`${String(name)}\`.`)
  return { names: lambda === null ? (names as readonly string[]) : [], options, lambda }
}

function columnsOf(call: Call, given: unknown): readonly { readonly name: string; readonly value: Expression }[] {
  if (typeof given !== 'object' || given === null)
    refusePlan('MR_PLAN_FIELD_UNKNOWN', placeOf(call), '`select` takes names of fields, or an object of columns.')
  return Object.entries(given).map(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return { name, value: { kind: 'field', name: value } }
    const expression = expressionOf(value)
    if (expression === null)
      refusePlan('MR_PLAN_FIELD_TYPE', placeOf(call), `the column \`${name}\` must be the name of a field or \`expr((row) => ...)\`.`)
    return { name, value: expression }
  })
}
