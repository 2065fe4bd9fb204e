// Sinks for tests: one that collects rows, and one that lets any sink fail when it is told to.
import { MillraceError } from '../base/errors.ts'
import type { Batch, Field } from '../codec/column.ts'
import { rowValue } from '../codec/column-value.ts'
import type { Sink, SinkBatch, SinkContext, SinkWriter } from './sink.ts'
import { checkSettings, type ConnectorSpec } from './spec.ts'

/** The settings of `collect`. */
export const COLLECT_SPEC: ConnectorSpec = {
  type: 'collect',
  summary: 'Keeps published rows in memory, for tests.',
  fields: [
    {
      name: 'acceptsUpdates',
      type: 'boolean',
      unit: null,
      default: true,
      advice: 'False makes it append-only, so that the planner refuses streams with updates.',
    },
  ],
  example: 'const seen = collect<Hit>()',
}

/** A published row. */
export interface CollectedChange<V> {
  readonly row: V
  /** +1 inserts, -1 takes an equal row away. */
  readonly weight: number
  readonly timeMs: number
  readonly tick: number
}

export interface CollectSink<V> extends Sink<V> {
  /** What was published, in order. */
  readonly changes: readonly CollectedChange<V>[]
  /** The rows that stay when deletions have met their insertions; a row that came again after its deletion stands at its new place. */
  readonly rows: readonly V[]
}

interface GroupState<V> {
  prepared: Map<number, readonly CollectedChange<V>[]>
  publishedThrough: number
}

class Collector<V> implements CollectSink<V> {
  readonly kind = 'sink'
  readonly spec: ConnectorSpec = COLLECT_SPEC
  readonly guarantee = 'transactional'
  readonly acceptsUpdates: boolean
  readonly acceptsOpenRows = true
  readonly settings: Readonly<Record<string, unknown>>
  readonly changes: CollectedChange<V>[] = []
  readonly #groups = new Map<number, GroupState<V>>()

  constructor(given: CollectSettings) {
    this.settings = checkSettings(COLLECT_SPEC, given)
    this.acceptsUpdates = this.settings['acceptsUpdates'] === true
  }

  get rows(): readonly V[] {
    const kept: (V | undefined)[] = []
    // Per row the places of its copies, the newest last, and the deletions that came before their insertion.
    const known = new Map<string, { readonly places: number[]; owed: number }>()
    for (const { row, weight } of this.changes) {
      const id = idOf(row)
      const own = known.get(id) ?? { places: [], owed: 0 }
      known.set(id, own)
      for (let copies = weight; copies > 0; copies--) {
        if (own.owed > 0) own.owed--
        else own.places.push(kept.push(row) - 1)
      }
      for (let copies = weight; copies < 0; copies++) {
        const place = own.places.pop()
        if (place === undefined) own.owed++
        else kept[place] = undefined
      }
    }
    return kept.filter((row): row is V => row !== undefined)
  }

  check(): void {
    // Anything can be kept.
  }

  async open(context: SinkContext, lastIntent: Uint8Array | null): Promise<SinkWriter> {
    const last = lastIntent === null ? -1 : Number(new TextDecoder().decode(lastIntent))
    const state = this.#groups.get(context.group) ?? { prepared: new Map<number, readonly CollectedChange<V>[]>(), publishedThrough: -1 }
    const kept = state.prepared.get(last)
    state.prepared = new Map(kept === undefined ? [] : [[last, kept]])
    state.publishedThrough = Math.min(state.publishedThrough, last)
    this.#groups.set(context.group, state)
    return new CollectWriter(context.fields, state, this.changes, last + 1)
  }
}

/** A bigint has no JSON; its digits tell it from others. */
function idOf(row: unknown): string {
  return JSON.stringify(row, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ?? 'undefined'
}

class CollectWriter<V> implements SinkWriter {
  readonly #fields: readonly Field[]
  readonly #state: GroupState<V>
  readonly #published: CollectedChange<V>[]
  #checkpoint: number
  #written: CollectedChange<V>[] = []

  constructor(fields: readonly Field[], state: GroupState<V>, published: CollectedChange<V>[], checkpoint: number) {
    this.#fields = fields
    this.#state = state
    this.#published = published
    this.#checkpoint = checkpoint
  }

  write({ batch, tick }: SinkBatch): void {
    const count = batch.selected === null ? batch.rowCount : batch.selectedCount
    for (let index = 0; index < count; index++) {
      const row = batch.selected === null ? index : (batch.selected[index] as number)
      const weight = batch.weights === null ? 1 : (batch.weights[row] as number)
      this.#written.push({ row: this.#value(batch, row), weight, timeMs: batch.times[row] as number, tick })
    }
  }

  #value(batch: Batch, row: number): V {
    return (batch.values === null ? rowValue(batch.columns, this.#fields, row) : batch.values[row]) as V
  }

  wantsCheckpoint(): boolean {
    return this.#written.length > 0
  }

  async prepare(): Promise<Uint8Array | null> {
    if (this.#written.length === 0) return null
    const checkpoint = this.#checkpoint++
    this.#state.prepared.set(checkpoint, this.#written)
    this.#written = []
    return new TextEncoder().encode(String(checkpoint))
  }

  async publish(intent: Uint8Array): Promise<void> {
    const checkpoint = Number(new TextDecoder().decode(intent))
    if (checkpoint <= this.#state.publishedThrough) return
    const rows = this.#state.prepared.get(checkpoint)
    if (rows === undefined) throw new MillraceError('MR_SINK_FILE_LOST', { details: { checkpoint } })
    this.#published.push(...rows)
    this.#state.publishedThrough = checkpoint
    this.#state.prepared.delete(checkpoint)
  }

  async close(): Promise<void> {
    this.#written = []
  }
}

export interface CollectSettings {
  /** Default true. */
  readonly acceptsUpdates?: boolean
}

/**
 * A sink that keeps what was published, for tests of pipelines: exactly once, checkpointed as soon as a row is there.
 * @example
 * const seen = collect<Hit>()
 * const definition = pipeline('web', (mill) => mill.from(hits).to(seen))
 * ...
 * assert.deepEqual(seen.rows, [...])
 */
export function collect<V>(settings: CollectSettings = {}): CollectSink<V> {
  return new Collector<V>(settings)
}

/** The calls of a sink that may fail. */
export type SinkCall = 'open' | 'write' | 'prepare' | 'publish'

/**
 * The same sink, with failures: `fail` is asked before each call and, for `prepare` and `publish`, once more behind it (`done` is then
 * true: the work is done and the answer is lost). What it returns is thrown.
 */
export function failing<V>(sink: Sink<V>, fail: (call: SinkCall, done: boolean) => Error | null): Sink<V> {
  const ask = (call: SinkCall, done: boolean): void => {
    const error = fail(call, done)
    if (error !== null) throw error
  }
  return {
    ...sink,
    kind: 'sink',
    spec: sink.spec,
    guarantee: sink.guarantee,
    acceptsUpdates: sink.acceptsUpdates,
    settings: sink.settings,
    check: (fields) => sink.check(fields),
    async open(context, lastIntent) {
      ask('open', false)
      const writer = await sink.open(context, lastIntent)
      return {
        async write(rows) {
          ask('write', false)
          await writer.write(rows)
        },
        wantsCheckpoint: () => writer.wantsCheckpoint(),
        async prepare() {
          ask('prepare', false)
          const intent = await writer.prepare()
          ask('prepare', true)
          return intent
        },
        async publish(intent) {
          ask('publish', false)
          await writer.publish(intent)
          ask('publish', true)
        },
        close: () => writer.close(),
      }
    },
  }
}
