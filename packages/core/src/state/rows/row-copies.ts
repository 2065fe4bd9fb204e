// Copies of keys and of long values, side by side, for readers of many rows.
import { GrowingBytes } from '../../codec/growing-bytes.ts'
import type { ByteArena } from './byte-arena.ts'
import type { Lane } from './row-format.ts'
import type { RowKeys } from './row-keys.ts'
import type { RowPages } from './row-pages.ts'
import type { KeyRanges } from '../store.ts'

/** Where there is no row: no block. */
const NO_WORDS = new Int32Array(2)

export class RowCopies {
  readonly #rows: RowPages
  readonly #arena: ByteArena
  readonly #rowKeys: RowKeys
  readonly #keys = new GrowingBytes()
  #keyStarts = new Int32Array(0)
  #keyEnds = new Int32Array(0)

  constructor(rows: RowPages, arena: ByteArena, rowKeys: RowKeys) {
    this.#rows = rows
    this.#arena = arena
    this.#rowKeys = rowKeys
  }

  /** Appends the blocks of slots[0 .. count) to `into`; nothing for a null and for a slot of -1. */
  bytesOf(lane: Lane, slots: Int32Array, count: number, into: GrowingBytes, starts: Int32Array, ends: Int32Array): void {
    const { words: pages, pageBits, pageMask, stride } = this.#rows
    let total = 0
    // References and sizes first, in a loop of their own: the processor then waits for many rows at once, and for many blocks after that.
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const words = slot < 0 ? NO_WORDS : (pages[slot >>> pageBits] as Int32Array)
      const at = slot < 0 ? 0 : (slot & pageMask) * stride + lane.word
      starts[i] = words[at] as number
      ends[i] = words[at + 1] as number
      total += words[at + 1] as number
    }
    into.reserve(total)
    for (let i = 0; i < count; i++) {
      const reference = starts[i] as number
      const size = ends[i] as number
      starts[i] = into.at
      if (size > 0) {
        const offset = this.#arena.offset(reference)
        into.copy(this.#arena.chunk(reference), offset, offset + size)
      }
      ends[i] = into.at
    }
  }

  /** Valid until the next call. */
  keysOf(slots: Int32Array, count: number): KeyRanges {
    if (this.#keyStarts.length < count) {
      this.#keyStarts = new Int32Array(count * 2)
      this.#keyEnds = new Int32Array(count * 2)
    }
    const keys = this.#keys
    keys.reset()
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const start = this.#rowKeys.offset(slot)
      this.#keyStarts[i] = keys.at
      keys.copy(this.#rowKeys.bytes(slot), start, start + this.#rowKeys.length(slot))
      this.#keyEnds[i] = keys.at
    }
    return { bytes: keys.bytes, starts: this.#keyStarts, ends: this.#keyEnds }
  }
}
