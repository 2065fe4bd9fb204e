// Every acknowledged event is in every result exactly once: topic, table, windows, both archives, against a count of our own.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { WINDOW_MS, eventOf } from './events.ts'
import type { Book } from './load.ts'
import { wait } from './load.ts'

const REST_MS_MAX = 60_000
const POLL_MS = 100
const PAGE = 10_000
const TABLE_PAGE = 100_000

interface StatusAnswer {
  readonly pipelines: readonly {
    readonly tasks: readonly { readonly task: string; readonly phase: string; readonly lag: number; readonly tick: number }[]
  }[]
}

async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

/** Waits until no task is behind. */
export async function comeToRest(url: string): Promise<void> {
  let quiet = 0
  let last = ''
  for (let waited = 0; quiet < 3; waited += POLL_MS) {
    await wait(POLL_MS)
    const { pipelines } = await getJson<StatusAnswer>(`${url}/api/status`)
    const tasks = pipelines.flatMap((pipeline) => pipeline.tasks)
    const text = JSON.stringify(tasks.map(({ task, phase, lag, tick }) => [task, phase, lag, tick]))
    const behind = tasks.some((task) => task.lag > 0 || task.phase !== 'running')
    quiet = !behind && text === last ? quiet + 1 : 0
    last = text
    if (waited > REST_MS_MAX) throw new Error(`the plant does not come to rest: ${text}`)
  }
}

/** Ids on a topic, as often as they are there. */
async function topicIds(url: string, topic: string): Promise<readonly number[]> {
  const ids: number[] = []
  for (let partition = 0; partition < 2; partition++) {
    for (let from = 'earliest'; ;) {
      const response = await fetch(`${url}/topics/${topic}?partition=${partition}&from=${from}&limit=${PAGE}`, {
        headers: { accept: 'application/x-ndjson' },
      })
      const lines = (await response.text()).split('\n').filter((line) => line !== '')
      if (!response.ok) throw new Error(`reading ${topic} answers ${response.status}: ${lines.join('')}`)
      for (const line of lines) ids.push((JSON.parse(line) as { readonly value: { readonly id: number } }).value.id)
      if (lines.length === 0) break
      from = response.headers.get('millrace-next-offset') ?? ''
    }
  }
  return ids
}

const sortedText = (lines: Iterable<string>): string => [...lines].sort().join('\n')

/** Count and sum of the events of each group, one line per group. */
function groupsText(ids: Iterable<number>, groupOf: (id: number) => string): string {
  const groups = new Map<string, { n: number; total: number }>()
  for (const id of ids) {
    const group = groups.get(groupOf(id)) ?? { n: 0, total: 0 }
    groups.set(groupOf(id), group)
    group.n++
    group.total += eventOf(id).value
  }
  return sortedText([...groups].map(([name, { n, total }]) => `${name} ${n} ${total}`))
}

type TableAnswer = {
  readonly rows: readonly { readonly key: string; readonly windowStart?: number; readonly n: number; readonly total: number }[]
}

/** Tables against a count of our own over the topic. */
async function wrongTables(url: string, ids: readonly number[]): Promise<readonly string[]> {
  const totals = await getJson<TableAnswer>(`${url}/tables/totals?limit=${TABLE_PAGE}`)
  const windows = await getJson<TableAnswer>(`${url}/tables/per_window?limit=${TABLE_PAGE}`)
  const problems: string[] = []
  const counted = (answer: TableAnswer): number => answer.rows.reduce((sum, row) => sum + Number(row.n), 0)
  if (sortedText(totals.rows.map((row) => `${row.key} ${row.n} ${row.total}`)) !== groupsText(ids, (id) => eventOf(id).key))
    problems.push(`table totals differs from the topic: ${counted(totals)} counted, ${ids.length} there`)
  const windowOf = (id: number): string => `${eventOf(id).key} ${Math.floor(eventOf(id).at / WINDOW_MS) * WINDOW_MS}`
  if (sortedText(windows.rows.map((row) => `${row.key} ${row.windowStart ?? 0} ${row.n} ${row.total}`)) !== groupsText(ids, windowOf))
    problems.push(`table per_window differs from the topic: ${counted(windows)} counted, ${ids.length} there`)
  return problems
}

/** What is wrong with a list of ids, measured against the book; null when nothing is. */
function wrongIds(where: string, ids: readonly number[], book: Book): string | null {
  const seen = new Set(ids)
  const lost = [...book.acknowledged].filter((id) => !seen.has(id))
  const strangers = [...seen].filter((id) => !book.acknowledged.has(id) && !book.uncertain.has(id))
  const twice = ids.length - seen.size
  if (lost.length === 0 && strangers.length === 0 && twice === 0) return null
  return `${where}: ${lost.length} acknowledged events lost (${lost.slice(0, 5).join(', ')}), ${twice} twice, ${strangers.length} that nobody sent`
}

async function archivedIds(folder: string): Promise<{ readonly ndjson: readonly number[]; readonly parquet: readonly number[] }> {
  const lines: number[] = []
  for (const file of files(path.join(folder, 'archive-ndjson'), '.ndjson')) {
    for (const line of readFileSync(file, 'utf8').split('\n')) if (line !== '') lines.push((JSON.parse(line) as { readonly id: number }).id)
  }
  const rows: number[] = []
  for (const file of files(path.join(folder, 'archive-parquet'), '.parquet')) {
    const bytes = readFileSync(file)
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
    for (const row of await parquetReadObjects({ file: buffer, compressors })) rows.push(Number(row['id']))
  }
  return { ndjson: lines, parquet: rows }
}

function files(folder: string, ending: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith(ending))
      .map((name) => path.join(folder, name))
      .filter((name) => statSync(name).isFile())
  } catch {
    return [] // Nothing was archived.
  }
}

export interface Verdict {
  readonly problems: readonly string[]
  readonly events: number
}

/** Checks a running plant, stops it in order with `stop`, and checks its archives. */
export async function verify(url: string, folder: string, book: Book, stop: () => Promise<number | null>): Promise<Verdict> {
  await comeToRest(url)
  const source = await topicIds(url, 'numbers')
  const problems: (string | null)[] = [
    wrongIds('topic numbers', source, book),
    wrongIds('topic copies', await topicIds(url, 'copies'), book),
  ]
  problems.push(...(await wrongTables(url, source)))
  const code = await stop()
  if (code !== 0) problems.push(`the plant stopped with code ${String(code)}`)
  const { ndjson, parquet } = await archivedIds(folder)
  problems.push(wrongIds('NDJSON archive', ndjson, book), wrongIds('Parquet archive', parquet, book))
  if (ndjson.length !== source.length || parquet.length !== source.length)
    problems.push(`archives have ${ndjson.length} and ${parquet.length} rows, the topic ${source.length}`)
  return { problems: problems.filter((problem) => problem !== null), events: source.length }
}
