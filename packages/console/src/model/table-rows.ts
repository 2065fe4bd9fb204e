// Rows of a live table as cells: how values read, in which order they are asked for, and what changed since the last second.
import { formatTime, formatWhole } from './format.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Sorting {
  /** Null: the key. */
  readonly field: string | null
  readonly descending: boolean
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

/** How the times of a column are shown: to the minute where none of them needs more. */
export function timeDigits(rows: readonly Row[], field: string): 'minute' | 'second' {
  return rows.every((row) => typeof row[field] !== 'number' || row[field] % 60_000 === 0) ? 'minute' : 'second'
}

/** `format`: digits behind the point of a number; `minute` or `second` of a time. */
export function formatCell(value: unknown, format: number | 'minute' | 'second'): string {
  if (value === null || value === undefined) return '–'
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value)
  if (typeof format === 'number') return NUMBERS[format]?.format(value) ?? String(value)
  const text = formatTime(value)
  return format === 'minute' && text.endsWith(':00') ? text.slice(0, -3) : text
}

/** The newest first, by a time of the key before any other; without a time the order of the key. */
export function defaultSorting({
  times,
  primaryKey,
}: {
  readonly times: readonly string[]
  readonly primaryKey: readonly string[]
}): Sorting {
  const time = primaryKey.find((field) => times.includes(field)) ?? times[0]
  return time === undefined ? { field: null, descending: false } : { field: time, descending: true }
}

export interface Shown {
  /** Rows that are shown, at most so many, and rows of the whole table. */
  readonly rows: number
  readonly limit: number
  readonly all: number
  readonly filtered: boolean
  readonly byTime: boolean
  readonly sorting: Sorting
}

/** Which rows are shown, in words: a part must not pass for the whole. */
export function shownText({ rows, limit, all, filtered, byTime, sorting: { field, descending } }: Shown): string {
  const whole = `${formatWhole(all)} ${all === 1 ? 'row' : 'rows'}`
  const count = formatWhole(rows)
  if (rows < limit || rows >= all) return filtered ? `${count} of ${whole}` : whole
  const which = !byTime ? 'first' : descending ? 'newest' : 'oldest'
  const order = field === null ? ' by key' : byTime ? '' : ` by ${field}`
  return filtered ? `${which} ${count}${order} of those that match, ${whole} in all` : `${which} ${count}${order} of ${whole}`
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
