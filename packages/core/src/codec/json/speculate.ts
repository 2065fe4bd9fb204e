// Generates the speculative scanner for records with one layout: straight-line code that compares the literal bytes between the values and
// reads or validates each value in place. It may give up at any byte, but must never accept a document that the general scanner would
// refuse or read differently.
import type { FieldSlot } from '../decoded-columns.ts'
import type { RecordLayout } from './layout.ts'
import { expect, readValue, scannerSource, setMissing } from './member-source.ts'

/** The JavaScript of the scanner, or null when a required field is not part of the layout. */
export function orderedSource(layout: RecordLayout, slots: readonly FieldSlot[]): string | null {
  const present = new Set(layout.members.map((member) => member.key))
  if (slots.some((slot) => !slot.field.nullable && !present.has(slot.field.name))) return null
  const body = layout.members.flatMap((member) => [expect(member.literal), readValue(member, slots)])
  body.push(expect(layout.tail), '      if (at !== end) break hit')
  slots.forEach((slot, index) => {
    if (!present.has(slot.field.name)) body.push(setMissing(index))
  })
  return scannerSource(slots, layout.literalBytesMax, '', body.join('\n'))
}
