// Expressions as generated JavaScript: one loop over the rows of a batch, specialised to the layouts of the columns that it reads.
// Static kinds decide everything: a value is a number, a text or a bool, with a null test only where the type says nullable and the column
// of this batch has nulls. What has no static kind (variant, 64-bit integers) is left to the interpreter.
import type { Column, Field } from '../codec/column.ts'
import type { Expression } from '../plan/expression.ts'
import { compareText, dayOf, roundAway, spelledNumber } from './expression-interpreter.ts'
import { unreachable } from '../base/assert.ts'
import { generate } from '../codec/generate.ts'
import { utf8Text } from '../codec/utf8.ts'

type ValueKind = 'number' | 'text' | 'bool'

/** Code of a value: `value` is meaningless where `isNull` holds; `isNull` null means never. */
interface Code {
  readonly kind: ValueKind
  readonly value: string
  readonly isNull: string | null
}

/** What the generated function calls; handed in as one object, so that it closes over nothing else. */
const SUPPORT = {
  compareText,
  dayOf,
  roundAway,
  spelledNumber,
  text(column: Column, row: number): string {
    switch (column.layout) {
      case 'bytes':
        return utf8Text(column.data, column.offsets[row] as number, column.offsets[row + 1] as number)
      case 'slice':
        return utf8Text(column.data, column.starts[row] as number, column.ends[row] as number)
      case 'dictionary': {
        const id = column.ids[row] as number
        return utf8Text(column.dictionary.data, column.dictionary.offsets[id] as number, column.dictionary.offsets[id + 1] as number)
      }
      default:
        return ''
    }
  },
  /** One flag per dictionary entry: whether it is one of the literals. */
  matches(column: Column, literals: readonly Uint8Array[]): Uint8Array {
    if (column.layout !== 'dictionary') return new Uint8Array(0)
    const flags = new Uint8Array(column.dictionaryCount)
    const { data, offsets } = column.dictionary
    for (let id = 0; id < column.dictionaryCount; id++) {
      flags[id] = literals.some((literal) => SUPPORT.same(data, offsets[id] as number, offsets[id + 1] as number, literal)) ? 1 : 0
    }
    return flags
  },
  same(data: Uint8Array, start: number, end: number, literal: Uint8Array): boolean {
    if (end - start !== literal.length) return false
    for (let at = 0; at < literal.length; at++) if (data[start + at] !== literal[at]) return false
    return true
  },
  among(data: Uint8Array, start: number, end: number, literals: readonly Uint8Array[]): boolean {
    return literals.some((literal) => SUPPORT.same(data, start, end, literal))
  },
}

export class NotStatic extends Error {}

const encoder = new TextEncoder()

/** True when every field that the expression reads has a static kind that generated code handles. */
function kindOf(field: Field): ValueKind {
  switch (field.type.kind) {
    case 'bool':
      return 'bool'
    case 'i32':
    case 'f64':
    case 'time':
      return 'number'
    case 'i64':
      if (field.type.big === true) throw new NotStatic()
      return 'number'
    case 'string':
      return 'text'
    default:
      throw new NotStatic()
  }
}

export class ExpressionCodegen {
  readonly #fields: readonly Field[]
  readonly #columns: readonly (Column | null)[]
  /** Declarations before the loop, by column. */
  readonly #prologue: string[] = []
  readonly #bound = new Set<string>()
  readonly #body: string[] = []
  readonly literals: Uint8Array[][] = []
  #temporaries = 0

  constructor(fields: readonly Field[], columns: readonly (Column | null)[]) {
    this.#fields = fields
    this.#columns = columns
  }

  /** The source of `(columns, rows, count, out, validity, literals, support) => selectedCount`. */
  predicate(expression: Expression): string {
    const code = this.#emit(expression)
    const test = code.isNull === null ? code.value : `!(${code.isNull}) && ${code.value}`
    return this.#wrap([...this.#body, `if (${test}) out[selected++] = r`], 'let selected = 0', 'return selected')
  }

  /** The source of a function that writes one value per row: numbers and bools into `out[r]`, texts through `write(r, text)`. */
  column(expression: Expression): { readonly source: string; readonly kind: ValueKind } {
    const code = this.#emit(expression)
    const store =
      code.kind === 'text'
        ? `support.write(r, ${code.value})`
        : code.kind === 'bool'
          ? `out[r] = ${code.value} ? 1 : 0`
          : `out[r] = ${code.value}`
    const line =
      code.isNull === null
        ? `validity[r] = 1; ${store}`
        : `if (${code.isNull}) { validity[r] = 0; nulls++ } else { validity[r] = 1; ${store} }`
    return { source: this.#wrap([...this.#body, line], 'let nulls = 0', 'return nulls'), kind: code.kind }
  }

  #wrap(body: readonly string[], before: string, after: string): string {
    return [
      '"use strict"',
      ...this.#prologue,
      before,
      'for (let i = 0; i < count; i++) {',
      '  const r = rows[i]',
      ...body.map((line) => `  ${line}`),
      '}',
      after,
    ].join('\n')
  }

  #temporary(): string {
    return `t${this.#temporaries++}`
  }

  #emit(expression: Expression): Code {
    switch (expression.kind) {
      case 'field':
        return this.#field(expression.name)
      case 'literal':
        return this.#literal(expression.value)
      case 'binary':
        return this.#binary(expression)
      case 'not': {
        const operand = this.#emit(expression.operand)
        return { kind: 'bool', value: `!${operand.value}`, isNull: operand.isNull }
      }
      case 'negate': {
        const operand = this.#number(expression.operand)
        return { kind: 'number', value: `(-${operand.value})`, isNull: operand.isNull }
      }
      case 'is-null': {
        const operand = this.#emit(expression.operand)
        return { kind: 'bool', value: operand.isNull === null ? 'false' : `(${operand.isNull})`, isNull: null }
      }
      case 'in':
        return this.#in(expression)
      case 'coalesce':
        return this.#coalesce(expression.operands)
      case 'case':
        return this.#case(expression)
      case 'call':
        return this.#call(expression)
      default:
        return unreachable(expression, 'expression')
    }
  }

  #number(expression: Expression): Code {
    const code = this.#emit(expression)
    if (code.kind !== 'number') throw new NotStatic()
    return code
  }

  #columnOf(name: string): { readonly index: number; readonly field: Field; readonly column: Column } {
    const index = this.#fields.findIndex((field) => field.name === name)
    const field = this.#fields[index]
    const column = this.#columns[index]
    if (field === undefined || column === undefined || column === null) throw new NotStatic()
    return { index, field, column }
  }

  #field(name: string): Code {
    const { index, field, column } = this.#columnOf(name)
    const kind = kindOf(field)
    this.#bind(index, column)
    const isNull = column.validity === null ? null : `v${index}[r] !== 1`
    if (kind === 'text') return { kind, value: `support.text(c${index}, r)`, isNull }
    if (column.layout !== 'f64' && column.layout !== 'i32' && column.layout !== 'bool') throw new NotStatic()
    return { kind, value: kind === 'bool' ? `(a${index}[r] === 1)` : `a${index}[r]`, isNull }
  }

  #bind(index: number, column: Column): void {
    if (this.#bound.has(`c${index}`)) return
    this.#bound.add(`c${index}`)
    this.#prologue.push(`const c${index} = columns[${index}]`)
    if (column.validity !== null) this.#prologue.push(`const v${index} = c${index}.validity`)
    if (column.layout === 'f64' || column.layout === 'i32' || column.layout === 'bool')
      this.#prologue.push(`const a${index} = c${index}.values`)
    if (column.layout === 'dictionary') this.#prologue.push(`const i${index} = c${index}.ids`)
  }

  #literal(value: unknown): Code {
    if (typeof value === 'number') return { kind: 'number', value: `(${Object.is(value, -0) ? '-0' : String(value)})`, isNull: null }
    if (typeof value === 'string') return { kind: 'text', value: JSON.stringify(value), isNull: null }
    if (typeof value === 'boolean') return { kind: 'bool', value: String(value), isNull: null }
    // A bare null has no kind of its own, a bigint is exact: the interpreter knows both.
    throw new NotStatic()
  }

  #anyNull(parts: readonly Code[]): string | null {
    const tests = parts.flatMap((part) => (part.isNull === null ? [] : [part.isNull]))
    return tests.length === 0 ? null : tests.map((test) => `(${test})`).join(' || ')
  }

  #binary(expression: Extract<Expression, { kind: 'binary' }>): Code {
    const { operator } = expression
    if (operator === 'and' || operator === 'or') return this.#logic(expression)
    if (operator === 'equal' || operator === 'not-equal') {
      const fast = this.#textEquality(expression)
      if (fast !== null) return fast
    }
    const left = this.#emit(expression.left)
    const right = this.#emit(expression.right)
    const isNull = this.#anyNull([left, right])
    const symbols = { equal: '===', 'not-equal': '!==', less: '<', 'less-equal': '<=', greater: '>', 'greater-equal': '>=' } as const
    if (operator in symbols) {
      const symbol = symbols[operator as keyof typeof symbols]
      if (left.kind !== right.kind) throw new NotStatic()
      if (left.kind === 'text' && symbol !== '===' && symbol !== '!==')
        return { kind: 'bool', value: `(support.compareText(${left.value}, ${right.value}) ${symbol} 0)`, isNull }
      return { kind: 'bool', value: `(${left.value} ${symbol} ${right.value})`, isNull }
    }
    if (left.kind !== 'number' || right.kind !== 'number') throw new NotStatic()
    const sign = { add: '+', subtract: '-', multiply: '*', divide: '/', modulo: '%' }[
      operator as 'add' | 'subtract' | 'multiply' | 'divide' | 'modulo'
    ]
    if (operator !== 'divide' && operator !== 'modulo') return { kind: 'number', value: `(${left.value} ${sign} ${right.value})`, isNull }
    const zero = `${right.value} === 0`
    return { kind: 'number', value: `(${left.value} ${sign} ${right.value})`, isNull: isNull === null ? zero : `${isNull} || ${zero}` }
  }

  /** Three-valued logic with values in temporaries, so that nothing is computed twice. */
  #logic(expression: Extract<Expression, { kind: 'binary' }>): Code {
    const left = this.#emit(expression.left)
    const right = this.#emit(expression.right)
    if (left.kind !== 'bool' || right.kind !== 'bool') throw new NotStatic()
    const and = expression.operator === 'and'
    if (left.isNull === null && right.isNull === null)
      return { kind: 'bool', value: `(${left.value} ${and ? '&&' : '||'} ${right.value})`, isNull: null }
    const [a, b] = [this.#temporary(), this.#temporary()]
    // 0 = false, 1 = true, 2 = null.
    this.#body.push(`const ${a} = ${left.isNull === null ? '' : `(${left.isNull}) ? 2 : `}(${left.value} ? 1 : 0)`)
    this.#body.push(`const ${b} = ${right.isNull === null ? '' : `(${right.isNull}) ? 2 : `}(${right.value} ? 1 : 0)`)
    const decisive = and ? 0 : 1
    return {
      kind: 'bool',
      value: and ? `(${a} === 1 && ${b} === 1)` : `(${a} === 1 || ${b} === 1)`,
      isNull: `${a} !== ${decisive} && ${b} !== ${decisive} && (${a} === 2 || ${b} === 2)`,
    }
  }

  /** `field = 'text'` compares bytes, and dictionary ids once per batch. */
  #textEquality(expression: Extract<Expression, { kind: 'binary' }>): Code | null {
    const [field, literal] = expression.left.kind === 'field' ? [expression.left, expression.right] : [expression.right, expression.left]
    if (field.kind !== 'field' || literal.kind !== 'literal' || typeof literal.value !== 'string') return null
    const code = this.#textAmong(field.name, [literal.value])
    return code === null || expression.operator === 'equal' ? code : { ...code, value: `!${code.value}` }
  }

  #textAmong(name: string, texts: readonly string[]): Code | null {
    const { index, field, column } = this.#columnOf(name)
    if (kindOf(field) !== 'text') return null
    this.#bind(index, column)
    const isNull = column.validity === null ? null : `v${index}[r] !== 1`
    const number = this.literals.length
    this.literals.push(texts.map((text) => encoder.encode(text)))
    const list = `literals[${number}]`
    if (column.layout === 'dictionary') {
      this.#prologue.push(`const m${number} = support.matches(c${index}, ${list})`)
      return { kind: 'bool', value: `(m${number}[i${index}[r]] === 1)`, isNull }
    }
    const start = column.layout === 'slice' ? `c${index}.starts[r]` : `c${index}.offsets[r]`
    const end = column.layout === 'slice' ? `c${index}.ends[r]` : `c${index}.offsets[r + 1]`
    if (texts.length === 1) return { kind: 'bool', value: `support.same(c${index}.data, ${start}, ${end}, ${list}[0])`, isNull }
    return { kind: 'bool', value: `support.among(c${index}.data, ${start}, ${end}, ${list})`, isNull }
  }

  #in(expression: Extract<Expression, { kind: 'in' }>): Code {
    const { operand, values } = expression
    if (values.length === 0 || values.includes(null)) throw new NotStatic()
    if (operand.kind === 'field' && values.every((value): value is string => typeof value === 'string')) {
      const fast = this.#textAmong(operand.name, values)
      if (fast !== null) return fast
    }
    const code = this.#emit(operand)
    const tests = values.map((value) => {
      const literal = this.#literal(value)
      if (literal.kind !== code.kind) throw new NotStatic()
      return `${code.value} === ${literal.value}`
    })
    return { kind: 'bool', value: `(${tests.join(' || ')})`, isNull: code.isNull }
  }

  #coalesce(operands: readonly Expression[]): Code {
    const parts = operands.map((operand) => this.#emit(operand))
    const [first] = parts
    if (first === undefined || parts.some((part) => part.kind !== first.kind)) throw new NotStatic()
    let value = ''
    for (const part of parts.slice(0, -1)) value += part.isNull === null ? `${part.value} : ` : `!(${part.isNull}) ? ${part.value} : `
    const last = parts.at(-1) as Code
    const closed = parts.findIndex((part) => part.isNull === null)
    if (closed >= 0) {
      const head = parts
        .slice(0, closed)
        .map((part) => `!(${String(part.isNull)}) ? ${part.value} : `)
        .join('')
      return { kind: first.kind, value: `(${head}${(parts[closed] as Code).value})`, isNull: null }
    }
    return { kind: first.kind, value: `(${value}${last.value})`, isNull: parts.map((part) => `(${String(part.isNull)})`).join(' && ') }
  }

  #case(expression: Extract<Expression, { kind: 'case' }>): Code {
    const branches = expression.branches.map((branch) => ({ when: this.#emit(branch.when), result: this.#emit(branch.then) }))
    const otherwise = this.#emit(expression.otherwise)
    const results = [...branches.map((branch) => branch.result), otherwise]
    if (results.some((result) => result.kind !== otherwise.kind) || branches.some((branch) => branch.when.kind !== 'bool'))
      throw new NotStatic()
    const test = (when: Code): string => (when.isNull === null ? when.value : `(!(${when.isNull}) && ${when.value})`)
    const value = `(${branches.map((branch) => `${test(branch.when)} ? ${branch.result.value} : `).join('')}${otherwise.value})`
    if (results.every((result) => result.isNull === null)) return { kind: otherwise.kind, value, isNull: null }
    const isNull = `(${branches.map((branch) => `${test(branch.when)} ? (${branch.result.isNull ?? 'false'}) : `).join('')}(${otherwise.isNull ?? 'false'}))`
    return { kind: otherwise.kind, value, isNull }
  }

  #call(expression: Extract<Expression, { kind: 'call' }>): Code {
    const parts = expression.operands.map((operand) => this.#emit(operand))
    const isNull = this.#anyNull(parts)
    const [first, second] = parts
    if (first === undefined) throw new NotStatic()
    const needs = (kind: ValueKind, code: Code | undefined): string => {
      if (code?.kind !== kind) throw new NotStatic()
      return code.value
    }
    switch (expression.name) {
      case 'floor':
      case 'ceil':
      case 'abs':
        return { kind: 'number', value: `Math.${expression.name}(${needs('number', first)})`, isNull }
      case 'round':
        return { kind: 'number', value: `support.roundAway(${needs('number', first)})`, isNull }
      case 'lower':
        return { kind: 'text', value: `${needs('text', first)}.toLowerCase()`, isNull }
      case 'upper':
        return { kind: 'text', value: `${needs('text', first)}.toUpperCase()`, isNull }
      case 'length':
        return { kind: 'number', value: `${needs('text', first)}.length`, isNull }
      case 'starts-with':
        return { kind: 'bool', value: `${needs('text', first)}.startsWith(${needs('text', second)})`, isNull }
      case 'concat':
        return { kind: 'text', value: `(${parts.map((part) => needs('text', part)).join(' + ')})`, isNull }
      case 'date':
        return this.#maybe('text', `support.dayOf(${needs('number', first)})`, isNull)
      case 'truncate-time':
        return {
          kind: 'number',
          value: `(Math.floor(${needs('number', first)} / ${needs('number', second)}) * ${needs('number', second)})`,
          isNull,
        }
      case 'to-string':
        return { kind: 'text', value: `String(${first.value})`, isNull }
      case 'to-number':
        if (first.kind === 'text') return this.#maybe('number', `support.spelledNumber(${first.value})`, isNull)
        return first.kind === 'bool' ? { kind: 'number', value: `(${first.value} ? 1 : 0)`, isNull } : first
      default:
        return unreachable(expression.name, 'function')
    }
  }

  /** A helper that answers null itself. */
  #maybe(kind: ValueKind, value: string, isNull: string | null): Code {
    const name = this.#temporary()
    this.#body.push(`const ${name} = ${isNull === null ? value : `(${isNull}) ? null : ${value}`}`)
    return { kind, value: name, isNull: `${name} === null` }
  }
}

export type PredicateFunction = (
  columns: readonly (Column | null)[],
  rows: Int32Array,
  count: number,
  out: Int32Array,
  validity: null,
  literals: readonly (readonly Uint8Array[])[],
  support: typeof SUPPORT,
) => number
export type ColumnFunction = (
  columns: readonly (Column | null)[],
  rows: Int32Array,
  count: number,
  out: Float64Array | Uint8Array | null,
  validity: Uint8Array,
  literals: readonly (readonly Uint8Array[])[],
  support: typeof SUPPORT & { write: (row: number, text: string) => void },
) => number

const PARAMETERS = ['columns', 'rows', 'count', 'out', 'validity', 'literals', 'support'] as const

/** The text is built from plan nodes alone: names of fields are never part of it. */
export function makeFunction(source: string): (...args: never[]) => number {
  return generate('nothing', null, `return (${PARAMETERS.join(', ')}) => {\n${source}\n}`) as (...args: never[]) => number
}

export function support(): typeof SUPPORT {
  return SUPPORT
}

/** Layouts of the columns that decide the generated code. */
export function signatureOf(columns: readonly (Column | null)[], used: readonly number[]): string {
  let signature = ''
  for (const index of used) {
    const column = columns[index]
    signature += column === null || column === undefined ? '-' : `${column.layout}${column.validity === null ? '' : '?'} `
  }
  return signature
}
