// Brings a task's stores and positions back: newest complete snapshot, then the tail of the changelog. The newest commit record says
// where the task goes on; rows behind it cannot exist, since rows and commit record are one commit.
//
// A damaged snapshot is passed over while an older one, or the whole changelog, is still there; damage in front of what must be read is
// passed by. Else the task cannot be restored: MR_RUNTIME_STATE_DAMAGED.
import type { SubTopology } from '../../compile/topology.ts'
import type { TableStore } from '../../state/store.ts'
import type { CommitState } from './commit-state.ts'
import type { TaskEnvironment } from '../environment.ts'
import { must } from '../../base/assert.ts'
import { MillraceError, isMillraceError } from '../../base/errors.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { type Layout, layoutOf } from '../../state/rows/layout.ts'
import { createTableStore } from '../../state/table-store.ts'
import { decodeLayout, parseKey } from './changelog.ts'
import { type Damage, behindDamage, isDamage, stateDamaged } from './damage.ts'
import { type RebuildOrder, decodeRebuildOrder } from './rebuild-order.ts'
import { EMPTY_STATE, decodeCommitState } from './commit-state.ts'
import { wholeFetchBytes } from '../fetch-size.ts'
import { decodeSnapshotRecord, snapshotSlices } from './snapshot.ts'
import type { SnapshotRecord } from './snapshot.ts'
import { changelogTopic } from '../topic-names.ts'

/** A store of a task, and how its changelog knows it. */
export interface StoreEntry {
  readonly number: number
  readonly store: TableStore
  readonly table: string | null
  /** The layout record is written with the first commit after the changelog was made. */
  announced: boolean
}

/** What restoring needs of a task's environment. */
export type RestoreEnvironment = Pick<TaskEnvironment, 'log' | 'clock' | 'scheduler' | 'plan' | 'topology' | 'report'>

interface Survey {
  /** Complete snapshots that are not void, newest first. */
  readonly snapshots: readonly SnapshotRecord[]
  readonly last: CommitState | null
  readonly voidBelow: number
  /** Offset of the newest record that voids stores; what lies before it is not needed. -1 when there is none. */
  readonly voidedAt: number
  readonly numbersFrom: number
  /** Stores that an earlier version of the pipeline dropped. */
  readonly gone: ReadonlySet<number>
  readonly layouts: readonly Layout[]
  /** Places of the changelog that cannot be read, oldest first. */
  readonly damages: readonly Damage[]
  /** Damage behind the newest commit record that could be read: newer ones may be lost. */
  readonly isLastLost: boolean
  /** The newest order to build the state again, and whether it is still to be done. */
  readonly order: RebuildOrder | null
  readonly isOrderOpen: boolean
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

/** What the changelog of a task says before anything is restored. */
export interface StoredState {
  /** The layout of a store that the part still has is another than the stored one. */
  readonly isChanged: boolean
  /** Why the state cannot be restored; null when it can. */
  readonly damage: MillraceError | null
  readonly last: CommitState | null
  readonly order: RebuildOrder | null
  readonly isOrderOpen: boolean
}

/** Looks at the stored state of a task. With `isWhole` it is read to the end, else only what names it. */
export async function storedState(
  environment: RestoreEnvironment,
  part: SubTopology,
  group: number,
  isWhole: boolean,
): Promise<StoredState> {
  return new Restore(environment, part, group, emptyStores(part)).look(isWhole)
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
    const ends = this.#changelogEnds()
    const survey = await this.#survey(ends)
    if (survey.order !== null && survey.isOrderOpen) return this.#fromNothing(survey, survey.order)
    this.#voidBelow = survey.voidBelow
    this.#gone = survey.gone
    const snapshot = this.#base(survey, ends, damaged)
    try {
      if (snapshot !== null) await this.#load(snapshot)
    } catch (error) {
      if (!isDamage(error) || snapshot === null) throw error
      damaged.add(snapshot.changelogFrom)
      if (!suffices(survey, ends, damaged)) throw this.#damaged(error)
      this.#environment.report({ kind: 'snapshot-damaged', task: this.#name, error })
      return null
    }
    await this.#applyTail(survey, snapshot?.changelogFrom ?? ends.start, ends.end)
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

  async look(isWhole: boolean): Promise<StoredState> {
    const ends = this.#changelogEnds()
    const survey = await this.#survey(ends)
    const isChanged = survey.layouts.some((layout) => {
      const wanted = this.#stores.get(layout.store)?.layout
      return wanted !== undefined && wanted.id !== layout.id
    })
    const { last, order, isOrderOpen } = survey
    return { isChanged, damage: isWhole && !isOrderOpen ? await this.#findDamage(survey, ends) : null, last, order, isOrderOpen }
  }

  /** Reads what a restore would read, and keeps nothing of it. */
  async #findDamage(survey: Survey, ends: { readonly start: number; readonly end: number }): Promise<MillraceError | null> {
    const damaged = new Set<number>()
    for (;;) {
      const snapshot = this.#base(survey, ends, damaged)
      try {
        for (const { from, to } of snapshot?.stores ?? [])
          for (const _ of await snapshotSlices(this.#environment, this.#part.name, this.#group, from, to))
            await this.#environment.scheduler.turn()
        this.#requireWhole(survey, snapshot?.changelogFrom ?? ends.start)
        return null
      } catch (error) {
        if (isMillraceError(error) && error.code === 'MR_RUNTIME_STATE_DAMAGED') return error
        if (!isDamage(error) || snapshot === null) throw error
        damaged.add(snapshot.changelogFrom)
        if (!suffices(survey, ends, damaged)) return this.#damaged(error)
      }
    }
  }

  /** The snapshot to begin with; null: the changelog alone. */
  #base({ snapshots }: Survey, ends: { readonly start: number }, damaged: ReadonlySet<number>): SnapshotRecord | null {
    return snapshots.find(({ changelogFrom }) => changelogFrom >= ends.start && !damaged.has(changelogFrom)) ?? null
  }

  /** Applies the changelog from `from` on. What is void needs not be readable. */
  async #applyTail(survey: Survey, from: number, to: number): Promise<void> {
    this.#requireWhole(survey, from)
    const start = survey.damages.some((damage) => damage.to > from) ? Math.max(from, survey.voidedAt) : from
    await this.#eachBatch(
      start,
      to,
      (rows, count) => this.#applyBatch(rows, count),
      (damage) => {
        throw this.#damaged(damage.error)
      },
    )
  }

  #requireWhole({ damages, voidedAt }: Survey, from: number): void {
    const harmful = damages.find(({ to }) => to > Math.max(from, voidedAt))
    if (harmful !== undefined) throw this.#damaged(harmful.error)
  }

  /** State and source positions start over together; ticks, running numbers and what was applied of exchanges go on. */
  #fromNothing({ last: known, numbersFrom, isLastLost }: Survey, order: RebuildOrder): RestoredTask {
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

  #changelogEnds(): { readonly start: number; readonly end: number } {
    const topic = changelogTopic(this.#environment.plan.pipeline, this.#part.name)
    return must(
      this.#environment.log.ends(topic).find((other) => other.partition === this.#group),
      'changelog partition',
    )
  }

  /** What must be known before rows are applied: the newest snapshot is named behind the rows that repair it, and so is what is void. */
  async #survey(ends: { readonly start: number; readonly end: number }): Promise<Survey> {
    const snapshots: SnapshotRecord[] = []
    let last: CommitState | null = null
    let lastAt = -1
    let voidBelow = 0
    let voidedAt = -1
    let order: RebuildOrder | null = null
    let orderAt = -1
    const layouts = new Map<number, Layout>()
    const gone = new Set<number>()
    const damages: Damage[] = []
    const look = (rows: RecordRows, count: number): void => {
      for (let row = 0; row < count; row++) {
        const { bytes } = rows
        const [start, end] = [rows.valueStarts[row] as number, rows.valueEnds[row] as number]
        const at = rows.offsets[row] as number
        const key = parseKey(bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number)
        if (key.kind === 'layout') layouts.set(key.store, decodeLayout(bytes, start, end))
        else if (key.kind === 'commit') [last, lastAt] = [decodeCommitState(bytes.subarray(start, end)), at]
        else if (key.kind === 'gone') gone.add(key.store)
        else if (key.kind === 'reset') [voidBelow, voidedAt] = [Number(new TextDecoder().decode(bytes.subarray(start, end))), at]
        else if (key.kind === 'rebuild') [order, orderAt] = [decodeRebuildOrder(bytes, start, end), at]
        else if (key.kind === 'snapshot') {
          const snapshot = decodeSnapshotRecord(bytes, start, end)
          snapshots.unshift(snapshot)
          for (const entry of snapshot.stores) layouts.set(entry.number, entry.layout)
        }
      }
    }
    await this.#eachBatch(ends.start, ends.end, look, (damage) => damages.push(damage))
    // What was voided, or dumped since, may have been in a place that cannot be read now.
    const isDoneUnseen = damages.some((damage) => damage.from > orderAt)
    return {
      snapshots: snapshots.filter(({ stores }) => stores.length === 0 || stores.some((entry) => entry.number >= voidBelow)),
      last,
      voidBelow,
      voidedAt,
      numbersFrom: Math.max(voidBelow, ...[...layouts.keys(), ...gone].map((number) => number + 1)),
      gone,
      layouts: [...layouts].filter(([number]) => number >= voidBelow && !gone.has(number)).map(([, layout]) => layout),
      damages,
      isLastLost: damages.some((damage) => damage.from > lastAt),
      order,
      isOrderOpen: orderAt > lastAt && !isDoneUnseen,
    }
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

  async #eachBatch(
    from: number,
    to: number,
    each: (rows: RecordRows, count: number) => void,
    onDamage: (damage: Damage) => void,
  ): Promise<void> {
    const topic = changelogTopic(this.#environment.plan.pipeline, this.#part.name)
    const reader = this.#environment.log.reader()
    const rows = new RecordRows()
    const bytesMax = wholeFetchBytes(this.#environment.log, topic, this.#group)
    let offset = from
    try {
      while (offset < to) {
        const [answer] = await reader.fetch([{ topic, partition: this.#group, offset }], { bytesMax })
        const fetched = must(answer, 'changelog fetch')
        if (isDamage(fetched.error)) {
          const behind = await behindDamage(reader, topic, this.#group, offset, to)
          onDamage({ from: offset, to: behind, error: fetched.error })
          offset = behind
          continue
        }
        if (fetched.error !== null) throw fetched.error
        if (fetched.next === fetched.from) break
        each(rows, rows.read(fetched.bytes, fetched.from))
        offset = fetched.next
        await this.#environment.scheduler.turn()
      }
    } finally {
      reader.close()
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

/** Whether a whole snapshot is left, or a changelog that goes back to empty state. */
function suffices({ snapshots, voidedAt }: Survey, ends: { readonly start: number }, damaged: ReadonlySet<number>): boolean {
  return (
    ends.start === 0 || voidedAt >= 0 || snapshots.some(({ changelogFrom }) => changelogFrom >= ends.start && !damaged.has(changelogFrom))
  )
}

/** The larger running number of each output and partition. */
function furthest(one: CommitState['running'], other: CommitState['running']): CommitState['running'] {
  return Array.from({ length: Math.max(one.length, other.length) }, (_, output) => {
    const [first, second] = [one[output] ?? [], other[output] ?? []]
    return Array.from({ length: Math.max(first.length, second.length) }, (__, at) => Math.max(first[at] ?? 0, second[at] ?? 0))
  })
}
