// Least and largest values of pages and chunks: merged in the order of the physical type, cut short for strings, written to the
// footer and to the column index. A bound may be loose, never wrong: where it could mislead a reader there is none.
import { compareBytes, lowerBound, upperBound } from './byte-order.ts'
import type { PageBounds } from './leaf.ts'
import { type LeafSchema, PHYSICAL } from './schema.ts'

export type BoundaryOrder = 0 | 1 | 2
const UNORDERED = 0
const ASCENDING = 1
const DESCENDING = 2

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function fixedValue(bytes: Uint8Array): bigint {
  let value = BigInt.asIntN(8, BigInt(bytes[0] ?? 0))
  for (let i = 1; i < bytes.length; i++) value = value * 256n + BigInt(bytes[i] as number)
  return value
}

function sign(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Compares two values in the PLAIN bytes of their physical type. */
export function compareValues(schema: LeafSchema, a: Uint8Array, b: Uint8Array): number {
  switch (schema.physical) {
    case PHYSICAL.boolean:
      return sign(a[0] ?? 0, b[0] ?? 0)
    case PHYSICAL.int32:
      return sign(view(a).getInt32(0, true), view(b).getInt32(0, true))
    case PHYSICAL.int64:
      return sign(view(a).getBigInt64(0, true), view(b).getBigInt64(0, true))
    case PHYSICAL.double:
      return sign(view(a).getFloat64(0, true), view(b).getFloat64(0, true))
    case PHYSICAL.fixed:
      return sign(fixedValue(a), fixedValue(b))
    case PHYSICAL.byteArray:
      return compareBytes(a, 0, a.length, b, 0, b.length)
  }
}

/** Bounds as they leave: copies, cut short, with whether each is a value of the column or only a bound. */
export interface WrittenBounds {
  readonly min: Uint8Array
  readonly max: Uint8Array
  readonly minIsExact: boolean
  readonly maxIsExact: boolean
}

export function writtenBounds(schema: LeafSchema, min: Uint8Array, max: Uint8Array): WrittenBounds {
  if (schema.physical !== PHYSICAL.byteArray) return { min, max, minIsExact: true, maxIsExact: true }
  const isText = schema.type.kind !== 'bytes'
  const lower = lowerBound(min, isText)
  const upper = upperBound(max, isText) ?? max.slice()
  return {
    min: lower,
    max: upper,
    minIsExact: lower.length === min.length,
    maxIsExact: max.length === upper.length && compareBytes(max, 0, max.length, upper, 0, upper.length) === 0,
  }
}

/** The bounds over several pages: `none` when no page has any, `unknown` when one page is. */
export function mergeBounds(schema: LeafSchema, pages: readonly PageBounds[]): PageBounds {
  let min: Uint8Array | null = null
  let max: Uint8Array | null = null
  for (const page of pages) {
    if (page === 'unknown') return 'unknown'
    if (page === 'none') continue
    if (min === null || compareValues(schema, page.min, min) < 0) min = page.min
    if (max === null || compareValues(schema, page.max, max) > 0) max = page.max
  }
  return min === null || max === null ? 'none' : { min, max }
}

/** Whether the bounds of the pages that have any go up, down or neither; readers may then search by halving. */
export function boundaryOrder(schema: LeafSchema, pages: readonly WrittenBounds[]): BoundaryOrder {
  let ascending = true
  let descending = true
  pages.forEach((page, index) => {
    const before = pages[index - 1]
    if (before === undefined) return
    const byMin = compareValues(schema, before.min, page.min)
    const byMax = compareValues(schema, before.max, page.max)
    if (byMin > 0 || byMax > 0) ascending = false
    if (byMin < 0 || byMax < 0) descending = false
  })
  return ascending ? ASCENDING : descending ? DESCENDING : UNORDERED
}
