// The clock guard of one source partition (time/clock-guard.ts): what it decides, and for how long it holds back a jump that nothing confirms.
import { type ClockGuardSettings, guardTimes, type GuardVerdict } from '../../time/clock-guard.ts'

/** A jump that waits for records that confirm it. */
interface Hold {
  /** How many records with a time are behind it. */
  readonly behind: number
  /** Since when no more have come, monotonic. */
  readonly sinceMs: number
  readonly eventTimeMs: number
}

/** The rows in front of the guard, and what else it goes by. */
export interface GuardedRows {
  readonly times: Float64Array
  readonly count: number
  /** Largest event time accepted in the partition so far. */
  readonly largestMs: number
  /** There are no more records for now; `isLast`: nor will there be. */
  readonly atEnd: boolean
  readonly isLast: boolean
  readonly wallMs: number
  readonly monotonicMs: number
}

export class PartitionGuard {
  readonly #settings: ClockGuardSettings
  readonly #idleMs: number
  #held: Hold | null = null

  /** @param idleMs So long a jump waits for further records. */
  constructor(settings: ClockGuardSettings, idleMs: number) {
    this.#settings = settings
    this.#idleMs = idleMs
  }

  /** Decides the rows in order. The partition waits when none is taken: for records behind the first one, or for `dueAt`. */
  judge(rows: GuardedRows): GuardVerdict {
    const { count, atEnd, monotonicMs } = rows
    let verdict = this.#verdict(rows, rows.isLast)
    const held = this.#held
    const isSilent = held !== null && held.behind === verdict.behind && monotonicMs - held.sinceMs >= this.#idleMs
    if (verdict.taken === 0 && count > 0 && atEnd && isSilent) verdict = this.#verdict(rows, true)
    if (verdict.taken > 0 || count === 0) this.#held = null
    else if (atEnd && held?.behind !== verdict.behind)
      this.#held = { behind: verdict.behind, sinceMs: monotonicMs, eventTimeMs: rows.times[0] as number }
    return verdict
  }

  #verdict({ times, count, largestMs, wallMs }: GuardedRows, final: boolean): GuardVerdict {
    return guardTimes(times, 0, count, largestMs, this.#settings, final, wallMs)
  }

  /** What waited is gone. */
  release(): void {
    this.#held = null
  }

  /** Monotonic time at which a jump that nothing confirms is decided; null when none waits. */
  dueAt(): number | null {
    return this.#held === null ? null : this.#held.sinceMs + this.#idleMs
  }

  /** The jump that waits, for how long it has and for how long it still will; null when none waits. */
  held(monotonicMs: number): { readonly eventTimeMs: number; readonly forMs: number; readonly untilMs: number } | null {
    if (this.#held === null) return null
    const { eventTimeMs, sinceMs } = this.#held
    return { eventTimeMs, forMs: monotonicMs - sinceMs, untilMs: Math.max(0, sinceMs + this.#idleMs - monotonicMs) }
  }
}

/** What the guard of a replay says: its decisions are part of the binding, because what confirmed a jump may look different now. */
export function keptVerdict(
  times: Float64Array,
  offsets: Float64Array,
  count: number,
  largestMs: number,
  refused: ReadonlySet<number>,
): GuardVerdict {
  const rejected: number[] = []
  let largest = largestMs
  for (let row = 0; row < count; row++) {
    if (refused.has(offsets[row] as number)) rejected.push(row)
    else if ((times[row] as number) > largest) largest = times[row] as number
  }
  return { taken: count, rejected, largestMs: largest, behind: -1 }
}
