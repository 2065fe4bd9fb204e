// Runs one sub-topology in memory, tick by tick: rows in as objects, rows out as objects, stores sealed and committed as a task does.
import type { Batch, Column, Field } from '../codec/column.ts'
import type { Plan } from '../plan/node.ts'
import type { TableStore } from '../state/store.ts'
import type { InstantiateServices, SubTopology, TopologyInstance } from './topology.ts'
import { must } from '../base/assert.ts'
import { columnsOf } from '../codec/column-builder.ts'
import { columnValue } from '../codec/column-value.ts'
import { readKey } from '../codec/key-bytes.ts'
import { TaggedReader } from '../codec/tagged.ts'
import { neededFields } from '../plan/rewrite.ts'
import { fieldsOfShape } from '../plan/shape.ts'
import { layoutOf } from '../state/rows/layout.ts'
import { createTableStore } from '../state/table-store.ts'
import { instantiate } from './instantiate-topology.ts'
import { stores } from './stores.ts'
import { planTopology } from './topology-planner.ts'

export type Row = Readonly<Record<string, unknown>>

/** A row that left the sub-topology. */
export interface Emitted {
  readonly output: number
  readonly row: unknown
  readonly timeMs: number
  readonly weight: number
}

export interface Letter {
  readonly operator: string
  readonly input: number
  readonly row: unknown
  readonly error: unknown
}

export interface RunnerOptions {
  readonly codegen?: boolean
  readonly guardRows?: boolean
  /** Which sub-topology; default the first. */
  readonly part?: number
  readonly partitions?: number
  /** The incarnation whose state this one goes on with. */
  readonly after?: Runner
  /** Emitted rows are counted and not kept. */
  readonly count?: boolean
  /** Copies of the emitted batches stand in `batches`. */
  readonly keepBatches?: boolean
}

export class Runner {
  readonly part: SubTopology
  readonly parts: readonly SubTopology[]
  readonly instance: TopologyInstance
  readonly stores: ReadonlyMap<string, TableStore>
  readonly emitted: Emitted[] = []
  readonly letters: Letter[] = []
  readonly batches: Batch[] = []
  /** Rows emitted, where they are not kept. */
  emittedCount = 0
  readonly #plan: Plan
  readonly #keepsBatches: boolean
  #watermark = -Infinity
  #tick = 0

  constructor(plan: Plan, options: RunnerOptions = {}) {
    this.#plan = plan
    this.#keepsBatches = options.keepBatches ?? false
    const topology = planTopology(plan, {
      codeVersion: 'test',
      partitions: () => options.partitions ?? 1,
      needed: neededFields(plan),
      stores: (node) => stores(plan, node),
    })
    this.parts = topology.parts
    this.part = must(topology.parts[options.part ?? 0], 'part')
    this.stores = new Map(
      this.part.stores.map((spec) => [
        spec.name,
        options.after?.stores.get(spec.name) ?? createTableStore(layoutOf(spec.name, spec.key, spec.value), { regions: spec.isWindowed }),
      ]),
    )
    const services: InstantiateServices = {
      outputs: {
        push:
          options.count === true
            ? (_output, batch) => void (this.emittedCount += batch.selectedCount)
            : (output, batch) => this.#keep(output, batch),
      },
      deadLetters: {
        reject: (operator, input, batch, row, error) =>
          void this.letters.push({ operator, input, row: rowAt(batch, this.instance.fieldsAt(operator, input), row), error }),
      },
      store: (name) => must(this.stores.get(name), `store ${name}`),
      codegen: options.codegen ?? true,
      guardRows: options.guardRows ?? false,
    }
    this.#watermark = options.after?.watermark ?? -Infinity
    this.instance = instantiate(plan, this.part, services)
  }

  /** Of the last tick that was committed. */
  get watermark(): number {
    return this.#watermark
  }

  #fieldsOut(output: number): readonly Field[] | null {
    const spec = must(this.part.outputs[output], 'output')
    return spec.fields
  }

  #keep(output: number, batch: Batch): void {
    const fields = this.#fieldsOut(output)
    if (this.#keepsBatches) this.batches.push(structuredClone(batch))
    for (const row of rowsOf(batch))
      this.emitted.push({
        output,
        row: rowAt(batch, batch.values === null || batch.columns.length > 0 ? fields : null, row),
        timeMs: batch.times[row] as number,
        weight: batch.weights === null ? 1 : (batch.weights[row] as number),
      })
  }

  /** The fields of the rows of input `input`. */
  fieldsIn(input: number): readonly Field[] | null {
    const spec = must(this.part.inputs[input], 'input')
    if (spec.kind === 'exchange') return spec.fields
    return fieldsOfShape(
      must(
        this.#plan.nodes.find((node) => node.name === spec.name),
        'source',
      ).shape,
    )
  }

  /** Starts a tick, lets `feed` hand batches in, ends it at `watermark`. Nothing is committed yet. */
  run(watermark: number, feed: (process: (input: number, batch: Batch) => void) => void): void {
    this.#tick++
    this.instance.startTick({ tick: this.#tick, watermark: this.#watermark, wallMs: this.#tick })
    feed((input, batch) => this.instance.process(input, batch))
    this.instance.endTick({ tick: this.#tick, watermark, wallMs: this.#tick })
  }

  commit(watermark: number): void {
    for (const store of this.stores.values()) store.seal()
    for (const store of this.stores.values()) store.committed()
    this.#watermark = watermark
  }

  rollback(): void {
    for (const store of this.stores.values()) store.rollback()
  }

  /** A whole tick. Returns what it emitted. */
  tick(watermark: number, feed: (process: (input: number, batch: Batch) => void) => void): readonly Emitted[] {
    const from = this.emitted.length
    this.run(watermark, feed)
    this.commit(watermark)
    return this.emitted.slice(from)
  }

  /** The rows of a store as objects, in no order. */
  rows(name: string): readonly Record<string, unknown>[] {
    const store = must(this.stores.get(name), `store ${name}`)
    const result: Record<string, unknown>[] = []
    store.scan(0, Infinity, (slot) => {
      const row = store.read(slot)
      const key = row.key()
      const values = readKey(store.layout.key, key, 0, key.length)
      const object: Record<string, unknown> = Object.fromEntries(store.layout.key.map((field, index) => [field.name, values[index]]))
      store.layout.value.forEach((field, index) => {
        object[field.name] = row.isNull(index) ? null : storedValue(field, index, row)
      })
      result.push(object)
    })
    return result
  }
}

function storedValue(field: Field, index: number, row: ReturnType<TableStore['read']>): unknown {
  switch (field.type.kind) {
    case 'bool':
      return row.number(index) === 1
    case 'i64':
      return field.type.big === true ? row.integer(index) : Number(row.integer(index))
    case 'i32':
    case 'f64':
    case 'time':
      return row.number(index)
    case 'string':
      return new TextDecoder().decode(row.bytes(index))
    case 'bytes':
      return row.bytes(index)
    case 'json':
      return JSON.parse(new TextDecoder().decode(row.bytes(index))) as unknown
    default:
      return new TaggedReader(row.bytes(index), 0, row.bytes(index).length).read()
  }
}

/** Emitted rows without their output. */
export function plainOf(emitted: readonly Emitted[]): readonly { readonly row: Row; readonly timeMs: number; readonly weight: number }[] {
  return emitted.map(({ row, timeMs, weight }) => ({ row: row as Row, timeMs, weight }))
}

export function rowsOf(batch: Batch): readonly number[] {
  return Array.from({ length: batch.selectedCount }, (_, i) => (batch.selected === null ? i : (batch.selected[i] as number)))
}

/** A row as an object, or as the value that it is. */
export function rowAt(batch: Batch, fields: readonly Field[] | null, row: number): unknown {
  if (fields === null) return structuredClone(batch.values?.[row])
  const result: Record<string, unknown> = {}
  fields.forEach((field, index) => {
    const column = batch.columns[index]
    if (column !== null && column !== undefined) result[field.name] = columnValue(column, field.type, row)
  })
  return result
}

export interface BatchOptions {
  readonly times?: readonly number[]
  readonly weights?: readonly number[]
  /** Live rows; default all. */
  readonly selected?: readonly number[]
  readonly relayout?: (column: Column, field: Field, count: number) => Column
}

/** A batch of typed rows, or of open ones when `fields` is null. */
export function batchOf(fields: readonly Field[] | null, rows: readonly unknown[], options: BatchOptions = {}): Batch {
  const columns =
    fields === null
      ? []
      : columnsOf(fields, rows as readonly Row[]).map(
          (column, index) => options.relayout?.(column, must(fields[index], 'field'), rows.length) ?? column,
        )
  const { selected, weights, times } = options
  return {
    rowCount: rows.length,
    columns,
    times: Float64Array.from(times ?? rows.map(() => 0)),
    weights: weights === undefined ? null : Int32Array.from(weights),
    selected: selected === undefined ? null : Int32Array.from(selected),
    selectedCount: selected?.length ?? rows.length,
    origin: null,
    originRows: null,
    values: fields === null ? rows : null,
  }
}
