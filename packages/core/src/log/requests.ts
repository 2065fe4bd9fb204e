// Request keys that were answered, so that a repeated request appends nothing and gets the offsets of the first time.
// Remembered for REQUEST_KEY_MS by the time of append, at most REQUEST_KEYS_BYTES_MAX of them; forgotten in the order they came.
//
// Keys lie one behind the other in chunks of bytes, oldest chunk first, and an open table of numbers finds them: 60 to 80 bytes a key where
// a Map of strings took 229. A whole chunk is forgotten at once.
//
//   entry, at a multiple of 8: hash u32 | bytes of the key, count of offsets << 11, u32 | time f64 | offsets f64... | key UTF-8, zeros
import { assert } from '../base/assert.ts'

export const REQUEST_KEY_MS = 86_400_000
export const REQUEST_KEY_CHARACTERS_MAX = 512
/** About a million keys of 40 characters, with the table 72 MiB. */
export const REQUEST_KEYS_BYTES_MAX: number = 64 << 20

const CHUNK_BYTES = 256 << 10
const ENTRY_HEADER_BYTES = 16
/** Bits for the bytes of a key. */
const KEY_BITS = 11
/** A place is the number of a chunk, modulo, and a position in units of 8 bytes. */
const UNIT_BITS = 20
const UNIT_MASK: number = (1 << UNIT_BITS) - 1
const CHUNK_MASK: number = (1 << (32 - UNIT_BITS)) - 1
const SLOTS_MIN = 1024
const encoder = new TextEncoder()

interface Chunk {
  readonly number: number
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly floats: Float64Array
  used: number
  lastMs: number
}

export class Requests {
  readonly #keepMs: number
  readonly #bytesMax: number
  /** Numbered without a gap. */
  #chunks: Chunk[] = []
  #bytes = 0
  /** Place of each key, chunk and position in it; 0 is free. */
  #slots: Uint32Array = new Uint32Array(SLOTS_MIN)
  #size = 0
  #forgottenEarly = 0
  readonly #key = new Uint8Array(REQUEST_KEY_CHARACTERS_MAX * 3)

  constructor(keepMs = REQUEST_KEY_MS, bytesMax: number = REQUEST_KEYS_BYTES_MAX) {
    this.#keepMs = keepMs
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#size
  }

  /** Keys that had to go before their time, because newer ones needed the room. */
  get forgottenEarly(): number {
    return this.#forgottenEarly
  }

  /** First offsets of the request with this key, or null when it is not known or too old. */
  find(key: string, nowMs: number): readonly number[] | null {
    if (key.length > REQUEST_KEY_CHARACTERS_MAX) return null
    const length = this.#encode(key)
    const place = this.#slots[this.#slotOf(hashOf(this.#key, length), length)] as number
    if (place === 0) return null
    const { floats, words } = this.#chunkOf(place)
    const at = (place & UNIT_MASK) + ENTRY_HEADER_BYTES / 8
    if (nowMs - (floats[at - 1] as number) > this.#keepMs) return null
    return [...floats.subarray(at, at + ((words[at * 2 - 3] as number) >>> KEY_BITS))]
  }

  /** The key has 1 to REQUEST_KEY_CHARACTERS_MAX characters. */
  add(key: string, firstOffsets: readonly number[], timeMs: number): void {
    const length = this.#encode(key)
    const hash = hashOf(this.#key, length)
    const place = this.#place(hash, length, firstOffsets, timeMs)
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    const slot = this.#slotOf(hash, length)
    if (this.#slots[slot] === 0) this.#size++
    this.#slots[slot] = place
  }

  #encode(key: string): number {
    assert(key.length <= REQUEST_KEY_CHARACTERS_MAX, 'a request key is not too long')
    return encoder.encodeInto(key, this.#key).written
  }

  /** Writes an entry behind the newest and returns its place. */
  #place(hash: number, length: number, firstOffsets: readonly number[], timeMs: number): number {
    const size = ENTRY_HEADER_BYTES + firstOffsets.length * 8 + Math.ceil(length / 8) * 8
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || chunk.used + size > chunk.bytes.length) chunk = this.#nextChunk(size, timeMs)
    const unit = chunk.used / 8
    chunk.words[unit * 2] = hash
    chunk.words[unit * 2 + 1] = length | (firstOffsets.length << KEY_BITS)
    chunk.floats[unit + 1] = timeMs
    chunk.floats.set(firstOffsets, unit + 2)
    chunk.bytes.set(this.#key.subarray(0, length), (unit + 2 + firstOffsets.length) * 8)
    chunk.used += size
    chunk.lastMs = Math.max(chunk.lastMs, timeMs)
    return placeOf(chunk, unit)
  }

  #nextChunk(size: number, timeMs: number): Chunk {
    const buffer = new ArrayBuffer(Math.max(CHUNK_BYTES, size + 8))
    assert(buffer.byteLength / 8 <= UNIT_MASK, 'a place fits 32 bits')
    for (let oldest = this.#chunks[0]; oldest !== undefined; oldest = this.#chunks[0]) {
      const isOld = timeMs - oldest.lastMs > this.#keepMs
      if (!isOld && this.#bytes + buffer.byteLength <= this.#bytesMax) break
      this.#forget(oldest, timeMs)
    }
    const chunk: Chunk = {
      number: (this.#chunks.at(-1)?.number ?? 0) + 1,
      bytes: new Uint8Array(buffer),
      words: new Uint32Array(buffer),
      floats: new Float64Array(buffer),
      // No entry has place 0.
      used: 8,
      lastMs: timeMs,
    }
    this.#chunks.push(chunk)
    this.#bytes += buffer.byteLength
    return chunk
  }

  #forget(chunk: Chunk, nowMs: number): void {
    for (let unit = 1; unit * 8 < chunk.used; unit += unitsOf(chunk, unit)) {
      const place = placeOf(chunk, unit)
      const mask = this.#slots.length - 1
      let slot = (chunk.words[unit * 2] as number) & mask
      while (this.#slots[slot] !== 0 && this.#slots[slot] !== place) slot = (slot + 1) & mask
      // A key that came again stands in a later chunk.
      if (this.#slots[slot] === 0) continue
      if (nowMs - (chunk.floats[unit + 1] as number) <= this.#keepMs) this.#forgottenEarly++
      this.#removeSlot(slot)
    }
    this.#bytes -= chunk.bytes.length
    this.#chunks.shift()
  }

  /** Moves those back that had to go around the slot, so that a look-up may stop at a free one. */
  #removeSlot(slot: number): void {
    const mask = this.#slots.length - 1
    let free = slot
    for (let next = (slot + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#hashAt(this.#slots[next] as number) & mask
      if (((next - home) & mask) < ((next - free) & mask)) continue
      this.#slots[free] = this.#slots[next] as number
      free = next
    }
    this.#slots[free] = 0
    this.#size--
  }

  /** The slot of the key that `#key` holds, or the free one where it belongs. */
  #slotOf(hash: number, length: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] as number
      if (place === 0 || (this.#hashAt(place) === hash && this.#isKey(place, length))) return slot
    }
  }

  #isKey(place: number, length: number): boolean {
    const { words, bytes } = this.#chunkOf(place)
    const unit = place & UNIT_MASK
    const sizes = words[unit * 2 + 1] as number
    if ((sizes & ((1 << KEY_BITS) - 1)) !== length) return false
    const start = (unit + 2 + (sizes >>> KEY_BITS)) * 8
    for (let at = 0; at < length; at++) if (bytes[start + at] !== this.#key[at]) return false
    return true
  }

  #hashAt(place: number): number {
    return this.#chunkOf(place).words[(place & UNIT_MASK) * 2] as number
  }

  #chunkOf(place: number): Chunk {
    const first = (this.#chunks[0] as Chunk).number
    return this.#chunks[((place >>> UNIT_BITS) - first) & CHUNK_MASK] as Chunk
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(before.length * 2)
    const mask = this.#slots.length - 1
    for (const place of before) {
      if (place === 0) continue
      let slot = this.#hashAt(place) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = place
    }
  }
}

function placeOf(chunk: Chunk, unit: number): number {
  return (((chunk.number & CHUNK_MASK) << UNIT_BITS) | unit) >>> 0
}

/** Size of an entry in units of 8 bytes. */
function unitsOf(chunk: Chunk, unit: number): number {
  const sizes = chunk.words[unit * 2 + 1] as number
  return ENTRY_HEADER_BYTES / 8 + (sizes >>> KEY_BITS) + Math.ceil((sizes & ((1 << KEY_BITS) - 1)) / 8)
}

/** FNV-1a with the bits mixed once more: keys that count up differ in their last bytes alone. */
function hashOf(bytes: Uint8Array, length: number): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < length; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}
