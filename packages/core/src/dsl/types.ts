// Type-level vocabulary of the typed API. Rules: users never write a type argument; misuse is a `MillraceTypeError` whose text is a
// sentence; every mapped type is flat (`& {}`), so that the types of a long pipeline do not grow with its length.

/** Stands where an argument is wrong. The compiler prints the sentence: "… is not assignable to MillraceTypeError<'…'>". */
export interface MillraceTypeError<Sentence extends string> {
  readonly '~misuse': Sentence
}

/** Names of the fields of a row. */
export type FieldName<V> = [V] extends [object] ? keyof V & string : never

/** `F` when it is a field of `V`, else a sentence. `At` names the call. */
export type CheckedField<V, F, At extends string> =
  F extends FieldName<V>
    ? F
    : F extends string
      ? MillraceTypeError<`${At}('${F}'): the row has no such field`>
      : MillraceTypeError<`${At}: name the fields by text`>

/** One object type instead of an intersection. */
export type Flat<T> = { [F in keyof T]: T[F] } & {}

/** Optional fields come out as `| null`: a row has every field of its shape. */
export type Present<T> = T extends undefined ? null : T

/** True or false as the database says it: a predicate over a null is null, and null does not pass. */
export type MaybeBoolean = boolean | null

/** Key of a stream after an operator that keeps rows but may drop fields: kept when its fields are all there. */
export type KeptKey<K, V> = [K] extends [null] ? null : [keyof K] extends [keyof V] ? K : null

/** A lambda's result must be there when the lambda returns. */
export type Sync<R> = [R] extends [PromiseLike<unknown>]
  ? MillraceTypeError<'the lambda must not be async: a stream of promises cannot be replayed'>
  : unknown

/** The name of an operator: the stable identity of its state, its metrics and its dead letters. */
export interface Named {
  /**
   * 1-100 of `a-z A-Z 0-9 . _ -`, unique in the pipeline. Without it the name is derived from the kind and the nearest named operator or
   * source before (`hits.filter-1`). Name what keeps state: then no edit before it can lose that state.
   */
  readonly name?: string
}
