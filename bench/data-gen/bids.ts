// Bids as Nexmark has them: JSON of 200 to 220 bytes with 7 fields, from a seed, as records of a topic and as lines of a file.
import { seededRandom } from '@millrace/core/connect'
import { closeSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { Fixture } from '../support/case.ts'
import { openLog, TopicLoader } from '../support/log.ts'

export interface BidsOptions {
  readonly auctions: number
  /** True: each bid has its fields in an order of its own. */
  readonly anyOrder: boolean
  readonly rows: { readonly full: number; readonly quick: number }
  /** Of the topic; batches go to them in turn, so that event time moves evenly. Default 1. */
  readonly partitions?: number
}

export const BIDS_TOPIC = 'bids'
/** Bids per second of event time: one minute holds 600,000. */
const BIDS_PER_SECOND = 10_000
export const FIRST_MS = 1_700_000_040_000
/** Event times go back by less than this. */
export const DISORDER_MS = 1000
export const BIDDERS = 100_000
export const PRICES = 10_000
const SEED = 11
const CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple', 'channel-4711', 'channel-815']
const EXTRA = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'.repeat(4)
const FILE_BUFFER_BYTES = 1 << 20

export function bidsFixture(name: string, options: BidsOptions): Fixture {
  return {
    name,
    make: (folder, quick) => makeBids(folder, quick ? options.rows.quick : options.rows.full, options),
  }
}

export function bidsFile(folder: string): string {
  return path.join(folder, 'bids.ndjson')
}

export function bidsLog(folder: string): string {
  return path.join(folder, 'log')
}

/** Rows that the fixture holds. */
export function bidCount(options: BidsOptions, quick: boolean): number {
  return quick ? options.rows.quick : options.rows.full
}

async function makeBids(folder: string, rowCount: number, options: BidsOptions): Promise<void> {
  const log = await openLog(bidsLog(folder))
  const partitions = options.partitions ?? 1
  await log.createTopic(BIDS_TOPIC, { partitions })
  const topic = new TopicLoader(log, BIDS_TOPIC, partitions)
  const file = openSync(bidsFile(folder), 'w')
  const buffer = Buffer.alloc(FILE_BUFFER_BYTES)
  let at = 0
  const bidAt = bidMaker(options)
  for (let row = 0; row < rowCount; row++) {
    const { text, timeMs } = bidAt(row)
    if (at + text.length + 1 > FILE_BUFFER_BYTES) {
      writeSync(file, buffer, 0, at)
      at = 0
    }
    const end = at + buffer.write(text, at, 'latin1')
    const sent = topic.add(buffer.subarray(at, end), timeMs)
    buffer[end] = 10
    at = end + 1
    // Waiting for each record would cost more than making it; a batch is full every thousand.
    if (row % 1000 === 999) await sent
  }
  writeSync(file, buffer, 0, at)
  closeSync(file)
  await topic.end()
  await log.close()
}

/** Row number in, bid out. Rows must be asked for in order. */
function bidMaker(options: BidsOptions): (row: number) => { readonly text: string; readonly timeMs: number } {
  const random = seededRandom(SEED)
  return (row) => {
    const timeMs = FIRST_MS + Math.floor((row * 1000) / BIDS_PER_SECOND) - random.below(DISORDER_MS)
    const channel = random.below(CHANNELS.length)
    const fields = [
      `"auction":${random.below(options.auctions)}`,
      `"bidder":${random.below(BIDDERS)}`,
      `"price":${random.below(PRICES)}`,
      `"channel":"${CHANNELS[channel] as string}"`,
      `"url":"https://www.nexmark.com/item.htm?query=${random.below(1000)}&channel_id=${channel}"`,
      `"dateTime":${timeMs}`,
      `"extra":"${EXTRA.substr(random.below(64), 42 + random.below(16))}"`,
    ]
    if (options.anyOrder) {
      for (let last = fields.length - 1; last > 0; last--) {
        const other = random.below(last + 1)
        ;[fields[last], fields[other]] = [fields[other] as string, fields[last] as string]
      }
    }
    return { text: `{${fields.join(',')}}`, timeMs }
  }
}
