// Builds a column from JavaScript values that are already coerced (coerce.ts). The general, unhurried way in: nested kinds, CSV, foreign
// schemas, tests. Values that a kind cannot hold are a caller's bug.
import { must, unreachable } from '../base/assert.ts'
import { scaledDecimal } from './coerce.ts'
import type { Column, Field, FieldType } from './column.ts'
import { jsonText } from './json/exact.ts'
import { writeUtf8 } from './utf8.ts'

export interface ColumnBuilder {
  readonly count: number
  append(value: unknown): void
  /** The column so far. The builder can be reused after `reset`; the column keeps its own arrays. */
  finish(): Column
  reset(): void
}

export function columnBuilder(type: FieldType): ColumnBuilder {
  switch (type.kind) {
    case 'bool':
    case 'i32':
    case 'i64':
    case 'f64':
    case 'time':
    case 'decimal':
      return new NumberBuilder(type)
    case 'string':
    case 'bytes':
    case 'json':
      return new BytesBuilder(type.kind)
    case 'list':
      return new ListBuilder(type.item)
    case 'struct':
      return new StructBuilder(type.fields)
    case 'variant':
      return new VariantBuilder()
    default:
      return unreachable(type, 'kind')
  }
}

/** Builds the columns of whole rows: `rows[i]` is an object with the fields, coerced. */
export function columnsOf(fields: readonly Field[], rows: readonly Readonly<Record<string, unknown>>[]): Column[] {
  return fields.map((field) => {
    const builder = columnBuilder(field.type)
    for (const row of rows) builder.append(row[field.name] ?? null)
    return builder.finish()
  })
}

class Validity {
  #bytes: number[] = []
  #nulls = 0

  add(value: unknown): boolean {
    const present = value !== null && value !== undefined
    this.#bytes.push(present ? 1 : 0)
    if (!present) this.#nulls++
    return present
  }

  get count(): number {
    return this.#bytes.length
  }

  finish(): Uint8Array | null {
    return this.#nulls === 0 ? null : Uint8Array.from(this.#bytes)
  }

  reset(): void {
    this.#bytes = []
    this.#nulls = 0
  }
}

const neverFails = (): null => null

class NumberBuilder implements ColumnBuilder {
  readonly #type: FieldType
  readonly #validity = new Validity()
  #values: number[] = []
  /** Values beyond ±(2^53 - 1), by row: they promote the column. */
  #big = new Map<number, bigint>()

  constructor(type: FieldType) {
    this.#type = type
  }

  get count(): number {
    return this.#validity.count
  }

  append(value: unknown): void {
    const row = this.#values.length
    if (!this.#validity.add(value)) {
      this.#values.push(0)
      return
    }
    const number =
      this.#type.kind === 'decimal'
        ? must(scaledDecimal(value, this.#type.precision, this.#type.scale, neverFails), 'a decimal in range')
        : value
    this.#values.push(Number(number))
    if (typeof number === 'bigint' && !Number.isSafeInteger(Number(number))) this.#big.set(row, number)
  }

  finish(): Column {
    const validity = this.#validity.finish()
    switch (this.#type.kind) {
      case 'bool':
        return { layout: 'bool', values: Uint8Array.from(this.#values), validity }
      case 'i32':
        return { layout: 'i32', values: Int32Array.from(this.#values), validity }
      default:
        return this.#big.size === 0
          ? { layout: 'f64', values: Float64Array.from(this.#values), validity }
          : { layout: 'i64', values: promote(Float64Array.from(this.#values), this.#values.length, this.#big), validity }
    }
  }

  reset(): void {
    this.#validity.reset()
    this.#values = []
    this.#big = new Map()
  }
}

/** The integers of `values`, with the exact ones of `big` in their places. Values that are not whole (null rows) become 0. */
export function promote(values: Float64Array, count: number, big: ReadonlyMap<number, bigint>): BigInt64Array {
  const promoted = new BigInt64Array(count)
  for (let row = 0; row < count; row++) {
    const value = values[row] as number
    promoted[row] = Number.isSafeInteger(value) ? BigInt(value) : 0n
  }
  for (const [row, value] of big) if (row < count) promoted[row] = value
  return promoted
}

class BytesBuilder implements ColumnBuilder {
  readonly #kind: 'string' | 'bytes' | 'json'
  readonly #validity = new Validity()
  #offsets: number[] = [0]
  #data: Uint8Array = new Uint8Array(256)
  #at = 0

  constructor(kind: 'string' | 'bytes' | 'json') {
    this.#kind = kind
  }

  get count(): number {
    return this.#validity.count
  }

  append(value: unknown): void {
    if (this.#validity.add(value)) {
      if (value instanceof Uint8Array) this.#bytes(value)
      else this.#text(this.#kind === 'json' ? jsonText(value) : String(value))
    }
    this.#offsets.push(this.#at)
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#data.length) return
    const grown = new Uint8Array(Math.max(this.#at + more, this.#data.length * 2))
    grown.set(this.#data.subarray(0, this.#at))
    this.#data = grown
  }

  #bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#data.set(value, this.#at)
    this.#at += value.length
  }

  #text(value: string): void {
    this.#reserve(value.length * 3)
    this.#at = writeUtf8(this.#data, this.#at, value)
  }

  finish(): Column {
    return {
      layout: 'bytes',
      offsets: Int32Array.from(this.#offsets),
      data: this.#data.slice(0, this.#at),
      validity: this.#validity.finish(),
    }
  }

  reset(): void {
    this.#validity.reset()
    this.#offsets = [0]
    this.#at = 0
  }
}

class ListBuilder implements ColumnBuilder {
  readonly #items: ColumnBuilder
  readonly #validity = new Validity()
  #offsets: number[] = [0]

  constructor(item: FieldType) {
    this.#items = columnBuilder(item)
  }

  get count(): number {
    return this.#validity.count
  }

  append(value: unknown): void {
    if (this.#validity.add(value)) for (const item of value as readonly unknown[]) this.#items.append(item)
    this.#offsets.push(this.#items.count)
  }

  finish(): Column {
    return { layout: 'list', offsets: Int32Array.from(this.#offsets), items: this.#items.finish(), validity: this.#validity.finish() }
  }

  reset(): void {
    this.#validity.reset()
    this.#offsets = [0]
    this.#items.reset()
  }
}

class StructBuilder implements ColumnBuilder {
  readonly #fields: readonly Field[]
  readonly #children: readonly ColumnBuilder[]
  readonly #validity = new Validity()

  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#children = fields.map((field) => columnBuilder(field.type))
  }

  get count(): number {
    return this.#validity.count
  }

  append(value: unknown): void {
    const row = this.#validity.add(value) ? (value as Readonly<Record<string, unknown>>) : null
    for (let index = 0; index < this.#children.length; index++) {
      const name = must(this.#fields[index], 'field').name
      must(this.#children[index], 'child').append(row !== null && Object.hasOwn(row, name) ? row[name] : null)
    }
  }

  finish(): Column {
    return { layout: 'struct', children: this.#children.map((child) => child.finish()), validity: this.#validity.finish() }
  }

  reset(): void {
    this.#validity.reset()
    for (const child of this.#children) child.reset()
  }
}

class VariantBuilder implements ColumnBuilder {
  #values: unknown[] = []
  readonly #validity = new Validity()

  get count(): number {
    return this.#validity.count
  }

  append(value: unknown): void {
    this.#validity.add(value)
    this.#values.push(value ?? null)
  }

  finish(): Column {
    return { layout: 'variant', values: this.#values.slice(), validity: this.#validity.finish() }
  }

  reset(): void {
    this.#validity.reset()
    this.#values = []
  }
}
