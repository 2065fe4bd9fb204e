// Blocks of bytes for long keys and variable-length values. Size classes (four to a doubling) with free lists over chunks of 1 MiB; a block
// above 256 KiB has a chunk of its own, which is given back when it is freed. Nothing is ever moved or copied by growth.
//
// A reference is a 32-bit number: chunk x 2^17 + offset in 8-byte units; 0 is no block. Contents never change once written: whoever
// changes a value takes a new block, so that old images keep theirs.
import { assert } from '../../base/assert.ts'
import { MillraceError } from '../../base/errors.ts'

const CHUNK_BYTES = 1 << 20
const CHUNK_UNITS_BITS = 17
const OWN_CHUNK_BYTES = CHUNK_BYTES / 4
const CHUNKS_MAX = 1 << (32 - CHUNK_UNITS_BITS)
const UNIT_BYTES = 8

/** Size class of a block: 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160 ... */
function sizeClass(size: number): number {
  const units = Math.max(1, (size + 7) >>> 3)
  if (units <= 8) return units - 1
  const exponent = 31 - Math.clz32(units - 1)
  const quarter = 1 << (exponent - 2)
  return 8 + (exponent - 3) * 4 + Math.ceil((units - (1 << exponent)) / quarter) - 1
}

function classBytes(index: number): number {
  if (index < 8) return (index + 1) * UNIT_BYTES
  const exponent = 3 + ((index - 8) >>> 2)
  return ((1 << exponent) + (1 << (exponent - 2)) * (((index - 8) & 3) + 1)) * UNIT_BYTES
}

export class ByteArena {
  readonly #chunks: (Uint8Array | null)[] = []
  readonly #freeChunks: number[] = []
  /** Free blocks per size class, newest last. */
  readonly #free: number[][] = []
  #current = -1
  #fill = CHUNK_BYTES
  #bytes = 0

  /** Bytes of all chunks. */
  bytes(): number {
    return this.#bytes
  }

  /** Copies data[start .. end) into a block. The empty value needs none: reference 0. @throws {MillraceError} `MR_STATE_FULL` */
  put(data: Uint8Array, start: number, end: number): number {
    if (start === end) return 0
    const reference = this.#take(end - start)
    const chunk = this.chunk(reference)
    const at = this.offset(reference)
    if (end - start <= 24) for (let i = 0; i < end - start; i++) chunk[at + i] = data[start + i] as number
    else chunk.set(data.subarray(start, end), at)
    return reference
  }

  /** The buffer that the block lies in; its bytes start at `offset(reference)`. */
  chunk(reference: number): Uint8Array {
    const chunk = this.#chunks[reference >>> CHUNK_UNITS_BITS]
    assert(chunk !== null && chunk !== undefined, 'a block reference names a chunk')
    return chunk
  }

  offset(reference: number): number {
    return (reference & ((1 << CHUNK_UNITS_BITS) - 1)) * UNIT_BYTES
  }

  /** Gives a block back; `size` as it was put. */
  free(reference: number, size: number): void {
    if (reference === 0) return
    if (size > OWN_CHUNK_BYTES) {
      const index = reference >>> CHUNK_UNITS_BITS
      this.#bytes -= this.chunk(reference).length
      this.#chunks[index] = null
      this.#freeChunks.push(index)
      return
    }
    const index = sizeClass(size)
    const list = this.#free[index]
    if (list === undefined) this.#freeList(index).push(reference)
    else list.push(reference)
  }

  clear(): void {
    this.#chunks.length = this.#freeChunks.length = this.#free.length = 0
    this.#current = -1
    this.#fill = CHUNK_BYTES
    this.#bytes = 0
  }

  #freeList(index: number): number[] {
    while (this.#free.length <= index) this.#free.push([])
    return this.#free[index] as number[]
  }

  #take(size: number): number {
    if (size > OWN_CHUNK_BYTES) return this.#newChunk((size + 7) & ~7) << CHUNK_UNITS_BITS
    const index = sizeClass(size)
    const reused = this.#free[index]?.pop()
    if (reused !== undefined) return reused
    const bytes = classBytes(index)
    if (this.#fill + bytes > CHUNK_BYTES) {
      this.#current = this.#newChunk(CHUNK_BYTES)
      // Reference 0 means no block, so the first unit of the first chunk stays unused.
      this.#fill = this.#current === 0 ? UNIT_BYTES : 0
    }
    const reference = (this.#current << CHUNK_UNITS_BITS) | (this.#fill / UNIT_BYTES)
    this.#fill += bytes
    return reference
  }

  #newChunk(bytes: number): number {
    // Chunk 0 must not be a block's own: its reference would be 0.
    if (this.#chunks.length === 0 && bytes !== CHUNK_BYTES) this.#chunks.push(new Uint8Array(0))
    const index = this.#freeChunks.pop() ?? this.#chunks.length
    if (index >= CHUNKS_MAX) throw new MillraceError('MR_STATE_FULL', { details: { chunks: index, bytes: this.#bytes } })
    this.#chunks[index] = new Uint8Array(bytes)
    this.#bytes += bytes
    return index
  }
}
