// Base64 with padding (RFC 4648, the standard alphabet), strict: anything else is refused, so that equal bytes have one text.
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const VALUES = new Int8Array(256).fill(-1)
for (let index = 0; index < ALPHABET.length; index++) VALUES[ALPHABET.charCodeAt(index)] = index

/** The bytes, or null when `text` is not canonical base64. */
export function decodeBase64(text: string): Uint8Array | null {
  const length = text.length
  if (length % 4 !== 0) return null
  if (length === 0) return new Uint8Array(0)
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((length / 4) * 3 - padding)
  let at = 0
  for (let index = 0; index < length; index += 4) {
    let group = 0
    for (let offset = 0; offset < 4; offset++) {
      const code = text.charCodeAt(index + offset)
      const padded = index + offset >= length - padding
      const value = padded ? 0 : code < 256 ? (VALUES[code] as number) : -1
      if (value < 0) return null
      group = (group << 6) | value
    }
    for (let shift = 16; shift >= 0; shift -= 8) {
      const byte = (group >> shift) & 255
      if (at < bytes.length) bytes[at++] = byte
      else if (byte !== 0) return null // bits behind the last byte must be zero, else two texts had the same bytes
    }
  }
  return bytes
}

/** The canonical base64 text of data[start .. end). */
export function encodeBase64(data: Uint8Array, start = 0, end: number = data.length): string {
  return Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('base64')
}
