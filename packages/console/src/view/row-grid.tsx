import { useEffect, useMemo, useRef } from 'react'
import type { Row, Sorting } from '../model/table-rows.ts'
import { changedRows, columnDigits, formatCell, isTimeCell, rowKey } from '../model/table-rows.ts'

interface RowGridProps {
  readonly fields: readonly string[]
  readonly primaryKey: readonly string[]
  readonly rows: readonly Row[]
  readonly sorting: Sorting | null
  readonly sort: (sorting: Sorting) => void
}

/** Rows keep their identity by key, so that an update changes cells and nothing else; what changed glows for a moment. */
export function RowGrid({ fields, primaryKey, rows, sorting, sort }: RowGridProps): React.ReactNode {
  const changed = useChanged(rows, primaryKey)
  const digits = new Map(fields.map((field) => [field, columnDigits(rows, field)]))
  const turn = (field: string): void => sort({ field, descending: sorting?.field === field ? !sorting.descending : true })
  return (
    <div className="scroller" role="region" aria-label="Rows of the table" tabIndex={0}>
      <table className="grid" data-testid="rows">
        <thead>
          <tr>
            {fields.map((field) => (
              <th
                key={field}
                aria-sort={sorting?.field === field ? (sorting.descending ? 'descending' : 'ascending') : 'none'}
                data-number={isNumber(rows, field)}
              >
                <button type="button" className="quiet" onClick={() => turn(field)}>
                  {field}
                  <span className="sort-sign" aria-hidden="true">
                    {sorting?.field === field ? (sorting.descending ? '↓' : '↑') : ''}
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
                  <td key={field} data-number={isNumberCell(field, row[field])} data-key={primaryKey.includes(field)}>
                    {formatCell(field, row[field], digits.get(field) ?? 0)}
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

function isNumberCell(field: string, value: unknown): boolean {
  return typeof value === 'number' && !isTimeCell(field, value)
}

function isNumber(rows: readonly Row[], field: string): boolean {
  return isNumberCell(field, rows[0]?.[field])
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
