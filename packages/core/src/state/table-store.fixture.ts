// The slow, obvious oracle of the store's tests: maps of plain rows, copied whole at every seal.
import assert from 'node:assert/strict'
import { type Layout, layoutOf } from './rows/layout.ts'
import { BlockReader } from './rows/row-block.ts'
import { META_WORD, rowFormat } from './rows/row-format.ts'
import type { ChangeWriter, Region, RowReader, TableStore } from './store.ts'

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

/** What one call of a changelog's writer said. */
export type Change = { readonly kind: 'drop'; readonly prefix: Uint8Array } | { readonly kind: 'rows'; readonly block: Uint8Array }

/** Keeps changes as a changelog would. */
export class ChangeList implements ChangeWriter {
  readonly changes: Change[] = []

  dropped({ first, second }: Region): void {
    assert.ok(
      this.changes.every((change) => change.kind === 'drop'),
      'drops come before rows',
    )
    this.changes.push({ kind: 'drop', prefix: new Uint8Array(Int32Array.of(first, second).buffer) })
  }

  rows(bytes: Uint8Array, end: number): void {
    this.changes.push({ kind: 'rows', block: bytes.slice(0, end) })
  }

  /** Keys that the blocks name, in order. */
  names(layout: Layout): string[] {
    const format = rowFormat(layout)
    const reader = new BlockReader(format)
    return this.changes.flatMap((change) => {
      if (change.kind === 'drop') return []
      reader.read(change.block, 0, change.block.length)
      return Array.from({ length: reader.count }, (_, row) => {
        const at = row * format.stride
        const length = (reader.words[at + META_WORD] as number) >>> 1
        const isLong = length > format.keyBytesInline
        const start = isLong ? reader.take(length) : (at + format.keyWord) * 4
        const key = (isLong ? reader.source : reader.octets).slice(start, start + length)
        for (const lane of format.bytesLanes) reader.take(reader.words[at + lane.word + 1] as number)
        return decoder.decode(key)
      })
    })
  }

  /** Prefixes of the regions that are gone. */
  drops(): string[] {
    return this.changes.flatMap((change) => (change.kind === 'drop' ? [decoder.decode(change.prefix)] : []))
  }
}

/** Replays changes, as a reader of the changelog does. */
export function applyAll(store: TableStore, changes: readonly Change[]): void {
  for (const change of changes) {
    if (change.kind === 'drop') store.applyDrop(change.prefix, 0)
    else store.applyRows(change.block, 0, change.block.length)
  }
}
