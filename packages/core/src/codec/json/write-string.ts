// UTF-8 bytes as a JSON string, escaped exactly as JSON.stringify does it; and raw JSON without its white space.
const HEX = '0123456789abcdef'
/** 0: as it is. 1: as \u00XX. Else the letter of the short escape. */
const ESCAPES = new Uint8Array(128).fill(1, 0, 32)
for (const [code, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [34, '"'],
  [92, '\\'],
] as const) {
  ESCAPES[code] = letter.charCodeAt(0)
}

/** Bytes that the string of `length` bytes may need. */
export function stringBytesMax(length: number): number {
  return length * 6 + 2
}

/** Writes data[start .. end) as a JSON string at `at`, where stringBytesMax bytes are free; returns the end. */
export function writeString(bytes: Uint8Array, at: number, data: Uint8Array, start: number, end: number): number {
  bytes[at] = 34
  return writeRest(bytes, at + 1, data, start, end)
}

function writeRest(bytes: Uint8Array, at: number, data: Uint8Array, start: number, end: number): number {
  for (let from = start; from < end; from++) {
    const byte = data[from] as number
    if (byte >= 128 || ESCAPES[byte] === 0) bytes[at++] = byte
    else at = writeEscape(bytes, at, byte)
  }
  bytes[at] = 34
  return at + 1
}

/**
 * The same through views of both arrays: four bytes at a time up to the first that needs an escape.
 * @param view Of `bytes`.
 * @param source Of `data`.
 */
export function writePlainString(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  data: Uint8Array,
  source: DataView,
  start: number,
  end: number,
): number {
  bytes[at++] = 34
  let from = start
  for (const last = end - 4; from <= last; from += 4) {
    const word = source.getInt32(from, true)
    // The highest bit of each byte that is below 32, a quote or a backslash; a borrow marks only bytes above such a one.
    const quotes = word ^ 0x22222222
    const slashes = word ^ 0x5c5c5c5c
    const odd = ((word - 0x20202020) & ~word) | ((quotes - 0x01010101) & ~quotes) | ((slashes - 0x01010101) & ~slashes)
    if ((odd & 0x80808080) !== 0) break
    view.setInt32(at, word, true)
    at += 4
  }
  return writeRest(bytes, at, data, from, end)
}

function writeEscape(bytes: Uint8Array, at: number, byte: number): number {
  bytes[at] = 92
  const letter = ESCAPES[byte] as number
  if (letter !== 1) {
    bytes[at + 1] = letter
    return at + 2
  }
  bytes[at + 1] = 117
  bytes[at + 2] = 48
  bytes[at + 3] = 48
  bytes[at + 4] = HEX.charCodeAt(byte >> 4)
  bytes[at + 5] = HEX.charCodeAt(byte & 15)
  return at + 6
}

/** Copies valid JSON without the white space between its tokens, so that it fits in a line. */
export function writeCompact(bytes: Uint8Array, at: number, data: Uint8Array, start: number, end: number): number {
  let inString = false
  for (let from = start; from < end; from++) {
    const byte = data[from] as number
    if (inString) {
      if (byte === 92) {
        bytes[at++] = byte
        from++
        bytes[at++] = data[from] as number
        continue
      }
      if (byte === 34) inString = false
    } else if (byte === 34) inString = true
    else if (byte <= 32) continue
    bytes[at++] = byte
  }
  return at
}
