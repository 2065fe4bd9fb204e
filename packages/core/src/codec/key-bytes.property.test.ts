// Law: a key reads back as what was written, and each of its fields alone as the whole key says it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Field } from './column.ts'
import { columnBuilder } from './column-builder.ts'
import { KeyWriter, readKey, readKeyField } from './key-bytes.ts'

const kinds = {
  string: fc.string({ unit: fc.constantFrom('a', '\0', 'ÿ', '\u0001') }),
  i32: fc.integer(),
  time: fc.integer({ min: -4e12, max: 4e12 }),
  f64: fc.double({ noNaN: true }).map((value) => value + 0),
  bool: fc.boolean(),
} as const
const cell = fc
  .constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[]))
  .chain((kind) => fc.record({ kind: fc.constant(kind), nullable: fc.boolean(), value: kinds[kind] as fc.Arbitrary<unknown> }))
const cells = fc.array(fc.tuple(cell, fc.boolean()), { minLength: 1, maxLength: 4 })

test('keys read back, whole and field by field', () => {
  fc.assert(
    fc.property(cells, (given) => {
      const fields = given.map(([{ kind, nullable }], index): Field => ({ name: `f${index}`, type: { kind }, nullable }))
      const values = given.map(([{ nullable, value }, isNull]) => (nullable && isNull ? null : value))
      const writer = new KeyWriter(fields)
      const columns = fields.map((field, index) => {
        const builder = columnBuilder(field.type)
        builder.append(values[index])
        return builder.finish()
      })
      writer.encode(columns, null, 1)
      const bytes = writer.bytes.slice(0, writer.offsets[1])
      assert.deepEqual(readKey(fields, bytes, 0, bytes.length), values)
      for (const [index, value] of values.entries()) assert.deepEqual(readKeyField(fields, bytes, index), value)
    }),
  )
})
