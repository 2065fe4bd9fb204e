// HTTP collector, NDJSON of 100 events of 200 B per request, each request answered when it is durable.
import { httpCase } from '../support/http-case.ts'

export const benchCase = httpCase({
  name: 'http-ndjson',
  summary: 'POST of NDJSON, 100 events per request, acknowledged durable, 32 keep-alive connections',
  events: { full: 4_000_000, quick: 10_000 },
  eventsPerRequest: 100,
  connections: 32,
  must: 800_000,
  aim: 2_500_000,
})
