// The rows of the simulated pipelines and what their oracle knows of each: one row type from source to end, so that any steps fit together.
import { t } from '@millrace/core'
import type { Infer, Stream } from '@millrace/core'

export const EVENT = t.object({
  id: t.i64(),
  key: t.string(),
  shop: t.string(),
  amount: t.i32(),
  at: t.time(),
  extra: t.optional(t.f64()),
})

export type Event = Infer<typeof EVENT>

/** A stream of events; which key it has does not matter to what the generator puts behind it. */
export type Flow = Stream<null, Event>

/** A row on its way through the oracle. */
export interface OracleRow {
  readonly value: Event
  /** The tick that bound it, and the source record it comes from. */
  readonly tick: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** True: it came back from the dead letters, past all clocks. */
  readonly isBack?: boolean
}

/** A dead letter that must be there. */
export interface ExpectedLetter {
  readonly operator: string
  readonly code: string
  /** What the letter is known by: the event's id, or the text of a record that is none. */
  readonly subject: string
}

/** A record of a topic as a reader sees it. */
export interface SeenRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly text: string | null
  readonly timeMs: number
}
