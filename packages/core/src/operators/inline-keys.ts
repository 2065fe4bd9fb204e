// Keys of whole numbers straight from the rows: what KeyColumns reads of copied keys, without the copies. Only for keys whose fields are all
// i64 or time and never null, which is what groups in windows mostly have.
import type { Column, Field } from '../codec/column.ts'
import { swapWord } from '../codec/swap-word.ts'
import type { TableStore } from '../state/store.ts'

const TWO_32 = 4294967296
const SAFE = Number.MAX_SAFE_INTEGER

export class InlineKeys {
  readonly #store: TableStore
  readonly #values: Float64Array[]

  private constructor(store: TableStore, fields: number) {
    this.#store = store
    this.#values = Array.from({ length: fields }, () => new Float64Array(0))
  }

  /** Null when the keys have other fields. */
  static of(store: TableStore, fields: readonly Field[]): InlineKeys | null {
    const areWhole = fields.every(({ type, nullable }) => !nullable && (type.kind === 'i64' || type.kind === 'time'))
    return areWhole && fields.length * 8 <= store.format.keyBytesInline ? new InlineKeys(store, fields.length) : null
  }

  /**
   * One column per field; row i is the key of slots[i]. `first`: the value of the first field where all rows share it, which is then not read.
   * Null when a number does not fit a double. Valid until the next call.
   */
  read(slots: Int32Array, count: number, first: number | null): readonly Column[] | null {
    const columns: Column[] = []
    for (let field = 0; field < this.#values.length; field++) {
      const values = this.#room(field, count)
      if (field === 0 && first !== null) values.fill(first, 0, count)
      else if (!this.#readField(field, slots, count, values)) return null
      columns.push({ layout: 'f64', values, validity: null })
    }
    return columns
  }

  #readField(field: number, slots: Int32Array, count: number, values: Float64Array): boolean {
    const { words, pageBits, pageMask, stride } = this.#store.rows
    const place = this.#store.format.keyWord + field * 2
    let largest = 0
    for (let i = 0; i < count; i++) {
      const slot = slots[i] as number
      const page = words[slot >>> pageBits] as Int32Array
      const at = (slot & pageMask) * stride + place
      const value = (swapWord(page[at] as number) ^ 0x80000000) * TWO_32 + (swapWord(page[at + 1] as number) >>> 0)
      values[i] = value
      largest = Math.max(largest, Math.abs(value))
    }
    return largest <= SAFE
  }

  #room(field: number, count: number): Float64Array {
    const values = this.#values[field] as Float64Array
    return values.length >= count ? values : (this.#values[field] = new Float64Array(count * 2))
  }
}
