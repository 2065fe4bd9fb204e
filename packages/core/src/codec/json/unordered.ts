// Generates the scanner for records that have the same members and spacing in any order, or lack some of them: the first three bytes of a
// key (a hash without collisions picks the case) lead to the code that compares the rest of the key and reads the value. One indirect
// jump per member is all that the changing order costs. Keys it does not know and duplicates are left to the general scanner.
import type { FieldSlot } from '../decoded-columns.ts'
import type { LayoutMember, RecordLayout } from './layout.ts'
import { expect, matches, readValue, scannerSource, setMissing, shown } from './member-source.ts'

const TABLE_BITS = 8
const MULTIPLIERS_TRIED = 4000

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

/** The JavaScript of the scanner for records like these, or null when they have too little in common. */
export function unorderedSource(layouts: readonly RecordLayout[], slots: readonly FieldSlot[]): string | null {
  const spacing = spacingOf(layouts)
  const members = union(layouts)
  if (spacing === null || members === null || members.length > 60 || members.some((member) => member.name.length < 3)) return null
  if (slots.some((slot) => !slot.field.nullable && !members.some((member) => member.key === slot.field.name))) return null
  const groups = new Map<number, number[]>()
  members.forEach((member, index) => groups.set(key3(member.name), [...(groups.get(key3(member.name)) ?? []), index]))
  const multiplier = perfectMultiplier([...groups.keys()])
  if (multiplier === null) return null
  const table = Array.from({ length: 1 << TABLE_BITS }, () => 255)
  ;[...groups.keys()].forEach((key, number) => (table[Math.imul(key, multiplier) >>> (32 - TABLE_BITS)] = number))
  const cases = [...groups.values()].map(
    (group, number) =>
      `        case ${number}:\n${group.map((index) => memberCase(members[index] as LayoutMember, index, slots)).join(' else ')} else break hit\n          break`,
  )
  const body = `${expect(spacing.open)}
      let seen0 = 0, seen1 = 0
      for (;;) {
        if (at > end) break hit
        switch (table[Math.imul(view.getInt32(at, true) & 0xffffff, ${multiplier}) >>> ${32 - TABLE_BITS}]) {
${cases.join('\n')}
        default:
          break hit
        }
        if (at > end) break hit
        if (!(${matches(spacing.between)})) break ${shown(spacing.between)}
        at += ${spacing.between.length}
      }
${expect(spacing.tail)}
      if (at !== end) break hit
${missing(members, slots)}`
  const longest = Math.max(spacing.open.length, spacing.between.length, spacing.tail.length, ...members.map((member) => member.name.length))
  return scannerSource(slots, longest, `const table = Uint8Array.of(${table.join(', ')})\n`, body)
}

function bitOf(index: number): { readonly word: string; readonly bit: number } {
  return { word: index < 30 ? 'seen0' : 'seen1', bit: 1 << (index % 30) }
}

function memberCase(member: LayoutMember, index: number, slots: readonly FieldSlot[]): string {
  const { word, bit } = bitOf(index)
  return `          if (${matches(member.name)}) { ${shown(member.name)}
            if ((${word} & ${bit}) !== 0) break hit
            ${word} |= ${bit}
            at += ${member.name.length}
${readValue(member, slots)}
          }`
}

/** A required field that was not seen ends the attempt; an optional one is null. */
function missing(members: readonly LayoutMember[], slots: readonly FieldSlot[]): string {
  return slots
    .map((slot, index) => {
      const place = members.findIndex((member) => member.key === slot.field.name)
      if (place < 0) return setMissing(index)
      const { word, bit } = bitOf(place)
      return `      if ((${word} & ${bit}) === 0) ${slot.field.nullable ? `{\n${setMissing(index)}\n      }` : 'break hit'}`
    })
    .join('\n')
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
