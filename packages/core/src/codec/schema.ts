// `t.*`: the schema builder that drives code generation. A schema is data (`type`, `nullable`, `fields`) with a Standard Schema v1 face.
//
// What each kind accepts in JSON, and what a lambda sees:
//   t.string()      string                                          -> string (a lone surrogate is refused: columns hold valid UTF-8)
//   t.bytes()       base64 string                                   -> Uint8Array
//   t.bool()        true, false                                     -> boolean
//   t.i32()         whole number within 32 bits                     -> number
//   t.i64()         whole number within ±(2^53 - 1), else refused   -> number
//   t.bigint()      whole number or a string of digits, 64 bits     -> bigint, exact
//   t.f64()         finite number (1e400 is refused)                -> number
//   t.time()        epoch ms or ISO-8601; no offset means UTC       -> number of ms; finer digits are cut off
//   t.decimal(p, s) number or string of digits, exact               -> string with s fraction digits
//   t.json()        anything, or a missing field                    -> the parsed value; null and missing are null
//   t.list(x)       array                                           -> array
//   t.object({})    object; fields that are not named are ignored   -> object with every named field
//   t.optional(x)   also null or a missing field                    -> value or null
import { MillraceError } from '../base/errors.ts'
import { coerce, type Problem } from './coerce.ts'
import type { Field, FieldType } from './column.ts'
import type { StandardResult, StandardSchemaV1 } from './standard-schema.ts'

/** A schema of `t.*`. `T` is what lambdas see, `I` what producers may send. */
export interface Schema<T, I = T> extends StandardSchemaV1<I, T> {
  readonly type: FieldType
  readonly nullable: boolean
}

/** A schema with fields: what a topic's value must be. */
export interface ObjectSchema<T, I = T> extends Schema<T, I> {
  readonly fields: readonly Field[]
}

type AnySchema = Schema<unknown>
type OutputOf<S extends StandardSchemaV1> = NonNullable<S['~standard']['types']>['output']
type InputOf<S extends StandardSchemaV1> = NonNullable<S['~standard']['types']>['input']
type Flat<T> = { [K in keyof T]: T[K] } & {}
type Shape = Readonly<Record<string, AnySchema>>
type RowOutput<S extends Shape> = { -readonly [K in keyof S]: OutputOf<S[K]> }
type OptionalKeys<S extends Shape> = { -readonly [K in keyof S]: undefined extends InputOf<S[K]> ? K : never }[keyof S]
type RowInput<S extends Shape> = Flat<
  { -readonly [K in Exclude<keyof S, OptionalKeys<S>>]: InputOf<S[K]> } & { -readonly [K in OptionalKeys<S>]?: InputOf<S[K]> }
>

/** The type of the values that a schema describes: `Infer<typeof orderSchema>`. Works for any Standard Schema. */
export type Infer<S extends StandardSchemaV1> = OutputOf<S>

function schema<T, I>(type: FieldType, nullable: boolean): Schema<T, I> {
  const validate = (value: unknown): StandardResult<T> => {
    const problems: Problem[] = []
    const result = coerce(type, nullable, value, [], problems)
    if (problems.length === 0) return { value: result as T }
    return { issues: problems.map((problem) => ({ message: problem.message, path: problem.path })) }
  }
  return Object.freeze({ type, nullable, '~standard': Object.freeze({ version: 1, vendor: 'millrace', validate } as const) })
}

function refuse(message: string): never {
  throw new MillraceError('MR_SCHEMA_INVALID', { message })
}

/** Who runs a file without the compiler may give `t.string`, or a type of another library. */
function requireType(part: unknown, what: string): void {
  const { type } = (part ?? {}) as { readonly type?: { readonly kind?: unknown } | null }
  if (typeof type?.kind === 'string') return
  refuse(`${what} needs a type of \`t\`, such as \`t.string()\`${typeof part === 'function' ? ': the parentheses are missing' : ''}.`)
}

function object<const S extends Shape>(shape: S): ObjectSchema<Flat<RowOutput<S>>, RowInput<S>> {
  const fields: Field[] = []
  for (const [name, part] of Object.entries(shape)) {
    // A field named __proto__ could not be read from an ordinary row object.
    if (name === '' || name === '__proto__') refuse(`a field cannot be named \`${name}\`.`)
    requireType(part, `the field \`${name}\``)
    fields.push(Object.freeze({ name, type: part.type, nullable: part.nullable }))
  }
  if (fields.length === 0) refuse('an object needs at least one field.')
  Object.freeze(fields)
  return Object.freeze({ ...schema<Flat<RowOutput<S>>, RowInput<S>>(Object.freeze({ kind: 'struct', fields }), false), fields })
}

function list<S extends AnySchema>(item: S): Schema<OutputOf<S>[], InputOf<S>[]> {
  requireType(item, '`t.list`')
  return schema(Object.freeze({ kind: 'list', item: item.type, itemNullable: item.nullable }), false)
}

function optional<S extends AnySchema>(inner: S): Schema<OutputOf<S> | null, InputOf<S> | null | undefined> {
  requireType(inner, '`t.optional`')
  return schema(inner.type, true)
}

/** Digits of a decimal column: it is carried as a scaled 64-bit integer. */
export const DECIMAL_PRECISION_MAX = 18

function decimal(precision: number, scale: number): Schema<string, string | number> {
  const legal =
    Number.isInteger(precision) &&
    Number.isInteger(scale) &&
    precision >= 1 &&
    precision <= DECIMAL_PRECISION_MAX &&
    scale >= 0 &&
    scale <= precision
  if (!legal)
    refuse(
      `t.decimal needs 1 <= precision <= ${DECIMAL_PRECISION_MAX} and 0 <= scale <= precision. precision=\`${precision}\`, scale=\`${scale}\``,
    )
  return schema(Object.freeze({ kind: 'decimal', precision, scale }), false)
}

const f64 = (): Schema<number> => schema({ kind: 'f64' }, false)

/**
 * The schema builder. Types infer: `Infer<typeof schema>` needs no type argument.
 * @example
 * const order = t.object({ id: t.i64(), at: t.time(), amount: t.decimal(12, 2), note: t.optional(t.string()) })
 * type Order = Infer<typeof order> // { id: number; at: number; amount: string; note: string | null }
 */
export const t = Object.freeze({
  /** Text. */
  string: (): Schema<string> => schema({ kind: 'string' }, false),
  /** Bytes; base64 in JSON. */
  bytes: (): Schema<Uint8Array, Uint8Array | string> => schema({ kind: 'bytes' }, false),
  /** True or false. */
  bool: (): Schema<boolean> => schema({ kind: 'bool' }, false),
  /** Whole number of 32 bits. */
  i32: (): Schema<number> => schema({ kind: 'i32' }, false),
  /** Whole number up to ±2^53, as a JavaScript number. */
  i64: (): Schema<number> => schema({ kind: 'i64' }, false),
  /** Whole number of 64 bits, as a bigint; a number or a text in JSON. */
  bigint: (): Schema<bigint, bigint | number | string> => schema({ kind: 'i64', big: true }, false),
  /** Number with fraction, 64 bits. */
  f64,
  /** The same as `t.f64`. */
  number: f64,
  /** Moment in milliseconds since 1970-01-01 UTC; a number or ISO-8601 in JSON. */
  time: (): Schema<number, number | string> => schema({ kind: 'time' }, false),
  /** `t.decimal(precision, scale)`: exact, at most 18 digits, as a text. Carried and archived; aggregates do not take it yet. */
  decimal,
  /** Any JSON, undecoded; never a key. */
  json: (): Schema<unknown> => schema({ kind: 'json' }, true),
  /** `t.list(t.string())`: any number of values of one type. */
  list,
  /** `t.object({ name: type })`: named fields, the value of a topic or a struct inside one. */
  object,
  /** `t.optional(type)`: may be missing or null, and is null then. */
  optional,
})

/** The fields of a `t.object` schema, or null for any other value. */
export function fieldsOf(value: unknown): readonly Field[] | null {
  if (typeof value !== 'object' || value === null) return null
  const candidate = value as { readonly fields?: unknown; readonly '~standard'?: { readonly vendor?: unknown } }
  return candidate['~standard']?.vendor === 'millrace' && Array.isArray(candidate.fields) ? (candidate.fields as readonly Field[]) : null
}
