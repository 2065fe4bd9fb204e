// CRC-32C (Castagnoli), the checksum of record batches and of the journal. Reflected polynomial 0x82F63B78, initial and final XOR 0xFFFFFFFF.
//
// Three ways, all equal bit for bit: tables of 8 x 256 entries in plain JavaScript (short input), the WebAssembly of crc32c-fold.ts for
// longer input, and a native implementation when one was handed in. None looks outside [start, end).
import { assert } from './assert.ts'
import { FOLD_BLOCK_BYTES, FOLD_REST_BYTES, FOLD_ROUND_BYTES, type Folder, makeFolder, TABLE_COUNT } from './crc32c-fold.ts'

export type NativeCrc32c = (bytes: Uint8Array, seed?: number) => number

const POLYNOMIAL_REFLECTED = 0x82f63b78 | 0
/** Below this many bytes the copy into WebAssembly memory costs more than it saves. */
const COPY_BYTES_MIN = 128
/** Below this many bytes the tables there are as fast as the fold. */
const FOLD_BYTES_MIN = 640
/** A native call costs about 90 ns: it wins between these sizes, the tables below and the fold (11 GB/s against 7.6) above. */
const NATIVE_BYTES_MIN = 256
const NATIVE_BYTES_MAX = 1536

const tables = makeTables()
const folder = makeFolder(tables)
let native: NativeCrc32c | null = null

/**
 * CRC-32C of bytes[start .. end), unsigned. `seed` is the CRC of what lies before, so that pieces can be chained:
 * `crc32c(b, 0, n) === crc32c(b, k, n, crc32c(b, 0, k))`. Default 0.
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  assert(start >= 0 && start <= end && end <= bytes.length, () => `crc32c range ${start}..${end} outside 0..${bytes.length}`)
  const length = end - start
  if (native !== null && length >= NATIVE_BYTES_MIN && (length <= NATIVE_BYTES_MAX || folder === null)) {
    return native(bytes.subarray(start, end), seed) >>> 0
  }
  if (folder === null || length < COPY_BYTES_MIN) return ~sliced(bytes, start, end, ~seed) >>> 0
  return folded(folder, bytes, start, end, seed)
}

/**
 * Hands in a native implementation (null takes it back). It serves middle sizes, and all above 256 bytes where WebAssembly with SIMD is
 * missing. It is checked with a known sum first and refused by an assertion when it computes anything else.
 */
export function useNativeCrc32c(implementation: NativeCrc32c | null): void {
  native = null
  if (implementation === null) return
  const probe = new TextEncoder().encode('123456789')
  assert(implementation(probe) >>> 0 === 0xe3069283, 'the native checksum is not CRC-32C')
  assert(implementation(probe.subarray(4), implementation(probe.subarray(0, 4))) >>> 0 === 0xe3069283, 'the native checksum does not chain')
  native = implementation
}

/** The plain table form over the whole range: the oracle of the tests. */
export function crc32cByTables(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  return ~sliced(bytes, start, end, ~seed) >>> 0
}

function folded({ message, fold, through }: Folder, bytes: Uint8Array, start: number, end: number, seed: number): number {
  let state = ~seed
  for (let at = start; at < end;) {
    const length = Math.min(FOLD_BLOCK_BYTES, end - at)
    message.set(at === 0 && length === bytes.length ? bytes : bytes.subarray(at, at + length))
    at += length
    if (length < FOLD_BYTES_MIN) {
      state = through(0, length, state)
      continue
    }
    // A state before a message is the same as a zero state before the message with the state added to its first four bytes.
    message[0] = (message[0] ?? 0) ^ state
    message[1] = (message[1] ?? 0) ^ (state >>> 8)
    message[2] = (message[2] ?? 0) ^ (state >>> 16)
    message[3] = (message[3] ?? 0) ^ (state >>> 24)
    const removed = length - FOLD_REST_BYTES - ((length - FOLD_REST_BYTES) % FOLD_ROUND_BYTES)
    fold(removed)
    state = through(removed, length, 0)
  }
  return ~state >>> 0
}

/** Slicing by 8 (Kounavis and Berry, 2008): eight look-ups per 8 bytes that do not wait for each other. State in, state out, not inverted. */
function sliced(bytes: Uint8Array, start: number, end: number, stateBefore: number): number {
  const table = tables
  let state = stateBefore
  let at = start
  for (const last = end - 8; at <= last; at += 8) {
    const low =
      state ^
      ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24))
    state =
      (table[1792 + (low & 255)] as number) ^
      (table[1536 + ((low >>> 8) & 255)] as number) ^
      (table[1280 + ((low >>> 16) & 255)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number)
  }
  for (; at < end; at++) state = (table[(state ^ (bytes[at] as number)) & 255] as number) ^ (state >>> 8)
  return state
}

function makeTables(): Int32Array {
  const table = new Int32Array(TABLE_COUNT * 256)
  for (let byte = 0; byte < 256; byte++) {
    let state = byte
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ POLYNOMIAL_REFLECTED : state >>> 1
    table[byte] = state
  }
  for (let entry = 256; entry < table.length; entry++) {
    const before = table[entry - 256] as number
    table[entry] = (before >>> 8) ^ (table[before & 255] as number)
  }
  return table
}
