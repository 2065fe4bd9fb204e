// The fast form of CRC-32C: shortens a long message to its last few hundred bytes without changing its remainder, 16 bytes at a time.
//
// The generator P of CRC-32C divides the sparse polynomial
//     F(x) = x^290 + x^136 + x^113 + x^107 + x^32 + 1        (found by search; checked by a test),
// and because squaring is linear over GF(2) it divides F(x^8) too. So modulo P a byte is equal to the sum of the same byte placed 154, 177,
// 183, 258 and 290 bytes later: a byte can be removed from the front of the message by XORing it into five places behind. No tables and
// no multiplication, only XORs, which WebAssembly does on 16 bytes at once (four times what a native table or PCLMUL loop
// reaches behind a call from JavaScript). The smallest distance is above 64, so four vectors per round do not depend on each other.
// Source of the idea: S. Russell, "Chorba: a novel CRC32 implementation" (2024).
//
// What is left goes through tables, 16 bytes at a time (Kounavis and Berry, 2008), in the same module: its loads need no checks of bounds.
//
// The module is assembled here by hand, so that there is no binary in the tree. Memory: [zeros][folded bytes][message][tables].

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
const TABLES_AT = MESSAGE_AT + FOLD_BLOCK_BYTES + ZEROS_BYTES
const TABLE_BYTES = 1024
/** Bytes that go through the tables at once, each through one of its own. */
export const TABLE_COUNT = 16
const PAGES = 2
const PAGE_BYTES = 65_536
/** Bytes that the folded tail reaches behind the last round, in whole vectors. */
const TAIL_BYTES = Math.ceil(DISTANCE_MAX / VECTOR) * VECTOR

export interface Folder {
  /** Where the caller puts the message: at most FOLD_BLOCK_BYTES. */
  readonly message: Uint8Array
  /** Removes the first `length` bytes of the message (a multiple of FOLD_ROUND_BYTES, at most message length - FOLD_REST_BYTES) by adding them to what follows. */
  fold(length: number): void
  /** The state behind message[from .. to) when it was `state` before. States are not inverted. */
  through(from: number, to: number, state: number): number
}

/** What is used of the global `WebAssembly`; its types come with the DOM library, which the core does not load. */
interface WebAssemblyPart {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => {
    readonly exports: {
      readonly fold: (length: number) => void
      readonly through: (from: number, to: number, state: number) => number
      readonly memory: { readonly buffer: ArrayBuffer }
    }
  }
}

/** Compiles the module over the tables, TABLE_COUNT times 256 entries. Null where WebAssembly with SIMD is missing (old processor, `--jitless`): the caller then uses its tables. */
export function makeFolder(tables: Int32Array): Folder | null {
  if (TABLES_AT + TABLE_COUNT * TABLE_BYTES > PAGES * PAGE_BYTES) throw new RangeError('the fold does not fit its memory')
  try {
    const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyPart }
    const { fold, through, memory } = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports
    // WebAssembly is little-endian everywhere, the array of the caller may not be.
    const view = new DataView(memory.buffer, TABLES_AT)
    for (let entry = 0; entry < TABLE_COUNT * 256; entry++) view.setInt32(entry * 4, tables[entry] ?? 0, true)
    return { message: new Uint8Array(memory.buffer, MESSAGE_AT, FOLD_BLOCK_BYTES), fold, through }
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
const i32And = [0x71]
const i32Xor = [0x73]
const i32ShiftRight = [0x76]
const i32ShiftLeft = [0x74]
const branchIfOuter = [0x0d, 0x01]
const block = [0x02, 0x40]
const i32Equal = [0x46]
const branch = [0x0c, 0x00]
const i32Load = (offset: number): number[] => [0x28, 0x00, ...leb(offset)]
const i32LoadByte = (offset: number): number[] => [0x2d, 0x00, ...leb(offset)]

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

/** Local 0: the place, from `from`. Local 1: the end. Local 2: the state. Local 3: four bytes of the message. */
function throughBody(): number[] {
  const code = [...block, ...loop]
  code.push(...getLocal(1), ...getLocal(0), ...i32Const(TABLE_COUNT), ...i32Add, ...i32LessUnsigned, ...branchIfOuter)
  for (let word = 0; word < TABLE_COUNT; word += 4) {
    code.push(...getLocal(0), ...i32Load(MESSAGE_AT + word))
    // The state belongs to the first four bytes; the look-ups of the others do not wait for it.
    if (word === 0) code.push(...getLocal(2), ...i32Xor)
    code.push(...setLocal(3))
    for (let byte = 0; byte < 4; byte++) {
      code.push(...looked(byte, TABLE_COUNT - 1 - word - byte))
      if (word + byte > 0) code.push(...(byte === 0 ? getLocal(2) : []), ...i32Xor)
    }
    code.push(...setLocal(2))
  }
  code.push(...getLocal(0), ...i32Const(TABLE_COUNT), ...i32Add, ...setLocal(0), ...branch, ...end, ...end)
  code.push(...block, ...loop, ...getLocal(0), ...getLocal(1), ...i32Equal, ...branchIfOuter)
  code.push(...getLocal(0), ...i32LoadByte(MESSAGE_AT), ...getLocal(2), ...i32Xor, ...setLocal(3), ...looked(0, 0))
  code.push(...getLocal(2), ...i32Const(8), ...i32ShiftRight, ...i32Xor, ...setLocal(2))
  code.push(...getLocal(0), ...i32Const(1), ...i32Add, ...setLocal(0), ...branch, ...end, ...end)
  return [...code, ...getLocal(2), ...end]
}

/** The entry of a table for one byte of local 3. */
function looked(byte: number, table: number): number[] {
  const shifted = byte === 0 ? [...i32Const(2), ...i32ShiftLeft] : [...i32Const(byte * 8 - 2), ...i32ShiftRight]
  return [...getLocal(3), ...shifted, ...i32Const(255 * 4), ...i32And, ...i32Load(TABLES_AT + table * TABLE_BYTES)]
}

/** The magic number and version 1. */
const HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

function assemble(): Uint8Array<ArrayBuffer> {
  const i32 = 0x7f
  const fold = [1, 2, i32, ...foldBody()]
  const through = [1, 1, i32, ...throughBody()]
  return Uint8Array.from([
    ...HEAD,
    ...section(1, [2, 0x60, 1, i32, 0, 0x60, 3, i32, i32, i32, 1, i32]), // two types: (i32) -> (), (i32, i32, i32) -> i32
    ...section(3, [2, 0, 1]), // one function of each
    ...section(5, [1, 0x01, PAGES, PAGES]), // one memory that never grows
    ...section(7, [3, ...name('fold'), 0x00, 0, ...name('through'), 0x00, 1, ...name('memory'), 0x02, 0]),
    ...section(10, [2, ...leb(fold.length), ...fold, ...leb(through.length), ...through]),
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
