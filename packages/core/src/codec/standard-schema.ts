// The interfaces of Standard Schema 1.1 (standardschema.dev), copied as the specification recommends, because core has no third-party
// dependency. Types only; any library that follows the specification is assignable to them.

export interface StandardTypes<Input = unknown, Output = Input> {
  readonly input: Input
  readonly output: Output
}

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

export interface StandardSuccess<Output> {
  readonly value: Output
  readonly issues?: undefined
}

export interface StandardFailure {
  readonly issues: readonly StandardIssue[]
}

export type StandardResult<Output> = StandardSuccess<Output> | StandardFailure

/** Any schema that validates: zod, valibot, arktype, our own `t.*`. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: StandardTypes<Input, Output> | undefined
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
  }
}

/** What a schema has as `~standard.jsonSchema` that can also describe itself as JSON Schema, from which columns are derived. */
export interface StandardJsonSchemaConverter {
  readonly input: (options: { readonly target: string }) => Record<string, unknown>
  readonly output: (options: { readonly target: string }) => Record<string, unknown>
}

/** The type that comes out of a schema. */
export type InferOutput<S extends StandardSchemaV1> = NonNullable<S['~standard']['types']>['output']
/** The type that goes into a schema. */
export type InferInput<S extends StandardSchemaV1> = NonNullable<S['~standard']['types']>['input']
