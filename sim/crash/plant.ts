// The plant that the crash campaign kills: counts behind an exchange with two groups, a copy of each event on a topic, two archives.
//   node --conditions=mr-source sim/crash/plant.ts FOLDER
// Says `ready URL` on standard output when it listens; stops in order on SIGTERM; leaves at once with code 3 when the log has failed.
import path from 'node:path'
import { count, expr, pipeline, startPlant, sum, t, topic, tumbling } from 'millrace'
import { ndjson } from '@millrace/core/connect'
import { parquet } from '@millrace/parquet'
import { ROLL_MS, WINDOW_MS } from './events.ts'

const folder = process.argv[2]
if (folder === undefined) throw new Error('give the data folder')

const event = t.object({ id: t.i64(), key: t.string(), value: t.i32(), at: t.time() })
const numbers = topic('numbers', { value: event, key: 'key', eventTime: 'at', partitions: 2 })
const copies = topic('copies', { value: event, key: 'key', partitions: 2 })

const definition = pipeline(
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
      .to(copies)
    all.to(ndjson({ dir: path.join(folder, 'archive-ndjson'), rollMs: ROLL_MS }), { name: 'ndjson' })
    all.to(parquet({ dir: path.join(folder, 'archive-parquet'), rollMs: ROLL_MS }), { name: 'parquet' })
  },
  { groups: 2 },
)

const plant = await startPlant({
  folder,
  pipelines: [definition],
  port: 0,
  memoryBytes: 64 << 20,
  diskReserveBytes: 0,
  onFatal: (error) => {
    process.stderr.write(`fatal: ${String(error)}\n`)
    process.exit(3)
  },
})
process.once('SIGTERM', () => {
  void plant.stop().then(() => process.exit(0))
})
process.stdout.write(`ready ${plant.url}\n`)
