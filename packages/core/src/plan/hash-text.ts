// FNV-1a over 64 bits: identity of texts, not protection against an adversary.

const OFFSET_BASIS = 0xcbf29ce484222325n
const PRIME = 0x100000001b3n

/** Hash of the text's UTF-8, 16 hexadecimal digits, the same on every machine. */
export function hashText(text: string): string {
  let hash = OFFSET_BASIS
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * PRIME)
  return hash.toString(16).padStart(16, '0')
}
