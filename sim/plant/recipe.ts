// A pipeline and its oracle made together: every step and end knows what it adds to the plan and what it must do to rows. The oracle is
// the slow, obvious form: lists and maps over all accepted records.
import type { Mill } from '@millrace/core'
import type { Clocks } from './clocks.ts'
import type { Moves } from './letters.ts'
import type { SeenLetter } from './reading.ts'
import type { ExpectedLetter, Flow, OracleRow, SeenRecord } from './rows.ts'

/** What a run has left behind, as its users see it. */
export interface Seen {
  readonly table: (name: string) => readonly Readonly<Record<string, unknown>>[]
  readonly topic: (name: string) => readonly SeenRecord[]
  readonly archive: (folder: string) => readonly Readonly<Record<string, unknown>>[]
  readonly tableNames: readonly string[]
  readonly topicNames: readonly string[]
  /** Topics that may lose what a newer record of the key replaces, at any time. */
  readonly compactedNames: ReadonlySet<string>
}

/** What the oracle may ask, and where steps put the letters that must exist. */
export interface OracleContext {
  readonly seen: Seen
  readonly clocks: Clocks
  /** True: the input is over, so that every window has closed. */
  readonly ended: boolean
  /** True: rows of one source partition went through several tasks on their way. */
  readonly isScattered: boolean
  /** True: rows come in another order than the live run bound them, because they were sent back or several tasks wrote them to a topic anew. */
  readonly isReordered: boolean
  readonly letters: ExpectedLetter[]
  /** The dead letters that are there, and how often records were sent back from there. */
  readonly seenLetters: readonly SeenLetter[]
  readonly moves: Moves
  /** Id in the plan of the node with that name. */
  readonly node: (name: string) => number
  /** Accepted rows of a topic, in order of partition and offset, with the ticks that bound them. */
  readonly rowsOf: (topic: string) => readonly OracleRow[]
  /** Rows of the table topic: text of the key, value and tick, by offset. */
  readonly tableRows: (topic: string) => readonly { readonly key: string; readonly factor: number | null; readonly tick: number }[]
}

export interface Step {
  readonly label: string
  build(flow: Flow, mill: Mill): Flow
  expect(rows: readonly OracleRow[], context: OracleContext): readonly OracleRow[]
}

/** Where rows leave the pipeline. `check` throws what is wrong. */
export interface End {
  readonly label: string
  /** Sinks take no part in a replay. */
  readonly isSink?: boolean
  /** Its windows close when the input ends: a replay gives more of them than the live run has. */
  readonly closesAtEnd?: boolean
  build(flow: Flow, mill: Mill): void
  check(rows: readonly OracleRow[], context: OracleContext): void
}
