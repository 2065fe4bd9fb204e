// Append of 100-byte records: built into batches of 1,000, 32 appends in flight, each acknowledged when it is durable. Beside it the disk
// itself: writes of 1 MiB, each followed by fdatasync, to a growing file in the same folder.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { RecordBatchBuilder, RecordRows } from '@millrace/core/engine'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { openLog } from '../support/log.ts'
import { spent } from '../support/measure.ts'

const VALUE_BYTES = 100
const RECORDS_PER_BATCH = 1000
const IN_FLIGHT = 32
const TOPIC = 'events'
const MEBIBYTE = 1 << 20
const baseline = { name: 'MB/s of writes and fdatasyncs of 1 MiB', figure: 'megabytesPerSecond' }

export const benchCase: BenchCase = {
  name: 'log-append',
  summary: 'append records of 100 B, acknowledged durable, 32 batches of 1,000 in flight',
  bars: [
    { name: 'log-append', figure: 'perCpuSecond', unit: 'records/CPU-s', must: 3_000_000, aim: 7_000_000 },
    {
      name: 'log-append-ratio',
      figure: 'megabytesPerSecond',
      unit: '× raw disk',
      must: 0.4,
      aim: 0.8,
      baseline: { ...baseline, ratio: true },
    },
  ],
  own: append,
  obvious: writeRaw,
}

function recordCount(quick: boolean): number {
  return quick ? 20_000 : 5_000_000
}

/** The record with a number: the number in ten digits, then bytes that follow from it. */
function fillRecord(value: Uint8Array, number: number): void {
  for (let at = 9, rest = number; at >= 0; at--, rest = Math.floor(rest / 10)) value[at] = 48 + (rest % 10)
  value[10] = number & 255
  value[VALUE_BYTES - 1] = (number >>> 8) & 255
}

async function append({ folder, quick, run }: BenchContext): Promise<Measured> {
  const at = path.join(folder, `log-${run}`)
  const log = await openLog(at)
  await log.createTopic(TOPIC)
  const records = recordCount(quick)
  const builder = new RecordBatchBuilder(RECORDS_PER_BATCH * (VALUE_BYTES + 16))
  const value = new Uint8Array(VALUE_BYTES).fill(120)
  const { wallSeconds, cpuSeconds } = await spent(async () => {
    const flying = new Set<Promise<unknown>>()
    for (let number = 0; number < records; number++) {
      fillRecord(value, number)
      builder.append(null, value, 1_700_000_000_000 + number)
      if (builder.count < RECORDS_PER_BATCH) continue
      const batch = builder.finish()
      builder.reset()
      const sent: Promise<unknown> = log.append([{ topic: TOPIC, partition: 0, batch }]).finally(() => flying.delete(sent))
      flying.add(sent)
      if (flying.size >= IN_FLIGHT) await Promise.race(flying)
    }
    await Promise.all(flying)
  })
  const megabytes = (log.ends(TOPIC)[0]?.bytes ?? 0) / 1e6
  await log.close()
  const answer = await readBack(at)
  rmSync(at, { recursive: true })
  const figures = { perSecond: records / wallSeconds, perCpuSecond: records / cpuSeconds, megabytesPerSecond: megabytes / wallSeconds }
  return { figures, answer }
}

/** Opens the log again and looks at every byte. */
async function readBack(folder: string): Promise<string> {
  const log = await openLog(folder)
  const reader = log.reader()
  const rows = new RecordRows()
  const expected = new Uint8Array(VALUE_BYTES).fill(120)
  let number = 0
  for (;;) {
    const [fetched] = await reader.fetch([{ topic: TOPIC, partition: 0, offset: number }])
    if (fetched === undefined || fetched.error !== null) throw fetched?.error ?? new Error('nothing was fetched')
    if (fetched.next === fetched.from) break
    rows.read(fetched.bytes, fetched.from)
    for (let row = 0; row < rows.count; row++, number++) {
      fillRecord(expected, number)
      const value = rows.bytes.subarray(rows.valueStarts[row], rows.valueEnds[row])
      if (Buffer.compare(value, expected) !== 0) return `record ${number} is ${Buffer.from(value).toString('latin1')}`
    }
  }
  await log.close()
  return `${number} records`
}

function writeRaw({ folder, quick }: BenchContext): Promise<Measured> {
  const file = path.join(folder, 'raw')
  const block = new Uint8Array(MEBIBYTE).fill(120)
  const records = recordCount(quick)
  const count = quick ? 4 : 512
  const handle = openSync(file, 'w')
  const startedAt = performance.now()
  for (let index = 0; index < count; index++) {
    writeSync(handle, block)
    fdatasyncSync(handle)
  }
  const seconds = (performance.now() - startedAt) / 1000
  closeSync(handle)
  rmSync(file)
  return Promise.resolve({ figures: { megabytesPerSecond: (count * MEBIBYTE) / 1e6 / seconds }, answer: `${records} records` })
}
