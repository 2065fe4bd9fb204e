// Brings a task's stores and positions back: newest complete snapshot, then the tail of the changelog. The newest commit record says
// where the task goes on; rows behind it cannot exist, since rows and commit record are one commit.
import type { SubTopology } from '../../compile/topology.ts'
import type { TableStore } from '../../state/store.ts'
import type { CommitState } from './commit-state.ts'
import type { TaskEnvironment } from '../environment.ts'
import { must } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { type Layout, layoutOf } from '../../state/rows/layout.ts'
import { createTableStore } from '../../state/table-store.ts'
import { decodeLayout, parseKey } from './changelog.ts'
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
export type RestoreEnvironment = Pick<TaskEnvironment, 'log' | 'clock' | 'scheduler' | 'plan' | 'topology' | 'reset' | 'report'>

interface Survey {
  readonly snapshot: SnapshotRecord | null
  readonly last: CommitState | null
  readonly voidBelow: number
  readonly numbersFrom: number
  /** Stores that an earlier version of the pipeline dropped. */
  readonly gone: ReadonlySet<number>
  readonly layouts: readonly Layout[]
}

export interface RestoredTask {
  /** Set when the state is built again: the first commit must void the stores below this number. */
  readonly voidBelow: number | null
  /** Stores that the part no longer has: the first commit must say so, else one of the same name would find rows that it has missed. */
  readonly gone: readonly number[]
  readonly state: CommitState | null
  readonly stores: ReadonlyMap<string, StoreEntry>
}

interface Slot {
  readonly number: number
  readonly layout: Layout
  store: TableStore | null
}

/** @throws {MillraceError} `MR_RUNTIME_STATE_LAYOUT` when a store's layout has changed and the pipeline is not reset. */
export async function restoreTask(
  environment: TaskEnvironment,
  part: SubTopology,
  group: number,
  stores: ReadonlyMap<string, TableStore>,
): Promise<RestoredTask> {
  return new Restore(environment, part, group, stores).run()
}

/** Whether stored state of the pipeline has another layout than it needs now, in any task. */
export async function isStateChanged(environment: RestoreEnvironment): Promise<boolean> {
  for (const part of environment.topology.parts) {
    for (let group = 0; group < part.groups; group++)
      if (await new Restore(environment, part, group, emptyStores(part)).isChanged()) return true
  }
  return false
}

/** The empty stores of a part. Operators attach their indexes to them before the first row is restored. */
export function emptyStores(part: SubTopology): ReadonlyMap<string, TableStore> {
  return new Map(
    part.stores.map((spec) => [spec.name, createTableStore(layoutOf(spec.name, spec.key, spec.value), { regions: spec.isWindowed })]),
  )
}

class Restore {
  readonly #environment: RestoreEnvironment
  readonly #part: SubTopology
  readonly #group: number
  readonly #byNumber = new Map<number, Slot>()
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

  async run(): Promise<RestoredTask> {
    const startedAt = this.#environment.clock.monotonicMs()
    const ends = this.#changelogEnds()
    const survey = await this.#survey(ends)
    // A task that has committed under this code version has been reset already.
    const { reset, topology } = this.#environment
    if (reset && survey.last?.codeVersion !== topology.codeVersion) return this.#fromNothing(survey)
    this.#voidBelow = survey.voidBelow
    this.#gone = survey.gone
    if (survey.snapshot !== null) await this.#load(survey.snapshot)
    await this.#eachBatch(survey.snapshot?.changelogFrom ?? ends.start, ends.end, (rows, count) => this.#applyBatch(rows, count))
    for (const store of this.#stores.values()) {
      store.seal()
      store.committed()
    }
    if (this.#state !== null)
      this.#environment.report({
        kind: 'restored',
        task: `${this.#part.name}/${this.#group}`,
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

  /** True when the layout of a store that the part still has is another than the stored one. */
  async isChanged(): Promise<boolean> {
    return (await this.#survey(this.#changelogEnds())).layouts.some((layout) => {
      const wanted = this.#stores.get(layout.store)?.layout
      return wanted !== undefined && wanted.id !== layout.id
    })
  }

  /** State and source positions start over together; ticks, running numbers and what was applied of exchanges go on. */
  #fromNothing(survey: Survey): RestoredTask {
    const { last, numbersFrom } = survey
    const state: CommitState | null =
      last === null
        ? null
        : {
            ...EMPTY_STATE,
            through: last.through,
            wallMs: last.wallMs,
            exchanges: last.exchanges,
            ...(last.outputs === undefined ? {} : { outputs: last.outputs }),
            running: last.running,
            retryNext: last.retryNext,
            intent: last.intent,
            sinkSequence: last.sinkSequence,
            rebuiltTick: last.through,
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
    let snapshot: SnapshotRecord | null = null
    let last: CommitState | null = null
    let voidBelow = 0
    const layouts = new Map<number, Layout>()
    const gone = new Set<number>()
    await this.#eachBatch(ends.start, ends.end, (rows, count) => {
      for (let row = 0; row < count; row++) {
        const { bytes } = rows
        const [start, end] = [rows.valueStarts[row] as number, rows.valueEnds[row] as number]
        const key = parseKey(bytes, rows.keyStarts[row] as number, rows.keyEnds[row] as number)
        if (key.kind === 'layout') layouts.set(key.store, decodeLayout(bytes, start, end))
        else if (key.kind === 'commit') last = decodeCommitState(bytes.subarray(start, end))
        else if (key.kind === 'gone') gone.add(key.store)
        else if (key.kind === 'reset') voidBelow = Number(new TextDecoder().decode(bytes.subarray(start, end)))
        else if (key.kind === 'snapshot') {
          snapshot = decodeSnapshotRecord(bytes, start, end)
          for (const entry of snapshot.stores) layouts.set(entry.number, entry.layout)
        }
      }
    })
    const named = snapshot as SnapshotRecord | null
    const isVoid = named !== null && named.stores.length > 0 && named.stores.every((entry) => entry.number < voidBelow)
    return {
      snapshot: isVoid ? null : named,
      last,
      voidBelow,
      numbersFrom: Math.max(voidBelow, ...[...layouts.keys(), ...gone].map((number) => number + 1)),
      gone,
      layouts: [...layouts].filter(([number]) => number >= voidBelow && !gone.has(number)).map(([, layout]) => layout),
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

  async #eachBatch(from: number, to: number, each: (rows: RecordRows, count: number) => void): Promise<void> {
    const topic = changelogTopic(this.#environment.plan.pipeline, this.#part.name)
    const reader = this.#environment.log.reader()
    const rows = new RecordRows()
    const bytesMax = wholeFetchBytes(this.#environment.log, topic, this.#group)
    let offset = from
    try {
      while (offset < to) {
        const [fetched] = await reader.fetch([{ topic, partition: this.#group, offset }], { bytesMax })
        const part = must(fetched, 'changelog fetch')
        if (part.error !== null) throw part.error
        if (part.next === part.from) break
        each(rows, rows.read(part.bytes, part.from))
        offset = part.next
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
      const slot = key.store < this.#voidBelow ? null : must(this.#byNumber.get(key.store), `layout of store ${key.store}`)
      if (slot === null || slot.store === null) continue
      if (key.kind === 'drop') slot.store.applyDrop(bytes, key.prefixAt)
      else this.#rows += slot.store.applyRows(bytes, rows.valueStarts[row] as number, rows.valueEnds[row] as number)
    }
  }

  #apply(rows: RecordRows, row: number, key: ReturnType<typeof parseKey>): void {
    const start = rows.valueStarts[row] as number
    const end = rows.valueEnds[row] as number
    if (key.kind === 'commit') this.#state = decodeCommitState(rows.bytes.subarray(start, end))
    else if (key.kind === 'reset' || key.kind === 'gone') return
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
      const known = [...this.#byNumber.values()].findLast((slot) => slot.layout.store === spec.name && slot.store !== null)
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
