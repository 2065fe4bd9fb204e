// HTTP collector, one event of 200 B per request, each answered when it is durable; 64 connections, one request at a time on each.
import { httpCase } from '../support/http-case.ts'

export const benchCase = httpCase({
  name: 'http-single',
  summary: 'POST of one event per request, acknowledged durable, 64 keep-alive connections',
  events: { full: 200_000, quick: 1000 },
  eventsPerRequest: 1,
  connections: 64,
  must: 30_000,
  aim: 60_000,
})
