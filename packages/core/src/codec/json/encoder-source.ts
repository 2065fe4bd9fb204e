// Generates the row encoder for a list of fields: constant bytes are stored four at a time, numbers and plain strings are written in
// place, everything else by `writeValue` of the interpreted encoder.
import type { Field } from '../column.ts'
import { viewOf } from '../batch-header.ts'
import { NUMBER_BYTES_MAX, writeBool, writeInteger, writeNull, writeNumber } from './write-number.ts'
import { writePlainString } from './write-string.ts'

export const RUNTIME = { writeBool, writeInteger, writeNull, writeNumber, writePlainString, viewOf }

type Write = 'number' | 'whole' | 'time' | 'i32' | 'bool' | 'string' | 'any'

function writeOf(field: Field): Write {
  switch (field.type.kind) {
    case 'f64':
      return 'number'
    case 'i64':
      return 'whole'
    case 'time':
    case 'i32':
    case 'bool':
    case 'string':
      return field.type.kind
    default:
      return 'any'
  }
}

export interface EncodedShape {
  /** A line feed behind every record. */
  readonly lines: boolean
  /** Arrays of the values instead of objects. */
  readonly arrays: boolean
}

/** Text in front of the value at `place`. */
export function memberStart(field: Field, place: number, arrays: boolean): string {
  if (arrays) return place === 0 ? '[' : ','
  return `${place === 0 ? '{' : ','}${JSON.stringify(field.name)}:`
}

/** The byte behind the last value. */
export function memberEnd(arrays: boolean): number {
  return arrays ? 93 : 125
}

/** Stores of constant bytes. */
function literal(text: string): { readonly code: string; readonly length: number } {
  const bytes = new TextEncoder().encode(text)
  const lines: string[] = []
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    const word =
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
    lines.push(`view.setInt32(at + ${at}, ${word}, true)`)
  }
  for (; at < bytes.length; at++) lines.push(`bytes[at + ${at}] = ${bytes[at] as number}`)
  return { code: `    // ${JSON.stringify(text)}\n    ${lines.join('; ')}\n    at += ${bytes.length}`, length: bytes.length }
}

/** Per batch: the arrays of a column, when they have the usual layout; else `values` stays null and writeValue does the work. */
function declare(field: Field, index: number): string {
  const column = `const column${index} = columns[${index}] === undefined ? null : columns[${index}]`
  const validity = `const validity${index} = column${index} === null ? null : column${index}.validity`
  const write = writeOf(field)
  switch (write) {
    case 'number':
    case 'whole':
    case 'time':
      return `  ${column}\n  ${validity}\n  const values${index} = column${index} !== null && column${index}.layout === 'f64' ? column${index}.values : null${write === 'time' ? `\n  let last${index} = NaN, from${index} = 0, size${index} = 17` : ''}`
    case 'i32':
    case 'bool':
      return `  ${column}\n  ${validity}\n  const values${index} = column${index} !== null && column${index}.layout === '${field.type.kind}' ? column${index}.values : null`
    case 'string':
      return `  ${column}\n  ${validity}
  let data${index} = null, starts${index} = null, ends${index} = null, ids${index} = null, shift${index} = 1
  if (column${index} !== null) {
    if (column${index}.layout === 'bytes') { data${index} = column${index}.data; starts${index} = ends${index} = column${index}.offsets }
    else if (column${index}.layout === 'slice') { data${index} = column${index}.data; starts${index} = column${index}.starts; ends${index} = column${index}.ends; shift${index} = 0 }
    else { data${index} = column${index}.dictionary.data; starts${index} = ends${index} = column${index}.dictionary.offsets; ids${index} = column${index}.ids }
  }
  const source${index} = data${index} === null ? null : viewOf(data${index})`
    default:
      return `  ${column}`
  }
}

/** Code that writes one value at `at`; room for it is made here where the fixed reserve of the row does not cover it. */
function value(field: Field, index: number): string {
  const any = `      into.at = at\n      writeValue(into, column${index}, field${index}, row)\n      into.reserve(fixed)\n      bytes = into.bytes\n      view = into.view\n      at = into.at`
  const write = writeOf(field)
  if (write === 'any') return any
  if (write === 'string') {
    return `    if (data${index} === null || (validity${index} !== null && validity${index}[row] !== 1)) at = writeNull(bytes, at)
    else {
      const entry = ids${index} === null ? row : ids${index}[row]
      const start = starts${index}[entry], end = ends${index}[entry + shift${index}]
      const room = at + (end - start) * 6 + fixed
      if (room > bytes.length) {
        into.at = at
        into.reserve(room - at)
        bytes = into.bytes
        view = into.view
      }
      at = writePlainString(bytes, view, at, data${index}, source${index}, start, end)
    }`
  }
  const call = write === 'number' ? 'writeNumber' : write === 'bool' ? 'writeBool' : 'writeInteger'
  const put = write === 'time' ? writeTime(index) : `at = ${call}(bytes, at, values${index}[row])`
  return `    if (values${index} !== null && (validity${index} === null || validity${index}[row] === 1)) ${put}
    else {
${any}
    }`
}

/**
 * Times repeat from row to row (the windows of a result): the text is copied from the row before, sixteen bytes at a time. A number that
 * begins with a digit is no NaN, so it goes through a double unchanged.
 */
function writeTime(index: number): string {
  return `{
      const time = values${index}[row]
      if (time === last${index} && size${index} <= 16) {
        view.setFloat64(at, view.getFloat64(from${index}))
        view.setFloat64(at + 8, view.getFloat64(from${index} + 8))
        from${index} = at
        at += size${index}
      } else {
        last${index} = time
        from${index} = at
        at = writeNumber(bytes, at, time)
        size${index} = at - from${index}
      }
    }`
}

/** The JavaScript of the encoder; `order` lists the fields as the record has them. */
export function encoderSource(fields: readonly Field[], order: readonly number[], { lines, arrays }: EncodedShape): string {
  const parts: string[] = []
  let fixed = 64
  order.forEach((index, place) => {
    const field = fields[index] as Field
    const before = literal(memberStart(field, place, arrays))
    fixed += before.length + NUMBER_BYTES_MAX
    parts.push(before.code, value(field, index))
  })
  return `'use strict'
const { writeBool, writeInteger, writeNull, writeNumber, writePlainString, writeValue, viewOf } = runtime
const fixed = ${fixed} // bytes of a row without its strings
${fields
  .map((field, index) =>
    writeOf(field) === 'any' || writeOf(field) !== 'string' ? `const field${index} = ${JSON.stringify({ type: field.type })}` : '',
  )
  .filter((line) => line !== '')
  .join('\n')}
return function encode(into, columns, rows, count, offsets) {
${fields.map(declare).join('\n')}
  let bytes = into.bytes, view = into.view, at = into.at
  for (let i = 0; i < count; i++) {
    offsets[i] = at
    const row = rows === null ? i : rows[i]
    if (at + fixed > bytes.length) {
      into.at = at
      into.reserve(fixed)
      bytes = into.bytes
      view = into.view
    }
${parts.join('\n')}
    bytes[at++] = ${memberEnd(arrays)}${lines ? '\n    bytes[at++] = 10' : ''}
  }
  into.at = at
}
`
}
