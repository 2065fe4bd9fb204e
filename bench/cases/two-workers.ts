// Two worker threads on the two partitions of a backlog against one worker thread on both: decode, user code, filter, write back. The tasks
// share nothing but the log and its owner, which is what the row asks about; rates are those of the second half of the backlog, and the
// order of the two runs changes from run to run.
import { pathToFileURL } from 'node:url'
import path from 'node:path'
import type { PipelineDefinition } from '@millrace/core'
import type { EmbeddedLog } from '@millrace/core/engine'
import { bidsFile, bidsFixture, bidsLog, type BidsOptions } from '../data-gen/bids.ts'
import { boundPerSecond } from '../support/bound-rate.ts'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { Digest } from '../support/digest.ts'
import { eachLine } from '../support/lines.ts'
import { eachValue, openLog } from '../support/log.ts'
import { startPipeline } from '../support/pipeline.ts'
import { type Bid, isFound, queryOf } from '../support/two-workers-pipeline.ts'

const DATA: BidsOptions = { auctions: 10_000, anyOrder: false, rows: { full: 8_000_000, quick: 200_000 }, partitions: 2 }
const PIPELINE = path.join(import.meta.dirname, '../support/two-workers-pipeline.ts')

export const benchCase: BenchCase = {
  name: 'two-workers',
  summary:
    'bids from the two partitions of a backlog through user code and a filter, back to the log: two worker threads against one, once warm',
  fixture: bidsFixture('bids-two-partitions', DATA),
  bars: [{ name: 'two-workers', figure: 'ratio', unit: '× one worker', must: 1.6, aim: 1.9 }],
  everyCore: true,
  own: runBoth,
  obvious: filterFile,
}

async function runBoth({ folder, run }: BenchContext): Promise<Measured> {
  const log = await openLog(bidsLog(folder))
  const results = new Map<number, Result>()
  for (const workers of run % 2 === 0 ? [1, 2] : [2, 1]) results.set(workers, await runWith(log, workers, `two-workers-${run}-${workers}`))
  await log.close()
  const [one, two] = [results.get(1), results.get(2)]
  if (one === undefined || two === undefined) throw new Error('a run is missing')
  const answer = one.answer === two.answer ? one.answer : `one worker: ${one.answer}, two: ${two.answer}`
  return { figures: { ratio: two.perSecond / one.perSecond, onePerSecond: one.perSecond, twoPerSecond: two.perSecond }, answer }
}

interface Result {
  readonly perSecond: number
  readonly answer: string
}

async function runWith(log: EmbeddedLog, workers: number, id: string): Promise<Result> {
  const module = pathToFileURL(PIPELINE)
  module.searchParams.set('id', id)
  const loaded = (await import(module.href)) as { readonly default: PipelineDefinition; readonly OUTPUT: string }
  const running = await startPipeline(loaded.default, log, { workers: { count: workers, module: module.href } })
  await running.finished()
  const digest = new Digest()
  await eachValue(log, loaded.OUTPUT, (text) => digest.add(textOf(JSON.parse(text) as Found)))
  return { perSecond: await boundPerSecond(log, id, 'bids'), answer: String(digest) }
}

function filterFile({ folder }: BenchContext): Promise<Measured> {
  const digest = new Digest()
  eachLine(bidsFile(folder), (line) => {
    const bid = JSON.parse(line) as Bid
    const row = { auction: bid.auction, bidder: bid.bidder, query: queryOf(bid), at: bid.dateTime }
    if (isFound(row)) digest.add(textOf(row))
  })
  return Promise.resolve({ figures: {}, answer: String(digest) })
}

interface Found {
  readonly auction: number
  readonly bidder: number
  readonly query: number
  readonly at: number | string
}

function textOf({ auction, bidder, query, at }: Found): string {
  return `${auction} ${bidder} ${query} ${new Date(at).getTime()}`
}
