// Sends the departures to the HTTP collector: out of order, some twice, some cut off, some with a clock years ahead.
import type { Flights } from './input.ts'
import { REPEAT_MS, WRONG_CLOCK_MS, delayOf, faultOf } from './faults.ts'

export interface FeedProgress {
  /** Input rows taken so far. */
  readonly rows: number
  /** All rows below this one are acknowledged: where a next run goes on. */
  readonly done: number
  /** Records acknowledged by the collector: rows, repeats and wrong clocks together. */
  readonly acknowledged: number
  readonly eventTimeMs: number
}

export interface FeedOptions {
  readonly url: string
  /** First input row to send; the rows before were sent by an earlier run. */
  readonly from: number
  /** Simulated milliseconds per real millisecond; null sends as fast as it is acknowledged. */
  readonly speed: number | null
  readonly signal: AbortSignal
  readonly onProgress: (progress: FeedProgress) => void
}

const BATCH_ROWS_FAST = 10_000
const BATCH_ROWS_PACED = 400
const STEP_MS = 100
const RETRIES_MAX = 20

/** One departure as the JSON line that goes over the wire. */
function line(flights: Flights, id: number, dateMs: number): string {
  return `{"id":${id},"date":"${new Date(dateMs).toISOString()}","delay":${flights.delays[id]},"distance":${flights.distances[id]},"origin":${JSON.stringify(flights.origins[id])},"destination":${JSON.stringify(flights.destinations[id])}}`
}

/** The lines of rows [from, to): each is delayed a little, and its fault applied. */
export function linesOf(flights: Flights, from: number, to: number): readonly string[] {
  const sends: { readonly at: number; readonly text: string }[] = []
  for (let id = from; id < to; id++) {
    const date = flights.dates[id] as number
    const text = line(flights, id, date)
    const at = date + delayOf(id)
    const fault = faultOf(id)
    sends.push({ at, text: fault === 'cut' ? text.slice(0, text.length >> 1) : text })
    if (fault === 'repeated') sends.push({ at: date + REPEAT_MS, text })
    if (fault === 'wrong-clock') sends.push({ at, text: line(flights, id, date + WRONG_CLOCK_MS) })
  }
  return sends.sort((a, b) => a.at - b.at).map((send) => send.text)
}

/** @throws when the collector refuses for good; waits and repeats while it asks for patience. */
async function post(url: string, body: string, key: string, signal: AbortSignal): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      signal,
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
    })
    if (answer.ok) return ((await answer.json()) as { readonly count: number }).count
    const text = await answer.text()
    const mayRetry = answer.status === 429 || answer.status >= 500
    if (!mayRetry || attempt >= RETRIES_MAX) throw new Error(`the collector answered ${answer.status}: ${text}`)
    const seconds = Number(answer.headers.get('retry-after') ?? 1)
    await new Promise((resolve) => setTimeout(resolve, Math.min(5, seconds) * 1000))
  }
}

/** Sends everything from `options.from` on; resolves with the final progress, also when the signal stops it. */
export async function feedFlights(flights: Flights, options: FeedOptions): Promise<FeedProgress> {
  let rows = options.from
  let done = options.from
  let acknowledged = 0
  const progress = (): FeedProgress => ({ rows, done, acknowledged, eventTimeMs: flights.dates[Math.max(0, rows - 1)] as number })
  const startedAt = performance.now()
  const firstMs = flights.dates[Math.min(options.from, flights.count - 1)] as number
  // One request after the other keeps the order of the input; the next body is made while the last one is on its way.
  let sending: Promise<void> = Promise.resolve()
  while (rows < flights.count && !options.signal.aborted) {
    let to = Math.min(flights.count, rows + (options.speed === null ? BATCH_ROWS_FAST : BATCH_ROWS_PACED))
    if (options.speed !== null) {
      const due = firstMs + (performance.now() - startedAt) * options.speed
      while (to > rows && (flights.dates[to - 1] as number) > due) to--
      if (to === rows) {
        await new Promise((resolve) => setTimeout(resolve, STEP_MS))
        continue
      }
    }
    const from = rows
    const body = linesOf(flights, from, to).join('\n')
    await sending
    rows = to
    sending = post(options.url, body, `flights-${from}-${to}`, options.signal).then(
      (count) => {
        acknowledged += count
        done = to
      },
      (error: unknown) => {
        if (!options.signal.aborted) throw error
      },
    )
    if (options.speed !== null) await sending
    options.onProgress(progress())
  }
  await sending
  options.onProgress(progress())
  return progress()
}
