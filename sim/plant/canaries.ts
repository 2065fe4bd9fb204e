// Deliberate errors that the laws must notice, at least one per law: if one of them passes, the simulation is asleep.
import { compiler, sleep } from '@millrace/core/engine'
import type { Log, LogPart, PipelineOptions, Scheduler } from '@millrace/core/engine'
import { withCommits } from './world.ts'
import type { Mutant } from './world.ts'

/** Every so many commits with output something happens to the output. */
const COMMITS = 5
const EARLY_MS = 3_000
const EARLY_COMMIT_MS = 100

const isOutput = ({ topic }: LogPart): boolean => !topic.startsWith('__')

/** Changes what is written to the users' topics, now and then. */
function withOutput(change: (part: LogPart) => readonly LogPart[]): (log: Log) => Log {
  return (log) => {
    let commits = 0
    return withCommits(log, (writer, parts) => {
      const isDue = parts.some(isOutput) && ++commits % COMMITS === 0
      return writer.commit(isDue ? parts.flatMap((part) => (isOutput(part) ? change(part) : [part])) : parts)
    })
  }
}

/** Commits arrive without the changelog records: positions and state are forgotten, outputs are not. */
const withoutChangelog = (log: Log): Log =>
  withCommits(log, (writer, parts) => writer.commit(parts.filter((part) => !part.topic.endsWith('.changelog'))))

/** Tasks are told that a commit is durable long before it is: sinks and tables show what a crash takes back. */
const early = (log: Log, time: Scheduler): Log => {
  const last = new Map<string, Promise<unknown>>()
  return withCommits(log, async (writer, parts) => {
    const copies = parts.map((part) => ({ ...part, batch: part.batch.slice() }))
    const later = Promise.all([last.get(writer.name), sleep(time, EARLY_COMMIT_MS)]).then(() => writer.commit(copies))
    last.set(
      writer.name,
      later.catch(() => undefined),
    )
    return { firstOffsets: parts.map(() => 0) }
  })
}

/** Operators hear of a watermark that is not reached yet. */
const impatient: PipelineOptions['compiler'] = {
  ...compiler,
  instantiate(plan, part, services) {
    const instance = compiler.instantiate(plan, part, services)
    return new Proxy(instance, {
      get: (target, name) => {
        if (name === 'endTick')
          return (end: Parameters<typeof instance.endTick>[0]) => target.endTick({ ...end, watermark: end.watermark + EARLY_MS })
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  },
}

export const CANARIES: Readonly<Record<string, Mutant>> = {
  'acknowledged records are lost: the log ignores fdatasync': { unsynced: /journal-/ },
  'a commit loses its output': { log: withOutput(() => []) },
  'a commit writes its output twice': { log: withOutput((part) => [part, part]) },
  'state and positions are not restored': { log: withoutChangelog },
  'a commit is reported before it is durable': { log: early },
  'windows close too early': { compiler: impatient },
}
