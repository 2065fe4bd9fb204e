// The slow, obvious oracle of the store's tests: maps of plain rows, copied whole at every seal.
import assert from 'node:assert/strict'
import type { ChangeWriter, RowReader, TableStore } from './store.ts'
import { layoutOf } from './layout.ts'

export const LAYOUT = layoutOf(
  'orders',
  [{ name: 'id', type: { kind: 'string' }, nullable: false }],
  [
    { name: 'count', type: { kind: 'f64' }, nullable: false },
    { name: 'total', type: { kind: 'i64' }, nullable: true },
    { name: 'note', type: { kind: 'string' }, nullable: true },
    { name: 'open', type: { kind: 'bool' }, nullable: false },
  ],
)

export interface ModelRow {
  readonly count: number
  readonly total: bigint | null
  readonly note: string | null
  readonly open: boolean
}

export type Model = Map<string, ModelRow>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function keyBytes(key: string): Uint8Array {
  return encoder.encode(key)
}

export function putRow(store: TableStore, slot: number, row: ModelRow): void {
  store.setNumber(slot, 0, row.count)
  if (row.total === null) store.setNull(slot, 1)
  else store.setInteger(slot, 1, row.total)
  if (row.note === null) store.setNull(slot, 2)
  else {
    const bytes = encoder.encode(`<${row.note}>`)
    store.setBytes(slot, 2, bytes, 1, bytes.length - 1)
  }
  store.setNumber(slot, 3, row.open ? 1 : 0)
}

export function rowOf(reader: RowReader): ModelRow {
  return {
    count: reader.number(0),
    total: reader.isNull(1) ? null : reader.integer(1),
    note: reader.isNull(2) ? null : decoder.decode(reader.bytes(2)),
    open: reader.number(3) === 1,
  }
}

/** What the store shows now. */
export function contents(store: TableStore): Model {
  const model: Model = new Map()
  store.scan(0, Infinity, (slot) => {
    const row = store.read(slot)
    const key = decoder.decode(row.key())
    assert.ok(!model.has(key), 'a key has one row')
    model.set(key, rowOf(row))
  })
  return model
}

export function committedContents(store: TableStore): Model {
  const model: Model = new Map()
  store.scanCommitted(0, Infinity, (row) => model.set(decoder.decode(row.key()), rowOf(row)))
  return model
}

/** Order does not count. */
export function sorted(model: Model): [string, ModelRow][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1))
}

export interface Change {
  readonly key: Uint8Array
  readonly row: Uint8Array | null
}

/** Keeps changes, without the prefix of their keys. */
export class ChangeList implements ChangeWriter {
  readonly changes: Change[] = []
  readonly #prefixBytes: number

  constructor(prefixBytes: number) {
    this.#prefixBytes = prefixBytes
  }

  appendRange(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array | null, valueStart: number, valueEnd: number): void {
    this.changes.push({
      key: key.slice(keyStart + this.#prefixBytes, keyEnd),
      row: value === null ? null : value.slice(valueStart, valueEnd),
    })
  }
}

/** Replays changes: most of them in batches, as a reader of the changelog does. */
export function applyAll(store: TableStore, changes: readonly Change[]): void {
  for (let from = 0; from < changes.length; from += 50) {
    const batch = changes.slice(from, from + 50)
    if (from % 100 === 0) {
      for (const { key, row } of batch) store.apply(key, 0, key.length, row, 0, row === null ? 0 : row.length)
      continue
    }
    const parts = batch.flatMap(({ key, row }) => [key, row ?? new Uint8Array(0)])
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    const ranges = [0, 1, 2, 3].map(() => new Int32Array(batch.length)) as [Int32Array, Int32Array, Int32Array, Int32Array]
    let at = 0
    parts.forEach((part, index) => {
      bytes.set(part, at)
      const isRow = index & 1
      ranges[isRow * 2]?.set([isRow === 1 && batch[index >> 1]?.row === null ? -1 : at], index >> 1)
      ranges[isRow * 2 + 1]?.set([at + part.length], index >> 1)
      at += part.length
    })
    store.applyAll(bytes, ...ranges, batch.length)
  }
}
