// The type of an expression over a shape. One place decides it, so that the compiler, the sinks and the messages agree.
// Laws: an expression is null only where this says nullable; a kind never depends on values.
import type { Field, FieldType } from '../codec/column.ts'
import type { Expression, Literal, ScalarFunction } from './expression.ts'
import type { RowShape } from './node.ts'
import { fieldIn, refusePlan, sameType, typeText, type PlanPlace } from './shape.ts'

/** Type and nullability of an expression. */
export interface ExpressionType {
  readonly type: FieldType
  readonly nullable: boolean
}

/** `type` null is that of a bare null: it takes the type of whatever stands beside it. */
interface Typed {
  readonly type: FieldType | null
  readonly nullable: boolean
}

const BOOL: FieldType = { kind: 'bool' }
const I64: FieldType = { kind: 'i64' }
const BIG: FieldType = { kind: 'i64', big: true }
const F64: FieldType = { kind: 'f64' }
const TIME: FieldType = { kind: 'time' }
const STRING: FieldType = { kind: 'string' }
const VARIANT: FieldType = { kind: 'variant' }

const NUMERIC: ReadonlySet<string> = new Set(['i32', 'i64', 'f64', 'time', 'variant'])
const ARITHMETIC: ReadonlySet<string> = new Set(['add', 'subtract', 'multiply', 'divide', 'modulo'])

const isNumeric = (kind: string): boolean => NUMERIC.has(kind)
const isBool = (kind: string): boolean => kind === 'bool' || kind === 'variant'
const isText = (kind: string): boolean => kind === 'string' || kind === 'variant'

interface Need {
  readonly fits: (kind: string) => boolean
  readonly wanted: string
}
const NUMBER_NEEDED: Need = { fits: isNumeric, wanted: 'a number' }
const TEXT_NEEDED: Need = { fits: isText, wanted: 'a text' }
const TIME_NEEDED: Need = { fits: isNumeric, wanted: 'a time' }

/** What the first operand of a function must be (`concat` and `starts-with`: every operand); null takes anything. */
const CALL_NEEDS: Readonly<Record<ScalarFunction, Need | null>> = {
  floor: NUMBER_NEEDED,
  ceil: NUMBER_NEEDED,
  round: NUMBER_NEEDED,
  abs: NUMBER_NEEDED,
  lower: TEXT_NEEDED,
  upper: TEXT_NEEDED,
  length: TEXT_NEEDED,
  'starts-with': TEXT_NEEDED,
  concat: TEXT_NEEDED,
  date: TIME_NEEDED,
  'truncate-time': TIME_NEEDED,
  'to-string': null,
  'to-number': null,
}

class Typer {
  readonly #shape: RowShape
  readonly #at: PlanPlace
  readonly #side: string

  constructor(shape: RowShape, at: PlanPlace, side: string) {
    this.#shape = shape
    this.#at = at
    this.#side = side
  }

  of(expression: Expression): Typed {
    switch (expression.kind) {
      case 'field':
        return fieldIn(this.#shape, expression.name, this.#at, this.#side)
      case 'literal':
        return typeOfLiteral(expression.value)
      case 'binary':
        return this.#binary(expression)
      case 'not':
        return { type: BOOL, nullable: this.#need(expression.operand, 'not', isBool, 'true or false').nullable }
      case 'negate': {
        const operand = this.#need(expression.operand, 'negate', isNumeric, 'a number')
        return { type: arithmeticType('add', operand.type, null), nullable: operand.nullable || operand.type?.kind === 'variant' }
      }
      case 'is-null':
        this.of(expression.operand)
        return { type: BOOL, nullable: false }
      case 'in': {
        const operand = this.of(expression.operand)
        for (const value of expression.values) this.#comparable(operand, typeOfLiteral(value), 'in')
        return { type: BOOL, nullable: operand.nullable || expression.values.includes(null) }
      }
      case 'coalesce': {
        const parts = expression.operands.map((operand) => this.of(operand))
        return { type: this.#common(parts, 'coalesce'), nullable: parts.every((part) => part.nullable) }
      }
      case 'case': {
        for (const branch of expression.branches) this.#need(branch.when, 'when', isBool, 'true or false')
        const parts = [...expression.branches.map((branch) => this.of(branch.then)), this.of(expression.otherwise)]
        return { type: this.#common(parts, 'case'), nullable: parts.some((part) => part.nullable) }
      }
      case 'call':
        return this.#call(expression.name, expression.operands)
    }
  }

  #binary(expression: Expression & { readonly kind: 'binary' }): Typed {
    const { operator } = expression
    if (operator === 'and' || operator === 'or') {
      const left = this.#need(expression.left, operator, isBool, 'true or false')
      const right = this.#need(expression.right, operator, isBool, 'true or false')
      return { type: BOOL, nullable: left.nullable || right.nullable }
    }
    if (!ARITHMETIC.has(operator)) {
      const left = this.of(expression.left)
      const right = this.of(expression.right)
      this.#comparable(left, right, operator)
      return { type: BOOL, nullable: left.nullable || right.nullable }
    }
    const left = this.#need(expression.left, operator, isNumeric, 'a number')
    const right = this.#need(expression.right, operator, isNumeric, 'a number')
    // A division by zero, and a variant that is no number, give null.
    const mayVanish = left.type?.kind === 'variant' || right.type?.kind === 'variant' || operator === 'divide' || operator === 'modulo'
    return { type: arithmeticType(operator, left.type, right.type), nullable: left.nullable || right.nullable || mayVanish }
  }

  #call(name: ScalarFunction, operands: readonly Expression[]): Typed {
    const parts = operands.map((operand, index) => {
      const need = index === 0 ? CALL_NEEDS[name] : name === 'concat' || name === 'starts-with' ? CALL_NEEDS[name] : null
      return need === null ? this.of(operand) : this.#need(operand, name, need.fits, need.wanted)
    })
    const nullable = parts.some((part) => part.nullable || part.type?.kind === 'variant')
    const first = parts[0]?.type ?? null
    switch (name) {
      case 'floor':
      case 'ceil':
      case 'round':
      case 'abs':
        return { type: arithmeticType('add', first, null), nullable }
      case 'lower':
      case 'upper':
      case 'concat':
      case 'date':
      case 'to-string':
        return { type: STRING, nullable }
      case 'length':
        return { type: I64, nullable }
      case 'starts-with':
        return { type: BOOL, nullable }
      case 'truncate-time':
        return { type: TIME, nullable }
      case 'to-number':
        return { type: F64, nullable: nullable || first?.kind === 'string' }
    }
  }

  #need(operand: Expression, what: string, fits: (kind: string) => boolean, wanted: string): Typed {
    const typed = this.of(operand)
    if (typed.type !== null && !fits(typed.type.kind)) {
      refusePlan('MR_PLAN_FIELD_TYPE', this.#at, `\`${what}\` needs ${wanted}, and ${nameOf(operand)} is ${typeText(typed.type)}.`)
    }
    return typed
  }

  #comparable(left: Typed, right: Typed, what: string): void {
    if (left.type === null || right.type === null) return
    const [a, b] = [comparisonClass(left.type), comparisonClass(right.type)]
    if (a === null || b === null)
      refusePlan('MR_PLAN_FIELD_TYPE', this.#at, `\`${what}\` cannot compare ${typeText(a === null ? left.type : right.type)}.`)
    if (a !== b && a !== 'any' && b !== 'any')
      refusePlan('MR_PLAN_FIELD_TYPE', this.#at, `\`${what}\` compares ${typeText(left.type)} with ${typeText(right.type)}.`)
  }

  #common(parts: readonly Typed[], what: string): FieldType | null {
    let common: FieldType | null = null
    for (const { type } of parts) {
      if (type === null) continue
      if (common === null || sameType(common, type)) common = type
      else if (common.kind === 'variant' || type.kind === 'variant') common = VARIANT
      else if (NUMERIC.has(common.kind) && NUMERIC.has(type.kind)) common = arithmeticType('add', common, type)
      else
        refusePlan(
          'MR_PLAN_FIELD_TYPE',
          this.#at,
          `the branches of \`${what}\` are ${typeText(common)} and ${typeText(type)}; they must be of one type.`,
        )
    }
    return common
  }
}

function nameOf(expression: Expression): string {
  return expression.kind === 'field' ? `\`${expression.name}\`` : 'the operand'
}

function typeOfLiteral(value: Literal): Typed {
  if (value === null) return { type: null, nullable: true }
  if (typeof value === 'number') return { type: Number.isSafeInteger(value) ? I64 : F64, nullable: false }
  if (typeof value === 'bigint') return { type: BIG, nullable: false }
  return { type: typeof value === 'boolean' ? BOOL : STRING, nullable: false }
}

/** Types that can be compared with each other share a class; null cannot be compared at all. A time compares with a number of ms. */
function comparisonClass(type: FieldType): 'number' | 'text' | 'bool' | 'any' | null {
  if (type.kind === 'variant') return 'any'
  if (NUMERIC.has(type.kind)) return 'number'
  if (type.kind === 'string') return 'text'
  return type.kind === 'bool' ? 'bool' : null
}

/** Time keeps its meaning under `time ± number`; whole numbers stay whole, except under `divide`; anything else is f64. */
function arithmeticType(operator: string, left: FieldType | null, right: FieldType | null): FieldType {
  const [a, b] = [left?.kind ?? 'i64', right?.kind ?? 'i64']
  if (operator === 'divide') return F64
  if (left?.kind === 'time' && right === null) return TIME
  if (a === 'time' && b === 'time') return operator === 'subtract' || operator === 'modulo' ? I64 : TIME
  if ((a === 'time' && operator !== 'multiply') || (b === 'time' && operator === 'add')) return operator === 'modulo' ? I64 : TIME
  if (a === 'f64' || b === 'f64' || a === 'variant' || b === 'variant' || a === 'time' || b === 'time') return F64
  const big = (left?.kind === 'i64' && left.big === true) || (right?.kind === 'i64' && right.big === true)
  return big ? BIG : I64
}

/**
 * Type of `expression` over rows of `shape`.
 * @throws {MillraceError} `MR_PLAN_FIELD_UNKNOWN` (with the nearest name) and `MR_PLAN_FIELD_TYPE`.
 */
export function typeOfExpression(expression: Expression, shape: RowShape, at: PlanPlace, side = 'the stream'): ExpressionType {
  const { type, nullable } = new Typer(shape, at, side).of(expression)
  return { type: type ?? VARIANT, nullable }
}

/** The expression as a named column. */
export function fieldOfExpression(name: string, expression: Expression, shape: RowShape, at: PlanPlace): Field {
  return { name, ...typeOfExpression(expression, shape, at) }
}

/** Calls back for the name of each field that the expression reads. */
export function eachField(expression: Expression, each: (name: string) => void): void {
  switch (expression.kind) {
    case 'field':
      each(expression.name)
      return
    case 'literal':
      return
    case 'binary':
      eachField(expression.left, each)
      eachField(expression.right, each)
      return
    case 'not':
    case 'negate':
    case 'is-null':
    case 'in':
      eachField(expression.operand, each)
      return
    case 'coalesce':
    case 'call':
      for (const operand of expression.operands) eachField(operand, each)
      return
    case 'case':
      for (const branch of expression.branches) {
        eachField(branch.when, each)
        eachField(branch.then, each)
      }
      eachField(expression.otherwise, each)
  }
}
