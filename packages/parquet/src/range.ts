// Least and largest value of a part of an array. Both comparisons run for every value, without a branch between them: sorted columns
// would otherwise throw the compiler out of its optimised loop at the first value of the other kind, every time.

export interface Range<T> {
  readonly min: T
  readonly max: T
}

/** Of values[start .. end), which is not empty. */
export function int32Range(values: Int32Array, start: number, end: number): Range<number> {
  let min = values[start] as number
  let max = min
  for (let i = start + 1; i < end; i++) {
    const value = values[i] as number
    min = value < min ? value : min
    max = value > max ? value : max
  }
  return { min, max }
}

/** Of values[start .. end), which is not empty; null when there is a NaN among them. */
export function float64Range(values: Float64Array, start: number, end: number): Range<number> | null {
  let min = values[start] as number
  let max = min
  let ordered = 0
  for (let i = start; i < end; i++) {
    const value = values[i] as number
    min = value < min ? value : min
    max = value > max ? value : max
    ordered += value <= Infinity ? 1 : 0
  }
  return ordered < end - start ? null : { min, max }
}

/** Of values[start .. end), which is not empty. */
export function bigRange(values: BigInt64Array, start: number, end: number): Range<bigint> {
  let min = values[start] as bigint
  let max = min
  for (let i = start + 1; i < end; i++) {
    const value = values[i] as bigint
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max }
}

/** Over several ranges; null when there are none. */
export function mergeRanges<T extends number | bigint>(ranges: readonly (Range<T> | null)[]): Range<T> | null {
  let merged: Range<T> | null = null
  for (const range of ranges) {
    if (range === null) continue
    if (merged === null) merged = range
    else merged = { min: range.min < merged.min ? range.min : merged.min, max: range.max > merged.max ? range.max : merged.max }
  }
  return merged
}
