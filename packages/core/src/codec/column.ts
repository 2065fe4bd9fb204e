// Kinds and columns: how values lie in memory between the bytes of a record and the operators.
// Fixed from the first day, because everything imports it. A column is data only; operators loop over its arrays directly.
//
// Invariants: `validity` is null when every row has a value, else one byte per row, 1 = value, 0 = null (one byte and not one bit: a
// byte test is cheaper in the hot loops, and Parquet packs the bits once per page). What lies in the arrays at a null row is
// unspecified. Row counts live in the batch; arrays may be longer than the batch (they are reused).

/** The physical kinds. `string` is bytes known to be valid UTF-8; `time` is i64 milliseconds UTC. */
export type FieldType =
  | { readonly kind: 'bool' }
  | { readonly kind: 'i32' }
  | { readonly kind: 'i64'; readonly big?: true } // big: lambdas see bigint, exact; else number, refused beyond ±(2^53 - 1)
  | { readonly kind: 'f64' }
  | { readonly kind: 'time' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'string' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'json' } // any JSON value, carried as its bytes
  | { readonly kind: 'variant' } // what a lambda without schema returned; its type is known per row only
  | { readonly kind: 'list'; readonly item: FieldType; readonly itemNullable: boolean }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }

export interface Field {
  readonly name: string
  readonly type: FieldType
  readonly nullable: boolean
}

export interface BoolColumn {
  readonly layout: 'bool'
  readonly values: Uint8Array
  readonly validity: Uint8Array | null
}
export interface I32Column {
  readonly layout: 'i32'
  readonly values: Int32Array
  readonly validity: Uint8Array | null
}
/** f64, and i64 / time / decimal(scaled) while every value of the batch is a whole number within ±2^53. */
export interface F64Column {
  readonly layout: 'f64'
  readonly values: Float64Array
  readonly validity: Uint8Array | null
}
/** i64 / time / decimal where some value of the batch is outside ±2^53. */
export interface BigColumn {
  readonly layout: 'i64'
  readonly values: BigInt64Array
  readonly validity: Uint8Array | null
}
/** string / bytes / json: row i is data[offsets[i] .. offsets[i+1]). */
export interface BytesColumn {
  readonly layout: 'bytes'
  readonly offsets: Int32Array
  readonly data: Uint8Array
  readonly validity: Uint8Array | null
}
/** string / bytes where values lie scattered in a buffer (the fetched bytes): row i is data[starts[i] .. ends[i]). Never crosses a thread or a file. */
export interface SliceColumn {
  readonly layout: 'slice'
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly data: Uint8Array
  readonly validity: Uint8Array | null
}
/** string / bytes with few distinct values. The dictionary belongs to one batch or one store and lives and dies with it; ids never
 *  cross an exchange, a thread or a file. At most DICTIONARY_SIZE_MAX entries, else the writer falls back to bytes. */
export interface DictionaryColumn {
  readonly layout: 'dictionary'
  readonly ids: Int32Array
  readonly dictionary: BytesColumn
  readonly dictionaryCount: number
  readonly validity: Uint8Array | null
}
export interface ListColumn {
  readonly layout: 'list'
  readonly offsets: Int32Array
  readonly items: Column
  readonly validity: Uint8Array | null
}
export interface StructColumn {
  readonly layout: 'struct'
  readonly children: readonly Column[]
  readonly validity: Uint8Array | null
}
/** Values that a user's lambda returned without a schema: null, boolean, number, bigint, string or any JSON value. Inside a batch only;
 *  bytes when it leaves the task (tagged binary). */
export interface VariantColumn {
  readonly layout: 'variant'
  readonly values: readonly unknown[]
  readonly validity: Uint8Array | null
}
export type Column =
  VariantColumn | BoolColumn | I32Column | F64Column | BigColumn | BytesColumn | SliceColumn | DictionaryColumn | ListColumn | StructColumn

export const DICTIONARY_SIZE_MAX = 65_536

/** Where the rows of a batch came from, for lazy rows, pass-through of bytes, dead letters and sink versions. */
export interface RowOrigin {
  readonly topic: string
  readonly partition: number
  /** The bytes of the fetched batches; row i is the record value bytes[valueStart[i] .. valueEnd[i]). */
  readonly bytes: Uint8Array
  readonly valueStarts: Int32Array
  readonly valueEnds: Int32Array
  /** Record keys in the same buffer; -1 in keyStarts means a null key. */
  readonly keyStarts: Int32Array
  readonly keyEnds: Int32Array
  /** Offsets of the records in their partition. */
  readonly offsets: Float64Array
}

/**
 * Rows between two operators. Physical rows 0..rowCount-1; when `selected` is not null only the rows selected[0..selectedCount-1],
 * ascending, are live (a filter narrows the selection and copies nothing). `times` is the event time of each row, milliseconds.
 * `weights` null means that every row is an insert (+1); otherwise +n inserts, -n deletes.
 * Column i belongs to field i of the plan node that produced the batch; null where nobody downstream reads it.
 * A batch is valid until the producing operator is called again: whoever keeps rows copies them.
 */
export interface Batch {
  readonly rowCount: number
  readonly columns: readonly (Column | null)[]
  readonly times: Float64Array
  readonly weights: Int32Array | null
  readonly selected: Int32Array | null
  readonly selectedCount: number
  /** Row -> origin row index is the identity when `originRows` is null. */
  readonly origin: RowOrigin | null
  readonly originRows: Int32Array | null
  /** Set where a lambda (map, flatMap, scan) or a foreign schema made the rows: row i as a JavaScript value. `columns` are then those
   *  fields that somebody downstream needs as columns, extracted from it. Null: the columns are the row. */
  readonly values: readonly unknown[] | null
}
