// The sets of bids that cases share.
import type { BidsOptions } from './bids.ts'

const ROWS = { full: 4_000_000, quick: 20_000 }

export const TEN_THOUSAND: BidsOptions = { auctions: 10_000, anyOrder: false, rows: ROWS }
export const ONE_MILLION: BidsOptions = { auctions: 1_000_000, anyOrder: false, rows: ROWS }
export const ANY_ORDER: BidsOptions = { auctions: 10_000, anyOrder: true, rows: ROWS }
