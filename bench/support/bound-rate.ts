// How fast a pipeline took records from its sources, by its own bindings: each tick's wall time and ranges are kept on the progress topic.
// The second half of the records alone counts, up to the start of the last tick: threads are started and their code is compiled by then.
import { decodeProgress, type Log, progressTopic, RecordRows } from '@millrace/core/engine'

interface Bound {
  readonly wallMs: number
  readonly records: number
}

/** Records per second over all tasks of one part of a pipeline. */
export async function boundPerSecond(log: Log, pipeline: string, part: string): Promise<number> {
  const ticks = (await bindings(log, progressTopic(pipeline, part))).toSorted((a, b) => a.wallMs - b.wallMs)
  const half = ticks.reduce((sum, tick) => sum + tick.records, 0) / 2
  let before = 0
  const from = ticks.findIndex(({ records }) => (before += records) > half)
  const first = ticks[from]
  const last = ticks.at(-1)
  if (first === undefined || last === undefined || last.wallMs === first.wallMs)
    throw new Error(`${pipeline} has too few ticks to measure a rate`)
  const records = ticks.slice(from, -1).reduce((sum, tick) => sum + tick.records, 0)
  return (records * 1000) / (last.wallMs - first.wallMs)
}

async function bindings(log: Log, topic: string): Promise<readonly Bound[]> {
  const reader = log.reader()
  const rows = new RecordRows()
  const bound: Bound[] = []
  for (const { partition, start, end } of log.ends(topic)) {
    for (let offset = start; offset < end;) {
      const [fetched] = await reader.fetch([{ topic, partition, offset }])
      if (fetched === undefined || fetched.error !== null) throw fetched?.error ?? new Error(`nothing was read of ${topic}`)
      const count = rows.read(fetched.bytes, fetched.from)
      for (let row = 0; row < count; row++) {
        const record = decodeProgress(fetched.bytes, rows.valueStarts[row] ?? 0, rows.valueEnds[row] ?? 0)
        for (const { wallMs, ranges } of record.bindings)
          bound.push({ wallMs, records: ranges.reduce((sum, { from, to }) => sum + to - from, 0) })
      }
      offset = fetched.next
    }
  }
  reader.close()
  return bound
}
