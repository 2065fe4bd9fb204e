// Compiled expressions over batches: generated code per layout of the input columns, the interpreter where that cannot be. Both agree on
// every test (expression.property.test.ts).
import type { Batch, Column, Field, FieldType } from '../codec/column.ts'
import type { Expression } from '../plan/expression.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import { columnValue } from '../codec/column-value.ts'
import { writeUtf8 } from '../codec/utf8.ts'
import { eachField, typeOfExpression } from '../plan/expression-type.ts'
import { ExpressionCodegen, NotStatic, makeFunction, signatureOf, support } from './expression-codegen.ts'
import type { ColumnFunction, PredicateFunction } from './expression-codegen.ts'
import { interpret } from './expression-interpreter.ts'

/** `open`: rows are JavaScript values (`batch.values`); fields are their properties. */
export type ExpressionFields = readonly Field[] | 'open'

export interface VectorExpression {
  readonly type: FieldType
  readonly nullable: boolean
  /** Column indexed by the batch's physical row numbers; only the given rows are defined. Valid until the next call. */
  evaluate(batch: Batch, rows: Int32Array, count: number): Column
}

export interface VectorPredicate {
  /** Writes the rows where the expression is true to `out`, in order; returns their number. `out` may be `rows`. */
  select(batch: Batch, rows: Int32Array, count: number, out: Int32Array): number
}

/** Layouts vary little from batch to batch; beyond this many variants something is wrong with the caller and the interpreter takes over. */
const VARIANTS_MAX = 32

interface Variant<F> {
  readonly run: F
  readonly literals: readonly (readonly Uint8Array[])[]
}

/** Generated functions by layout signature; null where generation gave up. */
class Variants<F> {
  readonly #fields: readonly Field[]
  readonly #used: readonly number[]
  readonly #generate: (codegen: ExpressionCodegen) => string
  readonly #known = new Map<string, Variant<F> | null>()

  constructor(expression: Expression, fields: readonly Field[], generate: (codegen: ExpressionCodegen) => string) {
    const names = new Set<string>()
    eachField(expression, (name) => names.add(name))
    this.#fields = fields
    this.#used = [...names].map((name) => fields.findIndex((field) => field.name === name)).filter((index) => index >= 0)
    this.#generate = generate
  }

  for(batch: Batch): Variant<F> | null {
    const signature = signatureOf(batch.columns, this.#used)
    const known = this.#known.get(signature)
    if (known !== undefined) return known
    if (this.#known.size >= VARIANTS_MAX) return null
    const made = this.#make(batch)
    this.#known.set(signature, made)
    return made
  }

  #make(batch: Batch): Variant<F> | null {
    const codegen = new ExpressionCodegen(this.#fields, batch.columns)
    try {
      const source = this.#generate(codegen)
      return { run: makeFunction(source) as F, literals: codegen.literals }
    } catch (error) {
      if (error instanceof NotStatic) return null
      throw error
    }
  }
}

/** Reads fields of one row for the interpreter. */
export class RowFields {
  readonly #byName: ReadonlyMap<string, number> | null
  readonly #fields: readonly Field[]
  #batch: Batch | null = null
  #row = 0

  constructor(fields: ExpressionFields) {
    this.#fields = fields === 'open' ? [] : fields
    this.#byName = fields === 'open' ? null : new Map(fields.map((field, index) => [field.name, index]))
  }

  at(batch: Batch, row: number): void {
    this.#batch = batch
    this.#row = row
  }

  readonly read = (name: string): unknown => {
    const batch = this.#batch
    if (batch === null) return null
    if (this.#byName === null) {
      const value = batch.values?.[this.#row]
      return typeof value === 'object' && value !== null ? ((value as Readonly<Record<string, unknown>>)[name] ?? null) : null
    }
    const index = this.#byName.get(name)
    if (index === undefined) return null
    const column = batch.columns[index]
    const field = this.#fields[index]
    if (column === null || column === undefined || field === undefined) return null
    return columnValue(column, field.type, this.#row)
  }
}

export function compilePredicate(expression: Expression, fields: ExpressionFields, codegen: boolean): VectorPredicate {
  const row = new RowFields(fields)
  const variants =
    codegen && fields !== 'open'
      ? new Variants<PredicateFunction>(expression, fields, (generator) => generator.predicate(expression))
      : null
  const helpers = support()
  return {
    select(batch, rows, count, out) {
      const variant = batch.values === null ? (variants?.for(batch) ?? null) : null
      if (variant !== null) return variant.run(batch.columns, rows, count, out, null, variant.literals, helpers)
      let selected = 0
      for (let i = 0; i < count; i++) {
        const r = rows[i] as number
        row.at(batch, r)
        if (interpret(expression, row.read) === true) out[selected++] = r
      }
      return selected
    },
  }
}

export function compileExpression(expression: Expression, fields: ExpressionFields, codegen: boolean): VectorExpression {
  const shape = fields === 'open' ? { open: true as const } : { fields }
  const { type, nullable } = typeOfExpression(expression, shape, { operator: 'expression', place: null })
  if (expression.kind === 'field' && fields !== 'open') {
    const index = fields.findIndex((field) => field.name === expression.name)
    return {
      type,
      nullable,
      evaluate: (batch) => batch.columns[index] ?? interpretColumn(expression, new RowFields(fields), type, batch, new Int32Array(0), 0),
    }
  }
  return new CompiledExpression(expression, fields, type, nullable, codegen)
}

class CompiledExpression implements VectorExpression {
  readonly type: FieldType
  readonly nullable: boolean
  readonly #expression: Expression
  readonly #row: RowFields
  readonly #variants: Variants<ColumnFunction> | null
  readonly #texts = new TextColumn()
  readonly #support: ReturnType<typeof support> & { write: (row: number, text: string) => void }
  #numbers = new Float64Array(0)
  #bools = new Uint8Array(0)
  #integers = new Int32Array(0)
  #validity = new Uint8Array(0)

  constructor(expression: Expression, fields: ExpressionFields, type: FieldType, nullable: boolean, codegen: boolean) {
    this.type = type
    this.nullable = nullable
    this.#expression = expression
    this.#row = new RowFields(fields)
    this.#variants =
      codegen && fields !== 'open'
        ? new Variants<ColumnFunction>(expression, fields, (generator) => generator.column(expression).source)
        : null
    this.#support = { ...support(), write: (row, text) => this.#texts.write(row, text) }
  }

  evaluate(batch: Batch, rows: Int32Array, count: number): Column {
    const variant = batch.values === null ? (this.#variants?.for(batch) ?? null) : null
    if (variant === null) return interpretColumn(this.#expression, this.#row, this.type, batch, rows, count)
    const size = batch.rowCount
    if (this.#validity.length < size) {
      this.#validity = new Uint8Array(size)
      this.#numbers = new Float64Array(size)
      this.#bools = new Uint8Array(size)
    }
    const text = this.type.kind === 'string'
    const out = text ? null : this.type.kind === 'bool' ? this.#bools : this.#numbers
    if (text) this.#texts.reset(size)
    const nulls = variant.run(batch.columns, rows, count, out, this.#validity, variant.literals, this.#support)
    const validity = nulls === 0 ? null : this.#validity
    if (text) return this.#texts.column(validity)
    if (this.type.kind === 'bool') return { layout: 'bool', values: this.#bools, validity }
    if (this.type.kind === 'i32') return this.#asIntegers(size, validity)
    return { layout: 'f64', values: this.#numbers, validity }
  }

  #asIntegers(size: number, validity: Uint8Array | null): Column {
    if (this.#integers.length < size) this.#integers = new Int32Array(size)
    for (let row = 0; row < size; row++) this.#integers[row] = this.#numbers[row] as number
    return { layout: 'i32', values: this.#integers, validity }
  }
}

/** Texts written row by row into one growing buffer. */
class TextColumn {
  #data = new Uint8Array(4096)
  #starts = new Int32Array(0)
  #ends = new Int32Array(0)
  #at = 0

  reset(size: number): void {
    this.#at = 0
    if (this.#starts.length >= size) return
    this.#starts = new Int32Array(size)
    this.#ends = new Int32Array(size)
  }

  write(row: number, text: string): void {
    const most = text.length * 3
    if (this.#at + most > this.#data.length) {
      const grown = new Uint8Array((this.#at + most) * 2)
      grown.set(this.#data.subarray(0, this.#at))
      this.#data = grown
    }
    this.#starts[row] = this.#at
    this.#at = writeUtf8(this.#data, this.#at, text)
    this.#ends[row] = this.#at
  }

  column(validity: Uint8Array | null): Column {
    return { layout: 'slice', starts: this.#starts, ends: this.#ends, data: this.#data, validity }
  }
}

/** Rows that were not asked for are null in the result. */
function interpretColumn(expression: Expression, row: RowFields, type: FieldType, batch: Batch, rows: Int32Array, count: number): Column {
  const values: unknown[] = Array.from({ length: batch.rowCount }, () => null)
  for (let i = 0; i < count; i++) {
    const r = rows[i] as number
    row.at(batch, r)
    values[r] = interpret(expression, row.read)
  }
  if (type.kind === 'variant') return { layout: 'variant', values, validity: null }
  const builder = columnBuilder(type)
  for (const value of values) builder.append(value)
  return builder.finish()
}
