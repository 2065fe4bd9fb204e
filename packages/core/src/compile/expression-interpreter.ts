// Expressions interpreted row by row: the oracle of the generated code, and the path where code generation is forbidden or where the
// kinds are known per row only (variant, 64-bit integers). Values are JavaScript's; null is SQL's null.
import type { Expression, Literal, ScalarFunction } from '../plan/expression.ts'
import { unreachable } from '../base/assert.ts'
import { textOf } from '../base/text-of.ts'

export type Scalar = Literal

/** Gives the value of a field of the current row; anything that is not a scalar counts as an opaque value. */
export type FieldReader = (name: string) => unknown

export function interpret(expression: Expression, field: FieldReader): unknown {
  switch (expression.kind) {
    case 'field':
      return field(expression.name) ?? null
    case 'literal':
      return expression.value
    case 'binary':
      return binary(expression, field)
    case 'not': {
      const operand = asBool(interpret(expression.operand, field))
      return operand === null ? null : !operand
    }
    case 'negate': {
      const operand = asNumber(interpret(expression.operand, field))
      return operand === null ? null : -operand
    }
    case 'is-null':
      return interpret(expression.operand, field) === null
    case 'in':
      return isIn(interpret(expression.operand, field), expression.values)
    case 'coalesce': {
      for (const operand of expression.operands) {
        const value = interpret(operand, field)
        if (value !== null) return value
      }
      return null
    }
    case 'case': {
      for (const branch of expression.branches) if (asBool(interpret(branch.when, field)) === true) return interpret(branch.then, field)
      return interpret(expression.otherwise, field)
    }
    case 'call':
      return call(expression.name, expression.operands, field)
    default:
      return unreachable(expression, 'expression')
  }
}

function asBool(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}

function asNumber(value: unknown): number | bigint | null {
  return typeof value === 'number' || typeof value === 'bigint' ? value : null
}

function isIn(operand: unknown, values: readonly Literal[]): boolean | null {
  if (operand === null) return null
  let sawNull = false
  for (const value of values) {
    const equal = compare(operand, value)
    if (equal === 0) return true
    if (equal === null) sawNull = true
  }
  return sawNull && values.includes(null) ? null : false
}

/** Three-way comparison; null when either is null or the two are not of one class. */
export function compare(left: unknown, right: unknown): number | null {
  if (left === null || right === null) return null
  const a = asNumber(left)
  const b = asNumber(right)
  if (a !== null && b !== null) return a < b ? -1 : a > b ? 1 : 0
  if (typeof left === 'string' && typeof right === 'string') return compareText(left, right)
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right)
  return null
}

/** By code point, which is the order of the UTF-8 bytes and of the keys; `<` on JavaScript strings compares UTF-16 units. */
export function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at)
    const b = right.charCodeAt(at)
    if (a === b) continue
    // Surrogates stand for code points above all of the basic plane.
    const aHigh = a >= 0xd800 && a <= 0xdfff
    const bHigh = b >= 0xd800 && b <= 0xdfff
    if (aHigh !== bHigh) return aHigh ? 1 : -1
    return a < b ? -1 : 1
  }
  return left.length - right.length
}

function binary(expression: Extract<Expression, { kind: 'binary' }>, field: FieldReader): unknown {
  const { operator } = expression
  const left = interpret(expression.left, field)
  if (operator === 'and' || operator === 'or') {
    const decisive = operator === 'or'
    const a = asBool(left)
    if (a === decisive) return decisive
    const b = asBool(interpret(expression.right, field))
    if (b === decisive) return decisive
    return a === null || b === null ? null : !decisive
  }
  const right = interpret(expression.right, field)
  switch (operator) {
    case 'equal':
    case 'not-equal':
    case 'less':
    case 'less-equal':
    case 'greater':
    case 'greater-equal': {
      const order = compare(left, right)
      if (order === null) return null
      if (operator === 'equal') return order === 0
      if (operator === 'not-equal') return order !== 0
      if (operator === 'less') return order < 0
      if (operator === 'less-equal') return order <= 0
      return operator === 'greater' ? order > 0 : order >= 0
    }
    default:
      return arithmetic(operator, asNumber(left), asNumber(right))
  }
}

function arithmetic(
  operator: 'add' | 'subtract' | 'multiply' | 'divide' | 'modulo',
  left: number | bigint | null,
  right: number | bigint | null,
): number | bigint | null {
  if (left === null || right === null) return null
  if (typeof left === 'bigint' && typeof right === 'bigint' && operator !== 'divide') {
    switch (operator) {
      case 'add':
        return left + right
      case 'subtract':
        return left - right
      case 'multiply':
        return left * right
      case 'modulo':
        return right === 0n ? null : left % right
    }
  }
  // A bigint beside a whole number stays exact; beside a fraction it becomes a double.
  if (typeof left === 'bigint' && Number.isSafeInteger(right) && operator !== 'divide') return arithmetic(operator, left, BigInt(right))
  if (typeof right === 'bigint' && Number.isSafeInteger(left) && operator !== 'divide') return arithmetic(operator, BigInt(left), right)
  const a = Number(left)
  const b = Number(right)
  switch (operator) {
    case 'add':
      return a + b
    case 'subtract':
      return a - b
    case 'multiply':
      return a * b
    case 'divide':
      return b === 0 ? null : a / b
    case 'modulo':
      return b === 0 ? null : a % b
  }
}

/** Halves away from zero, as SQL rounds. */
export function roundAway(value: number): number {
  return value < 0 ? -Math.round(-value) : Math.round(value)
}

/** The UTC day of a time; null outside the range of dates. */
export function dayOf(timeMs: number): string | null {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString().replace(/T.*$/, '') : null
}

/** The number that a text spells in decimal, surrounding blanks allowed; null when it spells none. */
export function spelledNumber(text: string): number | null {
  const trimmed = text.trim()
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(trimmed)) return null
  const value = Number(trimmed)
  return Number.isFinite(value) ? value : null
}

function call(name: ScalarFunction, operands: readonly Expression[], field: FieldReader): unknown {
  const values = operands.map((operand) => interpret(operand, field))
  if (values.some((value) => value === null)) return null
  const [first] = values
  switch (name) {
    case 'floor':
    case 'ceil':
    case 'round':
    case 'abs':
      return ofNumber(name, asNumber(first))
    case 'lower':
      return typeof first === 'string' ? first.toLowerCase() : null
    case 'upper':
      return typeof first === 'string' ? first.toUpperCase() : null
    case 'length':
      return typeof first === 'string' ? first.length : null
    case 'starts-with':
      return typeof first === 'string' && typeof values[1] === 'string' ? first.startsWith(values[1]) : null
    case 'concat':
      return values.every((value) => typeof value === 'string') ? values.join('') : null
    case 'date': {
      const time = asNumber(first)
      return time === null ? null : dayOf(Number(time))
    }
    case 'truncate-time': {
      const time = asNumber(first)
      const unit = asNumber(values[1])
      return time === null || unit === null ? null : Math.floor(Number(time) / Number(unit)) * Number(unit)
    }
    case 'to-string':
      return textOf(first)
    case 'to-number':
      if (typeof first === 'string') return spelledNumber(first)
      if (typeof first === 'boolean') return first ? 1 : 0
      return typeof first === 'number' || typeof first === 'bigint' ? Number(first) : null
    default:
      return unreachable(name, 'function')
  }
}

function ofNumber(name: 'floor' | 'ceil' | 'round' | 'abs', value: number | bigint | null): number | bigint | null {
  if (value === null) return null
  if (typeof value === 'bigint') return name === 'abs' && value < 0n ? -value : value
  switch (name) {
    case 'floor':
      return Math.floor(value)
    case 'ceil':
      return Math.ceil(value)
    case 'round':
      return roundAway(value)
    case 'abs':
      return Math.abs(value)
  }
}
