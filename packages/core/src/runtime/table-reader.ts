// Reads of a live table: rows as they were at the last commit of each task group (law ST-4), as JavaScript values.
// A read runs between two batches of the owning task, because both run on one thread; long scans go in pieces. Each task group answers
// with a slice, wherever it runs; the slices are merged by whoever was asked.
import type { Field } from '../codec/column.ts'
import type { RowReader, TableStore } from '../state/store.ts'
import type { Task } from './task/task.ts'
import type { TableSlice } from './task-host.ts'
import { OPEN_ROW_FIELD, ROW_TIME_FIELD } from '../compile/stores.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { KeyWriter, readKey, readKeyField } from '../codec/key-bytes.ts'
import { MillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'

const SCAN_SLOTS = 4096
const TEXT = new TextDecoder()

export type TableRow = Readonly<Record<string, unknown>>

export interface TableQuery {
  /** Values of the whole primary key, in order: at most one row. */
  readonly key?: readonly unknown[]
  /** Values of the first fields of the key. */
  readonly prefix?: readonly unknown[]
  /** Bounds of the key field behind the prefix: from inclusive, to exclusive. */
  readonly from?: unknown
  readonly to?: unknown
  /** Order by this field, then by the key; default: by the key alone. It decides which rows a `limit` keeps. */
  readonly by?: string
  /** The order backwards. */
  readonly descending?: boolean
  /** Default 1,000. */
  readonly limit?: number
}

export interface TablePage {
  readonly table: string
  readonly rows: readonly TableRow[]
  /** Rows in the whole table, over all groups. */
  readonly rowCount: number
  /** The newest tick that every group had committed. */
  readonly tick: number
  readonly watermarkMs: number
}

export interface TableSource {
  readonly name: string
  readonly store: string
  readonly tasks: readonly Task[]
  turn(): Promise<void>
}

/** Row columns of a table's store: values of a time or text column as JavaScript values. */
function valueOf(row: RowReader, column: number, field: Field): unknown {
  if (field.nullable && row.isNull(column)) return null
  switch (field.type.kind) {
    case 'bool':
      return row.number(column) === 1
    case 'i32':
    case 'f64':
    case 'time':
      return row.number(column)
    case 'i64': {
      const value = row.integer(column)
      return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
    }
    case 'decimal': {
      const digits = row.integer(column)
      return Number(digits) / 10 ** field.type.scale
    }
    case 'string':
      return TEXT.decode(row.bytes(column))
    case 'bytes':
      return Buffer.from(row.bytes(column)).toString('base64')
    default:
      return readTaggedOrJson(row.bytes(column), field)
  }
}

function readTaggedOrJson(bytes: Uint8Array, field: Field): unknown {
  if (field.type.kind === 'json') return JSON.parse(TEXT.decode(bytes)) as unknown
  return readKey([{ ...field, nullable: false }], bytes, 0, bytes.length)[0]
}

/** True for a column that the engine keeps beside the user's: the row's time, or the whole of a row without typed columns. */
export function isOwnColumn(name: string): boolean {
  return name === ROW_TIME_FIELD.name || name === OPEN_ROW_FIELD.name
}

function keyOf(store: TableStore, row: RowReader): readonly unknown[] {
  const bytes = row.key()
  return readKey(store.layout.key, bytes, 0, bytes.length)
}

/** The row as an object: key fields, then value fields. Of rows without typed columns: the fields of the JavaScript value. */
export function rowOf(store: TableStore, row: RowReader): TableRow {
  const { key, value } = store.layout
  const keyValues = keyOf(store, row)
  const result: Record<string, unknown> = {}
  for (const [index, field] of key.entries()) result[field.name] = keyValues[index]
  for (const [index, field] of value.entries()) {
    if (!isOwnColumn(field.name)) result[field.name] = valueOf(row, index, field)
    else if (field.name === OPEN_ROW_FIELD.name) Object.assign(result, valueOf(row, index, field))
  }
  return result
}

/** @throws {MillraceError} `MR_TABLE_KEY_INVALID` when a value does not fit its key field. */
function encodeKey(fields: readonly Field[], values: readonly unknown[], table: string): Uint8Array {
  if (values.length !== fields.length)
    throw new MillraceError('MR_TABLE_KEY_INVALID', {
      details: { table, expected: fields.map((field) => field.name).join(','), got: values.length },
    })
  const writer = new KeyWriter(fields)
  const columns = fields.map((field, index) => {
    const builder = columnBuilder(field.type)
    builder.append(keyValue(field, values[index], table))
    return builder.finish()
  })
  writer.encode(columns, null, 1)
  return writer.bytes.slice(0, writer.offsets[1])
}

/** Values of a query come as text from a URL or a command line. */
function keyValue(field: Field, value: unknown, table: string): unknown {
  const refuse = (): never => {
    throw new MillraceError('MR_TABLE_KEY_INVALID', {
      details: { table, field: field.name, kind: field.type.kind, value: textOf(value).slice(0, 80) },
    })
  }
  if (value === null || value === undefined) return field.nullable ? null : refuse()
  switch (field.type.kind) {
    case 'i32':
    case 'i64':
    case 'f64': {
      const number = Number(value)
      return Number.isNaN(number) ? refuse() : number
    }
    case 'time': {
      const number = typeof value === 'number' ? value : /^-?\d+$/.test(textOf(value)) ? Number(value) : Date.parse(textOf(value))
      return Number.isNaN(number) ? refuse() : number
    }
    case 'bool':
      return value === true || value === 'true'
    case 'variant':
      return value
    default:
      return textOf(value)
  }
}

function compareValues(a: unknown, b: unknown): number {
  if (a === b) return 0
  if (a === null || a === undefined) return -1
  if (b === null || b === undefined) return 1
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [textOf(a), textOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

const LIMIT_DEFAULT = 1000
/** Rows beyond the limit that a scan gathers before it throws away those that cannot be in the answer. */
const SPARE_ROWS = 4096

/** A task that has nothing to read from yet, or that has failed before it had. */
export function tableNotReady(table: string, task: string, phase: string): MillraceError {
  return new MillraceError('MR_TABLE_NOT_READY', {
    details: { table, task, phase },
    ...(phase === 'failed'
      ? { message: 'the task that has the table has failed.', fix: '`npx millrace status` says why, and what to do.' }
      : {}),
  })
}

/** Answers a query for the task groups that run on this thread. */
export async function readSlices(source: TableSource, query: TableQuery): Promise<readonly TableSlice[]> {
  const slices: TableSlice[] = []
  for (const task of source.tasks) {
    const { core } = task
    const store = core?.stores.get(source.store)?.store
    if (core === null || store === undefined) throw tableNotReady(source.name, task.name, task.phase)
    const keyNames = store.layout.key.map((field) => field.name)
    const { rowCount } = store
    const { through: tick, watermarkMs } = core.state
    const rows = query.key === undefined ? await scan(source, store, query) : find(source, store, query.key)
    slices.push({ rows: ordered(rows, keyNames, query), keyNames, rowCount, tick, watermarkMs })
  }
  return slices
}

/** The page that all slices of a table give together. */
export function mergeSlices(table: string, slices: readonly TableSlice[], query: TableQuery): TablePage {
  let rowCount = 0
  let tick = Number.POSITIVE_INFINITY
  let watermarkMs = Number.POSITIVE_INFINITY
  for (const slice of slices) {
    rowCount += slice.rowCount
    tick = Math.min(tick, slice.tick)
    watermarkMs = Math.min(watermarkMs, slice.watermarkMs)
  }
  const rows = slices.flatMap((slice) => slice.rows)
  return { table, rows: ordered(rows, slices[0]?.keyNames ?? [], query), rowCount, tick, watermarkMs }
}

function ordered(rows: readonly TableRow[], keyNames: readonly string[], query: TableQuery): readonly TableRow[] {
  const names = query.by === undefined ? keyNames : [query.by, ...keyNames]
  const sorted = rows.toSorted((a, b) => {
    for (const name of names) {
      const order = compareValues(a[name], b[name])
      if (order !== 0) return query.descending === true ? -order : order
    }
    return 0
  })
  return sorted.slice(0, query.limit ?? LIMIT_DEFAULT)
}

function find(source: TableSource, store: TableStore, values: readonly unknown[]): readonly TableRow[] {
  const key = encodeKey(store.layout.key, values, source.name)
  const slot = store.findCommitted(key, 0, key.length)
  const row = slot < 0 ? null : store.readCommitted(slot)
  return row === null ? [] : [rowOf(store, row)]
}

async function scan(source: TableSource, store: TableStore, query: TableQuery): Promise<readonly TableRow[]> {
  checkOrder(source, store, query)
  const isWanted = rowFilter(source, store, query)
  const order = firstOrder(store, query)
  const limit = query.limit ?? LIMIT_DEFAULT
  const keyNames = store.layout.key.map((field) => field.name)
  let rows: TableRow[] = []
  let worst: { readonly value: unknown } | null = null
  let at = 0
  while (at >= 0) {
    const found: Found[] = []
    at = store.scanCommitted(at, SCAN_SLOTS, (row) => {
      if (!isWanted(row)) return
      const value = order.valueOf(row)
      if (worst === null || order.compare(value, worst.value) <= 0) found.push({ slot: row.slot, value })
    })
    // Most rows of a large table are behind the limit: they are told by one value, and only the rest is decoded whole.
    for (const { slot } of first(found, limit, order)) {
      const row = store.readCommitted(slot)
      if (row !== null) rows.push(rowOf(store, row))
    }
    if (rows.length >= limit + SPARE_ROWS) {
      rows = [...ordered(rows, keyNames, query)]
      worst = order.name === null ? null : { value: rows.at(-1)?.[order.name] }
    }
    await source.turn()
  }
  return rows
}

/** A row that may be in the answer, and its value of the field that the order begins with. */
interface Found {
  readonly slot: number
  readonly value: unknown
}

interface FirstOrder {
  /** Null: the rows have no typed columns, and only a decoded row tells. */
  readonly name: string | null
  valueOf(row: RowReader): unknown
  compare(left: unknown, right: unknown): number
}

function firstOrder({ layout }: TableStore, { by, descending }: TableQuery): FirstOrder {
  const sign = descending === true ? -1 : 1
  const compare = (left: unknown, right: unknown): number => sign * compareValues(left, right)
  const inKey = by === undefined ? 0 : layout.key.findIndex((field) => field.name === by)
  if (inKey >= 0) {
    const name = layout.key[inKey]?.name ?? null
    return { name, compare, valueOf: (row) => readKeyField(layout.key, row.key(), inKey) }
  }
  const column = layout.value.findIndex((field) => field.name === by)
  const field = layout.value[column]
  if (field === undefined) return { name: null, compare: () => 0, valueOf: () => null }
  return { name: field.name, compare, valueOf: (row) => valueOf(row, column, field) }
}

/** The first `limit` rows by one value, and those that are equal to the last of them: the rest of the order decides between these. */
function first(found: readonly Found[], limit: number, { compare }: FirstOrder): readonly Found[] {
  if (found.length <= limit) return found
  const sorted = found.toSorted((a, b) => compare(a.value, b.value))
  const last = sorted[limit - 1]?.value
  const end = sorted.findIndex(({ value }, index) => index >= limit && compare(value, last) > 0)
  return end < 0 ? sorted : sorted.slice(0, end)
}

/** Whether a row fits prefix and range. */
function rowFilter(source: TableSource, store: TableStore, query: TableQuery): (row: RowReader) => boolean {
  const prefix = (query.prefix ?? []).map((value, index) => keyValue(fieldAt(store, index, source.name), value, source.name))
  const next = store.layout.key[prefix.length]
  const from = query.from === undefined || next === undefined ? undefined : keyValue(next, query.from, source.name)
  const to = query.to === undefined || next === undefined ? undefined : keyValue(next, query.to, source.name)
  if (prefix.length === 0 && from === undefined && to === undefined) return () => true
  return (row) => {
    const key = keyOf(store, row)
    const value = key[prefix.length]
    if (prefix.some((wanted, index) => key[index] !== wanted)) return false
    return (from === undefined || compareValues(value, from) >= 0) && (to === undefined || compareValues(value, to) < 0)
  }
}

function checkOrder(source: TableSource, { layout }: TableStore, { by }: TableQuery): void {
  const names = [...layout.key, ...layout.value].map((field) => field.name)
  // Rows without typed columns have the fields that they have.
  if (by === undefined || names.includes(OPEN_ROW_FIELD.name) || (names.includes(by) && !isOwnColumn(by))) return
  const fields = names.filter((name) => !isOwnColumn(name)).join(',')
  throw new MillraceError('MR_TABLE_FIELD_UNKNOWN', { details: { table: source.name, field: by.slice(0, 80), fields } })
}

function fieldAt(store: TableStore, index: number, table: string): Field {
  const field = store.layout.key[index]
  if (field === undefined)
    throw new MillraceError('MR_TABLE_KEY_INVALID', { details: { table, expected: store.layout.key.map((other) => other.name).join(',') } })
  return field
}
