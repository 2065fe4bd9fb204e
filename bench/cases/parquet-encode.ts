// Parquet encoder against DuckDB's COPY of a ready table, one thread each, on the 9 columns of web hits. Each figure comes from a fresh
// process: starting to compile is part of the price. DuckDB reads the file back; its sums are compared with those of the arrays.
import { closeSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { parquetEncoder } from '@millrace/parquet'
import { HIT_FIELDS, type HitColumns, hitsBatch, makeHitColumns } from '../data-gen/hit-columns.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { HitSums, sumsInParquet } from '../support/duckdb-sums.ts'
import { spent } from '../support/measure.ts'

const SEED = 7
const BATCH_ROWS = 8192
const MEBIBYTE = 1024 * 1024
const baseline = { name: 'DuckDB COPY of a ready table, one thread', figure: 'perCpuSecond' }

export const benchCase: BenchCase = {
  name: 'parquet-encode',
  summary: 'the Parquet encoder over ready columns, zstd, 9 columns of web hits',
  bars: [
    { name: 'parquet-encode', figure: 'perCpuSecond', unit: 'rows/CPU-s', must: 2_500_000, aim: 4_000_000 },
    { name: 'parquet-encode-ratio', figure: 'perCpuSecond', unit: '× DuckDB', must: 1.4, aim: 2.3, baseline: { ...baseline, ratio: true } },
    { name: 'parquet-encode-resident', figure: 'residentMebibytes', unit: 'MiB', must: 120, aim: 80, better: 'less' },
  ],
  own: encode,
  obvious: copy,
}

function rowCount(quick: boolean): number {
  return quick ? 50_000 : 2_000_000
}

function fileOf({ folder, run }: BenchContext): string {
  return path.join(folder, `own-${run}.parquet`)
}

async function encode(context: BenchContext): Promise<Measured> {
  const rows = rowCount(context.quick)
  const hits = makeHitColumns(rows, SEED)
  // What making the data left behind is not the encoder's; --expose-gc is set for measured processes.
  ;(globalThis as { gc?: () => void }).gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const handle = openSync(fileOf(context), 'w')
  const output = {
    position: 0,
    write(bytes: Uint8Array): void {
      writeSync(handle, bytes, 0, bytes.length, output.position)
      output.position += bytes.length
      most = Math.max(most, process.memoryUsage.rss())
    },
  }
  const { cpuSeconds } = await spent(() => {
    const encoder = parquetEncoder(HIT_FIELDS, { output })
    for (let from = 0; from < rows; from += BATCH_ROWS) encoder.write(hitsBatch(hits, from, Math.min(rows, from + BATCH_ROWS)))
    encoder.finish()
  })
  closeSync(handle)
  most = Math.max(most, process.memoryUsage.rss())
  return {
    figures: { perCpuSecond: rows / cpuSeconds, residentMebibytes: (most - before) / MEBIBYTE, bytes: output.position },
    answer: await sumsInParquet(fileOf(context)),
  }
}

async function copy(context: BenchContext): Promise<Measured> {
  const rows = rowCount(context.quick)
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect()
  await connection.run(`CREATE TABLE hits AS SELECT * FROM read_parquet('${fileOf(context)}')`)
  const { cpuSeconds } = await spent(async () => {
    await connection.run(`COPY hits TO '${fileOf(context)}.duckdb' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)`)
  })
  return { figures: { perCpuSecond: rows / cpuSeconds }, answer: sumsOf(makeHitColumns(rows, SEED)) }
}

/** The same from the arrays. */
function sumsOf(hits: HitColumns): string {
  const sums = new HitSums()
  const size = (offsets: Int32Array, index: number): number => (offsets[index + 1] as number) - (offsets[index] as number)
  for (let row = 0; row < hits.rowCount; row++) {
    const [user, url, ua] = [hits.ids.user[row] as number, hits.ids.url[row] as number, hits.ids.ua[row] as number]
    sums.add({
      user,
      url,
      ts: hits.ts[row] as number,
      userLength: size(hits.dictionaries.user.offsets, user),
      urlLength: size(hits.dictionaries.url.offsets, url),
      uaLength: size(hits.dictionaries.ua.offsets, ua),
      ipLength: size(hits.ip.offsets, row),
      ridFirst: hits.rid.data[hits.rid.offsets[row] as number] as number,
      status: hits.status[row] as number,
      bytes: hits.bytes[row] as number,
      seq: hits.seq[row] as number,
    })
  }
  return String(sums)
}
