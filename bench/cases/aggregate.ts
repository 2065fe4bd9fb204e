// Embedded log -> JSON -> filter -> count by key and minute -> embedded log, 10,000 keys, expressions.
import { TEN_THOUSAND } from '../data-gen/bid-sets.ts'
import { aggregateByExpression, aggregateCase } from '../support/aggregate.ts'

export const benchCase = aggregateCase({
  name: 'aggregate',
  summary: 'bids from the log, filtered, counted by auction (10 k) and minute, back to the log; durable, exactly once',
  fixture: 'bids-10k',
  data: TEN_THOUSAND,
  definition: aggregateByExpression,
  must: 2_500_000,
  aim: 6_000_000,
  ratio: { must: 2.5, aim: 5 },
})
