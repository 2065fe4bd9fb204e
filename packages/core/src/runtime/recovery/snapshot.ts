// Snapshots of a task's stores: raw dumps on an internal topic of the log, taken in slices between commits while the task goes on.
//
//   idle --(changelog grew enough)--> dumping: some slices after each commit --> named in the next commit --> trimmed --> idle
//
// A dump is fuzzy: rows change while it is written. The changelog from the offset noted at its start repairs it (law ST-2). The record that
// makes a snapshot count is part of a commit; before it, a crash leaves only slices that nobody refers to. Behind it, the changelog below
// the noted offset and older snapshots are trimmed: never one without the other.
import type { LogReader } from '../../log/log.ts'
import type { Layout } from '../../state/rows/layout.ts'
import type { TableStore } from '../../state/store.ts'
import type { TaskEnvironment } from '../environment.ts'
import { must } from '../../base/assert.ts'
import { isMillraceError } from '../../base/errors.ts'
import { RecordBatchBuilder } from '../../codec/record-batch.ts'
import { RecordRows } from '../../codec/record-rows.ts'
import { wholeFetchBytes } from '../fetch-size.ts'
import { changelogTopic, snapshotTopic } from '../topic-names.ts'

const SLICE_BYTES = 256 * 1024
/** Time that a dump may take between two commits. */
const SLICE_MS = 3
/** A changelog shorter than this is not worth a snapshot. */
const CHANGELOG_BYTES_MIN = 64 * 1024 * 1024
/** Nor is one shorter than this multiple of the state: reading a tail is about as fast as reading a dump. */
const CHANGELOG_PER_STATE = 1

/** Without stores each commit record says all: older ones go this often, and when they are worth a trim. */
const PLAIN_COMMITS_MAX = 256
const PLAIN_BYTES_MIN = 64 * 1024

/** Names a complete snapshot; value of the changelog record SNAPSHOT_KEY. */
export interface SnapshotRecord {
  readonly v: 1
  /** The changelog from here on repairs the dump. */
  readonly changelogFrom: number
  readonly stores: readonly { readonly number: number; readonly layout: Layout; readonly from: number; readonly to: number }[]
}

export const SNAPSHOT_KEY: Uint8Array = Uint8Array.of(3)

interface SnapshotStore {
  readonly number: number
  readonly store: TableStore
}

interface Dump {
  readonly changelogFrom: number
  readonly done: { number: number; layout: Layout; from: number; to: number }[]
  index: number
  slices: Iterator<Uint8Array> | null
  /** A slice that the disk had no room for. */
  unwritten: Uint8Array | null
  from: number
}

function changelogEnds(
  environment: TaskEnvironment,
  part: string,
  group: number,
): { readonly start: number; readonly end: number; readonly bytes: number } {
  return must(
    environment.log.ends(changelogTopic(environment.plan.pipeline, part)).find((ends) => ends.partition === group),
    'changelog partition',
  )
}

export class Snapshotter {
  readonly #environment: TaskEnvironment
  readonly #part: string
  readonly #group: number
  readonly #stores: readonly SnapshotStore[]
  readonly #bytesMin: number
  #dump: Dump | null = null
  #complete: SnapshotRecord | null = null
  #trim: SnapshotRecord | null = null
  #voidFrom = 0
  #plainCommits = 0
  /** The changelog's end before the commit under way, in a task without stores. */
  #plainFrom: number | null = null

  constructor(environment: TaskEnvironment, part: string, group: number, stores: readonly SnapshotStore[]) {
    this.#environment = environment
    this.#part = part
    this.#group = group
    this.#stores = stores
    this.#bytesMin = environment.snapshotBytesMin ?? CHANGELOG_BYTES_MIN
  }

  /** The record that the open commit must carry, once. */
  takeComplete(): SnapshotRecord | null {
    const record = this.#complete
    this.#complete = null
    this.#trim = record ?? this.#trim
    return record
  }

  /** After a commit: starts a dump when the changelog has grown enough, goes on with it, or trims behind one that counts. */
  async advance(): Promise<void> {
    if (this.#stores.length === 0) return this.#trimPlain()
    if (this.#trim !== null) return this.#trimBehind(this.#trim)
    if (this.#complete !== null) return
    if (this.#dump === null) {
      const ends = changelogEnds(this.#environment, this.#part, this.#group)
      const stateBytes = this.#stores.reduce((sum, { store }) => sum + store.bytes(), 0)
      if (ends.bytes < Math.max(this.#bytesMin, this.#environment.snapshotBytesMin === undefined ? stateBytes * CHANGELOG_PER_STATE : 0))
        return
      this.#dump = { changelogFrom: ends.end, done: [], index: 0, slices: null, unwritten: null, from: 0 }
    }
    await this.#write(this.#dump)
  }

  async #write(dump: Dump): Promise<void> {
    const { clock, log, plan } = this.#environment
    const topic = snapshotTopic(plan.pipeline, this.#part)
    const startedAt = clock.monotonicMs()
    const builder = new RecordBatchBuilder(SLICE_BYTES + 1024)
    do {
      const entry = this.#stores[dump.index]
      if (entry === undefined) {
        this.#complete = { v: 1, changelogFrom: dump.changelogFrom, stores: dump.done }
        this.#dump = null
        return
      }
      if (dump.slices === null) {
        dump.slices = entry.store.snapshot(SLICE_BYTES)[Symbol.iterator]()
        dump.from = this.#snapshotEnd()
      }
      const next = dump.unwritten === null ? dump.slices.next() : { done: false as const, value: dump.unwritten }
      if (next.done === true) {
        dump.done.push({ number: entry.number, layout: entry.store.layout, from: dump.from, to: this.#snapshotEnd() })
        dump.slices = null
        dump.index++
        continue
      }
      builder.append(null, next.value, clock.nowMs())
      try {
        await log.append([{ topic, partition: this.#group, batch: builder.finish() }])
        dump.unwritten = null
      } catch (error) {
        if (!isMillraceError(error) || error.code !== 'MR_LOG_FULL') throw error
        // A disk that is nearly full has room for commits, and a dump can wait: it goes on at a later one.
        dump.unwritten = next.value
        return
      }
      builder.reset()
    } while (clock.monotonicMs() - startedAt < SLICE_MS)
  }

  /** Ahead of the commit that voids all state of before. */
  noteVoid(): void {
    this.#voidFrom = changelogEnds(this.#environment, this.#part, this.#group).end
  }

  /** Behind it: nobody needs that state any more, and some of it may be damaged. */
  async trimVoid(): Promise<void> {
    const { log, plan } = this.#environment
    await log.trim(changelogTopic(plan.pipeline, this.#part), this.#group, this.#voidFrom)
    await log.trim(snapshotTopic(plan.pipeline, this.#part), this.#group, this.#snapshotEnd())
  }

  async #trimPlain(): Promise<void> {
    const { log, plan } = this.#environment
    const from = this.#plainFrom
    this.#plainFrom = null
    if (from !== null) return log.trim(changelogTopic(plan.pipeline, this.#part), this.#group, from)
    if (++this.#plainCommits < PLAIN_COMMITS_MAX) return
    this.#plainCommits = 0
    const ends = changelogEnds(this.#environment, this.#part, this.#group)
    if (ends.bytes >= PLAIN_BYTES_MIN) this.#plainFrom = ends.end
  }

  #snapshotEnd(): number {
    const { log, plan } = this.#environment
    return must(
      log.ends(snapshotTopic(plan.pipeline, this.#part)).find((ends) => ends.partition === this.#group),
      'snapshot partition',
    ).end
  }

  async #trimBehind(record: SnapshotRecord): Promise<void> {
    this.#trim = null
    const { log, plan } = this.#environment
    const first = Math.min(...record.stores.map((store) => store.from))
    await log.trim(snapshotTopic(plan.pipeline, this.#part), this.#group, first)
    await log.trim(changelogTopic(plan.pipeline, this.#part), this.#group, record.changelogFrom)
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeSnapshotRecord(record: SnapshotRecord): Uint8Array {
  return encoder.encode(JSON.stringify(record))
}

export function decodeSnapshotRecord(bytes: Uint8Array, start: number, end: number): SnapshotRecord {
  return JSON.parse(decoder.decode(bytes.subarray(start, end))) as SnapshotRecord
}

/** The slices of one dumped store, in order. Logs that cannot read synchronously are read to the end first. */
export async function snapshotSlices(
  environment: Pick<TaskEnvironment, 'log' | 'plan'>,
  part: string,
  group: number,
  from: number,
  to: number,
): Promise<Iterable<Uint8Array>> {
  const topic = snapshotTopic(environment.plan.pipeline, part)
  const reader = environment.log.reader()
  const bytesMax = wholeFetchBytes(environment.log, topic, group)
  if (reader.fetchNow !== null) return readNow(reader, bytesMax, topic, group, from, to)
  const slices: Uint8Array[] = []
  const rows = new RecordRows()
  for (let offset = from; offset < to;) {
    const fetched = must((await reader.fetch([{ topic, partition: group, offset }], { bytesMax }))[0], 'snapshot fetch')
    if (fetched.error !== null) throw fetched.error
    const count = rows.read(fetched.bytes, offset)
    for (let row = 0; row < count; row++)
      if ((rows.offsets[row] as number) < to) slices.push(fetched.bytes.slice(rows.valueStarts[row], rows.valueEnds[row]))
    offset = fetched.next
  }
  reader.close()
  return slices
}

function* readNow(reader: LogReader, bytesMax: number, topic: string, group: number, from: number, to: number): Generator<Uint8Array> {
  const rows = new RecordRows()
  try {
    for (let offset = from; offset < to;) {
      const fetched = must(reader.fetchNow?.([{ topic, partition: group, offset }], { bytesMax })[0], 'snapshot fetch')
      if (fetched.error !== null) throw fetched.error
      const count = rows.read(fetched.bytes, offset)
      for (let row = 0; row < count; row++)
        if ((rows.offsets[row] as number) < to) yield fetched.bytes.subarray(rows.valueStarts[row], rows.valueEnds[row])
      offset = fetched.next
    }
  } finally {
    reader.close()
  }
}
