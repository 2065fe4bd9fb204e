// Argument types of the methods that take field names, a lambda or columns, each with its check. A call is checked against the type it
// has (`A & Checked<A>`): so literals are inferred first, and what is wrong is a sentence at its place in the argument list.
import type { Expr } from './expression.ts'
import type { CheckedField, FieldName, Flat, MaybeBoolean, MillraceTypeError, Named, Present } from './types.ts'

/** A lambda over the lazy row, or an expression. */
export type Predicate<V> = ((row: V) => boolean) | Expr<V, MaybeBoolean>

/** One lambda, or names; options last. */
export type ByArguments<V> = readonly [by: string | ((row: V) => unknown), ...rest: readonly (string | Named)[]]

/** Every name must be a field. */
export type CheckedNames<V, A, At extends string> = { readonly [I in keyof A]: A[I] extends string ? CheckedField<V, A[I], At> : A[I] }

/** The key that names or a lambda give: the named fields, or the lambda's value. */
export type KeyFrom<V, A extends readonly unknown[]> = A[0] extends (row: never) => infer R ? R : Flat<Pick<V, A[number] & keyof V>>

/** The columns that a grouping puts first in its result. */
export type GroupFrom<V, A extends readonly unknown[]> = A[0] extends (row: never) => infer R ? { key: R } : Pick<V, A[number] & keyof V>

/** Names, or an object of columns; options last. */
export type SelectArguments<V> = readonly [
  columns: string | { readonly [column: string]: string | Expr<V, unknown> },
  ...rest: readonly (string | Named)[],
]

/** Every name, and every name inside the object, must be a field. */
export type CheckedSelect<V, A> = {
  readonly [I in keyof A]: A[I] extends string
    ? CheckedField<V, A[I], 'select'>
    : I extends '0'
      ? CheckedColumns<V, A[I], UnknownName<V, A[I]>>
      : A[I]
}

/** Names in the object that are no fields. A union and not a mapped type: through the constraint of `A[I]` the compiler would map the methods of a text. */
type UnknownName<V, O> = Exclude<Extract<O[keyof O], string>, FieldName<V>>
type CheckedColumns<V, O, Bad> = [Bad] extends [never] ? O : CheckedField<V, Bad, 'select'>

/** The row that `select` gives. */
export type Selected<V, A extends readonly unknown[]> = A[0] extends string ? Flat<Pick<V, A[number] & keyof V>> : Flat<Columns<V, A[0]>>

type Columns<V, O> = { -readonly [N in keyof O]: O[N] extends keyof V ? V[O[N]] : O[N] extends Expr<never, infer T> ? Present<T> : never }

/** Which stream field meets which key field of the table: one name where both have it, else `{ streamField: 'tableField' }`. */
export type JoinOn<V, TK> =
  | { [F in FieldName<V> & keyof TK]: Meets<V[F], TK[F]> extends true ? F : never }[FieldName<V> & keyof TK]
  | { readonly [F in FieldName<V>]?: KeyMet<V[F], TK, F> }

/** Key fields of the table that a field of the stream can meet; a sentence when there is none. */
type KeyMet<A, TK, F extends string> = { [N in keyof TK]: Meets<A, TK[N]> extends true ? N : never }[keyof TK] extends infer N
  ? [N] extends [never]
    ? MillraceTypeError<`join: no key field of the table has the type of '${F}'`>
    : N & string
  : never

/** Whether two fields can be equal: a number never is a text. Null meets nothing, and does not matter here. */
type Meets<A, B> = [NonNullable<A>] extends [NonNullable<B>] ? true : [NonNullable<B>] extends [NonNullable<A>] ? true : false

/** Columns of the table that a join adds: a list of names, or `{ newName: 'tableField' }`. */
export type JoinSelect<T> = readonly FieldName<T>[] | { readonly [column: string]: FieldName<T> }

/** Stands for `select` when it was left out. */
export type JoinEverything = readonly never[] & { readonly '~everything': true }

/** What a join adds to the row: everything but the table's key unless `select` says otherwise; null where a left join found nothing. */
export type JoinAdded<TK, T, S, Type> = S extends JoinEverything
  ? { [N in Exclude<keyof T, keyof TK>]: T[N] | NullIfLeft<Type> }
  : S extends readonly (infer F)[]
    ? { [N in F & keyof T]: T[N] | NullIfLeft<Type> }
    : { -readonly [N in keyof S]: T[S[N] & keyof T] | NullIfLeft<Type> }

type NullIfLeft<Type> = Type extends 'left' ? null : never

/** A sentence when the join would give two columns one name. */
export type CheckedJoin<V, Added> = [keyof V & keyof Added] extends [never]
  ? unknown
  : MillraceTypeError<`join: both sides have '${keyof V & keyof Added & string}'; take columns under new names with select: { newName: 'tableField' }`>
