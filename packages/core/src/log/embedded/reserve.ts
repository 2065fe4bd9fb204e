// The disk reserve: below it appends of outsiders are refused, while commits of named writers, trimming and retention go on, so that what was
// taken in can still be worked off. Asking the file system costs a call, so it is asked again after some bytes or some time.
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import { MillraceError } from '../../base/errors.ts'
import type { LogPart } from '../log.ts'

const ASK_AGAIN_BYTES = 4 << 20
const ASK_AGAIN_MS = 500

export class Reserve {
  readonly #disk: Disk
  readonly #folder: string
  readonly #clock: Clock
  readonly #reserveBytes: number
  #free = 0
  #since = Infinity
  #askedMs = -Infinity

  constructor(disk: Disk, folder: string, clock: Clock, reserveBytes: number) {
    this.#disk = disk
    this.#folder = folder
    this.#clock = clock
    this.#reserveBytes = reserveBytes
  }

  /** Throws MR_LOG_FULL when less than the reserve is free. */
  check(parts: readonly LogPart[]): void {
    if (this.#reserveBytes === 0) return
    for (const part of parts) this.#since += part.batch.length
    const now = this.#clock.monotonicMs()
    if (this.#since > ASK_AGAIN_BYTES || now - this.#askedMs > ASK_AGAIN_MS || this.#free < this.#reserveBytes) {
      this.#free = this.#disk.freeBytes(this.#folder)
      this.#since = 0
      this.#askedMs = now
    }
    if (this.#free >= this.#reserveBytes) return
    throw new MillraceError('MR_LOG_FULL', {
      message: 'the disk has less free space than the reserve.',
      details: { reserve: this.#reserveBytes, free: this.#free, folder: this.#folder },
    })
  }
}
