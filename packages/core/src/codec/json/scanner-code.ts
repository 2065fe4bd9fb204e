// Pieces of generated scanners: how one member of a record is recognised, read or validated, in WebAssembly. Used for records in a fixed
// order (speculate.ts) and in any order (unordered.ts). Every piece may leave by `miss`; the general scanner then reads the record anew.
//
// What a scanner does not read itself (null where it is allowed, strings with escapes, long or odd numbers, kinds without code here) it
// validates and leaves over, with its place: general.store takes it from there (scan-batch.ts).
//
// Code reads some bytes past a record, which is why records are copied into a memory with slack behind them. Every literal is compared at or
// before the record's end; loops are bounded by the end, and the last test is that the record ends exactly where the literal tail does.
import type { FieldSlot } from '../decoded-columns.ts'
import type { LayoutMember } from './layout.ts'
import {
  ENDS_AT,
  FLOAT_POWERS_AT,
  LEFT_AT,
  LEFT_COUNT_AT,
  MISSES_AT,
  MISS_COUNT_AT,
  POWERS_AT,
  SCAN_IMPORTS,
  SCAN_PAGES,
  SCAN_ROWS_MAX,
  SCAN_SLOTS_MAX,
  STARTS_AT,
  slotAt,
} from './scanner-memory.ts'
import { FALSE_TAIL_WORD, NULL_WORD, TRUE_WORD } from './scan.ts'
import { FunctionBody, moduleOf, OP, VECTOR_OP } from './wasm-body.ts'

const COUNT = 0
const DELTA = 1
const CALL_SKIP_VALUE = SCAN_IMPORTS.indexOf('skipValue')
const CALL_STRING_REST = SCAN_IMPORTS.indexOf('stringRest')
/** With more than so many misses, and more than a quarter of the records, the layout is given up. */
const MISSES_MAX = 16
const VECTOR_BYTES = 16
/** A double holds every integer of so many digits, and is rounded once when it is divided by a power of ten. */
const EXACT_DIGITS = 15

/** The code of one scanner, under construction. */
export class ScannerCode {
  readonly body: FunctionBody = new FunctionBody(2)
  readonly #slots: readonly FieldSlot[]
  readonly #row = this.body.local('i32')
  readonly #end = this.body.local('i32')
  readonly at: number = this.body.local('i32')
  readonly #first = this.body.local('i32')
  readonly #quote = this.body.local('i32')
  readonly #byte = this.body.local('i32')
  readonly #length = this.body.local('i32')
  readonly #negative = this.body.local('i32')
  readonly #misses = this.body.local('i32')
  readonly #left = this.body.local('i32')
  readonly #leftBefore = this.body.local('i32')
  readonly #word = this.body.local('i64')
  readonly #value = this.body.local('i64')
  readonly #vector = this.body.local('v128')
  readonly #spaces = this.body.local('v128')
  readonly #quotes = this.body.local('v128')
  readonly #backslashes = this.body.local('v128')

  constructor(slots: readonly FieldSlot[]) {
    this.#slots = slots
  }

  /** The module whose scan reads `count` records, each by the code that `record` writes. It returns how many it went through. */
  module(record: () => void): Uint8Array<ArrayBuffer> {
    const { body } = this
    body.v128(new Uint8Array(VECTOR_BYTES).fill(32)).set(this.#spaces)
    body.v128(new Uint8Array(VECTOR_BYTES).fill(34)).set(this.#quotes)
    body.v128(new Uint8Array(VECTOR_BYTES).fill(92)).set(this.#backslashes)
    body.block('done', () => {
      body.loop('rows', () => {
        body.get(this.#row).get(COUNT).op(OP.i32GeS).jumpIf('done')
        body.block('hit', () => {
          body.block('miss', () => {
            this.#openRecord()
            record()
            body.get(this.at).get(this.#end).op(OP.i32Ne).jumpIf('miss')
            body.jump('hit')
          })
          this.#giveUp()
        })
        body.get(this.#row).i32(1).op(OP.i32Add).set(this.#row).jump('rows')
      })
    })
    body.i32(0).get(this.#misses).store('i32', MISS_COUNT_AT)
    body.i32(0).get(this.#left).store('i32', LEFT_COUNT_AT)
    body.get(this.#row)
    return moduleOf(body, SCAN_IMPORTS, SCAN_PAGES)
  }

  #openRecord(): void {
    const { body } = this
    body.get(this.#left).set(this.#leftBefore)
    this.#rowTimes(4).load('i32', STARTS_AT).tee(this.at).i32(0).op(OP.i32LtS).jumpIf('miss')
    body.get(this.at).get(DELTA).op(OP.i32Add).set(this.at)
    this.#rowTimes(4).load('i32', ENDS_AT).get(DELTA).op(OP.i32Add).set(this.#end)
  }

  /** Notes that the record was given up and takes back what it had left over. */
  #giveUp(): void {
    const { body } = this
    body.get(this.#leftBefore).set(this.#left)
    this.#slots.forEach((slot, index) => {
      if (slot.interner !== null) this.#rowTimes(4).i32(-1).store('i32', slotAt(index))
    })
    body.get(this.#misses).i32(4).op(OP.i32Mul).get(this.#row).store('i32', MISSES_AT)
    body.get(this.#misses).i32(1).op(OP.i32Add).tee(this.#misses).i32(MISSES_MAX).op(OP.i32GtS)
    body.get(this.#misses).i32(4).op(OP.i32Mul).get(this.#row).op(OP.i32GtS, OP.i32And)
    body.when(() => body.get(this.#row).i32(1).op(OP.i32Add).set(this.#row).jump('done'))
  }

  /** The address of the row's place in an array of `bytes` per row, but for where the array begins. */
  #rowTimes(bytes: number): FunctionBody {
    return this.body.get(this.#row).i32(bytes).op(OP.i32Mul)
  }

  advance(bytes: number): void {
    if (bytes > 0) this.body.get(this.at).i32(bytes).op(OP.i32Add).set(this.at)
  }

  missBeyondEnd(): void {
    this.body.get(this.at).get(this.#end).op(OP.i32GtS).jumpIf('miss')
  }

  /** Goes on behind the literal only when it stands at `at`. */
  expect(literal: Uint8Array): void {
    this.missBeyondEnd()
    if (literal.length === 0) return
    this.differs(literal)
    this.body.jumpIf('miss')
    this.advance(literal.length)
  }

  /** Leaves an i32 that is not 0 when something else than the literal (not empty) stands at `at`. Words may overlap at the end. */
  differs(literal: Uint8Array): void {
    const { body } = this
    const { length } = literal
    const view = new DataView(literal.buffer, literal.byteOffset, length)
    if (length >= VECTOR_BYTES) {
      eachPlace(length, VECTOR_BYTES, (place) => {
        body
          .get(this.at)
          .loadVector(place)
          .v128(literal.subarray(place, place + VECTOR_BYTES))
          .vector(VECTOR_OP.xor)
        if (place > 0) body.vector(VECTOR_OP.or)
      })
      body.vector(VECTOR_OP.anyTrue)
    } else if (length >= 8) {
      eachPlace(length, 8, (place) => {
        body.get(this.at).load('i64', place).i64(view.getBigInt64(place, true)).op(OP.i64Xor)
        if (place > 0) body.op(OP.i64Or)
      })
      body.i64(0n).op(OP.i64Ne)
    } else if (length >= 4) {
      eachPlace(length, 4, (place) => {
        body.get(this.at).load('i32', place).i32(view.getInt32(place, true)).op(OP.i32Xor)
        if (place > 0) body.op(OP.i32Or)
      })
    } else {
      eachPlace(length, 1, (place) => {
        body
          .get(this.at)
          .load('byte', place)
          .i32(literal[place] as number)
          .op(OP.i32Xor)
        if (place > 0) body.op(OP.i32Or)
      })
    }
  }

  /** Reads the value of a member, for the slot that wants it, or validates it. */
  readValue(member: LayoutMember): void {
    const index = this.#slots.findIndex((slot) => slot.field.name === member.key)
    const slot = index < 0 ? null : (this.#slots[index] as FieldSlot)
    if (member.look === 'string') this.#string(index, slot)
    else if (member.look === 'number') this.#number(index, slot)
    else if (slot?.kind === 'bool') this.#bool(index)
    else this.#any(index)
  }

  /** A field of the schema that the record does not have. */
  setMissing(index: number): void {
    if (this.#slots[index]?.isRead === false) return
    this.#leaveOver(index, () => this.body.i32(-1))
  }

  /** Leaves a value of slot `index` to the general scanner; `place` puts where it begins on the stack. */
  #leaveOver(index: number, place: () => void): void {
    const { body } = this
    body.get(this.#left).i32(8).op(OP.i32Mul)
    this.#rowTimes(SCAN_SLOTS_MAX).i32(index).op(OP.i32Add).store('i32', LEFT_AT)
    body.get(this.#left).i32(8).op(OP.i32Mul)
    place()
    body.store('i32', LEFT_AT + 4)
    body.get(this.#left).i32(1).op(OP.i32Add).set(this.#left)
    if (this.#slots[index]?.interner !== null) this.#rowTimes(4).i32(-1).store('i32', slotAt(index))
  }

  /** Validates any value at `at`, and leaves it over for a slot that wants it. */
  #any(index: number): void {
    const { body } = this
    if (index < 0) {
      body.get(this.at).load('i32', 0).tee(this.#byte).i32(NULL_WORD).op(OP.i32Eq)
      body.get(this.#byte).i32(TRUE_WORD).op(OP.i32Eq, OP.i32Or)
      body.when(
        () => this.advance(4),
        () => this.#callSkip(),
      )
      return
    }
    body.get(this.at).set(this.#first)
    this.#callSkip()
    this.#leaveFirst(index)
  }

  #leaveFirst(index: number): void {
    this.#leaveOver(index, () => this.body.get(this.#first).get(DELTA).op(OP.i32Sub))
  }

  #callSkip(): void {
    this.body.get(this.at).get(this.#end).call(CALL_SKIP_VALUE).tee(this.at).i32(0).op(OP.i32LtS).jumpIf('miss')
  }

  #bool(index: number): void {
    const { body } = this
    body.get(this.at).load('i32', 0).i32(TRUE_WORD).op(OP.i32Eq)
    body.when(
      () => {
        this.#rowTimes(1).i32(1).store('byte', slotAt(index))
        this.advance(4)
      },
      () => {
        body.get(this.at).load('byte', 0).i32(102).op(OP.i32Eq)
        body.get(this.at).load('i32', 1).i32(FALSE_TAIL_WORD).op(OP.i32Eq, OP.i32And)
        body.when(
          () => {
            this.#rowTimes(1).i32(0).store('byte', slotAt(index))
            this.advance(5)
          },
          () => this.#any(index),
        )
      },
    )
  }

  #string(index: number, slot: FieldSlot | null): void {
    const { body } = this
    body.get(this.at).load('byte', 0).i32(34).op(OP.i32Eq)
    body.when(
      () => {
        body.get(this.at).tee(this.#first).i32(1).op(OP.i32Add).set(this.at)
        this.#toStringEnd()
        if (slot?.kind === 'string') {
          body.get(this.#quote).i32(-1).op(OP.i32LtS)
          body.when(
            () => this.#leaveFirst(index),
            () => {
              if (slot.isRead) this.#storeText(index)
            },
          )
        } else if (slot !== null) this.#leaveFirst(index)
        this.advance(1)
      },
      () => this.#any(index),
    )
  }

  #storeText(index: number): void {
    const { body } = this
    const at = slotAt(index)
    this.#rowTimes(4).get(this.#first).get(DELTA).op(OP.i32Sub).i32(1).op(OP.i32Add).store('i32', at)
    this.#rowTimes(4)
    body
      .get(this.at)
      .get(DELTA)
      .op(OP.i32Sub)
      .store('i32', at + SCAN_ROWS_MAX * 4)
  }

  /**
   * Moves `at` from inside a string to its closing quote; `#quote` is below -1 when there were escapes. Sixteen bytes are tested at first,
   * then sixty-four at once, so that strings of some length do not surprise the processor by how many steps they take.
   */
  #toStringEnd(): void {
    const { body } = this
    this.#pushSpecial(0)
    body.tee(this.#byte)
    body.when(
      () => body.get(this.at).get(this.#byte).op(OP.i32Ctz, OP.i32Add).set(this.at),
      () => {
        this.advance(VECTOR_BYTES)
        body.loop('vectors', () => {
          body.get(this.at).get(this.#end).op(OP.i32GeS).jumpIf('miss')
          for (let vector = 0; vector < 4; vector++) {
            this.#pushSpecial(vector * VECTOR_BYTES)
            body.op(OP.i64ExtendI32U)
            if (vector > 0) body.i64(BigInt(vector * VECTOR_BYTES)).op(OP.i64Shl, OP.i64Or)
          }
          body.tee(this.#word).i64(0n).op(OP.i64Eq)
          body.when(() => {
            this.advance(4 * VECTOR_BYTES)
            body.jump('vectors')
          })
        })
        body.get(this.at).get(this.#word).op(OP.i64Ctz, OP.i32WrapI64, OP.i32Add).set(this.at)
      },
    )
    body.get(this.at).tee(this.#quote).load('byte', 0).i32(34).op(OP.i32Ne)
    body.when(() => {
      body.get(this.at).get(this.#end).call(CALL_STRING_REST).tee(this.#quote).i32(-1).op(OP.i32Eq).jumpIf('miss')
      body.i32(-2).get(this.#quote).op(OP.i32Sub).get(this.#quote)
      body.get(this.#quote).i32(0).op(OP.i32LtS).select().set(this.at)
    })
  }

  /**
   * A bit for each of the sixteen bytes at `at` + `offset` that is a quote, a backslash, a control character or not ASCII: signed, the last
   * two lie below the space.
   */
  #pushSpecial(offset: number): void {
    const { body } = this
    body.get(this.at).loadVector(offset).tee(this.#vector).get(this.#spaces).vector(VECTOR_OP.bytesLtS)
    body.get(this.#vector).get(this.#quotes).vector(VECTOR_OP.bytesEq).vector(VECTOR_OP.or)
    body.get(this.#vector).get(this.#backslashes).vector(VECTOR_OP.bytesEq).vector(VECTOR_OP.or).vector(VECTOR_OP.bitmask)
  }

  #number(index: number, slot: FieldSlot | null): void {
    const { body } = this
    const kind = slot === null ? null : slot.kind
    const isRead = kind === 'i64' || kind === 'time' || kind === 'bigint' || kind === 'i32' || kind === 'f64'
    if (slot !== null && !isRead) return this.#any(index)
    body.block('number', () => {
      body.block('odd', () => {
        body.get(this.at).tee(this.#first).load('byte', 0).i32(45).op(OP.i32Eq).tee(this.#negative)
        body.get(this.at).op(OP.i32Add).set(this.at)
        this.#digits()
        // No digit, or digits behind a zero.
        body.get(this.#length).op(OP.i32Eqz).jumpIf('odd')
        body
          .get(this.#word)
          .op(OP.i32WrapI64)
          .i32(255)
          .op(OP.i32And, OP.i32Eqz)
          .get(this.#length)
          .i32(1)
          .op(OP.i32Ne, OP.i32And)
          .jumpIf('odd')
        if (slot === null) this.#skipDigits()
        else this.#wholeDigits()
        body.get(this.at).load('byte', 0).set(this.#byte)
        if (kind === 'f64') this.#readFloat(index)
        else {
          body.get(this.#byte).i32(46).op(OP.i32Eq)
          body.get(this.#byte).i32(32).op(OP.i32Or).i32(101).op(OP.i32Eq, OP.i32Or).jumpIf('odd')
          if (slot !== null) this.#storeInteger(index, slot)
        }
        body.jump('number')
      })
      body.get(this.#first).set(this.at)
      this.#any(index)
    })
  }

  /** `#word`: the next eight bytes less '0', `#length`: how many of them are digits before another byte comes. */
  #digits(): void {
    const { body } = this
    body.get(this.at).load('i64', 0).i64(0x3030303030303030n).op(OP.i64Xor).tee(this.#word)
    body.i64(0x7676767676767676n).op(OP.i64Add).get(this.#word).op(OP.i64Or).i64(0x8080808080808080n)
    body.op(OP.i64And, OP.i64Ctz, OP.i32WrapI64).i32(3).op(OP.i32ShrU).set(this.#length)
  }

  #skipDigits(): void {
    const { body } = this
    body.loop('digits', () => {
      body.get(this.at).get(this.#length).op(OP.i32Add).set(this.at)
      body.get(this.#length).i32(8).op(OP.i32Eq)
      body.when(() => {
        body.get(this.at).get(this.#end).op(OP.i32GeS).jumpIf('miss')
        this.#digits()
        body.jump('digits')
      })
    })
  }

  /** Reads up to 15 digits into `#value`; more are odd. */
  #wholeDigits(): void {
    const { body } = this
    this.#pushNumber()
    body.set(this.#value)
    body.get(this.at).get(this.#length).op(OP.i32Add).set(this.at)
    body.get(this.#length).i32(8).op(OP.i32Eq)
    body.when(() => {
      this.#digits()
      body.get(this.#length).i32(8).op(OP.i32Eq).jumpIf('odd')
      body.get(this.#length)
      body.when(() => {
        this.#pushPower('i64', POWERS_AT)
        body.get(this.#value).op(OP.i64Mul)
        this.#pushNumber()
        body.op(OP.i64Add).set(this.#value)
        body.get(this.at).get(this.#length).op(OP.i32Add).set(this.at)
      })
    })
  }

  #pushPower(type: 'i64' | 'f64', from: number): void {
    this.body.get(this.#length).i32(3).op(OP.i32Shl).load(type, from)
  }

  /** The number that the first `#length` (1 to 8) digits of `#word` make: moved up behind zeros, then added in pairs, fours, eights. */
  #pushNumber(): void {
    const { body } = this
    body.get(this.#word).i32(64).get(this.#length).i32(3).op(OP.i32Shl, OP.i32Sub, OP.i64ExtendI32U, OP.i64Shl)
    body.i64(2561n).op(OP.i64Mul).i64(8n).op(OP.i64ShrU).i64(0x00ff00ff00ff00ffn).op(OP.i64And)
    body.i64(6553601n).op(OP.i64Mul).i64(16n).op(OP.i64ShrU).i64(0x0000ffff0000ffffn).op(OP.i64And)
    body.i64(42949672960001n).op(OP.i64Mul).i64(32n).op(OP.i64ShrU)
  }

  /** `#value` with its sign; -0 is 0. */
  #pushInteger(): void {
    const { body } = this
    body.i64(0n).get(this.#value).op(OP.i64Sub).get(this.#value).get(this.#negative).select()
  }

  #storeInteger(index: number, slot: FieldSlot): void {
    const { body } = this
    if (slot.kind !== 'i32') {
      this.#rowTimes(8)
      this.#pushInteger()
      body.op(OP.f64ConvertI64S).store('f64', slotAt(index))
      return
    }
    this.#pushInteger()
    body.tee(this.#value).op(OP.i32WrapI64, OP.i64ExtendI32S).get(this.#value).op(OP.i64Ne).jumpIf('odd')
    this.#rowTimes(4).get(this.#value).op(OP.i32WrapI64).store('i32', slotAt(index))
  }

  /** Behind the whole digits: up to seven digits behind a point, 15 in all. The sign comes last, so that -0 stays what it is. */
  #readFloat(index: number): void {
    const { body } = this
    body.i32(0).set(this.#length)
    body.get(this.#byte).i32(46).op(OP.i32Eq)
    body.when(() => {
      this.advance(1)
      this.#digits()
      body.get(this.#length).op(OP.i32Eqz).jumpIf('odd')
      body.get(this.#length).i32(8).op(OP.i32Eq).jumpIf('odd')
      body.get(this.at).get(this.#length).op(OP.i32Add).tee(this.at)
      body
        .get(this.#first)
        .op(OP.i32Sub)
        .i32(EXACT_DIGITS + 1)
        .op(OP.i32GtS)
        .jumpIf('odd')
      this.#pushPower('i64', POWERS_AT)
      body.get(this.#value).op(OP.i64Mul)
      this.#pushNumber()
      body.op(OP.i64Add).set(this.#value)
      body.get(this.at).load('byte', 0).set(this.#byte)
    })
    body.get(this.#byte).i32(32).op(OP.i32Or).i32(101).op(OP.i32Eq).jumpIf('odd')
    this.#rowTimes(8)
    body.get(this.#value).op(OP.f64ConvertI64S)
    this.#pushPower('f64', FLOAT_POWERS_AT)
    body.op(OP.f64Div).store('f64', slotAt(index))
    body.get(this.#negative)
    body.when(() => {
      this.#rowTimes(8)
      this.#rowTimes(8).load('f64', slotAt(index)).op(OP.f64Neg).store('f64', slotAt(index))
    })
  }
}

function eachPlace(length: number, size: number, visit: (place: number) => void): void {
  for (let at = 0; at < length; at += size) visit(Math.min(at, length - size))
}
