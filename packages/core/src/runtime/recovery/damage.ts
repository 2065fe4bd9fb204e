// What a task does about bytes of its state that the disk has lost. Damage that lies behind a complete snapshot hurts nobody: it is passed.
// Damage in what would have to be read is never skipped, since rows would be missing without a word: the task stays failed, or the state
// is built again (rebuild.ts).
import type { Log, LogReader } from '../../log/log.ts'
import { must } from '../../base/assert.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'
import { wholeFetchBytes } from '../fetch-size.ts'

/** Offsets that cannot be read, `from` inclusive, `to` exclusive. */
export interface Damage {
  readonly from: number
  readonly to: number
  /** What the log said. */
  readonly error: MillraceError
}

/** Whether the error says that stored bytes are damaged or put aside. */
export function isDamage(error: unknown): error is MillraceError {
  return isMillraceError(error) && (error.code === 'MR_LOG_CORRUPT' || error.code === 'MR_LOG_QUARANTINED')
}

/** The error of a task whose state cannot be restored, with the place that the log named. */
export function stateDamaged(task: string, pipeline: string, cause: MillraceError): MillraceError {
  const { topic, partition, offset, file, position } = cause.details
  return new MillraceError('MR_RUNTIME_STATE_DAMAGED', {
    details: {
      pipeline,
      task,
      topic: topic ?? '',
      partition: partition ?? 0,
      offset: offset ?? 0,
      ...(file === undefined ? {} : { file, ...(position === undefined ? {} : { position }) }),
    },
    cause,
  })
}

/**
 * The first offset behind the damage at `offset` that can be read; `end` when there is none. It may pass a readable stretch between two
 * damaged ones: whoever asks passes damage because nothing there is needed.
 */
export async function behindDamage(reader: LogReader, topic: string, partition: number, offset: number, end: number): Promise<number> {
  const isReadable = async (at: number): Promise<boolean> => {
    const [fetched] = await reader.fetch([{ topic, partition, offset: at }], { bytesMax: 1 })
    return fetched !== undefined && fetched.error === null
  }
  let bad = offset
  let good = end
  for (let step = 1; bad + step < end; step *= 2) {
    if (await isReadable(bad + step)) {
      good = bad + step
      break
    }
    bad += step
  }
  while (good - bad > 1) {
    const middle = bad + Math.floor((good - bad) / 2)
    if (await isReadable(middle)) good = middle
    else bad = middle
  }
  return good
}

/** Reads a partition to its end; the first damage there, or null. */
export async function firstDamage(log: Log, topic: string, partition: number): Promise<MillraceError | null> {
  const ends = log.ends(topic).find((other) => other.partition === partition)
  if (ends === undefined) return null
  const reader = log.reader()
  const bytesMax = wholeFetchBytes(log, topic, partition)
  try {
    for (let offset = ends.start; offset < ends.end;) {
      const { error, next } = must((await reader.fetch([{ topic, partition, offset }], { bytesMax }))[0], topic)
      if (isDamage(error)) return error
      if (error !== null) throw error
      if (next === offset) return null
      offset = next
    }
    return null
  } finally {
    reader.close()
  }
}
