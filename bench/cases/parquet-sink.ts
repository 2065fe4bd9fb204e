// Embedded log -> JSON -> Parquet archive, 9 columns, exactly once: from a backlog of hits to files that are visible and committed.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { pipeline } from '@millrace/core'
import { parquet } from '@millrace/parquet'
import { type Hit, hits, TWO_MILLION } from '../data-gen/hit-sets.ts'
import { hitCount, hitsFile, hitsFixture } from '../data-gen/hits.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { HitSums, sumsInParquet } from '../support/duckdb-sums.ts'
import { eachLine } from '../support/lines.ts'
import { openLog } from '../support/log.ts'
import { spent } from '../support/measure.ts'
import { runToEnd } from '../support/pipeline.ts'

export const benchCase: BenchCase = {
  name: 'parquet-sink',
  summary: 'hits from the log to a Parquet archive by date, exactly once',
  fixture: hitsFixture('hits-2m', TWO_MILLION),
  bars: [{ name: 'parquet-sink', figure: 'perCpuSecond', unit: 'records/CPU-s', must: 800_000, aim: 2_000_000 }],
  own: archive,
  obvious: ({ folder }) => {
    const sums = new HitSums()
    eachLine(hitsFile(folder), (line) => {
      const { user, url, ua, ip, rid, ts, status, bytes, seq } = JSON.parse(line) as Hit
      const lengths = { userLength: user.length, urlLength: url.length, uaLength: ua.length, ipLength: ip.length }
      sums.add({ ...lengths, ts, status, bytes, seq, user, url, ridFirst: rid.charCodeAt(0) })
    })
    return Promise.resolve({ figures: {}, answer: String(sums) })
  },
}

async function archive({ folder, quick, run }: BenchContext): Promise<Measured> {
  const dir = path.join(folder, `archive-${run}`)
  const log = await openLog(path.join(folder, 'log'))
  const definition = pipeline(`archive-${run}`, (mill) => {
    mill.from(hits).to(parquet({ dir, partitionBy: ['date'] }), { name: 'files' })
  })
  const { cpuSeconds, wallSeconds } = await spent(() => runToEnd(definition, log))
  await log.close()
  const answer = await sumsInParquet(`${dir}/date=*/*.parquet`)
  rmSync(dir, { recursive: true })
  const rows = hitCount(TWO_MILLION, quick)
  return { figures: { perCpuSecond: rows / cpuSeconds, perSecond: rows / wallSeconds }, answer }
}
