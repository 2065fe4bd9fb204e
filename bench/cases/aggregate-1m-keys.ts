// The aggregate row with 1,000,000 keys: state beyond the caches, and a result for two of three records.
import { ONE_MILLION } from '../data-gen/bid-sets.ts'
import { aggregateByExpression, aggregateCase } from '../support/aggregate.ts'

export const benchCase = aggregateCase({
  name: 'aggregate-1m-keys',
  summary: 'the same with 1 M auctions and durable state',
  fixture: 'bids-1m',
  data: ONE_MILLION,
  definition: aggregateByExpression,
  must: 1_300_000,
  aim: 3_500_000,
  ratio: null,
})
