// From columns to leaves. Flat fields are copied as they are; nested fields are shredded into values, definition and repetition levels
// level by level: a set of slots goes down the schema tree, ends where a null or an empty list is, and multiplies where a list has items.
// Source: Dremel (VLDB 2010), section 4; the levels are the format's (Nested Encoding).
import { assert, must } from '@millrace/core/connect'
import type { Column } from '@millrace/core/connect'
import type { Leaf } from './leaf.ts'
import type { SchemaNode } from './schema.ts'

/** The slots of one node of the tree: row `rows[i]` of the node's column, or -1 where the path has ended. */
interface Slots {
  readonly count: number
  readonly rows: Int32Array
  readonly definitions: Uint8Array
  readonly repetitions: Uint8Array
}

let live = new Int32Array(1024)

function liveFor(count: number): Int32Array {
  if (live.length < count) live = new Int32Array(count)
  return live
}

function appendFlat(leaf: Leaf, column: Column, selected: Int32Array | null, from: number, to: number, batchNumber: number): void {
  if (column.validity !== null) {
    const rows = liveFor(to - from)
    const count = leaf.levels.appendValidity(column.validity, selected, from, to, rows)
    leaf.appendAt(column, rows, 0, count, batchNumber)
    return
  }
  leaf.levels.appendPresent(to - from)
  if (selected === null) leaf.appendRange(column, from, to, batchNumber)
  else leaf.appendAt(column, selected, from, to, batchNumber)
}

function appendLeaf(leaf: Leaf, column: Column, slots: Slots, batchNumber: number): void {
  const rows = liveFor(slots.count)
  let count = 0
  for (let i = 0; i < slots.count; i++) {
    const row = slots.rows[i] as number
    if (row >= 0) rows[count++] = row
  }
  leaf.levels.appendSlots(slots.definitions, slots.repetitions, slots.count, count)
  leaf.appendAt(column, rows, 0, count, batchNumber)
}

/** One definition level deeper where the value is there, the end of the path where it is null. */
function throughValidity(slots: Slots, validity: Uint8Array | null, nullable: boolean, name: string): Slots {
  if (!nullable) {
    const complete = validity === null || slots.rows.subarray(0, slots.count).every((row) => row < 0 || validity[row] === 1)
    assert(complete, () => `null in ${name}, which is not nullable`)
    return slots
  }
  const rows = slots.rows.slice(0, slots.count)
  const definitions = slots.definitions.slice(0, slots.count)
  for (let i = 0; i < slots.count; i++) {
    const row = rows[i] as number
    if (row < 0) continue
    if (validity !== null && validity[row] === 0) rows[i] = -1
    else definitions[i] = (definitions[i] as number) + 1
  }
  return { count: slots.count, rows, definitions, repetitions: slots.repetitions }
}

/** One slot per item; an empty list and an ended path keep their slot. */
function throughList(slots: Slots, offsets: Int32Array, repetition: number): Slots {
  let count = 0
  for (let i = 0; i < slots.count; i++) {
    const row = slots.rows[i] as number
    count += row < 0 ? 1 : Math.max(1, (offsets[row + 1] as number) - (offsets[row] as number))
  }
  const rows = new Int32Array(count)
  const definitions = new Uint8Array(count)
  const repetitions = new Uint8Array(count)
  let at = 0
  for (let i = 0; i < slots.count; i++) {
    const row = slots.rows[i] as number
    const definition = slots.definitions[i] as number
    const start = row < 0 ? 0 : (offsets[row] as number)
    const end = row < 0 ? 0 : (offsets[row + 1] as number)
    repetitions[at] = slots.repetitions[i] as number
    if (start === end) {
      rows[at] = -1
      definitions[at++] = definition
      continue
    }
    for (let item = start; item < end; item++) {
      if (item > start) repetitions[at] = repetition
      rows[at] = item
      definitions[at++] = definition + 1
    }
  }
  return { count, rows, definitions, repetitions }
}

function shred(node: SchemaNode, column: Column, slots: Slots, leaves: readonly Leaf[], batchNumber: number): void {
  const inside = throughValidity(slots, column.validity, node.nullable, node.name)
  if (node.kind === 'leaf') return appendLeaf(must(leaves[node.leaf.index], 'leaf'), column, inside, batchNumber)
  if (node.kind === 'list') {
    assert(column.layout === 'list', () => `list ${node.name} got a column of layout ${column.layout}`)
    return shred(node.item, column.items, throughList(inside, column.offsets, node.repetition), leaves, batchNumber)
  }
  assert(column.layout === 'struct', () => `struct ${node.name} got a column of layout ${column.layout}`)
  node.children.forEach((child, index) => shred(child, must(column.children[index], child.name), inside, leaves, batchNumber))
}

/** Appends the rows from..to (positions in `selected` when that is not null) of a field's column to its leaves. */
export function appendField(
  node: SchemaNode,
  column: Column,
  selected: Int32Array | null,
  from: number,
  to: number,
  leaves: readonly Leaf[],
  batchNumber: number,
): void {
  if (node.kind === 'leaf') return appendFlat(must(leaves[node.leaf.index], 'leaf'), column, selected, from, to, batchNumber)
  const count = to - from
  const rows = new Int32Array(count)
  for (let i = 0; i < count; i++) rows[i] = selected === null ? from + i : (selected[from + i] as number)
  shred(node, column, { count, rows, definitions: new Uint8Array(count), repetitions: new Uint8Array(count) }, leaves, batchNumber)
}
