// JSON numbers into typed arrays, exactly as Number(text) has them. Up to 15 digits the digits are one exact integer, and an exact integer
// divided by an exact power of ten is rounded once, hence correctly; everything else goes through Number(text).
import { latin1Text } from '../utf8.ts'
import { FAIL, numberRest } from './scan.ts'

/** Powers of ten that a double holds exactly. */
export const POWERS_OF_TEN: Float64Array = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))
/** Most characters (digits, sign, point) of a number that takes the short way. */
export const SHORT_NUMBER_CHARS = 15

/** Reads a finite number at `at` into values[row]. FAIL when there is none or it overflows. */
export function floatInto(bytes: Uint8Array, at: number, end: number, values: Float64Array, row: number): number {
  const start = at
  const negative = at < end && bytes[at] === 45
  if (negative) at++
  if (at >= end) return FAIL
  let digit = (bytes[at] as number) - 48
  if (digit >>> 0 > 9) return FAIL
  let value = digit
  at++
  if (digit !== 0) {
    while (at < end) {
      digit = (bytes[at] as number) - 48
      if (digit >>> 0 > 9) break
      value = value * 10 + digit
      at++
    }
  }
  let scale = 0
  if (at < end && bytes[at] === 46) {
    const first = ++at
    while (at < end) {
      digit = (bytes[at] as number) - 48
      if (digit >>> 0 > 9) break
      value = value * 10 + digit
      at++
    }
    scale = at - first
    if (scale === 0) return FAIL
  }
  if (at - start > SHORT_NUMBER_CHARS || (at < end && ((bytes[at] as number) | 32) === 101))
    return longFloatInto(bytes, start, at, end, values, row)
  if (negative) value = -value
  values[row] = scale === 0 ? value : value / (POWERS_OF_TEN[scale] as number)
  return at
}

function longFloatInto(bytes: Uint8Array, start: number, at: number, end: number, values: Float64Array, row: number): number {
  const next = numberRest(bytes, at, end) // only an exponent can be left
  if (next === FAIL) return FAIL
  const value = Number(latin1Text(bytes, start, next))
  values[row] = value
  return Number.isFinite(value) ? next : FAIL
}

/** Reads a whole number within ±(2^53 - 1) at `at` into values[row]; 1e3 and 1.0 are whole numbers. */
export function integerInto(bytes: Uint8Array, at: number, end: number, values: Float64Array, row: number): number {
  const start = at
  const negative = at < end && bytes[at] === 45
  if (negative) at++
  if (at >= end) return FAIL
  let digit = (bytes[at] as number) - 48
  if (digit >>> 0 > 9) return FAIL
  let value = digit
  at++
  if (digit !== 0) {
    while (at < end) {
      digit = (bytes[at] as number) - 48
      if (digit >>> 0 > 9) break
      value = value * 10 + digit
      at++
    }
  }
  const next = at < end ? (bytes[at] as number) : 0
  if (at - start > SHORT_NUMBER_CHARS || next === 46 || (next | 32) === 101) return longIntegerInto(bytes, start, at, end, values, row)
  values[row] = negative ? 0 - value : value
  return at
}

function longIntegerInto(bytes: Uint8Array, start: number, at: number, end: number, values: Float64Array, row: number): number {
  const next = numberRest(bytes, at, end)
  if (next === FAIL) return FAIL
  const value = Number(latin1Text(bytes, start, next))
  values[row] = value + 0
  return Number.isSafeInteger(value) ? next : FAIL
}

/** Reads a plain number with at most `precision` digits, `scale` of them behind the point, as a scaled integer. FAIL for any other form. */
export function decimalInto(
  bytes: Uint8Array,
  at: number,
  end: number,
  values: Float64Array,
  row: number,
  precision: number,
  scale: number,
): number {
  const start = at
  const negative = at < end && bytes[at] === 45
  if (negative) at++
  if (at >= end) return FAIL
  let digit = (bytes[at] as number) - 48
  if (digit >>> 0 > 9) return FAIL
  let value = digit
  at++
  while (digit !== 0 || value !== 0) {
    digit = at < end ? (bytes[at] as number) - 48 : -1
    if (digit >>> 0 > 9) break
    value = value * 10 + digit
    at++
  }
  let digits = 0
  if (at < end && bytes[at] === 46) {
    const first = ++at
    while (at < end) {
      digit = (bytes[at] as number) - 48
      if (digit >>> 0 > 9) break
      value = value * 10 + digit
      at++
    }
    digits = at - first
    if (digits === 0) return FAIL
  }
  if (digits > scale || at - start + scale - digits > SHORT_NUMBER_CHARS || (at < end && ((bytes[at] as number) | 32) === 101)) return FAIL
  value *= POWERS_OF_TEN[scale - digits] as number
  if (value >= (POWERS_OF_TEN[precision] as number)) return FAIL
  values[row] = negative ? 0 - value : value
  return at
}
