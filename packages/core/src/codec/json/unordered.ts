// Generates the scanner for records that have the same members and spacing in any order, or lack some of them: the first three bytes of a
// key (a hash without collisions picks the case) lead to the code that compares the rest of the key and reads the value. One indirect
// jump per member is all that the changing order costs. Keys it does not know and duplicates are left to the general scanner.
import { must } from '../../base/assert.ts'
import type { FieldSlot } from '../decoded-columns.ts'
import type { LayoutMember, RecordLayout } from './layout.ts'
import { ScannerCode } from './scanner-code.ts'
import { type FunctionBody, OP } from './wasm-body.ts'

const TABLE_BITS = 8
const MULTIPLIERS_TRIED = 4000
/** Two words of bits say which members were seen. */
const MEMBERS_MAX = 60

interface Spacing {
  readonly open: Uint8Array
  readonly between: Uint8Array
  readonly tail: Uint8Array
}

function key3(literal: Uint8Array): number {
  return (literal[0] as number) | ((literal[1] as number) << 8) | ((literal[2] as number) << 16)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

function spacingOf(layouts: readonly RecordLayout[]): Spacing | null {
  const first = layouts.find((layout) => layout.members.length > 1)
  const [one, two] = first?.members ?? []
  if (first === undefined || one === undefined || two === undefined) return null
  const spacing = { open: one.lead, between: two.lead, tail: first.tail }
  const same = layouts.every(
    (layout) =>
      equal(layout.tail, spacing.tail) &&
      layout.members.every((member, index) => equal(member.lead, index === 0 ? spacing.open : spacing.between)),
  )
  return same ? spacing : null
}

/** The members of all layouts, each once; null when two write the same key differently. */
function union(layouts: readonly RecordLayout[]): LayoutMember[] | null {
  const members = new Map<string, LayoutMember>()
  for (const member of layouts.flatMap((layout) => layout.members)) {
    const known = members.get(member.key)
    if (known !== undefined && !equal(known.name, member.name)) return null
    // A null or an object says less than a number or a string does.
    if (known === undefined || known.look === 'other') members.set(member.key, member)
  }
  return [...members.values()]
}

/** The module of the scanner for records like these, or null when they have too little in common. */
export function unorderedModule(layouts: readonly RecordLayout[], slots: readonly FieldSlot[]): Uint8Array<ArrayBuffer> | null {
  const spacing = spacingOf(layouts)
  const members = union(layouts)
  if (spacing === null || members === null || members.length > MEMBERS_MAX || members.some((member) => member.name.length < 3)) return null
  if (slots.some((slot) => !slot.field.nullable && !members.some((member) => member.key === slot.field.name))) return null
  const groups = new Map<number, number[]>()
  members.forEach((member, index) => groups.set(key3(member.name), [...(groups.get(key3(member.name)) ?? []), index]))
  const multiplier = perfectMultiplier([...groups.keys()])
  if (multiplier === null) return null
  const table = Array.from({ length: 1 << TABLE_BITS }, () => 'miss')
  ;[...groups.keys()].forEach((key, number) => (table[Math.imul(key, multiplier) >>> (32 - TABLE_BITS)] = `group ${number}`))
  return new MembersCode(members, slots).module(spacing, [...groups.values()], table, multiplier)
}

/** The code of one scanner, under construction. */
class MembersCode {
  readonly #members: readonly LayoutMember[]
  readonly #slots: readonly FieldSlot[]
  readonly #code: ScannerCode
  readonly #body: FunctionBody
  readonly #seen: readonly [number, number]

  constructor(members: readonly LayoutMember[], slots: readonly FieldSlot[]) {
    this.#members = members
    this.#slots = slots
    this.#code = new ScannerCode(slots)
    this.#body = this.#code.body
    this.#seen = [this.#body.local('i32'), this.#body.local('i32')]
  }

  /** `table` has the label of a group (`group 0` ...) or `miss` for each hash of a key's first bytes. */
  module(spacing: Spacing, groups: readonly (readonly number[])[], table: readonly string[], multiplier: number): Uint8Array<ArrayBuffer> {
    const code = this.#code
    const body = this.#body
    return code.module(() => {
      for (const word of this.#seen) body.i32(0).set(word)
      code.expect(spacing.open)
      body.loop('members', () => {
        code.missBeyondEnd()
        body.block('value read', () => this.#dispatch(groups, table, multiplier))
        code.missBeyondEnd()
        code.differs(spacing.between)
        body.op(OP.i32Eqz)
        body.when(() => {
          code.advance(spacing.between.length)
          body.jump('members')
        })
      })
      code.expect(spacing.tail)
      this.#missing()
    })
  }

  /** Each group's code stands behind the block whose end its label leads to. */
  #dispatch(groups: readonly (readonly number[])[], table: readonly string[], multiplier: number): void {
    const body = this.#body
    const group = groups.at(-1)
    if (group === undefined) {
      body.get(this.#code.at).load('i32', 0).i32(0xffffff).op(OP.i32And).i32(multiplier).op(OP.i32Mul)
      body
        .i32(32 - TABLE_BITS)
        .op(OP.i32ShrU)
        .jumpTable(table)
      return
    }
    body.block(`group ${groups.length - 1}`, () => this.#dispatch(groups.slice(0, -1), table, multiplier))
    this.#group(group)
    body.jump('value read')
  }

  /** The members that share their first three bytes, one after the other. */
  #group(group: readonly number[]): void {
    const [index, ...others] = group
    if (index === undefined) {
      this.#body.jump('miss')
      return
    }
    this.#code.differs(must(this.#members[index], 'member').name)
    this.#body.when(
      () => this.#group(others),
      () => this.#member(index),
    )
  }

  #member(index: number): void {
    const body = this.#body
    const member = must(this.#members[index], 'member')
    const { word, bit } = this.#bitOf(index)
    body.get(word).i32(bit).op(OP.i32And).jumpIf('miss')
    body.get(word).i32(bit).op(OP.i32Or).set(word)
    this.#code.advance(member.name.length)
    this.#code.readValue(member)
  }

  /** A required field that was not seen ends the attempt; an optional one is null. */
  #missing(): void {
    const body = this.#body
    this.#slots.forEach((slot, index) => {
      const place = this.#members.findIndex((member) => member.key === slot.field.name)
      if (place < 0) return this.#code.setMissing(index)
      const { word, bit } = this.#bitOf(place)
      body.get(word).i32(bit).op(OP.i32And, OP.i32Eqz)
      if (slot.field.nullable) body.when(() => this.#code.setMissing(index))
      else body.jumpIf('miss')
    })
  }

  #bitOf(index: number): { readonly word: number; readonly bit: number } {
    return { word: this.#seen[index < 30 ? 0 : 1], bit: 1 << (index % 30) }
  }
}

function perfectMultiplier(keys: readonly number[]): number | null {
  let multiplier = 0x9e3779b1
  for (let tries = 0; tries < MULTIPLIERS_TRIED; tries++) {
    const current = multiplier
    if (new Set(keys.map((key) => Math.imul(key, current) >>> (32 - TABLE_BITS))).size === keys.length) return current
    multiplier = (Math.imul(multiplier, 0x19660d) + 0x3c6ef35f) | 1
  }
  return null
}
