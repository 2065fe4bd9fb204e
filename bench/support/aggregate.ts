// What the four aggregate rows share: count bids of some price per auction and minute, from a topic to a topic, and the plain loop beside it.
import { count, expr, pipeline, type PipelineDefinition, t, topic, tumbling } from '@millrace/core'
import { openSync, writeSync, closeSync } from 'node:fs'
import path from 'node:path'
import { bidCount, type BidsOptions, bidsFile, bidsFixture, bidsLog, BIDS_TOPIC, DISORDER_MS } from '../data-gen/bids.ts'
import type { BenchCase, BenchContext, Measured } from './case.ts'
import { Digest } from './digest.ts'
import { eachLine } from './lines.ts'
import { eachValue, openLog } from './log.ts'
import { spent } from './measure.ts'
import { runToEnd } from './pipeline.ts'

const MINUTE_MS = 60_000
/** Three of four bids pay at least this. */
const PRICE_MIN = 2500

export const bids = topic(BIDS_TOPIC, {
  value: t.object({
    auction: t.i64(),
    bidder: t.i64(),
    price: t.i64(),
    channel: t.string(),
    url: t.string(),
    dateTime: t.time(),
    extra: t.string(),
  }),
  eventTime: 'dateTime',
  disorderMs: DISORDER_MS,
})

const counted = t.object({ auction: t.i64(), windowStart: t.time(), windowEnd: t.time(), bids: t.i64() })

export function aggregateByExpression(id: string): PipelineDefinition {
  return pipeline(id, (mill) => {
    mill
      .from(bids)
      .filter(
        expr((bid) => bid.price.gte(PRICE_MIN)),
        { name: 'dear' },
      )
      .groupBy('auction')
      .window(tumbling({ sizeMs: MINUTE_MS }))
      .aggregate({ bids: count() }, { name: 'per-minute', emit: 'close' })
      .to(topic(outputTopic(id), { value: counted }), { name: 'out' })
  })
}

export function aggregateByLambda(id: string): PipelineDefinition {
  return pipeline(id, (mill) => {
    mill
      .from(bids)
      .filter((bid) => bid.price >= PRICE_MIN, { name: 'dear' })
      .map((bid) => ({ auction: bid.auction, euro: bid.price * 0.908 }), {
        name: 'in-euro',
        value: t.object({ auction: t.i64(), euro: t.f64() }),
      })
      .groupBy('auction')
      .window(tumbling({ sizeMs: MINUTE_MS }))
      .aggregate({ bids: count() }, { name: 'per-minute', emit: 'close' })
      .to(topic(outputTopic(id), { value: counted }), { name: 'out' })
  })
}

function outputTopic(id: string): string {
  return `${id}-counts`
}

export interface AggregateRow {
  readonly name: string
  readonly summary: string
  readonly fixture: string
  readonly data: BidsOptions
  /** `id` names the pipeline and its output: new in each run. */
  readonly definition: (id: string) => PipelineDefinition
  readonly must: number
  readonly aim: number
  /** Bar of the ratio to the plain loop; null leaves it out. */
  readonly ratio: { readonly must: number; readonly aim: number } | null
}

export function aggregateCase(row: AggregateRow): BenchCase {
  const baseline = { name: 'JSON.parse and Map in a plain loop', figure: 'perCpuSecond' }
  const bar = { name: row.name, figure: 'perCpuSecond', unit: 'records/CPU-s', must: row.must, aim: row.aim, baseline }
  return {
    name: row.name,
    summary: row.summary,
    fixture: bidsFixture(row.fixture, row.data),
    bars:
      row.ratio === null
        ? [bar]
        : [bar, { ...bar, ...row.ratio, name: `${row.name}-ratio`, unit: '× plain loop', baseline: { ...baseline, ratio: true } }],
    own: (context) => runOwn(row, context),
    obvious: (context) => runPlainLoop(row, context),
  }
}

async function runOwn(row: AggregateRow, { folder, quick, run }: BenchContext): Promise<Measured> {
  const log = await openLog(bidsLog(folder))
  const id = `${row.name}-${run}`
  const definition = row.definition(id)
  const { cpuSeconds, wallSeconds } = await spent(() => runToEnd(definition, log))
  const digest = new Digest()
  await eachValue(log, outputTopic(id), (text) => {
    const result = JSON.parse(text) as { readonly auction: number; readonly windowStart: number; readonly bids: number }
    digest.add(`${result.auction} ${new Date(result.windowStart).getTime()} ${result.bids}`)
  })
  await log.close()
  const rows = bidCount(row.data, quick)
  return { figures: { perCpuSecond: rows / cpuSeconds, perSecond: rows / wallSeconds }, answer: String(digest) }
}

function runPlainLoop(row: AggregateRow, { folder, quick }: BenchContext): Promise<Measured> {
  return plainCounts(folder, bidCount(row.data, quick))
}

async function plainCounts(folder: string, rows: number): Promise<Measured> {
  const minutes = new Map<number, Map<number, number>>()
  const output = path.join(folder, 'plain.ndjson')
  const { cpuSeconds } = await spent(() => {
    eachLine(bidsFile(folder), (line) => {
      const bid = JSON.parse(line) as { readonly auction: number; readonly price: number; readonly dateTime: number }
      if (bid.price < PRICE_MIN) return
      const start = Math.floor(bid.dateTime / MINUTE_MS) * MINUTE_MS
      let counts = minutes.get(start)
      if (counts === undefined) minutes.set(start, (counts = new Map<number, number>()))
      counts.set(bid.auction, (counts.get(bid.auction) ?? 0) + 1)
    })
    const file = openSync(output, 'w')
    let text = ''
    for (const [windowStart, counts] of minutes) {
      for (const [auction, bidsOfAuction] of counts) {
        text += `${JSON.stringify({ auction, windowStart, windowEnd: windowStart + MINUTE_MS, bids: bidsOfAuction })}\n`
        if (text.length < 1 << 16) continue
        writeSync(file, text)
        text = ''
      }
    }
    writeSync(file, text)
    closeSync(file)
  })
  const digest = new Digest()
  for (const [start, counts] of minutes) for (const [auction, bidsOfAuction] of counts) digest.add(`${auction} ${start} ${bidsOfAuction}`)
  return { figures: { perCpuSecond: rows / cpuSeconds }, answer: String(digest) }
}
