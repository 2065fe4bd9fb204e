// An embedded log with small numbers on a simulated disk, for tests that look inside its folder.
import { seededRandom } from '../../base/random.ts'
import { part } from '../../testing/log-conformance-kit.ts'
import { SimulatedDisk } from '../../testing/simulated-disk.ts'
import { VirtualTime } from '../../testing/virtual-time.ts'
import type { EmbeddedLog } from './embedded-log.ts'
import { openEmbeddedLog } from './open.ts'
import type { EmbeddedLogOptions } from './options.ts'

export class LogBench {
  readonly folder = 'data/log'
  readonly time: VirtualTime = new VirtualTime()
  disk: SimulatedDisk

  constructor(seed = 1) {
    this.disk = new SimulatedDisk({ random: seededRandom(seed), scheduler: this.time, shortReadChance: 0.3 })
  }

  open(options: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
    return this.run(
      openEmbeddedLog({
        folder: this.folder,
        disk: this.disk,
        clock: this.time,
        scheduler: this.time,
        journalHalfBytes: 16_384,
        journalHalfBytesMax: 16_384,
        segmentBytes: 8_192,
        referenceBytes: 1_024,
        diskReserveBytes: 0,
        maintainEveryMs: 0,
        ...options,
      }),
    )
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.time.run(promise)
  }

  /** Appends records `from` to `from + count` to the topic `t`, one request each. */
  async fill(log: EmbeddedLog, from: number, count: number, size = 40): Promise<void> {
    for (let round = from; round < from + count; round++) await this.run(log.append([part('t', [`${round}`.padEnd(size, '.')])]))
  }
}
