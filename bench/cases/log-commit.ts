// Atomic commits of 64 KiB over 1, 10 and 100 partitions, one after the other, each durable before the next begins; checkpoints included.
// Batches are built and lent as the writers of the runtime do it.
// Beside them what the disk does at most: writes of 64 KiB, each with fdatasync, over a file that was filled before.
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { ClosedBatches, RecordBatchBuilder, RecordRows } from '@millrace/core/engine'
import type { BenchCase, BenchContext, Measured } from '../support/case.ts'
import { openLog } from '../support/log.ts'
import { spent } from '../support/measure.ts'

const COMMIT_BYTES = 64 << 10
const PARTITIONS = [1, 10, 100] as const
const TOPIC = 'results'
/** The raw file is as large as one half of the journal. */
const RAW_BLOCKS = 128
/** Header of a batch and frame of its one record, so that a commit is 64 KiB with everything. */
const FRAME_BYTES = 61 + 16

const baseline = { name: 'writes and fdatasyncs of 64 KiB per second', figure: 'perSecond' }

export const benchCase: BenchCase = {
  name: 'log-commit',
  summary: 'atomic commits of 64 KiB over 1, 10 and 100 partitions, durable, one after the other',
  bars: [
    { name: 'log-commit-1', figure: 'perSecond1', unit: 'commits/s', must: 4000, aim: 7000, baseline },
    { name: 'log-commit-10', figure: 'perSecond10', unit: 'commits/s', must: 3500, aim: 6500, baseline },
    { name: 'log-commit-100', figure: 'perSecond100', unit: 'commits/s', must: 2500, aim: 4000, baseline },
  ],
  own: commitAll,
  obvious: writeRaw,
}

/** Enough for many checkpoints: in the first thousands the halves of the journal still grow. */
function commitCount(quick: boolean): number {
  return quick ? 20 : 20_000
}

/** Each commit writes its number into every partition; so every partition must hold 0, 1, 2 ... */
function expectedOf(partitions: number, commits: number): string {
  return `${partitions} partitions of ${commits}`
}

async function commitAll(context: BenchContext): Promise<Measured> {
  const figures: Record<string, number> = {}
  const answers: string[] = []
  for (const partitions of PARTITIONS) {
    const at = path.join(context.folder, `log-${context.run}-${partitions}`)
    const { commits, perSecond, perCpuSecond } = await commitOver(at, partitions, commitCount(context.quick))
    figures[`perSecond${partitions}`] = perSecond
    figures[`perCpuSecond${partitions}`] = perCpuSecond
    answers.push((await everyPartitionHolds(at, partitions, commits)) ? expectedOf(partitions, commits) : `${partitions} partitions differ`)
    rmSync(at, { recursive: true })
  }
  return { figures, answer: answers.join('; ') }
}

async function commitOver(
  folder: string,
  partitions: number,
  commits: number,
): Promise<{ commits: number; perSecond: number; perCpuSecond: number }> {
  const log = await openLog(folder)
  await log.createTopic(TOPIC, { partitions })
  const writer = await log.openWriter('bench')
  const value = new Uint8Array(Math.floor(COMMIT_BYTES / partitions) - FRAME_BYTES).fill(120)
  const view = new DataView(value.buffer)
  const builder = new RecordBatchBuilder(COMMIT_BYTES)
  const closed = new ClosedBatches()
  const { wallSeconds, cpuSeconds } = await spent(async () => {
    for (let number = 0; number < commits; number++) {
      view.setUint32(0, number)
      for (let partition = 0; partition < partitions; partition++) {
        builder.append(null, value, 1_700_000_000_000 + number)
        closed.add(TOPIC, partition, builder)
      }
      await writer.commit(closed.take())
    }
  })
  await log.close()
  return { commits, perSecond: commits / wallSeconds, perCpuSecond: commits / cpuSeconds }
}

async function everyPartitionHolds(folder: string, partitions: number, commits: number): Promise<boolean> {
  const log = await openLog(folder)
  const reader = log.reader()
  const rows = new RecordRows()
  let right = true
  for (let partition = 0; partition < partitions; partition++) {
    let offset = 0
    for (let number = 0; number < commits;) {
      const [fetched] = await reader.fetch([{ topic: TOPIC, partition, offset }])
      if (fetched === undefined || fetched.error !== null || fetched.next === offset) return false
      rows.read(fetched.bytes, fetched.from)
      const view = new DataView(rows.bytes.buffer, rows.bytes.byteOffset)
      for (let row = 0; row < rows.count; row++, number++) right &&= view.getUint32(rows.valueStarts[row] as number) === number
      offset = fetched.next
    }
  }
  await log.close()
  return right
}

function writeRaw({ folder, quick, run }: BenchContext): Promise<Measured> {
  const file = path.join(folder, `raw-${run}`)
  const block = new Uint8Array(COMMIT_BYTES).fill(120)
  const count = commitCount(quick)
  const handle = openSync(file, 'w')
  for (let index = 0; index < RAW_BLOCKS; index++) writeSync(handle, block)
  fdatasyncSync(handle)
  const startedAt = performance.now()
  for (let index = 0; index < count; index++) {
    writeSync(handle, block, 0, block.length, (index % RAW_BLOCKS) * COMMIT_BYTES)
    fdatasyncSync(handle)
  }
  const perSecond = (count * 1000) / (performance.now() - startedAt)
  closeSync(handle)
  rmSync(file)
  return Promise.resolve({ figures: { perSecond }, answer: PARTITIONS.map((partitions) => expectedOf(partitions, count)).join('; ') })
}
