// The original bytes of a dead letter, for eyes: text with its control characters made visible, or a hex dump.

export function bytesOfBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.codePointAt(0) ?? 0)
}

export function bytesOfText(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

const HEX_WIDTH = 16

/** Lines of `offset  hex  text`, sixteen bytes each, as `hexdump -C` writes them. */
export function hexDump(bytes: Uint8Array, linesMax: number): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length && lines.length < linesMax; at += HEX_WIDTH) {
    const row = [...bytes.subarray(at, at + HEX_WIDTH)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCodePoint(byte) : '·')).join('')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(HEX_WIDTH * 3 - 1)}  ${text}`)
  }
  const shown = linesMax * HEX_WIDTH
  if (bytes.length > shown) lines.push(`… ${bytes.length - shown} more bytes`)
  return lines.join('\n')
}

/** Control characters as their pictures (U+2400 and on), so that a record cut at a stray NUL shows it; line ends and tabs stay. */
export function visibleText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (character) => {
    const code = character.codePointAt(0) ?? 0
    return String.fromCodePoint(code === 0x7f ? 0x2421 : 0x2400 + code)
  })
}

/** Indented when it is JSON, else as it is. */
export function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return visibleText(text)
  }
}
