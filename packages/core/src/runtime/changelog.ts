// Keys of a task's changelog. First byte: what the record is.
//   0             the commit record (commit-state.ts), one key, the newest one counts
//   1 u16 key     a row of store number u16: value = row image by the store's layout, null = deleted
//   4             everything of stores below the number in the value is void: the state is built again from here
//   3             the newest complete snapshot (snapshot.ts)
//   2 u16         the layout of store number u16 as JSON {id, store, key, value}
// Numbers of stores are given once per changelog and never reused; stores are known by name.
import type { Layout } from '../state/store.ts'

export const COMMIT_KEY: Uint8Array = Uint8Array.of(0)
export const RESET_KEY: Uint8Array = Uint8Array.of(4)
export const ROW_PREFIX_BYTES = 3

export function rowPrefix(store: number): Uint8Array {
  return Uint8Array.of(1, store >> 8, store & 255)
}

export function layoutKey(store: number): Uint8Array {
  return Uint8Array.of(2, store >> 8, store & 255)
}

export type ChangelogKey =
  | { readonly kind: 'commit' }
  | { readonly kind: 'row'; readonly store: number }
  | { readonly kind: 'layout'; readonly store: number }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'unknown' }

export function parseKey(bytes: Uint8Array, start: number, end: number): ChangelogKey {
  const tag = end > start ? bytes[start] : -1
  if (tag === 0) return { kind: 'commit' }
  if (tag === 3) return { kind: 'snapshot' }
  if (tag === 4) return { kind: 'reset' }
  const store = ((bytes[start + 1] as number) << 8) | (bytes[start + 2] as number)
  if (tag === 1 && end - start >= ROW_PREFIX_BYTES) return { kind: 'row', store }
  if (tag === 2 && end - start === ROW_PREFIX_BYTES) return { kind: 'layout', store }
  return { kind: 'unknown' }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeLayout(layout: Layout): Uint8Array {
  return encoder.encode(JSON.stringify(layout))
}

export function decodeLayout(bytes: Uint8Array, start: number, end: number): Layout {
  return JSON.parse(decoder.decode(bytes.subarray(start, end))) as Layout
}
