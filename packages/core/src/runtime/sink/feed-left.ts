// What is still on its way to a sink: batches of its feed, or of an exchange in front of it, that their last reader has not applied.
// Asked where an edit of the pipeline takes the reader away: when a sink changes hands (sink-handover.ts), and when nobody has its name any more.
import type { Log } from '../../log/log.ts'
import type { CommitState } from '../recovery/commit-state.ts'
import { must } from '../../base/assert.ts'
import { batchByteLength } from '../../codec/record-batch.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { feedTopic } from '../../compile/topology-planner.ts'
import { readHead } from '../exchange/exchange-output.ts'
import { wholeFetchBytes } from '../fetch-size.ts'
import { parseKey } from '../recovery/changelog.ts'
import { decodeCommitState } from '../recovery/commit-state.ts'
import { isDamage } from '../recovery/damage.ts'
import { changelogTopic } from '../topic-names.ts'

/**
 * Batches on the feed of a sink that no checkpoint of the sink has: rows that were acknowledged and are not shipped. 0 for a sink without a
 * task of its own: what it has not shipped is read from the source again, by whoever takes its place. A partition that is damaged counts as one.
 */
export async function unshippedBatches(log: Log, pipeline: string, sink: string): Promise<number> {
  const feed = feedTopic(pipeline, sink)
  if (log.topic(feed) === null) return 0
  let left = 0
  for (const { partition, start, end } of log.ends(feed)) {
    if (start === end) continue
    try {
      left += await batchesLeft(log, feed, partition, await lastCommit(log, changelogTopic(pipeline, sink), partition))
    } catch (error) {
      if (!isDamage(error)) throw error
      left++
    }
  }
  return left
}

/** Batches of one partition of an exchange that its reader has not applied. */
export async function batchesLeft(log: Log, topic: string, partition: number, reader: CommitState | null): Promise<number> {
  const ends = log.topic(topic) === null ? undefined : log.ends(topic).find((other) => other.partition === partition)
  if (ends === undefined) return 0
  const position = reader?.exchanges.find((exchange) => exchange.topic === topic)?.positions.find((other) => other.partition === partition)
  let left = 0
  await eachBatch(log, topic, partition, Math.max(ends.start, position?.offset ?? 0), ends.end, (rows) => {
    const { producer, running } = readHead(rows.bytes, rows.valueStarts[0] as number)
    if (running > (position?.applied[producer] ?? 0)) left++
  })
  return left
}

/** The newest commit on one partition of a changelog; null when there is none. */
export async function lastCommit(log: Log, topic: string, partition: number): Promise<CommitState | null> {
  const ends = log.topic(topic) === null ? undefined : log.ends(topic).find((other) => other.partition === partition)
  if (ends === undefined) return null
  let last: CommitState | null = null
  await eachBatch(log, topic, partition, ends.start, ends.end, (rows, count) => {
    for (let row = 0; row < count; row++)
      if (parseKey(rows.bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number).kind === 'commit')
        last = decodeCommitState(rows.bytes.subarray(rows.valueStarts[row], rows.valueEnds[row]))
  })
  return last
}

async function eachBatch(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  to: number,
  each: (rows: RecordRows, count: number) => void,
): Promise<void> {
  const reader = log.reader()
  const rows = new RecordRows()
  const bytesMax = wholeFetchBytes(log, topic, partition)
  try {
    for (let offset = from; offset < to;) {
      const fetched = must((await reader.fetch([{ topic, partition, offset }], { bytesMax }))[0], topic)
      if (fetched.error !== null) throw fetched.error
      if (fetched.next === offset) return
      for (let at = 0; at < fetched.bytes.length;) {
        const length = batchByteLength(fetched.bytes, at)
        if (length < 0) break
        const count = rows.read(fetched.bytes.subarray(at, at + length), offset)
        if (count > 0) each(rows, count)
        at += length
      }
      offset = fetched.next
    }
  } finally {
    reader.close()
  }
}
