// The newest records of a topic, newest first, with a limit; and the positions to go on from.
import type { TailRecord } from 'millrace/api'
import type { TailAnswer } from '../feed/requests.ts'

/** Lines kept on the page. */
export const TAIL_RECORDS_MAX = 200
/** Records asked for at once. A full answer means that the topic is faster than the page: the tail then jumps to the end and says so. */
export const TAIL_BATCH = 100
/** Records shown at once when a topic is chosen. */
export const TAIL_START = 25

export interface TailState {
  readonly records: readonly TailRecord[]
  /** Next offset by partition; a partition that is not in it starts at its end. */
  readonly next: ReadonlyMap<number, number>
  /** Records that went by unseen, because they came faster than they can be shown. */
  readonly skipped: number
}

export const EMPTY_TAIL: TailState = { records: [], next: new Map(), skipped: 0 }

/** Takes an answer in. Records that are known already (two requests may overlap) are dropped. */
export function takeAnswer(state: TailState, partition: number, answer: TailAnswer): TailState {
  const known = state.next.get(partition) ?? -1
  const fresh = answer.records.filter((record) => record.offset >= known)
  const next = new Map(state.next)
  if (answer.next !== null) next.set(partition, Math.max(known, answer.next))
  const records = fresh.length === 0 ? state.records : [...fresh.toReversed(), ...state.records].slice(0, TAIL_RECORDS_MAX)
  return { records, next, skipped: state.skipped }
}

/** Goes on at the end of the partition, leaving the newest few to be read; what lies between is counted as skipped. */
export function jumpToEnd(state: TailState, partition: number, end: number): TailState {
  const known = state.next.get(partition)
  const target = Math.max(0, end - TAIL_START, known ?? 0)
  const next = new Map(state.next)
  next.set(partition, target)
  return { ...state, next, skipped: state.skipped + (known === undefined ? 0 : target - known) }
}

/** One line of text for a record's value; searched by the filter too. */
export function recordText(record: TailRecord): string {
  return record.bytes === null ? JSON.stringify(record.value) : `(${Math.floor((record.bytes.length * 3) / 4)} bytes)`
}

/** Every word of the filter stands in the key or the value, whatever the case. */
export function matchesFilter(record: TailRecord, filter: string): boolean {
  const text = `${record.key ?? ''} ${recordText(record)}`.toLowerCase()
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}
