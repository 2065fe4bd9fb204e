// Declarations of topics and file tables: what a user says about the records, once, for the collector, the pipeline and the tools.
import { MillraceError } from '../base/errors.ts'
import { nearestWord } from '../base/nearest-word.ts'
import type { Field } from '../codec/column.ts'
import { foreignFields } from '../codec/foreign-schema.ts'
import { fieldsOf } from '../codec/schema.ts'
import type { InferInput, InferOutput, StandardSchemaV1 } from '../codec/standard-schema.ts'
import type { FileTable } from '../connect/file-table.ts'
import type { RecordFormat, TopicDeclaration } from '../connect/topic.ts'
import { placeOfCall, type Caller } from '../base/place-of-call.ts'
import type { FieldName, MillraceTypeError } from './types.ts'

type TimeOf<V, F> =
  F extends FieldName<V>
    ? null extends V[F & keyof V]
      ? MillraceTypeError<`eventTime: '${F}' may be missing, and every record needs a time`>
      : V[F & keyof V] extends number | bigint | Date
        ? F
        : MillraceTypeError<`eventTime: '${F & string}' is not a time; declare it t.time(), or as milliseconds`>
    : MillraceTypeError<`eventTime: the value has no field '${F & string}'`>

type KeyOf<V, F> =
  F extends FieldName<V>
    ? NonNullable<V[F & keyof V]> extends string | number | bigint | boolean
      ? F
      : MillraceTypeError<`key: '${F}' is not a text, a number or true/false`>
    : MillraceTypeError<`key: the value has no field '${F & string}'`>

/** A schema whose output is an object. Its second half is what the schema cannot say: how the topic lives. */
export interface TopicOptions<S, E, F> {
  /**
   * What a value looks like: `t.object({...})`, which drives code generation, or any Standard Schema (zod, valibot, arktype), which validates
   * each value whole. A pipeline holds every field to it, also those that it does not read: a record that does not fit is a dead letter
   * for every reader. Whoever wants the sender to hear of it sets `validate`.
   */
  readonly value: S
  /** Field that holds the event time. Default: the record's timestamp, which the collector sets when a record arrives. */
  readonly eventTime?: E
  /** Milliseconds that records may be out of order; default 0. Higher: fewer late records, results that much later. */
  readonly disorderMs?: number
  /** Field that becomes the record key where millrace writes to the topic. Records of one key stay in order. Default: the key of the stream. */
  readonly key?: F
  /** Partitions when the topic is created, 1 to 1,024; default 1. They bound how many workers can share the work. */
  readonly partitions?: number
  /** Milliseconds from the append after which records may be deleted; default: kept for ever. Costs disk. */
  readonly retentionMs?: number
  /** True: the newest record of each key is kept (a table on the log), a null value deletes. Default false. */
  readonly compacted?: boolean
  /** True: the collector checks each event and answers 400, naming the bad lines, instead of keeping them as dead letters. Default false. */
  readonly validate?: boolean
  /** True: only this pipeline writes and reads it, and `through` it is an exchange without a break in time. Default false. */
  readonly private?: boolean
  /** How values are written: `json` (default), `csv` (fields in the order of the schema) or `bytes`. */
  readonly format?: RecordFormat
}

/** A topic whose key field is known to the compiler, and so is what producers may send: `t.optional` fields left out, times as texts. */
export type KeyedTopic<V, F extends string, I = V> = TopicDeclaration<V> & { readonly '~key'?: F; readonly '~input'?: I }

const TOPIC_OPTIONS = ['value', 'eventTime', 'disorderMs', 'key', 'partitions', 'retentionMs', 'compacted', 'validate', 'private', 'format']
const NAME_PATTERN = /^[A-Za-z0-9._-]{1,200}$/

interface Refusal {
  readonly kind: string
  readonly name: string
  readonly place: string | null
}

function refuse(at: Refusal, message: string): never {
  const details = { [at.kind]: at.name, ...(at.place === null ? {} : { place: at.place }) }
  throw new MillraceError('MR_TOPIC_INVALID', { message, details })
}

function checkOptions(at: Refusal, given: object, known: readonly string[]): void {
  for (const option of Object.keys(given)) {
    if (known.includes(option)) continue
    const near = nearestWord(option, known)
    refuse(at, `there is no option \`${option}\`${near === null ? '' : `; did you mean \`${near}\`?`}`)
  }
}

function checkField(at: Refusal, option: string, name: unknown, fields: readonly Field[] | null): Field | null {
  if (typeof name !== 'string' || name === '') refuse(at, `\`${option}\` must be the name of a field.`)
  if (fields === null) return null
  const field = fields.find((known) => known.name === name)
  if (field !== undefined) return field
  const names = fields.map((known) => known.name)
  const near = nearestWord(name, names)
  return refuse(
    at,
    `\`${option}\` names \`${name}\`, and the value has no such field; ${near === null ? `it has ${names.join(', ')}.` : `did you mean \`${near}\`?`}`,
  )
}

function checkKeyField(at: Refusal, name: string, fields: readonly Field[] | null): void {
  const kind = checkField(at, 'key', name, fields)?.type.kind
  if (kind === 'list' || kind === 'struct' || kind === 'json')
    refuse(at, `\`key\` names \`${name}\`, which is a ${kind} and cannot be a key.`)
}

function checkNumber(at: Refusal, option: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    refuse(
      at,
      `\`${option}\` must be a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}, not \`${String(value)}\`.`,
    )
  }
}

function checkSchema(at: Refusal, value: unknown): void {
  const face =
    typeof value === 'object' || typeof value === 'function'
      ? (value as { readonly '~standard'?: { readonly validate?: unknown } } | null)?.['~standard']
      : undefined
  if (typeof face?.validate !== 'function') refuse(at, '`value` must be a schema: `t.object({ ... })` or any Standard Schema.')
}

/**
 * Declares a topic: its name, the type of its values and how it lives. Declaring does nothing; the topic is created when the first
 * pipeline or collector that uses it starts.
 *
 * @example
 * const hits = topic('hits', {
 *   value: t.object({ at: t.time(), url: t.string(), ip: t.string() }),
 *   eventTime: 'at',
 *   disorderMs: 5_000,
 * })
 * @throws {MillraceError} `MR_TOPIC_INVALID` for a bad name, an unknown option or field (with the nearest one), or a value out of range.
 */
export function topic<S extends StandardSchemaV1, const E extends string = never, const F extends string = never>(
  name: string,
  options: TopicOptions<
    S,
    E & NoInfer<[E] extends [never] ? unknown : TimeOf<InferOutput<S>, E>>,
    F & NoInfer<[F] extends [never] ? unknown : KeyOf<InferOutput<S>, F>>
  >,
): KeyedTopic<InferOutput<S>, F, InferInput<S>> {
  const at: Refusal = { kind: 'topic', name: String(name), place: placeOfCall(topic as Caller) }
  if (typeof name !== 'string' || !NAME_PATTERN.test(name) || name === '.' || name === '..')
    refuse(at, `\`${String(name)}\` cannot name a topic.`)
  checkOptions(at, options, TOPIC_OPTIONS)
  checkSchema(at, options.value)
  const own = fieldsOf(options.value)
  const fields = own ?? foreignFields(options.value)
  const format = options.format ?? 'json'
  if (format !== 'json' && format !== 'csv' && format !== 'bytes')
    refuse(at, `\`format\` must be 'json', 'csv' or 'bytes', not \`${String(format)}\`.`)
  if (format === 'csv' && own === null)
    refuse(at, "`format: 'csv'` needs a `t.object` schema: the order of its fields is the order of the columns.")
  checkNumber(at, 'partitions', options.partitions ?? 1, 1, 1_024)
  checkNumber(at, 'disorderMs', options.disorderMs ?? 0, 0)
  if (options.retentionMs !== undefined) checkNumber(at, 'retentionMs', options.retentionMs, 1)
  const eventTime: string | null = options.eventTime ?? null
  const keyField: string | null = options.key ?? null
  if (eventTime !== null) checkEventTime(at, eventTime, fields, own === null)
  if (keyField !== null) checkKeyField(at, keyField, fields)
  return Object.freeze({
    kind: 'topic' as const,
    name,
    format,
    fields,
    foreignSchema: own === null ? options.value : null,
    eventTime,
    disorderMs: options.disorderMs ?? 0,
    keyField,
    partitions: options.partitions ?? 1,
    retentionMs: options.retentionMs ?? null,
    compacted: options.compacted ?? false,
    validate: options.validate ?? false,
    private: options.private ?? false,
  })
}

/** A foreign schema may give times as text, which is read as ISO 8601. */
function checkEventTime(at: Refusal, name: string, fields: readonly Field[] | null, foreign: boolean): void {
  const field = checkField(at, 'eventTime', name, fields)
  if (field === null) return
  if (field.nullable) refuse(at, `\`eventTime\` names \`${name}\`, which may be missing, and every record needs a time.`)
  const { kind } = field.type
  if (foreign && kind === 'string') return
  if (kind !== 'time' && kind !== 'i64' && kind !== 'f64')
    refuse(at, `\`eventTime\` names \`${name}\`, which is ${kind}; declare it \`t.time()\`.`)
}

/** What a table in a file is. */
export interface FileTableOptions<S, F> {
  /** Name of the table in messages and pictures. */
  readonly name: string
  /** Path of the file, relative to the folder that the process runs in, as that of every source and sink. */
  readonly path: string
  /** `csv` with a header line, or `json`: one object per line. */
  readonly format: 'csv' | 'json'
  /** Between the fields of CSV: one ASCII character. Default comma. */
  readonly separator?: string
  /** What a row looks like: `t.object({...})`. */
  readonly value: S
  /** The field, or fields, that tell one row from every other. */
  readonly key: F | readonly F[]
}

/** A file table whose row type and key are known to the compiler. */
export type FileTableDeclaration<V, F extends string> = FileTable & { readonly '~types'?: { readonly value: V; readonly key: F } }

/**
 * Declares a table that is read from a file, to its end, before the first stream record of the task that joins it. The file is looked at when
 * the pipeline starts, which a missing file or column refuses (`MR_TABLE_FILE`); bad lines go to the dead letters. An edit of the file is taken
 * up when the pipeline starts again.
 *
 * @example
 * const airports = fileTable({ name: 'airports', path: 'airports.csv', format: 'csv', key: 'iata',
 *   value: t.object({ iata: t.string(), city: t.string(), state: t.optional(t.string()) }) })
 * @throws {MillraceError} `MR_TOPIC_INVALID` for an unknown option or key field, or a schema that is not `t.object`.
 */
export function fileTable<S extends StandardSchemaV1, const F extends FieldName<InferOutput<S>>>(
  options: FileTableOptions<S, F>,
): FileTableDeclaration<InferOutput<S>, F> {
  const at: Refusal = { kind: 'table', name: String(options.name), place: placeOfCall(fileTable as Caller) }
  checkOptions(at, options, ['name', 'path', 'format', 'separator', 'value', 'key'])
  if (!NAME_PATTERN.test(options.name)) refuse(at, `\`${String(options.name)}\` cannot name a table.`)
  if (options.format !== 'csv' && options.format !== 'json')
    refuse(at, `\`format\` must be 'csv' or 'json', not \`${String(options.format)}\`.`)
  if (typeof options.path !== 'string' || options.path === '') refuse(at, '`path` must be the path of a file.')
  const { separator } = options
  if (separator !== undefined && (options.format !== 'csv' || !/^[\t\x20-\x7e]$/.test(separator) || separator === '"'))
    refuse(at, '`separator` must be one ASCII character, not a quote, of a file of format csv.')
  const fields = fieldsOf(options.value)
  if (fields === null) return refuse(at, '`value` must be a `t.object` schema: its fields are the columns of the file.')
  const primaryKey = typeof options.key === 'string' ? [options.key] : options.key
  if (!Array.isArray(primaryKey) || primaryKey.length === 0) refuse(at, '`key` must name a field.')
  for (const name of primaryKey) checkKeyField(at, name, fields)
  return Object.freeze({
    kind: 'file-table' as const,
    name: options.name,
    path: options.path,
    format: options.format,
    ...(separator === undefined ? {} : { separator }),
    fields,
    primaryKey: Object.freeze([...primaryKey]),
  })
}
