// Numbers of ticks (ADR 0002, rules 5-7): the largest of own last + 1, the newest number seen on progress, and the wall clock in
// microseconds rounded down to the cadence. Numbers are opaque: a wrong clock costs alignment, never order.
import type { Clock } from '../../base/clock.ts'

/**
 * The tick at which the inputs of a replay end: behind every tick that any task has kept. A task whose own ticks are over says nothing of
 * its clock before, since an input that has ended holds nobody back, and in the live run it did.
 */
export const END_TICK: number = 2 ** 52

export class TickClock {
  readonly #clock: Clock
  readonly #cadenceUs: number
  #last: number

  constructor(clock: Clock, cadenceMs: number, last: number) {
    this.#clock = clock
    this.#cadenceUs = cadenceMs * 1000
    this.#last = last
  }

  get last(): number {
    return this.#last
  }

  /** Takes the next number. `newestSeen`: the largest `through` or `wants` of any task of the domain. */
  next(newestSeen: number): number {
    const wall = Math.floor(this.#clock.nowUs() / this.#cadenceUs) * this.#cadenceUs
    this.#last = Math.max(this.#last + 1, newestSeen, wall)
    return this.#last
  }

  /** A number was answered or replayed without being taken here. */
  atLeast(tick: number): void {
    if (tick > this.#last) this.#last = tick
  }
}
