// The aggregate row with the user's own functions over lazy rows.
import { TEN_THOUSAND } from '../data-gen/bid-sets.ts'
import { aggregateByLambda, aggregateCase } from '../support/aggregate.ts'

export const benchCase = aggregateCase({
  name: 'aggregate-lambdas',
  summary: 'the same with a filter and a map that are lambdas over lazy rows',
  fixture: 'bids-10k',
  data: TEN_THOUSAND,
  definition: aggregateByLambda,
  must: 1_500_000,
  aim: 3_500_000,
  ratio: null,
})
