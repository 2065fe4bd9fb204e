// Four stages with a topic between each two: from the post of an event to the table behind the last, at 20,000 events per second.
import { constant, count, expr, pipeline, sum, t, topic } from 'millrace'
import { latencyCase } from '../support/latency-case.ts'

const value = t.object({ id: t.i64(), key: t.i64(), at: t.time() })
const stage = (name: string) => topic(name, { value, eventTime: 'at', disorderMs: 1000 })

export const benchCase = latencyCase({
  name: 'latency-through',
  summary: '20 k events/s through four stages with a topic between each two; from the post to the answer of a query that shows it',
  bar: { must: 100, aim: 40 },
  topic: 'events',
  definition: () =>
    pipeline('stages', (mill) => {
      mill
        .from(stage('events'))
        .filter(
          expr((event) => event.id.gte(0)),
          { name: 'first' },
        )
        .through(stage('stage-1'), { name: 'to-1' })
        .filter(
          expr((event) => event.key.gte(0)),
          { name: 'second' },
        )
        .through(stage('stage-2'), { name: 'to-2' })
        .filter(
          expr((event) => event.at.gt(0)),
          { name: 'third' },
        )
        .through(stage('stage-3'), { name: 'to-3' })
        .select({ id: 'id', group: expr(() => constant('all')) })
        .groupBy('group')
        .aggregate({ events: count(), ids: sum('id') }, { name: 'all' })
        .toTable('all')
    }),
})
