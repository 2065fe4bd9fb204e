// Event time of one source partition: watermark, idleness and end (ADR 0002, rule 19). The state is part of every commit.
//
//   active --(fetches showed end = position for idleMs)--> idle --(a record)--> active
//   active | idle --(declared end of the input)--> ended
//
// Invariant: the watermark never goes back, whatever arrives.

export type PartitionStatus = 'active' | 'idle' | 'ended'

/** What is committed of a partition's clock. Times in ms; -Infinity before the first record. */
export interface PartitionClockState {
  readonly largestMs: number
  readonly watermarkMs: number
  readonly status: PartitionStatus
  /** The event time from which an idle watermark goes on, and for how long it has been idle (ms of the monotonic clock). */
  readonly idleBaseMs: number
}

export interface PartitionClockSettings {
  readonly disorderMs: number
  readonly idleMs: number
  /** `rate`: an idle watermark goes on with the wall clock; `never`: only data moves it. */
  readonly closeWhenIdle: 'rate' | 'never'
}

export const INITIAL_CLOCK: PartitionClockState = {
  largestMs: Number.NEGATIVE_INFINITY,
  watermarkMs: Number.NEGATIVE_INFINITY,
  status: 'active',
  idleBaseMs: Number.NEGATIVE_INFINITY,
}

export class PartitionClock {
  readonly #settings: PartitionClockSettings
  #largest: number
  #watermark: number
  #status: PartitionStatus
  #idleBase: number
  /** Monotonic time of the last fetch that gave a record, and of the moment it became idle. */
  #lastDataAt: number
  #idleSince = 0

  constructor(settings: PartitionClockSettings, state: PartitionClockState, monotonicMs: number) {
    this.#settings = settings
    this.#largest = state.largestMs
    this.#watermark = state.watermarkMs
    this.#status = state.status
    this.#idleBase = state.idleBaseMs
    this.#lastDataAt = monotonicMs
    this.#idleSince = monotonicMs
  }

  get largestMs(): number {
    return this.#largest
  }
  get watermarkMs(): number {
    return this.#watermark
  }
  get status(): PartitionStatus {
    return this.#status
  }
  /** Monotonic time of the last record; for "idle since". */
  get lastDataAt(): number {
    return this.#lastDataAt
  }

  state(): PartitionClockState {
    return { largestMs: this.#largest, watermarkMs: this.#watermark, status: this.#status, idleBaseMs: this.#idleBase }
  }

  /** Records were bound; `largestMs` is the largest event time among them (-Infinity when none had a usable one). */
  observe(largestMs: number, monotonicMs: number): void {
    this.#lastDataAt = monotonicMs
    this.#status = 'active'
    if (largestMs > this.#largest) this.#largest = largestMs
    this.#raise(this.#largest - this.#settings.disorderMs)
  }

  /** Records are there that are not bound yet: the partition is not idle, and whoever goes by its watermark waits for them. */
  wake(monotonicMs: number): void {
    if (this.#status !== 'idle') return
    this.#status = 'active'
    this.#lastDataAt = monotonicMs
  }

  /** A fetch showed that nothing is there. Returns true when the partition became idle just now. */
  observeEmpty(monotonicMs: number): boolean {
    if (this.#status !== 'active' || monotonicMs - this.#lastDataAt < this.#settings.idleMs) return false
    this.#status = 'idle'
    this.#idleSince = monotonicMs
    this.#idleBase = Math.max(this.#largest, this.#watermark + this.#settings.disorderMs)
    return true
  }

  /** The watermark that an idle partition may state now; the present one while active or when only data moves it. */
  idleWatermark(monotonicMs: number, wallMs: number): number {
    if (this.#status !== 'idle' || this.#settings.closeWhenIdle === 'never') return this.#watermark
    // Event time has whole milliseconds, the monotonic clock has not.
    const gone = Math.floor(Math.min(this.#idleBase + (monotonicMs - this.#idleSince), wallMs))
    return Math.max(this.#watermark, gone - this.#settings.disorderMs)
  }

  /** Takes the idle watermark at a tick. */
  advanceIdle(monotonicMs: number, wallMs: number): void {
    this.#raise(this.idleWatermark(monotonicMs, wallMs))
  }

  /** When (monotonic ms) this partition becomes idle if nothing arrives; +Infinity when it is not active. */
  idleDueAt(): number {
    return this.#status === 'active' ? this.#lastDataAt + this.#settings.idleMs : Number.POSITIVE_INFINITY
  }

  end(): void {
    this.#status = 'ended'
    this.#watermark = Number.POSITIVE_INFINITY
  }

  #raise(watermark: number): void {
    if (watermark > this.#watermark) this.#watermark = watermark
  }
}

export interface CombinedClock {
  readonly watermark: number
  readonly status: PartitionStatus
}

/** The clock of a task over its stream inputs (rule 20): active inputs hold it back, idle ones only when all are idle, ended ones never. */
export function combineClocks(inputs: Iterable<CombinedClock>): CombinedClock {
  let activeMin = Number.POSITIVE_INFINITY
  let idleMax = Number.NEGATIVE_INFINITY
  let anyActive = false
  let anyIdle = false
  for (const input of inputs) {
    if (input.status === 'active') {
      anyActive = true
      if (input.watermark < activeMin) activeMin = input.watermark
    } else if (input.status === 'idle') {
      anyIdle = true
      if (input.watermark > idleMax) idleMax = input.watermark
    }
  }
  if (anyActive) return { watermark: activeMin, status: 'active' }
  if (anyIdle) return { watermark: idleMax, status: 'idle' }
  return { watermark: Number.POSITIVE_INFINITY, status: 'ended' }
}
