// Brings a task's stores and positions back: newest complete snapshot, then the tail of the changelog. The newest commit record says
// where the task goes on; rows behind it cannot exist, since rows and commit record are one commit.
//
// A damaged snapshot is passed over while an older one, or the whole changelog, is still there; damage in front of what must be read is
// passed by. Else the task cannot be restored: MR_RUNTIME_STATE_DAMAGED.
import type { SubTopology } from '../../compile/topology.ts'
import type { TableStore } from '../../state/store.ts'
import type { CommitState } from './commit-state.ts'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import type { RecordRows } from '../../codec/record-rows.ts'
import { type Layout, layoutOf } from '../../state/rows/layout.ts'
import { createTableStore } from '../../state/table-store.ts'
import { decodeLayout, parseKey } from './changelog.ts'
import { ChangelogReader, type RestoreEnvironment } from './changelog-reader.ts'
import { ChangelogSurvey } from './changelog-survey.ts'
import { EMPTY_STATE, decodeCommitState } from './commit-state.ts'
import { isDamage, stateDamaged } from './damage.ts'
import type { RebuildOrder } from './rebuild-order.ts'
import type { SnapshotRecord } from './snapshot.ts'
import { snapshotSlices } from './snapshot.ts'

/** A store of a task, and how its changelog knows it. */
export interface StoreEntry {
  readonly number: number
  readonly store: TableStore
  readonly table: string | null
  /** The layout record is written with the first commit after the changelog was made. */
  announced: boolean
}

export interface RestoredTask {
  /** Set when the state is built again: the first commit must void the stores below this number. */
  readonly voidBelow: number | null
  /** Stores that the part no longer has: the first commit must say so, else one of the same name would find rows that it has missed. */
  readonly gone: readonly number[]
  readonly state: CommitState | null
  readonly stores: ReadonlyMap<string, StoreEntry>
}

/** A store as the changelog knows it. */
interface LoggedStore {
  readonly number: number
  readonly layout: Layout
  store: TableStore | null
}

/**
 * Restores a task into the empty `stores`. Null: a snapshot turned out to be damaged when rows of it were in the stores already; the caller
 * begins again with other empty stores and the same `damaged`, into which the snapshot was noted.
 * @throws {MillraceError} `MR_RUNTIME_STATE_LAYOUT` when a store's layout has changed and no rebuild was ordered; `MR_RUNTIME_STATE_DAMAGED`.
 */
export async function restoreTask(
  environment: RestoreEnvironment,
  part: SubTopology,
  group: number,
  stores: ReadonlyMap<string, TableStore>,
  damaged: Set<number>,
): Promise<RestoredTask | null> {
  return new Restore(environment, part, group, stores).run(damaged)
}

/** The empty stores of a part. Operators attach their indexes to them before the first row is restored. */
export function emptyStores(part: SubTopology): ReadonlyMap<string, TableStore> {
  return new Map(
    part.stores.map((spec) => [spec.name, createTableStore(layoutOf(spec.name, spec.key, spec.value), { regions: spec.isWindowed })]),
  )
}

/** Whether the part drains a feed into a sink. */
export function isFedSink({ sink, inputs }: SubTopology): boolean {
  return sink !== null && inputs.some((input) => input.kind === 'exchange')
}

class Restore {
  readonly #environment: RestoreEnvironment
  readonly #part: SubTopology
  readonly #group: number
  readonly #byNumber = new Map<number, LoggedStore>()
  readonly #stores: ReadonlyMap<string, TableStore>
  #state: CommitState | null = null
  #voidBelow = 0
  #gone: ReadonlySet<number> = new Set()
  #rows = 0

  constructor(environment: RestoreEnvironment, part: SubTopology, group: number, stores: ReadonlyMap<string, TableStore>) {
    this.#environment = environment
    this.#part = part
    this.#group = group
    this.#stores = stores
  }

  async run(damaged: Set<number>): Promise<RestoredTask | null> {
    const startedAt = this.#environment.clock.monotonicMs()
    const changelog = new ChangelogReader(this.#environment, this.#part.name, this.#group)
    const survey = await ChangelogSurvey.of(changelog)
    if (survey.order !== null && survey.isOrderOpen) return this.#fromNothing(survey, survey.order)
    this.#voidBelow = survey.voidBelow
    this.#gone = survey.gone
    const snapshot = survey.base(damaged)
    try {
      if (snapshot !== null) await this.#load(snapshot)
    } catch (error) {
      if (!isDamage(error) || snapshot === null) throw error
      damaged.add(snapshot.changelogFrom)
      if (!survey.suffices(damaged)) throw this.#damaged(error)
      this.#environment.report({ kind: 'snapshot-damaged', task: this.#name, error })
      return null
    }
    await this.#applyTail(changelog, survey, snapshot?.changelogFrom ?? changelog.start)
    for (const store of this.#stores.values()) {
      store.seal()
      store.committed()
    }
    if (this.#state !== null)
      this.#environment.report({
        kind: 'restored',
        task: this.#name,
        rows: this.#rows,
        ms: this.#environment.clock.monotonicMs() - startedAt,
      })
    const gone = [...this.#byNumber.values()].filter(({ number, store }) => store === null && !this.#gone.has(number))
    return {
      state: this.#state,
      stores: this.#entries(Math.max(0, ...Array.from(this.#gone, (number) => number + 1))),
      voidBelow: null,
      gone: gone.map(({ number }) => number),
    }
  }

  get #name(): string {
    return `${this.#part.name}/${this.#group}`
  }

  #damaged(error: MillraceError): MillraceError {
    return stateDamaged(this.#name, this.#environment.plan.pipeline, error)
  }

  /** Applies the changelog from `from` on. */
  async #applyTail(changelog: ChangelogReader, survey: ChangelogSurvey, from: number): Promise<void> {
    const harmful = survey.harmful(from)
    if (harmful !== null) throw this.#damaged(harmful.error)
    await changelog.eachBatch(
      survey.readableFrom(from),
      (rows, count) => this.#applyBatch(rows, count),
      (damage) => {
        throw this.#damaged(damage.error)
      },
    )
  }

  /** State and source positions start over together; ticks, running numbers and what was applied of exchanges go on. */
  #fromNothing({ last: known, numbersFrom, isLastLost }: ChangelogSurvey, order: RebuildOrder): RestoredTask {
    const last = known ?? EMPTY_STATE
    // A sink behind a feed takes what is left in it once more. Everybody else leaves out what is of a tick before the order.
    const through = isFedSink(this.#part) ? last.through : Math.max(last.through, order.tick)
    const state: CommitState = {
      ...EMPTY_STATE,
      through,
      wallMs: last.wallMs,
      exchanges: last.exchanges,
      ...(last.outputs === undefined ? {} : { outputs: last.outputs }),
      running: furthest(last.running, order.reached),
      retryNext: last.retryNext,
      intent: isLastLost ? null : last.intent,
      sinkSequence: last.sinkSequence,
      rebuiltTick: through,
    }
    return { state, stores: this.#entries(numbersFrom), voidBelow: numbersFrom, gone: [] }
  }

  async #load(snapshot: SnapshotRecord): Promise<void> {
    for (const { number, layout, from, to } of snapshot.stores) {
      this.#open(number, layout)
      const store = this.#byNumber.get(number)?.store
      if (store === null || store === undefined) continue
      store.restore(await snapshotSlices(this.#environment, this.#part.name, this.#group, from, to))
      this.#rows += store.rowCount
      await this.#environment.scheduler.turn()
    }
  }

  #applyBatch(rows: RecordRows, count: number): void {
    const { bytes } = rows
    for (let row = 0; row < count; row++) {
      const key = parseKey(bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number)
      if (key.kind !== 'rows' && key.kind !== 'drop') {
        this.#apply(rows, row, key)
        continue
      }
      const logged = key.store < this.#voidBelow ? null : must(this.#byNumber.get(key.store), `layout of store ${key.store}`)
      if (logged === null || logged.store === null) continue
      if (key.kind === 'drop') logged.store.applyDrop(bytes, key.prefixAt)
      else this.#rows += logged.store.applyRows(bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number)
    }
  }

  #apply(rows: RecordRows, row: number, key: ReturnType<typeof parseKey>): void {
    const start = rows.valueStarts[row] as number
    const end = rows.valueEnds[row] as number
    if (key.kind === 'commit') this.#state = decodeCommitState(rows.bytes.subarray(start, end))
    else if (key.kind === 'reset' || key.kind === 'gone' || key.kind === 'rebuild') return
    else if (key.kind === 'layout') this.#open(key.store, decodeLayout(rows.bytes, start, end))
    else if (key.kind !== 'snapshot')
      throw new MillraceError('MR_LOG_FORMAT_NEWER', {
        message: 'a changelog record of an unknown kind.',
        details: { offset: rows.offsets[row] as number },
      })
  }

  /** A store that the pipeline no longer has is skipped; one whose layout changed is rebuilt on request, else refused. */
  #open(number: number, layout: Layout): void {
    if (number < this.#voidBelow) return
    if (this.#gone.has(number)) {
      this.#byNumber.set(number, { number, layout, store: null })
      return
    }
    const wanted = this.#stores.get(layout.store)?.layout
    if (wanted !== undefined && wanted.id !== layout.id) {
      throw new MillraceError('MR_RUNTIME_STATE_LAYOUT', {
        details: { pipeline: this.#environment.plan.pipeline, store: layout.store, stored: layout.id, wanted: wanted.id },
      })
    }
    const known = wanted !== undefined && wanted.id === layout.id
    this.#byNumber.set(number, { number, layout, store: known ? must(this.#stores.get(layout.store), 'store') : null })
  }

  /** Known stores keep their numbers; new ones get the next. */
  #entries(numbersFrom: number): ReadonlyMap<string, StoreEntry> {
    const entries = new Map<string, StoreEntry>()
    let next = numbersFrom
    for (const number of this.#byNumber.keys()) next = Math.max(next, number + 1)
    for (const spec of this.#part.stores) {
      const known = [...this.#byNumber.values()].findLast((logged) => logged.layout.store === spec.name && logged.store !== null)
      entries.set(spec.name, {
        number: known?.number ?? next++,
        store: must(this.#stores.get(spec.name), 'store'),
        table: spec.table,
        announced: known !== undefined,
      })
    }
    return entries
  }
}

/** The larger running number of each output and partition. */
function furthest(one: CommitState['running'], other: CommitState['running']): CommitState['running'] {
  return Array.from({ length: Math.max(one.length, other.length) }, (_, output) => {
    const [first, second] = [one[output] ?? [], other[output] ?? []]
    return Array.from({ length: Math.max(first.length, second.length) }, (__, at) => Math.max(first[at] ?? 0, second[at] ?? 0))
  })
}
