// Logs for the tests of this folder, with what can be done to them beside the port: time, maintenance, restarts, crashes, damage.
import type { Disk } from '../../base/disk.ts'
import { seededRandom } from '../../base/random.ts'
import { systemScheduler } from '../../base/scheduler.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import { parseSegmentName } from '../embedded/format.ts'
import { openEmbeddedLog } from '../embedded/open.ts'
import { walkBatches } from '../embedded/segment.ts'
import type { Log } from '../log.ts'
import { MemoryLog, MemoryStore } from '../memory-log.ts'

/** The log at the other end, and what can be done to it. */
export interface Inner {
  readonly log: Log
  /** Where remote readers read files themselves; null: they always ask. */
  readonly disk: Disk | null
  maintain(): Promise<void>
  reopen(): Promise<Inner>
  crash(): Promise<Inner>
  damage(topic: string, partition: number, offset: number): Promise<void>
}

let seeds = 0
export const realTurns = (): VirtualTime => new VirtualTime({ turn: () => systemScheduler.turn() })

export function memory(time: VirtualTime, store: MemoryStore = new MemoryStore()): Inner {
  const log = new MemoryLog({ clock: time, scheduler: time, random: seededRandom(seeds++), store })
  return {
    log,
    disk: null,
    maintain: async () => log.maintain(),
    reopen: async () => {
      await log.close()
      return memory(time, store)
    },
    crash: async () => {
      log.crash()
      return memory(time, store)
    },
    damage: async (topic, partition, offset) => log.damage(topic, partition, offset),
  }
}

/** Small numbers, so that halves are switched, segments are rolled and batches go by reference within a few records. */
const SMALL = {
  journalHalfBytes: 65_536,
  journalHalfBytesMax: 131_072,
  segmentBytes: 4_096,
  referenceBytes: 512,
  diskReserveBytes: 0,
  maintainEveryMs: 0,
}
const FOLDER = 'data/log'

function newDisk(time: VirtualTime): SimulatedDisk {
  return new SimulatedDisk({ random: seededRandom(seeds++), scheduler: time })
}

/** `direct`: remote readers read the files themselves. */
export async function embedded(time: VirtualTime, direct: boolean, disk: SimulatedDisk = newDisk(time)): Promise<Inner> {
  const log = await openEmbeddedLog({ folder: FOLDER, disk, clock: time, scheduler: time, ...SMALL })
  return {
    log,
    disk: direct ? disk : null,
    maintain: async () => {
      await log.checkpoint()
      await log.maintain()
    },
    reopen: async () => {
      await log.close()
      return embedded(time, direct, disk)
    },
    crash: async () => {
      const after = disk.crash()
      await log.close().catch(() => undefined)
      return embedded(time, direct, after)
    },
    damage: async (topic, partition, offset) => {
      await log.checkpoint()
      const folder = `${FOLDER}/topics/${log.topic(topic)?.id ?? ''}/${partition}`
      let number = 1
      for (const { name, settings } of log.topics()) {
        if (name === topic) break
        number += settings.partitions
      }
      for (const name of disk.list(folder)) {
        if (parseSegmentName(name) === null) continue
        const file = disk.open(`${folder}/${name}`, 'read')
        for (const batch of walkBatches(file, 0, file.size(), number + partition)) {
          if (offset >= batch.baseOffset && offset <= batch.lastOffset)
            disk.flipBit(`${folder}/${name}`, batch.position + batch.byteLength - 1, 2)
        }
        file.close()
      }
    },
  }
}
