/**
 * Event time between tasks (rules 19 to 21): the entry that a task states for a tick, the combination of its inputs' entries, and the
 * clock of a source partition. Pure; nothing here reads a live clock.
 */
export const ACTIVE = 0
export const IDLE = 1
export const ENDED = 2
export type Status = typeof ACTIVE | typeof IDLE | typeof ENDED

/** What a task states about tick `tick`: it holds until its next entry. */
export interface Entry {
  readonly tick: number
  readonly watermark: number
  readonly wall: number
  readonly status: Status
}

export const NOT_HEARD: Entry = { tick: -1, watermark: -Infinity, wall: -Infinity, status: ACTIVE }

export interface PartitionClock {
  readonly largest: number
  readonly watermark: number
  readonly status: Status
}

export const NEVER_READ: PartitionClock = { largest: -Infinity, watermark: -Infinity, status: ACTIVE }

/** Rule 20: active inputs give their minimum; else idle ones their maximum; ended ones count as neither. */
export function combine(inputs: readonly { readonly watermark: number; readonly status: Status }[]): { watermark: number; status: Status } {
  let active = false
  let idle = false
  let least = Infinity
  let largest = -Infinity
  for (const input of inputs) {
    if (input.status === ACTIVE) {
      active = true
      least = Math.min(least, input.watermark)
    } else if (input.status === IDLE) {
      idle = true
      largest = Math.max(largest, input.watermark)
    }
  }
  if (active) return { watermark: least, status: ACTIVE }
  if (idle) return { watermark: largest, status: IDLE }
  return { watermark: Infinity, status: ENDED }
}

/** The task's entry for a tick: combined inputs, clamped so that neither watermark nor wall goes back. */
export function advance(
  previous: Entry,
  tick: number,
  inputs: readonly { readonly watermark: number; readonly status: Status }[],
  wall: number,
): Entry {
  const { watermark, status } = combine(inputs)
  return { tick, watermark: Math.max(previous.watermark, watermark), wall: Math.max(previous.wall, wall), status }
}

/** True when two entries say the same thing, whatever their ticks. */
export function sameClock(a: Entry, b: Entry): boolean {
  return a.watermark === b.watermark && a.wall === b.wall && a.status === b.status
}
