import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyFields, relayout, rowOf } from '../arbitrary.fixture.ts'
import { coerceRow, type Problem } from '../coerce.ts'
import { columnsOf } from '../column-builder.ts'
import type { Column, Field, FieldType } from '../column.ts'
import { JsonEncoder } from './encoder.ts'
import { jsonText, parseExact } from './exact.ts'
import { writeNumber } from './write-number.ts'

function hasKind(type: FieldType, kinds: readonly string[]): boolean {
  if (type.kind === 'list') return hasKind(type.item, kinds)
  if (type.kind === 'struct') return type.fields.some((field) => hasKind(field.type, kinds))
  return kinds.includes(type.kind)
}

const cases = anyFields.chain((fields) =>
  fc.record({
    fields: fc.constant(fields),
    rows: fc.array(rowOf(fields), { maxLength: 9 }),
    layout: fc.constantFrom('bytes', 'slice', 'dictionary'),
  }),
)

/** -0 has no text of its own: JSON.stringify writes 0. */
const oneZero = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part instanceof Uint8Array ? [...part] : part)),
  )

test('records read back as the rows, generated as interpreted, and as JSON.stringify where it is defined', () => {
  fc.assert(
    fc.property(cases, ({ fields, rows, layout }) => {
      const columns: (Column | null)[] = columnsOf(fields, rows).map((column) => relayout(column, layout, rows.length))
      const lacking = fields.findIndex((field) => field.nullable)
      if (rows.length % 3 === 0 && lacking >= 0) columns[lacking] = null
      const encoders = [new JsonEncoder(fields), new JsonEncoder(fields, { codegen: false })]
      // Twice, and a selection: the buffer is reused.
      for (const selection of [null, Int32Array.from([...rows.keys()].filter((row) => row % 2 === 0)), null]) {
        const count = selection?.length ?? rows.length
        const texts = encoders.map((encoder) => {
          encoder.encode(columns, selection, count)
          return Array.from({ length: count }, (_, i) =>
            new TextDecoder().decode(encoder.bytes.subarray(encoder.offsets[i], encoder.offsets[i + 1])),
          )
        })
        assert.deepEqual(texts[0], texts[1])
        for (const codegen of [true, false]) {
          const encoder = new JsonEncoder(fields, { codegen, lines: true })
          encoder.encode(columns, selection, count)
          const text = new TextDecoder().decode(encoder.bytes.subarray(0, encoder.offsets[count]))
          assert.equal(text, texts[0]?.map((record) => `${record}\n`).join(''))
        }
        texts[0]?.forEach((text, i) => {
          const row: Record<string, unknown> = { ...rows[selection === null ? i : (selection[i] ?? 0)] }
          if (columns[lacking] === null) row[(fields[lacking] as Field).name] = null
          const problems: Problem[] = []
          assert.deepEqual(oneZero(coerceRow(fields, parseExact(text) as Record<string, unknown>, [], problems)), oneZero(row))
          assert.deepEqual(problems, [])
          if (!fields.some((field) => hasKind(field.type, ['i64', 'bytes', 'json']))) assert.equal(text, JSON.stringify(row))
          else if (!fields.some((field) => hasKind(field.type, ['bytes', 'json']))) assert.equal(text, jsonText(row))
        })
      }
    }),
    { numRuns: 500 },
  )
})

test('numbers are written as JSON.stringify writes them', () => {
  const bytes = new Uint8Array(64)
  const written = (value: number): string => new TextDecoder().decode(bytes.subarray(0, writeNumber(bytes, 0, value)))
  const numbers = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.integer().map((value) => value / 100),
    fc.integer().map((value) => value / 1000),
    fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: -20, max: 20 })).map(([digits, exponent]) => digits * 10 ** exponent),
    fc.constantFrom(
      0,
      -0,
      1e21,
      1e20,
      123456789012345680000,
      5e-324,
      0.1,
      0.001,
      0.0005,
      999999999.9995,
      1e12 / 1000 - 0.001,
      -0.5,
      2 ** 53,
      -(2 ** 53),
      2 ** 53 + 2,
      NaN,
      Infinity,
      -Infinity,
      1000000000,
      999999999,
    ),
  )
  fc.assert(
    fc.property(numbers, (value) => assert.equal(written(value), JSON.stringify(value))),
    { numRuns: 5000 },
  )
  for (let digits = 0; digits < 16; digits++)
    for (const off of [-1, 0, 1]) assert.equal(written(10 ** digits + off), JSON.stringify(10 ** digits + off))
})

test('rows that are JavaScript values are encoded with bigint as digits', () => {
  const encoder = new JsonEncoder([])
  encoder.encodeValues([{ a: 12345678901234567890n, b: undefined, c: 'é' }, undefined, [1]], null, 3, () =>
    assert.fail('nothing is refused'),
  )
  const texts = [0, 1, 2].map((i) => new TextDecoder().decode(encoder.bytes.subarray(encoder.offsets[i], encoder.offsets[i + 1])))
  assert.deepEqual(texts, ['{"a":12345678901234567890,"c":"é"}', 'null', '[1]'])
})
