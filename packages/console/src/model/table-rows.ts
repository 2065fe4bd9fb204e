// Rows of a live table as cells: which columns hold times, how values sort and read, and what changed since the last second.
import { formatTime } from './format.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Sorting {
  readonly field: string
  readonly descending: boolean
}

/** Milliseconds between 1971 and 2286: a number outside is hardly a time, whatever its name says. */
const TIME_MS_MIN = 31_536_000_000
const TIME_MS_MAX = 10_000_000_000_000

/** The API sends times as numbers and names no kinds, so a column is read as a time by its name and its value together. */
export function isTimeCell(field: string, value: unknown): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < TIME_MS_MIN || value > TIME_MS_MAX) return false
  return /^(at|time|date|start|end|timestamp|ts)$|(At|Time|Date|Start|End|Timestamp|Ms|_at|_time|_ts|_ms)$/.test(field)
}

const NUMBERS = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
)

/** Digits behind the point for a whole column, so that its numbers stand below each other: about four significant ones. */
export function columnDigits(rows: readonly Row[], field: string): number {
  let largest = 0
  let fraction = false
  for (const row of rows) {
    const value = row[field]
    if (typeof value !== 'number') continue
    largest = Math.max(largest, Math.abs(value))
    fraction ||= !Number.isInteger(value)
  }
  if (!fraction) return 0
  return largest < 10 ? 3 : largest < 1000 ? 2 : 1
}

export function formatCell(field: string, value: unknown, digits: number): string {
  if (value === null || value === undefined) return '–'
  if (isTimeCell(field, value)) return formatTime(value)
  if (typeof value === 'number') return NUMBERS[digits]?.format(value) ?? String(value)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Nulls first, numbers by size, everything else as text. */
export function compareCells(left: unknown, right: unknown): number {
  if (left === right) return 0
  if (left === null || left === undefined) return -1
  if (right === null || right === undefined) return 1
  if (typeof left === 'number' && typeof right === 'number') return left - right
  const [a, b] = [cellText(left), cellText(right)]
  return a < b ? -1 : a > b ? 1 : 0
}

function cellText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function sortRows(rows: readonly Row[], sorting: Sorting | null): readonly Row[] {
  if (sorting === null) return rows
  const sign = sorting.descending ? -1 : 1
  return rows.toSorted((a, b) => sign * compareCells(a[sorting.field], b[sorting.field]))
}

/** The newest first, when the key or a value tells a time; else the order of the server. */
export function defaultSorting(fields: readonly string[], sample: Row | undefined): Sorting | null {
  const field = fields.find((name) => isTimeCell(name, sample?.[name]))
  return field === undefined ? null : { field, descending: true }
}

/** Identity of a row over time. */
export function rowKey(row: Row, primaryKey: readonly string[]): string {
  return JSON.stringify(primaryKey.map((field) => row[field] ?? null))
}

/** Keys of the rows that are new or have another value than before; nothing at the first sight of a table. */
export function changedRows(before: ReadonlyMap<string, string> | null, now: ReadonlyMap<string, string>): ReadonlySet<string> {
  const changed = new Set<string>()
  if (before === null) return changed
  for (const [key, text] of now) if (before.get(key) !== text) changed.add(key)
  return changed
}
