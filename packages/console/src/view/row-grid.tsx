import { useEffect, useMemo, useRef } from 'react'
import type { Row, Sorting } from '../model/table-rows.ts'
import { changedRows, columnDigits, formatCell, rowKey, timeDigits } from '../model/table-rows.ts'

interface RowGridProps {
  readonly fields: readonly string[]
  readonly primaryKey: readonly string[]
  /** Fields that hold times. */
  readonly times: readonly string[]
  /** Fields that hold numbers; the exact ones come as texts. */
  readonly numbers: readonly string[]
  /** In the order in which they are shown. */
  readonly rows: readonly Row[]
  readonly sorting: Sorting
  readonly sort: (sorting: Sorting) => void
}

/** Rows keep their identity by key, so that an update changes cells and nothing else; what changed glows for a moment. */
export function RowGrid({ fields, primaryKey, times, numbers, rows, sorting, sort }: RowGridProps): React.ReactNode {
  const changed = useChanged(rows, primaryKey)
  const formats = new Map(fields.map((field) => [field, times.includes(field) ? timeDigits(rows, field) : columnDigits(rows, field)]))
  const isNumber = (field: string, value: unknown): boolean =>
    numbers.includes(field) || (typeof value === 'number' && !times.includes(field))
  const ordered = sorting.field ?? primaryKey[0]
  const turn = (field: string): void => sort({ field, descending: ordered === field ? !sorting.descending : true })
  return (
    <div className="scroller" role="region" aria-label="Rows of the table" tabIndex={0}>
      <table className="grid" data-testid="rows">
        <thead>
          <tr>
            {fields.map((field) => (
              <th
                key={field}
                aria-sort={ordered === field ? (sorting.descending ? 'descending' : 'ascending') : 'none'}
                data-number={isNumber(field, rows[0]?.[field])}
              >
                <button type="button" className="quiet" onClick={() => turn(field)}>
                  {field}
                  <span className="sort-sign" aria-hidden="true">
                    {ordered === field ? (sorting.descending ? '↓' : '↑') : ''}
                  </span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = rowKey(row, primaryKey)
            return (
              <tr key={key} data-changed={changed.has(key)}>
                {fields.map((field) => (
                  <td key={field} data-number={isNumber(field, row[field])} data-key={primaryKey.includes(field) && !times.includes(field)}>
                    {formatCell(row[field], formats.get(field) ?? 0)}
                  </td>
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function useChanged(rows: readonly Row[], primaryKey: readonly string[]): ReadonlySet<string> {
  const before = useRef<ReadonlyMap<string, string> | null>(null)
  const texts = useMemo(() => new Map(rows.map((row) => [rowKey(row, primaryKey), JSON.stringify(row)])), [rows, primaryKey])
  const changed = changedRows(before.current, texts)
  useEffect(() => {
    before.current = texts.size === 0 ? null : texts
  }, [texts])
  return changed
}
