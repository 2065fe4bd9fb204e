// Web hits as lines of JSON of about 190 bytes with the 9 columns of the Parquet figures, and the file of 10,000 users that they are looked
// up in; as records of a topic, as a file, or both, from a seed.
import { seededRandom } from '@millrace/core/connect'
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { Fixture } from '../support/case.ts'
import { openLog, TopicLoader } from '../support/log.ts'

export const HITS_TOPIC = 'hits'
export const USERS = 10_000
const URLS = 1000
const SEED = 7
const FIRST_MS = 1_700_000_000_000
/** Event times go back by less than this. */
export const HITS_DISORDER_MS = 200
/** One of ten is a 404, which the ship job drops. */
const STATUSES = [200, 200, 200, 200, 200, 200, 304, 404, 301, 500]
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64)',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)',
  'curl/8.15.0',
  'Mozilla/5.0 (Windows NT 10.0)',
]
const PLANS = ['free', 'team', 'business']
const COUNTRIES = ['DE', 'US', 'FR', 'JP', 'BR', 'IN', 'SE']
const FILE_BUFFER_BYTES = 1 << 20

export interface HitsOptions {
  readonly rows: { readonly full: number; readonly quick: number }
  readonly file: boolean
  readonly topic: boolean
}

export function hitsFixture(name: string, options: HitsOptions): Fixture {
  return { name, make: (folder, quick) => makeHits(folder, hitCount(options, quick), options) }
}

export function hitCount(options: HitsOptions, quick: boolean): number {
  return quick ? options.rows.quick : options.rows.full
}

export function hitsFile(folder: string): string {
  return path.join(folder, 'hits.ndjson')
}

export function usersFile(folder: string): string {
  return path.join(folder, 'users.csv')
}

async function makeHits(folder: string, rowCount: number, options: HitsOptions): Promise<void> {
  writeUsers(folder)
  const log = options.topic ? await openLog(path.join(folder, 'log')) : null
  await log?.createTopic(HITS_TOPIC)
  const topic = log === null ? null : new TopicLoader(log, HITS_TOPIC)
  const file = options.file ? openSync(hitsFile(folder), 'w') : null
  const buffer = Buffer.alloc(FILE_BUFFER_BYTES)
  let at = 0
  const hitAt = hitMaker()
  for (let row = 0; row < rowCount; row++) {
    const { text, timeMs } = hitAt(row)
    if (at + text.length + 1 > FILE_BUFFER_BYTES) {
      if (file !== null) writeSync(file, buffer, 0, at)
      at = 0
    }
    const end = at + buffer.write(text, at, 'latin1')
    const sent = topic?.add(buffer.subarray(at, end), timeMs)
    buffer[end] = 10
    at = end + 1
    if (row % 1000 === 999) await sent
  }
  if (file !== null) {
    writeSync(file, buffer, 0, at)
    closeSync(file)
  }
  await topic?.end()
  await log?.close()
}

function writeUsers(folder: string): void {
  const random = seededRandom(SEED)
  const lines = Array.from({ length: USERS }, (_, user) => `user-${user},${random.pick(PLANS)},${random.pick(COUNTRIES)}`)
  writeFileSync(usersFile(folder), `user,plan,country\n${lines.join('\n')}\n`)
}

/** Row number in, hit out. Rows must be asked for in order. */
function hitMaker(): (row: number) => { readonly text: string; readonly timeMs: number } {
  const random = seededRandom(SEED + 1)
  const hex = (): string => random.below(0x100000000).toString(16).padStart(8, '0')
  return (row) => {
    const timeMs = FIRST_MS + row * 2 - random.below(HITS_DISORDER_MS)
    const bits = random.below(0x100000000)
    const ip = `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`
    const url = `/products/${Math.floor(random.fraction() ** 2 * URLS)}`
    const text =
      `{"ts":${timeMs},"user":"user-${random.below(USERS)}","url":"${url}","ua":"${random.pick(AGENTS)}","ip":"${ip}",` +
      `"rid":"${hex()}${hex()}","status":${random.pick(STATUSES)},"bytes":${100 + random.below(50_000)},"seq":${row}}`
    return { text, timeMs }
  }
}
