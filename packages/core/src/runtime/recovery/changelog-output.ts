// What a task writes to its changelog with each commit: what its stores changed, what is void of the records before, and the commit record.
import type { LogPart } from '../../log/log.ts'
import type { ChangeWriter } from '../../state/store.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { ClosedBatches } from '../closed-batches.ts'
import { COMMIT_KEY, RESET_KEY, dropKey, encodeLayout, goneKey, layoutKey, rowsKey } from './changelog.ts'
import { type CommitState, encodeCommitState } from './commit-state.ts'
import type { RestoredTask, StoreEntry } from './restore.ts'
import { SNAPSHOT_KEY, type SnapshotRecord, encodeSnapshotRecord } from './snapshot.ts'

const BATCH_BYTES_TARGET = 1024 * 1024
const ROWS_PER_DRAIN = 4096

export class ChangelogOutput {
  readonly #topic: string
  readonly #group: number
  readonly #stores: readonly StoreEntry[]
  readonly #builder = new RecordBatchBuilder(4096)
  readonly #closed = new ClosedBatches()
  #voidBelow: number | null
  #gone: readonly number[]

  constructor(topic: string, group: number, { stores, voidBelow, gone }: Pick<RestoredTask, 'stores' | 'voidBelow' | 'gone'>) {
    this.#topic = topic
    this.#group = group
    this.#stores = [...stores.values()]
    this.#voidBelow = voidBelow
    this.#gone = gone
  }

  /** True until the first commit of a task that was told to build its state again. */
  get beginsAnew(): boolean {
    return this.#voidBelow !== null
  }

  /** Seals the stores; what the commit of `state` takes, which settles before the next call. `snapshot`: one that this commit makes count. */
  take(state: CommitState, snapshot: SnapshotRecord | null): readonly LogPart[] {
    const builder = this.#builder
    const { wallMs } = state
    // Ahead of the rows: what lies before this record is not read any more when it is damaged.
    if (this.#voidBelow !== null) builder.append(RESET_KEY, new TextEncoder().encode(String(this.#voidBelow)), wallMs)
    this.#voidBelow = null
    for (const entry of this.#stores) this.#drain(entry, wallMs)
    for (const store of this.#gone) builder.append(goneKey(store), null, wallMs)
    this.#gone = []
    if (snapshot !== null) builder.append(SNAPSHOT_KEY, encodeSnapshotRecord(snapshot), wallMs)
    builder.append(COMMIT_KEY, encodeCommitState(state), wallMs)
    this.#close()
    return this.#closed.take()
  }

  #drain(entry: StoreEntry, wallMs: number): void {
    const builder = this.#builder
    if (!entry.announced) {
      builder.append(layoutKey(entry.number), encodeLayout(entry.store.layout), wallMs)
      entry.announced = true
    }
    entry.store.seal()
    const key = rowsKey(entry.number)
    const writer: ChangeWriter = {
      dropped: ({ first, second }) => builder.append(dropKey(entry.number, first, second), null, wallMs),
      rows: (bytes, end) => builder.appendRange(key, 0, key.length, bytes, 0, end, wallMs),
    }
    while (!entry.store.drainChanges(writer, ROWS_PER_DRAIN)) {
      if (builder.bytes >= BATCH_BYTES_TARGET) this.#close()
    }
  }

  #close(): void {
    if (this.#builder.count === 0) return
    this.#closed.add(this.#topic, this.#group, this.#builder)
  }
}
