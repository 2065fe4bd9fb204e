// The memory that all generated scanners of this thread share: a scan is one synchronous call, and what it leaves is copied out before the
// next. One memory and not one each, because every WebAssembly memory reserves gigabytes of address space.
//
//   results | powers of ten | starts | ends | misses | left-over values | a place of 8 bytes per row for each slot | text, slack
import { skipValue, stringRest } from './scan.ts'
import { FunctionBody, moduleOf, VECTOR_OP } from './wasm-body.ts'

/** Records of one call, and bytes of text: with what they leave they stay in the second-level cache. */
export const SCAN_ROWS_MAX = 512
export const SCAN_TEXT_BYTES_MAX = 131_072
export const SCAN_SLOTS_MAX = 128
/** Scanners look so far behind a record at most: a literal, or the words of a number. */
const SLACK_BYTES = 1024

/** Results of a call: the numbers of records given up, and of values left over. */
export const MISS_COUNT_AT = 0
export const LEFT_COUNT_AT = 4
/** 10^0 .. 10^8 as i64, then as f64. */
export const POWERS_AT = 64
export const FLOAT_POWERS_AT = 192
export const STARTS_AT = 512
export const ENDS_AT: number = STARTS_AT + SCAN_ROWS_MAX * 4
export const MISSES_AT: number = ENDS_AT + SCAN_ROWS_MAX * 4
/** Pairs: row * SCAN_SLOTS_MAX + slot, and the value's place in the records' own bytes or -1 for a value that is missing. */
export const LEFT_AT: number = MISSES_AT + SCAN_ROWS_MAX * 4
const SLOTS_AT = LEFT_AT + SCAN_ROWS_MAX * SCAN_SLOTS_MAX * 8
export const TEXT_AT: number = SLOTS_AT + SCAN_ROWS_MAX * SCAN_SLOTS_MAX * 8
const PAGE_BYTES = 65_536
export const SCAN_PAGES: number = Math.ceil((TEXT_AT + SCAN_TEXT_BYTES_MAX + SLACK_BYTES) / PAGE_BYTES)
export const SCAN_IMPORTS: readonly string[] = ['skipValue', 'stringRest']

/** Where a slot's numbers lie, or its starts; its ends lie SCAN_ROWS_MAX words behind. */
export function slotAt(slot: number): number {
  return SLOTS_AT + slot * SCAN_ROWS_MAX * 8
}

export interface ScannerMemory {
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly floats: Float64Array
  /** Compiles and links a module that `moduleOf` made for this memory. */
  link(module: Uint8Array<ArrayBuffer>): (count: number, delta: number) => number
}

/** What is used of the global `WebAssembly`; its types come with the DOM library, which the core does not load. */
interface WebAssemblyPart {
  readonly validate: (bytes: Uint8Array<ArrayBuffer>) => boolean
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly scan: (count: number, delta: number) => number } }
}

let shared: ScannerMemory | null | undefined

/** The memory of this thread, made at the first call. Null where WebAssembly with SIMD is missing (old processor, `--jitless`). */
export function scannerMemory(): ScannerMemory | null {
  if (shared !== undefined) return shared
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly?: WebAssemblyPart }
  const probe = new FunctionBody(2)
  probe.v128(new Uint8Array(16)).vector(VECTOR_OP.bitmask)
  shared = WebAssembly?.validate(moduleOf(probe, SCAN_IMPORTS, SCAN_PAGES)) === true ? makeMemory(WebAssembly) : null
  return shared
}

function makeMemory(WebAssembly: WebAssemblyPart): ScannerMemory {
  const memory = new WebAssembly.Memory({ initial: SCAN_PAGES, maximum: SCAN_PAGES })
  const bytes = new Uint8Array(memory.buffer)
  const view = new DataView(memory.buffer)
  for (let exponent = 0; exponent <= 8; exponent++) {
    view.setBigInt64(POWERS_AT + exponent * 8, 10n ** BigInt(exponent), true)
    view.setFloat64(FLOAT_POWERS_AT + exponent * 8, 10 ** exponent, true)
  }
  const host = {
    memory,
    skipValue: (at: number, end: number) => skipValue(bytes, view, at, end, 1),
    stringRest: (at: number, end: number) => stringRest(bytes, at, end),
  }
  return {
    bytes,
    words: new Int32Array(memory.buffer),
    floats: new Float64Array(memory.buffer),
    link: (module) => new WebAssembly.Instance(new WebAssembly.Module(module), { host }).exports.scan,
  }
}
