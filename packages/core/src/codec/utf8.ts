// UTF-8 between bytes and JavaScript strings. Buffer's raw slice and write calls skip the encoding look-up of toString: a third of the
// cost of a short string.
interface RawBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  latin1Slice(start: number, end: number): string
  utf8Write(text: string, offset: number, length: number): number
}

let lastData: Uint8Array = new Uint8Array(0)
let lastBuffer = bufferOf(lastData)

function bufferOf(data: Uint8Array): RawBuffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength) as RawBuffer
}

function raw(data: Uint8Array): RawBuffer {
  if (data !== lastData) {
    lastData = data
    lastBuffer = bufferOf(data)
  }
  return lastBuffer
}

/** The string of data[start .. end), which must be valid UTF-8. */
export function utf8Text(data: Uint8Array, start: number, end: number): string {
  return start === end ? '' : raw(data).utf8Slice(start, end)
}

/** The string of data[start .. end), one character per byte. */
export function latin1Text(data: Uint8Array, start: number, end: number): string {
  return start === end ? '' : raw(data).latin1Slice(start, end)
}

/** Writes `text` as UTF-8 at `at`, where 3 bytes per character must be free; returns the end. */
export function writeUtf8(data: Uint8Array, at: number, text: string): number {
  if (text.length < 24) {
    const end = at + text.length
    let index = at
    for (; index < end; index++) {
      const code = text.charCodeAt(index - at)
      if (code > 127) break
      data[index] = code
    }
    if (index === end) return end
  }
  return at + raw(data).utf8Write(text, at, text.length * 3)
}

/**
 * The end of the valid UTF-8 sequence at `at` (at < end), or -1. Refuses overlong forms, surrogates and code points above U+10FFFF, as a
 * fatal TextDecoder does.
 */
export function sequenceEnd(data: Uint8Array, at: number, end: number): number {
  const lead = data[at] as number
  if (lead < 0x80) return at + 1
  if (lead < 0xc2 || lead > 0xf4) return -1
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (at + length > end) return -1
  const second = data[at + 1] as number
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return -1
  if (length > 2 && ((data[at + 2] as number) & 0xc0) !== 0x80) return -1
  if (length > 3 && ((data[at + 3] as number) & 0xc0) !== 0x80) return -1
  return at + length
}

/** True when data[start .. end) is valid UTF-8. */
export function isUtf8(data: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    if ((data[at] as number) < 0x80) at++
    else {
      at = sequenceEnd(data, at, end)
      if (at < 0) return false
    }
  }
  return true
}
