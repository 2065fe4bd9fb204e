// What the speculative scanner learns from one record: the literal bytes between the values (braces, keys, white space) and what each value
// looks like. Records of one producer nearly always share them.
import { FAIL, skipSpace, skipValue, stringEnd } from './scan.ts'
import { latin1Text, utf8Text } from '../utf8.ts'

export type ValueLook = 'string' | 'number' | 'other'

export interface LayoutMember {
  /** Bytes from the end of the value before (or the start of the record) to the start of this value. */
  readonly literal: Uint8Array
  /** The part of the literal up to the first byte of the key, and the part from there on. */
  readonly lead: Uint8Array
  readonly name: Uint8Array
  readonly key: string
  readonly look: ValueLook
}

export interface RecordLayout {
  readonly members: readonly LayoutMember[]
  /** From the end of the last value to the end of the record. */
  readonly tail: Uint8Array
  /** Equal layouts have equal signatures. */
  readonly signature: string
  readonly literalBytesMax: number
}

const MEMBERS_MAX = 64
const LITERAL_BYTES_MAX = 256

/** The layout of a valid record, or null when it is not one to speculate on (escapes or duplicates among the keys, too many members). */
export function learnLayout(bytes: Uint8Array, view: DataView, start: number, end: number): RecordLayout | null {
  const members: LayoutMember[] = []
  const keys = new Set<string>()
  let from = start
  let at = skipSpace(bytes, start, end)
  if (at >= end || bytes[at] !== 123) return null
  at = skipSpace(bytes, at + 1, end)
  for (;;) {
    if (at >= end || bytes[at] !== 34) return null
    const quote = stringEnd(bytes, view, at + 1, end)
    if (quote < 0) return null
    const keyStart = at + 1
    const key = utf8Text(bytes, keyStart, quote)
    at = skipSpace(bytes, quote + 1, end)
    if (at >= end || bytes[at] !== 58 || keys.has(key) || members.length === MEMBERS_MAX) return null
    keys.add(key)
    at = skipSpace(bytes, at + 1, end)
    if (at - from > LITERAL_BYTES_MAX) return null
    members.push({
      literal: bytes.slice(from, at),
      lead: bytes.slice(from, keyStart),
      name: bytes.slice(keyStart, at),
      key,
      look: lookOf(bytes[at] as number),
    })
    at = skipValue(bytes, view, at, end, 1)
    if (at === FAIL) return null
    from = at
    at = skipSpace(bytes, at, end)
    if (at < end && bytes[at] === 125) break
    if (at >= end || bytes[at] !== 44) return null
    at = skipSpace(bytes, at + 1, end)
  }
  if (skipSpace(bytes, at + 1, end) !== end || end - from > LITERAL_BYTES_MAX) return null
  const tail = bytes.slice(from, end)
  const literals = [...members.map((member) => member.literal), tail]
  const signature = [
    ...members.map((member) => `${latin1Text(member.literal, 0, member.literal.length)}${member.look}`),
    latin1Text(tail, 0, tail.length),
  ].join('\u0000')
  return { members, tail, signature, literalBytesMax: Math.max(...literals.map((literal) => literal.length)) }
}

function lookOf(byte: number): ValueLook {
  return byte === 34 ? 'string' : byte === 45 || (byte >= 48 && byte <= 57) ? 'number' : 'other'
}
