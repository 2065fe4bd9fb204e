// The fast half of CRC-32C: shortens a long message to its last few hundred bytes without changing its remainder, 16 bytes at a time.
//
// The generator P of CRC-32C divides the sparse polynomial
//     F(x) = x^290 + x^136 + x^113 + x^107 + x^32 + 1        (found by search; checked by a test),
// and because squaring is linear over GF(2) it divides F(x^8) too. So modulo P a byte is equal to the sum of the same byte placed 154, 177,
// 183, 258 and 290 bytes later: a byte can be removed from the front of the message by XORing it into five places behind. No tables and
// no multiplication, only XORs, which WebAssembly does on 16 bytes at once (four times what a native table or PCLMUL loop
// reaches behind a call from JavaScript). The smallest distance is above 64, so four vectors per round do not depend on each other.
// Source of the idea: S. Russell, "Chorba: a novel CRC32 implementation" (2024).
//
// The module is assembled here by hand, so that there is no binary in the tree. Memory: [zeros][folded bytes][message].

/** How many bytes behind a byte it may be added instead. */
export const FOLD_DISTANCES = [154, 177, 183, 258, 290] as const
const DISTANCE_MAX = 290
const VECTOR = 16
const VECTORS_PER_ROUND = 4
/** Bytes folded per round; a fold works on whole rounds. */
export const FOLD_ROUND_BYTES: number = VECTOR * VECTORS_PER_ROUND
/** Bytes that a fold leaves at least. */
export const FOLD_REST_BYTES: number = DISTANCE_MAX

/** Largest piece folded at once. Message and folded copy together stay near the first-level cache. */
export const FOLD_BLOCK_BYTES = 24_576
const ZEROS_BYTES = 512
const FOLDED_AT = ZEROS_BYTES
const MESSAGE_AT = FOLDED_AT + FOLD_BLOCK_BYTES + ZEROS_BYTES
const PAGES = 1
const PAGE_BYTES = 65_536
/** Bytes that the folded tail reaches behind the last round, in whole vectors. */
const TAIL_BYTES = Math.ceil(DISTANCE_MAX / VECTOR) * VECTOR

export interface Folder {
  /** Where the caller puts the message: at most FOLD_BLOCK_BYTES. */
  readonly message: Uint8Array
  /** Removes the first `length` bytes of the message (a multiple of FOLD_ROUND_BYTES, at most message length - FOLD_REST_BYTES) by adding them to what follows. */
  fold(length: number): void
}

/** What is used of the global `WebAssembly`; its types come with the DOM library, which the core does not load. */
interface WebAssemblyPart {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => {
    readonly exports: { readonly fold: (length: number) => void; readonly memory: { readonly buffer: ArrayBuffer } }
  }
}

/** Compiles the module. Null where WebAssembly with SIMD is missing (old processor, `--jitless`): the caller then uses its tables. */
export function makeFolder(): Folder | null {
  if (MESSAGE_AT + FOLD_BLOCK_BYTES + ZEROS_BYTES > PAGES * PAGE_BYTES) throw new RangeError('the fold does not fit its memory')
  try {
    const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyPart }
    const { fold, memory } = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports
    return { message: new Uint8Array(memory.buffer, MESSAGE_AT, FOLD_BLOCK_BYTES), fold }
  } catch {
    return null
  }
}

// Instructions, by their names in the specification.
const loop = [0x03, 0x40]
const end = [0x0b]
const branchIf = [0x0d, 0x00]
const i32LessUnsigned = [0x49]
const i32Add = [0x6a]
const v128Xor = [0xfd, 0x51]
const getLocal = (index: number): number[] => [0x20, index]
const setLocal = (index: number): number[] => [0x21, index]
const teeLocal = (index: number): number[] => [0x22, index]
const i32Const = (value: number): number[] => [0x41, ...signedLeb(value)]
const v128Load = (offset: number): number[] => [0xfd, 0x00, 0x00, ...leb(offset)]
const v128Store = (offset: number): number[] => [0xfd, 0x0b, 0x00, ...leb(offset)]
const memoryFill = [0xfc, 0x0b, 0x00]

/** sum of the folded bytes that land on the vector at `at`, and the message there. */
function gathered(at: number): number[] {
  const code = [...getLocal(1), ...v128Load(MESSAGE_AT + at)]
  for (const distance of FOLD_DISTANCES) code.push(...getLocal(1), ...v128Load(FOLDED_AT - distance + at), ...v128Xor)
  return code
}

/** Local 0: bytes to fold. Local 1: the place, from 0. Local 2: the end of the tail. */
function foldBody(): number[] {
  const code = [...loop]
  for (let at = 0; at < FOLD_ROUND_BYTES; at += VECTOR) code.push(...getLocal(1), ...gathered(at), ...v128Store(FOLDED_AT + at))
  code.push(
    ...getLocal(1),
    ...i32Const(FOLD_ROUND_BYTES),
    ...i32Add,
    ...teeLocal(1),
    ...getLocal(0),
    ...i32LessUnsigned,
    ...branchIf,
    ...end,
  )
  // Bytes from here on are not folded: the tail must find zeros where their folded copies would be.
  code.push(...getLocal(0), ...i32Const(FOLDED_AT), ...i32Add, ...i32Const(0), ...i32Const(TAIL_BYTES), ...memoryFill)
  code.push(...getLocal(0), ...i32Const(TAIL_BYTES), ...i32Add, ...setLocal(2))
  code.push(...loop, ...getLocal(1), ...gathered(0), ...v128Store(MESSAGE_AT))
  code.push(...getLocal(1), ...i32Const(VECTOR), ...i32Add, ...teeLocal(1), ...getLocal(2), ...i32LessUnsigned, ...branchIf, ...end)
  return [...code, ...end]
}

/** The magic number and version 1. */
const HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

function assemble(): Uint8Array<ArrayBuffer> {
  const i32 = 0x7f
  const body = [1, 2, i32, ...foldBody()]
  return Uint8Array.from([
    ...HEAD,
    ...section(1, [1, 0x60, 1, i32, 0]), // one type: (i32) -> ()
    ...section(3, [1, 0]), // one function of that type
    ...section(5, [1, 0x01, PAGES, PAGES]), // one memory that never grows
    ...section(7, [2, ...name('fold'), 0x00, 0, ...name('memory'), 0x02, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ])
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content]
}

function name(text: string): number[] {
  return [text.length, ...Array.from(text, (letter) => letter.charCodeAt(0))]
}

function leb(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest & 127) | 128)
  }
}

function signedLeb(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7) {
    if (rest >= -64 && rest < 64) return [...bytes, rest & 127]
    bytes.push((rest & 127) | 128)
  }
}
