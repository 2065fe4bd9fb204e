// Brings a task's stores and positions back: newest complete snapshot, then the tail of the changelog. The newest commit record says
// where the task goes on; rows behind it cannot exist, since rows and commit record are one commit.
import type { SubTopology } from '../compile/topology.ts'
import type { Layout, TableStore } from '../state/store.ts'
import type { CommitState } from './commit-state.ts'
import type { TaskEnvironment } from './environment.ts'
import type { StoreEntry } from './task-core.ts'
import { must } from '../base/assert.ts'
import { MillraceError } from '../base/errors.ts'
import { RecordRows } from '../codec/record-rows.ts'
import { layoutOf } from '../state/layout.ts'
import { createTableStore } from '../state/table-store.ts'
import { ROW_PREFIX_BYTES, decodeLayout, parseKey } from './changelog.ts'
import { decodeCommitState } from './commit-state.ts'
import { changelogTopic } from './topic-names.ts'

const FETCH_BYTES = 4 * 1024 * 1024

export interface RestoredTask {
  readonly state: CommitState | null
  readonly stores: ReadonlyMap<string, StoreEntry>
}

interface Slot {
  readonly number: number
  readonly layout: Layout
  store: TableStore | null
}

/** @throws {MillraceError} `MR_RUNTIME_STATE_LAYOUT` when a store's layout has changed and `rebuild` was not asked for. */
export async function restoreTask(environment: TaskEnvironment, part: SubTopology, group: number): Promise<RestoredTask> {
  return new Restore(environment, part, group).run()
}

class Restore {
  readonly #environment: TaskEnvironment
  readonly #part: SubTopology
  readonly #group: number
  readonly #byNumber = new Map<number, Slot>()
  readonly #wanted: ReadonlyMap<string, Layout>
  readonly #stores = new Map<string, TableStore>()
  #state: CommitState | null = null
  #rows = 0

  constructor(environment: TaskEnvironment, part: SubTopology, group: number) {
    this.#environment = environment
    this.#part = part
    this.#group = group
    this.#wanted = new Map(part.stores.map((spec) => [spec.name, layoutOf(spec.name, spec.key, spec.value)]))
    for (const [name, layout] of this.#wanted) this.#stores.set(name, createTableStore(layout))
  }

  async run(): Promise<RestoredTask> {
    const startedAt = this.#environment.clock.monotonicMs()
    await this.#readChangelog()
    for (const store of this.#stores.values()) {
      store.seal()
      store.committed()
    }
    if (this.#state !== null) this.#environment.report({ kind: 'restored', task: `${this.#part.name}/${this.#group}`, rows: this.#rows, ms: this.#environment.clock.monotonicMs() - startedAt })
    return { state: this.#state, stores: this.#entries() }
  }

  async #readChangelog(): Promise<void> {
    const topic = changelogTopic(this.#environment.plan.pipeline, this.#part.name)
    const ends = must(
      this.#environment.log.ends(topic).find((other) => other.partition === this.#group),
      'changelog partition',
    )
    const reader = this.#environment.log.reader()
    const rows = new RecordRows()
    let offset = ends.start
    try {
      while (offset < ends.end) {
        const [fetched] = await reader.fetch([{ topic, partition: this.#group, offset }], { bytesMax: FETCH_BYTES })
        const part = must(fetched, 'changelog fetch')
        if (part.error !== null) throw part.error
        if (part.next === part.from) break
        const count = rows.read(part.bytes, part.from)
        for (let row = 0; row < count; row++) this.#apply(rows, row)
        offset = part.next
        await this.#environment.scheduler.turn()
      }
    } finally {
      reader.close()
    }
  }

  #apply(rows: RecordRows, row: number): void {
    const { bytes } = rows
    const keyStart = rows.keyStarts[row] as number
    const keyEnd = rows.keyEnds[row] as number
    const start = rows.valueStarts[row] as number
    const end = rows.valueEnds[row] as number
    const key = parseKey(bytes, keyStart, keyEnd)
    switch (key.kind) {
      case 'commit':
        this.#state = decodeCommitState(bytes.subarray(start, end))
        return
      case 'layout':
        return this.#open(key.store, decodeLayout(bytes, start, end))
      case 'row': {
        const slot = must(this.#byNumber.get(key.store), `layout of store ${key.store}`)
        slot.store?.apply(bytes, keyStart + ROW_PREFIX_BYTES, keyEnd, start < 0 ? null : bytes, start, end)
        this.#rows++
        return
      }
      case 'unknown':
        throw new MillraceError('MR_LOG_FORMAT_NEWER', { message: 'a changelog record of an unknown kind.', details: { offset: rows.offsets[row] as number } })
    }
  }

  /** A store that the pipeline no longer has is skipped; one whose layout changed is rebuilt on request, else refused. */
  #open(number: number, layout: Layout): void {
    const wanted = this.#wanted.get(layout.store)
    if (wanted !== undefined && wanted.id !== layout.id && !this.#environment.rebuild) {
      throw new MillraceError('MR_RUNTIME_STATE_LAYOUT', { details: { pipeline: this.#environment.plan.pipeline, store: layout.store, stored: layout.id, wanted: wanted.id } })
    }
    const known = wanted !== undefined && wanted.id === layout.id
    this.#byNumber.set(number, { number, layout, store: known ? must(this.#stores.get(layout.store), 'store') : null })
  }

  /** Known stores keep their numbers; new ones get the next. */
  #entries(): ReadonlyMap<string, StoreEntry> {
    const entries = new Map<string, StoreEntry>()
    let next = 0
    for (const number of this.#byNumber.keys()) next = Math.max(next, number + 1)
    for (const spec of this.#part.stores) {
      const known = [...this.#byNumber.values()].findLast((slot) => slot.layout.store === spec.name && slot.store !== null)
      entries.set(spec.name, { number: known?.number ?? next++, store: must(this.#stores.get(spec.name), 'store'), table: spec.table, announced: known !== undefined })
    }
    return entries
  }
}
