// Writes WebAssembly: the body of one function, instruction by instruction, with labels by name; and the module around it. Numbers are those
// of the specification (WebAssembly 2.0, "Binary Format"). Only what the scanners of JSON need.

const BLOCK = 0x02
const LOOP = 0x03
const IF = 0x04
const ELSE = 0x05
const END = 0x0b
const NO_RESULT = 0x40
const SIMD = 0xfd

/** Instructions without operands in the code. */
export const OP = {
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32GtS: 0x4a,
  i32GtU: 0x4b,
  i32GeS: 0x4e,
  i64Eq: 0x51,
  i64Ne: 0x52,
  i32Ctz: 0x68,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32And: 0x71,
  i32Or: 0x72,
  i32Xor: 0x73,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i64Ctz: 0x7a,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64And: 0x83,
  i64Or: 0x84,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  f64Neg: 0x9a,
  f64Div: 0xa3,
  i32WrapI64: 0xa7,
  i64ExtendI32S: 0xac,
  i64ExtendI32U: 0xad,
  f64ConvertI64S: 0xb9,
} as const

export const VECTOR_OP = { bytesEq: 0x23, bytesLtS: 0x25, or: 0x50, xor: 0x51, anyTrue: 0x53, bitmask: 0x64 } as const

const LOAD = { i32: 0x28, i64: 0x29, f64: 0x2b, byte: 0x2d } as const
const STORE = { i32: 0x36, f64: 0x39, byte: 0x3a } as const

const TYPES = { i32: 0x7f, i64: 0x7e, f64: 0x7c, v128: 0x7b } as const
export type LocalType = keyof typeof TYPES

/** A function under construction. Parameters and locals are numbered in the order they are declared. */
export class FunctionBody {
  readonly bytes: number[] = []
  readonly #labels: string[] = []
  readonly #locals: LocalType[] = []
  readonly #parameters: number

  constructor(parameters: number) {
    this.#parameters = parameters
  }

  local(type: LocalType): number {
    this.#locals.push(type)
    return this.#parameters + this.#locals.length - 1
  }

  op(...codes: readonly number[]): this {
    this.bytes.push(...codes)
    return this
  }

  vector(code: number): this {
    this.bytes.push(SIMD, ...leb(code))
    return this
  }

  get(local: number): this {
    return this.op(0x20, ...leb(local))
  }

  set(local: number): this {
    return this.op(0x21, ...leb(local))
  }

  tee(local: number): this {
    return this.op(0x22, ...leb(local))
  }

  i32(value: number): this {
    return this.op(0x41, ...signedLeb(BigInt(value | 0)))
  }

  i64(value: bigint): this {
    return this.op(0x42, ...signedLeb(BigInt.asIntN(64, value)))
  }

  v128(bytes: Uint8Array): this {
    return this.vector(0x0c).op(...bytes)
  }

  /** Loads from the address on the stack + `offset`, whatever its alignment. */
  load(type: keyof typeof LOAD, offset: number): this {
    return this.op(LOAD[type], 0, ...leb(offset))
  }

  loadVector(offset: number): this {
    return this.vector(0).op(0, ...leb(offset))
  }

  store(type: keyof typeof STORE, offset: number): this {
    return this.op(STORE[type], 0, ...leb(offset))
  }

  select(): this {
    return this.op(0x1b)
  }

  call(index: number): this {
    return this.op(0x10, ...leb(index))
  }

  /** A jump to `label` leaves the block. */
  block(label: string, fill: () => void): this {
    return this.#nested(BLOCK, label, fill)
  }

  /** A jump to `label` repeats the loop. */
  loop(label: string, fill: () => void): this {
    return this.#nested(LOOP, label, fill)
  }

  /** Runs `fill` when the i32 on the stack is not 0, else `otherwise`. */
  when(fill: () => void, otherwise?: () => void): this {
    this.op(IF, NO_RESULT)
    this.#labels.push('')
    fill()
    if (otherwise !== undefined) {
      this.op(ELSE)
      otherwise()
    }
    this.#labels.pop()
    return this.op(END)
  }

  jump(label: string): this {
    return this.op(0x0c, ...leb(this.#depth(label)))
  }

  jumpIf(label: string): this {
    return this.op(0x0d, ...leb(this.#depth(label)))
  }

  /** Jumps to labels[n] for the n on the stack, which is below their number. */
  jumpTable(labels: readonly string[]): this {
    this.op(0x0e, ...leb(labels.length - 1))
    for (const label of labels) this.op(...leb(this.#depth(label)))
    return this
  }

  finish(): number[] {
    const locals = this.#locals.flatMap((type) => [1, TYPES[type]])
    return [...leb(this.#locals.length), ...locals, ...this.bytes, END]
  }

  #nested(kind: number, label: string, fill: () => void): this {
    this.op(kind, NO_RESULT)
    this.#labels.push(label)
    fill()
    this.#labels.pop()
    return this.op(END)
  }

  #depth(label: string): number {
    const at = this.#labels.lastIndexOf(label)
    if (at < 0) throw new RangeError(`no label ${label} here`)
    return this.#labels.length - 1 - at
  }
}

/**
 * A module with one exported function `scan(i32, i32) -> i32`, which imports `memory` (`pages` long) and `imports`, functions
 * (i32, i32) -> i32 that are called by their places in that list.
 */
export function moduleOf(body: FunctionBody, imports: readonly string[], pages: number): Uint8Array<ArrayBuffer> {
  const { i32 } = TYPES
  const code = body.finish()
  const imported = [
    ...text('host'),
    ...text('memory'),
    0x02,
    0x01,
    ...leb(pages),
    ...leb(pages),
    ...imports.flatMap((each) => [...text('host'), ...text(each), 0x00, 0]),
  ]
  return Uint8Array.from([
    ...HEAD,
    ...section(1, [1, 0x60, 2, i32, i32, 1, i32]),
    ...section(2, [imports.length + 1, ...imported]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text('scan'), 0x00, imports.length]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ])
}

/** The magic number and version 1. */
const HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content]
}

function text(of: string): number[] {
  return [of.length, ...Array.from(of, (letter) => letter.charCodeAt(0))]
}

function leb(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest & 127) | 128)
  }
}

function signedLeb(value: bigint): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7n) {
    if (rest >= -64n && rest < 64n) return [...bytes, Number(rest & 127n)]
    bytes.push(Number(rest & 127n) | 128)
  }
}
