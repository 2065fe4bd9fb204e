// Time and turns under the hand of a test: nothing happens unless the test drives it, and one seed gives one order of events.
//
// Timers due at the same millisecond, and turns that wait at the same moment, run in an order drawn from the seed. Every turn moves the
// clock by one microsecond, so that code which polls turn by turn still gets older. Driving drains microtasks between any two events.
// Real I/O is not driven: what runs here uses the simulated disk and network.
import { AssertionFailure } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { type Random, seededRandom } from '../base/random.ts'
import type { Scheduler, Timer } from '../base/scheduler.ts'

/** 2026-01-01T00:00:00Z */
const START_MS = 1_767_225_600_000
const TURN_MS = 0.001
/** More events than this without an end are a loop that never becomes idle. */
const EVENTS_MAX = 10_000_000
const LIMIT_MS = 3_600_000

interface Due {
  readonly atMs: number
  readonly run: () => void
}

export interface VirtualTimeOptions {
  /** Default: a generator seeded with 1. */
  readonly random?: Random
  /** Wall clock at the start, milliseconds. */
  readonly startMs?: number
  /** Who runs the turns. Default: the driver of this object. A real scheduler's turns serve tests in which only the time is virtual. */
  readonly turn?: () => Promise<void>
}

export class VirtualTime implements Clock, Scheduler {
  readonly #random: Random
  readonly #realTurn: (() => Promise<void>) | null
  #startMs: number
  /** Milliseconds since the start. */
  #elapsedMs = 0
  #timers: Due[] = []
  #turns: (() => void)[] = []

  constructor(options: VirtualTimeOptions = {}) {
    this.#random = options.random ?? seededRandom(1)
    this.#startMs = options.startMs ?? START_MS
    this.#realTurn = options.turn ?? null
  }

  nowMs(): number {
    return Math.floor(this.#startMs + this.#elapsedMs)
  }

  nowUs(): number {
    return this.#startMs * 1000 + Math.floor(this.#elapsedMs * 1000)
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, run: () => void): Timer {
    // Whole milliseconds, as real timers: more of them fall together, and their order is the seed's.
    const timer: Due = { atMs: Math.ceil(this.#elapsedMs + Math.max(delayMs, 1)), run }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  turn(): Promise<void> {
    return this.#realTurn === null ? new Promise((resolve) => this.#turns.push(resolve)) : this.#realTurn()
  }

  /** Timers that wait. */
  get timerCount(): number {
    return this.#timers.length
  }

  /** Moves the wall clock without time passing, forwards or backwards, as an administrator does. Timers do not notice. */
  jumpWall(ms: number): void {
    this.#startMs += ms
  }

  /** Runs all promise callbacks that can run now, and nothing else. */
  settle(): Promise<void> {
    // A tick queued while microtasks run comes after the last of them.
    return new Promise((resolve) => process.nextTick(resolve))
  }

  /** Lets `ms` pass: runs every turn and every timer that falls due on the way. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms
    await this.#drive(untilMs, () => false)
    this.#elapsedMs = Math.max(this.#elapsedMs, untilMs)
  }

  /** Runs turns, and timers already due, until none waits. Timers of the future stay. */
  async runUntilIdle(): Promise<void> {
    for (let count = 0; ; count++) {
      await this.settle()
      if (!this.#runTurn() && !this.#runTimer(this.#elapsedMs)) return
      if (count > EVENTS_MAX) throw new AssertionFailure('virtual time does not become idle: something takes turns for ever')
    }
  }

  /** Drives until `condition` holds, letting time pass as far as needed; fails after `limitMs` (default one hour) of virtual time. */
  async until(condition: () => boolean, limitMs: number = LIMIT_MS): Promise<void> {
    if (await this.#drive(this.#elapsedMs + limitMs, condition)) return
    throw new AssertionFailure(`the condition does not hold after ${limitMs} ms of virtual time, ${this.#timers.length} timers wait`)
  }

  /** Drives until the promise settles and hands on what it gives; fails after `limitMs` (default one hour) of virtual time. */
  async run<T>(promise: Promise<T>, limitMs: number = LIMIT_MS): Promise<T> {
    let settled = false
    const settle = () => void (settled = true)
    promise.then(settle, settle)
    await this.until(() => settled, limitMs)
    return promise
  }

  /** True when `condition` held before the time was over. */
  async #drive(untilMs: number, condition: () => boolean): Promise<boolean> {
    for (let count = 0; count < EVENTS_MAX; count++) {
      await this.settle()
      if (condition()) return true
      const timerFirst = this.#random.chance(0.5)
      if (timerFirst && this.#runTimer(this.#elapsedMs)) continue
      if (this.#runTurn() || this.#runTimer(this.#elapsedMs)) continue
      const next = this.#timers.reduce((earliest, timer) => Math.min(earliest, timer.atMs), Number.POSITIVE_INFINITY)
      if (next > untilMs) return false
      this.#elapsedMs = next
    }
    throw new AssertionFailure('virtual time drives for ever: something takes turns or timers without end')
  }

  #runTurn(): boolean {
    if (this.#turns.length === 0) return false
    const [resolve] = this.#turns.splice(this.#random.below(this.#turns.length), 1)
    this.#elapsedMs += TURN_MS
    resolve?.()
    return true
  }

  #runTimer(dueMs: number): boolean {
    let earliestMs = dueMs
    for (const timer of this.#timers) earliestMs = Math.min(earliestMs, timer.atMs)
    const due = this.#timers.filter((timer) => timer.atMs <= earliestMs && timer.atMs <= dueMs)
    if (due.length === 0) return false
    const timer = this.#random.pick(due)
    this.#timers = this.#timers.filter((other) => other !== timer)
    timer.run()
    return true
  }
}
