// `expr((row) => ...)`: expressions as data. Calls on the row build an Expression instead of computing; the engine then generates code
// for whole columns, which is several times faster than a lambda, and tools can print it.
// One class does the work; the interfaces show a user only the methods that fit the type of the value.
import { MillraceError } from '../base/errors.ts'
import type { BinaryOperator, Expression, Literal, ScalarFunction } from '../plan/expression.ts'
import type { Present } from './types.ts'

/** What may stand beside a value of type `T`: a constant or another value. */
export type Operand<T> = Built<T | null> | T | null

/** What every value inside `expr` is, whatever its type. */
export interface Built<out T> {
  readonly '~type': T
  readonly '~expression': Expression
}

/** A value of the row inside `expr`. Nothing is computed: methods build an expression. Null in, null out, unless a method says otherwise. */
export interface Scalar<T> extends Built<T> {
  /** Equal. Null when either side is null. */
  eq(other: Operand<NonNullable<T>>): BooleanScalar
  /** Not equal. Null when either side is null. */
  ne(other: Operand<NonNullable<T>>): BooleanScalar
  /** True when the value is null, never null itself. */
  isNull(): BooleanScalar
  /** True when the value equals one of `values`. */
  in(values: readonly (NonNullable<T> & Literal)[]): BooleanScalar
  /** The value, or `other` where it is null. */
  orElse<const O extends NonNullable<T> & Literal>(other: O | Built<NonNullable<T>>): ScalarOf<NonNullable<T>>
  /** The value as text. */
  toText(): TextScalar
}

/** Values that have an order. */
export interface OrderedScalar<T> extends Scalar<T> {
  lt(other: Operand<NonNullable<T>>): BooleanScalar
  lte(other: Operand<NonNullable<T>>): BooleanScalar
  gt(other: Operand<NonNullable<T>>): BooleanScalar
  gte(other: Operand<NonNullable<T>>): BooleanScalar
}

/** A number (or a time in milliseconds, with `date` and `truncate`). Any arithmetic with a null is null. */
export interface NumberScalar<T> extends OrderedScalar<T> {
  plus(other: Operand<NonNullable<T>>): NumberScalar<T>
  minus(other: Operand<NonNullable<T>>): NumberScalar<T>
  times(other: Operand<NonNullable<T>>): NumberScalar<T>
  /** Quotient with fraction (7 / 2 is 3.5); null when divided by zero. */
  dividedBy(other: Operand<NonNullable<T>>): NumberScalar<number | null>
  /** Remainder with the sign of the value; null when divided by zero. */
  modulo(other: Operand<NonNullable<T>>): NumberScalar<T | null>
  negate(): NumberScalar<T>
  floor(): NumberScalar<T>
  ceil(): NumberScalar<T>
  /** To the nearest whole number, halves away from zero. */
  round(): NumberScalar<T>
  abs(): NumberScalar<T>
  /** The day of a time in milliseconds, UTC, as 'YYYY-MM-DD'. */
  date(): TextScalar<string | Extract<T, null>>
  /** A time rounded down to a multiple of `unitMs` since 1970-01-01 UTC. */
  truncate(unitMs: number): NumberScalar<T>
}

/** A text. */
export interface TextScalar<T = string> extends OrderedScalar<T> {
  lower(): TextScalar<T>
  upper(): TextScalar<T>
  /** Length in UTF-16 units, like `length` of a JavaScript string. */
  length(): NumberScalar<number | Extract<T, null>>
  startsWith(prefix: Operand<string>): BooleanScalar
  /** This text followed by others. */
  concat(...others: readonly Operand<string>[]): TextScalar<T>
  /** The number that the text spells; null when it spells none. */
  toNumber(): NumberScalar<number | null>
}

/** True or false or null. `and` and `or` are three-valued: `false and null` is false, `true or null` is true. */
export interface BooleanScalar extends Scalar<boolean | null> {
  and(other: Operand<boolean>): BooleanScalar
  or(other: Operand<boolean>): BooleanScalar
  not(): BooleanScalar
}

/** A value whose type nobody knows at compile time. */
export interface UnknownScalar extends Scalar<unknown> {
  /** The value as a number; null when it is none. */
  toNumber(): NumberScalar<number | null>
}

/** The builder that fits a type. */
export type ScalarOf<T> = unknown extends T
  ? UnknownScalar
  : [NonNullable<T>] extends [number | bigint]
    ? NumberScalar<T>
    : [NonNullable<T>] extends [boolean]
      ? BooleanScalar
      : [NonNullable<T>] extends [string]
        ? TextScalar<T>
        : Scalar<T>

/** The row inside `expr`: every field as a value that builds expressions. */
export type ExpressionRow<V> = { readonly [F in keyof V]-?: ScalarOf<Present<V[F]>> }

/** An expression over rows of type `V` that gives a `T`. */
export interface Expr<in V, out T> {
  readonly kind: 'expr'
  readonly expression: Expression
  readonly '~types': { readonly row: (row: V) => void; readonly value: T }
}

function isScalar(value: unknown): value is Built<unknown> {
  return value instanceof Value
}

function toExpression(value: unknown): Expression {
  if (isScalar(value)) return value['~expression']
  const kind = typeof value
  if (value === null || kind === 'string' || kind === 'number' || kind === 'bigint' || kind === 'boolean') {
    if (kind === 'number' && !Number.isFinite(value)) refuse(`the constant \`${String(value)}\` is not a finite number.`)
    return { kind: 'literal', value: value as Literal }
  }
  return refuse(`an expression takes constants and fields of the row, not \`${kind}\`.`)
}

function refuse(message: string): never {
  throw new MillraceError('MR_PLAN_FIELD_TYPE', {
    message,
    fix: 'Use only methods of the row inside `expr`; anything else is a lambda: leave `expr` out.',
  })
}

/** The one implementation behind the interfaces above; types decide which methods a user sees. */
class Value {
  readonly '~type' = undefined as unknown
  readonly '~expression': Expression

  constructor(expression: Expression) {
    this['~expression'] = expression
  }

  #binary(operator: BinaryOperator, other: unknown): Value {
    return new Value({ kind: 'binary', operator, left: this['~expression'], right: toExpression(other) })
  }
  #call(name: ScalarFunction, ...operands: readonly unknown[]): Value {
    return new Value({ kind: 'call', name, operands: [this['~expression'], ...operands.map(toExpression)] })
  }

  eq(other: unknown): Value {
    return this.#binary('equal', other)
  }
  ne(other: unknown): Value {
    return this.#binary('not-equal', other)
  }
  lt(other: unknown): Value {
    return this.#binary('less', other)
  }
  lte(other: unknown): Value {
    return this.#binary('less-equal', other)
  }
  gt(other: unknown): Value {
    return this.#binary('greater', other)
  }
  gte(other: unknown): Value {
    return this.#binary('greater-equal', other)
  }
  plus(other: unknown): Value {
    return this.#binary('add', other)
  }
  minus(other: unknown): Value {
    return this.#binary('subtract', other)
  }
  times(other: unknown): Value {
    return this.#binary('multiply', other)
  }
  dividedBy(other: unknown): Value {
    return this.#binary('divide', other)
  }
  modulo(other: unknown): Value {
    return this.#binary('modulo', other)
  }
  and(other: unknown): Value {
    return this.#binary('and', other)
  }
  or(other: unknown): Value {
    return this.#binary('or', other)
  }
  not(): Value {
    return new Value({ kind: 'not', operand: this['~expression'] })
  }
  negate(): Value {
    return new Value({ kind: 'negate', operand: this['~expression'] })
  }
  isNull(): Value {
    return new Value({ kind: 'is-null', operand: this['~expression'] })
  }
  in(values: readonly Literal[]): Value {
    return new Value({ kind: 'in', operand: this['~expression'], values: [...values] })
  }
  orElse(other: unknown): Value {
    return new Value({ kind: 'coalesce', operands: [this['~expression'], toExpression(other)] })
  }
  floor(): Value {
    return this.#call('floor')
  }
  ceil(): Value {
    return this.#call('ceil')
  }
  round(): Value {
    return this.#call('round')
  }
  abs(): Value {
    return this.#call('abs')
  }
  lower(): Value {
    return this.#call('lower')
  }
  upper(): Value {
    return this.#call('upper')
  }
  length(): Value {
    return this.#call('length')
  }
  startsWith(prefix: unknown): Value {
    return this.#call('starts-with', prefix)
  }
  concat(...others: readonly unknown[]): Value {
    return this.#call('concat', ...others)
  }
  date(): Value {
    return this.#call('date')
  }
  truncate(unitMs: number): Value {
    if (!Number.isSafeInteger(unitMs) || unitMs < 1) refuse('`truncate` needs a whole number of milliseconds from 1.')
    return this.#call('truncate-time', unitMs)
  }
  toText(): Value {
    return this.#call('to-string')
  }
  toNumber(): Value {
    return this.#call('to-number')
  }
}

/** Any name is a field: whether the row has it is known when the expression meets a stream. */
const ROW: object = new Proxy(Object.freeze({}), {
  get: (_target, name) => (typeof name === 'string' ? new Value({ kind: 'field', name }) : undefined),
})

/**
 * An expression over the row, as data: for `filter`, `select`, `count({ where })`, `sum(...)` and wherever a column is expected. The type
 * of the row comes from where it stands. Faster than a lambda; cannot call code of its own.
 *
 * @example
 * orders.filter(expr((row) => row.amount.gt(100).and(row.country.eq('NO'))))
 * orders.select({ id: 'id', fee: expr((row) => row.amount.times(0.02)) })
 * @throws {MillraceError} `MR_PLAN_FIELD_TYPE` when the function returns something else than a value built from the row.
 */
export function expr<V, T>(build: (row: ExpressionRow<V>) => Built<T>): Expr<V, T> {
  const built: unknown = build(ROW as ExpressionRow<V>)
  if (!isScalar(built)) refuse('`expr` must return a value built from its row.')
  return Object.freeze({ kind: 'expr', expression: built['~expression'] }) as Expr<V, T>
}

/** A constant as a value, where a method of a value is needed: `constant(0).lt(row.n)`. */
export function constant<const T extends Literal>(value: T): ScalarOf<Widened<T>> {
  return new Value(toExpression(value)) as unknown as ScalarOf<Widened<T>>
}

/** The chain of a `when`: add cases, then say what holds otherwise. */
export interface CaseBuilder<T> {
  /** The next case, tried when none before it was true. */
  when(condition: Built<boolean | null>, value: Operand<T>): CaseBuilder<T>
  /** What holds when no case was true. */
  otherwise(value: Operand<T>): ScalarOf<T>
}

type Widened<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T extends bigint ? bigint : T

/**
 * A value by cases: the first whose condition is true (null is not true).
 * @example
 * expr((row) => when(row.delay.gte(15), 'late').when(row.delay.lt(0), 'early').otherwise('on time'))
 */
export function when<T extends Literal | Built<unknown>>(
  condition: Built<boolean | null>,
  value: T,
): CaseBuilder<T extends Built<infer U> ? U : Widened<T>> {
  return caseBuilder([branchOf(condition, value)])
}

interface CaseBranch {
  readonly when: Expression
  readonly then: Expression
}

function branchOf(condition: unknown, value: unknown): CaseBranch {
  // oxlint-disable-next-line unicorn/no-thenable -- data of an expression, never awaited
  return { when: toExpression(condition), then: toExpression(value) }
}

function caseBuilder<T>(branches: readonly CaseBranch[]): CaseBuilder<T> {
  return {
    when: (condition, value) => caseBuilder([...branches, branchOf(condition, value)]),
    otherwise: (value) => new Value({ kind: 'case', branches, otherwise: toExpression(value) }) as unknown as ScalarOf<T>,
  }
}
