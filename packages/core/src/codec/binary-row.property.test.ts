import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { anyFields, leafFields, relayout, rowOf } from './arbitrary.fixture.ts'
import { RowReader, RowWriter } from './binary-row.ts'
import { columnsOf } from './column-builder.ts'
import { rowValue } from './column-value.ts'
import type { Field } from './column.ts'
import { KeyWriter, readKey, readKeys } from './key-bytes.ts'
import { layoutId, layoutText } from './layout-id.ts'

const rowsOf = (fields: fc.Arbitrary<Field[]>) =>
  fields.chain((found) => fc.tuple(fc.constant(found), fc.array(rowOf(found), { minLength: 1, maxLength: 12 })))

test('rows read back as they were written, for any fields, selection and column layout', () => {
  fc.assert(
    fc.property(
      rowsOf(anyFields),
      fc.constantFrom('bytes', 'slice', 'dictionary'),
      fc.infiniteStream(fc.boolean()),
      fc.nat(40),
      ([fields, rows], layout, picks, prefix) => {
        const columns = columnsOf(fields, rows).map((column) => relayout(column, layout, rows.length))
        const selected = Int32Array.from([...rows.keys()].filter(() => picks.next().value === true))
        for (const chosen of [null, selected]) {
          const count = chosen === null ? rows.length : chosen.length
          const writer = new RowWriter(fields)
          writer.encode(columns, chosen, count)
          // Rows lie anywhere in a buffer, unaligned.
          const bytes = new Uint8Array(prefix + (writer.offsets[count] ?? 0))
          bytes.set(writer.bytes.subarray(0, writer.offsets[count]), prefix)
          const starts = writer.offsets.subarray(0, count).map((at) => at + prefix)
          const ends = writer.offsets.subarray(1, count + 1).map((at) => at + prefix)
          const read = new RowReader(fields).decode(bytes, starts, ends, count)
          for (let i = 0; i < count; i++) assert.deepEqual(rowValue(read, fields, i), rows[chosen === null ? i : (chosen[i] ?? 0)])
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('a writer that is used again leaves nothing of the rows before', () => {
  fc.assert(
    fc.property(
      leafFields.chain((fields) =>
        fc.tuple(fc.constant(fields), fc.array(rowOf(fields), { maxLength: 9 }), fc.array(rowOf(fields), { minLength: 1, maxLength: 9 })),
      ),
      ([fields, first, second]) => {
        const used = new RowWriter(fields)
        const fresh = new RowWriter(fields)
        used.encode(columnsOf(fields, first), null, first.length)
        used.encode(columnsOf(fields, second), null, second.length)
        fresh.encode(columnsOf(fields, second), null, second.length)
        const end = fresh.offsets[second.length] ?? 0
        assert.deepEqual(used.bytes.slice(0, end), fresh.bytes.slice(0, end))
      },
    ),
    { numRuns: 100 },
  )
})

test('cut rows are refused or read, never read beyond their end', () => {
  fc.assert(
    fc.property(rowsOf(anyFields), fc.nat(), fc.uint8Array({ maxLength: 60 }), ([fields, rows], cut, noise) => {
      const writer = new RowWriter(fields)
      writer.encode(columnsOf(fields, rows), null, rows.length)
      const end = writer.offsets[1] ?? 0
      const shortened = writer.bytes.slice(0, cut % (end + 1))
      for (const bytes of [shortened, noise]) {
        try {
          new RowReader(fields).decode(bytes, Int32Array.of(0), Int32Array.of(bytes.length), 1)
        } catch (error) {
          if (!(error instanceof Error) || !/ends|bytes|tag|BigInt/.test(error.message)) throw error
        }
      }
    }),
    { numRuns: 300 },
  )
})

const keyed = rowsOf(leafFields)

function keys(fields: Field[], rows: readonly Record<string, unknown>[], layout: 'bytes' | 'slice' | 'dictionary' = 'bytes'): Uint8Array[] {
  const writer = new KeyWriter(fields)
  writer.encode(
    columnsOf(fields, rows).map((column) => relayout(column, layout, rows.length)),
    null,
    rows.length,
  )
  return rows.map((_, i) => writer.bytes.slice(writer.offsets[i], writer.offsets[i + 1]))
}

const oneZero = (value: unknown): unknown => (typeof value === 'number' ? value + 0 : value)

test('keys read back as they were written', () => {
  fc.assert(
    fc.property(keyed, fc.constantFrom('bytes', 'slice', 'dictionary'), ([fields, rows], layout) => {
      const encoded = keys(fields, rows, layout)
      encoded.forEach((key, i) =>
        assert.deepEqual(
          readKey(fields, key, 0, key.length),
          fields.map((field) => oneZero(rows[i]?.[field.name])),
        ),
      )
      const all = Buffer.concat(encoded)
      const ends = encoded.map((_, i) => encoded.slice(0, i + 1).reduce((sum, key) => sum + key.length, 0))
      const columns = readKeys(fields, all, Int32Array.from([0, ...ends]), Int32Array.from(ends), rows.length)
      rows.forEach((row, i) => {
        const read = rowValue(columns, fields, i)
        for (const field of fields) assert.deepEqual(read[field.name], oneZero(row[field.name]))
      })
    }),
    { numRuns: 300 },
  )
})

function compareValues(a: unknown, b: unknown): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
}

test('keys order like their values, and equal keys have equal bytes', () => {
  fc.assert(
    fc.property(keyed, ([fields, rows]) => {
      const ordered = fields.filter((field) => field.type.kind !== 'decimal')
      if (ordered.length === 0) return
      const encoded = keys(ordered, rows)
      for (let i = 0; i < rows.length; i++) {
        for (let j = 0; j < rows.length; j++) {
          let expected = 0
          for (const field of ordered) expected = expected === 0 ? compareValues(rows[i]?.[field.name], rows[j]?.[field.name]) : expected
          assert.equal(Math.sign(Buffer.compare(encoded[i] ?? new Uint8Array(), encoded[j] ?? new Uint8Array())), expected)
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('a single string key is its own bytes', () => {
  const fields: Field[] = [{ name: 'k', type: { kind: 'string' }, nullable: false }]
  assert.deepEqual(keys(fields, [{ k: 'é\u0000x' }])[0], new TextEncoder().encode('é\u0000x'))
})

test('nested and variant keys do not depend on the order of names', () => {
  const fields: Field[] = [{ name: 'k', type: { kind: 'variant' }, nullable: true }]
  const [a, b] = keys(fields, [{ k: { x: 1, y: [2n, 'z', -0] } }, { k: { y: [2n, 'z', 0], x: 1 } }])
  assert.deepEqual(a, b)
})

test('a layout id depends on names, kinds and nullability', () => {
  const base: Field = { name: 'a', type: { kind: 'i64' }, nullable: false }
  const variants: Field[][] = [
    [base],
    [{ ...base, name: 'b' }],
    [{ ...base, nullable: true }],
    [{ ...base, type: { kind: 'f64' } }],
    [{ ...base, type: { kind: 'i64', big: true } }],
    [base, { ...base, name: 'b' }],
    [{ ...base, name: 'a":i64,"b' }],
  ]
  assert.equal(new Set(variants.map(layoutId)).size, variants.length)
  assert.equal(
    layoutText([base, { name: 'b', type: { kind: 'list', item: { kind: 'string' }, itemNullable: true }, nullable: true }]),
    '("a":i64,"b":list<string?>?)',
  )
  assert.equal(layoutId([base]), layoutId([{ ...base }]))
  assert.match(layoutId([base]), /^[0-9a-f]{16}$/)
})
