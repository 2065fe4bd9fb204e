// One value of a column as a JavaScript value: what lambdas see. The slow general form beside the generated accessors.
import { unreachable } from '../base/assert.ts'
import { decimalText } from './coerce.ts'
import type { Column, Field, FieldType } from './column.ts'
import { utf8Text } from './utf8.ts'

/** Calls `use(data, start, end)` with the bytes of a row of a bytes-like column. */
export function withBytes<T>(column: Column, row: number, use: (data: Uint8Array, start: number, end: number) => T): T {
  switch (column.layout) {
    case 'bytes':
      return use(column.data, column.offsets[row] as number, column.offsets[row + 1] as number)
    case 'slice':
      return use(column.data, column.starts[row] as number, column.ends[row] as number)
    case 'dictionary': {
      const id = column.ids[row] as number
      return use(column.dictionary.data, column.dictionary.offsets[id] as number, column.dictionary.offsets[id + 1] as number)
    }
    default:
      throw new TypeError(`a column of layout ${column.layout} holds no bytes`)
  }
}

const copyBytes = (data: Uint8Array, start: number, end: number): Uint8Array => data.slice(start, end)
const parseJson = (data: Uint8Array, start: number, end: number): unknown => JSON.parse(utf8Text(data, start, end)) as unknown

/** The value at `row`: null where the column says so. */
export function columnValue(column: Column, type: FieldType, row: number): unknown {
  if (column.validity !== null && column.validity[row] !== 1) return null
  switch (column.layout) {
    case 'bool':
      return column.values[row] === 1
    case 'i32':
    case 'f64':
    case 'i64': {
      const value = column.values[row] as number | bigint
      if (type.kind === 'decimal') return decimalText(value, type.scale)
      if (type.kind === 'i64' && type.big === true) return BigInt(value)
      return Number(value)
    }
    case 'bytes':
    case 'slice':
    case 'dictionary':
      if (type.kind === 'bytes') return withBytes(column, row, copyBytes)
      return withBytes(column, row, type.kind === 'json' ? parseJson : utf8Text)
    case 'list': {
      const item: FieldType = type.kind === 'list' ? type.item : { kind: 'variant' }
      const values: unknown[] = []
      for (let at = column.offsets[row] as number; at < (column.offsets[row + 1] as number); at++)
        values.push(columnValue(column.items, item, at))
      return values
    }
    case 'struct':
      return rowValue(column.children, type.kind === 'struct' ? type.fields : [], row)
    case 'variant':
      return column.values[row] ?? null
    default:
      return unreachable(column, 'column layout')
  }
}

/** A whole row as an object. Columns that nobody decoded are left out. */
export function rowValue(columns: readonly (Column | null)[], fields: readonly Field[], row: number): Record<string, unknown> {
  const value: Record<string, unknown> = {}
  for (let index = 0; index < fields.length; index++) {
    const column = columns[index]
    const field = fields[index]
    if (column !== null && column !== undefined && field !== undefined) value[field.name] = columnValue(column, field.type, row)
  }
  return value
}
