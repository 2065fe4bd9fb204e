// Numbers as JSON text, byte for byte as JSON.stringify has them: the shortest digits that read back as the same double.

/** Most bytes of a number's text. */
export const NUMBER_BYTES_MAX = 26

const DIGIT_PAIRS = new Uint8Array(200)
for (let value = 0; value < 100; value++) {
  DIGIT_PAIRS[value * 2] = 48 + Math.floor(value / 10)
  DIGIT_PAIRS[value * 2 + 1] = 48 + (value % 10)
}

function digitCount(value: number): number {
  if (value < 100_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : value < 10_000 ? 4 : 5
  return value < 10_000_000 ? (value < 1_000_000 ? 6 : 7) : value < 100_000_000 ? 8 : value < 1_000_000_000 ? 9 : 10
}

/** Writes a whole number 0 <= value < 2^31 in exactly `digits` digits. */
function writeDigits(bytes: Uint8Array, at: number, value: number, digits: number): number {
  const end = at + digits
  let to = end
  let rest = value | 0
  while (to - at >= 2) {
    const above = (rest / 100) | 0
    const pair = (rest - above * 100) << 1
    bytes[to - 1] = DIGIT_PAIRS[pair + 1] as number
    bytes[to - 2] = DIGIT_PAIRS[pair] as number
    rest = above
    to -= 2
  }
  if (to > at) bytes[at] = 48 + rest
  return end
}

function writeMagnitude(bytes: Uint8Array, at: number, value: number): number {
  if (value < 1_000_000_000) return writeDigits(bytes, at, value, digitCount(value))
  const above = Math.floor(value / 1_000_000_000)
  return writeDigits(bytes, writeMagnitude(bytes, at, above), value - above * 1_000_000_000, 9)
}

/** Writes a whole number within ±2^53 at `at`; returns the end. */
export function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    bytes[at] = 45
    return writeMagnitude(bytes, at + 1, -value)
  }
  return writeMagnitude(bytes, at, value)
}

/**
 * Writes any number; null where JSON has none (NaN, infinities). Whole numbers and numbers with up to three decimals are written from
 * their digits: a decimal of at most 15 digits that rounds to the double is the shortest there is. Others ask the language.
 */
export function writeNumber(bytes: Uint8Array, at: number, value: number): number {
  if (value === Math.floor(value) && value <= 9007199254740991 && value >= -9007199254740991) return writeInteger(bytes, at, value)
  const scaled = Math.round(value * 1000)
  if (scaled / 1000 === value && scaled < 1e12 && scaled > -1e12) return writeThousandths(bytes, at, scaled)
  if (!Number.isFinite(value)) return writeNull(bytes, at)
  const text = String(value)
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
  return at + text.length
}

function writeThousandths(bytes: Uint8Array, at: number, scaled: number): number {
  let magnitude = scaled
  if (scaled < 0) {
    bytes[at++] = 45
    magnitude = -scaled
  }
  const whole = Math.floor(magnitude / 1000)
  at = writeMagnitude(bytes, at, whole)
  bytes[at] = 46
  const end = writeDigits(bytes, at + 1, magnitude - whole * 1000, 3)
  // The value is not whole, so a digit other than zero ends the loop.
  let last = end
  while (bytes[last - 1] === 48) last--
  return last
}

export function writeNull(bytes: Uint8Array, at: number): number {
  bytes[at] = 110
  bytes[at + 1] = 117
  bytes[at + 2] = 108
  bytes[at + 3] = 108
  return at + 4
}

export function writeBool(bytes: Uint8Array, at: number, value: number): number {
  if (value === 1) {
    bytes[at] = 116
    bytes[at + 1] = 114
    bytes[at + 2] = 117
    bytes[at + 3] = 101
    return at + 4
  }
  bytes[at] = 102
  bytes[at + 1] = 97
  bytes[at + 2] = 108
  bytes[at + 3] = 115
  bytes[at + 4] = 101
  return at + 5
}
