// Resident memory of a process that ships a backlog of ten million records from the log to an NDJSON file, with the defaults of a plant.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { expr, pipeline } from '@millrace/core'
import { ndjsonFile } from '@millrace/core/connect'
import { BACKLOG, hits } from '../data-gen/hit-sets.ts'
import { hitCount, hitsFixture } from '../data-gen/hits.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { eachLine } from '../support/lines.ts'
import { eachValue, openLog } from '../support/log.ts'
import { residentBytesMax, spent } from '../support/measure.ts'
import { runToEnd } from '../support/pipeline.ts'

const MEBIBYTE = 1024 * 1024

export const benchCase: BenchCase = {
  name: 'resident',
  summary: 'largest resident memory while 10 M records of backlog are shipped from the log to a file',
  fixture: hitsFixture('hits-10m', BACKLOG),
  runs: 3,
  bars: [{ name: 'resident', figure: 'residentMebibytes', unit: 'MiB', must: 256, aim: 180, better: 'less' }],
  own: ship,
  obvious: expected,
}

async function ship({ folder, quick, run }: BenchContext): Promise<Measured> {
  const file = path.join(folder, `shipped-${run}.ndjson`)
  const log = await openLog(path.join(folder, 'log'), { journalHalfBytesMax: 32 * MEBIBYTE })
  const definition = pipeline(`ship-${run}`, (mill) => {
    mill
      .from(hits)
      .filter(
        expr((hit) => hit.status.ne(404)),
        { name: 'found' },
      )
      .select('ts', 'user', 'url', 'status', 'bytes', 'seq')
      .to(ndjsonFile({ path: file }), { name: 'file' })
  })
  const { cpuSeconds } = await spent(() => runToEnd(definition, log))
  const residentMebibytes = residentBytesMax() / MEBIBYTE
  await log.close()
  let count = 0
  let sum = 0
  eachLine(file, (line) => {
    count++
    sum += (JSON.parse(line) as { readonly seq: number }).seq
  })
  rmSync(file)
  return { figures: { residentMebibytes, perCpuSecond: hitCount(BACKLOG, quick) / cpuSeconds }, answer: `${count} rows, sum ${sum}` }
}

async function expected({ folder }: BenchContext): Promise<Measured> {
  const log = await openLog(path.join(folder, 'log'))
  let count = 0
  let sum = 0
  await eachValue(log, 'hits', (text) => {
    const { status, seq } = JSON.parse(text) as { readonly status: number; readonly seq: number }
    if (status === 404) return
    count++
    sum += seq
  })
  await log.close()
  return { figures: {}, answer: `${count} rows, sum ${sum}` }
}
