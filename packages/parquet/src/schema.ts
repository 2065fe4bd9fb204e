// From the engine's fields to Parquet's schema: the tree that rows are shredded along, its leaves (one column chunk each) and the
// flat list of schema elements in the footer. Lists have the three levels that the format's LogicalTypes document asks for.
import { MillraceError } from '@millrace/core/connect'
import type { Field, FieldType } from '@millrace/core/connect'
import { LIST_OF, type ThriftWriter } from './thrift.ts'

/** Physical types by the numbers of parquet.thrift. */
export const PHYSICAL = { boolean: 0, int32: 1, int64: 2, double: 5, byteArray: 6, fixed: 7 } as const
export type Physical = (typeof PHYSICAL)[keyof typeof PHYSICAL]

export type LeafType = Exclude<FieldType, { readonly kind: 'list' | 'struct' | 'variant' }>

/** One column chunk per row group. */
export interface LeafSchema {
  readonly index: number
  readonly path: readonly string[]
  readonly type: LeafType
  readonly physical: Physical
  /** Bytes of a value when `physical` is fixed, else 0. */
  readonly typeLength: number
  readonly nullable: boolean
  readonly definitionMax: number
  readonly repetitionMax: number
}

export type SchemaNode =
  | { readonly kind: 'leaf'; readonly name: string; readonly nullable: boolean; readonly leaf: LeafSchema }
  | { readonly kind: 'list'; readonly name: string; readonly nullable: boolean; readonly repetition: number; readonly item: SchemaNode }
  | { readonly kind: 'struct'; readonly name: string; readonly nullable: boolean; readonly children: readonly SchemaNode[] }

export interface FileSchema {
  readonly nodes: readonly SchemaNode[]
  readonly leaves: readonly LeafSchema[]
}

const DECIMAL_PRECISION_MAX = 38

/** Bytes that hold every decimal of the precision, two's complement: the smallest n with 10^precision <= 2^(8n-1). */
export function decimalBytes(precision: number): number {
  return Math.ceil((precision * Math.log2(10) + 1) / 8)
}

function refuse(path: readonly string[], message: string): never {
  throw new MillraceError('MR_PARQUET_FIELD', { message, details: { field: path.join('.') } })
}

function physicalOf(type: LeafType, path: readonly string[]): Physical {
  switch (type.kind) {
    case 'bool':
      return PHYSICAL.boolean
    case 'i32':
      return PHYSICAL.int32
    case 'i64':
    case 'time':
      return PHYSICAL.int64
    case 'f64':
      return PHYSICAL.double
    case 'decimal': {
      const { precision, scale } = type
      if (!(precision >= 1 && precision <= DECIMAL_PRECISION_MAX))
        refuse(path, `a decimal has a precision of 1 to ${DECIMAL_PRECISION_MAX}, not ${precision}.`)
      if (!(scale >= 0 && scale <= precision)) refuse(path, `the scale of a decimal is between 0 and its precision, not ${scale}.`)
      return precision <= 9 ? PHYSICAL.int32 : precision <= 18 ? PHYSICAL.int64 : PHYSICAL.fixed
    }
    case 'string':
    case 'bytes':
    case 'json':
      return PHYSICAL.byteArray
  }
}

/**
 * Lays out the schema of a file.
 * @throws {MillraceError} `MR_PARQUET_FIELD` when a field cannot be written: no fields at all, equal names, an empty struct, a decimal out of range.
 */
export function fileSchema(fields: readonly Field[]): FileSchema {
  const leaves: LeafSchema[] = []
  const node = (field: Field, parent: readonly string[], definition: number, repetition: number): SchemaNode => {
    const { name, type, nullable } = field
    const path = [...parent, name]
    const own = definition + (nullable ? 1 : 0)
    if (type.kind === 'struct') return { kind: 'struct', name, nullable, children: children(type.fields, path, own, repetition) }
    if (type.kind === 'list') {
      const item: Field = { name: 'element', type: type.item, nullable: type.itemNullable }
      return { kind: 'list', name, nullable, repetition: repetition + 1, item: node(item, [...path, 'list'], own + 1, repetition + 1) }
    }
    if (type.kind === 'variant') refuse(path, 'the field has no type of its own; give the lambda that makes it a schema.')
    const physical = physicalOf(type, path)
    const leaf: LeafSchema = {
      index: leaves.length,
      path,
      type,
      physical,
      typeLength: physical === PHYSICAL.fixed && type.kind === 'decimal' ? decimalBytes(type.precision) : 0,
      nullable,
      definitionMax: own,
      repetitionMax: repetition,
    }
    leaves.push(leaf)
    return { kind: 'leaf', name, nullable, leaf }
  }
  const children = (list: readonly Field[], path: readonly string[], definition: number, repetition: number): SchemaNode[] => {
    if (list.length === 0) refuse(path, 'a Parquet group needs at least one field.')
    if (new Set(list.map((field) => field.name)).size < list.length) refuse(path, 'two fields have the same name.')
    return list.map((field) => node(field, path, definition, repetition))
  }
  const nodes = children(fields, [], 0, 0)
  return { nodes, leaves }
}

const REQUIRED = 0
const OPTIONAL = 1
const REPEATED = 2
const CONVERTED = { utf8: 0, list: 3, decimal: 5, timestampMillis: 9, int64: 18, json: 19 } as const

function elementCount(node: SchemaNode): number {
  if (node.kind === 'leaf') return 1
  if (node.kind === 'list') return 2 + elementCount(node.item)
  return node.children.reduce((sum, child) => sum + elementCount(child), 1)
}

function writeGroup(out: ThriftWriter, name: string, repetition: number | null, childCount: number, isList: boolean): void {
  out.begin()
  if (repetition !== null) out.i32(3, repetition)
  out.text(4, name)
  out.i32(5, childCount)
  if (isList) {
    out.i32(6, CONVERTED.list)
    out.struct(10)
    out.mark(3)
    out.end()
  }
  out.end()
}

function writeLogical(out: ThriftWriter, type: LeafType): void {
  switch (type.kind) {
    case 'string':
      out.i32(6, CONVERTED.utf8)
      out.struct(10)
      out.mark(1)
      return out.end()
    case 'json':
      out.i32(6, CONVERTED.json)
      out.struct(10)
      out.mark(12)
      return out.end()
    case 'time':
      out.i32(6, CONVERTED.timestampMillis)
      out.struct(10)
      out.struct(8)
      out.bool(1, true)
      out.struct(2)
      out.mark(1)
      out.end()
      out.end()
      return out.end()
    case 'decimal':
      out.i32(6, CONVERTED.decimal)
      out.i32(7, type.scale)
      out.i32(8, type.precision)
      out.struct(10)
      out.struct(5)
      out.i32(1, type.scale)
      out.i32(2, type.precision)
      out.end()
      return out.end()
    case 'bool':
    case 'i32':
    case 'i64':
    case 'f64':
    case 'bytes':
      return
  }
}

function writeNode(out: ThriftWriter, node: SchemaNode): void {
  const repetition = node.nullable ? OPTIONAL : REQUIRED
  if (node.kind === 'struct') {
    writeGroup(out, node.name, repetition, node.children.length, false)
    for (const child of node.children) writeNode(out, child)
  } else if (node.kind === 'list') {
    writeGroup(out, node.name, repetition, 1, true)
    writeGroup(out, 'list', REPEATED, 1, false)
    writeNode(out, node.item)
  } else {
    out.begin()
    out.i32(1, node.leaf.physical)
    if (node.leaf.typeLength > 0) out.i32(2, node.leaf.typeLength)
    out.i32(3, repetition)
    out.text(4, node.name)
    writeLogical(out, node.leaf.type)
    out.end()
  }
}

/** Writes the list of schema elements, depth first, as field `id` of the footer. */
export function writeSchema(out: ThriftWriter, id: number, schema: FileSchema): void {
  out.list(
    id,
    LIST_OF.struct,
    schema.nodes.reduce((sum, node) => sum + elementCount(node), 1),
  )
  writeGroup(out, 'schema', null, schema.nodes.length, false)
  for (const node of schema.nodes) writeNode(out, node)
}
