// Schema coercion of JavaScript values: what a parsed JSON value becomes in a column of a given kind, or why it is refused.
// This is the slow obvious statement of the rules; the scanners must agree with it on every document (json/decoder.property.test.ts).
import { unreachable } from '../base/assert.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Field, FieldType } from './column.ts'
import { ExactNumber } from './json/exact.ts'
import { decodeBase64 } from './base64.ts'
import { parseTime } from './time-text.ts'

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
  readonly path: readonly (string | number)[]
}

/**
 * The value as the kind says: boolean, number, bigint (big i64), string (string, decimal), Uint8Array, array, object or null.
 * Pushes a problem and returns null when the value is refused; goes on with the siblings, so that all problems are named.
 */
export function coerce(
  type: FieldType,
  nullable: boolean,
  value: unknown,
  path: readonly (string | number)[],
  problems: Problem[],
): unknown {
  if (value === undefined || value === null) {
    if (!nullable) problems.push({ code: 'MR_CODEC_FIELD_MISSING', message: 'required', path })
    return null
  }
  const fail = (code: ErrorCode, message: string): null => {
    problems.push({ code, message, path })
    return null
  }
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' ? value : fail('MR_CODEC_FIELD_TYPE', 'expected true or false')
    case 'i32':
      return wholeNumber(value, -2147483648, 2147483647, fail)
    case 'i64':
      return type.big === true ? bigInteger(value, fail) : wholeNumber(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, fail)
    case 'f64': {
      const number = numberOf(value)
      if (number === null) return fail('MR_CODEC_FIELD_TYPE', 'expected a number')
      return Number.isFinite(number) ? number : fail('MR_CODEC_FIELD_RANGE', 'expected a finite number')
    }
    case 'time': {
      if (typeof value !== 'string')
        return wholeNumber(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, fail, 'expected milliseconds or ISO-8601')
      const time = parseTime(value)
      return Number.isNaN(time) ? fail('MR_CODEC_FIELD_TYPE', 'expected milliseconds or ISO-8601') : time
    }
    case 'decimal': {
      const scaled = scaledDecimal(value, type.precision, type.scale, fail)
      return scaled === null ? null : decimalText(scaled, type.scale)
    }
    case 'string':
      if (typeof value !== 'string') return fail('MR_CODEC_FIELD_TYPE', 'expected a string')
      return value.isWellFormed() ? value : fail('MR_CODEC_UTF8_INVALID', 'a lone surrogate has no UTF-8')
    case 'bytes': {
      if (value instanceof Uint8Array) return value
      const bytes = typeof value === 'string' ? decodeBase64(value) : null
      return bytes ?? fail('MR_CODEC_FIELD_TYPE', 'expected base64')
    }
    case 'json':
    case 'variant':
      return plain(value)
    case 'list':
      if (!Array.isArray(value)) return fail('MR_CODEC_FIELD_TYPE', 'expected an array')
      return value.map((item: unknown, index) => coerce(type.item, type.itemNullable, item ?? null, [...path, index], problems))
    case 'struct':
      if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber)
        return fail('MR_CODEC_FIELD_TYPE', 'expected an object')
      return coerceRow(type.fields, value as Readonly<Record<string, unknown>>, path, problems)
    default:
      return unreachable(type, 'kind')
  }
}

/** Every named field of `value`, coerced. Only own properties count, as in a document. */
export function coerceRow(
  fields: readonly Field[],
  value: Readonly<Record<string, unknown>>,
  path: readonly (string | number)[],
  problems: Problem[],
): Record<string, unknown> {
  const row: Record<string, unknown> = {}
  for (const field of fields) {
    const own = Object.hasOwn(value, field.name) ? value[field.name] : undefined
    row[field.name] = coerce(field.type, field.nullable, own, [...path, field.name], problems)
  }
  return row
}

type Fail = (code: ErrorCode, message: string) => null

function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value
  return value instanceof ExactNumber ? Number(value.text) : null
}

function wholeNumber(value: unknown, least: number, most: number, fail: Fail, expected = 'expected a whole number'): number | null {
  const number = numberOf(value)
  if (number === null) return fail('MR_CODEC_FIELD_TYPE', expected)
  if (!Number.isInteger(number) || number < least || number > most)
    return fail('MR_CODEC_FIELD_RANGE', `expected a whole number from ${least} to ${most}`)
  return number + 0 // -0 becomes 0: whole numbers have one zero
}

const INTEGER_TEXT = /^-?\d+$/
const DECIMAL_TEXT = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
const BIG_LEAST = -(2n ** 63n)
const BIG_MOST = 2n ** 63n - 1n

function bigInteger(value: unknown, fail: Fail): bigint | null {
  let big: bigint
  if (typeof value === 'bigint') big = value
  else if (typeof value === 'string') {
    if (!INTEGER_TEXT.test(value) || value.length > 40) return fail('MR_CODEC_FIELD_TYPE', 'expected a whole number')
    big = BigInt(value)
  } else {
    const number = numberOf(value)
    if (number === null) return fail('MR_CODEC_FIELD_TYPE', 'expected a whole number')
    // The digits are exact; 1e3 and 1.0 are whole numbers too and are exact as doubles where it matters.
    if (value instanceof ExactNumber && INTEGER_TEXT.test(value.text) && value.text.length < 40) big = BigInt(value.text)
    else if (Number.isSafeInteger(number)) big = BigInt(number)
    else return fail('MR_CODEC_FIELD_RANGE', 'expected a whole number of 64 bits')
  }
  return big >= BIG_LEAST && big <= BIG_MOST ? big : fail('MR_CODEC_FIELD_RANGE', 'expected a whole number of 64 bits')
}

/** The decimal as an integer scaled by 10^scale, or null after a problem. Digits beyond the scale must be zeros: money is not rounded. */
export function scaledDecimal(value: unknown, precision: number, scale: number, fail: Fail): bigint | null {
  let text: string
  if (typeof value === 'string') text = value
  else if (value instanceof ExactNumber) text = value.text
  else if (typeof value === 'number' || typeof value === 'bigint') text = String(value)
  else return fail('MR_CODEC_FIELD_TYPE', 'expected a decimal number')
  const match = DECIMAL_TEXT.exec(text)
  if (match === null) return fail('MR_CODEC_FIELD_TYPE', 'expected a decimal number')
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match
  const digits = (whole + fraction).replace(/^0+/, '')
  if (digits === '') return 0n
  const point = Number(exponentText) - fraction.length + scale // digits x 10^point is the scaled integer
  const trailing = digits.length - digits.replace(/0+$/, '').length
  if (digits.length + point > precision || point < -trailing)
    return fail('MR_CODEC_FIELD_RANGE', `expected at most ${precision} digits, ${scale} of them behind the point`)
  const magnitude = point >= 0 ? BigInt(digits) * 10n ** BigInt(point) : BigInt(digits.slice(0, digits.length + point))
  return sign === '-' ? -magnitude : magnitude
}

/** The text of a scaled integer with exactly `scale` fraction digits. */
export function decimalText(scaled: bigint | number, scale: number): string {
  const negative = scaled < 0
  const digits = String(negative ? -scaled : scaled).padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return negative ? `-${text}` : text
}

/** Replaces exact numbers inside a JSON value by plain ones. */
function plain(value: unknown): unknown {
  if (value instanceof ExactNumber) return Number(value.text)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const copy: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value))
    Object.defineProperty(copy, key, { value: plain(part), enumerable: true, writable: true, configurable: true })
  return copy
}
