// The pipeline that the crash campaign kills: counts behind an exchange with two groups, a copy of each event on a topic, two archives.
// A module of its own, because worker threads import it themselves. The data folder comes in by the environment, which threads inherit.
import path from 'node:path'
import { count, expr, pipeline, sum, t, topic, tumbling } from 'millrace'
import type { PipelineDefinition } from '@millrace/core'
import { ndjson } from '@millrace/core/connect'
import { parquet } from '@millrace/parquet'
import { ROLL_MS, WINDOW_MS } from './events.ts'

/** Names the data folder. */
export const FOLDER_VARIABLE = 'MILLRACE_CRASH_FOLDER'
export const GROUPS = 2

const folder = process.env[FOLDER_VARIABLE]
if (folder === undefined) throw new Error(`set ${FOLDER_VARIABLE} to the data folder`)
const event = t.object({ id: t.i64(), key: t.string(), value: t.i32(), at: t.time() })
const numbers = topic('numbers', { value: event, key: 'key', eventTime: 'at', partitions: 2 })
const copies = topic('copies', { value: event, key: 'key', partitions: 2 })

export const definition: PipelineDefinition = pipeline(
  'crash',
  (mill) => {
    const all = mill.from(numbers).filter(
      expr((row) => row.value.gte(0)),
      { name: 'all' },
    )
    all
      .groupBy('key')
      .aggregate({ n: count(), total: sum('value') }, { name: 'totals' })
      .toTable('totals')
    all
      .groupBy('key')
      .window(tumbling({ sizeMs: WINDOW_MS, graceMs: 86_400_000 }))
      .aggregate({ n: count(), total: sum('value') }, { name: 'per-window' })
      .toTable('per_window')
    all
      .dedupe({ by: 'id', withinMs: 86_400_000, name: 'once' })
      .map((row) => ({ id: row.id, key: row.key, value: row.value, at: row.at }), { name: 'copied', value: event })
      .through(copies)
      // Written by the task that reads the copies; the other archive, beside tables and topic, has a task of its own.
      .to(ndjson({ dir: path.join(folder, 'archive-ndjson'), rollMs: ROLL_MS }), { name: 'ndjson' })
    all.to(parquet({ dir: path.join(folder, 'archive-parquet'), rollMs: ROLL_MS }), { name: 'parquet' })
  },
  { groups: GROUPS },
)
