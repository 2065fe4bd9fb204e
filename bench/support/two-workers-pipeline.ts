// The pipeline of the case two-workers, as a module that worker threads import; its name comes with the module's URL.
import { expr, pipeline, t, topic } from '@millrace/core'
import { bids } from './aggregate.ts'

/** One of forty bids pays at least this. */
export const PRICE_MIN = 9750

const id = new URL(import.meta.url).searchParams.get('id') ?? 'two-workers'

export const OUTPUT = `${id}-dear`

export default pipeline(id, (mill) => {
  mill
    .from(bids)
    .filter(
      expr((bid) => bid.price.gte(PRICE_MIN)),
      { name: 'dear' },
    )
    .select('auction', 'bidder', 'price', 'channel', 'dateTime')
    .to(
      topic(OUTPUT, {
        value: t.object({ auction: t.i64(), bidder: t.i64(), price: t.i64(), channel: t.string(), dateTime: t.time() }),
        partitions: 2,
      }),
      { name: 'out' },
    )
})
