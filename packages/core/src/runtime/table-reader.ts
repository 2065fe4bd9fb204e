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
import { asRead, columnRead, keyAsked, nullAsked, orderOf } from './table-values.ts'

const SCAN_SLOTS = 4096

export type TableRow = Readonly<Record<string, unknown>>

export interface TableQuery {
  /** The values are texts of a URL: `null` is null in a field that may be null, and `"null"` is that text. Default: they are what they are. */
  readonly texts?: boolean
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

/** True for a column that the engine keeps beside the user's: the row's time, or the whole of a row without typed columns. */
export function isOwnColumn(name: string): boolean {
  return name === ROW_TIME_FIELD.name || name === OPEN_ROW_FIELD.name
}

function keyOf(store: TableStore, row: RowReader): readonly unknown[] {
  const bytes = row.key()
  return readKey(store.layout.key, bytes, 0, bytes.length).map(asRead)
}

/** The row as an object: key fields, then value fields. Of rows without typed columns: the fields of the JavaScript value. */
export function rowOf(store: TableStore, row: RowReader): TableRow {
  const { key, value } = store.layout
  const keyValues = keyOf(store, row)
  const result: Record<string, unknown> = {}
  for (const [index, field] of key.entries()) result[field.name] = keyValues[index]
  for (const [index, field] of value.entries()) {
    if (!isOwnColumn(field.name)) result[field.name] = columnRead(row, index, field)
    else if (field.name === OPEN_ROW_FIELD.name) {
      for (const [name, inside] of Object.entries(columnRead(row, index, field) ?? {})) result[name] = asRead(inside)
    }
  }
  return result
}

type Asked = (field: Field, value: unknown) => unknown

/** Values of the query as their fields have them. They throw `MR_TABLE_KEY_INVALID` when they do not fit. */
function valueAsked({ name }: TableSource, { texts }: TableQuery): Asked {
  return (field, value) => keyAsked(field, texts === true ? nullAsked(field, value) : value, name)
}

/** @throws {MillraceError} `MR_TABLE_KEY_INVALID` when a value does not fit its key field. */
function encodeKey(fields: readonly Field[], values: readonly unknown[], asked: Asked, table: string): Uint8Array {
  if (values.length !== fields.length)
    throw new MillraceError('MR_TABLE_KEY_INVALID', {
      details: { table, expected: fields.map((field) => field.name).join(','), got: values.length },
    })
  const writer = new KeyWriter(fields)
  const columns = fields.map((field, index) => {
    const builder = columnBuilder(field.type)
    builder.append(asked(field, values[index]))
    return builder.finish()
  })
  writer.encode(columns, null, 1)
  return writer.bytes.slice(0, writer.offsets[1])
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
    const { committedCount: rowCount } = store
    const { through: tick, watermarkMs } = core.state
    checkRange(source, store, query)
    const rows = query.key === undefined ? await scan(source, store, query) : find(source, store, query.key, valueAsked(source, query))
    const order = orderFields(store, query)
    slices.push({ rows: ordered(rows, order, query), order, rowCount, tick, watermarkMs })
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
  return { table, rows: ordered(rows, slices[0]?.order ?? [], query), rowCount, tick, watermarkMs }
}

/** The fields that decide the order: the one asked for, then those of the key. */
function orderFields({ layout }: TableStore, { by }: TableQuery): readonly Field[] {
  if (by === undefined) return layout.key
  // A field that only rows without typed columns have: its values tell what they are.
  const field = [...layout.key, ...layout.value].find(({ name }) => name === by) ?? { name: by, type: { kind: 'variant' }, nullable: true }
  return [field, ...layout.key]
}

function ordered(rows: readonly TableRow[], order: readonly Field[], { descending, limit }: TableQuery): readonly TableRow[] {
  const parts = order.map((field) => ({ name: field.name, compare: orderOf(field) }))
  const sorted = rows.toSorted((a, b) => {
    for (const { name, compare } of parts) {
      const result = compare(a[name], b[name])
      if (result !== 0) return descending === true ? -result : result
    }
    return 0
  })
  return sorted.slice(0, limit ?? LIMIT_DEFAULT)
}

function find(source: TableSource, store: TableStore, values: readonly unknown[], asked: Asked): readonly TableRow[] {
  const key = encodeKey(store.layout.key, values, asked, source.name)
  const slot = store.findCommitted(key, 0, key.length)
  const row = slot < 0 ? null : store.readCommitted(slot)
  return row === null ? [] : [rowOf(store, row)]
}

async function scan(source: TableSource, store: TableStore, query: TableQuery): Promise<readonly TableRow[]> {
  checkOrder(source, store, query)
  const isWanted = rowFilter(source, store, query)
  const order = firstOrder(store, query)
  const limit = query.limit ?? LIMIT_DEFAULT
  const fields = orderFields(store, query)
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
      rows = [...ordered(rows, fields, query)]
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
  const inKey = by === undefined ? 0 : layout.key.findIndex((field) => field.name === by)
  const column = layout.value.findIndex((field) => field.name === by)
  const field = layout.key[inKey] ?? layout.value[column]
  if (field === undefined) return { name: null, compare: () => 0, valueOf: () => null }
  const rising = orderOf(field)
  return {
    name: field.name,
    compare: descending === true ? (left, right) => -rising(left, right) : rising,
    valueOf: inKey >= 0 ? (row) => asRead(readKeyField(layout.key, row.key(), inKey)) : (row) => columnRead(row, column, field),
  }
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
  const typed = valueAsked(source, query)
  const asked: Asked = (field, value) => asRead(typed(field, value))
  const prefix = (query.prefix ?? []).map((value, index) => asked(fieldAt(store, index, source.name), value))
  const next = store.layout.key[prefix.length]
  if (next === undefined || (query.from === undefined && query.to === undefined)) {
    if (prefix.length === 0) return () => true
    return (row) => isPrefix(prefix, keyOf(store, row))
  }
  const from = query.from === undefined ? undefined : asked(next, query.from)
  const to = query.to === undefined ? undefined : asked(next, query.to)
  const compare = orderOf(next)
  return (row) => {
    const key = keyOf(store, row)
    const value = key[prefix.length]
    return isPrefix(prefix, key) && (from === undefined || compare(value, from) >= 0) && (to === undefined || compare(value, to) < 0)
  }
}

/** A whole key is one row, given as `key` or as `prefix`: a range beside it has no field to bound, and would say nothing. */
function checkRange({ name: table }: TableSource, { layout }: TableStore, { key, prefix = [], from, to }: TableQuery): void {
  const bounds = [...(from === undefined ? [] : ['from']), ...(to === undefined ? [] : ['to'])]
  const ignored = key === undefined ? [] : [...bounds, ...(prefix.length > 0 ? ['prefix'] : [])]
  if (ignored.length > 0 || (bounds.length > 0 && prefix.length === layout.key.length))
    throw new MillraceError('MR_TABLE_KEY_INVALID', {
      message: `the whole key names one row, and \`${(ignored[0] ?? bounds[0]) as string}\` can choose nothing more.`,
      details: { table, key: layout.key.map((field) => field.name).join(',') },
      fix: 'Leave it out, or give fewer key fields as the prefix: a range bounds the key field behind it.',
    })
}

function isPrefix(prefix: readonly unknown[], key: readonly unknown[]): boolean {
  return prefix.every((wanted, index) => key[index] === wanted)
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
