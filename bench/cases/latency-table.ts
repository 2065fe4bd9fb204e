// End to end: from the post of an event to the moment when a query of the table shows it, at 20,000 events per second.
import { constant, count, expr, pipeline, sum, t, topic } from 'millrace'
import { latencyCase } from '../support/latency-case.ts'

const events = topic('events', { value: t.object({ id: t.i64(), key: t.i64(), at: t.time() }), eventTime: 'at', disorderMs: 1000 })

export const benchCase = latencyCase({
  name: 'latency-table',
  summary: '20 k events/s over HTTP, counted by 10 k keys and in total; from the post to the answer of a query that shows it',
  bar: { must: 25, aim: 10 },
  topic: 'events',
  definition: () =>
    pipeline('latency', (mill) => {
      const all = mill.from(events)
      all.groupBy('key').aggregate({ events: count() }, { name: 'by-key' }).toTable('by_key')
      all
        .select({ id: 'id', group: expr(() => constant('all')) })
        .groupBy('group')
        .aggregate({ events: count(), ids: sum('id') }, { name: 'all' })
        .toTable('all')
    }),
})
