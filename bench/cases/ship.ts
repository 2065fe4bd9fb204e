// Ship: a file of NDJSON -> parse -> look-up in 10,000 users -> drop the 404s (10 %) -> rename -> an NDJSON file, through the log, committed and
// exactly once; source, log, pipeline and sink in one process. Beside it the plain loop of Node, which promises nothing.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { expr, fileTable, pipeline, t } from '@millrace/core'
import { fileSource, ndjsonFile } from '@millrace/core/connect'
import { nodeDisk, runSource, systemClock, systemScheduler } from '@millrace/core/engine'
import { type Hit, hits, TWO_MILLION } from '../data-gen/hit-sets.ts'
import { hitCount, hitsFile, hitsFixture, usersFile } from '../data-gen/hits.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { Digest } from '../support/digest.ts'
import { eachLine } from '../support/lines.ts'
import { openLog } from '../support/log.ts'
import { residentBytesMax, spent } from '../support/measure.ts'
import { startPipeline } from '../support/pipeline.ts'

const MEBIBYTE = 1024 * 1024
const NOT_FOUND = 404
/** Pause between two looks whether everything has been shipped. */
const LOOK_MS = 5
const WRITE_BYTES = 1 << 18
const baseline = { name: 'plain loop of Node', figure: 'perCpuSecond' }
const bar = { figure: 'perCpuSecond', baseline }

export const benchCase: BenchCase = {
  name: 'ship',
  summary: 'NDJSON file, parsed, looked up, filtered and renamed, to an NDJSON file; through the log, exactly once',
  fixture: hitsFixture('hits-2m', TWO_MILLION),
  bars: [
    { ...bar, name: 'ship', unit: 'records/CPU-s', must: 500_000, aim: 1_200_000 },
    { ...bar, name: 'ship-ratio', unit: '× plain loop', must: 1, aim: 2.4, baseline: { ...baseline, ratio: true } },
  ],
  own: ship,
  obvious: shipPlainly,
}

async function ship({ folder, quick, run }: BenchContext): Promise<Measured> {
  const output = path.join(folder, `shipped-${run}.ndjson`)
  const logFolder = path.join(folder, `ship-log-${run}`)
  const definition = pipeline('ship', (mill) => {
    const users = mill.table(
      fileTable({
        name: 'users',
        path: usersFile(folder),
        format: 'csv',
        key: 'user',
        value: t.object({ user: t.string(), plan: t.string(), country: t.string() }),
      }),
    )
    mill
      .from(hits)
      .join(users, { on: 'user', name: 'with-user' })
      .filter(
        expr((hit) => hit.status.ne(NOT_FOUND)),
        { name: 'found' },
      )
      .select({
        time: 'ts',
        account: 'user',
        plan: 'plan',
        country: 'country',
        path: 'url',
        agent: 'ua',
        ip: 'ip',
        request: 'rid',
        status: 'status',
        size: 'bytes',
        seq: 'seq',
      })
      .to(ndjsonFile({ path: output }), { name: 'file' })
  })
  const rows = hitCount(TWO_MILLION, quick)
  const log = await openLog(logFolder)
  const { cpuSeconds, wallSeconds } = await spent(async () => {
    const running = await startPipeline(definition, log, { bounded: false })
    const source = await runSource(log, fileSource({ path: hitsFile(folder) }), hits, {
      name: 'hits-file',
      clock: systemClock,
      scheduler: systemScheduler,
      disk: nodeDisk,
    })
    await source.finished()
    const isDone = (): boolean => {
      const { tasks } = running.status()
      return tasks.some((task) => task.rowsIn >= rows) && tasks.every((task) => task.lag === 0)
    }
    while (!isDone()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    await running.stop()
  })
  const residentMebibytes = residentBytesMax() / MEBIBYTE
  await log.close()
  const answer = digestOf(output)
  rmSync(output)
  rmSync(logFolder, { recursive: true })
  return { figures: { perCpuSecond: rows / cpuSeconds, perSecond: rows / wallSeconds, residentMebibytes }, answer }
}

/** Every line, the time as milliseconds whichever way it is written. */
function digestOf(file: string): string {
  const digest = new Digest()
  eachLine(file, (line) => {
    const row = JSON.parse(line) as { readonly time: number | string }
    digest.add(JSON.stringify({ ...row, time: new Date(row.time).getTime() }))
  })
  return String(digest)
}

async function shipPlainly({ folder, quick, run }: BenchContext): Promise<Measured> {
  const output = path.join(folder, `plain-${run}.ndjson`)
  const { cpuSeconds } = await spent(() => {
    const users = new Map<string, { readonly plan: string; readonly country: string }>()
    for (const line of readFileSync(usersFile(folder), 'utf8').split('\n').slice(1)) {
      const [user = '', plan = '', country = ''] = line.split(',')
      if (user !== '') users.set(user, { plan, country })
    }
    const file = openSync(output, 'w')
    let text = ''
    eachLine(hitsFile(folder), (line) => {
      const { ts, user, url, ua, ip, rid, status, bytes, seq } = JSON.parse(line) as Hit
      const found = users.get(user)
      if (status === NOT_FOUND || found === undefined) return
      const { plan, country } = found
      text += `${JSON.stringify({ time: ts, account: user, plan, country, path: url, agent: ua, ip, request: rid, status, size: bytes, seq })}\n`
      if (text.length < WRITE_BYTES) return
      writeSync(file, text)
      text = ''
    })
    writeSync(file, text)
    closeSync(file)
  })
  const answer = digestOf(output)
  rmSync(output)
  return { figures: { perCpuSecond: hitCount(TWO_MILLION, quick) / cpuSeconds }, answer }
}
