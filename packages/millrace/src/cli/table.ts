// `millrace table NAME`: rows of a live table; without a name the tables there are.
import type { TablePage, TableStatus } from '@millrace/core/engine'
import { MillraceError } from '@millrace/core/engine'
import { encodeJson } from '../json.ts'
import { countText } from '../count-text.ts'
import type { CliContext, Command, Invocation } from './context.ts'
import { cellText, table as tableText, timeText } from './format.ts'
import { type Remote, withRemote } from './remote.ts'

export const table: Command = {
  name: 'table',
  usage: '[NAME]',
  summary: 'Shows rows of a live table, or which tables there are.',
  options: [
    { name: 'key', value: 'VALUES', summary: 'The row with this key; values separated by commas, `null` for none.' },
    { name: 'prefix', value: 'VALUES', summary: 'Rows whose first key fields are exactly these values, `null` for none.' },
    { name: 'from', value: 'VALUE', summary: 'Least value of the key field behind the prefix; without a prefix, of the first.' },
    { name: 'to', value: 'VALUE', summary: 'Largest value, exclusive.' },
    { name: 'replay', value: 'ID', summary: 'The table as this replay computes it, instead of the live one.' },
    { name: 'limit', short: 'n', value: 'N', summary: 'Rows; default 20.' },
    { name: 'by', value: 'FIELD', summary: 'Field to order by, and then by the key; default: by the key.' },
    { name: 'descending', summary: 'Largest first.' },
  ],
  examples: [
    { line: 'npx millrace table', does: 'which tables there are' },
    { line: 'npx millrace table hourly --prefix SFO --descending -n 5', does: 'the newest five hours of one airport' },
    { line: 'npx millrace table hourly --by windowStart --descending', does: 'the newest windows of all keys' },
    { line: 'npx millrace table hourly --replay check', does: 'what a replay has computed, while it runs and afterwards' },
    { line: 'npx millrace table pages --from /pri --to /prj', does: 'keys whose text begins with /pri' },
    { line: 'npx millrace table temps --prefix d1,null', does: 'rows whose second key field is null; the text is "null", with its quotes' },
    { line: 'npx millrace table hourly --key SFO,2001-01-01T10:00:00Z --json', does: 'one row as JSON' },
  ],
  words: [0, 1],
  run: (context, invocation) =>
    withRemote(context, invocation, { create: false }, (remote) => {
      const name = invocation.words[0]
      return name === undefined ? list(context, invocation, remote) : rows(context, invocation, remote, name)
    }),
}

async function list(context: CliContext, { json }: Invocation, remote: Remote): Promise<number> {
  const tables = await remote.json<readonly (TableStatus & { readonly pipeline: string })[]>('/tables')
  if (json) for (const one of tables) context.out(`${encodeJson(one)}\n`)
  else if (tables.length === 0)
    context.out(
      remote.isServer ? 'no pipeline has a table\n' : 'no server runs, and tables live in a running pipeline: `npx millrace start FILE`\n',
    )
  else
    context.out(
      tableText(
        ['table', 'pipeline', 'key', 'rows'],
        tables.map((one) => [one.name, one.pipeline, one.primaryKey.join(', '), countText(one.rows)]),
      ),
    )
  return 0
}

async function rows(context: CliContext, { options, json }: Invocation, remote: Remote, name: string): Promise<number> {
  if (!remote.isServer)
    throw new MillraceError('MR_SERVER_UNREACHABLE', {
      message: 'no server runs for this folder, and tables live in a running pipeline.',
      details: { table: name },
      fix: 'Start the pipeline with `npx millrace start FILE`, or name its folder with `--data` or its port with `--port`.',
    })
  const query = new URLSearchParams({ limit: String(options['limit'] ?? 20) })
  for (const part of ['key', 'prefix', 'from', 'to', 'by', 'replay']) if (typeof options[part] === 'string') query.set(part, options[part])
  if (options['descending'] === true) query.set('descending', 'true')
  const page = await remote.json<TablePage>(`/tables/${encodeURIComponent(name)}?${query.toString()}`)
  if (json) for (const row of page.rows) context.out(`${encodeJson(row)}\n`)
  else if (page.rows.length === 0) context.out(`no rows (the table has ${countText(page.rowCount)})\n`)
  else {
    const heads = Object.keys(page.rows[0] ?? {})
    const known = await remote.json<readonly TableStatus[]>('/tables')
    const times = new Set(['windowStart', 'windowEnd', ...(known.find((one) => one.name === name)?.times ?? [])])
    context.out(
      tableText(
        heads,
        page.rows.map((row) => heads.map((head) => shownCell(row[head], times.has(head)))),
      ),
    )
    context.out(`${countText(page.rows.length)} of ${countText(page.rowCount)} rows, event time up to ${timeText(page.watermarkMs)}\n`)
  }
  return 0
}

/** Programs get milliseconds, people the moment. */
function shownCell(value: unknown, isTime: boolean): string {
  return isTime && typeof value === 'number' ? timeText(value) : cellText(value)
}
