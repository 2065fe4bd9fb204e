// Definition and repetition levels of one leaf: which values are there, and where lists begin.
// A slot is a value or a null with its levels; rows of flat leaves are slots. Source: Dremel (VLDB 2010), section 4.
// Invariant: `definition` is null exactly while every slot so far has its value (flat leaves without nulls never pay for levels).
import { assert } from '@millrace/core/connect'
import { bitWidth, writeLevels, writeRun } from './bit-packing.ts'
import type { ByteBuffer } from './byte-buffer.ts'
import type { LeafSchema } from './schema.ts'

function grow(levels: Uint8Array, size: number): Uint8Array {
  if (levels.length >= size) return levels
  const grown = new Uint8Array(Math.max(size, levels.length * 2, 64))
  grown.set(levels)
  return grown
}

export class Levels {
  readonly definitionMax: number
  readonly repetitionMax: number
  slotCount = 0
  /** Slots that hold a value. */
  valueCount = 0
  definition: Uint8Array | null = null
  /** Empty when the leaf is not inside a list. */
  repetition: Uint8Array = new Uint8Array(0)

  constructor(schema: LeafSchema) {
    this.definitionMax = schema.definitionMax
    this.repetitionMax = schema.repetitionMax
  }

  #definitionFor(extra: number): Uint8Array {
    const before = this.definition
    if (before === null) {
      const made = new Uint8Array(Math.max(64, this.slotCount + extra))
      made.fill(this.definitionMax, 0, this.slotCount)
      return (this.definition = made)
    }
    return (this.definition = grow(before, this.slotCount + extra))
  }

  /** Flat leaves: `count` values without a null. */
  appendPresent(count: number): void {
    if (this.definition !== null) this.#definitionFor(count).fill(this.definitionMax, this.slotCount, this.slotCount + count)
    this.slotCount += count
    this.valueCount += count
  }

  /**
   * Flat leaves: rows from..to of `selected` (or the rows themselves when null) by `validity`.
   * Writes the numbers of the rows that have a value to `live` and returns how many there are.
   */
  appendValidity(validity: Uint8Array, selected: Int32Array | null, from: number, to: number, live: Int32Array): number {
    let liveCount = 0
    let slot = this.slotCount
    const definition = this.definitionMax === 0 ? null : this.#definitionFor(to - from)
    for (let i = from; i < to; i++) {
      const row = selected === null ? i : (selected[i] as number)
      const valid = validity[row] as number
      if (definition !== null) definition[slot] = valid
      slot++
      live[liveCount] = row
      liveCount += valid
    }
    assert(definition !== null || liveCount === to - from, 'null in a field that is not nullable')
    this.slotCount = slot
    this.valueCount += liveCount
    return liveCount
  }

  /** Nested leaves: slots as shredded. */
  appendSlots(definitions: Uint8Array, repetitions: Uint8Array, count: number, valueCount: number): void {
    if (valueCount < count || this.definition !== null) this.#definitionFor(count).set(definitions.subarray(0, count), this.slotCount)
    if (this.repetitionMax > 0) {
      this.repetition = grow(this.repetition, this.slotCount + count)
      this.repetition.set(repetitions.subarray(0, count), this.slotCount)
    }
    this.slotCount += count
    this.valueCount += valueCount
  }

  /** Values among the slots start..end. */
  valuesIn(start: number, end: number): number {
    const definition = this.definition
    if (definition === null) return end - start
    let count = 0
    const full = this.definitionMax
    for (let i = start; i < end; i++) if (definition[i] === full) count++
    return count
  }

  writeRepetition(start: number, end: number, out: ByteBuffer): void {
    if (this.repetitionMax > 0) writeLevels(this.repetition, start, end, bitWidth(this.repetitionMax), out)
  }

  writeDefinition(start: number, end: number, out: ByteBuffer): void {
    if (this.definitionMax === 0) return
    const width = bitWidth(this.definitionMax)
    if (this.definition === null) writeRun(this.definitionMax, end - start, width, out)
    else writeLevels(this.definition, start, end, width, out)
  }

  /** Bytes that the levels of the buffered slots take; a function of the slots. */
  usedBytes(): number {
    return (this.definition === null ? 0 : this.slotCount) + (this.repetitionMax > 0 ? this.slotCount : 0)
  }

  allocatedBytes(): number {
    return (this.definition?.length ?? 0) + this.repetition.length
  }

  /** Forgets the slots; `release` gives the memory back too. */
  clear(release: boolean): void {
    this.slotCount = 0
    this.valueCount = 0
    this.definition = null
    if (release) this.repetition = new Uint8Array(0)
  }
}
