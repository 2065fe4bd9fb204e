// The clock-ahead guard: one record whose producer's clock is years ahead must not close every window.
//
// A record is a *jump* when its event time is more than `aheadMs` ahead of the largest seen in its partition, or when it is the
// partition's first. A jump is decided by the next `confirmations` records of the partition: accepted when none of them lies more than
// `aheadMs` behind it, rejected when one does. Until enough of them are there the partition waits at the jump, so nothing is reordered.
// When they do not come (`final`: idle, or the end of the input) it is accepted unless it is more than `aheadMs` ahead of the wall clock.

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
}

/**
 * Decides rows [start, end) of `times` in order. NaN marks a row without a usable time (already a dead letter): it is taken and neither jumps nor confirms.
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
  const verdict: GuardVerdict = { taken: end - start, rejected: [], largestMs }
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
    if (decision === 'wait') {
      verdict.taken = row - start
      break
    }
    if (decision === 'accept') largest = time
    else verdict.rejected.push(row)
  }
  verdict.largestMs = largest
  return verdict
}

function judgeJump(
  times: Float64Array,
  row: number,
  end: number,
  time: number,
  settings: ClockGuardSettings,
  final: boolean,
  wallMs: number,
): 'accept' | 'reject' | 'wait' {
  let confirmed = 0
  for (let next = row + 1; next < end && confirmed < settings.confirmations; next++) {
    const other = times[next] as number
    if (other < time - settings.aheadMs) return 'reject'
    if (other === other) confirmed++
  }
  if (confirmed >= settings.confirmations) return 'accept'
  if (!final) return 'wait'
  return time > wallMs + settings.aheadMs ? 'reject' : 'accept'
}
