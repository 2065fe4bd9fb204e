// What must be known of a changelog before rows are applied: the newest snapshot is named behind the rows that repair it, and so are what is
// void and an order to build the state again.
import type { Layout } from '../../state/rows/layout.ts'
import type { CommitState } from './commit-state.ts'
import type { Damage } from './damage.ts'
import type { SnapshotRecord } from './snapshot.ts'
import { decodeLayout, parseKey } from './changelog.ts'
import type { ChangelogReader } from './changelog-reader.ts'
import { decodeCommitState } from './commit-state.ts'
import { type RebuildOrder, decodeRebuildOrder } from './rebuild-order.ts'
import { decodeSnapshotRecord } from './snapshot.ts'

export class ChangelogSurvey {
  /** The newest commit record. */
  last: CommitState | null = null
  /** Stores below this number are void. */
  voidBelow = 0
  /** The newest order to build the state again. */
  order: RebuildOrder | null = null
  /** Stores that an earlier version of the pipeline dropped. */
  readonly gone: Set<number> = new Set()
  readonly #start: number
  readonly #layouts = new Map<number, Layout>()
  /** Complete ones, newest first. */
  readonly #snapshots: SnapshotRecord[] = []
  /** Places that cannot be read, oldest first. */
  readonly #damages: Damage[] = []
  #lastAt = -1
  /** Offset of the newest record that voids stores; what lies before it is not needed. */
  #voidedAt = -1
  #orderAt = -1

  private constructor(start: number) {
    this.#start = start
  }

  static async of(changelog: ChangelogReader): Promise<ChangelogSurvey> {
    const survey = new ChangelogSurvey(changelog.start)
    await changelog.eachBatch(
      changelog.start,
      (rows, count) => {
        for (let row = 0; row < count; row++) {
          const key = parseKey(rows.bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number)
          survey.#note(key, rows.bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number, rows.offsets[row] as number)
        }
      },
      (damage) => survey.#damages.push(damage),
    )
    return survey
  }

  #note(key: ReturnType<typeof parseKey>, bytes: Uint8Array, start: number, end: number, at: number): void {
    if (key.kind === 'layout') this.#layouts.set(key.store, decodeLayout(bytes, start, end))
    else if (key.kind === 'gone') this.gone.add(key.store)
    else if (key.kind === 'commit') {
      this.last = decodeCommitState(bytes.subarray(start, end))
      this.#lastAt = at
    } else if (key.kind === 'reset') {
      this.voidBelow = Number(new TextDecoder().decode(bytes.subarray(start, end)))
      this.#voidedAt = at
    } else if (key.kind === 'rebuild') {
      this.order = decodeRebuildOrder(bytes, start, end)
      this.#orderAt = at
    } else if (key.kind === 'snapshot') {
      const snapshot = decodeSnapshotRecord(bytes, start, end)
      this.#snapshots.unshift(snapshot)
      for (const { number, layout } of snapshot.stores) this.#layouts.set(number, layout)
    }
  }

  /** Numbers of stores from here on were never given. */
  get numbersFrom(): number {
    return Math.max(this.voidBelow, ...[...this.#layouts.keys(), ...this.gone].map((number) => number + 1))
  }

  /** Of the stores that count. */
  get layouts(): readonly Layout[] {
    return [...this.#layouts].filter(([number]) => number >= this.voidBelow && !this.gone.has(number)).map(([, layout]) => layout)
  }

  /** Damage behind the newest commit record that could be read: newer ones may be lost. */
  get isLastLost(): boolean {
    return this.#damages.some((damage) => damage.from > this.#lastAt)
  }

  /** The order is still to be done. What has done it may be in a place that cannot be read now: then it is not done again. */
  get isOrderOpen(): boolean {
    return this.#orderAt > this.#lastAt && !this.#damages.some((damage) => damage.from > this.#orderAt)
  }

  /** The snapshot to begin with; null: the changelog alone. `damaged`: those that cannot be read, by their `changelogFrom`. */
  base(damaged: ReadonlySet<number>): SnapshotRecord | null {
    return (
      this.#snapshots.find(
        ({ changelogFrom, stores }) =>
          changelogFrom >= this.#start &&
          !damaged.has(changelogFrom) &&
          (stores.length === 0 || stores.some(({ number }) => number >= this.voidBelow)),
      ) ?? null
    )
  }

  /** Whether a whole snapshot is left, or a changelog that goes back to empty state. */
  suffices(damaged: ReadonlySet<number>): boolean {
    return this.#start === 0 || this.#voidedAt >= 0 || this.base(damaged) !== null
  }

  /** The first damage from `from` on in what is needed; null when there is none. */
  harmful(from: number): Damage | null {
    return this.#damages.find(({ to }) => to > Math.max(from, this.#voidedAt)) ?? null
  }

  /** Where to begin to read from `from` on: what is void needs not be readable. */
  readableFrom(from: number): number {
    return this.#damages.some(({ to }) => to > from) ? Math.max(from, this.#voidedAt) : from
  }
}
