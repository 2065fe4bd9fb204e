// Whether two copies of a row say the same, lane by lane; bytes by content, wherever they lie in the arena.
import type { ByteArena } from './byte-arena.ts'
import { compareKeyBytes } from '../keys/key-order.ts'
import { META_WORD, NULL_WORD, type RowFormat } from './row-format.ts'

/** Whether the row that starts at words[at] is alive. */
export function isAliveAt(words: Int32Array, at: number): boolean {
  return ((words[at + META_WORD] as number) & 1) === 1
}

/** Two rows of one key: both dead, or both alive with equal values. */
export function isSameRow(format: RowFormat, arena: ByteArena, a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  if (!isAliveAt(a, aAt) || !isAliveAt(b, bAt)) return isAliveAt(a, aAt) === isAliveAt(b, bAt)
  for (let word = NULL_WORD; word < NULL_WORD + format.nullWords; word++) if (a[aAt + word] !== b[bAt + word]) return false
  for (let word = format.laneWord; word < format.stride; word++) {
    if (a[aAt + word] !== b[bAt + word]) return format.bytesLanes.length > 0 && hasSameLanes(format, arena, a, aAt, b, bAt)
  }
  return true
}

function hasSameLanes(format: RowFormat, arena: ByteArena, a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  for (const { kind, word } of format.lanes) {
    const size = a[aAt + word + 1] as number
    if (a[aAt + word] === b[bAt + word] && size === b[bAt + word + 1]) continue
    if (kind !== 'bytes' || size !== b[bAt + word + 1]) return false
    const x = a[aAt + word] as number
    const y = b[bAt + word] as number
    const from = arena.offset(x)
    const to = arena.offset(y)
    if (compareKeyBytes(arena.chunk(x), from, from + size, arena.chunk(y), to, to + size) !== 0) return false
  }
  return true
}
