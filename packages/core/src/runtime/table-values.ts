// Values of a live table: as a reader sees them, as a query asks for them, and their order. What a JavaScript number cannot hold exactly
// comes as a text of digits, so a text may stand for a number: its field says so, and it has the order of the number.
import type { Field, FieldType } from '../codec/column.ts'
import type { RowReader } from '../state/store.ts'
import { decodeBase64 } from '../codec/base64.ts'
import { decimalText, scaledDecimal } from '../codec/coerce.ts'
import { readKey } from '../codec/key-bytes.ts'
import { parseTime } from '../codec/time-text.ts'
import { MillraceError } from '../base/errors.ts'
import { textOf } from '../base/text-of.ts'

const TEXT = new TextDecoder()
const I32_LEAST = -(2 ** 31)
const I32_MOST = 2 ** 31 - 1
const BIG_LEAST = -(2n ** 63n)
const BIG_MOST = 2n ** 63n - 1n

/** The value of a column of a row: numbers, true/false, null and texts; bytes as base64; what has no type as JSON can say it. */
export function columnRead(row: RowReader, column: number, field: Field): unknown {
  if (field.nullable && row.isNull(column)) return null
  switch (field.type.kind) {
    case 'bool':
      return row.number(column) === 1
    case 'i32':
    case 'f64':
    case 'time':
      return row.number(column)
    case 'i64':
      return wholeRead(row.integer(column))
    case 'decimal':
      return decimalText(row.integer(column), field.type.scale)
    case 'string':
      return TEXT.decode(row.bytes(column))
    case 'bytes':
      return bytesRead(row.bytes(column))
    case 'json':
      return JSON.parse(TEXT.decode(row.bytes(column))) as unknown
    default: {
      const bytes = row.bytes(column)
      return asRead(readKey([{ ...field, nullable: false }], bytes, 0, bytes.length)[0])
    }
  }
}

/** A value as lambdas see it, which is how `readKey` gives it, as a reader sees it. */
export function asRead(value: unknown): unknown {
  if (typeof value === 'bigint') return wholeRead(value)
  return value instanceof Uint8Array ? bytesRead(value) : value
}

/** Exact: a number up to ±2^53, a text of digits beyond. */
function wholeRead(value: bigint): number | string {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

function bytesRead(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/**
 * A value of a query, which comes as text from a URL or a command line, as `readKey` would give it.
 * @throws {MillraceError} `MR_TABLE_KEY_INVALID` when it does not fit the field.
 */
export function keyAsked(field: Field, value: unknown, table: string): unknown {
  if (value === null || value === undefined) return field.nullable ? null : refuse(field, value, table)
  const asked = typedAsked(field, value)
  return asked === null ? refuse(field, value, table) : asked
}

/**
 * A text of a URL or a command line, which cannot be told from a null: in a field that may be null `null` is null, and the text is `"null"`
 * (and that one `""null""`).
 */
export function nullAsked({ nullable }: Field, value: unknown): unknown {
  if (!nullable || typeof value !== 'string') return value
  if (value === 'null') return null
  return /^("+)null\1$/.test(value) ? value.slice(1, -1) : value
}

function refuse(field: Field, value: unknown, table: string): never {
  throw new MillraceError('MR_TABLE_KEY_INVALID', {
    details: { table, field: field.name, kind: field.type.kind, expected: expectedOf(field.type), value: textOf(value).slice(0, 80) },
  })
}

function expectedOf(type: FieldType): string {
  switch (type.kind) {
    case 'i32':
      return 'a whole number of 32 bits'
    case 'i64':
      return type.big === true ? 'a whole number of 64 bits' : 'a whole number up to 2^53'
    case 'f64':
      return 'a finite number'
    case 'time':
      return 'whole milliseconds, or an ISO-8601 time'
    case 'decimal':
      return `an amount with at most ${type.precision} digits, ${type.scale} of them behind the point`
    case 'bool':
      return 'true or false'
    case 'bytes':
      return 'base64'
    default:
      return 'a value'
  }
}

/** Null: the value does not fit. */
function typedAsked({ type }: Field, value: unknown): unknown {
  switch (type.kind) {
    case 'i32':
      return wholeAsked(value, I32_LEAST, I32_MOST)
    case 'i64':
      return type.big === true ? bigAsked(value) : wholeAsked(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    case 'f64':
      return numberAsked(value)
    case 'time':
      return timeAsked(value)
    case 'decimal': {
      const scaled = scaledDecimal(textOf(value), type.precision, type.scale, () => null)
      return scaled === null ? null : decimalText(scaled, type.scale)
    }
    case 'bool':
      return typeof value === 'boolean' ? value : value === 'true' ? true : value === 'false' ? false : null
    case 'bytes':
      return value instanceof Uint8Array ? value : decodeBase64(textOf(value))
    case 'variant':
      return value
    default:
      return textOf(value)
  }
}

/** A finite number, written as people write numbers: `Number` also takes nothing at all for one. */
function numberAsked(value: unknown): number | null {
  const isText = typeof value === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)
  const number = isText || typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
  return Number.isFinite(number) ? number : null
}

/** A whole number in a range; a column would take the rest for another number. */
function wholeAsked(value: unknown, least: number, most: number): number | null {
  const number = numberAsked(value)
  return number !== null && Number.isInteger(number) && number >= least && number <= most ? number : null
}

function timeAsked(value: unknown): number | null {
  const isText = typeof value === 'string' && !/^-?\d+$/.test(value)
  return wholeAsked(isText ? parseTime(value) : value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
}

function bigAsked(value: unknown): bigint | null {
  const text = textOf(value)
  if (!/^-?\d{1,19}$/.test(text)) return null
  const big = BigInt(text)
  return big >= BIG_LEAST && big <= BIG_MOST ? big : null
}

/** The order of the values of a field as `columnRead` and `asRead` give them: nulls first. */
export function orderOf({ type }: Field): (a: unknown, b: unknown) => number {
  return type.kind === 'decimal' || (type.kind === 'i64' && type.big === true) ? compareDigits : compareValues
}

function compareValues(a: unknown, b: unknown): number {
  if (a === b) return 0
  if (a === null || a === undefined) return -1
  if (b === null || b === undefined) return 1
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [textOf(a), textOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Numbers as texts with equally many digits behind the point and no zeros before them: the longer is the larger, by its amount. */
function compareDigits(a: unknown, b: unknown): number {
  if (a === null || a === undefined || b === null || b === undefined) return compareValues(a, b)
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [textOf(a), textOf(b)]
  if (left === right) return 0
  const negative = left.startsWith('-')
  if (negative !== right.startsWith('-')) return negative ? -1 : 1
  const order = left.length - right.length || (left < right ? -1 : 1)
  return negative ? -order : order
}
