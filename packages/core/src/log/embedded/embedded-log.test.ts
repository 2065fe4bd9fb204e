// The conformance suite of the log port on the embedded log, over the real disk and over the simulated one.
import fs from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { nodeDisk } from '../../base/node-disk.ts'
import { seededRandom } from '../../base/random.ts'
import { systemScheduler } from '../../base/scheduler.ts'
import { logConformance, type LogUnderTest } from '../../testing/log-conformance.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { Disk } from '../../base/disk.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { parseSegmentName } from './format.ts'
import { openEmbeddedLog } from './open.ts'
import { walkBatches } from './segment.ts'

/** Small numbers, so that halves are switched and segments are rolled within a few records. */
const SMALL = {
  journalHalfBytes: 65_536,
  journalHalfBytesMax: 131_072,
  segmentBytes: 4_096,
  referenceBytes: 512,
  diskReserveBytes: 0,
  maintainEveryMs: 0,
}

interface Place {
  readonly folder: string
  readonly disk: Disk
}

interface Medium {
  /** What a restart finds after the power was cut now. */
  crashed(place: Place): Place
  flip(place: Place, path: string, position: number): void
  dispose(place: Place): void
}

async function under(place: Place, medium: Medium, time: VirtualTime): Promise<LogUnderTest & { readonly log: EmbeddedLog }> {
  const log = await openEmbeddedLog({ ...place, clock: time, scheduler: time, ...SMALL })
  let closed = false
  const close = async (): Promise<void> => {
    if (!closed) await log.close()
    closed = true
  }
  return {
    log,
    advance: (ms) => time.advance(ms),
    nowMs: () => time.nowMs(),
    maintain: async () => {
      await log.checkpoint()
      await log.maintain()
    },
    reopen: async () => {
      await close()
      return under(place, medium, time)
    },
    crash: async () => {
      const after = medium.crashed(place)
      closed = true
      await log.close().catch(() => undefined)
      return under(after, medium, time)
    },
    damage: async (topic, partition, offset) => {
      await log.checkpoint()
      const folder = `${place.folder}/topics/${log.topic(topic)?.id ?? ''}/${partition}`
      for (const name of place.disk.list(folder)) {
        if (parseSegmentName(name) === null) continue
        const file = place.disk.open(`${folder}/${name}`, 'read')
        for (const batch of walkBatches(file, 0, file.size(), partitionNumber(log, topic) + partition)) {
          if (offset >= batch.baseOffset && offset <= batch.lastOffset)
            medium.flip(place, `${folder}/${name}`, batch.position + batch.byteLength - 1)
        }
        file.close()
      }
    },
    dispose: async () => {
      await close().catch(() => undefined)
      medium.dispose(place)
    },
  }
}

/** Partitions are numbered through the whole log from 1 on, in the order in which topics were made. */
function partitionNumber(log: EmbeddedLog, topic: string): number {
  let number = 1
  for (const { name, settings } of log.topics()) {
    if (name === topic) return number
    number += settings.partitions
  }
  throw new Error(`no topic ${topic}`)
}

const realDisk: Medium = {
  crashed: ({ folder }) => {
    // What a killed process leaves behind is what the file system shows: power cuts are the business of the simulated disk.
    const copy = fs.mkdtempSync(join(os.tmpdir(), 'millrace-log-'))
    fs.cpSync(folder, copy, { recursive: true, filter: (path) => !/\/lock\.[^/]*$/.test(path) })
    folders.push(copy)
    return { folder: copy, disk: nodeDisk }
  },
  flip: (_, path, position) => {
    const handle = fs.openSync(path, 'r+')
    const byte = Buffer.alloc(1)
    fs.readSync(handle, byte, 0, 1, position)
    fs.writeSync(handle, Buffer.from([(byte[0] ?? 0) ^ 4]), 0, 1, position)
    fs.closeSync(handle)
  },
  dispose: () => {
    for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true })
  },
}
const folders: string[] = []

logConformance(
  'EmbeddedLog on this disk',
  () => {
    const folder = fs.mkdtempSync(join(os.tmpdir(), 'millrace-log-'))
    folders.push(folder)
    return under({ folder, disk: nodeDisk }, realDisk, new VirtualTime({ turn: () => systemScheduler.turn() }))
  },
  { canCrash: true, canDamage: true, modelRuns: 20 },
)

const simulated: Medium = {
  crashed: ({ folder, disk }) => ({ folder, disk: (disk as SimulatedDisk).crash() }),
  flip: ({ disk }, path, position) => (disk as SimulatedDisk).flipBit(path, position, 2),
  dispose: () => undefined,
}
let seeds = 0

logConformance(
  'EmbeddedLog on the simulated disk',
  () => {
    const time = new VirtualTime({ turn: () => systemScheduler.turn() })
    return under({ folder: 'data/log', disk: new SimulatedDisk({ random: seededRandom(seeds++), scheduler: time }) }, simulated, time)
  },
  { canCrash: true, canDamage: true, modelRuns: 60 },
)
