// The aggregates of `aggregate({ name: count(), ... })`. Each knows its field by its literal name, so that `aggregate` can check it
// against the row and say in a sentence what is wrong.
import { MillraceError } from '../base/errors.ts'
import type { Expression } from '../plan/expression.ts'
import type { AggregateSpec, Lambda } from '../plan/node.ts'
import type { Expr } from './expression.ts'
import type { FieldName, MaybeBoolean, MillraceTypeError, Present } from './types.ts'

/** Only rows for which the expression is true are aggregated. */
export interface WhereOption<V> {
  readonly where?: Expr<V, MaybeBoolean>
}

/**
 * One aggregate over rows of type `V`. `Kind` is its name in messages, `F` the field (null: none or an expression), `T` the type of its
 * result where that does not depend on the field; `Empty` is null when the group may have nothing to aggregate.
 */
export interface Aggregate<in V, out Kind extends string, out F, out T, out Empty = never> {
  readonly kind: 'aggregate'
  readonly spec: AggregateSpec
  readonly '~types': { readonly row: (row: V) => void; readonly kind: Kind; readonly field: F; readonly value: T; readonly empty: Empty }
}

/** Any aggregate over rows of type `V`. */
export type AnyAggregate<V> = Aggregate<V, string, unknown, unknown, unknown>

type NumberKinds = 'sum' | 'mean'
type OrderKinds = 'min' | 'max'

/** A sentence when an aggregate does not fit the row, else unknown. Not distributive (`[A]`): the compiler must see through it to give `expr` its row. */
type CheckedAggregate<V, A> = [A] extends [Aggregate<never, infer Kind, infer F, unknown, unknown>]
  ? F extends string
    ? F extends FieldName<V>
      ? Kind extends NumberKinds
        ? [NonNullable<V[F & keyof V]>] extends [number | bigint]
          ? unknown
          : MillraceTypeError<`${Kind}('${F}'): the field is not a number`>
        : Kind extends OrderKinds
          ? [NonNullable<V[F & keyof V]>] extends [number | bigint | string]
            ? unknown
            : MillraceTypeError<`${Kind}('${F}'): the field has no order; it is not a number, a time or a text`>
          : unknown
      : MillraceTypeError<`${Kind}('${F}'): the row has no such field`>
    : unknown
  : MillraceTypeError<'an aggregate is expected here: count(), sum(...), min(...), max(...), mean(...), countDistinct(...) or custom({...})'>

/** Each aggregate, or a sentence. */
export type CheckedAggregates<V, A> = { readonly [N in keyof A]: CheckedAggregate<V, A[N]> }

/** Type of one result. Sums, extremes and means of a field that may be null, or under a `where`, may be null. */
type ResultOf<V, A> =
  A extends Aggregate<never, infer Kind, infer F, infer T, infer Empty>
    ? F extends keyof V
      ? Kind extends 'sum' | 'min' | 'max'
        ? Present<V[F]> | Empty
        : Kind extends 'mean'
          ? number | Extract<Present<V[F]>, null> | Empty
          : T
      : T | Empty
    : never

/** The results as columns. */
export type AggregateResults<V, A> = { -readonly [N in keyof A]: ResultOf<V, A[N]> }

/** Null when a `where` was given. */
type EmptyOf<O> = O extends { readonly where: unknown } ? null : never

function make<V, Kind extends string, F, T, Empty>(spec: AggregateSpec): Aggregate<V, Kind, F, T, Empty> {
  return Object.freeze({ kind: 'aggregate', spec: Object.freeze(spec) }) as Aggregate<V, Kind, F, T, Empty>
}

function operand(name: string, of: unknown): Expression {
  if (typeof of === 'string' && of !== '') return { kind: 'field', name: of }
  const given = of as { readonly kind?: unknown; readonly expression?: Expression } | null | undefined
  if (given?.kind === 'expr' && given.expression !== undefined) return given.expression
  throw new MillraceError('MR_PLAN_FIELD_TYPE', { message: `\`${name}\` takes the name of a field or \`expr((row) => ...)\`.` })
}

/** Throws MR_PLAN_SETTING_INVALID for what is no option: ignored, it would count rows that nobody meant. */
function whereOf<V>(name: string, options: WhereOption<V> | undefined): Expression | null {
  if (options === undefined) return null
  const known = ['where']
  const isObject = typeof options === 'object' && options !== null && !('expression' in options)
  if (!isObject || Object.keys(options).some((option) => !known.includes(option)))
    throw new MillraceError('MR_PLAN_SETTING_INVALID', {
      message: `the options of \`${name}\` are \`{ where: expr((row) => ...) }\`, not ${isObject ? `\`${Object.keys(options).join(', ')}\`` : typeof options === 'string' ? `\`'${String(options)}'\`` : 'an expression'}.`,
      fix: 'Rows in which a field has a value: `count({ where: expr((row) => row.field.isNull().not()) })`.',
    })
  return options.where?.expression ?? null
}

/** Name of a field, or null for an expression. */
type FieldOf<O> = O extends string ? O : null
/** Type of an expression's value. */
type ValueOf<O> = O extends Expr<never, infer T> ? T : unknown

/**
 * Number of rows. State: 8 bytes per group.
 * @example aggregate({ flights: count(), late: count({ where: expr((row) => row.delay.gte(15)) }) })
 */
export function count<V>(options?: WhereOption<V>): Aggregate<V, 'count', null, number> {
  return make({ kind: 'count', where: whereOf('count', options) })
}

/**
 * Sum of the values that are not null; null when there is none. Whole numbers stay whole. State: 8 to 16 bytes per group.
 * What overflows says nothing: a sum of whole numbers stays at the end of 64 bits, and one of f64 beyond ±1.8e308 is infinite, which is null
 * in JSON. Guard against it with `where` when values can be that large.
 * @example aggregate({ revenue: sum('amount'), tax: sum(expr((row) => row.amount.times(0.25))) })
 */
export function sum<V, const O extends string | Expr<V, number | bigint | null>, W extends WhereOption<V> = WhereOption<V>>(
  of: O,
  options?: W & WhereOption<V>,
): Aggregate<V, 'sum', FieldOf<O>, ValueOf<O>, EmptyOf<W>> {
  return make({ kind: 'sum', of: operand('sum', of), where: whereOf('sum', options) })
}

/**
 * Smallest value that is not null; null when there is none. State: one value per group while rows are only added, all values of the group
 * when rows can be taken back.
 * @example aggregate({ first: min('at') })
 */
export function min<V, const O extends string | Expr<V, number | bigint | string | null>, W extends WhereOption<V> = WhereOption<V>>(
  of: O,
  options?: W & WhereOption<V>,
): Aggregate<V, 'min', FieldOf<O>, ValueOf<O>, EmptyOf<W>> {
  return make({ kind: 'min', of: operand('min', of), where: whereOf('min', options) })
}

/**
 * Largest value that is not null; null when there is none. State: as `min`.
 * @example aggregate({ worst: max('delay') })
 */
export function max<V, const O extends string | Expr<V, number | bigint | string | null>, W extends WhereOption<V> = WhereOption<V>>(
  of: O,
  options?: W & WhereOption<V>,
): Aggregate<V, 'max', FieldOf<O>, ValueOf<O>, EmptyOf<W>> {
  return make({ kind: 'max', of: operand('max', of), where: whereOf('max', options) })
}

/**
 * Mean of the values that are not null; null when there is none. State: 16 bytes per group.
 * @example aggregate({ delay: mean('delay') })
 */
export function mean<V, const O extends string | Expr<V, number | bigint | null>, W extends WhereOption<V> = WhereOption<V>>(
  of: O,
  options?: W & WhereOption<V>,
): Aggregate<V, 'mean', FieldOf<O>, O extends string ? number : number | Extract<ValueOf<O>, null>, EmptyOf<W>> {
  return make({ kind: 'mean', of: operand('mean', of), where: whereOf('mean', options) })
}

/**
 * Number of different values, nulls left out; exact. State: every different value of the group.
 * @example aggregate({ visitors: countDistinct('ip') })
 */
export function countDistinct<V, const O extends string | Expr<V, unknown>>(
  of: O,
  options?: WhereOption<V>,
): Aggregate<V, 'countDistinct', FieldOf<O>, number> {
  return make({ kind: 'count-distinct', of: operand('countDistinct', of), where: whereOf('countDistinct', options) })
}

/** An aggregate of one's own. State is JSON and must not be shared between groups: `initial` makes a new one each time. */
export interface CustomAggregate<V, S, R> {
  /** State of a group before its first row. */
  readonly initial: () => S
  /** State after one more row. May change `state` and return it. */
  readonly add: (state: S, row: V) => S
  /** State after a row was taken back; needed where the input gives updates. */
  readonly remove?: (state: S, row: V) => S
  /** What the column shows; default: the state. */
  readonly result?: (state: S) => R
}

/**
 * An aggregate of one's own. Runs a lambda per row: slower than the built-in ones. Must be deterministic: replay runs it again.
 * @example
 * aggregate({ longest: custom({ initial: () => '', add: (best, row) => (row.url.length > best.length ? row.url : best) }) })
 */
export function custom<V, S, R>(functions: CustomAggregate<V, S, R>): Aggregate<V, 'custom', null, unknown extends R ? S : R> {
  const { initial, add, remove = null, result = null } = functions
  if (typeof initial !== 'function' || typeof add !== 'function') {
    throw new MillraceError('MR_PLAN_FIELD_TYPE', { message: '`custom` needs the functions `initial` and `add`.' })
  }
  return make({
    kind: 'custom',
    initial: initial as Lambda,
    add: add as Lambda,
    remove: remove as Lambda | null,
    result: result as Lambda | null,
  })
}
