// The sink on the simulated disk: the power goes at any operation, unsynced sectors, sizes and names are lost in any subset, from one seed.
// Whatever happens, what was committed is in the archive exactly once, in whole files, and nothing else is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Disk, type Field, readFully, seededRandom, type SinkContext } from '@millrace/core/connect'
import { SimulatedDisk, SimulatedPowerCut, VirtualTime } from '@millrace/core/testing'
import { batchOf, readByHyparquet } from './round-trip.fixture.ts'
import { parquet } from './sink.ts'

const SEEDS = 150
const TOTAL = 200
const DIR = '/data/archive'
const DAY_MS = 86_400_000
const FIELDS: readonly Field[] = [
  { name: 'id', type: { kind: 'i32' }, nullable: false },
  { name: 'text', type: { kind: 'string' }, nullable: false },
]

interface Committed {
  position: number
  intent: Uint8Array | null
}

function context(disk: Disk, time: VirtualTime, epoch: number): SinkContext {
  return {
    pipeline: 'p',
    name: 's',
    group: 0,
    groups: 1,
    fields: FIELDS,
    epoch,
    clock: time,
    disk,
    reject: (_, error) => assert.fail(error),
  }
}

/** One life of the sink's task: from the last commit until the end, or until the power goes. */
async function live(disk: Disk, time: VirtualTime, epoch: number, committed: Committed, cut: () => number): Promise<boolean> {
  try {
    const sink = parquet({ dir: DIR, partitionBy: ['date'], rollBytes: 1500, rowGroupRows: 30, budgetBytes: 30_000 })
    const writer = await sink.open(context(disk, time, epoch), committed.intent)
    if (committed.intent !== null) await writer.publish(committed.intent)
    for (let position = committed.position; position < TOTAL;) {
      const count = Math.min(cut(), TOTAL - position)
      const rows = Array.from({ length: count }, (_, index) => ({ id: position + index, text: `row ${position + index}` }))
      const times = Float64Array.from(rows, ({ id }) => (id % 3) * DAY_MS)
      await writer.write({ batch: { ...batchOf(FIELDS, rows), times }, generation: 0, tick: 1, sequence: position })
      position += count
      if (position < TOTAL && cut() % 3 > 0) continue
      const intent = await writer.prepare()
      // The commit itself is one step of the log: it is safe or it never was.
      committed.position = position
      committed.intent = intent ?? committed.intent
      if (intent !== null) await writer.publish(intent)
    }
    return true
  } catch (error) {
    if (error instanceof SimulatedPowerCut) return false
    throw error
  }
}

function files(disk: Disk, folder: string): string[] {
  return disk
    .list(folder)
    .flatMap((name) => (name.endsWith('.parquet') ? [`${folder}/${name}`] : name.includes('=') ? files(disk, `${folder}/${name}`) : []))
}

async function visibleIds(disk: Disk): Promise<number[]> {
  const ids: number[] = []
  for (const path of files(disk, DIR)) {
    const file = disk.open(path, 'read')
    const bytes = new Uint8Array(file.size())
    assert.ok(readFully(file, bytes, 0))
    file.close()
    const rows = await readByHyparquet(FIELDS, bytes)
    assert.ok(
      rows.every(([id, text]) => text === `row ${Number(id)}`),
      'every visible file is whole',
    )
    ids.push(...rows.map(([id]) => Number(id)))
  }
  return ids.sort((a, b) => a - b)
}

async function runSeed(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const time = new VirtualTime({ random: random.fork() })
  let disk = new SimulatedDisk({ random: random.fork(), scheduler: time })
  const committed: Committed = { position: 0, intent: null }
  const cut = (): number => 1 + random.below(60)
  for (let epoch = 1; ; epoch++) {
    if (epoch < 5) disk.cutPowerAfter(random.below(150))
    const done = await time.run(live(disk, time, epoch, committed, cut))
    if (done) break
    disk = disk.crash()
    const ids = await visibleIds(disk)
    assert.equal(new Set(ids).size, ids.length, 'no row twice')
    assert.ok(
      ids.every((id) => id < committed.position),
      'nothing uncommitted',
    )
  }
  assert.deepEqual(
    await visibleIds(disk.crash()),
    Array.from({ length: TOTAL }, (_, id) => id),
  )
}

test(`SINK-1 to SINK-4 through power cuts, ${SEEDS} seeds`, async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    await runSeed(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error })
    })
  }
})
