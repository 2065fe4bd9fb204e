// The sets of hits that cases share.
import { t, topic } from '@millrace/core'
import { HITS_DISORDER_MS, HITS_TOPIC, type HitsOptions } from './hits.ts'

export const TWO_MILLION: HitsOptions = { rows: { full: 2_000_000, quick: 20_000 }, file: true, topic: true }
/** A backlog of ten million, in the log alone. */
export const BACKLOG: HitsOptions = { rows: { full: 10_000_000, quick: 20_000 }, file: false, topic: true }

export const hitSchema = t.object({
  ts: t.time(),
  user: t.string(),
  url: t.string(),
  ua: t.string(),
  ip: t.string(),
  rid: t.string(),
  status: t.i32(),
  bytes: t.i32(),
  seq: t.i32(),
})

export const hits = topic(HITS_TOPIC, { value: hitSchema, eventTime: 'ts', disorderMs: HITS_DISORDER_MS })

/** A hit as JSON.parse gives it. */
export interface Hit {
  readonly ts: number
  readonly user: string
  readonly url: string
  readonly ua: string
  readonly ip: string
  readonly rid: string
  readonly status: number
  readonly bytes: number
  readonly seq: number
}
