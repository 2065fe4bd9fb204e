// What goes wrong on the way, decided by the row number alone, so that the feed and the independent count agree without talking.

/** cut: the record is cut off in the middle and lost. repeated: sent a second time, a little later. wrong-clock: a copy with a clock years ahead follows. */
export type Fault = 'none' | 'cut' | 'repeated' | 'wrong-clock'

const CUT_EVERY = 9973
const REPEATED_EVERY = 101
const WRONG_CLOCK_EVERY = 49_999

export function faultOf(id: number): Fault {
  if (id % CUT_EVERY === 17) return 'cut'
  if (id % WRONG_CLOCK_EVERY === 4321) return 'wrong-clock'
  if (id % REPEATED_EVERY === 3) return 'repeated'
  return 'none'
}

/** Years by which the wrong clocks run ahead, in milliseconds. */
export const WRONG_CLOCK_MS: number = 3 * 365 * 86_400_000

/** Time by which a record is delayed on the way, ms of event time: repeatable, and less than the topic's disorder. */
export function delayOf(id: number): number {
  return (Math.imul(id, 0x9e3779b1) >>> 0) % 300_000
}

/** A repeat comes this much behind its first copy at the most, ms of event time: within the horizon of the pipeline's dedupe. */
export const REPEAT_MS = 420_000
