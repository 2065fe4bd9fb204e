// Stream-table join: bids meet the 100,000 rows of a file of people, and are counted by state and minute. Reading the table is included.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { count, fileTable, pipeline, t, topic, tumbling } from '@millrace/core'
import { TEN_THOUSAND } from '../data-gen/bid-sets.ts'
import { bidCount, BIDDERS, bidsFile, bidsFixture, bidsLog } from '../data-gen/bids.ts'
import { bids } from '../support/aggregate.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { Digest } from '../support/digest.ts'
import { eachLine } from '../support/lines.ts'
import { eachValue, openLog } from '../support/log.ts'
import { spent } from '../support/measure.ts'
import { runToEnd } from '../support/pipeline.ts'

const MINUTE_MS = 60_000
const STATES = 50

export const benchCase: BenchCase = {
  name: 'join',
  summary: 'bids joined with a table of 100 k people, counted by state and minute',
  fixture: bidsFixture('bids-10k', TEN_THOUSAND),
  bars: [
    {
      name: 'join',
      figure: 'perCpuSecond',
      unit: 'records/CPU-s',
      must: 1_800_000,
      aim: 4_000_000,
      baseline: { name: 'JSON.parse and Map in a plain loop', figure: 'perCpuSecond' },
    },
  ],
  own: join,
  obvious: plainJoin,
}

/** One in seven people is not in the table. */
function stateOf(bidder: number): string | null {
  return bidder % 7 === 3 ? null : `state-${(Math.imul(bidder, 0x9e3779b1) >>> 0) % STATES}`
}

function writePeople(file: string): void {
  const lines = ['id,state']
  // A seventh more than bid, so that the table has its 100,000 rows.
  for (let id = 0, rows = 0; rows < BIDDERS; id++) {
    const state = stateOf(id)
    if (state === null) continue
    lines.push(`${id},${state}`)
    rows++
  }
  writeFileSync(file, `${lines.join('\n')}\n`)
}

async function join({ folder, quick, run }: BenchContext): Promise<Measured> {
  const people = path.join(folder, `people-${run}.csv`)
  writePeople(people)
  const output = `by-state-${run}`
  const log = await openLog(bidsLog(folder))
  const definition = pipeline(`join-${run}`, (mill) => {
    const table = mill.table(
      fileTable({ name: 'people', path: people, format: 'csv', value: t.object({ id: t.i64(), state: t.string() }), key: 'id' }),
    )
    mill
      .from(bids)
      .join(table, { on: { bidder: 'id' }, select: ['state'], name: 'with-state' })
      .groupBy('state')
      .window(tumbling({ sizeMs: MINUTE_MS }))
      .aggregate({ bids: count() }, { name: 'per-minute', emit: 'close' })
      .to(topic(output, { value: t.object({ state: t.string(), windowStart: t.time(), windowEnd: t.time(), bids: t.i64() }) }), {
        name: 'out',
      })
  })
  const { cpuSeconds, wallSeconds } = await spent(() => runToEnd(definition, log))
  const digest = new Digest()
  await eachValue(log, output, (text) => {
    const row = JSON.parse(text) as { readonly state: string; readonly windowStart: number; readonly bids: number }
    digest.add(`${row.state} ${new Date(row.windowStart).getTime()} ${row.bids}`)
  })
  await log.close()
  const rows = bidCount(TEN_THOUSAND, quick)
  return { figures: { perCpuSecond: rows / cpuSeconds, perSecond: rows / wallSeconds }, answer: String(digest) }
}

async function plainJoin({ folder, quick, run }: BenchContext): Promise<Measured> {
  const people = path.join(folder, `people-${run}.csv`)
  writePeople(people)
  const counts = new Map<string, number>()
  const { cpuSeconds } = await spent(() => {
    const states = new Map<number, string>()
    eachLine(people, (line) => {
      const [id = '', state = ''] = line.split(',')
      if (id !== 'id') states.set(Number(id), state)
    })
    eachLine(bidsFile(folder), (line) => {
      const bid = JSON.parse(line) as { readonly bidder: number; readonly dateTime: number }
      const state = states.get(bid.bidder)
      if (state === undefined) return
      const key = `${state} ${Math.floor(bid.dateTime / MINUTE_MS) * MINUTE_MS}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    })
  })
  const digest = new Digest()
  for (const [key, bidsOfState] of counts) digest.add(`${key} ${bidsOfState}`)
  return { figures: { perCpuSecond: bidCount(TEN_THOUSAND, quick) / cpuSeconds }, answer: String(digest) }
}
