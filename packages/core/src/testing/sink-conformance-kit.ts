// What the laws of the sink contract share: rows, batches, and the lives of a sink's task between crashes.
import assert from 'node:assert/strict'
import { isMillraceError } from '../base/errors.ts'
import { type Random, seededRandom } from '../base/random.ts'
import { columnsOf } from '../codec/column-builder.ts'
import type { Batch, Field } from '../codec/column.ts'
import type { AnySink, SinkContext, SinkWriter } from '../connect/sink.ts'
import { SimulatedDisk, SimulatedPowerCut } from './simulated-disk.ts'
import { VirtualTime } from './virtual-time.ts'

/** A row of the suite. `day` has three values, for sinks that partition by it; `at` is the event time, on that day. */
export interface ConformanceRow {
  readonly id: number
  readonly text: string
  readonly day: string
}

/** A sink with the outside world that it writes to. What must outlive a process lies on the disk that it is given, or in this object. */
export interface SinkUnderTest {
  /** Settings so small that a few hundred rows fill several files or requests. */
  readonly sink: AnySink
  /**
   * What somebody outside sees on this disk now: one list per file, folder or table, each in the order in which it reads. `crashed`: a
   * publish may have been cut off and no writer was opened since. Where that can leave half a row, it is left out then, and only then.
   */
  visible(disk: SimulatedDisk, crashed: boolean): Promise<readonly (readonly ConformanceRow[])[]>
  /** What unfinished work has left behind, as names; nothing once all is published. */
  strays(disk: SimulatedDisk): readonly string[]
}

export type SinkOpener = () => SinkUnderTest

export const FIELDS: readonly Field[] = [
  { name: 'id', type: { kind: 'i32' }, nullable: false },
  { name: 'text', type: { kind: 'string' }, nullable: true },
  { name: 'day', type: { kind: 'string' }, nullable: false },
]
const DAY_MS = 86_400_000
const SPECIAL = ['', 'a "quoted" text', 'line\nfeed', 'ünïcödé ✓', 'back\\slash', '1', 'x'.repeat(70)]

export function rowOf(id: number): ConformanceRow {
  return { id, text: `${SPECIAL[id % SPECIAL.length] ?? ''} ${id}`, day: `d${id % 3}` }
}

export function batchOf(rows: readonly ConformanceRow[]): Batch {
  const columns = columnsOf(FIELDS, rows as readonly (ConformanceRow & Record<string, unknown>)[])
  const times = Float64Array.from(rows, ({ id }) => (id % 3) * DAY_MS)
  return {
    rowCount: rows.length,
    columns,
    times,
    weights: null,
    selected: null,
    selectedCount: rows.length,
    origin: null,
    originRows: null,
    values: null,
  }
}

/** Rows `from .. to`, with rows between them that a filter has taken out. */
export function selectedBatch(from: number, to: number, random: Random): Batch {
  const rows: ConformanceRow[] = []
  const selected: number[] = []
  for (let id = from; id < to; id++) {
    for (let junk = random.below(3); junk > 0; junk--) rows.push({ ...rowOf(id), text: 'filtered out' })
    selected.push(rows.push(rowOf(id)) - 1)
  }
  return { ...batchOf(rows), selected: Int32Array.from(selected), selectedCount: selected.length }
}

/** What the log knows of the sink's task: the newest commit. */
export interface Committed {
  position: number
  intent: Uint8Array | null
}

/** The world of one test: a disk, a time, a log that remembers one commit. */
export class SinkWorld {
  readonly random: Random
  readonly time: VirtualTime
  readonly under: SinkUnderTest
  readonly rejected: { readonly row: number; readonly error: Error }[] = []
  readonly committed: Committed = { position: 0, intent: null }
  disk: SimulatedDisk
  #epoch = 0

  constructor(open: SinkOpener, seed: number) {
    this.random = seededRandom(seed)
    this.time = new VirtualTime({ random: this.random.fork() })
    this.disk = new SimulatedDisk({ random: this.random.fork(), scheduler: this.time })
    this.under = open()
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.time.run(promise)
  }

  /** A new writer, as after a start of the task: the newest intent is published before anything else. */
  async open(): Promise<SinkWriter> {
    const context: SinkContext = {
      pipeline: 'plant',
      name: 'out',
      group: 0,
      groups: 1,
      fields: FIELDS,
      epoch: ++this.#epoch,
      clock: this.time,
      disk: this.disk,
      reject: (row, error) => void this.rejected.push({ row, error }),
    }
    const writer = await this.under.sink.open(context, this.committed.intent)
    if (this.committed.intent !== null) await writer.publish(this.committed.intent)
    return writer
  }

  /** Writes rows `from .. to` in batches of random size. */
  async write(writer: SinkWriter, from: number, to: number): Promise<void> {
    for (let at = from; at < to;) {
      const next = Math.min(to, at + 1 + this.random.below(40))
      const batch = this.random.chance(0.5)
        ? selectedBatch(at, next, this.random)
        : batchOf(Array.from({ length: next - at }, (_, index) => rowOf(at + index)))
      await writer.write({ batch, generation: 0, tick: 1 + at, sequence: at })
      at = next
    }
  }

  /** prepare and commit. */
  async commit(writer: SinkWriter, position: number): Promise<Uint8Array | null> {
    const intent = await writer.prepare()
    // The commit itself is one step of the log: it is there or it never was.
    this.committed.position = position
    this.committed.intent = intent ?? this.committed.intent
    return intent
  }

  /** The power goes; what was on its way is lost. */
  crash(): void {
    this.disk = this.disk.crash()
  }

  /** Ids that can be seen. Fails when a row is damaged, is there twice, or stands before one that was written earlier. */
  async seen(crashed = false): Promise<number[]> {
    const lists = await this.under.visible(this.disk, crashed)
    for (const list of lists) {
      for (const row of list) assert.deepEqual({ ...row }, rowOf(row.id), 'a visible row is whole')
      const ids = list.map((row) => row.id)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
        'SINK-4: rows stand in the order of write',
      )
    }
    const ids = lists.flatMap((list) => list.map((row) => row.id)).sort((a, b) => a - b)
    assert.equal(new Set(ids).size, ids.length, 'no row is visible twice')
    return ids
  }

  /** Exactly the rows below `position` can be seen, and nothing lies around. */
  async expectRows(position: number, message: string): Promise<void> {
    assert.deepEqual(
      await this.seen(),
      Array.from({ length: position }, (_, id) => id),
      message,
    )
  }

  expectNoStrays(message: string): void {
    assert.deepEqual(this.under.strays(this.disk), [], message)
  }
}

/** Writes rows up to `total` from the newest commit on, with checkpoints at random places. False when the power went. */
export async function live(world: SinkWorld, total: number): Promise<boolean> {
  try {
    await world.run(liveOn(world, total))
    return true
  } catch (error) {
    if (error instanceof SimulatedPowerCut) return false
    throw error
  }
}

async function liveOn(world: SinkWorld, total: number): Promise<void> {
  const writer = await world.open()
  for (let position = world.committed.position; position < total;) {
    const next = Math.min(total, position + 1 + world.random.below(60))
    await world.write(writer, position, next)
    position = next
    if (position < total && !writer.wantsCheckpoint() && world.random.chance(0.6)) continue
    const intent = await world.commit(writer, position)
    if (intent !== null) await writer.publish(intent)
  }
  await writer.close()
}

/** The full disk: the writer is given up and a new one starts from the newest commit, as the runtime does. True when it came to the end. */
export async function liveWithFullDisk(world: SinkWorld, total: number): Promise<boolean> {
  try {
    return await live(world, total)
  } catch (error) {
    assert.ok(isMillraceError(error) && error.kind === 'transient', `a full disk is a transient failure, not ${String(error)}`)
    return false
  }
}
