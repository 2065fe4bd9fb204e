// Generates the speculative scanner for records with one layout: straight-line code that compares the literal bytes between the values and
// reads or validates each value in place. It may give up at any byte, but must never accept a document that the general scanner would
// refuse or read differently.
import type { FieldSlot } from '../decoded-columns.ts'
import type { RecordLayout } from './layout.ts'
import { ScannerCode } from './scanner-code.ts'

/** The module of the scanner, or null when a required field is not part of the layout. */
export function orderedModule(layout: RecordLayout, slots: readonly FieldSlot[]): Uint8Array<ArrayBuffer> | null {
  const present = new Set(layout.members.map((member) => member.key))
  if (slots.some((slot) => !slot.field.nullable && !present.has(slot.field.name))) return null
  const code = new ScannerCode(slots)
  return code.module(() => {
    for (const member of layout.members) {
      code.expect(member.literal)
      code.readValue(member)
    }
    code.expect(layout.tail)
    slots.forEach((slot, index) => {
      if (!present.has(slot.field.name)) code.setMissing(index)
    })
  })
}
