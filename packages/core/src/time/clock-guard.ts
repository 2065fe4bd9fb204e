// The clock-ahead guard: one record whose producer's clock is years ahead must not close every window.
//
// A record is a *jump* when its event time is more than `aheadMs` ahead of the largest seen in its partition, or when it is the
// partition's first. A jump is decided by the next `confirmations` records of the partition: accepted when none of them lies more than
// `aheadMs` behind it, rejected when one does. Until enough of them are there the partition waits at the jump, so nothing is reordered.
// When they do not come (`final`: idle, or the end of the input; or only records without a usable time come) it is accepted unless it is more than `aheadMs` ahead of the wall clock.

export interface ClockGuardSettings {
  readonly aheadMs: number
  readonly confirmations: number
}

export interface GuardVerdict {
  /** Rows start .. start+taken-1 are decided; the partition waits at the next one. */
  taken: number
  /** Rejected rows among them, ascending. */
  readonly rejected: number[]
  /** Largest accepted event time, the given one included. */
  largestMs: number
  /** How many records with a time stand behind the jump that the partition waits at; -1 when it does not wait. */
  behind: number
}

/** So many records without a usable time behind a jump are no wait for others any more: they would all be read again and again. */
const TIMELESS_MAX = 1024

/**
 * Decides rows [start, end) of `times` in order. NaN marks a row without a usable time (already a dead letter): it
 * is taken and neither jumps nor confirms.
 * @param largestMs Largest event time accepted in the partition so far; -Infinity when there is none.
 */
export function guardTimes(
  times: Float64Array,
  start: number,
  end: number,
  largestMs: number,
  settings: ClockGuardSettings,
  final: boolean,
  wallMs: number,
): GuardVerdict {
  const { aheadMs } = settings
  const verdict: GuardVerdict = { taken: end - start, rejected: [], largestMs, behind: -1 }
  let largest = largestMs
  for (let row = start; row < end; row++) {
    const time = times[row] as number
    // NaN compares false everywhere: such a row falls through.
    if (time <= largest) continue
    if (time <= largest + aheadMs) {
      largest = time
      continue
    }
    if (!(time > largest)) continue
    const decision = judgeJump(times, row, end, time, settings, final, wallMs)
    if (typeof decision === 'number') {
      verdict.taken = row - start
      verdict.behind = decision
      break
    }
    if (decision === 'accept') largest = time
    else verdict.rejected.push(row)
  }
  verdict.largestMs = largest
  return verdict
}

/** The decision, or how many records with a time have been seen behind the jump. */
function judgeJump(
  times: Float64Array,
  row: number,
  end: number,
  time: number,
  settings: ClockGuardSettings,
  final: boolean,
  wallMs: number,
): 'accept' | 'reject' | number {
  let confirmed = 0
  let timeless = 0
  for (let next = row + 1; next < end && confirmed < settings.confirmations; next++) {
    const other = times[next] as number
    if (other < time - settings.aheadMs) return 'reject'
    if (other === other) confirmed++
    else timeless++
  }
  if (confirmed >= settings.confirmations) return 'accept'
  if (!final && timeless < TIMELESS_MAX) return confirmed
  return time > wallMs + settings.aheadMs ? 'reject' : 'accept'
}
