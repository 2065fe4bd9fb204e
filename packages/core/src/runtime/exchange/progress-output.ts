// What a task states on `progress` with each commit (progress.ts): one record in its own partition.
import type { LogPart } from '../../log/log.ts'
import type { CommitState } from '../recovery/commit-state.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { encodeProgress, type ProgressEntry, type ProgressRecord } from './progress.ts'

/** What of a record does not follow from the committed state. */
export interface ProgressDetails extends Pick<ProgressRecord, 'bindings' | 'reached' | 'waitsFor' | 'wants'> {
  /** Clocks of ticks since the last commit that had no other effect, oldest first (ADR 0002, rules 3 and 18). */
  readonly passed: readonly ProgressEntry[]
}

export class ProgressOutput {
  readonly #topic: string
  readonly #group: number
  /** The clocks that readers know. */
  #stated: ProgressEntry | null = null

  constructor(topic: string, group: number) {
    this.#topic = topic
    this.#group = group
  }

  /** What the commit of `state` takes. */
  take(state: CommitState, { passed, bindings, reached, waitsFor, wants }: ProgressDetails): LogPart {
    const entries = this.#entries(state, passed)
    const builder = new RecordBatchBuilder(512)
    const record = { through: state.through, entries, bindings, reached, waitsFor, wants }
    builder.append(null, encodeProgress(record), state.wallMs)
    return { topic: this.#topic, partition: this.#group, batch: builder.finish() }
  }

  /** Every change of the clocks up to and including the committed tick. */
  #entries({ through, watermarkMs, status, wallMs }: CommitState, passed: readonly ProgressEntry[]): readonly ProgressEntry[] {
    const last = { tick: through, watermark: watermarkMs, wallMs, status }
    const entries: ProgressEntry[] = []
    for (const entry of [...passed.filter(({ tick }) => tick < through), last]) {
      const before = this.#stated
      if (before !== null && before.watermark === entry.watermark && before.status === entry.status && before.wallMs === entry.wallMs)
        continue
      entries.push(entry)
      this.#stated = entry
    }
    return entries
  }
}
