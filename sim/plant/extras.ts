// What a run has beyond the plain one: more faults, and dead letters that are mended and sent back. Drawn from a generator of its own, so
// that a seed's pipeline is the same with and without them.
import { seededRandom } from '@millrace/core/engine'
import type { Random } from '@millrace/core/connect'

export interface Extras {
  readonly random: Random
  /** Free bytes below which the log refuses outsiders; 0 is none. */
  readonly reserveBytes: number
  /** User code that fails until it is mended, with dead letters sent back meanwhile. Its pipelines have nothing that depends on ticks. */
  readonly repairs: boolean
  /** The log forgets old records of its sources. */
  readonly retentionMs: number | null
  /** A bit of a stored record flips while the plant is down. */
  readonly rots: boolean
  /** A bit anywhere in the log's files flips at the end. */
  readonly rotsAtRest: boolean
  /** The first replay starts while the live pipeline works. */
  readonly replaysBeside: boolean
  /** At rest the plant is stopped in order instead of killed. */
  readonly restartsAtRest: boolean
}

const SALT = 0x2545f491
const RESERVE_BYTES = 1 << 20
/** Longer than a plant is ever down: what is not yet read is never forgotten. */
const RETENTION_MS = 150_000

/** @param holds True: a partition may hold its first records back for longer than retention keeps them. */
export function makeExtras(seed: number, holds: boolean): Extras {
  const random = seededRandom(seed ^ SALT)
  const kind = random.below(10)
  const repairs = kind < 3
  const rots = kind === 3 || kind === 4
  const retention = kind === 5 && !holds
  return {
    random,
    reserveBytes: random.chance(0.7) ? RESERVE_BYTES : 0,
    repairs,
    retentionMs: retention ? RETENTION_MS : null,
    rots,
    rotsAtRest: random.chance(0.3),
    replaysBeside: random.chance(0.4),
    restartsAtRest: random.chance(0.3),
  }
}
