// Keys of a store's rows back as columns, a field at a time over many keys: the inverse of codec/key-bytes.ts (its readKeys is the oracle).
// Strings that end a key are handed out as slices of the keys' own bytes.
import { must } from '../base/assert.ts'
import { columnBuilder } from '../codec/column-builder.ts'
import type { Column, Field } from '../codec/column.ts'
import { GrowingBytes } from '../codec/growing-bytes.ts'
import { TaggedReader } from '../codec/tagged.ts'
import type { KeyRanges } from '../state/store.ts'

const TWO_32 = 4294967296
const SAFE = Number.MAX_SAFE_INTEGER
const SIGN = 1n << 63n

interface Arrays {
  floats: Float64Array
  integers: Int32Array
  ends: Int32Array
  octets: Uint8Array
  validity: Uint8Array
  readonly unescaped: GrowingBytes
}

/** Decodes keys of one layout; the columns are valid until the next call and no longer than the ranges. */
export class KeyColumns {
  readonly #fields: readonly Field[]
  readonly #arrays: readonly Arrays[]
  #cursors = new Int32Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #viewed: Uint8Array | null = null

  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#arrays = fields.map(() => ({
      floats: new Float64Array(0),
      integers: new Int32Array(0),
      ends: new Int32Array(0),
      octets: new Uint8Array(0),
      validity: new Uint8Array(0),
      unescaped: new GrowingBytes(),
    }))
  }

  /** One column per field; row i is key i. */
  read(keys: KeyRanges, count: number): readonly Column[] {
    if (this.#cursors.length < count) this.#cursors = new Int32Array(count * 2)
    if (this.#viewed !== keys.bytes) {
      this.#viewed = keys.bytes
      this.#view = new DataView(keys.bytes.buffer, keys.bytes.byteOffset, keys.bytes.byteLength)
    }
    this.#cursors.set(keys.starts.subarray(0, count))
    return this.#fields.map((field, index) => this.#field(field, index, keys, count))
  }

  #field(field: Field, index: number, keys: KeyRanges, count: number): Column {
    const arrays = must(this.#arrays[index], 'arrays')
    const validity = field.nullable ? this.#validity(arrays, keys.bytes, count) : null
    switch (field.type.kind) {
      case 'bool':
        return { layout: 'bool', values: this.#bools(arrays, keys.bytes, validity, count), validity }
      case 'i32':
        return { layout: 'i32', values: this.#int32s(arrays, validity, count), validity }
      case 'i64':
      case 'time':
      case 'decimal':
        return this.#integers(arrays, validity, count)
      case 'f64':
        return { layout: 'f64', values: this.#floats(arrays, validity, count), validity }
      case 'string':
      case 'bytes':
        return index === this.#fields.length - 1
          ? this.#rest(arrays, keys, validity, count)
          : this.#escaped(arrays, keys.bytes, validity, count)
      default:
        return this.#tagged(field, keys, validity, count)
    }
  }

  #validity(arrays: Arrays, bytes: Uint8Array, count: number): Uint8Array | null {
    if (arrays.validity.length < count) arrays.validity = new Uint8Array(count * 2)
    const cursors = this.#cursors
    let nulls = 0
    for (let i = 0; i < count; i++) {
      const at = cursors[i] as number
      const present = bytes[at] as number
      cursors[i] = at + 1
      arrays.validity[i] = present
      nulls += present ^ 1
    }
    return nulls === 0 ? null : arrays.validity
  }

  #bools(arrays: Arrays, bytes: Uint8Array, validity: Uint8Array | null, count: number): Uint8Array {
    if (arrays.octets.length < count) arrays.octets = new Uint8Array(count * 2)
    const cursors = this.#cursors
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) continue
      const at = cursors[i] as number
      arrays.octets[i] = bytes[at] as number
      cursors[i] = at + 1
    }
    return arrays.octets
  }

  #int32s(arrays: Arrays, validity: Uint8Array | null, count: number): Int32Array {
    if (arrays.integers.length < count) arrays.integers = new Int32Array(count * 2)
    const cursors = this.#cursors
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) continue
      const at = cursors[i] as number
      arrays.integers[i] = this.#view.getInt32(at) ^ 0x80000000
      cursors[i] = at + 4
    }
    return arrays.integers
  }

  #integers(arrays: Arrays, validity: Uint8Array | null, count: number): Column {
    if (arrays.floats.length < count) arrays.floats = new Float64Array(count * 2)
    const values = arrays.floats
    const cursors = this.#cursors
    const view = this.#view
    let beyond = 0
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) continue
      const at = cursors[i] as number
      const value = (view.getInt32(at) ^ 0x80000000) * TWO_32 + view.getUint32(at + 4)
      cursors[i] = at + 8
      values[i] = value
      if (value > SAFE || value < -SAFE) beyond++
    }
    if (beyond === 0) return { layout: 'f64', values, validity }
    const bigs = new BigInt64Array(count)
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) continue
      bigs[i] = BigInt.asIntN(64, view.getBigInt64((cursors[i] as number) - 8) ^ SIGN)
    }
    return { layout: 'i64', values: bigs, validity }
  }

  #floats(arrays: Arrays, validity: Uint8Array | null, count: number): Float64Array {
    if (arrays.floats.length < count) arrays.floats = new Float64Array(count * 2)
    const cursors = this.#cursors
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) continue
      const at = cursors[i] as number
      arrays.floats[i] = readFloat(this.#view, at)
      cursors[i] = at + 8
    }
    return arrays.floats
  }

  #rest(arrays: Arrays, keys: KeyRanges, validity: Uint8Array | null, count: number): Column {
    const { starts, ends } = sliceArrays(arrays, count)
    for (let i = 0; i < count; i++) {
      starts[i] = this.#cursors[i] as number
      ends[i] = validity !== null && validity[i] !== 1 ? (starts[i] as number) : (keys.ends[i] as number)
    }
    return { layout: 'slice', starts, ends, data: keys.bytes, validity }
  }

  /** 00 FF stands for 00, and 00 00 ends the field. */
  #escaped(arrays: Arrays, bytes: Uint8Array, validity: Uint8Array | null, count: number): Column {
    const { starts, ends } = sliceArrays(arrays, count)
    const into = arrays.unescaped
    into.reset()
    for (let i = 0; i < count; i++) {
      starts[i] = into.at
      if (validity === null || validity[i] === 1) {
        let at = this.#cursors[i] as number
        for (;;) {
          const byte = bytes[at++] as number
          if (byte === 0 && bytes[at++] === 0) break
          into.u8(byte)
        }
        this.#cursors[i] = at
      }
      ends[i] = into.at
    }
    return { layout: 'slice', starts, ends, data: into.bytes, validity }
  }

  #tagged(field: Field, keys: KeyRanges, validity: Uint8Array | null, count: number): Column {
    const builder = columnBuilder(field.type)
    for (let i = 0; i < count; i++) {
      if (validity !== null && validity[i] !== 1) {
        builder.append(null)
        continue
      }
      const reader = new TaggedReader(keys.bytes, this.#cursors[i] as number, keys.ends[i] as number)
      builder.append(reader.read())
      this.#cursors[i] = reader.at
    }
    return builder.finish()
  }
}

function sliceArrays(arrays: Arrays, count: number): { readonly starts: Int32Array; readonly ends: Int32Array } {
  if (arrays.integers.length < count) {
    arrays.integers = new Int32Array(count * 2)
    arrays.ends = new Int32Array(count * 2)
  }
  return { starts: arrays.integers, ends: arrays.ends }
}

const wide = new DataView(new ArrayBuffer(8))

function readFloat(view: DataView, at: number): number {
  const high = view.getInt32(at)
  const low = view.getInt32(at + 4)
  wide.setInt32(0, high < 0 ? high ^ 0x80000000 : ~high)
  wide.setInt32(4, high < 0 ? low : ~low)
  return wide.getFloat64(0)
}
