// Distinct byte strings of one batch as dense ids: open addressing over a hash of the bytes, read four at a time.
import type { BytesColumn } from './column.ts'

const FIRST_SLOTS = 1024

export class Interner {
  count = 0
  #slots = new Int32Array(FIRST_SLOTS) // id + 1, 0 = free
  #mask = FIRST_SLOTS - 1
  #hashes = new Int32Array(FIRST_SLOTS / 2)
  #offsets = new Int32Array(FIRST_SLOTS / 2 + 1)
  #data = new Uint8Array(16 * 1024)
  #view = new DataView(this.#data.buffer)

  /** Forgets all values; keeps the memory. */
  reset(): void {
    if (this.count === 0) return
    this.#slots.fill(0)
    this.count = 0
  }

  /** The id of bytes[start .. end); `view` is over the same bytes. */
  intern(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    const length = end - start
    const words = end - 3
    let hash = Math.imul(length, 0x2545f491) ^ 0x3c6ef372
    let at = start
    for (; at < words; at += 4) {
      hash = Math.imul(hash ^ view.getInt32(at, true), 0x5bd1e995)
      hash ^= hash >>> 15
    }
    for (; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x5bd1e995)
    hash ^= hash >>> 13
    const slots = this.#slots
    const mask = this.#mask
    let slot = hash & mask
    for (;;) {
      const id = (slots[slot] as number) - 1
      if (id < 0) return this.#insert(bytes, start, end, hash, slot)
      if (this.#hashes[id] === hash && this.#equals(id, bytes, view, start, length)) return id
      slot = (slot + 1) & mask
    }
  }

  #equals(id: number, bytes: Uint8Array, view: DataView, start: number, length: number): boolean {
    const own = this.#offsets[id] as number
    if ((this.#offsets[id + 1] as number) - own !== length) return false
    const ownView = this.#view
    let at = 0
    for (; at + 4 <= length; at += 4) if (ownView.getInt32(own + at, true) !== view.getInt32(start + at, true)) return false
    for (; at < length; at++) if (this.#data[own + at] !== bytes[start + at]) return false
    return true
  }

  #insert(bytes: Uint8Array, start: number, end: number, hash: number, slot: number): number {
    const id = this.count++
    if (this.count >= this.#hashes.length) this.#growEntries()
    const own = id === 0 ? 0 : (this.#offsets[id] as number)
    this.#offsets[0] = 0
    const needed = own + end - start
    if (needed > this.#data.length) {
      const grown = new Uint8Array(Math.max(needed, this.#data.length * 2))
      grown.set(this.#data.subarray(0, own))
      this.#data = grown
      this.#view = new DataView(grown.buffer)
    }
    const data = this.#data
    for (let at = start; at < end; at++) data[own + at - start] = bytes[at] as number
    this.#offsets[id + 1] = needed
    this.#hashes[id] = hash
    this.#slots[slot] = id + 1
    if (this.count * 2 > this.#mask) this.#growSlots()
    return id
  }

  #growEntries(): void {
    const hashes = new Int32Array(this.#hashes.length * 2)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const offsets = new Int32Array(hashes.length + 1)
    offsets.set(this.#offsets)
    this.#offsets = offsets
  }

  #growSlots(): void {
    const size = (this.#mask + 1) * 2
    this.#slots = new Int32Array(size)
    this.#mask = size - 1
    for (let id = 0; id < this.count; id++) {
      let slot = (this.#hashes[id] as number) & this.#mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = id + 1
    }
  }

  /** The values by id; views, valid until the next `intern` or `reset`. */
  values(): BytesColumn {
    return { layout: 'bytes', offsets: this.#offsets, data: this.#data, validity: null }
  }
}
