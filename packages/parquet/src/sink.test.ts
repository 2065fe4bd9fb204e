// The sink against the real disk: folders, names, rolling, many folders in little memory, and the contract's laws under crashes at every
// operation of the disk (the process dies; what the operating system has, it keeps. Lost pages are the simulation's part).
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  type Batch,
  type Clock,
  type Disk,
  type Field,
  isMillraceError,
  nodeDisk,
  seededRandom,
  type SinkContext,
  type SinkWriter,
} from '@millrace/core/connect'
import { parquet, type ParquetSettings } from './sink.ts'
import { batchOf, DuckdbReader, type PlainRow } from './round-trip.fixture.ts'

const FIELDS: readonly Field[] = [
  { name: 'id', type: { kind: 'i32' }, nullable: false },
  { name: 'country', type: { kind: 'string' }, nullable: true },
  { name: 'at', type: { kind: 'time' }, nullable: false },
]

let duckdb: DuckdbReader
let root: string
let folderCount = 0
before(async () => {
  duckdb = await DuckdbReader.open()
  root = mkdtempSync(join(tmpdir(), 'millrace-sink-'))
})
after(() => {
  duckdb.close()
  rmSync(root, { recursive: true })
})

function newFolder(): string {
  return join(root, String(folderCount++))
}

let nowMs = 1_700_000_000_000
const clock: Clock = { nowMs: () => nowMs, nowUs: () => nowMs * 1000, monotonicMs: () => nowMs }

interface Rejected {
  readonly row: number
  readonly error: Error
}

function contextWith(disk: Disk, epoch: number, fields: readonly Field[] = FIELDS, rejected: Rejected[] = []): SinkContext {
  return {
    pipeline: 'web',
    name: 'archive',
    group: 3,
    groups: 4,
    fields,
    epoch,
    clock,
    disk,
    reject: (row, error) => void rejected.push({ row, error }),
  }
}

function batch(rows: readonly PlainRow[], fields: readonly Field[] = FIELDS): Batch {
  return { ...batchOf(fields, rows), times: Float64Array.from(rows, (row) => Number(row['at'] ?? 0)) }
}

function write(writer: SinkWriter, rows: readonly PlainRow[], fields: readonly Field[] = FIELDS): void {
  void writer.write({ batch: batch(rows, fields), generation: 0, tick: 1, sequence: 0 })
}

async function publish(writer: SinkWriter): Promise<Uint8Array | null> {
  const intent = await writer.prepare()
  if (intent !== null) await writer.publish(intent)
  return intent
}

/** Paths of the visible files, relative. */
function visible(dir: string): string[] {
  if (!existsSync(dir)) return []
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.parquet'))
    .sort()
}

async function idsIn(dir: string): Promise<number[]> {
  if (visible(dir).length === 0) return []
  const rows = await duckdb.query(`SELECT id FROM read_parquet('${dir}/**/*.parquet') ORDER BY id`)
  return rows.map(([id]) => Number(id))
}

const DAY = 86_400_000
function row(id: number, country: string | null = 'de'): PlainRow {
  return { id, country, at: 1_700_000_000_000 + (id % 3) * DAY }
}

test('partitions become folders that readers understand', async () => {
  const dir = newFolder()
  const countries = ['de', 'a/b', 'x=y', '100%', 'ünïcode', 'sp ace', "quo'te", '', null]
  const writer = await parquet({ dir, partitionBy: ['date', 'country'] }).open(contextWith(nodeDisk, 1), null)
  write(
    writer,
    countries.map((country, id) => row(id, country)),
  )
  assert.equal(visible(dir).length, 0, 'nothing is visible before publish')
  await publish(writer)
  const paths = visible(dir)
  assert.equal(paths.length, 9)
  assert.ok(
    paths.some((path) => /^date=2023-11-14\/country=de\/web-archive-3-20231114T221320000Z-0-\d+\.parquet$/.test(path)),
    paths.join('\n'),
  )
  const rows = await duckdb.query(
    `SELECT id, country, date::VARCHAR, epoch_ms("at") FROM read_parquet('${dir}/**/*.parquet', hive_partitioning = true) ORDER BY id`,
  )
  const expected = countries.map((country, id) => [
    id,
    country === '' ? null : country,
    new Date(Number(row(id)['at'])).toISOString().slice(0, 10),
    BigInt(Number(row(id)['at'])),
  ])
  assert.deepEqual(rows, expected)
  const [columns] = await duckdb.query(`SELECT count(*) FROM parquet_schema('${dir}/${String(paths[0])}') WHERE name = 'country'`)
  assert.deepEqual(columns, [0n], 'the folder says the country, the file does not')
})

test('hours, other times and numbers name folders too', async () => {
  const dir = newFolder()
  const writer = await parquet({ dir, partitionBy: ['id', 'date(at)', 'hour'] }).open(contextWith(nodeDisk, 1), null)
  write(writer, [{ id: -7, country: null, at: 5 * 3_600_000 + 1 }])
  await publish(writer)
  assert.match(String(visible(dir)[0]), /^id=-7\/date=1970-01-01\/hour=05\//)
})

test('settings and partitions that cannot work are refused with the reason', () => {
  const refusals: readonly [string, () => void][] = [
    ['MR_CONNECTOR_SETTING', () => parquet({ dir: '' })],
    ['MR_CONNECTOR_SETTING', () => parquet({ dir: 'x', rollBytes: 0 })],
    ['MR_SINK_PARTITION', () => parquet({ dir: 'x', partitionBy: ['nope'] }).check(FIELDS)],
    ['MR_SINK_PARTITION', () => parquet({ dir: 'x', partitionBy: ['at'] }).check(FIELDS)],
    ['MR_SINK_PARTITION', () => parquet({ dir: 'x', partitionBy: ['date(id)'] }).check(FIELDS)],
    ['MR_SINK_PARTITION', () => parquet({ dir: 'x', partitionBy: ['date', 'date(at)'] }).check(FIELDS)],
    ['MR_PARQUET_FIELD', () => parquet({ dir: 'x', partitionBy: ['id', 'country'] }).check(FIELDS.slice(0, 2))],
  ]
  for (const [code, action] of refusals)
    assert.throws(action, (error) => isMillraceError(error) && error.code === code && error.message.length > 20)
  parquet({ dir: 'x', partitionBy: ['date', 'hour(at)', 'country'] }).check(FIELDS)
})

test('a row whose folder cannot exist is rejected alone', async () => {
  const dir = newFolder()
  const rejected: Rejected[] = []
  const writer = await parquet({ dir, partitionBy: ['country'] }).open(contextWith(nodeDisk, 1, FIELDS, rejected), null)
  write(writer, [row(0), row(1, 'x'.repeat(300)), row(2)])
  await publish(writer)
  assert.deepEqual(await idsIn(dir), [0, 2])
  assert.equal(rejected.length, 1)
  assert.equal(rejected[0]?.row, 1)
  assert.ok(isMillraceError(rejected[0]?.error) && rejected[0].error.code === 'MR_SINK_FOLDER_LONG')
})

test('files roll by size, and time asks for a checkpoint', async () => {
  const dir = newFolder()
  const settings: ParquetSettings = { dir, rollBytes: 1000, rollMs: 60_000, rowGroupRows: 100 }
  const writer = await parquet(settings).open(contextWith(nodeDisk, 1), null)
  assert.equal(writer.wantsCheckpoint(), false)
  write(writer, [row(0)])
  assert.equal(writer.wantsCheckpoint(), false)
  nowMs += 60_000
  assert.equal(writer.wantsCheckpoint(), true)
  await publish(writer)
  assert.equal(writer.wantsCheckpoint(), false)
  for (let id = 1; id < 2000; id += 50)
    write(
      writer,
      Array.from({ length: 50 }, (_, index) => row(id + index)),
    )
  assert.equal(writer.wantsCheckpoint(), true, 'full files wait to be shown')
  await publish(writer)
  const sizes = visible(dir).map((path) => statSync(join(dir, path)).size)
  assert.ok(sizes.length > 3, `${sizes.length} files`)
  assert.deepEqual(
    await idsIn(dir),
    Array.from({ length: 2001 }, (_, id) => id),
  )
  assert.equal(await publish(writer), null, 'nothing written, nothing intended')
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that are alive, on the heap and in array buffers. */
function memoryBytes(): number {
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

test('thousands of folders stay within the memory budget', async () => {
  const dir = newFolder()
  const budgetBytes = 2 * 1024 * 1024
  const writer = await parquet({ dir, partitionBy: ['id'], budgetBytes }).open(contextWith(nodeDisk, 1), null)
  const random = seededRandom(1)
  const rows = Array.from({ length: 5000 }, () => ({ id: random.below(1000), country: 'x'.repeat(random.below(50)), at: 1 }))
  const expected = rows.reduce((sum, { country }) => sum + country.length, 0)
  const before = memoryBytes()
  let most = 0
  for (let from = 0; from < rows.length; from += 500) {
    write(writer, rows.slice(from, from + 500))
    most = Math.max(most, memoryBytes() - before)
  }
  assert.ok(most < budgetBytes * 3, `${Math.round(most / 1024)} KiB for a budget of ${budgetBytes / 1024} KiB`)
  await publish(writer)
  const [totals] = await duckdb.query(
    `SELECT count(*), sum(length(country))::BIGINT, count(DISTINCT id) FROM read_parquet('${dir}/**/*.parquet', hive_partitioning = true)`,
  )
  assert.deepEqual(totals, [5000n, BigInt(expected), BigInt(new Set(rows.map(({ id }) => id)).size)])
})

test('the same rows give the same bytes', async () => {
  const make = async (cut: number): Promise<Buffer[]> => {
    const dir = newFolder()
    const writer = await parquet({ dir, partitionBy: ['date'] }).open(contextWith(nodeDisk, 1), null)
    for (let id = 0; id < 900; id += cut)
      write(
        writer,
        Array.from({ length: cut }, (_, index) => row(id + index, `c${(id + index) % 9}`)),
      )
    await publish(writer)
    return visible(dir).map((path) => readFileSync(join(dir, path)))
  }
  assert.deepEqual(await make(900), await make(30))
})

class Crash extends Error {}

/** A disk that lets the process die before its operation number `fuse`. */
function mortalDisk(fuse: number): Disk {
  let left = fuse
  const burn =
    <A extends unknown[], R>(action: (...given: A) => R): ((...given: A) => R) =>
    (...given) => {
      if (left-- === 0) throw new Crash()
      return action(...given)
    }
  return {
    ...nodeDisk,
    open: burn((path, mode) => {
      const file = nodeDisk.open(path, mode)
      return {
        path,
        size: () => file.size(),
        read: (target, position) => file.read(target, position),
        write: burn((source: Uint8Array, position: number) => file.write(source, position)),
        writeAll: (sources, position) => file.writeAll(sources, position),
        truncate: (size) => file.truncate(size),
        sync: () => file.sync(),
        syncLater: burn(() => file.syncLater()),
        close: () => file.close(),
      }
    }),
    makeFolder: burn((path: string) => nodeDisk.makeFolder(path)),
    remove: burn((path: string) => nodeDisk.remove(path)),
    rename: burn((from: string, to: string) => nodeDisk.rename(from, to)),
    syncFolder: burn((path: string) => nodeDisk.syncFolder(path)),
  }
}

/** Drives the sink as the runtime does: from the last commit, until it dies or is done. */
async function drive(
  dir: string,
  disk: Disk,
  epoch: number,
  committed: { position: number; intent: Uint8Array | null },
  total: number,
): Promise<boolean> {
  try {
    const writer = await parquet({ dir, partitionBy: ['date'], rollBytes: 3000, rowGroupRows: 40, budgetBytes: 20_000 }).open(
      contextWith(disk, epoch),
      committed.intent,
    )
    if (committed.intent !== null) await writer.publish(committed.intent)
    for (let position = committed.position; position < total;) {
      const next = Math.min(total, position + 37)
      write(
        writer,
        Array.from({ length: next - position }, (_, index) => row(position + index)),
      )
      position = next
      if (position < total && position % 5 !== 0) continue
      const intent = await writer.prepare()
      committed.position = position
      if (intent === null) continue
      committed.intent = intent
      await writer.publish(intent)
    }
    return true
  } catch (error) {
    if (!(error instanceof Crash)) throw error
    return false
  }
}

test('SINK-1 to SINK-4: a crash at any operation loses nothing and shows nothing twice', async () => {
  const total = 120
  for (let fuse = 0; ; fuse++) {
    const dir = newFolder()
    const committed: { position: number; intent: Uint8Array | null } = { position: 0, intent: null }
    const done = await drive(dir, mortalDisk(fuse), 1, committed, total)
    const seen = await idsIn(dir)
    assert.equal(new Set(seen).size, seen.length, `no row twice after a crash at operation ${fuse}`)
    assert.ok(
      seen.every((id) => id < committed.position),
      `nothing uncommitted is visible at operation ${fuse}`,
    )
    if (!done) {
      // The second life may die as well, anywhere; the third one finishes.
      await drive(dir, mortalDisk((fuse * 7) % 40), 2, committed, total)
      assert.ok(await drive(dir, nodeDisk, 3, committed, total))
    }
    assert.deepEqual(
      await idsIn(dir),
      Array.from({ length: total }, (_, id) => id),
      `after a crash at operation ${fuse}`,
    )
    assert.deepEqual(readdirSync(join(dir, '_staging', 'web-archive-3')), [], 'no strays')
    if (done) break
  }
})

test('a published file may be moved by its user, a prepared one may not be lost', async () => {
  const dir = newFolder()
  const first = await parquet({ dir }).open(contextWith(nodeDisk, 1), null)
  write(first, [row(1)])
  const intent = await publish(first)
  rmSync(join(dir, String(visible(dir)[0])))
  const second = await parquet({ dir }).open(contextWith(nodeDisk, 2), intent)
  await second.publish(intent as Uint8Array)
  write(second, [row(2)])
  const lost = await second.prepare()
  for (const name of readdirSync(join(dir, '_staging', 'web-archive-3')))
    if (name.endsWith('.staged')) rmSync(join(dir, '_staging', 'web-archive-3', name))
  await assert.rejects(second.publish(lost as Uint8Array), (error) => isMillraceError(error) && error.code === 'MR_SINK_FILE_LOST')
})
