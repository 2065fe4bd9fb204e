// Keys of a task's changelog. First byte: what the record is.
//   0             the commit record (commit-state.ts), one key, the newest one counts
//   1 u16         rows of store number u16 that a tick changed: value = a block of state/rows/row-block.ts by the store's layout
//   5 u16 prefix  the rows of store number u16 whose keys begin with these eight bytes are gone; no value
//   6 u16         store number u16 is gone: the pipeline no longer had it when it was started. What follows of that name gets another number
//   4             everything of stores below the number in the value is void: the state is built again from here
//   3             the newest complete snapshot (snapshot.ts)
//   7             the order to build the state again (rebuild.ts); done by the commit behind it
//   2 u16         the layout of store number u16 as JSON {id, store, key, value}
// Numbers of stores are given once per changelog and never reused; stores are known by name.
import type { Layout } from '../../state/rows/layout.ts'

export const COMMIT_KEY: Uint8Array = Uint8Array.of(0)
export const RESET_KEY: Uint8Array = Uint8Array.of(4)
export const REBUILD_KEY: Uint8Array = Uint8Array.of(7)
const STORE_KEY_BYTES = 3
const PREFIX_BYTES = 8

export function rowsKey(store: number): Uint8Array {
  return Uint8Array.of(1, store >> 8, store & 255)
}

/** `first` and `second`: the prefix as little-endian words. */
export function dropKey(store: number, first: number, second: number): Uint8Array {
  const key = new Uint8Array(STORE_KEY_BYTES + PREFIX_BYTES)
  const view = new DataView(key.buffer)
  view.setUint8(0, 5)
  view.setUint16(1, store)
  view.setInt32(STORE_KEY_BYTES, first, true)
  view.setInt32(STORE_KEY_BYTES + 4, second, true)
  return key
}

export function layoutKey(store: number): Uint8Array {
  return Uint8Array.of(2, store >> 8, store & 255)
}

export function goneKey(store: number): Uint8Array {
  return Uint8Array.of(6, store >> 8, store & 255)
}

export type ChangelogKey =
  | { readonly kind: 'commit' }
  | { readonly kind: 'rows'; readonly store: number }
  /** The prefix starts at byte `prefixAt` of the same bytes. */
  | { readonly kind: 'drop'; readonly store: number; readonly prefixAt: number }
  | { readonly kind: 'layout'; readonly store: number }
  | { readonly kind: 'gone'; readonly store: number }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'rebuild' }
  | { readonly kind: 'unknown' }

export function parseKey(bytes: Uint8Array, start: number, end: number): ChangelogKey {
  const tag = end > start ? bytes[start] : -1
  if (tag === 0) return { kind: 'commit' }
  if (tag === 3) return { kind: 'snapshot' }
  if (tag === 4) return { kind: 'reset' }
  if (tag === 7) return { kind: 'rebuild' }
  const store = ((bytes[start + 1] as number) << 8) | (bytes[start + 2] as number)
  if (tag === 1 && end - start === STORE_KEY_BYTES) return { kind: 'rows', store }
  if (tag === 5 && end - start === STORE_KEY_BYTES + PREFIX_BYTES) return { kind: 'drop', store, prefixAt: start + STORE_KEY_BYTES }
  if (tag === 2 && end - start === STORE_KEY_BYTES) return { kind: 'layout', store }
  if (tag === 6 && end - start === STORE_KEY_BYTES) return { kind: 'gone', store }
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
