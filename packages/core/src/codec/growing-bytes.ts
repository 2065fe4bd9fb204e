// A byte buffer that grows by doubling and is reused: `reset` keeps the memory. Little endian.
import { writeUtf8 } from './utf8.ts'

export class GrowingBytes {
  bytes: Uint8Array
  view: DataView
  at = 0

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  reset(): void {
    this.at = 0
  }

  /** Makes room for `more` bytes behind `at`. Views taken before may be stale. */
  reserve(more: number): void {
    const needed = this.at + more
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }

  u32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.at, value, true)
    this.at += 4
  }

  f64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  copy(data: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.reserve(length)
    const bytes = this.bytes
    const at = this.at
    // Short values are copied by hand: a call to set() costs more than a few byte stores.
    if (length <= 24) for (let index = 0; index < length; index++) bytes[at + index] = data[start + index] as number
    else bytes.set(data.subarray(start, end), at)
    this.at = at + length
  }

  /** u32 length, then UTF-8. */
  text(value: string): void {
    this.reserve(4 + value.length * 3)
    const end = writeUtf8(this.bytes, this.at + 4, value)
    this.view.setUint32(this.at, end - this.at - 4, true)
    this.at = end
  }
}
