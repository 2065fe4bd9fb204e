// The aggregate row with the fields of every record in an order of its own: nothing can be foreseen.
import { ANY_ORDER } from '../data-gen/bid-sets.ts'
import { aggregateByExpression, aggregateCase } from '../support/aggregate.ts'

export const benchCase = aggregateCase({
  name: 'aggregate-any-order',
  summary: 'the same with the fields of every record in an order of its own',
  fixture: 'bids-any-order',
  data: ANY_ORDER,
  definition: aggregateByExpression,
  must: 1_800_000,
  aim: 4_000_000,
  ratio: null,
})
