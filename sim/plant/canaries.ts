// Deliberate errors that the laws must notice: if one of them passes, the simulation is asleep.
import type { Log } from '@millrace/core/engine'
import type { Mutant } from './world.ts'

/** Commits arrive without the changelog records: positions and state are forgotten, outputs are not. */
function withoutChangelog(log: Log): Log {
  const openWriter: Log['openWriter'] = async (name) => {
    const writer = await log.openWriter(name)
    return {
      name: writer.name,
      epoch: writer.epoch,
      commit: (parts) => writer.commit(parts.filter((part) => !part.topic.endsWith('.changelog'))),
      close: () => writer.close(),
    }
  }
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'openWriter') return openWriter
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

export const CANARIES: Readonly<Record<string, Mutant>> = {
  'the log ignores fdatasync': { unsynced: /journal-/ },
  'a commit drops positions and state': { log: withoutChangelog },
}
