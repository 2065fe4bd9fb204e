// The Parquet sink under the conformance suite, read back by an independent reader.
import assert from 'node:assert/strict'
import { type Disk, type Field, readFully } from '@millrace/core/connect'
import { type ConformanceRow, sinkConformance } from '@millrace/core/testing'
import { readByHyparquet } from './round-trip.fixture.ts'
import { parquet } from './sink.ts'

const DIR = '/out/archive'
const FIELDS: readonly Field[] = [
  { name: 'id', type: { kind: 'i32' }, nullable: false },
  { name: 'text', type: { kind: 'string' }, nullable: true },
  { name: 'day', type: { kind: 'string' }, nullable: false },
]

function files(disk: Disk, folder: string): string[] {
  return disk
    .list(folder)
    .flatMap((name) => (name.endsWith('.parquet') ? [`${folder}/${name}`] : name.includes('=') ? files(disk, `${folder}/${name}`) : []))
}

async function rowsOf(disk: Disk, path: string): Promise<readonly ConformanceRow[]> {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  assert.ok(readFully(file, bytes, 0))
  file.close()
  const rows = await readByHyparquet(FIELDS, bytes)
  return rows.map(([id, text, day]) => ({ id: Number(id), text: String(text), day: String(day) }))
}

sinkConformance(
  'parquet',
  () => ({
    sink: parquet({ dir: DIR, partitionBy: ['date'], rollBytes: 1500, rollMs: 1000, rowGroupRows: 30, budgetBytes: 30_000 }),
    visible: (disk) => Promise.all(files(disk, DIR).map((path) => rowsOf(disk, path))),
    strays: (disk) => disk.list(`${DIR}/_staging`).flatMap((writer) => disk.list(`${DIR}/_staging/${writer}`)),
  }),
  { seeds: 30 },
)
