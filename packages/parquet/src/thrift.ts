// The writing half of Thrift's compact protocol, as far as Parquet's metadata needs it.
// Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
// Invariant: fields of a struct are written in ascending id order, begun structs are ended.
import type { ByteBuffer } from './byte-buffer.ts'

const TRUE = 1
const FALSE = 2
const I32 = 5
const I64 = 6
const BINARY = 8
const LIST = 9
const STRUCT = 12

/** Element types of lists. */
export const LIST_OF = { bool: TRUE, i32: I32, i64: I64, binary: BINARY, struct: STRUCT } as const

const encoder = new TextEncoder()

/** Writes one struct after the other into a buffer. */
export class ThriftWriter {
  readonly #out: ByteBuffer
  readonly #outer: number[] = []
  #last = 0

  constructor(out: ByteBuffer) {
    this.#out = out
  }

  #header(id: number, type: number): void {
    const delta = id - this.#last
    if (delta > 0 && delta < 16) this.#out.byte((delta << 4) | type)
    else {
      this.#out.byte(type)
      this.#out.zigzag(id)
    }
    this.#last = id
  }

  bool(id: number, value: boolean): void {
    this.#header(id, value ? TRUE : FALSE)
  }

  i16(id: number, value: number): void {
    this.#header(id, 4)
    this.#out.zigzag(value)
  }

  i32(id: number, value: number): void {
    this.#header(id, I32)
    this.#out.zigzag(value)
  }

  i64(id: number, value: number): void {
    this.#header(id, I64)
    this.#out.zigzag(value)
  }

  binary(id: number, value: Uint8Array): void {
    this.#header(id, BINARY)
    this.elementBinary(value)
  }

  text(id: number, value: string): void {
    this.binary(id, encoder.encode(value))
  }

  /** Begins a struct that is a field; `end` ends it. */
  struct(id: number): void {
    this.#header(id, STRUCT)
    this.begin()
  }

  /** Writes an empty struct: how Thrift unions mark a case without data. */
  mark(id: number): void {
    this.struct(id)
    this.end()
  }

  /** Begins a list of `count` elements, which must follow. */
  list(id: number, type: number, count: number): void {
    this.#header(id, LIST)
    if (count < 15) this.#out.byte((count << 4) | type)
    else {
      this.#out.byte(0xf0 | type)
      this.#out.varint(count)
    }
  }

  elementBool(value: boolean): void {
    this.#out.byte(value ? TRUE : FALSE)
  }

  /** An i32 or i64 element. */
  elementInt(value: number): void {
    this.#out.zigzag(value)
  }

  elementBinary(value: Uint8Array): void {
    this.#out.varint(value.length)
    this.#out.append(value)
  }

  elementText(value: string): void {
    this.elementBinary(encoder.encode(value))
  }

  /** Begins a struct that is a list element or stands alone. */
  begin(): void {
    this.#outer.push(this.#last)
    this.#last = 0
  }

  end(): void {
    this.#out.byte(0)
    this.#last = this.#outer.pop() ?? 0
  }
}
