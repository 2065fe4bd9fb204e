// What a user says about a topic: how its records are decoded and when they happened. Data only; the log knows names and settings.
import type { Field } from '../codec/column.ts'

export type RecordFormat = 'json' | 'csv' | 'bytes'

/** Declared by `topic(name, { value, ... })`. `V` is the value's type for the compiler (phantom, never set). */
export interface TopicDeclaration<V> {
  readonly kind: 'topic'
  readonly name: string
  readonly format: RecordFormat
  /** Columns of the value; null when a foreign schema gives no fields (rows are then JavaScript values). */
  readonly fields: readonly Field[] | null
  /** A Standard Schema v1 object that validates (and may transform) each value; null for our own `t.*` schemas, whose decoder validates. */
  readonly foreignSchema: unknown
  /** Field that holds the event time; null: the record's timestamp. */
  readonly eventTime: string | null
  readonly disorderMs: number
  /** Field that becomes the record key when millrace writes to the topic or collects into it; null: the stream's key. */
  readonly keyField: string | null
  /** Partitions when the topic is created. */
  readonly partitions: number
  readonly retentionMs: number | null
  readonly compacted: boolean
  /** The collector checks each event against the schema and answers 400 for a batch with bad lines. */
  readonly validate: boolean
  /** Only this pipeline writes and reads it: `through` becomes an exchange. */
  readonly private: boolean
  readonly '~types'?: { readonly value: V }
}

export type AnyTopic = TopicDeclaration<unknown>
