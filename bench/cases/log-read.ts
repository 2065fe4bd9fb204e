// Reading 100-byte records from the segments of the embedded log, files in the page cache, every stamp and CRC checked and every record
// walked, with the CRC of core and, where @node-rs/crc32 is installed, with the native one.
import { createRequire } from 'node:module'
import path from 'node:path'
import { type EmbeddedLog, must, RecordRows, useNativeCrc32c } from '@millrace/core/engine'
import type { BenchCase, BenchContext, Fixture, Measured } from '../support/case.ts'
import { openLog, TopicLoader } from '../support/log.ts'
import { spent } from '../support/measure.ts'

const VALUE_BYTES = 100
const TOPIC = 'events'
/** The first pass over the data fills the page cache and compiles; the figure is that of the others together. */
const PASSES = 3
const FETCH_BYTES = 1 << 20

const fixture: Fixture = {
  name: 'events-100b',
  make: async (folder, quick) => {
    const log = await openLog(path.join(folder, 'log'))
    await log.createTopic(TOPIC)
    const loader = new TopicLoader(log, TOPIC)
    const value = new Uint8Array(VALUE_BYTES).fill(120)
    const view = new DataView(value.buffer)
    for (let number = 0; number < recordCount(quick); number++) {
      view.setUint32(0, number)
      const sent = loader.add(value, 1_700_000_000_000 + number)
      if (number % 1000 === 999) await sent
    }
    await loader.end()
    await log.close()
  },
}

export const benchCase: BenchCase = {
  name: 'log-read',
  summary: 'read records of 100 B, page cache warm, every CRC checked, every record walked',
  fixture,
  bars: [
    { name: 'log-read', figure: 'perCpuSecond', unit: 'records/CPU-s', must: 10_000_000, aim: 28_000_000 },
    { name: 'log-read-native-crc', figure: 'perCpuSecondNative', unit: 'records/CPU-s', must: 15_000_000, aim: 28_000_000, optional: true },
  ],
  own: readAll,
  obvious: ({ quick }) => {
    const count = recordCount(quick)
    return Promise.resolve({ figures: {}, answer: answerOf(count, (count * (count - 1)) / 2) })
  },
}

function recordCount(quick: boolean): number {
  return quick ? 20_000 : 5_000_000
}

function answerOf(count: number, sum: number): string {
  return `${count} records, sum of numbers ${sum}`
}

async function readAll({ folder, quick }: BenchContext): Promise<Measured> {
  const log = await openLog(path.join(folder, 'log'))
  const plain = await readWarm(log, quick)
  const figures: Record<string, number> = { perCpuSecond: plain.perCpuSecond }
  let { answer } = plain
  const native = nativeCrc32c()
  if (native !== null) {
    useNativeCrc32c(native)
    const second = await readWarm(log, quick)
    figures['perCpuSecondNative'] = second.perCpuSecond
    if (second.answer !== answer) answer = `${answer}, but with the native CRC ${second.answer}`
  }
  await log.close()
  return { figures, answer }
}

async function readWarm(log: EmbeddedLog, quick: boolean): Promise<{ perCpuSecond: number; answer: string }> {
  const answer = pass(log)
  const { cpuSeconds } = await spent(() => {
    for (let round = 0; round < PASSES; round++) if (pass(log) !== answer) throw new Error('two passes over the log differ')
  })
  return { perCpuSecond: (PASSES * recordCount(quick)) / cpuSeconds, answer }
}

function pass(log: EmbeddedLog): string {
  const reader = log.reader()
  const fetchNow = must(reader.fetchNow, 'a log that can be read at once')
  const rows = new RecordRows()
  let count = 0
  let sum = 0
  for (let offset = 0; ;) {
    const [fetched] = fetchNow([{ topic: TOPIC, partition: 0, offset }], { bytesMax: FETCH_BYTES })
    if (fetched === undefined || fetched.error !== null) throw fetched?.error ?? new Error('nothing was fetched')
    if (fetched.next === offset) break
    rows.read(fetched.bytes, fetched.from)
    const { bytes, valueStarts } = rows
    for (let row = 0; row < rows.count; row++) {
      const at = valueStarts[row] as number
      sum +=
        (bytes[at] as number) * 0x1000000 +
        (bytes[at + 1] as number) * 0x10000 +
        (bytes[at + 2] as number) * 256 +
        (bytes[at + 3] as number)
    }
    count += rows.count
    offset = fetched.next
  }
  reader.close()
  return answerOf(count, sum)
}

function nativeCrc32c(): ((bytes: Uint8Array, seed?: number) => number) | null {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { readonly crc32c: (bytes: Uint8Array, seed?: number) => number }).crc32c
  } catch {
    return null
  }
}
