// How one row lies in memory: a fixed number of 32-bit words, so that an update touches one or two cache lines and an old image is a copy.
//   word 0     tick in which the row was changed last (numbers of the store, not of the plant); at or below the committed one: unchanged
//   word 1     index of the row's old image among the images of that tick
//   word 2     key length x 2, + 1 while the row is alive
//   word 3...  null bits of the nullable columns, 1 = null, 32 to a word (at least one word, also when no column is nullable)
//   key        the key's bytes, zero padded; a key longer than that lies in the arena and its first word holds the block's reference
//   lanes      one 8-byte lane per value column
// Lanes: bool, i32, f64 as f64; i64, time and decimal as f64 until a value beyond 2^53 promotes the column to 64-bit integers; everything
// else is bytes in the arena: reference, length (list, struct and variant tagged, as codec/tagged.ts writes them). Words are read as 32-bit integers and lanes as f64 over one buffer: little endian only.
import { assert } from '../../base/assert.ts'
import type { Field, FieldType } from '../../codec/column.ts'
import type { Layout } from './layout.ts'

assert(new Int32Array(new Uint8Array([1, 0, 0, 0]).buffer)[0] === 1, 'stores need a little-endian machine')

export const TICK_WORD = 0
export const IMAGE_WORD = 1
export const META_WORD = 2
export const NULL_WORD = 3
const KEY_BYTES_INLINE_MAX = 40
const STRING_KEY_BYTES = 16

/** number: f64. integer: f64 until promoted, then 64-bit. bytes: reference and length in the arena. */
export type LaneKind = 'number' | 'integer' | 'bytes'

export interface Lane {
  readonly field: Field
  readonly kind: LaneKind
  /** Offset of the lane from the row's start, in words; even. */
  readonly word: number
  /** The same in 8-byte units, for the f64 view. */
  readonly unit: number
  /** Offset of the word with the null bit and the bit's mask; mask 0 when the column is not nullable. */
  readonly nullWord: number
  readonly nullMask: number
}

export interface RowFormat {
  readonly lanes: readonly Lane[]
  readonly bytesLanes: readonly Lane[]
  readonly integerLanes: readonly Lane[]
  readonly nullWord: number
  readonly nullWords: number
  readonly keyWord: number
  readonly keyBytesInline: number
  /** Keys may be longer than that. */
  readonly hasLongKeys: boolean
  readonly laneWord: number
  /** Words per row, even. */
  readonly stride: number
}

function laneKind(type: FieldType): LaneKind {
  switch (type.kind) {
    case 'bool':
    case 'i32':
    case 'f64':
      return 'number'
    case 'i64':
    case 'time':
    case 'decimal':
      return 'integer'
    default:
      return 'bytes'
  }
}

/** As codec/key-bytes.ts encodes them; strings are guessed. */
function keyBytesExpected(fields: readonly Field[]): number {
  let bytes = 0
  for (const { type, nullable } of fields) {
    if (nullable) bytes++
    if (type.kind === 'bool') bytes++
    else if (type.kind === 'i32') bytes += 4
    else bytes += laneKind(type) === 'bytes' ? STRING_KEY_BYTES : 8
  }
  return bytes
}

/** The format follows from the layout alone, so that a dump can be read wherever the layout is the same. */
export function rowFormat(layout: Layout): RowFormat {
  const nullable = layout.value.filter((field) => field.nullable).length
  const nullWords = Math.max(1, Math.ceil(nullable / 32))
  const keyWord = NULL_WORD + nullWords + ((NULL_WORD + nullWords) & 1)
  const keyBytesInline = (Math.max(8, Math.min(KEY_BYTES_INLINE_MAX, keyBytesExpected(layout.key))) + 7) & ~7
  const laneWord = keyWord + keyBytesInline / 4
  let bit = 0
  const lanes = layout.value.map((field, index): Lane => {
    const at = field.nullable ? bit++ : 0
    const word = laneWord + index * 2
    return {
      field,
      kind: laneKind(field.type),
      word,
      unit: word / 2,
      nullWord: NULL_WORD + (at >>> 5),
      nullMask: field.nullable ? 1 << (at & 31) : 0,
    }
  })
  return {
    lanes,
    bytesLanes: lanes.filter((lane) => lane.kind === 'bytes'),
    integerLanes: lanes.filter((lane) => lane.kind === 'integer'),
    nullWord: NULL_WORD,
    nullWords,
    keyWord,
    keyBytesInline,
    hasLongKeys: keyBytesExpected(layout.key) > KEY_BYTES_INLINE_MAX || layout.key.some(({ type }) => laneKind(type) === 'bytes'),
    laneWord,
    stride: laneWord + lanes.length * 2,
  }
}
