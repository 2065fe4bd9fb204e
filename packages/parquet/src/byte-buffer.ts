// A growing byte buffer: the place where pages, headers and footers are put together before they leave.
// It is reused: whoever keeps bytes of it copies them. All numbers are little-endian, as Parquet wants them.

const INITIAL_SIZE = 1024

/** Bytes that grow by doubling. Not shared between threads. */
export class ByteBuffer {
  bytes = new Uint8Array(INITIAL_SIZE)
  view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer)
  length = 0

  /** Makes room for `extra` bytes behind `length`. */
  reserve(extra: number): void {
    const wanted = this.length + extra
    if (wanted <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /** The bytes so far, valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  uint32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }

  append(source: Uint8Array): void {
    this.reserve(source.length)
    this.bytes.set(source, this.length)
    this.length += source.length
  }

  /** Unsigned LEB128 of a whole number below 2^53. */
  varint(value: number): void {
    this.reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 128)
    }
    this.bytes[this.length++] = rest
  }

  /** Zigzag LEB128 of a whole number within ±2^52; beyond that, of the same number as a 64-bit integer. */
  zigzag(value: number): void {
    if (value > 4503599627370495 || value < -4503599627370496) this.zigzag64(BigInt(value))
    else this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** Zigzag LEB128 of a 64-bit integer. */
  zigzag64(value: bigint): void {
    this.reserve(10)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    while (rest >= 0x80n) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.bytes[this.length++] = Number(rest)
  }

  clear(): void {
    this.length = 0
  }
}
