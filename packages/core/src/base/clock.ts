// The only door to time. Everything above asks a Clock, so that tests and the simulation decide what time it is.

export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. May jump, forwards or backwards. */
  nowMs(): number
  /** Wall clock in microseconds; the source of tick numbers. May jump. */
  nowUs(): number
  /** Milliseconds, with fractions, from an arbitrary start; never goes back. For durations only. */
  monotonicMs(): number
}

/** The clock of this machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicMs: () => performance.now(),
}
