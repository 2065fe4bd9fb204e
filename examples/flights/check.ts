// Compares what the plant says with the independent count, and stops the plant on the way: only then is the archive complete.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetMetadataAsync } from 'hyparquet'
import { must } from '@millrace/core/engine'
import type { Plant } from 'millrace'
import type { Expected, HourCount } from './count.ts'
import { alertsOf } from './count.ts'

export interface Report {
  readonly ok: boolean
  readonly lines: readonly string[]
}

const ROWS_MAX = 10_000_000

export async function checkRun(plant: Plant, expected: Expected, archive: string): Promise<Report> {
  const lines: string[] = []
  let ok = true
  const compare = (what: string, got: number, wanted: number): void => {
    if (got !== wanted) ok = false
    lines.push(
      `${got === wanted ? '  ' : '! '}${what.padEnd(34)} ${got.toLocaleString('en').padStart(12)}${got === wanted ? '' : `   expected ${wanted.toLocaleString('en')}`}`,
    )
  }
  const pipeline = must(plant.pipelines.get('flights'), 'pipeline flights')
  const { rows } = await pipeline.table('hourly', { limit: ROWS_MAX })
  compare('airport hours in the table', rows.length, expected.hours.size)
  compare('hours that differ from the count', wrongHours(rows, expected.hours), 0)
  const watermarkMs = must(
    pipeline.status().tasks.find((task) => task.part === 'departures'),
    'the task that judges hours',
  ).watermarkMs
  compare('alerts of closed hours', recordsOf(plant, 'alerts'), alertsOf(expected.hours, watermarkMs))
  compare('dead letters: cut off, wrong clock', recordsOf(plant, 'flights.dead-letters'), expected.cut + expected.wrongClocks)
  await plant.stop()
  compare('rows in the Parquet archive', await archivedRows(archive), expected.rows)
  return { ok, lines }
}

function recordsOf(plant: Plant, topic: string): number {
  return plant.log.ends(topic).reduce((sum, ends) => sum + ends.end - ends.start, 0)
}

function wrongHours(rows: readonly Readonly<Record<string, unknown>>[], hours: ReadonlyMap<string, HourCount>): number {
  let wrong = 0
  for (const row of rows) {
    const hour = hours.get(`${String(row['origin'])} ${String(row['windowStart'])}`)
    const same =
      hour !== undefined &&
      row['flights'] === hour.flights &&
      Math.abs(Number(row['lateShare']) - hour.late / hour.flights) < 1e-12 &&
      Math.abs(Number(row['delayMean']) - hour.delaySum / hour.flights) < 1e-9 &&
      row['delayMax'] === hour.delayMax
    if (!same) wrong++
  }
  return wrong
}

async function archivedRows(folder: string): Promise<number> {
  let rows = 0
  for (const path of parquetFiles(folder)) rows += Number((await parquetMetadataAsync(await asyncBufferFromFile(path))).num_rows)
  return rows
}

function parquetFiles(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('_'))
    .flatMap((name) => {
      const path = join(folder, name)
      if (statSync(path).isDirectory()) return parquetFiles(path)
      return name.endsWith('.parquet') ? [path] : []
    })
}
