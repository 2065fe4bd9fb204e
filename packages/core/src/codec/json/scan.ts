// The grammar of JSON over bytes (RFC 8259), strictly as a fatal UTF-8 decoder and JSON.parse together have it. Functions take the position
// to start at and the end of the document, and return the position behind what they read, or FAIL. They never read beyond `end` for a
// decision. Four bytes are tested at once where it pays (SIMD within a register).
import { sequenceEnd } from '../utf8.ts'

export const FAIL = -1
/** Objects and arrays inside each other; deeper documents are refused, so that no document can exhaust the stack. */
export const JSON_DEPTH_MAX = 512

/** Why and where the last FAIL happened; one record is scanned at a time. */
export const failure: { at: number; reason: 'syntax' | 'utf8' | 'depth' } = { at: 0, reason: 'syntax' }

function fail(at: number, reason: 'syntax' | 'utf8' | 'depth' = 'syntax'): number {
  failure.at = at
  failure.reason = reason
  return FAIL
}

export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at] as number
    if (byte > 32 || (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9)) return at
    at++
  }
  return at
}

/** What `stringEnd` returns for a string with escapes whose closing quote is at `end`; its own inverse. */
export function escapedEnd(end: number): number {
  return -end - 2
}

/**
 * The position of the quote that closes the string whose content starts at `at`; `escapedEnd(position)` (below -1) when there are escapes.
 * The high bit of a byte of `special` is set where the byte is a quote or control character ((b ^ 2) < 0x21), a backslash, or not ASCII
 * (the backslash term keeps the high bit of every other byte above 0x7f but 0xdc, the first term that one); borrows only travel upward,
 * so the lowest set bit is exact.
 */
export function stringEnd(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  const last = end - 4
  while (at <= last) {
    const word = view.getInt32(at, true)
    const special = (((word ^ 0x02020202) - 0x21212121) | ((word ^ 0x5c5c5c5c) - 0x01010101)) & 0x80808080
    if (special !== 0) {
      at += (31 - Math.clz32(special & -special)) >> 3
      return bytes[at] === 34 ? at : stringRest(bytes, at, end)
    }
    at += 4
  }
  return stringRest(bytes, at, end)
}

/** The same, byte by byte, from anywhere inside a string. */
export function stringRest(bytes: Uint8Array, at: number, end: number): number {
  let escaped = false
  while (at < end) {
    const byte = bytes[at] as number
    if (byte === 34) return escaped ? escapedEnd(at) : at
    if (byte === 92) {
      escaped = true
      at = escapeEnd(bytes, at, end)
      if (at === FAIL) return FAIL
    } else if (byte >= 128) {
      const next = sequenceEnd(bytes, at, end)
      if (next < 0) return fail(at, 'utf8')
      at = next
    } else if (byte < 32) return fail(at)
    else at++
  }
  return fail(end)
}

function isHex(byte: number): boolean {
  return (byte - 48) >>> 0 <= 9 || ((byte | 32) - 97) >>> 0 <= 5
}

function escapeEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return fail(end)
  switch (bytes[at + 1]) {
    case 34: // "
    case 47: // /
    case 92: // \
    case 98: // b
    case 102: // f
    case 110: // n
    case 114: // r
    case 116: // t
      return at + 2
    case 117: // u
      if (at + 6 > end) return fail(end)
      for (let offset = 2; offset < 6; offset++) if (!isHex(bytes[at + offset] as number)) return fail(at + offset)
      return at + 6
    default:
      return fail(at + 1)
  }
}

function isDigit(bytes: Uint8Array, at: number, end: number): boolean {
  return at < end && ((bytes[at] as number) - 48) >>> 0 <= 9
}

export function skipNumber(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] === 45) at++
  if (!isDigit(bytes, at, end)) return fail(at)
  if (bytes[at] === 48) at++
  else while (isDigit(bytes, at, end)) at++
  return numberRest(bytes, at, end)
}

/** Fraction and exponent, from behind the whole digits. */
export function numberRest(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] === 46) {
    at++
    if (!isDigit(bytes, at, end)) return fail(at)
    while (isDigit(bytes, at, end)) at++
  }
  if (at < end && ((bytes[at] as number) | 32) === 101) {
    at++
    if (at < end && (bytes[at] === 43 || bytes[at] === 45)) at++
    if (!isDigit(bytes, at, end)) return fail(at)
    while (isDigit(bytes, at, end)) at++
  }
  return at
}

export const NULL_WORD = 0x6c6c756e
export const TRUE_WORD = 0x65757274
/** What follows the f of false. */
export const FALSE_TAIL_WORD = 0x65736c61

/** The position behind `true`, `false` or `null` at `at`. */
export function skipLiteral(bytes: Uint8Array, view: DataView, at: number, end: number): number {
  if (at + 4 <= end) {
    const word = view.getInt32(at, true)
    if (word === NULL_WORD || word === TRUE_WORD) return at + 4
    if (at + 5 <= end && bytes[at] === 102 && view.getInt32(at + 1, true) === FALSE_TAIL_WORD) return at + 5
  }
  return fail(at)
}

/** Skips the value at `at`, validating it; `depth` is the number of objects and arrays around it. */
export function skipValue(bytes: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  if (at >= end) return fail(end)
  switch (bytes[at]) {
    case 34: {
      const quote = stringEnd(bytes, view, at + 1, end)
      return quote === FAIL ? FAIL : quote < FAIL ? escapedEnd(quote) + 1 : quote + 1
    }
    case 123:
      return skipObject(bytes, view, at + 1, end, depth + 1)
    case 91:
      return skipArray(bytes, view, at + 1, end, depth + 1)
    case 116:
    case 102:
    case 110:
      return skipLiteral(bytes, view, at, end)
    default:
      return skipNumber(bytes, at, end)
  }
}

/** From behind the opening brace to behind the closing one. */
function skipObject(bytes: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  if (depth > JSON_DEPTH_MAX) return fail(at - 1, 'depth')
  at = skipSpace(bytes, at, end)
  if (at < end && bytes[at] === 125) return at + 1
  for (;;) {
    if (at >= end || bytes[at] !== 34) return fail(at)
    const quote = stringEnd(bytes, view, at + 1, end)
    if (quote === FAIL) return FAIL
    at = skipSpace(bytes, (quote < FAIL ? escapedEnd(quote) : quote) + 1, end)
    if (at >= end || bytes[at] !== 58) return fail(at)
    at = skipValue(bytes, view, skipSpace(bytes, at + 1, end), end, depth)
    if (at === FAIL) return FAIL
    at = skipSpace(bytes, at, end)
    if (at >= end) return fail(end)
    const byte = bytes[at]
    if (byte === 125) return at + 1
    if (byte !== 44) return fail(at)
    at = skipSpace(bytes, at + 1, end)
  }
}

/** From behind the opening bracket to behind the closing one. */
function skipArray(bytes: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  if (depth > JSON_DEPTH_MAX) return fail(at - 1, 'depth')
  at = skipSpace(bytes, at, end)
  if (at < end && bytes[at] === 93) return at + 1
  for (;;) {
    at = skipValue(bytes, view, at, end, depth)
    if (at === FAIL) return FAIL
    at = skipSpace(bytes, at, end)
    if (at >= end) return fail(end)
    const byte = bytes[at]
    if (byte === 93) return at + 1
    if (byte !== 44) return fail(at)
    at = skipSpace(bytes, at + 1, end)
  }
}

/** True when bytes[start .. end) is one JSON document and nothing else; otherwise `failure` says where it is not. */
export function isDocument(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
  const at = skipValue(bytes, view, skipSpace(bytes, start, end), end, 0)
  if (at === FAIL) return false
  const rest = skipSpace(bytes, at, end)
  if (rest !== end) fail(rest)
  return rest === end
}
