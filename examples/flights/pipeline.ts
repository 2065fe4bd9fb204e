// US departures, live: clean, drop duplicates, enrich with the airport, count per airport and hour of event time, raise an alert when an hour
// has twice the airport's usual share of late departures, archive everything by date, keep the hourly table.
import { count, expr, fileTable, max, mean, pipeline, t, topic, tumbling } from 'millrace'
import { parquet } from '@millrace/parquet'
import { airportsPath, archiveFolder } from './places.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** A departure is late from here on, minutes. */
const LATE_MINUTES = 15
const FLIGHTS_MIN = 20
const WINDOWS_KEPT = 24

export const departures = topic('departures', {
  value: t.object({
    id: t.i64(),
    date: t.time(),
    delay: t.i32(),
    distance: t.i32(),
    origin: t.string(),
    destination: t.string(),
  }),
  eventTime: 'date',
  disorderMs: 10 * MINUTE_MS,
})

export const alerts = topic('alerts', {
  value: t.object({ origin: t.string(), windowStart: t.time(), flights: t.i32(), lateShare: t.f64(), usualShare: t.f64() }),
  eventTime: 'windowStart',
  disorderMs: HOUR_MS,
})

const airports = fileTable({
  name: 'airports',
  path: airportsPath(),
  format: 'csv',
  value: t.object({ iata: t.string(), name: t.string(), city: t.optional(t.string()), state: t.optional(t.string()) }),
  key: 'iata',
})

export default pipeline('flights', (mill) => {
  const flights = mill
    .from(departures)
    .filter(
      expr((flight) => flight.distance.gt(0)),
      { name: 'clean' },
    )
    .dedupe({ by: 'id', withinMs: HOUR_MS, name: 'once' })
    .join(mill.table(airports), { on: { origin: 'iata' }, type: 'left', select: { airport: 'name', city: 'city' }, name: 'with-airport' })

  flights.to(parquet({ dir: archiveFolder(), partitionBy: ['date(date)'], rollMs: 60_000 }), { name: 'archive' })

  const hours = flights.groupBy('origin').window(tumbling({ sizeMs: HOUR_MS, graceMs: 5 * MINUTE_MS }))
  hours
    .aggregate(
      {
        flights: count(),
        late: count({ where: expr((flight) => flight.delay.gte(LATE_MINUTES)) }),
        delayMean: mean('delay'),
        delayMax: max('delay'),
      },
      { name: 'per-hour' },
    )
    .select(
      {
        origin: 'origin',
        windowStart: 'windowStart',
        flights: 'flights',
        lateShare: expr((hour) => hour.late.dividedBy(hour.flights)),
        delayMean: 'delayMean',
        delayMax: 'delayMax',
      },
      { name: 'with-share' },
    )
    .toTable('hourly')

  hours
    .aggregate(
      { flights: count(), late: count({ where: expr((flight) => flight.delay.gte(LATE_MINUTES)) }) },
      { name: 'closed-hours', emit: 'close' },
    )
    .scan(
      (): { readonly shares: readonly number[] } => ({ shares: [] }),
      (state, hour) => {
        const share = hour.late / hour.flights
        const usual = state.shares.reduce((sum, one) => sum + one, 0) / Math.max(1, state.shares.length)
        const isAlert = hour.flights >= FLIGHTS_MIN && state.shares.length > 0 && share >= 2 * usual && share > 0
        return {
          state: { shares: [...state.shares, share].slice(-WINDOWS_KEPT) },
          rows: isAlert
            ? [{ origin: hour.origin, windowStart: hour.windowStart, flights: hour.flights, lateShare: share, usualShare: usual }]
            : [],
        }
      },
      {
        by: 'origin',
        name: 'alarm',
        value: t.object({ origin: t.string(), windowStart: t.time(), flights: t.i32(), lateShare: t.f64(), usualShare: t.f64() }),
      },
    )
    .to(alerts)
})
