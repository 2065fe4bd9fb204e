// What a record decoder fills: one slot per field that is read or checked, a status per row, and the errors of the rows that were refused. Owned by
// whoever reads the batch and reused from batch to batch: the columns of one `decode` are valid until the next one into the same object.
import { must } from '../base/assert.ts'
import type { ErrorCode } from '../base/errors.ts'
import { columnBuilder, promote } from './column-builder.ts'
import { DICTIONARY_SIZE_MAX, type Column, type Field, type FieldType } from './column.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { Interner } from './interner.ts'

export const ROW_OK = 0
/** The record has no value (a deletion). */
export const ROW_NULL = 1
/** The record was refused; `errors` says why. */
export const ROW_BAD = 2

export interface DecodeError {
  readonly row: number
  readonly code: ErrorCode
  /** Byte position inside the record. */
  readonly at: number
  /** Path of the field, empty for the document itself. */
  readonly field: string
  readonly message: string
}

export type SlotKind = 'bool' | 'i32' | 'i64' | 'bigint' | 'f64' | 'time' | 'decimal' | 'string' | 'json' | 'deferred'

function slotKind(type: FieldType): SlotKind {
  switch (type.kind) {
    case 'i64':
      return type.big === true ? 'bigint' : 'i64'
    case 'bool':
    case 'i32':
    case 'f64':
    case 'time':
    case 'decimal':
    case 'string':
    case 'json':
      return type.kind
    default:
      return 'deferred'
  }
}

const NONE = new Uint8Array(0)

/** The arrays of one field that is read or checked. All of one shape, so that the hot loops stay monomorphic; those that a kind does not use are empty. */
export class FieldSlot {
  readonly field: Field
  /** Index among the schema's fields. */
  readonly index: number
  readonly kind: SlotKind
  /** False: values are held to the schema and not kept. */
  readonly isRead: boolean
  readonly interner: Interner | null
  /** Numbers, times, scaled decimals. */
  f64: Float64Array = new Float64Array(0)
  i32: Int32Array = new Int32Array(0)
  u8: Uint8Array = NONE
  /** Strings and raw values: in the records' bytes, or in `arena` when the start is negative (then arena[-start - 1 .. end)). */
  starts: Int32Array = new Int32Array(0)
  ends: Int32Array = new Int32Array(0)
  ids: Int32Array = new Int32Array(0)
  /** 1 = value; written for every row where the field is nullable. */
  validity: Uint8Array = NONE
  hasNull = false
  /** The row in which the field was seen last, + 1, to find duplicates and missing fields. */
  seen = 0
  /** Integers beyond ±(2^53 - 1). */
  readonly big: Map<number, bigint> = new Map()
  /** Coerced values of nested kinds, by row. */
  readonly nested: Map<number, unknown> = new Map()
  arena: GrowingBytes = new GrowingBytes(0)

  constructor(field: Field, index: number, isRead: boolean, dictionary: boolean) {
    this.field = field
    this.index = index
    this.kind = slotKind(field.type)
    this.isRead = isRead
    this.interner = isRead && dictionary && this.kind === 'string' ? new Interner() : null
  }

  prepare(rows: number): void {
    this.hasNull = false
    this.seen = 0
    this.big.clear()
    this.nested.clear()
    this.arena.reset()
    this.interner?.reset()
    if (this.capacity() >= rows) return
    const room = Math.max(1024, rows * 2)
    if (this.field.nullable) this.validity = new Uint8Array(room)
    switch (this.kind) {
      case 'bool':
        this.u8 = new Uint8Array(room)
        return
      case 'i32':
        // Parsed as f64, checked, then stored.
        this.i32 = new Int32Array(room)
        this.f64 = new Float64Array(room)
        return
      case 'string':
      case 'json':
      case 'deferred':
        this.starts = new Int32Array(room)
        this.ends = new Int32Array(room)
        if (this.interner !== null) this.ids = new Int32Array(room)
        return
      default:
        this.f64 = new Float64Array(room)
    }
  }

  capacity(): number {
    return Math.max(this.f64.length, this.u8.length, this.starts.length)
  }

  setNull(row: number): void {
    this.validity[row] = 0
    this.hasNull = true
    // A scanner that gave the record up may have left a value.
    if (this.big.size > 0) this.big.delete(row)
    if (this.nested.size > 0) this.nested.delete(row)
  }

  /** The column of rows 0..rows-1; `data` holds the records. Rows that are not good hold nothing of meaning. */
  column(data: Uint8Array, status: Uint8Array, rows: number): Column {
    const validity = this.hasNull ? this.validity : null
    switch (this.kind) {
      case 'bool':
        return { layout: 'bool', values: this.u8, validity }
      case 'i32':
        return { layout: 'i32', values: this.i32, validity }
      case 'deferred':
        return this.#nestedColumn(rows)
      case 'string':
      case 'json':
        if (this.interner !== null && this.interner.count <= DICTIONARY_SIZE_MAX) {
          return { layout: 'dictionary', ids: this.ids, dictionary: this.interner.values(), dictionaryCount: this.interner.count, validity }
        }
        if (this.arena.at > 0) return this.#copied(data, status, rows, validity)
        return { layout: 'slice', starts: this.starts, ends: this.ends, data, validity }
      default:
        return this.big.size === 0
          ? { layout: 'f64', values: this.f64, validity }
          : { layout: 'i64', values: promote(this.f64, rows, this.big), validity }
    }
  }

  #nestedColumn(rows: number): Column {
    const builder = columnBuilder(this.field.type)
    for (let row = 0; row < rows; row++) builder.append(this.nested.get(row))
    return builder.finish()
  }

  /** Some values lie in the records and some in the arena: all are copied into one buffer. */
  #copied(data: Uint8Array, status: Uint8Array, rows: number, validity: Uint8Array | null): Column {
    const into = new GrowingBytes(this.arena.at * 2)
    const offsets = new Int32Array(rows + 1)
    for (let row = 0; row < rows; row++) {
      if (status[row] === ROW_OK && (validity === null || validity[row] === 1)) {
        const start = this.starts[row] as number
        const end = this.ends[row] as number
        if (start < 0) into.copy(this.arena.bytes, -start - 1, end)
        else into.copy(data, start, end)
      }
      offsets[row + 1] = into.at
    }
    return { layout: 'bytes', offsets, data: into.bytes, validity }
  }
}

export class DecodedColumns {
  readonly slots: readonly FieldSlot[]
  /** By field index; null where the field is not read. */
  readonly columns: (Column | null)[]
  /** ROW_OK, ROW_NULL or ROW_BAD by row; ROW_NULL for rows outside the selection that was decoded. */
  status: Uint8Array = new Uint8Array(0)
  /** The good rows, ascending. */
  selected: Int32Array = new Int32Array(0)
  selectedCount = 0
  /** Records without a value among the decoded rows. */
  nullCount = 0
  /** By row, ascending, after `finish`. */
  readonly errors: DecodeError[] = []

  /** `checked`: the fields outside the projection are held to the schema, too. */
  constructor(fields: readonly Field[], projection: readonly number[], dictionary: readonly number[] = [], checked = false) {
    const read = new Set(projection)
    const indexes = checked ? [...fields.keys()] : projection
    this.slots = indexes.map(
      (index) => new FieldSlot(must(fields[index], `field ${index}`), index, read.has(index), dictionary.includes(index)),
    )
    this.columns = fields.map(() => null)
  }

  /** Starts a batch whose row numbers are below `rows`; `sparse` when not all of them will be decoded. */
  prepare(rows: number, sparse: boolean): void {
    if (this.status.length < rows) {
      this.status = new Uint8Array(rows * 2)
      this.selected = new Int32Array(rows * 2)
    }
    this.selectedCount = 0
    this.nullCount = 0
    this.errors.length = 0
    if (sparse) this.status.fill(ROW_NULL, 0, rows)
    for (const slot of this.slots) slot.prepare(rows)
  }

  reject(row: number, code: ErrorCode, at: number, field: string, message: string): void {
    this.status[row] = ROW_BAD
    this.errors.push({ row, code, at, field, message })
  }

  /** Ends a batch: selects the good rows among `rows` (null: 0..count-1) and makes the columns. Returns how many are good. */
  finish(data: Uint8Array, rows: Int32Array | null, count: number): number {
    const { status, selected } = this
    let good = 0
    let top = 0
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : (rows[i] as number)
      top = row + 1
      if (status[row] === ROW_OK) selected[good++] = row
      else if (status[row] === ROW_NULL) nulls++
    }
    this.selectedCount = good
    this.nullCount = nulls
    // Records that a scanner gave up are looked at after the others.
    if (this.errors.length > 1) this.errors.sort((a, b) => a.row - b.row)
    for (const slot of this.slots) if (slot.isRead) this.columns[slot.index] = slot.column(data, status, top)
    return good
  }
}
