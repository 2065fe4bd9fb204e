// Parquet encoder against DuckDB's COPY of a ready table, one thread each, on the 9 columns of web hits (parquet-data.ts).
// Each figure comes from a fresh process: starting to compile is part of the price. The file is checked, and DuckDB reads it back.
// Run: node --conditions=mr-source bench/cases/parquet-encode.ts [--quick] [--rows N] [--runs N]
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { parquetEncoder } from '@millrace/parquet'
import { HIT_FIELDS, type Hits, hitsBatch, makeHits } from './parquet-data.ts'

const SEED = 7
const BATCH_ROWS = 8192
const MEBIBYTE = 1024 * 1024

interface Measured {
  readonly rowsPerCpuSecond: number
  readonly residentMiB: number
  readonly fileBytes: number
}

/** CPU-seconds of this process, all threads, while `work` runs. */
async function cpuSeconds(work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

async function encode(rowCount: number, file: string): Promise<Measured> {
  const hits = makeHits(rowCount, SEED)
  // What making the data left behind is not the encoder's; --expose-gc is set for the child.
  ;(globalThis as { gc?: () => void }).gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const handle = openSync(file, 'w')
  const output = {
    position: 0,
    write(bytes: Uint8Array): void {
      writeSync(handle, bytes, 0, bytes.length, output.position)
      output.position += bytes.length
      most = Math.max(most, process.memoryUsage.rss())
    },
  }
  const cpu = await cpuSeconds(() => {
    const encoder = parquetEncoder(HIT_FIELDS, { output })
    for (let from = 0; from < rowCount; from += BATCH_ROWS) encoder.write(hitsBatch(hits, from, Math.min(rowCount, from + BATCH_ROWS)))
    encoder.finish()
  })
  closeSync(handle)
  most = Math.max(most, process.memoryUsage.rss())
  return { rowsPerCpuSecond: rowCount / cpu, residentMiB: (most - before) / MEBIBYTE, fileBytes: output.position }
}

async function copy(rowCount: number, source: string, file: string): Promise<Measured> {
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect()
  await connection.run(`CREATE TABLE hits AS SELECT * FROM read_parquet('${source}')`)
  const before = process.memoryUsage.rss()
  const cpu = await cpuSeconds(async () => {
    await connection.run(`COPY hits TO '${file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)`)
  })
  return { rowsPerCpuSecond: rowCount / cpu, residentMiB: (process.memoryUsage.rss() - before) / MEBIBYTE, fileBytes: statSync(file).size }
}

/** Sums over the columns, computed from the arrays and read back through DuckDB: row count, sums, and a checksum that binds the columns of a row. */
async function isRight(hits: Hits, file: string): Promise<boolean> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const sums = await connection.runAndReadAll(
    `SELECT count(*), sum(epoch_ms(ts)), sum(length("user") * seq::BIGINT), sum(length(url) * status::BIGINT), sum(length(ua) * bytes::BIGINT),
      sum(length(ip) * (seq::BIGINT % 1000)), sum(ascii(rid) * (seq::BIGINT % 997)), count(DISTINCT "user"), count(DISTINCT url) FROM read_parquet('${file}')`,
  )
  const expected = Array.from({ length: 7 }, () => 0n)
  const users = new Set<number>()
  const urls = new Set<number>()
  const size = (offsets: Int32Array, index: number): number => (offsets[index + 1] as number) - (offsets[index] as number)
  for (let row = 0; row < hits.rowCount; row++) {
    const [user, url, ua] = [hits.ids.user[row] as number, hits.ids.url[row] as number, hits.ids.ua[row] as number]
    const [seq, status, bytes] = [hits.seq[row] as number, hits.status[row] as number, hits.bytes[row] as number]
    const parts = [
      1,
      hits.ts[row] as number,
      size(hits.dictionaries.user.offsets, user) * seq,
      size(hits.dictionaries.url.offsets, url) * status,
      size(hits.dictionaries.ua.offsets, ua) * bytes,
      size(hits.ip.offsets, row) * (seq % 1000),
      (hits.rid.data[hits.rid.offsets[row] as number] as number) * (seq % 997),
    ]
    parts.forEach((part, index) => (expected[index] = (expected[index] as bigint) + BigInt(part)))
    users.add(user)
    urls.add(url)
  }
  const found = sums.getRows()[0] ?? []
  return [...expected, BigInt(users.size), BigInt(urls.size)].every((value, index) => BigInt(found[index] as bigint) === value)
}

function child(args: readonly string[]): Measured {
  const run = spawnSync(process.execPath, ['--expose-gc', '--conditions=mr-source', import.meta.filename, ...args], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`the measured process failed: ${run.stderr}`)
  return JSON.parse(run.stdout) as Measured
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

function option(name: string, fallback: number): number {
  const index = process.argv.indexOf(name)
  return index < 0 ? fallback : Number(process.argv[index + 1])
}

async function main(): Promise<void> {
  const quick = process.argv.includes('--quick')
  const rowCount = option('--rows', quick ? 50_000 : 2_000_000)
  const runs = option('--runs', quick ? 1 : 5)
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'))
  const file = path.join(folder, 'own.parquet')
  const own: Measured[] = []
  const other: Measured[] = []
  for (let run = 0; run < runs; run++) {
    own.push(child(['--child', 'own', '--rows', String(rowCount), '--file', file]))
    other.push(child(['--child', 'duckdb', '--rows', String(rowCount), '--file', file]))
  }
  const checked = await isRight(makeHits(rowCount, SEED), file)
  rmSync(folder, { recursive: true })
  const rates = own.map((measured) => measured.rowsPerCpuSecond)
  const spread = (values: readonly number[]): readonly number[] => [Math.min(...values), Math.max(...values)]
  const baseline = median(other.map((measured) => measured.rowsPerCpuSecond))
  const bars = [
    { name: 'parquet-encode', value: median(rates), unit: 'rows/CPU-s', must: 2_500_000, aim: 4_000_000, spread: spread(rates) },
    { name: 'parquet-encode-ratio', value: median(rates) / baseline, unit: '× DuckDB COPY, one thread', must: 1.4, aim: 2.3 },
    { name: 'parquet-encode-resident', value: median(own.map((measured) => measured.residentMiB)), unit: 'MiB', must: 120, aim: 80 },
  ]
  const size = { own: own[0]?.fileBytes, duckdb: other[0]?.fileBytes }
  for (const bar of bars) process.stdout.write(`${JSON.stringify({ ...bar, checked, baseline, size })}\n`)
  const reached = bars.every((bar) => (bar.unit === 'MiB' ? bar.value <= bar.must : bar.value >= bar.must))
  if (!checked || (!quick && !reached)) process.exitCode = 1
}

if (process.argv.includes('--child')) {
  const file = process.argv[process.argv.indexOf('--file') + 1] ?? ''
  const rowCount = option('--rows', 0)
  const measured = process.argv.includes('own') ? await encode(rowCount, file) : await copy(rowCount, file, `${file}.duckdb`)
  process.stdout.write(JSON.stringify(measured))
} else await main()
