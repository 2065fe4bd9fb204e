// The NDJSON sinks and the collecting sink under the conformance suite.
import assert from 'node:assert/strict'
import { type Disk, readFully } from '../base/disk.ts'
import { type ConformanceRow, sinkConformance } from '../testing/index.ts'
import { collect } from './memory.ts'
import { ndjsonFile } from './ndjson-file-sink.ts'
import { ndjson } from './ndjson-sink.ts'

const DIR = '/out/archive'
const FILE = '/out/rows.ndjson'

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, 'read')
  const bytes = new Uint8Array(file.size())
  assert.ok(readFully(file, bytes, 0))
  file.close()
  return new TextDecoder().decode(bytes)
}

function linesOf(disk: Disk, path: string): ConformanceRow[] {
  const lines = textOf(disk, path).split('\n')
  assert.equal(lines.pop(), '', `${path} ends behind a line`)
  return lines.map((line) => JSON.parse(line) as ConformanceRow)
}

/** The lines before the first that is damaged or cut off. */
function wholeLinesOf(disk: Disk, path: string): ConformanceRow[] {
  const rows: ConformanceRow[] = []
  for (const line of textOf(disk, path).split('\n').slice(0, -1)) {
    try {
      rows.push(JSON.parse(line) as ConformanceRow)
    } catch {
      break
    }
  }
  return rows
}

function files(disk: Disk, folder: string): string[] {
  return disk
    .list(folder)
    .flatMap((name) => (name.endsWith('.ndjson') ? [`${folder}/${name}`] : name.includes('=') ? files(disk, `${folder}/${name}`) : []))
}

sinkConformance('ndjson', () => ({
  sink: ndjson({ dir: DIR, partitionBy: ['date'], rollBytes: 1500, rollMs: 1000, budgetBytes: 30_000 }),
  visible: async (disk) => files(disk, DIR).map((path) => linesOf(disk, path)),
  strays: (disk) => disk.list(`${DIR}/_staging`).flatMap((writer) => disk.list(`${DIR}/_staging/${writer}`)),
}))

sinkConformance(
  'ndjson by a field',
  () => ({
    sink: ndjson({ dir: DIR, partitionBy: ['day'], rollBytes: 1500, rollMs: 1000, budgetBytes: 30_000 }),
    visible: async (disk) =>
      files(disk, DIR).map((path) => linesOf(disk, path).map(({ id, text }) => ({ id, text, day: /day=([^/]*)/.exec(path)?.[1] ?? '' }))),
    strays: (disk) => disk.list(`${DIR}/_staging`).flatMap((writer) => disk.list(`${DIR}/_staging/${writer}`)),
  }),
  { badRow: { id: 7, text: 'seven', day: 'd'.repeat(300) }, seeds: 20 },
)

sinkConformance('ndjson-file', () => ({
  sink: ndjsonFile({ path: FILE, rollBytes: 2000, rollMs: 1000 }),
  visible: async (disk, crashed) => (disk.exists(FILE) ? [(crashed ? wholeLinesOf : linesOf)(disk, FILE)] : []),
  strays: (disk) => disk.list('/out').filter((name) => name.includes('.part-')),
}))

const collected = (acceptsUpdates: boolean) => () => {
  const sink = collect<ConformanceRow>({ acceptsUpdates })
  return { sink, visible: async () => [sink.rows], strays: () => [] }
}
sinkConformance('collect', collected(true), { usesDisk: false })
sinkConformance('collect, append-only', collected(false), { usesDisk: false, seeds: 5 })
