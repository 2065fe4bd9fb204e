// The independent count: plain loops and a Map over the input, sharing nothing with the pipeline but the input and the list of faults.
import type { Flights } from './input.ts'
import { faultOf } from './faults.ts'

const HOUR_MS = 3_600_000

export interface HourCount {
  flights: number
  late: number
  delaySum: number
  delayMax: number
}

export interface Expected {
  /** `ORIGIN hourStart` -> figures. */
  readonly hours: ReadonlyMap<string, HourCount>
  /** Rows that must be in the archive. */
  readonly rows: number
  readonly duplicates: number
  readonly cut: number
  readonly wrongClocks: number
}

const FLIGHTS_MIN = 20
const WINDOWS_KEPT = 24
const GRACE_MS = 5 * 60_000

export function expectedOf(flights: Flights): Expected {
  const hours = new Map<string, HourCount>()
  let rows = 0
  let duplicates = 0
  let cut = 0
  let wrongClocks = 0
  for (let id = 0; id < flights.count; id++) {
    const fault = faultOf(id)
    if (fault === 'cut') {
      cut++
      continue
    }
    if (fault === 'wrong-clock') wrongClocks++
    if ((flights.distances[id] as number) <= 0) continue
    if (fault === 'repeated') duplicates++
    rows++
    const delay = flights.delays[id] as number
    const start = Math.floor((flights.dates[id] as number) / HOUR_MS) * HOUR_MS
    const key = `${flights.origins[id] as string} ${start}`
    const hour = hours.get(key)
    if (hour === undefined) hours.set(key, { flights: 1, late: delay >= 15 ? 1 : 0, delaySum: delay, delayMax: delay })
    else {
      hour.flights++
      if (delay >= 15) hour.late++
      hour.delaySum += delay
      if (delay > hour.delayMax) hour.delayMax = delay
    }
  }
  return { hours, rows, duplicates, cut, wrongClocks }
}

/** Alerts over the hours that end, with their grace, at or before `closedMs`: those that the pipeline can have judged. */
export function alertsOf(hours: ReadonlyMap<string, HourCount>, closedMs: number): number {
  const byOrigin = new Map<string, { readonly start: number; readonly hour: HourCount }[]>()
  for (const [key, hour] of hours) {
    const [origin, start] = key.split(' ') as [string, string]
    if (Number(start) + HOUR_MS + GRACE_MS > closedMs) continue
    const list = byOrigin.get(origin) ?? []
    list.push({ start: Number(start), hour })
    byOrigin.set(origin, list)
  }
  let alerts = 0
  for (const list of byOrigin.values()) {
    list.sort((a, b) => a.start - b.start)
    const shares: number[] = []
    for (const { hour } of list) {
      const share = hour.late / hour.flights
      const recent = shares.slice(-WINDOWS_KEPT)
      const usual = recent.reduce((sum, one) => sum + one, 0) / Math.max(1, recent.length)
      if (hour.flights >= FLIGHTS_MIN && recent.length > 0 && share >= 2 * usual && share > 0) alerts++
      shares.push(share)
    }
  }
  return alerts
}
