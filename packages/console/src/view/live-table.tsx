import { useDeferredValue, useEffect, useState } from 'react'
import type { PipelineStatus } from '@millrace/core/engine'
import { getTable } from '../feed/requests.ts'
import type { Sorting } from '../model/table-rows.ts'
import { formatTime } from '../model/format.ts'
import { defaultSorting, shownText } from '../model/table-rows.ts'
import { Fault } from './fault.tsx'
import { usePolled } from './hooks.ts'
import { Panel } from './panel.tsx'
import { RowGrid } from './row-grid.tsx'

const EVERY_MS = 1000
const LIMITS = [50, 200, 1000] as const

type Table = PipelineStatus['tables'][number]

interface Query {
  readonly prefix: string
  readonly from: string
  readonly to: string
  readonly limit: number
}

const EVERYTHING: Query = { prefix: '', from: '', to: '', limit: 200 }

/** Rows of a live table as of the last commit, asked for every second. */
export function LiveTable({ tables }: { readonly tables: readonly Table[] }): React.ReactNode {
  const [chosen, choose] = useState<string | null>(null)
  const table = tables.find((each) => each.name === chosen) ?? tables[0]
  if (table === undefined) {
    return (
      <Panel id="table" title="Table">
        <p className="empty">This pipeline keeps no table. Add `.toTable('name')` to have one here and at `GET /tables/name`.</p>
      </Panel>
    )
  }
  const choice = (
    <label className="field">
      <span className="sr-only">Table</span>
      <select value={table.name} onChange={(event) => choose(event.target.value)}>
        {tables.map((each) => (
          <option key={each.name}>{each.name}</option>
        ))}
      </select>
    </label>
  )
  return <OneTable key={table.name} table={table} choice={choice} />
}

function OneTable({ table, choice }: { readonly table: Table; readonly choice: React.ReactNode }): React.ReactNode {
  const [query, setQuery] = useState(EVERYTHING)
  const [chosen, setSorting] = useState<Sorting | null>(null)
  const asked = useDeferredValue(query)
  const prefix = keyValues(asked.prefix, table)
  const sorting = chosen ?? defaultSorting(table)
  const page = usePolled(JSON.stringify([table.name, asked]), EVERY_MS, (signal) =>
    getTable({ ...asked, prefix, by: sorting.field, descending: sorting.descending, table: table.name }, signal),
  )
  const { refresh } = page
  // Not part of the key: the rows stand in their old order until those of the new one are there.
  useEffect(refresh, [refresh, sorting.field, sorting.descending])
  const rows = page.value?.rows ?? []
  const fields = table.fields.length > 0 ? table.fields : Object.keys(rows[0] ?? {})
  const byTime = sorting.field !== null && table.times.includes(sorting.field)
  const filtered = prefix.length > 0 || asked.from !== '' || asked.to !== ''
  const note =
    page.value === null
      ? 'reading…'
      : `${shownText({ rows: rows.length, limit: asked.limit, all: page.value.rowCount, filtered, byTime, sorting })}${Number.isFinite(page.value.watermarkMs) ? ` · event time to ${formatTime(page.value.watermarkMs)} UTC` : ''}`
  return (
    <Panel id="table" title="Table" note={note} tools={choice}>
      <TableQueryForm table={table} query={query} change={setQuery} />
      {page.error !== null && <Fault error={page.error} />}
      <RowGrid
        fields={fields}
        primaryKey={table.primaryKey}
        times={table.times}
        numbers={table.numbers}
        rows={rows}
        sorting={sorting}
        sort={setSorting}
      />
      {page.value !== null && rows.length === 0 && (
        <p className="empty">
          {filtered ? 'No row has such a key.' : 'No row yet: the first comes with the first record that reaches the table.'}
        </p>
      )}
    </Panel>
  )
}

/** Values of the first fields of the key. A comma is part of the value where the key has one field. */
function keyValues(text: string, table: Table): readonly string[] {
  if (text === '') return []
  return table.primaryKey.length === 1 ? [text] : text.split(',').map((value) => value.trim())
}

function TableQueryForm({
  table,
  query,
  change,
}: {
  readonly table: Table
  readonly query: Query
  readonly change: (query: Query) => void
}): React.ReactNode {
  const given = keyValues(query.prefix, table).length
  const ranged = table.primaryKey[given]
  return (
    <form className="filters" onSubmit={(event) => event.preventDefault()}>
      <label className="field">
        {table.primaryKey[0] ?? 'key'} is
        <input
          value={query.prefix}
          placeholder="any"
          title={`Values of the first fields of the key (${table.primaryKey.join(', ')}), with commas between; null for none`}
          onChange={(event) => change({ ...query, prefix: event.target.value })}
        />
      </label>
      <label className="field">
        {ranged ?? 'key'} from
        <input
          value={query.from}
          disabled={ranged === undefined}
          placeholder="start"
          onChange={(event) => change({ ...query, from: event.target.value })}
        />
      </label>
      <label className="field">
        to
        <input
          value={query.to}
          disabled={ranged === undefined}
          placeholder="end"
          onChange={(event) => change({ ...query, to: event.target.value })}
        />
      </label>
      <label className="field">
        rows
        <select value={query.limit} onChange={(event) => change({ ...query, limit: Number(event.target.value) })}>
          {LIMITS.map((limit) => (
            <option key={limit}>{limit}</option>
          ))}
        </select>
      </label>
    </form>
  )
}
