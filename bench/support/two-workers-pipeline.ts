// The pipeline of the case two-workers, as a module that worker threads import; its name comes with the module's URL.
import { pipeline, t, topic } from '@millrace/core'
import { bids } from './aggregate.ts'

/** Bids that came from one of these searches pass: one of forty. */
const QUERY_MAX = 25

const id = new URL(import.meta.url).searchParams.get('id') ?? 'two-workers'

export const OUTPUT = `${id}-found`

const found = t.object({ auction: t.i64(), bidder: t.i64(), query: t.i64(), at: t.time() })

export interface Bid {
  readonly auction: number
  readonly bidder: number
  readonly url: string
  readonly dateTime: number
}

/** User code as it is written every day: takes a number out of a text. */
export function queryOf(bid: Pick<Bid, 'url'>): number {
  const start = bid.url.indexOf('query=') + 6
  return Number(bid.url.slice(start, bid.url.indexOf('&', start)))
}

export function isFound({ query }: { readonly query: number }): boolean {
  return query < QUERY_MAX
}

export default pipeline(id, (mill) => {
  mill
    .from(bids)
    .map((bid) => ({ auction: bid.auction, bidder: bid.bidder, query: queryOf(bid), at: bid.dateTime }), { name: 'search', value: found })
    .filter(isFound, { name: 'found' })
    .to(topic(OUTPUT, { value: found, partitions: 2 }), { name: 'out' })
})
