// Any JavaScript value as bytes that say what they are: variants, lists and structs inside binary rows and keys.
// tag 0 null, 1 false, 2 true, 3 f64 (8 bytes little endian), 4 bigint (u32 length, decimal text), 5 string, 6 bytes (u32 length, bytes),
// 7 array (u32 count, values), 8 object (u32 count, pairs of string value and value; own enumerable properties in their order).
// `canonical` sorts an object's names and turns -0 into 0, so that equal values have equal bytes.
import { MillraceError } from '../base/errors.ts'
import type { GrowingBytes } from './growing-bytes.ts'
import { JSON_DEPTH_MAX } from './json/scan.ts'
import { utf8Text } from './utf8.ts'

const NULL = 0
const FALSE = 1
const TRUE = 2
const NUMBER = 3
const BIGINT = 4
const STRING = 5
const BYTES = 6
const ARRAY = 7
const OBJECT = 8

/** @throws {MillraceError} `MR_CODEC_UNSUPPORTED` for what cannot be stored: functions, symbols, values nested deeper than 512. */
export function writeTagged(into: GrowingBytes, value: unknown, canonical = false, depth = 0): void {
  // The reader needs stack for every level, too.
  if (depth > JSON_DEPTH_MAX)
    throw new MillraceError('MR_CODEC_UNSUPPORTED', { message: `a value is nested deeper than ${JSON_DEPTH_MAX}.` })
  if (value === null || value === undefined) into.u8(NULL)
  else if (typeof value === 'boolean') into.u8(value ? TRUE : FALSE)
  else if (typeof value === 'number') {
    into.u8(NUMBER)
    into.f64(canonical ? value + 0 : value)
  } else if (typeof value === 'bigint') {
    into.u8(BIGINT)
    into.text(value.toString())
  } else if (typeof value === 'string') {
    into.u8(STRING)
    into.text(value)
  } else if (value instanceof Uint8Array) {
    into.u8(BYTES)
    into.u32(value.length)
    into.copy(value, 0, value.length)
  } else if (Array.isArray(value)) {
    into.u8(ARRAY)
    into.u32(value.length)
    for (const item of value) writeTagged(into, item, canonical, depth + 1)
  } else if (typeof value === 'object') {
    const entries = Object.entries(value instanceof Date ? { time: value.getTime() } : value)
    if (canonical) entries.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))
    into.u8(OBJECT)
    into.u32(entries.length)
    for (const [name, part] of entries) {
      into.text(name)
      writeTagged(into, part, canonical, depth + 1)
    }
  } else throw new MillraceError('MR_CODEC_UNSUPPORTED', { message: `a ${typeof value} cannot be stored.` })
}

/** Reads tagged values from bytes[at .. end). */
export class TaggedReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #end: number
  at: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
    this.#end = end
  }

  #take(length: number): number {
    const at = this.at
    if (length > this.#end - at) throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: 'a stored value ends early.' })
    this.at = at + length
    return at
  }

  #text(): string {
    const length = this.#view.getUint32(this.#take(4), true)
    const at = this.#take(length)
    return utf8Text(this.#bytes, at, at + length)
  }

  read(): unknown {
    const tag = this.#bytes[this.#take(1)] as number
    switch (tag) {
      case NULL:
        return null
      case FALSE:
        return false
      case TRUE:
        return true
      case NUMBER:
        return this.#view.getFloat64(this.#take(8), true)
      case BIGINT:
        return BigInt(this.#text())
      case STRING:
        return this.#text()
      case BYTES: {
        const length = this.#view.getUint32(this.#take(4), true)
        const at = this.#take(length)
        return this.#bytes.slice(at, at + length)
      }
      case ARRAY: {
        const count = this.#view.getUint32(this.#take(4), true)
        const items: unknown[] = []
        for (let index = 0; index < count; index++) items.push(this.read())
        return items
      }
      case OBJECT: {
        const count = this.#view.getUint32(this.#take(4), true)
        const value: Record<string, unknown> = {}
        for (let index = 0; index < count; index++) {
          const name = this.#text()
          Object.defineProperty(value, name, { value: this.read(), enumerable: true, writable: true, configurable: true })
        }
        return value
      }
      default:
        throw new MillraceError('MR_CODEC_BATCH_CORRUPT', { message: `unknown tag ${tag} of a stored value.` })
    }
  }
}
