// The numbered events of the crash campaign: everything about one follows from its number.
export interface NumberedEvent {
  readonly id: number
  readonly key: string
  readonly value: number
  readonly at: number
}

/** Rows are shown in an archive after this long. */
export const ROLL_MS = 400
/** Length of the windows in event time. */
export const WINDOW_MS = 1_000
const KEYS = 97
/** 2026-01-01T00:00:00Z; event time goes on by a millisecond per event. */
const START_MS = 1_767_225_600_000

export function eventOf(id: number): NumberedEvent {
  return { id, key: `k${id % KEYS}`, value: (id * 7919) % 1_000, at: START_MS + id }
}
