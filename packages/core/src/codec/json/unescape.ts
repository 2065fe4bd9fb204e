// The content of a JSON string with escapes as UTF-8.
import type { GrowingBytes } from '../growing-bytes.ts'
import { utf8Text } from '../utf8.ts'

const SHORT = new Uint8Array(128)
for (const [letter, code] of Object.entries({ b: 8, f: 12, n: 10, r: 13, t: 9, '"': 34, '/': 47, '\\': 92 }))
  SHORT[letter.charCodeAt(0)] = code

function hex4(bytes: Uint8Array, at: number): number {
  return Number.parseInt(utf8Text(bytes, at, at + 4), 16)
}

/** Appends the content of the valid string bytes[start .. end) to `into`. False when it has a lone surrogate, which UTF-8 cannot say. */
export function unescape(bytes: Uint8Array, start: number, end: number, into: GrowingBytes): boolean {
  into.reserve(end - start)
  const target = into.bytes
  let to = into.at
  for (let at = start; at < end;) {
    const byte = bytes[at] as number
    if (byte !== 92) {
      target[to++] = byte
      at++
      continue
    }
    const letter = bytes[at + 1] as number
    if (letter !== 117) {
      target[to++] = SHORT[letter] as number
      at += 2
      continue
    }
    let code = hex4(bytes, at + 2)
    at += 6
    if (code >= 0xdc00 && code <= 0xdfff) return false
    if (code >= 0xd800 && code <= 0xdbff) {
      if (at + 6 > end || bytes[at] !== 92 || bytes[at + 1] !== 117) return false
      const low = hex4(bytes, at + 2)
      if (low < 0xdc00 || low > 0xdfff) return false
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      at += 6
    }
    to = writeCodePoint(target, to, code)
  }
  into.at = to
  return true
}

function writeCodePoint(target: Uint8Array, at: number, code: number): number {
  if (code < 0x80) target[at++] = code
  else if (code < 0x800) {
    target[at++] = 0xc0 | (code >> 6)
    target[at++] = 0x80 | (code & 63)
  } else if (code < 0x10000) {
    target[at++] = 0xe0 | (code >> 12)
    target[at++] = 0x80 | ((code >> 6) & 63)
    target[at++] = 0x80 | (code & 63)
  } else {
    target[at++] = 0xf0 | (code >> 18)
    target[at++] = 0x80 | ((code >> 12) & 63)
    target[at++] = 0x80 | ((code >> 6) & 63)
    target[at++] = 0x80 | (code & 63)
  }
  return at
}
